"""Every task is watched, steered, rewound, saved and exported like the reference network."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file
from tasks_made import TASKS, task_data, task_net

from snnlab import models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
from snnlab.live.frames.chosen import Chosen
from snnlab.live.frames.mistakes import NumbersReview
from snnlab.live.frames.targets import scored_steps
from snnlab.live.look.inspector import Inspector
from snnlab.live.look.prober import Prober
from snnlab.live.look.reviewer import Reviewer
from snnlab.support.numbers import number

FEW = ("step_labels", "traces")
FEW_BY_DEFAULT = [pytest.param(task, marks=[] if task in FEW else pytest.mark.endure) for task in TASKS]
PARTS = {"step_labels": "confusion", "several_labels": "several", "values": "numbers", "traces": "numbers"}


def begin(task: str, **settings) -> LiveTrainer:
    data = task_data(task)
    return LiveTrainer(task_net(data), data, **{"epochs": 3, "batch_size": 16} | settings)


def weights(lab: LiveTrainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(lab.model, nnx.Param))]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_trained_steered_rewound_exported(task, tmp_path):
    """A move acts, the way back leads to the same weights, and so do the branch and the script."""
    lab = begin(task)
    lab.set(after_epoch=1, learning_rate=0.003)
    history = lab.fit()
    scored = history.scored
    assert lab.state == "done" and scored.result in history.epochs[-1]
    assert [move["knob"] for move in history.interventions] == ["learning_rate"]
    end = weights(lab)
    lab.rewind(epoch=2)
    assert len(lab.history) == 4 and not same(weights(lab), end)
    lab.fit()
    assert same(weights(lab), end)
    row = lab.best()
    assert row[scored.result] == max(epoch[scored.result] for epoch in history.epochs)
    lab.export(tmp_path / "net.safetensors")
    stored = load_file(tmp_path / "net.safetensors").values()
    assert all(any(np.array_equal(value, one) for value in stored) for one in weights(lab))
    lab.close()


@pytest.mark.parametrize("task", TASKS)
def test_the_script_repeats_a_run_that_was_rewound(task):
    """It is executed; what is the user's own stands open in it, and is given."""
    lab = begin(task)
    lab.set(after_epoch=1, learning_rate=0.003)
    lab.fit()
    lab.rewind(epoch=2)
    lab.set({"hidden.v_th": 0.35})
    lab.fit()
    text = lab.script()
    assert "data = ..." in text and ("net = ..." in text) == (task == "spike_trains") and "loss = ..." not in text
    names = {"mine": lab.trainer.data, "make": task_net}
    exec(text.replace("data = ...", "data = mine").replace("net = ...", "net = make(data)"), names)
    again = names["trainer"]
    assert same([np.asarray(leaf) for leaf in jax.tree.leaves(again.state.params)], weights(lab))
    assert again.history.interventions == lab.history.interventions and len(again.history.interventions) == 2
    assert again.history.steps()["loss"].tolist() == lab.history.steps()["loss"].tolist()
    assert again.evaluate() == lab.trainer.evaluate()
    lab.close()


@pytest.mark.parametrize("task", FEW_BY_DEFAULT)
def test_a_checkpoint_continues_bit_for_bit(task, tmp_path):
    whole = begin(task)
    whole.fit()
    begun = begin(task)
    begun.resume(tmp_path)
    begun.fit(until_epoch=1)
    begun.close()
    again = begin(task)
    again.resume(tmp_path)
    assert len(again.history) == 2
    again.fit()
    assert same(weights(again), weights(whole))
    again.close()


@pytest.mark.parametrize("task", FEW_BY_DEFAULT)
def test_what_the_screen_is_sent(task):
    """All frames are made, in a display without a page, and a setup puts the knobs back."""
    lab = begin(task)
    lab.fit()
    display = lab.display
    display.watcher._take_a_look()
    display.screen.show()
    board = display.board
    assert board.about["task"] == task and board.about["score"]["name"] == lab.history.scored.name
    assert board.scene["task"] == task and board.frame["target"]["kind"] == task
    assert board.frame["target"]["words"] in board.frame["summary"] and board.run["fact_keys"][-1] == "fact.score"
    json.dumps(display.setup)
    lab.set({"hidden.v_th": 0.4})
    display.use_setup(display.setup | {"knobs": {name: knob.value for name, knob in lab.trainer.mailbox.knobs.items()}})
    lab.close()


