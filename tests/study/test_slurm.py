"""SLURM, with programs of its names that note how they are called; docs/guide/studies.md tells of a real one."""

import os
import sys

import pytest
from hills import plan_of, row

from snnlab.errors import ArgumentError, SnnlabError, StateError
from snnlab.study.agenda import Grid
from snnlab.study.engines import Job, slurm
from snnlab.study.engines.slurm import Slurm
from snnlab.study.folder import lead

PROGRAMS = {
    "sbatch": 'cp "$2" script; touch running; echo "$@" >> calls; echo "17;loop"',
    "squeue": 'if [ -e running ]; then echo RUNNING; else echo "slurm_load_jobs error: Invalid job id" >&2; exit 1; fi',
    "scancel": 'echo "scancel $@" >> calls; rm running',
}


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A folder with the three programs, what they were called with, and whether a job runs."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, does in PROGRAMS.items():
        (place / name).write_text(f"#!/bin/sh\ncd {place}\n{does}\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "ASK", 0.0)
    return place


@pytest.fixture
def job(tmp_path):
    said = []
    led = lead(tmp_path / "my study", plan_of({"v_th": [0.5, 1.0]}), said.append)
    told = []
    yield Job(folder=led, data=None, on_cell=told.append, source=lambda cells: Grid(led.plan.space.in_order()))
    led.close()


def finish(job) -> None:
    for index in job.folder.plan.space:
        job.folder.add_rows(index, [row(1), row(2), row(3)])


def calls(queue) -> list[str]:
    return [line.split()[0] for line in (queue / "calls").read_text().splitlines()]


def test_the_script_is_an_array_of_workers(tmp_path):
    options = Slurm(jobs=8, partition="gpu", time="1-12:00:00", memory="4G", cpus=2, lines=("--gres=gpu:1",))
    lines = options.script(tmp_path / "50% map").splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == f"exec {sys.executable} -m snnlab.cli sweep worker '{tmp_path}/50% map'"
    given = {line.removeprefix("#SBATCH ") for line in lines[1:-1]}
    assert given >= {"--array=0-7", "--partition=gpu", "--time=1-12:00:00", "--mem=4G", "--cpus-per-task=2"}
    assert given >= {"--requeue", "--gres=gpu:1", f'--output="{tmp_path}/50%% map/slurm/%A_%a.log"'}
    plain = Slurm().script(tmp_path)
    assert not any(f"--{name}" in plain for name in ("partition", "time", "mem", "gres"))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"jobs": 0}, "jobs"),
        ({"cpus": 0}, "cpus"),
        ({"partition": "a b"}, "partition"),
        ({"partition": "a\n#SBATCH --uid=0"}, "partition"),
        ({"time": "soon"}, "time"),
        ({"memory": "4 GB"}, "memory"),
        ({"lines": ("gres=gpu:1",)}, "lines"),
        ({"lines": ("--gres=gpu:1\nrm -r x",)}, "lines"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        Slurm(**options)


def test_a_study_submits_and_ends_with_its_cells(job, queue):
    asked = iter(range(1000))

    def should_stop() -> bool:
        if next(asked) == 3:
            finish(job)
        return False

    Slurm(jobs=2)(job, should_stop)
    assert (queue / "script").read_text() == Slurm(jobs=2).script(job.folder.path)
    assert calls(queue) == ["--parsable", "scancel"] and "scancel 17" in (queue / "calls").read_text()


def test_a_study_that_is_stopped_cancels_its_jobs_and_one_that_was_left_goes_on_with_them(job, queue):
    asked = iter(range(1000))
    Slurm()(job, lambda: next(asked) > 2)
    assert calls(queue) == ["--parsable", "scancel"] and not (queue / "running").exists()
    (queue / "running").touch()  # as if the kernel had been killed, and its jobs had gone on
    Slurm()(job, lambda: True)
    assert calls(queue) == ["--parsable", "scancel", "scancel"]


def test_jobs_that_have_ended_are_submitted_again_if_there_is_progress(job, queue):
    (queue / "sbatch").write_text(f"#!/bin/sh\ncd {queue}\necho again >> calls; echo 17\n")  # they end at once
    number = iter(range(1000))

    def should_stop() -> bool:
        if next(number) == 0:
            job.folder.add_rows((0,), [row(1)])
        return False

    with pytest.raises(StateError, match="computed nothing"):
        Slurm()(job, should_stop)
    assert calls(queue) == ["again"] * 2


def test_jobs_that_come_to_nothing_are_told_with_their_last_words(job, queue):
    (queue / "sbatch").write_text(f"#!/bin/sh\ncd {queue}\necho 17\n")
    place = job.folder.path / "slurm"
    place.mkdir()
    (place / "17_0.log").write_text("python: command not found\n\n")
    with pytest.raises(StateError, match="python: command not found"):
        Slurm()(job, lambda: False)


def test_without_slurm_there_is_a_sentence(job, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SnnlabError, match="there is no sbatch here"):
        Slurm()(job, lambda: False)


def test_what_slurm_refuses_is_told_in_its_words(job, queue):
    (queue / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n")
    with pytest.raises(StateError, match="invalid partition specified: gpu"):
        Slurm(partition="gpu")(job, lambda: False)
