"""Workers that share a folder: who has a cell, who sees it, and what becomes of the cell of one that dies."""

import json
import os
import socket
import time

import pytest
from hills import Hill, plan_of, plan_on, row

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.study import workers
from snnlab.study.agenda import Grid
from snnlab.study.cells import Fate
from snnlab.study.engines import Job, engine_for, shared
from snnlab.study.engines.dask import Dask
from snnlab.study.engines.slurm import Slurm
from snnlab.study.folder import STUDY, lead
from snnlab.study.workers import LIVES, MARK, STALE, Watcher

OVER = {"v_th": [0.5, 1.0, 2.0, 4.0], "tau_mem": [5.0, 10.0, 20.0]}
HILL = Hill((4, 3), (2, 1))


@pytest.fixture
def led(tmp_path):
    """The folder of a study; the data can be loaded by their name, but are never needed here."""
    folder = lead(tmp_path / "study", plan_of(OVER))
    yield folder
    folder.close()


def die(claim) -> None:
    """What is left of a worker that is killed: the system frees its lock, its mark stays."""
    claim._lock.release()


def climb(folder, index, until, *, on_row=None, should_stop=None):
    """A worker that computes nothing; see `labour`."""
    claim = folder.claim(index)
    assert claim is not None
    cell = folder.cell(index)
    new = HILL.advance(cell, until, folder.plan.epochs).rows[len(cell.rows) :]
    folder.add_rows(index, new)
    claim.release()
    return folder.cell(index)


def test_one_worker_has_a_cell_and_the_others_see_it(led):
    one, other = workers.shared(led), workers.shared(led)
    watcher = Watcher(led)
    claim = one.claim((1, 1))
    assert claim is not None and other.claim((1, 1)) is None and other.claim((1, 2)) is not None
    mark = json.loads((led.place((1, 1)) / MARK).read_text())
    assert (mark["host"], mark["pid"], mark["deaths"]) == (socket.gethostname(), os.getpid(), 0)
    assert {cell.index: cell.computing for cell in watcher.changed()} == {(1, 1): True, (1, 2): True}
    one.add_rows((1, 1), [row(1)])
    (cell,) = watcher.changed()
    assert cell.computing and len(cell.rows) == 1 and watcher.changed() == []
    claim.release()
    (cell,) = watcher.changed()
    assert not cell.computing and watcher.cells[1, 1] == cell
    assert other.claim((1, 1)) is not None


def test_a_cell_that_is_over_is_not_claimed(led):
    folder = workers.shared(led)
    folder.add_rows((0, 0), [row(1), row(2), row(3)])
    assert folder.claim((0, 0)) is None
    assert folder.cell((0, 0)).fate is Fate.DONE and not (led.place((0, 0)) / MARK).exists()


@pytest.mark.parametrize("age, free", [(0.0, False), (STALE / 4, False), (2 * STALE, True)])
@pytest.mark.parametrize("ahead", [0.0, -3600.0, 3600.0], ids=lambda seconds: f"clock {seconds:+.0f} s")
def test_where_locks_do_not_reach_a_sign_of_life_does(led, monkeypatch, age, free, ahead):
    """Also if the clock of this machine is wrong: the clock of the file system counts."""
    folder, place = workers.shared(led), led.place((0, 0))
    claim = folder.claim((0, 0))
    mark = json.loads((place / MARK).read_text())
    die(claim)
    (place / MARK).write_text(json.dumps(mark | {"host": "node7"}))
    then = time.time() - age
    os.utime(place / MARK, (then, then))
    now = time.time
    monkeypatch.setattr(workers.time, "time", lambda: now() + ahead)
    assert (folder.claim((0, 0)) is not None) == free


def test_a_cell_that_kills_its_workers_fails_and_one_that_gets_further_does_not(led):
    folder = workers.shared(led)
    for _ in range(LIVES):
        die(folder.claim((0, 0)))
        die(folder.claim((1, 1)))
        folder.add_rows((1, 1), [row(1)])  # the file grows
    assert folder.claim((0, 0)) is None
    cell = folder.cell((0, 0))
    assert cell.fate is Fate.FAILED and f"{LIVES} times in a row" in cell.why and socket.gethostname() in cell.why
    assert folder.claim((1, 1)) is not None


