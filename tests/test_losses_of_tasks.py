"""Losses of all tasks against NumPy, and what masks, weights and lengths mean: a sample is not there, or twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab import losses
from snnlab.data.targets import Targets
from snnlab.errors import ArgumentError
from snnlab.losses.terms import measure, weighted_mean
from snnlab.record import Record, TimeStep, Trace

T, B, K = 11, 4, 3
RNG = np.random.default_rng(0)
READOUT = jnp.asarray(RNG.normal(size=(T, B, K)), jnp.float32)
LABELS = jnp.array([0, 2, 1, 2])
STEPS = jnp.asarray(RNG.integers(0, K, (B, T)))
SEVERAL = jnp.asarray(RNG.integers(0, 2, (B, K)), jnp.uint8)
VALUES = jnp.asarray(RNG.normal(3.0, 2.0, (B, K)), jnp.float32)
TRACES = jnp.asarray(RNG.normal(3.0, 2.0, (B, T, K)), jnp.float32)
SPIKES = jnp.asarray(RNG.random((B, T, K)) < 0.2, jnp.uint8)
MASK = jnp.asarray(RNG.random((B, T)) < 0.6)


def record(readout=READOUT, lengths=None) -> Record:
    fired = (readout > 0.5) * 1.0
    trace = Trace(state=readout, spikes=fired, dt=TimeStep(1.0))
    return Record(readout=readout, layers={"out": trace}, lengths=lengths)


def test_monitored_layers_have_the_axes_of_the_readout():
    """Batch first, as the readout; a mask is only given to a loss that asks for it."""

    def loss(predicts, targets, mask=None):
        (predicts, mon), weight = predicts, 1.0 if mask is None else mask.sum()
        assert predicts.shape == mon["v"].shape == mon["s"].shape == (B, T, K)
        return {"seen": weight * ((predicts - mon["v"]) ** 2).sum() + mon["s"].sum()}

    monitored = losses.Monitored(loss, {"v": "out.state", "s": "out.spikes"})
    fired = float((np.asarray(READOUT) > 0.5).sum())
    assert float(measure(monitored, record(), LABELS).terms["seen"]) == fired
    assert float(measure(monitored, record(), Targets(STEPS, mask=MASK)).terms["seen"]) == fired
    plain = losses.Monitored(lambda predicts, targets: 0.0, {})
    with pytest.raises(ArgumentError, match="the data has mask, which this loss does not take"):
        measure(plain, record(), Targets(STEPS, mask=MASK))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.Monitored(3, {}), "loss: must be a function"),
        (lambda: losses.Monitored(max, "hidden"), "monitors: must be a dict"),
        (lambda: losses.Monitored(lambda p, t: 0.0, {"a": "hidden"}), r"monitors\['a'\]: must be like .* got 'hidden'"),
        (lambda: losses.Monitored(lambda p, t: 0.0, {"a": "x.V"}), r"monitors\['a'\]: must be like .* got 'x.V'"),
        (lambda: losses.Monitored(lambda p, t: 0.0, {"a": "out.current"})(record(), LABELS), "has no current, but"),
    ],
)
def test_what_cannot_be_monitored(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


CASES = {
    "label": (losses.Classification("mean"), LABELS, None),
    "step_labels": (losses.StepClassification(), STEPS, MASK),
    "several_labels": (losses.SeveralLabels(), SEVERAL, None),
    "values": (losses.Regression(center=3.0, scale=[2.0, 1.0, 0.5]), VALUES, None),
    "traces": (losses.TraceRegression(center=[3.0, 2.0, 1.0], scale=2.0), TRACES, MASK),
    "spike_trains": (losses.SpikeTrains(tau=4.0), SPIKES, MASK),
}
every = pytest.mark.parametrize("task", CASES)


def by_hand(task: str, readout, y, mask, b: int) -> tuple[float, float]:
    """Loss of one sample, and how much it counts."""
    r, y = np.asarray(readout, float)[:, b], np.asarray(y)[b]
    m = np.ones(T, bool) if mask is None else np.asarray(mask)[b]
    if task == "label":
        s = r.mean(0)
        return float(np.log(np.exp(s).sum()) - s[y]), 1.0
    if task == "step_labels":
        each = np.log(np.exp(r).sum(1)) - r[np.arange(T), y]
        return float(each[m].sum()), float(m.sum())
    if task == "several_labels":
        q = 1 / (1 + np.exp(-r.mean(0)))
        return float(-(y * np.log(q) + (1 - y) * np.log(1 - q)).mean()), 1.0
    if task == "values":
        return float((((3 + np.array([2, 1, 0.5]) * r.mean(0) - y) / [2, 1, 0.5]) ** 2).mean()), 1.0
    if task == "traces":
        each = (((np.array([3, 2, 1]) + 2 * r - y) / 2) ** 2).mean(1)
        return float(each[m].sum()), float(m.sum())
    off, f, total = np.where(m[:, None], (r > 0.5) * 1.0 - y, 0.0), np.zeros(K), 0.0
    for d in off:
        f = f * np.exp(-1 / 4) + d
        total += (f**2).mean() / 4
    return total, 1.0


@every
def test_the_value_is_that_of_the_formula(task):
    loss, y, mask = CASES[task]
    extra = {} if mask is None else {"mask": mask}
    (found,) = jax.jit(lambda y, extra: loss(record(), y, **extra))(y, extra).values()
    parts = [by_hand(task, READOUT, y, mask, b) for b in range(B)]
    np.testing.assert_allclose(found, sum(p for p, _ in parts) / sum(n for _, n in parts), rtol=2e-6)


@every
def test_a_weight_counts_a_sample_as_often_and_zero_not_at_all(task):
    loss, y, mask = CASES[task]
    index, weights = np.array([0, 1, 1, 1, 2]), jnp.array([1.0, 3.0, 1.0, 0.0])

    @jax.jit
    def value(readout, y, mask, weights):
        extra = {name: v for name, v in (("mask", mask), ("weights", weights)) if v is not None}
        return next(iter(loss(record(readout), y, **extra).values()))

    taken = None if mask is None else mask[index]
    np.testing.assert_allclose(
        value(READOUT, y, mask, weights), value(READOUT[:, index], y[index], taken, None), rtol=2e-6
    )
    gradient = jax.jit(jax.grad(value))(READOUT, y, mask, weights)
    assert not np.asarray(gradient[:, 3]).any() and np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("task", ["step_labels", "traces"])
def test_a_masked_step_gets_no_gradient_whatever_stands_there(task):
    loss, y, mask = CASES[task]
    spoiled = READOUT.at[3, 1].set(1e20)
    mask = mask.at[1, 3].set(False)
    gradient = jax.jit(jax.grad(lambda r: next(iter(loss(record(r), y, mask=mask).values()))))(spoiled)
    assert not np.asarray(gradient[3, 1]).any() and np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("task", ["step_labels", "traces"])
def test_a_batch_that_is_masked_altogether_costs_nothing(task):
    loss, y, _ = CASES[task]
    assert float(next(iter(loss(record(), y, mask=jnp.zeros((B, T), bool)).values()))) == 0.0


@pytest.mark.parametrize("readout", losses.READOUTS)
def test_a_readout_ends_with_its_sample(readout):
    """Whatever comes after the last step of a sample: the same as if the sequence ended there."""
    lengths = jnp.array([11, 1, 7, 4])
    read = jax.jit(lambda values, lengths: losses.READOUTS[readout](record(values, lengths)))
    found = read(READOUT, lengths)
    for b, n in enumerate(lengths.tolist()):
        alone = read(np.asarray(READOUT)[:n, b : b + 1], None)
        np.testing.assert_allclose(found[b], alone[0], rtol=1e-6)
    counts = record(lengths=lengths).counts["out"]
    np.testing.assert_array_equal(counts, [(READOUT[:n, b] > 0.5).sum(0) for b, n in enumerate(lengths.tolist())])


def test_rates_are_those_of_the_time_that_a_sample_lasts():
    lengths = jnp.array([10, 5, 10, 5])
    counts = record(lengths=lengths).counts["out"]
    rates = losses.firing_rates(counts, lengths * 1.0)
    np.testing.assert_allclose(rates, (np.asarray(counts) / np.asarray(lengths)[:, None]).mean(0) * 1000, rtol=1e-6)


def test_class_weights_weigh_the_classes():
    plain, weighted = losses.Classification("mean"), losses.Classification("mean", class_weights=[1.0, 5.0, 0.5])
    each = [float(plain(record(READOUT[:, b : b + 1]), LABELS[b : b + 1])["cross_entropy"]) for b in range(B)]
    w = np.array([1.0, 5.0, 0.5])[np.asarray(LABELS)]
    found = weighted(record(), LABELS)["cross_entropy"]
    np.testing.assert_allclose(found, (w * each).sum() / w.sum(), rtol=1e-6)
    for wrong in ([1.0, 2.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0]):
        with pytest.raises(ArgumentError, match="class_weights"):
            losses.Classification(class_weights=wrong)(record(), LABELS)


def test_one_spike_too_many_costs_a_half_and_a_late_one_twice_as_much():
    """Closed form: the squares of `a^t` sum to `1 / (1 - a^2)`, which is about `tau / (2 dt)`."""
    tau, steps, a = 20.0, 2000, np.exp(-1 / 20.0)
    train = jnp.zeros((steps, 1, 1)).at[0].set(1.0)
    late = jnp.zeros((steps, 1, 1)).at[1000].set(1.0)

    def distance(fired, wanted):
        trace = Trace(state=fired, spikes=fired, dt=TimeStep(1.0))
        there = Record(readout=fired, layers={"out": trace})
        return float(losses.SpikeTrains(tau)(there, wanted.swapaxes(0, 1))["van_rossum"])

    one = 1 / (1 - a**2) / tau
    np.testing.assert_allclose(distance(0 * train, train), one, rtol=1e-5)
    np.testing.assert_allclose(distance(late, train), 2 * one, rtol=1e-5)
    assert distance(train, train) == 0.0


def test_spike_trains_need_a_readout_that_spikes():
    silent = Record(readout=READOUT, layers={"out": Trace(state=READOUT, dt=TimeStep(1.0))})
    with pytest.raises(ArgumentError, match="loss: the readout does not spike"):
        losses.SpikeTrains()(silent, SPIKES)


def test_a_loss_gets_what_it_asks_for_and_the_data_has():
    def plain(record, labels):
        return record.readout.mean()

    def asks(record, labels, weights):
        return weighted_mean(record.readout.mean((0, 2)), weights)

    def takes_all(record, labels, **more):
        assert set(more) == {"mask", "weights"}
        return record.readout.mean()

    weighted = Targets(LABELS, weights=jnp.ones(B))
    assert measure(plain, record(), LABELS).metrics == {}
    np.testing.assert_allclose(measure(asks, record(), weighted).terms["objective"], READOUT.mean(), rtol=1e-5)
    measure(takes_all, record(), Targets(STEPS, mask=MASK, weights=jnp.ones(B)))
    with pytest.raises(
        ArgumentError, match="loss: the data has weights, which this loss does not take; give it an arg"
    ):
        measure(plain, record(), weighted)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((1.0, {"a": jnp.ones(2)}), r"loss: the metric 'a' must be one number, got shape \(2,\); use .mean\(\)"),
        ((1.0, {3: 1.0}), "loss: the name of a metric must be a string, got 3"),
        (({}, {"a": 1.0}), "loss: returned no term"),
        ({"a": jnp.ones(2)}, "loss: the term 'a' must be one number"),
    ],
)
def test_what_a_loss_must_not_return(returned, message):
    with pytest.raises(ArgumentError, match=message):
        measure(lambda record, labels: returned, record(), LABELS)
