"""Studies on real workers of Dask: some are killed, some cannot compute, some never come."""

import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hills import bits, plan_of
from tiers import needed
from worker_kills import differs, kill_worker

from snnlab import data
from snnlab.errors import ArgumentError, SnnlabError, StateError
from snnlab.study.agenda import Grid
from snnlab.study.cells import Fate
from snnlab.study.engines import Job, dask
from snnlab.study.engines.dask import Dask
from snnlab.study.folder import lead
from snnlab.study.work import compute, id_of
from snnlab.study.workers import MARK

distributed = needed("distributed", "peers")
needed("cryptography", "peers")

OVER = {"v_th": [0.5, 1.0], "tau_mem": [5.0, 20.0], "seed": [0, 3]}


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes with TLS, as `cluster=2` starts them."""
    with dask._local(2, dashboard=False) as started:
        yield started


def job_in(place, over=OVER, model=None, source="digits", **options) -> Job:
    """A study of digits that workers load by their name."""
    options = {"data": id_of(data.load(source), source), "epochs": 3} | options
    plan = plan_of(over, **options) if model is None else plan_of(over, model, **options)
    led = lead(place, plan)
    led.told = []  # pyright: ignore[reportAttributeAccessIssue]
    order = plan.space.in_order()
    return Job(folder=led, data=None, on_cell=led.told.append, source=lambda cells: Grid(order))


def check_bits(job: Job, place) -> None:
    """Compare all arrays of all cells with those computed in this process, one after the other."""
    serial = lead(place, job.folder.plan)
    for index in job.folder.plan.space:
        compute(serial, index)
        assert not differs(job.folder, serial, index)
    serial.close()


def test_cells_of_killed_workers_end_with_the_bits_of_this_process(tmp_path, cluster):
    job, kills = job_in(tmp_path / "killed", epochs=12), []
    chance = random.Random(0)

    def on_cell(cell) -> None:
        job.folder.told.append(cell)
        if len(kills) < 3 and len(job.folder.told) > 20 * (len(kills) + 1) and kill_worker(job.folder, chance):
            kills.append(cell.index)

    Dask(cluster=cluster)(Job(folder=job.folder, data=None, on_cell=on_cell, source=job.source), lambda: False)
    assert len(kills) == 3
    rows = {cell.index: len(cell.rows) for cell in job.folder.told}
    assert rows == dict.fromkeys(job.folder.plan.space, 12)
    check_bits(job, tmp_path / "serial")


def test_a_study_that_is_stopped_saves_and_goes_on_in_this_process(tmp_path, cluster):
    job = job_in(tmp_path / "stopped", epochs=400)
    Dask(cluster=cluster)(job, lambda: any(cell.rows for cell in job.folder.told))
    begun = [index for index, cell in job.folder.cells().items() if cell.rows]
    assert begun and not list(job.folder.path.glob(f"cells/*/{MARK}"))
    for index in begun:
        rows = len(job.folder.cell(index).rows)
        assert list(job.folder.place(index).glob("checkpoint-*")) and rows < 400
    index = begun[0]
    until = len(job.folder.cell(index).rows) + 1
    serial = lead(tmp_path / "serial", job.folder.plan)
    assert compute(job.folder, index, until=until).rows == compute(serial, index, until=until).rows
    assert bits(job.folder, index) == bits(serial, index)


def test_a_cell_that_fails_and_one_that_kills_its_workers_hold_nobody_up(tmp_path):
    job = job_in(tmp_path / "own", {"width": [8, 9, 13, 16]}, "own:model", epochs=1)
    Dask(cluster=2)(job, lambda: False)
    cells = {cell.point["width"]: cell for cell in job.folder.cells().values()}
    assert cells[8].fate is cells[16].fate is Fate.DONE
    assert cells[9].fate is Fate.FAILED and "no such width" in cells[9].why
    assert cells[13].fate is Fate.FAILED and "ended without a word" in cells[13].why


def test_a_result_that_is_lost_with_its_worker_is_in_the_folder(tmp_path):
    """A worker may die between the end of a task and the moment when its result is fetched."""
    job = job_in(tmp_path / "lost", {"v_th": [0.5]}, epochs=1)
    done = compute(job.folder, (0,))

    class Lost:
        status = "finished"

        def result(self):
            raise distributed.scheduler.KilledWorker("task", None, 0)

    client = SimpleNamespace(status="running")
    run = dask._Run(job, lambda: False, client, None, 1.0)
    assert run._came_of((0,), Lost()) == done and done.fate is Fate.DONE
    client.status = "closed"
    with pytest.raises(StateError, match="scheduler"):
        run._came_of((0,), Lost())


def test_with_halving_a_third_goes_on(tmp_path, cluster):
    job = job_in(tmp_path / "halved", {"v_th": [0.5, 1.0, 2.0], "tau_mem": [5.0, 20.0]}, stop="halving")
    Dask(cluster=cluster)(job, lambda: False)
    fates = [cell.fate for cell in job.folder.cells().values()]
    assert 2 <= fates.count(Fate.DONE) <= 4 and fates.count(Fate.DONE) + fates.count(Fate.STOPPED) == 6


def test_a_client_without_the_certificate_is_refused(cluster):
    address = cluster.scheduler_address
    assert address.startswith("tls://127.0.0.1:")
    assert all(worker.startswith("tls://127.0.0.1:") for worker in cluster.scheduler_info["workers"])
    stranger = distributed.security.Security.temporary()
    for where, security in ((address, stranger), (address.replace("tls", "tcp"), None)):
        with pytest.raises(OSError):
            distributed.Client(where, security=security, timeout=2, set_as_default=False)
    with pytest.raises(StateError, match=r"distributed\.comm\.tls"):
        dask._client_of(address, print)


def test_a_worker_without_the_data_or_with_others_is_told_at_once(tmp_path, cluster):
    for change in (lambda file: file.unlink(), lambda file: write(file, 2)):
        file = tmp_path / "mine.npz"
        write(file, 1)
        job = job_in(tmp_path / "study", source=str(file))
        change(file)
        with pytest.raises(StateError, match=r"cannot compute this study: .*mine\.npz"):
            Dask(cluster=cluster)(job, lambda: False)
        assert all(cell.fate is Fate.WAITING for cell in job.folder.cells().values())
        job.folder.close()


def write(file, seed: int) -> None:
    rng = np.random.default_rng(seed)
    np.savez(file, x=rng.random((60, 5)).astype("float32"), y=rng.integers(0, 2, 60))


def test_a_worker_that_does_not_see_the_folder_is_told(tmp_path, cluster):
    job = job_in(tmp_path / "study")
    with distributed.Client(cluster, set_as_default=False) as client:
        for path in (job.folder.path, tmp_path / "elsewhere"):
            with pytest.raises(StateError, match="does not see the folder"):
                client.submit(dask._task, os.fspath(path), "other", (0, 0, 0), 1, pure=False).result()


def test_a_cluster_that_never_comes_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "ANSWER", 1.0)
    job = job_in(tmp_path / "study")
    with pytest.raises(StateError, match=r"no scheduler of Dask answers at tcp://127\.0\.0\.1:9"):
        Dask(cluster="tcp://127.0.0.1:9")(job, lambda: False)
    with pytest.raises(ArgumentError, match=r"neither an address.* nor a scheduler file"):
        Dask(cluster=str(tmp_path / "scheduler.json"))(job, lambda: False)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, protocol="tcp://") as empty,
        pytest.raises(StateError, match="no worker of Dask has come in 1 s"),
    ):
        Dask(cluster=empty, timeout=1.0)(job, lambda: False)


def test_a_scheduler_without_encryption_is_used_and_told(tmp_path):
    said = []
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, protocol="tcp://") as plain:
        dask._client_of(plain.scheduler_address, said.append).close()
        file = tmp_path / "scheduler.json"
        with distributed.Client(plain, set_as_default=False) as client:
            client.write_scheduler_file(file)
        dask._client_of(str(file), said.append).close()
    assert len(said) == 2 and all("is not encrypted" in text for text in said)


def test_data_given_as_arrays_are_refused(tmp_path, small):
    led = lead(tmp_path / "study", plan_of(OVER, data=id_of(small)))
    with pytest.raises(SnnlabError, match="were given as arrays"):
        Dask(cluster=1)(Job(folder=led, data=small, on_cell=print, source=lambda cells: Grid([])), lambda: False)
