"""Codes against their formulas, computed here in double precision or by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.encode import Current, Delta, Latency, Population, Rate, Rows, SpikeTimes
from snnlab.errors import ArgumentError


def latency_formula(x, *, tau, threshold, num_steps):
    """Steps until the first spike of every pixel, `num_steps` for never."""
    never = np.full(x.shape, num_steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.floor(tau * np.log(x / (x - threshold)))
    return np.where((x > threshold) & (steps < num_steps), steps, never).astype(int)


def test_latency_of_every_uint8_value_is_the_formula():
    pixels = np.arange(256, dtype=np.uint8)
    expected = latency_formula(pixels / 255.0, tau=20.0, threshold=0.2, num_steps=100)
    events = Latency(num_steps=100)(jnp.asarray(pixels)[None])
    np.testing.assert_array_equal(events.times[0], expected)
    assert expected[51] == 100 and expected[52] == 79 and expected[255] == 4  # 51/255 is the threshold itself


def test_latency_of_dt_and_tau_depends_on_their_ratio_only():
    pixels = jnp.arange(256, dtype=jnp.uint8)[None]
    fine = Latency(num_steps=100, dt=0.1, tau=2.0)(pixels)
    np.testing.assert_array_equal(fine.times, Latency(num_steps=100, dt=1.0, tau=20.0)(pixels).times)


def test_latency_of_floats_agrees_with_the_formula(shared=None):
    x = np.random.default_rng(0).random((3, 101)).astype(np.float32)
    expected = latency_formula(x.astype(np.float64), tau=20.0, threshold=0.2, num_steps=100)
    found = jax.jit(Latency())(x).times
    assert (np.asarray(found) == expected).mean() > 0.99  # float32 may round a value across a step
    assert np.abs(np.asarray(found) - expected).max() <= 1


def test_events_dense_view_counts_and_drops():
    times = jnp.array([[0, 1, 1, 5, -1, 2]])
    units = jnp.array([[1, 0, 0, 1, 0, 7]])  # twice unit 0 at step 1; then: too late, too early, no such unit
    dense = SpikeTimes(times=times, units=units, num_steps=3, num_units=2).dense()
    assert dense[:, 0].tolist() == [[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]
    shared_units = SpikeTimes(times=jnp.array([[2, -1], [3, 0]]), num_steps=3, num_units=2).dense()
    assert shared_units.shape == (3, 2, 2)
    assert shared_units[:, 0].tolist() == [[0, 0], [0, 0], [1, 0]] and shared_units[:, 1].tolist() == [
        [0, 1],
        [0, 0],
        [0, 0],
    ]


def test_both_forms_of_events_agree():
    times = np.int32(np.random.default_rng(1).integers(-2, 13, (5, 7)))
    dense = jax.jit(lambda times, units: SpikeTimes(times=times, units=units, num_steps=11, num_units=7).dense())
    np.testing.assert_array_equal(dense(times, None), dense(times, np.broadcast_to(np.arange(7), (5, 7))))


def test_rate_code_has_the_rate():
    code = jax.jit(Rate(num_steps=2000, dt=0.5, max_rate=200.0))
    spikes = np.asarray(code(np.float32([[0.0, 0.5, 1.0]]), key=jax.random.key(0)))
    hz = spikes.mean((0, 1)) * 2000.0
    assert spikes.shape == (2000, 1, 3) and set(np.unique(spikes)) == {0.0, 1.0}
    sigma = np.sqrt(0.1 * 0.9 / 2000) * 2000  # of the estimate at 200 Hz
    np.testing.assert_allclose(hz, [0.0, 100.0, 200.0], atol=4 * sigma)
    assert hz[0] == 0.0


def test_rate_code_without_a_key_is_refused():
    with pytest.raises(ArgumentError, match=r"key: .* got None"):
        Rate()(jnp.zeros((1, 3)))


def test_population_code_fires_the_nearest_field_first():
    code = Population(num_steps=101, fields=5)
    times = jax.jit(code)(np.float32([[0.0], [0.5], [1.0]])).times
    centres = (2 * np.arange(1, 6) - 3) / 6
    for row, value in zip(np.asarray(times), [0.0, 0.5, 1.0], strict=True):
        response = np.exp(-0.5 * ((value - centres) * 4.5) ** 2)
        np.testing.assert_array_equal(row, np.where(response >= 0.1, np.round((1 - response) * 100), 101))
    assert code.num_units((2, 3)) == 30


def test_delta_code_tracks_the_signal():
    """The sum of ON minus OFF events, times the threshold, stays within one threshold of a slow signal."""
    t = np.linspace(0, 2 * np.pi, 200)
    signal = np.float32(np.stack([np.sin(t), np.cos(t)], -1)[None])
    spikes = np.asarray(jax.jit(Delta(threshold=0.05))(signal))
    level = signal[:, 0] + 0.05 * (spikes[..., :2] - spikes[..., 2:]).cumsum(0)[:, 0]
    assert np.abs(level - signal[0]).max() < 0.05 + 1e-5 and spikes.sum() > 70


def test_currents_are_the_pixels_at_every_step():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5), dtype=np.uint8)
    found = Current(num_steps=4)(x)
    assert (found.num_steps, found.num_units) == (4, 15)
    np.testing.assert_allclose(found.dense(), np.broadcast_to(x.reshape(2, 15) / 255.0, (4, 2, 15)), rtol=1e-6)


def test_rows_are_time():
    x = jnp.arange(2 * 3 * 5, dtype=jnp.float32).reshape(2, 3, 5)
    np.testing.assert_array_equal(Rows()(x)[1, 0], x[0, 1])
    with pytest.raises(ArgumentError, match=r"x: .*\(rows, columns\) or .*, got \(4,\)"):
        Rows()(jnp.zeros((2, 4)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Latency(num_steps=0), "num_steps: must be an integer >= 1 .*, got 0"),
        (lambda: Current(num_steps=0), "num_steps: must be an integer >= 1 .*, got 0"),
        (lambda: Current()(jnp.zeros((1, 4), jnp.int32)), "x: must be uint8 .* got int32"),
        (lambda: Latency(dt=-1.0), "dt: must be a finite number >= 1e-06 .* ms, got -1.0"),
        (lambda: Latency(tau=float("nan")), "tau: must be a finite number > 0.0 ms, got nan"),
        (lambda: Latency(threshold=1.5), r"threshold: must be a finite number >= 0.0 and <= 1.0, got 1.5"),
        (
            lambda: Rate(max_rate=3000.0),
            r"max_rate: .* <= 1000.0 Hz \(at most one spike per step\), got 3000.0",
        ),
        (lambda: Population(fields=2), "fields: must be an integer >= 3, got 2"),
        (lambda: Delta(threshold=0.0), "threshold: must be a finite number > 0.0, got 0.0"),
        (lambda: Latency()(jnp.zeros((1, 4), jnp.int32)), "x: must be uint8 .* got int32"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
