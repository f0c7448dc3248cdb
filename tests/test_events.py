"""Events: the sparse form of spikes, from lists of any length."""

import jax.numpy as jnp
import numpy as np
import pytest

from snnlab import kernels
from snnlab.errors import ArgumentError
from snnlab.events import Events

T, P = 11, 5


def test_lists_of_any_length_and_order_become_spikes():
    """Every event is one spike, counted by hand; two at the same place are two."""
    rng = np.random.default_rng(0)
    samples = [(rng.integers(0, T, n), rng.integers(0, P, n)) for n in (0, 1, 7, 40)]
    expected = np.zeros((T, len(samples), P))
    for b, (times, units) in enumerate(samples):
        for t, u in zip(times, units, strict=True):
            expected[t, b, u] += 1
    events = Events.from_lists(samples, num_steps=T, num_units=P)
    np.testing.assert_array_equal(events.dense(), expected)
    for backend in ("numba", "reference"):
        np.testing.assert_allclose(kernels.project(events, jnp.eye(P), backend=backend), expected, atol=1e-6)


def test_samples_without_events():
    assert Events.from_lists([([], [])] * 2, num_steps=T, num_units=P).dense().sum() == 0


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "samples: there are none"),
        ([([0], [0]), ([1, 2], [0])], r"samples\[1\]: has 2 times and 1 units"),
        ([([-1], [0])], r"samples\[0\]: times must be in 0..10, got -1..-1"),
        ([([T], [0])], r"samples\[0\]: times must be in 0..10, got 11..11"),
        ([([0], [P])], r"samples\[0\]: units must be in 0..4, got 5..5"),
        ([([0.5], [0])], r"samples\[0\]: times must be a list of whole numbers, got float64\(1,\)"),
        ([([[0]], [[0]])], r"samples\[0\]: times must be a list of whole numbers, got int64\(1, 1\)"),
        ([3], r"samples\[0\]: must be a pair"),
        ([([0, [1]], [0])], r"samples\[0\]: must be a pair"),
    ],
)
def test_bad_lists_are_named(samples, message):
    with pytest.raises(ArgumentError, match=message):
        Events.from_lists(samples, num_steps=T, num_units=P)
