"""The engines of a study: who computes its cells, and where. The folder is the truth, whatever engine is used.

An engine is a function `run(job, should_stop)`: it computes until nothing is left to do or `should_stop()` is true,
writes everything into the folder of the job, and says what it has done. Nothing else of snnlab knows an engine.

    here        this process: many cells in one program
    dask        processes of Dask, on this machine or a cluster: a cell is a task
    shared      only watches: workers elsewhere share the folder, see `snnlab sweep worker`
    slurm       such workers, as an array of jobs
"""

import functools
import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

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


ENGINES: dict[str, tuple[str, str]] = {
    "here": ("here", "run"),
    "folder": ("shared", "run"),
    "slurm": ("slurm", "submit"),
}
"""Modules of the engines by name, and what runs in them; each is imported when it is used."""


def engine_for(
    cluster: Any, *, devices: int | str | None = None, together: int | None = None, model: Any = None
) -> Engine:
    """Return the engine for the arguments `cluster`, `devices` and `together` of a study.

    Args:
        cluster: None for this process, as "here"; a number of processes on this machine; "folder" for workers that
            are started elsewhere and share the folder; "slurm", or `snnlab.study.Slurm` with options; or what Dask
            knows: the address of a scheduler, its scheduler file, a client, a cluster, or `snnlab.study.Dask`.
        devices: of this process that share out the networks, see `snnlab.study.blocks.Blocks.of`.
        together: networks that each of them computes at once.
        model: of the study.

    Raises:
        ArgumentError: if it is none of these; if there are not so many devices; if these are for a study in which
            networks are trained one by one.

    Example:
        >>> engine_for(None).__module__, engine_for(4).cluster
        ('snnlab.study.engines.here', 4)
        >>> engine_for("slurn")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: cluster: must be None, a number of processes, 'here', ..., got 'slurn'
        >>> engine_for(4, devices=2)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: devices: applies to a study in this process; with cluster=4, ...
    """
    engine: Callable[..., None] = _engine(cluster)
    options = {name: value for name, value in (("devices", devices), ("together", together)) if value is not None}
    for name in options:
        if cluster not in (None, "here"):
            raise ArgumentError(
                f"{name}: applies to a study in this process; with cluster={cluster!r:.100}, each worker trains one "
                "network at a time on its own device. Leave one of the two out"
            )
        if isinstance(model, str):
            raise ArgumentError(
                f"{name}: applies to networks of a config; those of {model} are trained one by one, because nothing is "
                "known of their structure. Leave it out"
            )
    if not options:
        return engine
    from snnlab.study.blocks import Blocks

    return functools.partial(engine, blocks=Blocks.of(devices, together))


def _engine(cluster: Any) -> Engine:
    from snnlab.study.engines.dask import Dask, is_dask

    if is_dask(cluster):
        return Dask(cluster=cluster)
    name = "here" if cluster is None else cluster
    if isinstance(name, str) and name in ENGINES:
        module, run = ENGINES[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), run)
    if callable(cluster) and not isinstance(cluster, type):
        return cast(Engine, cluster)
    raise ArgumentError(
        f"cluster: must be None, a number of processes, {', '.join(map(repr, ENGINES))}, or a scheduler, client or "
        f"cluster of Dask, got {cluster!r:.100}"
    )
