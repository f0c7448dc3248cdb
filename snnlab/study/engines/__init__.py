"""The engines of a study: who computes its cells, and where. The folder is the truth, whatever engine is used.

An engine is a function `run(job, should_stop)`: it computes until nothing is left to do or `should_stop()` is true,
writes everything into the folder of the job, and says what it has done. Nothing else of snnlab knows an engine.
"""

import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.study.agenda import Agenda, Source
from snnlab.study.cells import Cell
from snnlab.study.folder import StudyFolder
from snnlab.study.space import Index


class Requests:
    """Cells that somebody waits for, to open them: an engine that saves seldom saves these soon.

    Attributes:
        heard: whether the engine looks at them.

    Example:
        >>> requests = Requests()
        >>> saved = requests.ask((3, 1))
        >>> for index, event in requests.take():
        ...     event.set()  # when its checkpoint is written
        >>> saved.is_set(), requests.take()
        (True, [])
    """

    def __init__(self):
        self.heard = False
        self._lock = threading.Lock()
        self._open: list[tuple[Index, threading.Event]] = []

    def ask(self, index: Index) -> threading.Event:
        """Ask for a checkpoint; the event is set when it is there."""
        event = threading.Event()
        with self._lock:
            self._open.append((index, event))
        return event

    def take(self) -> list[tuple[Index, threading.Event]]:
        """Return what was asked for since the last call."""
        with self._lock:
            found, self._open = self._open, []
        return found


@dataclass(frozen=True, kw_only=True)
class Job:
    """What an engine is given.

    Attributes:
        folder: of the study, with its plan; where everything is written.
        data: of the study, for an engine that computes in this process.
        on_cell: to be called with every cell that has changed, from any thread.
        source: of the cells: the grid, or a search; made anew for each start, from what is known of the cells.
        requests: for checkpoints; an engine that writes one after every epoch need not look at them.
    """

    folder: StudyFolder
    data: Dataset
    on_cell: Callable[[Cell], None]
    source: Callable[[Mapping[Index, Cell]], Source]
    requests: Requests = field(default_factory=Requests)

    def agenda(self, cells: Mapping[Index, Cell], stride: int | None = None) -> Agenda:
        """Return the agenda of this study; see `Agenda`."""
        return Agenda(self.folder.plan, cells, self.source(cells), stride=stride)


class Engine(Protocol):
    """Computes a study."""

    def __call__(self, job: Job, should_stop: Callable[[], bool]) -> None:
        """Compute until all is done, or until it is to stop; then nothing is lost."""
        ...


ENGINES: dict[str, str] = {"here": "snnlab.study.engines.here"}
"""Modules of the engines by name; each is imported when it is used, and has a function `run`."""


def engine_for(cluster: Any) -> Engine:
    """Return the engine for the argument `cluster` of a study; None is this process.

    Raises:
        ArgumentError: if there is none.

    Example:
        >>> engine_for(None).__module__
        'snnlab.study.engines.here'
        >>> engine_for("slurn")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: cluster: must be None, for this process, or 'here', got 'slurn'
    """
    name = "here" if cluster is None else cluster
    if not isinstance(name, str) or name not in ENGINES:
        known = " or ".join(map(repr, ENGINES))
        raise ArgumentError(f"cluster: must be None, for this process, or {known}, got {cluster!r:.100}")
    return importlib.import_module(ENGINES[name]).run
