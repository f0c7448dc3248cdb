"""Events: the sparse form of spikes, from lists of any length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab import kernels
from snnlab.encode import SpikeTimes, Steady, drop_spikes
from snnlab.errors import ArgumentError

T, P = 11, 5


def test_lists_of_any_length_and_order_become_spikes():
    """Every event is one spike, counted by hand; two at the same place are two."""
    rng = np.random.default_rng(0)
    samples = [(rng.integers(0, T, n), rng.integers(0, P, n)) for n in (0, 1, 7, 40)]
    expected = np.zeros((T, len(samples), P))
    for b, (times, units) in enumerate(samples):
        for t, u in zip(times, units, strict=True):
            expected[t, b, u] += 1
    events = SpikeTimes.from_lists(samples, num_steps=T, num_units=P)
    np.testing.assert_array_equal(events.dense(), expected)
    project = jax.jit(kernels.project, static_argnames="backend")
    for backend in ("numba", "reference"):
        np.testing.assert_allclose(project(events, np.eye(P, dtype=np.float32), backend=backend), expected, atol=1e-6)


def test_samples_without_events():
    assert not np.any(SpikeTimes.from_lists([([], [])] * 2, num_steps=T, num_units=P).dense())


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "samples: must not be empty"),
        ([([0], [0]), ([1, 2], [0])], r"samples\[1\]: has 2 times and 1 units"),
        ([([-1], [0])], r"samples\[0\]: times must be in 0..10, got -1..-1"),
        ([([T], [0])], r"samples\[0\]: times must be in 0..10, got 11..11"),
        ([([0], [P])], r"samples\[0\]: units must be in 0..4, got 5..5"),
        ([([0.5], [0])], r"samples\[0\]: times must be a list of integers, got float64\(1,\)"),
        ([([[0]], [[0]])], r"samples\[0\]: times must be a list of integers, got int64\(1, 1\)"),
        ([3], r"samples\[0\]: must be a pair"),
        ([([0, [1]], [0])], r"samples\[0\]: must be a pair"),
    ],
)
def test_bad_lists_are_named(samples, message):
    with pytest.raises(ArgumentError, match=message):
        SpikeTimes.from_lists(samples, num_steps=T, num_units=P)


def test_each_spike_is_lost_with_the_same_probability():
    """Of n spikes n (1 - rate) stay, within five standard deviations, in each form; what stays is where it was, and
    counts 1 / (1 - rate)."""
    rng, rate, n = np.random.default_rng(0), 0.3, 20_000
    pair = rng.integers(0, T, (2, n // 2)), rng.integers(0, P, (2, n // 2))
    listed = SpikeTimes.from_lists(list(zip(*pair, strict=True)), num_steps=T, num_units=P)
    once = SpikeTimes(times=jnp.asarray(np.int32(rng.integers(0, T, (2, n // 2)))), num_steps=T, num_units=n // 2)
    drop, dense = jax.jit(drop_spikes, static_argnums=1), jax.jit(SpikeTimes.dense)
    for events in (listed, once):
        before = np.asarray(dense(events))
        for spikes in (events, np.minimum(before, 1.0)):
            whole = before if isinstance(spikes, SpikeTimes) else spikes
            after = drop(spikes, rate, jax.random.key(1))
            after = np.asarray(dense(after) if isinstance(after, SpikeTimes) else after) * (1 - rate)
            count = whole.sum()
            np.testing.assert_allclose(after, after.round(), rtol=1e-6)
            assert (after.round() <= whole).all()
            assert abs(after.sum() - count * (1 - rate)) < 5 * np.sqrt(count * rate * (1 - rate))
    np.testing.assert_array_equal(dense(drop_spikes(once, 0.0, jax.random.key(1))), dense(once))
    assert not np.any(np.asarray(dense(drop_spikes(once, 1.0, jax.random.key(1)))))


def test_a_current_is_lost_at_every_step_or_at_none():
    """A share of the units, not of the steps; what remains is larger, so that the mean stays."""
    kept = drop_spikes(Steady(values=jnp.ones((3, 4000)), num_steps=5), 0.25, jax.random.key(0))
    dense = np.asarray(kept.dense())
    assert dense.shape == (5, 3, 4000) and (dense == dense[0]).all()
    np.testing.assert_allclose(sorted(set(dense.ravel().tolist())), [0.0, 4.0 / 3.0], rtol=1e-6)
    assert abs(dense.mean() - 1.0) < 4 * (0.25 / 0.75 / 12_000) ** 0.5  # four deviations of the mean
