"""`snnlab sweep`: options become axes, a study is computed, continued, shown, and ended by Ctrl-C."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pandas
import pytest
from hills import plan_of, row

from snnlab.cli import main
from snnlab.cli.sweep import Sweep, axes_of, summary
from snnlab.errors import ArgumentError
from snnlab.study import Slurm, Study, log
from snnlab.study.cells import Fate
from snnlab.study.folder import lead, read_study

SMALL = ("--set", "hidden=8", "--set", "num_steps=20", "--over", "v_th=0.5,1", "--epochs", "1")


@pytest.fixture
def sweep(capsys):
    """Run `snnlab sweep` in this process; return its code, and what it wrote to stdout and stderr."""

    def one(*arguments) -> tuple[int, str, str]:
        code = main(["sweep", *map(str, arguments)])
        return code, *capsys.readouterr()

    return one


def test_values_are_numbers_words_and_layers():
    over = axes_of(["tau_mem=1:100:8log", "hidden=50,100x50", "l1=0:4:5", "neuron=lif,alif", "recurrent=true,False"], 3)
    assert over == {
        "tau_mem": log(1, 100, 8),
        "hidden": [50, (100, 50)],
        "l1": (0, 1, 2, 3, 4),
        "neuron": ["lif", "alif"],
        "recurrent": [True, False],
        "seed": range(3),
    }
    assert over["tau_mem"].log and not over["l1"].log


@pytest.mark.parametrize(
    "over, seeds, words",
    [
        ([], 1, "--over: must say what is varied"),
        (["v_th"], 1, "'v_th'"),
        (["=1,2"], 1, "'=1,2'"),
        (["v_th="], 1, "'v_th='"),
        (["tau_mem=1:100"], 1, "'tau_mem=1:100'"),
        (["tau_mem=1:b:8log"], 1, "'tau_mem=1:b:8log'"),
        (["tau_mem=0:100:8log"], 1, "low"),
        (["tau_mem=1:100:1"], 1, "count"),
        (["v_th=1", "v_th=2"], 1, "v_th stands there twice"),
        (["v_th=1"], 0, "--seeds"),
        (["v_th=1", "seed=1,2"], 3, "--seeds"),
    ],
)
def test_bad_axes_name_the_option(over, seeds, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        axes_of(over, seeds)


def test_a_study_is_computed_continued_and_shown(tmp_path, sweep):
    folder = tmp_path / "map"
    code, out, err = sweep(*SMALL, "--seeds", 2, "--folder", folder, "--table", tmp_path / "rows.csv")
    assert code == 0, err
    assert "4 cells, 1 epochs each" in err and "best 2 of 2 combinations, medians over the seeds:" in out
    assert err.count("fate done") == 4  # of a log file, a line for each cell
    cells = read_study(folder).cells().values()
    assert {cell.fate for cell in cells} == {Fate.DONE} and len(pandas.read_csv(tmp_path / "rows.csv")) == 4
    best = max(sum(cell.rows[-1].accuracy for cell in cells if cell.point["v_th"] == v) / 2 for v in (0.5, 1.0))
    assert f"{best:.4f}" in out.splitlines()[2]
    code, out, err = sweep("--resume", "--folder", folder, "--epochs", 2, "--devices", "all")
    assert code == 0 and {len(cell.rows) for cell in read_study(folder).cells().values()} == {2}
    code, out, err = sweep("table", folder)
    assert code == 0 and out.count("done") == 4 and out.splitlines()[0].split()[:3] == ["v_th", "seed", "epochs"]
    code, out, err = sweep("table", folder, "--out", tmp_path / "rows.parquet")
    assert code == 0 and len(pandas.read_parquet(tmp_path / "rows.parquet")) == 8


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--over", "v_thh=1,2"), "did you mean 'v_th'"),
        (("--over", "v_th=1,-2"), "v_th=-2"),
        (("--over", "v_th=1", "--set", "tau=3"), "--set: 'tau' is no setting of the snn"),
        (("--over", "v_th=1", "--cluster", "slurn"), "cluster"),
        (("--over", "v_th=1", "--slurm.jobs", "8"), "--slurm"),
        (("--over", "v_th=1", "--devices", "99"), "devices: there"),
        (("--over", "v_th=1", "--devices", "two"), "devices: must be a number or 'all'"),
        (("--over", "v_th=1", "--together", "0"), "together: must be an integer >= 1"),
        (("--over", "v_th=1", "--devices", "all", "--cluster", "4"), "devices: applies to a study in this process"),
        (("--resume",), "holds no study"),
        (("--resume", "--over", "v_th=1"), "--over"),
        (("--over", "v_th=1", "--table", "x.txt"), "--table"),
        (("--over", "v_th=1", "--data", "no/such"), "no/such"),
    ],
)
def test_mistakes_are_one_line_and_begin_nothing(tmp_path, sweep, arguments, words):
    code, out, err = sweep(*arguments, "--folder", tmp_path / "map")
    assert code == 2 and not out and len(err.strip().splitlines()) == 1 and words in err
    assert not (tmp_path / "map" / "study.json").exists()


def test_a_table_that_exists_is_not_replaced(tmp_path, sweep):
    (tmp_path / "rows.csv").touch()
    code, _, err = sweep(*SMALL, "--folder", tmp_path / "map", "--table", tmp_path / "rows.csv")
    assert code == 2 and "--overwrite" in err and not (tmp_path / "map").exists()


def test_who_computes():
    assert Sweep(folder=None)._cluster() is None and Sweep(folder=None, cluster="4")._cluster() == 4
    assert Sweep(folder=None, cluster="slurm", slurm=Slurm(jobs=2))._cluster() == Slurm(jobs=2)
    assert Sweep(folder=None, cluster="tls://a:1")._cluster() == "tls://a:1"
    assert shlex.split(Sweep(folder="a b", cluster="4")._again())[-4:] == ["--folder", "a b", "--cluster", "4"]
    again = shlex.split(Sweep(folder="a", devices="all", together=4)._again())
    assert again[-4:] == ["--devices", "all", "--together", "4"]


def test_the_end_names_the_best_the_front_and_a_failure(tmp_path):
    led = lead(tmp_path / "map", plan_of({"v_th": [0.5, 1.0, 2.0, 4.0]}))
    for k, (accuracy, spikes) in enumerate([(0.9, 80.0), (0.8, 90.0), (0.7, 20.0)]):
        led.add_rows((k,), [row(epoch, accuracy, spikes) for epoch in (1, 2, 3)])
    led.settle((3,), Fate.FAILED, why="no such width")
    lines = summary(Study(led, None, None))  # pyright: ignore[reportArgumentType]
    best, front = lines.index("best 3 of 3 combinations:"), lines.index("no other has more accuracy and fewer spikes:")
    assert [line.split()[0] for line in lines[best + 2 : best + 5]] == ["0.5", "1", "2"]
    assert [line.split()[0] for line in lines[front + 2 : front + 4]] == ["0.5", "2"]
    assert lines[-2:] == ["1 cell failed; the first one:", "  v_th=4: no such width"]
    led.close()


@pytest.mark.endure
def test_ctrl_c_keeps_all_and_says_the_command_that_goes_on(tmp_path):
    folder = tmp_path / "map"
    command = [sys.executable, "-m", "snnlab.cli", "sweep"]
    more = ("--set", "hidden=16", "--over", "v_th=0.5,1,2", "--epochs", "2000", "--folder", str(folder))
    one = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
    while not list(folder.glob("cells/*/rows.jsonl")):
        assert one.poll() is None
        time.sleep(0.1)
    one.send_signal(signal.SIGINT)
    _, err = one.communicate()
    assert one.returncode == 130 and f"go on: snnlab sweep --resume --folder {folder}" in " ".join(err.split())
    assert list(folder.glob("cells/*/checkpoint-*"))


@pytest.mark.endure
def test_workers_take_over_the_cell_of_one_that_is_killed(tmp_path):
    """Three processes; one is killed, one is ended by SIGTERM: the cells have the bits of one process."""
    from worker_kills import differs

    from snnlab.data import load
    from snnlab.study.work import compute, id_of

    plan = plan_of({"v_th": [0.5, 1.0], "seed": [0, 1]}, data=id_of(load("digits"), "digits"), epochs=60)
    led, serial = lead(tmp_path / "shared", plan), lead(tmp_path / "serial", plan)
    command = [sys.executable, "-m", "snnlab.cli", "sweep", "worker", str(led.path)]
    one, two = (subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2))
    while len(list(led.path.glob("cells/*/worker.json"))) < 2:
        assert one.poll() is two.poll() is None
        time.sleep(0.05)
    while not list(led.path.glob("cells/*/rows.jsonl")):
        time.sleep(0.05)
    os.kill(one.pid, signal.SIGKILL)
    two.terminate()
    _, said = two.communicate()
    assert two.returncode == 128 + signal.SIGTERM and "what was begun is saved" in said
    assert len(list(led.path.glob("cells/*/worker.json"))) == 1  # of the one that was killed
    third = subprocess.run(command, capture_output=True, text=True)
    assert third.returncode == 0, third.stderr
    for index in plan.space:
        compute(serial, index)
        assert not differs(led, serial, index)