@pytest.mark.parametrize("task", FEW_BY_DEFAULT)
def test_what_the_tabs_show(task):
    lab = begin(task)
    lab.fit()
    inspector = Inspector(lab.trainer)
    for tab in ("Errors", "Look inside", "Health", "Weights"):
        assert inspector.look(Chosen(2.0, tab=tab, cell=(0, 0))) and inspector.frame["tab"] == tab
        assert not inspector.frame.get("reason")
        if tab == "Errors":
            frame = inspector.frame[PARTS.get(task, "trains")]
            assert frame["reason"] is None and "decisions" not in inspector.frame
            assert inspector.frame["cell"]["samples"] or task == "several_labels"
        if tab == "Look inside":
            assert inspector.frame["plane"]["names"] == []  # no class of a sample colours its point
    found = lab.diagnosis
    assert found is None or "accuracy" not in found.text or task in ("step_labels", "several_labels")
    lab.close()


@pytest.mark.parametrize("task", FEW_BY_DEFAULT)
def test_the_picture_says_the_same(task):
    lab = begin(task)
    lab.fit()
    shown = lab._repr_mimebundle_()
    drawn, probe = shown["image/svg+xml"], Prober(lab.trainer.model, lab.trainer.data, lab.trainer.loss)(lab.model, 0)
    assert "<script" not in drawn and "true class" not in drawn and lab.history.scored.words in shown["text/plain"]
    marks = {"step_labels": ">says<", "values": ">target<", "traces": ">target<", "spike_trains": "wanted<"}
    assert marks.get(task, "true: ") in drawn and probe.prediction == -1
    lab.close()


def test_delays_are_shown_as_any_network():
    """Every frame and every tab of a network whose delays are learned, and the script repeats its run."""
    data = task_data("step_labels")
    config = SnnConfig(hidden=(12, 9), code="rows", v_th=0.3, most_delay=5)
    net = models.build(config, sample_shape=data.sample_shape, num_classes=3)
    lab = LiveTrainer(net, data, epochs=2, batch_size=16)
    lab.fit()
    lab.display.watcher._take_a_look()
    lab.display.watcher._check_up()
    lab.display.screen.show()
    assert set(lab.display.board.scene["layers"]) and lab.display.watcher.health.finite
    inspector = Inspector(lab.trainer)
    for tab in ("Errors", "Look inside", "Health", "Weights"):
        assert inspector.look(Chosen(2.0, tab=tab, cell=(0, 0))) and not inspector.frame.get("reason")
    assert "<svg" in lab._repr_mimebundle_()["image/svg+xml"]
    assert "most_delay=5" in lab.script()
    lab.rewind(epoch=1)
    lab.fit()
    names = {"mine": data}
    exec(lab.script().replace("data = ...", "data = mine"), names)
    assert same([np.asarray(leaf) for leaf in jax.tree.leaves(names["trainer"].state.params)], weights(lab))
    lab.close()


# ---- what is looked at, against NumPy ----


def answers(lab: LiveTrainer) -> tuple[np.ndarray, np.ndarray]:
    """Readout and spikes of the last layer, of all test samples, as the network computes them."""
    record = nnx.jit(lambda net, x: net(x))(lab.model, jnp.asarray(lab.trainer.data.x_test))
    last = list(record.layers.values())[-1]
    return np.asarray(record.readout), np.asarray(last.state if last.spikes is None else last.spikes)


