"""Start the contenders of a task, and let them compute in turns: one at a time, round by round."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.machine import busy_seconds, others_share, wait_until_quiet
from benchmarks.peers.tasks import Contender, Task

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for one answer


class Failed(Exception):
    """A contender that cannot go on; says why."""


class Worker:
    """The process of one contender, in its interpreter. Use as a context manager."""

    def __init__(self, python: str, task: str, name: str, contender: Contender, folder: str):
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (see __exit__)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.worker", task, name, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=os.environ | contender.environment,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def run(self, steps: int) -> dict:
        """Take steps: what it measured, and the share of the machine that others took meanwhile."""
        started, before = time.perf_counter(), busy_seconds()
        with contextlib.suppress(BrokenPipeError):  # it ended; `answer` says why
            print(json.dumps({"steps": steps}), file=self._process.stdin, flush=True)
        measured = self.answer()
        elapsed, busy = time.perf_counter() - started, None if before is None else busy_seconds() - before
        return measured | {"others": others_share(busy, measured["cpu_seconds"], elapsed)}

    def answer(self) -> dict:
        """Wait for one line.

        Raises:
            Failed: if it says that it failed, ended without a word, or took too long.
        """
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            self._log.seek(0)
            last = (self._log.read().strip().splitlines() or ["it printed nothing"])[-1]
            raise Failed(f"its process ended with code {self._process.wait()}: {last}")
        message = json.loads(line)
        if "error" in message:
            raise Failed(message["error"])
        return message


def compete(
    key: str,
    task: Task,
    names: list[str],
    *,
    rounds: int,
    steps: int,
    patience: float,
    folder: str,
    pythons: Mapping[str, str],
    tell: Callable,
) -> dict:
    """Measure some contenders of a task.

    Args:
        key: name of the task.
        task: the task.
        names: of the contenders.
        rounds: timed calls of each.
        steps: of a call.
        patience: seconds to wait, before a call, for a machine on which nothing else runs.
        folder: of the data.
        pythons: interpreters of contenders that need another one, by package.
        tell: is told what happens, `(str) -> None`.

    Returns:
        For each contender by name: label, package, version, python, note, `first_loss`, `start_seconds` (imports, data,
        compilation and first step), `runs`, and `error`, None if all went well.
    """
    records, workers = {}, {}
    with contextlib.ExitStack() as stack:
        for name in names:
            contender = task.contenders[name]
            records[name] = {field: getattr(contender, field) for field in ("label", "package", "note")}
            records[name] |= {"version": None, "runs": [], "error": None}
            tell(f"{key}/{name}: starts")
            with _noted(records[name], tell):
                python = pythons.get(contender.package, sys.executable)
                workers[name] = stack.enter_context(Worker(python, key, name, contender, folder))
                records[name] |= _warm_up(workers[name], 0 if task.per_epoch else steps)
        for number in range(rounds):
            for name in _turn([name for name in workers if not records[name]["error"]], number):
                with _noted(records[name], tell):
                    wait_until_quiet(patience)
                    measured = workers[name].run(steps)
                    records[name]["runs"].append(measured)
                    tell(f"{key}/{name}: round {number + 1} of {rounds}, {task.value(measured):.1f} {task.unit}")
    return records


def _warm_up(worker: Worker, steps: int) -> dict:
    """The first step, which compiles, and some more, after which caches and chunk sizes are as they will be."""
    started = time.perf_counter()
    ready = worker.answer()
    first = worker.run(1)
    seconds = time.perf_counter() - started
    if steps:
        worker.run(steps)
    return {"first_loss": first["loss"], "start_seconds": seconds, **ready}


def _turn(names: list[str], number: int) -> list[str]:
    """Another one begins every round, so that none always follows the same one."""
    start = number % len(names) if names else 0
    return names[start:] + names[:start]


@contextlib.contextmanager
def _noted(record: dict, tell: Callable) -> Iterator[None]:
    """A failure becomes part of the record; the others go on."""
    try:
        yield
    except Failed as error:
        record["error"] = str(error)
        tell(f"{record['label']} FAILED: {error}")
