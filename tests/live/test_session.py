"""The run in its thread: every state, every order of calls, without a widget."""

import threading
import time

import jax
import numpy as np
import pytest
from lab_driver import wait_until
from networks import ENDLESS, SMALL

from snnlab import models
from snnlab.errors import ArgumentError, StateError
from snnlab.live import LiveTrainer
from snnlab.train.feed import MAX_CHUNK


def make(data, **options) -> LiveTrainer:
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    return LiveTrainer(net, data, **{"epochs": ENDLESS, "batch_size": 32} | options)


def train_and_pause(lab: LiveTrainer) -> None:
    """Start, take a few steps, and hold."""
    lab.start()
    wait_until(lambda: len(lab.history) > 3, 60, "training")
    lab.pause()
    wait_until(lambda: lab.state == "paused", 60, "paused")


@pytest.fixture
def lab(small):
    lab = make(small)
    yield lab
    lab.stop()
    lab.wait(60)


def test_pause_holds_resume_continues_stop_ends(lab):
    """Pause and stop act after the current chunk: at most its steps are taken after the call."""
    train_and_pause(lab)
    step = len(lab.history)
    time.sleep(0.3)
    assert len(lab.history) == step
    for act, again, state in ((lab.pause, lab.resume, "paused"), (lab.stop, lab.resume, "stopped")):
        step = len(lab.history)
        again()
        wait_until(lambda step=step: len(lab.history) > step, 60, "training again, where it was")
        act()
        step = len(lab.history)
        wait_until(lambda state=state: lab.state == state, 60, state)
        assert len(lab.history) - step <= MAX_CHUNK
    lab.start()
    wait_until(lambda: lab.state == "training", 60, "started again")
    assert lab.trainer.compilations == 1


