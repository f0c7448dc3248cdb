"""The engine on Dask: cells are tasks, computed by worker processes here or on a cluster. The only file that knows it.

    cluster=4                           four processes on this machine
    cluster="tls://node1:8786"          a scheduler that runs already, or the path of its scheduler file
    cluster=client, cluster=cluster     a `distributed.Client`, or a cluster, as that of dask-jobqueue

Workers write into the folder of the study, which they must see under the same path. Dask gives out cells, tells of rows
within milliseconds, and notices when a worker is lost: its cell goes on elsewhere from its newest checkpoint.

Whoever reaches a scheduler of Dask can run code as its user. Processes that are started here speak TLS, with a
certificate that exists only in their memory.
"""

import functools
import importlib
import logging
import multiprocessing
import os
import queue
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnlab.errors import ArgumentError, SnnlabError, StateError
from snnlab.study.agenda import Agenda
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.engines import Job
from snnlab.study.space import Index
from snnlab.study.workers import SharedFolder, check_data, labour, other_versions, shared
from snnlab.support import arguments
from snnlab.support.extras import install_hint
from snnlab.support.files import atomic_path, read_whole

ANSWER = 10.0  # seconds in which a scheduler must answer
PATIENCE = 60.0  # seconds to wait for a first worker, and again if all are lost
GRACE = 30.0  # seconds in which workers are to save when they are stopped
LOOK = 1.0  # seconds between two looks at the workers
AGAIN = 5.0  # seconds until a cell that another process has is asked for again
ASK = 20.0  # seconds until lost workers are asked for again: Dask takes 15 to be sure that they are lost
SPARE = 2  # tasks that wait at the scheduler beside those that run, so that no worker waits, and more may be started

MAIN = 'in a script, put what starts the study below `if __name__ == "__main__":`, as workers import the script'

STAMP = ".stamp"  # file of the folder by which a worker sees that it is the same folder

_ended: set[str] = set()  # in a worker: the runs that are to end


@dataclass(frozen=True, kw_only=True)
class Dask:
    """Compute the cells of a study by Dask; an engine.

    Args:
        cluster: number of worker processes on this machine; or an address, a scheduler file, a `distributed.Client`, or
            a cluster of Dask.
        timeout: seconds to wait for a first worker; None for 60, and for any time where a cluster object queues jobs.
        dashboard: whether processes on this machine serve the dashboard of Dask, which is not encrypted.

    Raises:
        ArgumentError: if one of them is out of range, or an address is none.

    Example:
        >>> Dask(cluster=4).cluster
        4
        >>> Dask(cluster=0)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: cluster: must be an integer >= 1 and <= 1024, got 0
    """

    cluster: Any = 2
    timeout: float | None = None
    dashboard: bool = False

    def __post_init__(self):
        if isinstance(self.cluster, int):
            arguments.count("cluster", self.cluster, 1, 1024)
        if self.timeout is not None:
            arguments.number("timeout", self.timeout, 0.0, strict=True, unit="s")
        arguments.flag("dashboard", self.dashboard)

    def __call__(self, job: Job, should_stop: Callable[[], bool]) -> None:
        """See `snnlab.study.engines.Engine`."""
        check_data(job.folder)
        with ExitStack() as stack:
            client, cluster = self._connected(stack, job.folder.say)
            patience = self.timeout
            if patience is None:
                patience = float("inf") if cluster is not None and not isinstance(self.cluster, int) else PATIENCE
            _Run(job, should_stop, client, cluster, patience).go()

    def _connected(self, stack: ExitStack, say: Callable[[str], None]) -> tuple[Any, Any]:
        """Return a client, and the cluster if its workers can be asked for; what is opened here, the stack closes."""
        distributed = _distributed()
        given = self.cluster
        if isinstance(given, int):
            cluster = stack.enter_context(_local(given, self.dashboard))
            return stack.enter_context(_silent(distributed.Client(cluster, set_as_default=False))), cluster
        if isinstance(given, distributed.Client):
            return given, given.cluster
        if isinstance(given, str | os.PathLike):
            return stack.enter_context(_silent(_client_of(os.fspath(given), say))), None
        return stack.enter_context(_silent(distributed.Client(given, set_as_default=False))), given


def is_dask(cluster: Any) -> bool:
    """Whether an argument `cluster` is for this engine; Dask is not loaded if nobody else has done so.

    Example:
        >>> is_dask(4), is_dask("tls://node1:8786"), is_dask("slurm"), is_dask(True)
        (True, True, False, False)
    """
    if isinstance(cluster, int):
        return not isinstance(cluster, bool)
    if isinstance(cluster, str | os.PathLike):
        return "://" in str(cluster) or str(cluster).endswith(".json")
    return any(hasattr(cluster, name) for name in ("scheduler_address", "subscribe_topic"))


# ---- clients and clusters ----


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise SnnlabError(f"cluster: Dask is not installed: {install_hint('cluster')}") from None