@pytest.mark.parametrize("task", ["values", "traces"])
def test_numbers_are_read_out_in_the_unit_of_the_targets(task):
    """What is drawn is `center + scale readout`; what is said of a value is its mean up to the end of the sample."""
    lab = begin(task)
    lab.fit()
    data, loss = lab.trainer.data, lab.trainer.loss
    probe = Prober(lab.trainer.model, data, loss)(lab.model, 3)
    readout = np.asarray(loss.center[...]) + np.asarray(loss.scale[...]) * answers(lab)[0][:, 3]
    np.testing.assert_allclose(probe.readout, readout, rtol=1e-4)
    length = int(data.lengths_test[3])
    assert probe.length == length and probe.rule == ("mean" if task == "values" else "last")
    if task == "values":
        np.testing.assert_allclose(probe.said, readout[:length].mean(0), rtol=1e-4)
    else:
        assert scored_steps(probe).tolist() == data.mask_test[3].tolist()
    lab.close()


@pytest.mark.parametrize("task", ["values", "traces"])
def test_r2_of_the_errors_tab_is_that_of_the_engine(task):
    lab = begin(task)
    lab.fit()
    review = Reviewer(lab.trainer.stepper, lab.trainer.data)(lab.trainer.state)
    assert isinstance(review, NumbersReview)
    measured = lab.trainer.evaluate()
    assert (review.r2, review.rmse) == pytest.approx((measured["r2"], measured["RMSE"]), rel=1e-3)
    lab.close()


def test_the_raster_compares_spikes_behind_the_filter_of_now():
    """When the knob is moved, the next look has the new time constant, even if no step has used it yet."""
    lab = begin("spike_trains")
    lab.fit()
    display = lab.display
    display.watcher._take_a_look()
    first = display.watcher.look.probe
    lab.set(tau=40.0)
    assert display.watcher._take_a_look()
    display.screen.show()
    probe = display.watcher.look.probe
    assert (first.tau, probe.tau) == (10.0, 40.0) and display.watcher.look.preview
    off = answers(lab)[1][:, 0] - lab.trainer.data.y_test[0]
    ago = np.arange(len(off))[:, None] - np.arange(len(off))
    behind = np.where(ago >= 0, np.exp(-ago / 40.0), 0.0) @ off
    words = display.board.frame["target"]["words"]
    assert f"van Rossum distance {number((behind**2).sum(0).mean() / 40.0)} (time constant 40 steps)" in words
    lab.close()


def test_steps_of_the_errors_tab_are_those_of_the_engine():
    lab = begin("step_labels")
    lab.fit()
    review = Reviewer(lab.trainer.stepper, lab.trainer.data)(lab.trainer.state)
    measured = lab.trainer.evaluate()
    assert review.right.mean() == pytest.approx(measured["accuracy"], abs=1e-6)
    assert np.nanmean(review.by_class(3)) == pytest.approx(measured["balanced accuracy"], abs=1e-6)
    assert review.noun == "test step" and review.total == int((lab.trainer.data.y_test >= 0).sum())
    lab.close()


def test_decisions_of_the_errors_tab_are_those_of_the_engine():
    lab = begin("several_labels")
    lab.fit()
    review = Reviewer(lab.trainer.stepper, lab.trainer.data)(lab.trainer.state)
    assert (review.true == review.said).mean() == pytest.approx(lab.trainer.evaluate()["accuracy"], abs=1e-6)
    lab.close()


def test_distances_of_the_errors_tab_are_the_loss():
    """The mean of the distances is the term of the loss, which computes it in another way."""
    lab = begin("spike_trains")
    lab.fit()
    data, loss = lab.trainer.data, lab.trainer.loss
    review = Reviewer(lab.trainer.stepper, data)(lab.trainer.state)
    record = nnx.jit(lambda net, x: net(x))(lab.model, jnp.asarray(data.x_test))
    expected = float(loss(record, jnp.asarray(data.y_test))["van_rossum"])
    assert review.distance.mean() == pytest.approx(expected, rel=1e-3)
    assert review.fired.tolist() == answers(lab)[1].sum((0, 2)).astype(int).tolist()
    lab.close()
