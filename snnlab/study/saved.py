"""The checkpoints of a cell: each is a snapshot of its run, as `snnlab.Checkpoints` writes them."""

from collections.abc import Callable
from pathlib import Path

from snnlab.checkpoint.folder import newest_in, write_checkpoint
from snnlab.checkpoint.snapshot import Snapshot
from snnlab.errors import ArgumentError, FileFormatError

KEEP = 2  # the one before the newest, too: the newest may be lost in a power cut


def save(place: Path, steps: int, snapshot: Snapshot, *, durable: bool = True) -> None:
    """Write a checkpoint of a cell, numbered by its steps.

    Args:
        place: folder of the cell.
        steps: that the run has taken.
        snapshot: of the run.
        durable: see `write_checkpoint`.

    Raises:
        WriteError: if it cannot be written; the one before is still there.
    """
    place.mkdir(parents=True, exist_ok=True)
    write_checkpoint(place, steps, snapshot, keep=KEEP, durable=durable)


def newest(place: Path, say: Callable[[str], None]) -> Snapshot | None:
    """Return the newest undamaged checkpoint of a cell, or None; `say` is told if all are damaged."""
    try:
        return newest_in(place)
    except ArgumentError:
        return None  # nothing was saved yet
    except FileFormatError as error:
        say(f"{error}; the cell begins anew")
        return None