def test_a_mark_that_is_damaged_is_none(led):
    folder = workers.shared(led)
    die(folder.claim((0, 0)))
    for text in ("", "[]", "null", '{"host": 3}', '{"host": "a", "pid": 1, "deaths": "many", "got": []}'):
        (led.place((0, 0)) / MARK).write_text(text)
        claim = folder.claim((0, 0))
        assert claim is not None
        claim.release()


@pytest.mark.parametrize("stop", [None, "halving"])
def test_workers_share_out_all_cells(tmp_path, monkeypatch, stop):
    """Each comes to the same, by what is in the folder; with the rule, one of three goes on."""
    monkeypatch.setattr(shared, "labour", climb)
    led = lead(tmp_path / "study", plan_of(OVER, stop=stop))
    turns = 0
    while shared.work(workers.shared(led), cells=1):
        turns += 1
    cells = led.cells()
    fates = [cell.fate for cell in cells.values()]
    if stop is None:
        assert turns == 12 and set(fates) == {Fate.DONE}
    else:
        assert turns == 12 + fates.count(Fate.DONE) and 4 <= fates.count(Fate.DONE) <= 6
        assert set(fates) == {Fate.DONE, Fate.STOPPED} and cells[2, 1].fate is Fate.DONE
    led.close()


def test_a_worker_waits_for_the_cell_of_another_and_takes_it_over(led, monkeypatch):
    monkeypatch.setattr(shared, "AGAIN", 0.0)
    for index in led.plan.space:
        if index != (3, 2):
            led.add_rows(index, [row(1), row(2), row(3)])
    claim = workers.shared(led).claim((3, 2))
    tried = []

    def labour(folder, index, until, **options):
        tried.append(index)
        if len(tried) < 3:
            return workers.replace(folder.cell(index), computing=True)
        if len(tried) == 3:
            die(claim)
        return climb(folder, index, until)

    monkeypatch.setattr(shared, "labour", labour)
    assert shared.work(workers.shared(led)) == 1 and tried == [(3, 2)] * 3
    assert led.cell((3, 2)).fate is Fate.DONE


def test_a_watching_study_tells_all_and_ends(led, monkeypatch):
    told = []
    job = Job(folder=led, data=None, on_cell=told.append, source=lambda cells: Grid(led.plan.space.in_order()))

    def look() -> None:
        for index in led.plan.space:
            led.add_rows(index, [row(1), row(2), row(3)])

    shared.watch(job, lambda: False, look)
    assert {cell.index for cell in told} == set(led.plan.space) and {cell.fate for cell in told} == {Fate.DONE}
    told.clear()
    shared.run(job, lambda: True)
    assert told == []


@pytest.mark.parametrize("run", [shared.run, Slurm(), lambda job, stop: shared.work(workers.shared(job.folder))])
def test_what_workers_cannot_compute_is_refused(tmp_path, small, run):
    for number, (plan, words) in enumerate(
        [(plan_of(OVER, search=5), "search"), (plan_on(small, OVER), "were given as arrays")]
    ):
        led = lead(tmp_path / str(number), plan)
        job = Job(folder=led, data=small, on_cell=print, source=lambda cells: Grid([]))
        with pytest.raises(SnnlabError, match=words):
            run(job, lambda: False)
        led.close()


def test_other_versions_are_told(led):
    assert workers.other_versions(led) == ""
    study = json.loads((led.path / STUDY).read_text())
    study["versions"]["jax"] = "0.1"
    (led.path / STUDY).write_text(json.dumps(study | {"snnlab": "0.0"}))
    text = workers.other_versions(led)
    assert "jax" in text and "there 0.1" in text and "snnlab" in text and "numpy" not in text


def test_an_argument_says_who_computes():
    slurm = Slurm(jobs=2)
    assert engine_for(slurm) is slurm and engine_for("folder") is shared.run and engine_for(None) is engine_for("here")
    for cluster in (3, "tls://node1:8786", "scheduler.json"):
        engine = engine_for(cluster)
        assert isinstance(engine, Dask) and engine.cluster == cluster
    for wrong in ("slurn", 0, True, 1.5, Slurm, {"jobs": 2}):
        with pytest.raises(ArgumentError, match="cluster"):
            engine_for(wrong)
