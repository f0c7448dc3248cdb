"""A run without a dashboard: transport, restarts and status, and what must not be loaded for it."""

import subprocess
import sys

import pytest
from lab_driver import wait_until
from networks import SMALL

from snnlab import models
from snnlab.balance import balanced
from snnlab.config import SnnConfig
from snnlab.errors import ArgumentError
from snnlab.live.run import Run
from snnlab.live.states import RunState, Transport


@pytest.fixture
def run(small):
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    run = Run(net, small, epochs=2, batch_size=32)
    yield run
    run.close()


def test_the_transport_follows_the_state(run):
    assert (run.state, run.transport) == (RunState.IDLE, Transport.START)
    run.step()
    wait_until(lambda: run.state == "paused", 60, "one step")
    assert run.transport is Transport.RESUME and run.status.transport is Transport.RESUME
    run.resume()
    assert run.wait(60) and run.state == "done" and run.transport is Transport.NOTHING
    status = run.status
    assert (status.epochs, status.total_steps, status.compilations) == (2, 16, 1)
    assert len(status.recorded.history) == 16 and status.earlier == () and status.traceback is None


def test_a_restart_keeps_the_runs_before_it(run):
    first = run.fit()
    run.reset(hidden=4, epochs=1)
    assert [earlier[:2] for earlier in run.runs] == [(first, 8)] and run.status.earlier == tuple(run.runs)
    assert run.runs[0].settings["hidden"] != 4
    assert run.structure == {"hidden": 4, "num_steps": 40, "batch_size": 32, "epochs": 1}
    run.reset(epochs=1)  # as it is: begins again
    assert [earlier[:2] for earlier in run.runs] == [(first, 8)] and run.state == "idle"
    assert len(run.fit().epochs) == 1


def test_another_seed_of_a_deep_network_is_balanced_anew(small):
    """As the function does that made the first network."""
    config = balanced(SnnConfig(hidden=(16, 16), num_steps=30), small)
    run = Run(models.build(config, sample_shape=(8, 8), num_classes=10), small, epochs=1, batch_size=32)
    run.reset(seed=5)
    assert run.trainer.model.recipe.config == balanced(config, small, seed=5) != config
    run.close()


def test_of_several_moves_all_are_made_or_none(run):
    with pytest.raises(ArgumentError, match="'speed'"):
        run.set({"hidden.v_th": 0.5, "speed": 1.0})
    assert run.status.knobs["hidden.v_th"].value == 1.0
    run.set({"hidden.v_th": 0.5}, learning_rate=0.02)
    moved = {move["knob"]: move["new"] for move in run.fit().interventions}
    assert moved == {"hidden.v_th": 0.5, "learning_rate": pytest.approx(0.02)}


HEADLESS = """
import sys, snnlab
digits = snnlab.load_data("digits").subset(train=256, test=64)
net = snnlab.build(snnlab.SnnConfig(hidden=32, num_steps=40), sample_shape=(8, 8), num_classes=10)
lab = snnlab.LiveTrainer(net, digits, epochs=2, batch_size=32)
lab.fit()
print(lab.state, *({"plotly", "ipywidgets", "anywidget"} & set(sys.modules)))
"""


@pytest.mark.endure
def test_a_script_loads_no_widget(tmp_path):
    done = subprocess.run([sys.executable, "-c", HEADLESS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["done"], done.stderr
