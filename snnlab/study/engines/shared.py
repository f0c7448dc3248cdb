"""The engine that only watches: workers elsewhere share the folder, and nothing else.

    snnlab sweep worker runs/map        on every machine that sees the folder, as often as it has cores to spare

A worker claims a cell, computes it, and takes the next, until none is left. Nobody gives out work: the rules of a study
are functions of the rows in the folder, so every worker comes to the same.
"""

import time
from collections.abc import Callable

from snnlab.study.agenda import Agenda, Grid
from snnlab.study.cells import Cell, Fate
from snnlab.study.engines import Job
from snnlab.study.workers import SharedFolder, Watcher, check_shared, labour

LOOK = 0.5  # seconds between two looks at the folder, at least
SHARE = 0.1  # of the time that looking may take, where there are many cells or a slow disk
AGAIN = 5.0  # seconds until a worker asks again for a cell that another has


def run(job: Job, should_stop: Callable[[], bool]) -> None:
    """Watch until nothing is left to do; see `snnlab.study.engines.Engine`."""
    check_shared(job.folder)
    watch(job, should_stop)


def watch(job: Job, should_stop: Callable[[], bool], look: Callable[[], None] = lambda: None) -> None:
    """Tell what other processes do in the folder, until nothing is left to do.

    Args:
        job: of the study.
        should_stop: asked several times a second.
        look: called at every look.
    """
    folder = SharedFolder(job.folder.path, job.folder.plan, job.folder.say)
    watcher = Watcher(folder)
    agenda = job.agenda(watcher.cells)
    while not should_stop():
        began = time.monotonic()
        for cell in watcher.changed():
            agenda.tell(cell)
            job.on_cell(cell)
        give_up(folder, agenda, watcher)
        if agenda.done:
            return
        look()
        _wait(max(LOOK, (time.monotonic() - began) / SHARE), should_stop)


def give_up(folder: SharedFolder, agenda: Agenda, watcher: Watcher) -> None:
    """Stop the cells that the rule gives up, unless a worker has gone on with one: it had fewer to compare it with."""
    for index, why in agenda.given_up():
        claim = folder.claim(index)
        if claim is None:
            continue
        try:
            now = folder.cell(index)
            if now.fate is Fate.RUNNING and now.rows == watcher.cells[index].rows:
                folder.give_up(now, why)
        finally:
            claim.release()


def work(
    folder: SharedFolder,
    *,
    cells: int | None = None,
    on_cell: Callable[[Cell], None] = lambda cell: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Compute cells of a study, as one of several workers, until none is left.

    Where all that is left is being computed by others, it waits, so that it can take over if one of them dies.

    Args:
        folder: of the study, see `snnlab.study.workers.shared`.
        cells: number of cells after which to end; None for all.
        on_cell: called with each cell that it has computed.
        should_stop: asked several times a second; True ends it, and nothing is lost.

    Returns:
        Number of cells that it has computed, or a part of them.

    Raises:
        SnnlabError: if this machine cannot compute them, or workers that share a folder cannot.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig, load_data
        >>> from snnlab.study.folder import lead
        >>> from snnlab.study.plan import Plan
        >>> from snnlab.study.space import Space
        >>> from snnlab.study.work import id_of
        >>> from snnlab.study.workers import shared
        >>> digits, space = load_data("digits"), Space.of({"v_th": [0.5, 1.0]})
        >>> config = SnnConfig(hidden=8, num_steps=20)
        >>> led = lead(tempfile.mkdtemp(), Plan(space=space, model=config, data=id_of(digits, "digits"), epochs=1))
        >>> work(shared(led.path), cells=1), work(shared(led.path))
        (1, 1)
        >>> led.close()
    """
    check_shared(folder)
    watcher, done = Watcher(folder), 0
    agenda = Agenda(folder.plan, watcher.cells, Grid(folder.plan.space.in_order()))
    while not should_stop() and (cells is None or done < cells):
        for cell in watcher.changed():
            agenda.tell(cell)
        give_up(folder, agenda, watcher)
        task = agenda.next()
        if task is None:
            if agenda.done:
                break
            _wait(LOOK, should_stop)
            continue
        cell = labour(folder, task.cells[0], task.until, should_stop=should_stop)
        if cell.computing:
            agenda.put_back(cell.index, AGAIN)
            continue
        agenda.tell(cell)
        on_cell(cell)
        done += 1
    return done


def _wait(seconds: float, should_stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not should_stop():
        time.sleep(min(0.1, max(0.0, end - time.monotonic())))
