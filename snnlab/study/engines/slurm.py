"""The engine on SLURM: an array of jobs, each of which is a worker that shares the folder, as in `engines.shared`.

    runs/map/slurm/array.sh      the script, which may also be submitted by hand: sbatch runs/map/slurm/array.sh
    runs/map/slurm/job.json      the job that computes: a study that is opened again starts no other
    runs/map/slurm/17_0.log      what a worker said

A job that is cancelled, preempted or out of time saves its cell and ends; one that is requeued goes on. If all jobs
have ended, and cells are left, the array is submitted again, as long as there is progress.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snnlab.errors import ArgumentError, SnnlabError, StateError
from snnlab.study.engines import Job
from snnlab.study.engines.shared import watch
from snnlab.study.workers import check_shared
from snnlab.support import arguments
from snnlab.support.files import atomic_path, read_whole

ASK = 10.0  # seconds between two questions to SLURM, which serves many
ANSWER = 60.0  # seconds in which it must answer
GRACE = 40.0  # seconds in which jobs save and end when they are cancelled; SLURM itself waits 30

SUFFIXES = "KMGT"
TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")
"""Minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds."""


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Compute the cells of a study by an array of jobs of SLURM; an engine.

    Raises:
        ArgumentError: if one of them is out of range, or has more than one line.

    Example:
        >>> slurm = Slurm(jobs=8, partition="gpu", lines=("--gres=gpu:1",))
        >>> print(slurm.script(Path("/data/map")), end="")  # doctest: +ELLIPSIS
        #!/bin/bash
        #SBATCH --job-name=snnlab-map
        #SBATCH --array=0-7
        #SBATCH --output="/data/map/slurm/%A_%a.log"
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --partition=gpu
        #SBATCH --cpus-per-task=1
        #SBATCH --gres=gpu:1
        exec ... -m snnlab.cli sweep worker /data/map
    """

    jobs: int = 4
    """Jobs of the array: cells that are computed at the same time."""
    partition: str | None = None
    """Partition; None for the default one of the cluster."""
    time: str | None = None
    """Limit of time of a job, as 2:00:00; a job that ends before the study is submitted again."""
    memory: str | None = None
    """Memory of a job, as 4G."""
    cpus: int = 1
    """Cores of a job."""
    lines: tuple[str, ...] = ()
    """Further options of sbatch, as --gres=gpu:1 or --account=lab."""

    def __post_init__(self):
        arguments.count("jobs", self.jobs, 1, 10_000)
        arguments.count("cpus", self.cpus, 1, 1024)
        if self.partition is not None and not re.fullmatch(r"[\w.,-]+", self.partition):
            raise ArgumentError(f"partition: must be a name, got {self.partition!r}")
        if self.time is not None and not TIME.fullmatch(self.time):
            raise ArgumentError(f"time: must be as 30 (minutes), 2:00:00 or 1-12:00:00, got {self.time!r}")
        if self.memory is not None and not re.fullmatch(rf"\d+[{SUFFIXES}]?", self.memory):
            raise ArgumentError(f"memory: must be a number of megabytes, or as 4G, got {self.memory!r}")
        for line in self.lines:
            if not re.fullmatch(r"--[a-z][^\n\r]*", line):
                raise ArgumentError(f"lines: must be options of sbatch, as --gres=gpu:1, got {line!r}")

    def script(self, folder: Path) -> str:
        """Return the script of the array for the folder of a study."""
        place = str(folder / "slurm").replace("%", "%%")
        if '"' in place or "\n" in place:
            raise ArgumentError(f"folder: SLURM cannot have {str(folder)!r}; choose a name without quotes")
        name = re.sub(r"[^\w.-]", "_", folder.name)
        options = [f"--job-name=snnlab-{name}", f"--array=0-{self.jobs - 1}", f'--output="{place}/%A_%a.log"']
        options += ["--open-mode=append", "--requeue"]
        options += [f"--partition={self.partition}"] if self.partition else []
        options += [f"--time={self.time}"] if self.time else []
        options += [f"--mem={self.memory}"] if self.memory else []
        options += [f"--cpus-per-task={self.cpus}", *self.lines]
        worker = shlex.join([sys.executable, "-m", "snnlab.cli", "sweep", "worker", os.fspath(folder)])
        # Bash would keep the signal of SLURM for itself: the worker takes its place.
        return "\n".join(["#!/bin/bash", *(f"#SBATCH {option}" for option in options), f"exec {worker}"]) + "\n"

    def __call__(self, job: Job, should_stop: Callable[[], bool]) -> None:
        """See `snnlab.study.engines.Engine`."""
        check_shared(job.folder)
        array = _Array(self, job.folder.path, job.folder.say)
        array.begin()
        try:
            watch(job, should_stop, array.look)
        finally:
            array.end()


