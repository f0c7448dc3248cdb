"""Every task trains, is scored by its own name, and resumes with the same bits; what does not fit is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import snnlab
from snnlab import losses
from snnlab.data import Dataset
from snnlab.data.targets import Targets
from snnlab.encode import Rows
from snnlab.errors import ArgumentError
from snnlab.layers import Expon, Leaky, LifRef, Projection, Stack
from snnlab.models import Network
from snnlab.train import Trainer
from snnlab.train.step import run_model

N, T, F = 48, 20, 6
RNG = np.random.default_rng(0)
X = (RNG.random((N, T, F)) < 0.3).astype(np.float32)
SUM = X.sum(2)
TARGETS = {
    "label": (SUM.sum(1) > np.median(SUM.sum(1))).astype(int),
    "step_labels": (np.cumsum(SUM, 1) > 9.0).astype(int),
    "several_labels": (X[:, :, :2].sum(1) > 6).astype(int),
    "values": 100.0 + 7.0 * SUM.sum(1),
    "traces": np.stack([np.cumsum(SUM, 1), 3.0 - SUM], -1),
    "spike_trains": (np.cumsum(SUM, 1)[..., None] % 7 == 0).astype(int),
}
every = pytest.mark.parametrize("task", TARGETS)


def make(task: str, **changes) -> Dataset:
    y = TARGETS[task]
    parts = {"x_train": X[:32], "y_train": y[:32], "x_test": X[32:], "y_test": y[32:]}
    return Dataset(**{"name": task, "task": task, **parts} | changes)


def network(data: Dataset, seed: int = 0) -> Network:
    """Frames in, one a step; the readout spikes where spikes are wanted."""
    rngs, outputs = nnx.Rngs(seed), data.num_outputs
    last = LifRef(outputs, v_th=0.5) if data.task == "spike_trains" else Leaky(outputs)
    hidden = Projection(F, LifRef(16, v_th=0.5), synapse=Expon(16, tau_syn=3.0), rngs=rngs)
    readout = Projection(16, last, synapse=Expon(outputs, tau_syn=3.0), use_bias=data.task != "spike_trains", rngs=rngs)
    return Network(Rows(), Stack(hidden=hidden, readout=readout))


def trainer(task: str, **settings) -> Trainer:
    data = settings.pop("data", None) or make(task)
    return Trainer(network(data), data, **{"epochs": 12, "batch_size": 8, "learning_rate": 0.02} | settings)


SCORES = {"values": "r2", "traces": "r2", "spike_trains": "explained"}


@every
def test_it_learns_and_results_have_the_name_of_the_score(task):
    run = trainer(task)
    history = run.fit()
    score = SCORES.get(task, "accuracy")
    short = {"accuracy": "acc"}.get(score, score)
    row = history.epochs[-1]
    assert score in run.metric_names and {f"train_{short}", f"test_{short}", "test_loss"} <= row.keys()
    losses_of = history.steps()["loss"]
    assert losses_of[-8:].mean() < 0.9 * losses_of[:8].mean() and run.compilations == 1
    found = run.evaluate()
    assert found[score] == pytest.approx(row[f"test_{short}"], rel=1e-5)
    assert found["loss"] == pytest.approx(row["test_loss"], rel=1e-5)
    for name, value in row["metrics"].items():
        assert found[name] == pytest.approx(value, rel=1e-5)


@every
def test_a_script_and_a_rewind_reach_the_same_bits(task, tmp_path):
    run = trainer(task, epochs=2)
    timeline = snnlab.Timeline(run)
    timeline.fit()
    whole = run.state
    timeline.rewind(step=3)
    timeline.branch(3)
    timeline.fit()
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(run.state.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert f"loss = snnlab{'' if task == 'label' else '.losses'}.{type(run.loss).__name__}(" in snnlab.train.script(run)


@every
def test_a_checkpoint_brings_it_back(task, tmp_path):
    from snnlab.checkpoint import Checkpoints

    run = trainer(task, epochs=3)
    run.fit(until=5)
    saved = Checkpoints(run, tmp_path / "run")
    saved.save_now()
    saved.close()
    run.fit()
    again = trainer(task, epochs=3)
    resumed = Checkpoints(again, tmp_path / "run")
    assert len(again.history) == 5
    again.fit()
    resumed.close()
    for a, b in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(again.state.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_validation_part_is_watched_and_the_test_part_is_not():
    data = make("label").hold_out(0.25)
    run = trainer("label", data=data, epochs=1)
    phases = [report.phase for report in run]
    row = run.history.epochs[0]
    assert phases.count("test") == 1 and {"val_loss", "val_acc"} <= row.keys() and "test_acc" not in row
    assert run.history.scored.words == "validation accuracy"
    record = run_model(run.model, jnp.asarray(data.x_val), jax.random.key(0))
    right = (record.mean.argmax(-1) == data.y_val).mean()
    assert row["val_acc"] == pytest.approx(float(right)) and run.evaluate("val")["accuracy"] == row["val_acc"]
    with pytest.raises(ArgumentError, match="part"):
        trainer("label").evaluate("val")


def test_the_best_epoch_is_that_of_the_validation_part():
    data = make("values").hold_out(0.25)
    timeline = snnlab.Timeline(trainer("values", data=data, epochs=4))
    scores = [row["val_r2"] for row in timeline.fit().epochs]
    assert len(scores) == 4 and timeline.best()["val_r2"] == max(scores)


def test_metrics_of_your_own_are_recorded_and_not_minimized():
    """As in a loss with auxiliary results: a number, and a dict beside it."""

    def loss(record, labels):
        acc = (record.mean.argmax(-1) == labels).mean()
        return losses.cross_entropy(record.mean, labels), {"acc": acc, "huge": 1e9 + 0.0 * record.mean.sum()}

    with_metrics = trainer("label", loss=loss, epochs=2)
    with_metrics.fit()
    without = trainer("label", loss=lambda record, labels: loss(record, labels)[0], epochs=2)
    without.fit()
    for a, b in zip(jax.tree.leaves(with_metrics.state), jax.tree.leaves(without.state), strict=True):
        np.testing.assert_array_equal(
            jax.random.key_data(a) if a.dtype == without.state.key.dtype else a,
            jax.random.key_data(b) if b.dtype == without.state.key.dtype else b,
        )
    steps, row = with_metrics.history.steps(), with_metrics.history.epochs[-1]
    assert (steps["metric huge"] == 1e9).all() and 0 <= steps["metric acc"].min() <= steps["metric acc"].max() <= 1
    assert row["metrics"]["acc"] == pytest.approx(with_metrics.evaluate()["acc"]) and "acc" not in row["terms"]


def test_a_padded_sample_is_the_same_as_it_alone():
    """Loss, scores, spikes and the gradient of every weight, whatever stands in the padding."""
    lengths = RNG.choice(np.arange(3, T + 1), 3, replace=False)  # each is a program of its own
    data = make("label", x_train=X[:32].copy(), lengths_train=np.r_[lengths, np.full(29, T)])
    run = trainer("label", data=data, loss=losses.Classification("mean", l1=0.1, l2=0.1, max_rate=20.0))
    structure, state = run.stepper.structure, run.state
    spoiled = X[:3].copy()
    for row, n in zip(spoiled, lengths, strict=True):
        row[n:] = 1.0

    def loss_of(params, x, targets):
        system = structure.merge(state._replace(params=params))
        metrics, _ = structure.forward(system, jnp.asarray(x), targets, state.key)
        return metrics["loss"], metrics

    def gradient(x, y, lengths=None):
        targets = Targets(jnp.asarray(y), lengths=None if lengths is None else jnp.asarray(lengths, jnp.int32))
        return jax.grad(loss_of, has_aux=True)(state.params, x, targets)

    for b, n in enumerate(lengths):
        padded, seen = gradient(spoiled[b : b + 1], data.y_train[b : b + 1], lengths[b : b + 1])
        alone, expected = gradient(spoiled[b : b + 1, :n], data.y_train[b : b + 1])
        for name in expected:
            np.testing.assert_allclose(seen[name], expected[name], rtol=2e-5, err_msg=name)
        for a, c in zip(jax.tree.leaves(padded), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, c, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        (
            "traces",
            {"y_train": TARGETS["traces"][:32, :9], "y_test": TARGETS["traces"][32:, :9]},
            "model: takes 20 steps, the data has targets for 9",
        ),
        ("label", {"weights_train": np.ones(32)}, r"loss: the data has weights, which this loss does not take"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_trains(task, changes, message):
    loss = None if task == "traces" else lambda record, labels: record.readout.mean()
    with pytest.raises(ArgumentError, match=message):
        trainer(task, data=make(task, **changes), loss=loss)


def test_a_network_with_another_number_of_outputs_is_refused():
    data = make("traces")
    with pytest.raises(ArgumentError, match="model: has 2 outputs, a target of the data has 1"):
        Trainer(network(data), make("values"), batch_size=8)
    short = make("label", lengths_train=[T] * 32)
    images = snnlab.build(snnlab.SnnConfig(hidden=5, code="latency", num_steps=30), sample_shape=(T, F), num_classes=2)
    with pytest.raises(ArgumentError, match=r"model: takes 30 steps, samples with lengths have 20; .*rows"):
        Trainer(images, short, batch_size=8)