def test_moves_of_a_hand_shorten_chunks_and_change_no_bit(small):
    """Somebody waits for the picture of a move: until its step and after it, the steps are the same."""
    alone, watched = (make(small, epochs=2) for _ in range(2))
    for lab in (alone, watched):
        lab.trainer.plan([(5, "v_th", 0.8)])
    alone.fit()
    watched.courtesy.ask()
    watched.start()
    wait_until(lambda: len(watched.history) > 2, 60, "training")
    assert watched.trainer.mailbox.brief
    watched.courtesy.ask()
    watched.wait(60)
    pairs = zip(jax.tree.leaves(alone.trainer.state.params), jax.tree.leaves(watched.trainer.state.params), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_stop_ends_a_paused_run(lab):
    train_and_pause(lab)
    lab.stop()
    assert lab.wait(60) and lab.state == "stopped"


def test_a_knob_moved_in_a_pause_acts_when_it_goes_on(lab):
    train_and_pause(lab)
    step = len(lab.history)
    lab.set(v_th=1e6)
    assert lab.history.interventions == []
    lab.resume()
    wait_until(lambda: len(lab.history) > step, 60, "resumed")
    assert [move["step"] for move in lab.history.interventions] == [step]
    assert lab.history.steps()["spikes_per_sample"][step] == 0


def test_none_of_many_moves_is_lost(lab):
    """300 moves from another thread: in order, the last one arrives, nothing is compiled."""
    lab.start()
    wait_until(lambda: len(lab.history) > 1, 60, "training")
    values = np.linspace(0.5, 2.0, 300)

    def drag():
        for value in values:
            lab.set(v_th=value)
            time.sleep(0.005)

    thread = threading.Thread(target=drag)
    thread.start()
    thread.join()
    wait_until(
        lambda: lab.history.interventions[-1:] and lab.history.interventions[-1]["new"] == 2.0, 60, "the last move"
    )
    taken = [move["new"] for move in lab.history.interventions]
    assert taken == sorted(taken) and lab.trainer.compilations == 1


def test_starting_twice_is_refused(lab):
    lab.start()
    with pytest.raises(StateError, match=r"start: the run is .* already"):
        lab.start()


def test_export_waits_for_a_quiet_moment(lab, tmp_path):
    lab.start()
    wait_until(lambda: lab.state == "training", 60, "training")
    with pytest.raises(
        StateError, match=r"export: still training, epoch \d+ of 100000; wait, or call pause\(\) or stop\(\) first"
    ):
        lab.export(tmp_path / "net.safetensors")
    lab.pause()
    wait_until(lambda: lab.state == "paused", 60, "paused")
    assert lab.export(tmp_path / "net.safetensors").exists()


def test_an_error_in_the_thread_is_kept_and_raised(small):
    lab = make(small, loss=lambda record, labels: {"bad": record.readout.sum() * 1e38 * 1e38})
    lab.start()
    with pytest.raises(ArithmeticError, match="step 0: the loss is not finite"):
        lab.wait(60)
    assert lab.state == "error" and "DivergenceError" in lab._session.error


def test_fit_without_a_notebook_trains_to_the_end(small):
    lab = make(small, epochs=2)
    history = lab.fit()
    assert lab.state == "done" and len(history.epochs) == 2
    with pytest.raises(StateError, match="all 2 epochs are trained"):
        lab.start()


def test_fit_in_stages(small):
    """It stops after an epoch, with its test; what is set then, or was set for later, acts on the very next step."""
    lab = make(small, epochs=4)
    history = lab.fit(until_epoch=2)
    assert lab.state == "stopped" and len(history.epochs) == 2 and len(history) == 16
    lab.set(v_th=0.6)
    lab.set(after_epoch=3, slope=5.0)
    with pytest.raises(ArgumentError, match="until_epoch: must be an integer >= 3, got 2"):
        lab.fit(until_epoch=2)
    assert lab.fit() is history
    assert lab.state == "done" and len(history.epochs) == 4
    moves = [(16, "hidden.v_th", 0.6), (24, "hidden.slope", 5.0)]
    assert [(move["step"], move["knob"], move["new"]) for move in history.interventions] == moves


def test_all_cells_at_once_are_the_same_run(small):
    """Somebody who watches runs all cells while the first stage still trains: the same bits as stage by stage."""
    patient, hasty = make(small, epochs=4), make(small, epochs=4)
    patient.fit(until_epoch=2)
    patient.set(v_th=0.6, learning_rate=0.02)
    patient.fit()
    hasty._session.train(until_epoch=2)
    hasty.set(after_epoch=2, v_th=0.6, learning_rate=0.02)
    hasty._session.train()
    assert hasty.wait(60) and hasty.state == "done"
    assert hasty.history.interventions == patient.history.interventions
    weights = [jax.tree.leaves(lab.trainer.state.params) for lab in (patient, hasty)]
    assert all(map(np.array_equal, *weights))


def test_going_on_is_never_lost(small):
    """Asked for at any moment, also just while the run ends with a stage."""
    lab = make(small, epochs=50)
    for trained in range(50):
        lab._session.train(until_epoch=trained + 1)
        wait_until(lambda trained=trained: len(lab.history.epochs) > trained, 60, "going on")
    assert lab.wait(60) and lab.state == "done" and len(lab.history.epochs) == 50


def test_a_move_for_later_is_checked_now_and_forgotten_by_a_reset(small):
    lab = make(small, epochs=4)
    with pytest.raises(ArgumentError, match="the knob 'speed' is unknown"):
        lab.set(after_epoch=2, speed=3.0)
    with pytest.raises(ArgumentError, match="after_epoch: must be an integer >= 0, got -1"):
        lab.set(after_epoch=-1, v_th=0.5)
    lab.set(after_epoch=1, v_th=0.5)
    lab.reset()
    assert lab.fit().interventions == []


def test_a_diagnosis_without_a_dashboard(small):
    """Far below its threshold: `lab.diagnosis` says so, `lab.repair` does what it proposes."""
    lab = make(small, epochs=14)
    assert lab.diagnosis is None and lab.checkup().step == 0
    lab.set(v_th=20.0)
    lab.fit(until_epoch=7)
    assert lab.checkup().layers[0].dead == 32
    assert lab.diagnosis.name == "silent"
    lab.repair()
    lab.fit(until_epoch=8)
    assert lab.diagnosis is None and lab.checkup().layers[0].dead < 32
    lab.reset(hidden=10)
    assert len(lab.checkup().layers[0].rates) == 10  # of the network that there is now


def test_bad_knobs_are_refused_where_they_are_set(lab):
    with pytest.raises(ArgumentError, match="the knob 'speed' is unknown"):
        lab.set(speed=3.0)
