"""What a study is made of: its axes, its cells and what is known of each. Plain data: no JAX, nothing that computes."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Axis:
    """One question of a study: a name and the values that are tried.

    Attributes:
        name: a field of the config, such as `"hidden"`, or a knob, such as `"hidden.tau_mem"`.
        values: what is tried, in the order of the map.
        log: True if the values are spaced evenly on a logarithmic scale.
        seeds: True for the axis whose values are repetitions and not a question: a map shows their median.

    Example:
        >>> Axis("tau_mem", (1.0, 10.0, 100.0), log=True).values
        (1.0, 10.0, 100.0)
    """

    name: str
    values: tuple[Any, ...]
    log: bool = False
    seeds: bool = False


class Fate(enum.StrEnum):
    """Where a cell stands.

    Example:
        >>> Fate("done") is Fate.DONE, Fate.WAITING.value
        (True, 'waiting')
    """

    WAITING = "waiting"  # nothing of it has been computed
    RUNNING = "running"  # it has begun and has epochs to go, whether it computes now or waits for its next round
    DONE = "done"  # all epochs
    STOPPED = "stopped"  # given up by the study's rule, with the reason in `Cell.why`
    FAILED = "failed"  # an error, with its sentence in `Cell.why`

    @property
    def over(self) -> bool:
        """Whether nothing more is computed of such a cell."""
        return self in (Fate.DONE, Fate.STOPPED, Fate.FAILED)


class Row(NamedTuple):
    """What one epoch of one cell gave, on the part that the study watches (validation, or test where there is none).

    Example:
        >>> Row(epoch=1, steps=11, loss=1.9, accuracy=0.41, spikes=52.0).accuracy
        0.41
    """

    epoch: int  # epochs done, from 1
    steps: int  # training steps done
    loss: float
    accuracy: float  # 0 to 1; the task's own score where it has no classes
    spikes: float  # spikes a sample, all spiking layers; NaN for a network that does not spike


@dataclass(frozen=True)
class Cell:
    """One network of a study.

    Attributes:
        index: its place on each axis, in the order of the study's axes.
        point: its value on each axis, by the axis' name.
        fate: where it stands.
        rows: what its epochs gave, oldest first.
        finding: what the diagnosis says of it: `"silent"`, `"saturated"`, `"diverged"`, or "" for nothing.
        why: the reason, where it was stopped or failed.
        computing: True while a worker computes it.

    Example:
        >>> cell = Cell(index=(1,), point={"tau_mem": 10.0}, rows=(Row(1, 11, 1.9, 0.41, 52.0),), fate=Fate.RUNNING)
        >>> cell.point["tau_mem"], cell.rows[-1].accuracy
        (10.0, 0.41)
    """

    index: tuple[int, ...]
    point: Mapping[str, Any]
    fate: Fate = Fate.WAITING
    rows: tuple[Row, ...] = field(default=())
    finding: str = ""
    why: str = ""
    computing: bool = False

    def epochs_of(self, total: int) -> int:
        """Return how many of its epochs are done, or not needed any more, because it is over.

        Example:
            >>> row = Row(1, 11, 1.9, 0.41, 52.0)
            >>> [Cell((0,), {}, fate, (row,)).epochs_of(10) for fate in (Fate.RUNNING, Fate.STOPPED)]
            [1, 10]
        """
        return total if self.fate.over else min(len(self.rows), total)
