"""Losses and regularizers against hand-worked sums, and their gradients against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab import losses
from snnlab.errors import ArgumentError
from snnlab.layers import LifRef, Stack
from snnlab.record import Record, Trace

T, B, N, C = 11, 3, 5, 7


@pytest.fixture
def record() -> Record:
    rng = np.random.default_rng(0)
    spikes = jnp.asarray(np.float32(rng.random((T, B, N)) < 0.3))
    readout = jnp.asarray(np.float32(rng.normal(size=(T, B, C))))
    return Record(readout=readout, layers={"hidden": Trace(spikes, spikes), "readout": Trace(readout)})


def test_readouts(record):
    trace = np.asarray(record.readout)
    expected = {"max": trace.max(0), "mean": trace.mean(0), "sum": trace.sum(0), "last": trace[-1]}
    for name, scores in expected.items():
        np.testing.assert_allclose(losses.Classification(name).scores(record), scores, rtol=1e-5, atol=1e-6)


def test_cross_entropy_is_minus_log_softmax(record):
    labels = np.array([0, 6, 2])
    scores = np.asarray(record.readout, np.float64).max(0)
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    found = losses.cross_entropy(jnp.asarray(scores, jnp.float32), jnp.asarray(labels))
    np.testing.assert_allclose(found, -np.log(p[np.arange(B), labels]).mean(), rtol=1e-5)


def test_cross_entropy_of_huge_scores_is_finite():
    assert np.isfinite(jax.jit(losses.cross_entropy)(np.float32([[1e4, -1e4]]), np.array([1])))


def test_spike_counts(record):
    s = np.asarray(record.spikes["hidden"])
    found = record.counts["hidden"]
    np.testing.assert_allclose(losses.spike_l1(found), s.sum() / B)
    np.testing.assert_allclose(
        losses.spike_l2(found), np.mean([(s[:, :, n].sum() / B) ** 2 for n in range(N)]), rtol=1e-6
    )


def test_l1_does_not_depend_on_the_batch_size(record):
    counts = record.counts["hidden"]
    twice = jnp.asarray(np.concatenate([counts, counts]))
    np.testing.assert_allclose(losses.spike_l1(twice), losses.spike_l1(counts), rtol=1e-6)
    np.testing.assert_allclose(losses.spike_l2(twice), losses.spike_l2(counts), rtol=1e-6)


def test_rate_bounds_act_outside_the_band_only():
    """One neuron fires at 0, one at 100, one at 1000 Hz (dt = 1 ms); the band is 10..200 Hz."""
    counts = jnp.asarray(np.float32([[0.0, 1.0, 10.0]] * 2))  # in 10 ms
    np.testing.assert_allclose(losses.firing_rates(counts, 10.0), [0.0, 100.0, 1000.0], rtol=1e-6)
    np.testing.assert_allclose(losses.rate_below(counts, 10.0, 10.0), 10.0**2 / 3, rtol=1e-5)
    np.testing.assert_allclose(losses.rate_above(counts, 200.0, 10.0), 800.0**2 / 3, rtol=1e-5)
    up, down = (jax.jit(jax.grad(f), static_argnums=(1, 2)) for f in (losses.rate_below, losses.rate_above))
    up, down = np.asarray(up(counts, 10.0, 10.0)), np.asarray(down(counts, 200.0, 10.0))
    assert (up[..., 0] < 0).all() and (up[..., 1:] == 0).all()
    assert (down[..., 2] > 0).all() and (down[..., :2] == 0).all()


def test_terms_are_named_and_weighted(record):
    loss = losses.Classification(l1=0.5, l2=0.25, min_rate=400.0, max_rate=100.0, rate_weight=1e-3, dt=2.0)
    labels = jnp.array([1, 2, 3])
    counts, duration = jnp.asarray(np.asarray(record.spikes["hidden"]).sum(0)), 2.0 * T
    terms = loss(record, labels)
    expected = {
        "cross_entropy": losses.cross_entropy(jnp.asarray(np.asarray(record.readout).max(0)), labels),
        "l1": 0.5 * losses.spike_l1(counts),
        "l2": 0.25 * losses.spike_l2(counts),
        "rate_below": 1e-3 * losses.rate_below(counts, 400.0, duration),
        "rate_above": 1e-3 * losses.rate_above(counts, 100.0, duration),
    }
    assert list(terms) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-6)
        assert value > 0


def test_what_is_not_asked_for_is_no_term_and_no_knob(record):
    from flax import nnx

    from snnlab.variables import Live

    assert list(losses.Classification()(record, jnp.array([0, 1, 2]))) == ["cross_entropy"]
    assert not nnx.to_flat_state(nnx.state(losses.Classification(), Live))


@pytest.mark.parametrize("setting", ["l1", "l2", "min_rate", "max_rate"])
def test_a_regularizer_of_spikes_needs_spikes(record, setting):
    silent = Record(readout=record.readout, layers={})
    with pytest.raises(ArgumentError, match=f"{setting}: the network has no layer that spikes"):
        losses.Classification(**{setting: 1.0})(silent, jnp.array([0, 1, 2]))


def test_rates_have_the_time_step_of_the_network():
    """5 spikes in 100 steps of 0.1 ms are 500 Hz, whatever the loss was told; 10 steps a spike. A second time step is
    refused, and so is a network without one."""
    current = jnp.zeros((100, 1, 1)).at[::20].set(1e3)
    record = Stack(hidden=LifRef(1, dt=0.1, reset="value"))(current)
    assert record.dt == 0.1 and record.counts["hidden"].tolist() == [[5.0]]
    for bound, square in ((480.0, 20.0**2), (500.0, 0.0)):
        loss = losses.Classification(max_rate=bound, rate_weight=1.0)
        np.testing.assert_allclose(loss(record, jnp.array([0]))["rate_above"], square, atol=0.05)
        np.testing.assert_allclose(jax.jit(loss)(record, jnp.array([0]))["rate_above"], square, atol=0.05)
    with pytest.raises(ArgumentError, match=r"dt: .*steps of 1 ms, the network has 0.1 ms"):
        losses.Classification(max_rate=1.0, dt=1.0)(record, jnp.array([0]))
    unknown = Record(record.readout, {"hidden": record.layers["hidden"]._replace(dt=None)})
    with pytest.raises(ArgumentError, match="dt: the network does not say"):
        losses.Classification(max_rate=1.0)(unknown, jnp.array([0]))


def test_gradient_of_max_over_time_goes_to_the_maximum():
    trace = np.zeros((4, 1, 2), np.float32)
    trace[2, 0, 1] = 1.0

    def loss(trace):
        return losses.Classification()(Record(trace, {}), jnp.array([1]))["cross_entropy"]

    gradient = np.asarray(jax.jit(jax.grad(loss))(trace))
    p = np.exp(1) / (np.exp(1) + 1)
    np.testing.assert_allclose(gradient[2, 0, 1], p - 1, rtol=1e-5)
    assert (gradient[[0, 1, 3], 0, 1] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"readout": "median"}, "readout: must be one of 'max', 'mean', 'sum', 'last', got 'median'"),
        ({"l1": -1.0}, "l1: must be a finite number >= 0.0, got -1.0"),
        ({"max_rate": float("inf")}, "max_rate: must be a finite number >= 0.0 Hz, got inf"),
        ({"dt": 0.0, "max_rate": 1.0}, "dt: must be a finite number >= 1e-06 .* ms, got 0.0"),
        ({"dt": 0.1}, "dt: does nothing without min_rate or max_rate"),
        ({"rate_weight": 0.1}, "rate_weight: does nothing without min_rate or max_rate"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        losses.Classification(**arguments)
