"""A LiveTrainer goes on from checkpoints: with all it had, after its process died, and says what it cannot."""

import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import pytest
from lab_driver import wait_until
from safetensors.numpy import load_file

from snnlab.errors import ArgumentError, StateError
from snnlab.live import LiveTrainer
from snnlab.live.frames.running import Said, run_frame
from snnlab.live.frames.status import View


def train_to(lab: LiveTrainer, step: int) -> None:
    lab.step(step - len(lab.history))
    wait_until(lambda: lab.error or (lab.state == "paused" and len(lab.history) == step), 60, f"step {step}")


def weights(lab: LiveTrainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(lab.trainer.state.params)]


def test_the_dashboard_goes_on_with_all_it_had(make, tmp_path):
    lab = make()
    lab.resume(tmp_path)
    assert lab.state == "idle" and len(lab.history) == 0, "nothing there yet"
    train_to(lab, 5)
    lab.set(v_th=0.7)
    train_to(lab, 12)
    lab.close()
    again = make()
    board = again.display.board
    again.resume(tmp_path)
    assert again.history.to_dict() == lab.history.to_dict() and again.history.interventions[0]["step"] == 5
    assert all(map(np.array_equal, weights(lab), weights(again)))
    assert "step 12 of 800,000" in run_frame(View(again.status), Said(""), {})["facts"]
    again.display.screen.show()
    wait_until(lambda: board.run["knobs"]["hidden.v_th"] == 0.7, 60, "the field follows")
    train_to(again, 20)
    assert again.trainer.compilations == 1
    whole = make()
    train_to(whole, 5)
    whole.set(v_th=0.7)
    train_to(whole, 20)
    assert all(map(np.array_equal, weights(whole), weights(again)))


def test_a_restart_with_another_structure_comes_back(make, tmp_path):
    """What the dashboard changed at a restart is changed again; the cell that made it is as it was."""
    lab = make()
    lab.resume(tmp_path)
    train_to(lab, 3)
    lab.reset(seed=5, hidden=8, batch_size=64)
    train_to(lab, 6)
    lab.close()
    again = make()
    again.resume(tmp_path)
    assert (again.model.recipe.config.hidden, again.trainer.config.batch_size, again.trainer.config.seed) == (8, 64, 5)
    assert len(again.history) == 6 and all(map(np.array_equal, weights(lab), weights(again)))
    again.reset(hidden=32, batch_size=32, seed=0)
    train_to(again, 2)
    again.close()
    last = make()
    last.resume(tmp_path)
    assert len(last.history) == 2 and last.model.recipe.config.hidden == 32
    last.close()
    with pytest.raises(ArgumentError, match="epochs: must be at least the 100000 of the saved run, got 3"):
        make(epochs=3).resume(tmp_path)


def test_it_says_so_when_it_cannot_save(make, tmp_path, capsys):
    """In the status, once, and no longer when it works again; printed where there is no dashboard."""
    folder = tmp_path / "run"
    lab = make()
    lab.resume(folder)
    train_to(lab, 3)
    lab._session.checkpoints.wait()
    folder.rename(tmp_path / "elsewhere")
    train_to(lab, 5)
    wait_until(lambda: lab.problem, 60, "the problem")
    assert f"cannot save in {folder} (the folder is gone)" in lab.problem and lab.state == "paused"
    assert capsys.readouterr().err.count("cannot save") == 1
    assert "the folder is gone" in run_frame(View(lab.status), Said(""), {})["said"]["text"]
    board = lab.display.board
    wait_until(lambda: "the folder is gone" in board.run["said"]["text"], 60, "the status says it")
    (tmp_path / "elsewhere").rename(folder)
    train_to(lab, 7)
    wait_until(lambda: lab.problem is None, 60, "it works again")
    wait_until(
        lambda: "works again" in board.run["said"]["text"] and "gone" not in board.run["said"]["text"],
        60,
        "and is told",
    )


def test_when_it_may_not_go_on(make, tmp_path):
    lab = make()
    lab.start()
    with pytest.raises(StateError, match="resume: the run is training"):
        lab.resume(tmp_path)
    lab.stop()
    lab.wait(60)
    lab.resume(tmp_path)
    with pytest.raises(StateError, match=f"{tmp_path}: another run saves there"):
        make().resume(tmp_path)
    lab.close()
    make().resume(tmp_path)


@pytest.mark.endure
def test_a_script_that_is_killed_goes_on(tmp_path):
    """A process dies in the middle, without a word; the same script run again ends as if nothing had been."""
    code = """
        import os, sys, snnlab
        digits = snnlab.load_data("digits").subset(train=512, test=64)
        net = snnlab.build(snnlab.SnnConfig(hidden=16, num_steps=20), sample_shape=(8, 8), num_classes=10)
        lab = snnlab.LiveTrainer(net, digits, epochs=3, batch_size=64)
        folder, how = sys.argv[1:3]
        if folder != "none":
            lab.resume(folder)
        if how == "die":
            lab.step(7)
            while lab.state != "paused":
                pass
            lab._session.checkpoints.wait()
            os.kill(os.getpid(), 9)
        print(len(lab.history))
        lab.fit()
        snnlab.save(lab.model, sys.argv[3])
    """

    def run(folder, how: str) -> tuple[int, str, str, dict]:
        out = tmp_path / f"{time.monotonic_ns()}.safetensors"
        command = [sys.executable, "-c", textwrap.dedent(code), str(folder), how, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout.strip(), done.stderr, load_file(out) if out.exists() else {}

    status, steps, errors, whole = run("none", "train")
    assert (status, steps) == (0, "0"), errors
    assert run(tmp_path / "run", "die")[0] == -signal.SIGKILL
    for before in ("7", "24"):  # it goes on; then it is done
        status, steps, errors, again = run(tmp_path / "run", "train")
        assert (status, steps) == (0, before), errors
        assert whole and all(np.array_equal(again[name], whole[name]) for name in whole)