@contextmanager
def _local(count: int, dashboard: bool) -> Iterator[Any]:
    """Start processes on this machine.

    Each computes one cell at a time, and has no limit of memory: Dask would stop a worker in the middle of a step when
    it comes near one. A task whose worker dies comes back to us at once.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise StateError(f"cluster: {MAIN}")
    routes = {} if dashboard else {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}
    options = {
        "n_workers": count,
        "threads_per_worker": 1,
        "processes": True,
        "memory_limit": 0,
        "host": "127.0.0.1",
        "protocol": "tls://",
        "security": _certificate(),
        "silence_logs": logging.CRITICAL,
        "scheduler_kwargs": {"allowed_failures": 0, "dashboard": dashboard, "dashboard_address": "127.0.0.1:0"},
        # JAX takes three quarters of a GPU for itself, which several processes cannot do.
        "env": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    }
    try:
        # Scheduler and workers have a web server in any case, without encryption; it has no pages but the dashboard's.
        with importlib.import_module("dask.config").set(routes):
            cluster = _distributed().LocalCluster(**options)
    except (OSError, RuntimeError, TimeoutError) as error:
        raise StateError(f"cluster: the processes did not start ({error}); {MAIN}") from None
    try:
        yield cluster
    finally:
        with suppress(Exception):
            cluster.close(timeout=GRACE)


def _certificate() -> Any:
    """Return a new certificate that exists only in memory."""
    try:
        return importlib.import_module("distributed.security").Security.temporary()
    except ImportError:
        raise SnnlabError(f"cluster: TLS needs the package cryptography: {install_hint('cluster')}") from None


@contextmanager
def _silent(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=ANSWER)


def _client_of(place: str, say: Callable[[str], None]) -> Any:
    """Connect to a scheduler by its address or its scheduler file.

    Raises:
        ArgumentError: if there is no such file.
        StateError: if it does not answer, or refuses us.
    """
    distributed = _distributed()
    where: dict[str, Any] = {"address": place}
    if "://" not in place:
        if not Path(place).is_file():
            raise ArgumentError(
                f"cluster: {place} is neither an address, such as tls://node1:8786, nor a scheduler file"
            )
        where = {"scheduler_file": place}
    try:
        client = distributed.Client(**where, timeout=ANSWER, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise StateError(f"cluster: no scheduler of Dask answers at {place} within {ANSWER:g} s ({error})") from None
    except (TypeError, ValueError, RuntimeError) as error:
        raise StateError(
            f"cluster: {place}: {error}; for TLS, set distributed.comm.tls in the configuration of Dask, or pass a "
            "client: cluster=Client(address, security=...)"
        ) from None
    if not str(client.scheduler.address).startswith("tls://"):
        # It runs already, and refusing it would make nothing safer.
        say(
            f"{client.scheduler.address} is not encrypted: whoever reaches it can run code as you; start Dask with TLS "
            "where the network is not yours alone (https://distributed.dask.org/en/stable/tls.html)"
        )
    return client


# ---- in this process ----


class _Run:
    """One run of a study: which cells are out, and what comes back."""

    def __init__(self, job: Job, should_stop: Callable[[], bool], client: Any, cluster: Any, patience: float):
        self._job, self._should_stop, self._client, self._cluster = job, should_stop, client, cluster
        self._patience = patience
        self._token = secrets.token_hex(8)
        self._cells = job.folder.cells()
        self._agenda: Agenda = job.agenda(self._cells)
        self._futures: dict[Index, Any] = {}
        self._news: queue.SimpleQueue = queue.SimpleQueue()
        self._threads, self._number = 0, 0
        self._wanted = len(getattr(cluster, "worker_spec", ()))
        self._looked, self._asked, self._alone_since = 0.0, time.monotonic(), time.monotonic()

    def go(self) -> None:
        """Give out cells until nothing is left to do."""
        topic = _topic(self._token)
        with atomic_path(self._job.folder.path / STAMP) as part:
            part.write_text(self._token, encoding="utf-8")
        self._client.subscribe_topic(topic, lambda event: self._news.put(("event", event[1])))
        try:
            while not self._should_stop():
                self._look()
                for index, why in self._agenda.given_up():
                    self._show(self._job.folder.give_up(self._cells[index], why))
                self._submit()
                if self._agenda.done:
                    return
                self._hear(0.1)
        finally:
            self._end()
            with suppress(Exception):
                self._client.unsubscribe_topic(topic)

    # ---- workers ----

    def _look(self) -> None:
        """See which workers there are, and ask for those that are lost."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self._client.status != "running":
            raise StateError("cluster: the scheduler of Dask is lost; run the study again, it goes on where it ended")
        workers = self._client.nthreads()
        self._threads = sum(workers.values())
        if self._threads:
            self._alone_since = now
        elif now - self._alone_since > self._patience:
            raise StateError(
                f"cluster: no worker of Dask has come in {self._patience:g} s; look at the log of the cluster, or wait "
                "longer: cluster=Dask(cluster=..., timeout=...)"
            )
        if (
            len(workers) < self._wanted
            and now - self._asked > ASK
            and getattr(self._cluster, "_adaptive", None) is None
        ):
            self._asked = now
            self._cluster.scale(self._wanted)

    # ---- cells ----

    def _submit(self) -> None:
        """Give out as many cells as there are threads, and a few more."""
        while len(self._futures) < self._threads + SPARE and (task := self._agenda.next()) is not None:
            (index,) = task.cells
            self._number += 1
            future = self._client.submit(
                _task,
                os.fspath(self._job.folder.path),
                self._token,
                index,
                task.until,
                key=f"snnlab-{self._token}-{self._number}",
                priority=len(self._cells[index].rows),  # what is begun comes first
                pure=False,
            )
            self._futures[index] = future
            future.add_done_callback(lambda future, index=index: self._news.put(("end", index, future)))

    def _hear(self, seconds: float) -> None:
        """Take the news that have come, or come within so many seconds."""
        with suppress(queue.Empty):
            while True:
                kind, *news = self._news.get(timeout=seconds)
                seconds = 0.0
                if kind == "event":
                    self._take_event(*news)
                else:
                    self._take_end(*news)

    def _take_event(self, event: dict[str, Any]) -> None:
        if "say" in event:
            self._job.folder.say(event["say"])
            return
        index = tuple(event["index"])
        cell = self._cells[index]
        if index not in self._futures:
            return
        cell = replace(cell, fate=Fate.RUNNING, computing=True)
        if event["row"] is not None:
            epoch, steps, *values = event["row"]
            row = Row(int(epoch), int(steps), *values)
            if row.epoch != len(cell.rows) + 1:  # it was told by the worker before, too
                return
            cell = replace(cell, rows=(*cell.rows, row))
        self._show(cell)

    def _take_end(self, index: Index, future: Any) -> None:
        """Learn what became of a task."""
        if self._futures.get(index) is not future:
            return
        del self._futures[index]
        cell = self._came_of(index, future)
        if cell.computing:
            self._agenda.put_back(index, AGAIN)
        else:
            self._agenda.tell(cell)
        self._show(cell)

    def _came_of(self, index: Index, future: Any) -> Cell:
        """Return where a cell stands after its task; from the folder, if task or result are lost with their worker."""
        if future.status in ("finished", "error"):
            try:
                return future.result()
            except Exception as error:
                if not _is_lost(error):
                    raise _explained(error) from None
        if self._client.status != "running":
            raise StateError("cluster: the scheduler of Dask is lost; run the study again, it goes on where it ended")
        return self._job.folder.cell(index)

    def _show(self, cell: Cell) -> None:
        self._cells[cell.index] = cell
        self._job.on_cell(cell)

    def _end(self) -> None:
        """End the tasks that are left: those that run save first, the others are taken back."""
        left = {index: future for index, future in self._futures.items() if not future.done()}
        if not left or self._client.status != "running":
            return
        running = [future for index, future in left.items() if self._cells[index].computing]
        with suppress(Exception):  # workers come and go
            self._client.run(_end_run, self._token, on_error="ignore")
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and any(not future.done() for future in running):
            time.sleep(0.05)
        with suppress(Exception):
            self._client.cancel(list(left.values()), force=True)


