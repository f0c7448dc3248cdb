"""Scores and metrics of each task against NumPy; sums over batches give the metrics of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.data.targets import Targets
from snnlab.tasks import LabelTask, SeveralLabelsTask, SpikeTrainTask, StepLabelsTask, TraceTask, ValueTask

N, T, K = 40, 9, 3
RNG = np.random.default_rng(1)


def made(shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


TASKS = {
    "label": (LabelTask(K), made((N, K)), Targets(jnp.asarray(RNG.integers(0, K, N)))),
    "step_labels": (
        StepLabelsTask(K),
        made((N, T, K)),
        Targets(jnp.asarray(RNG.integers(0, K, (N, T))), mask=jnp.asarray(RNG.random((N, T)) < 0.7)),
    ),
    "several_labels": (SeveralLabelsTask(), made((N, K)), Targets(jnp.asarray(RNG.integers(0, 2, (N, K)), jnp.uint8))),
    "values": (ValueTask((500.0,) * K, (3.0,) * K), 500 + 3 * made((N, K)), Targets(500 + 3 * made((N, K)))),
    "traces": (
        TraceTask((0.0,) * K, (1.0,) * K),
        made((N, T, K)),
        Targets(made((N, T, K)), mask=jnp.asarray(RNG.random((N, T)) < 0.7)),
    ),
    "spike_trains": (
        SpikeTrainTask(),
        jnp.asarray(RNG.random((N, T, K)) < 0.2, jnp.float32),
        Targets(jnp.asarray(RNG.random((N, T, K)) < 0.2, jnp.uint8)),
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_batches_add_up_to_the_whole(name):
    task, scores, targets = TASKS[name]
    measure = jax.jit(lambda a, b: task.measure(scores[a:b], targets[a:b]), static_argnums=(0, 1))
    whole = task.results({k: np.asarray(v, float) for k, v in measure(0, N).items()})
    parts = [measure(a, b) for a, b in ((0, 7), (7, 8), (8, N))]
    total = {k: sum(np.asarray(part[k], float) for part in parts) for k in parts[0]}
    for metric, value in task.results(total).items():
        assert value == pytest.approx(whole[metric], rel=1e-5), metric
    assert task.score in whole


@pytest.mark.parametrize("name", ["label", "step_labels"])
def test_accuracy_and_balanced_accuracy(name):
    task, scores, targets = TASKS[name]
    said, y = np.asarray(scores.argmax(-1)), np.asarray(targets.values)
    m = np.ones(y.shape, bool) if targets.mask is None else np.asarray(targets.mask)
    found = task.results(task.measure(scores, targets))
    assert found["accuracy"] == pytest.approx((said == y)[m].mean(), rel=1e-6)
    expected = np.mean([(said == y)[m & (y == k)].mean() for k in range(K)])
    assert found["balanced accuracy"] == pytest.approx(expected, rel=1e-6)
    assert float(task.score_of(task.measure(scores, targets))) == pytest.approx(found["accuracy"], rel=1e-6)


def test_a_class_without_a_sample_does_not_count():
    task = LabelTask(5)
    found = task.results(task.measure(jnp.eye(5)[jnp.array([0, 1, 1])], Targets(jnp.array([0, 1, 0]))))
    assert found["balanced accuracy"] == pytest.approx((0.5 + 1.0) / 2)


def test_several_labels():
    task, scores, targets = TASKS["several_labels"]
    said, y = np.asarray(scores) > 0, np.asarray(targets.values) > 0
    found = task.results(task.measure(scores, targets))
    assert found["accuracy"] == pytest.approx((said == y).mean(), rel=1e-6)
    assert found["all right"] == pytest.approx((said == y).all(1).mean(), rel=1e-6)
    precision, recall = (said & y).sum() / said.sum(), (said & y).sum() / y.sum()
    assert found["F1"] == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-6)


@pytest.mark.parametrize("name", ["values", "traces"])
def test_r2_error_and_correlation(name):
    task, scores, targets = TASKS[name]
    p, y = np.asarray(scores, float), np.asarray(targets.values, float)
    if targets.mask is not None:
        p, y = p[np.asarray(targets.mask)], y[np.asarray(targets.mask)]
    found = task.results({k: np.asarray(v, float) for k, v in task.measure(scores, targets).items()})
    r2 = (1 - ((p - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)).mean()
    assert found["r2"] == pytest.approx(r2, abs=1e-4)
    assert found["RMSE"] == pytest.approx(np.sqrt(((p - y) ** 2).mean()), rel=1e-4)
    assert found["correlation"] == pytest.approx(
        np.mean([np.corrcoef(p[:, k], y[:, k])[0, 1] for k in range(K)]), abs=1e-4
    )


def test_outputs_that_never_vary_do_not_count():
    task = ValueTask((0.0, 5.0), (1.0, 1.0))
    y = jnp.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    assert task.results(task.measure(y.at[:, 1].add(1.0), Targets(y)))["r2"] == pytest.approx(1.0)
    still = jnp.full((3, 2), 5.0)
    assert task.results(task.measure(still, Targets(still))) == {"r2": 0.0, "RMSE": 0.0, "correlation": 0.0}


@pytest.mark.parametrize("name", TASKS)
def test_the_score_of_a_batch_is_finite_even_of_one_sample_or_none_that_is_scored(name):
    task, scores, targets = TASKS[name]
    assert np.isfinite(float(task.score_of(task.measure(scores[:1], targets[:1]))))
    if targets.mask is not None:
        masked = Targets(targets.values[:1], mask=jnp.zeros((1, T), bool))
        assert np.isfinite(float(task.score_of(task.measure(scores[:1], masked))))


def test_a_silent_network_explains_nothing_of_spike_trains():
    task, scores, targets = TASKS["spike_trains"]
    assert task.results(task.measure(0 * scores, targets))["explained"] == pytest.approx(0.0, abs=1e-6)
    exact = targets.values.astype(jnp.float32)
    found = task.results(task.measure(exact, targets))
    assert found["explained"] == 1.0 and found["spikes wanted"] == found["spikes fired"]