def submit(job: Job, should_stop: Callable[[], bool]) -> None:
    """Compute with the default options of `Slurm`."""
    Slurm()(job, should_stop)


class _Array:
    """The jobs of a study."""

    def __init__(self, options: Slurm, folder: Path, say: Callable[[str], None]):
        self._options, self._folder, self._say = options, folder, say
        self._place = folder / "slurm"
        self._job = ""
        self._asked = time.monotonic()
        self._got: tuple = ()

    def begin(self) -> None:
        """Submit the array, unless it was, and still is in the queue."""
        with atomic_path(self._place / "array.sh") as part:
            part.write_text(self._options.script(self._folder), encoding="utf-8")
        with suppress(OSError, ValueError, KeyError, TypeError):
            self._job = str(json.loads(read_whole(self._place / "job.json"))["job"])
        if self._job and self._is_there():
            self._say(f"the jobs {self._job} of SLURM go on")
            return
        self._submit()

    def _submit(self) -> None:
        found = _call("sbatch", "--parsable", str(self._place / "array.sh"))
        self._job = found.split(";")[0].strip()
        self._got = self._progress()
        with atomic_path(self._place / "job.json") as part:
            part.write_text(json.dumps({"job": self._job}), encoding="utf-8")
        self._say(f"submitted {self._options.jobs} jobs to SLURM, number {self._job}; squeue -j {self._job} shows them")

    def look(self) -> None:
        """Submit again what has ended, if it has come to something.

        Raises:
            StateError: if it has not.
        """
        if time.monotonic() - self._asked < ASK:
            return
        self._asked = time.monotonic()
        if self._is_there():
            return
        if self._progress() == self._got:
            raise StateError(
                f"cluster: the jobs {self._job} of SLURM have ended, and computed nothing: {self._last_words()}"
            )
        self._submit()

    def end(self) -> None:
        """Cancel what is left; the workers save."""
        with suppress(SnnlabError):
            if self._job and self._is_there():
                _call("scancel", self._job)
                deadline = time.monotonic() + GRACE
                while time.monotonic() < deadline and self._is_there():
                    time.sleep(1.0)

    def _is_there(self) -> bool:
        """Whether jobs of the array wait or run."""
        try:
            return bool(_call("squeue", "--noheader", "--jobs", self._job, "--format", "%T").strip())
        except StateError as error:
            return "Invalid job id" not in str(error)  # it has ended long ago; or SLURM does not answer for a while

    def _progress(self) -> tuple:
        """What the workers have written, to see whether there is more."""
        return tuple(sorted((str(path), path.stat().st_size) for path in self._folder.glob("cells/*/[!.w]*")))

    def _last_words(self) -> str:
        logs = sorted(self._place.glob(f"{self._job}_*.log"))
        for log in logs:
            with suppress(OSError), log.open(encoding="utf-8", errors="replace") as file:
                if last := [line.strip() for line in deque(file, 20) if line.strip()]:
                    return f"{last[-1][:300]} ({log})"
        return f"nothing is in {self._place}; do the nodes see this folder?"


def _call(*command: str) -> str:
    """Call a program of SLURM; return what it says.

    Raises:
        SnnlabError: if there is none here.
        StateError: if it fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=False)
    except FileNotFoundError:
        raise SnnlabError(
            f"cluster: there is no {command[0]} here; start the study where SLURM is, or start workers yourself: "
            "snnlab sweep worker FOLDER, with cluster='folder'"
        ) from None
    except subprocess.TimeoutExpired:
        raise StateError(f"cluster: {command[0]} does not answer within {ANSWER:g} s") from None
    if done.returncode:
        raise StateError(f"cluster: {command[0]} failed: {' '.join(done.stderr.split())[:500]}")
    return done.stdout