def _is_lost(error: BaseException) -> bool:
    """Whether a task has failed because its worker was lost."""
    distributed = _distributed()
    return isinstance(error, distributed.scheduler.KilledWorker | distributed.client.FutureCancelledError)


def _explained(error: BaseException) -> BaseException:
    """Return the error of a task, in our words where it never came to our code."""
    if isinstance(error, ImportError):
        return StateError(f"cluster: the workers cannot load snnlab ({error}); install the same version of it for them")
    return error


# ---- in a worker ----


def _task(path: str, token: str, index: Index, until: int) -> Cell:
    """Compute a cell in a worker."""
    worker = _distributed().get_worker()
    topic = _topic(token)

    def tell(row: Row | None) -> None:
        worker.log_event(topic, {"index": list(index), "row": None if row is None else list(map(float, row))})

    folder = _opened(path, token)
    if token in _ended:
        return replace(folder.cell(index), computing=True)
    tell(None)
    return labour(folder, index, until, on_row=tell, should_stop=lambda: token in _ended)


@functools.lru_cache(maxsize=4)
def _opened(path: str, token: str) -> SharedFolder:
    """Open the folder of a study, and load its data; an error is one of this machine."""
    from snnlab.study.work import data_of

    worker, here = _distributed().get_worker(), f"the worker {socket.gethostname()}"
    try:
        stamp = read_whole(Path(path) / STAMP)
    except OSError:
        stamp = b""
    if stamp != token.encode():
        raise StateError(
            f"cluster: {here} does not see the folder {path} of this study; put it where all workers see it"
        )
    try:
        folder = shared(path)
        data_of(folder.plan, folder.path)
    except SnnlabError as error:
        raise StateError(f"cluster: {here} cannot compute this study: {error}") from None
    if text := other_versions(folder):
        worker.log_event(_topic(token), {"say": text})
    return folder


def _end_run(token: str) -> None:
    """Let the tasks of a run save and end."""
    _ended.add(token)


def _topic(token: str) -> str:
    return f"snnlab-{token}"
