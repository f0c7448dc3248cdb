"""Weights from theory, against simulations that know nothing of it."""

import jax
import numpy as np
import pytest
from jax.nn import initializers

from snnlab.layers.fluctuations import Heard, Membrane

STEPS = 60
CASES = [(10.0, 10.0, 1.0), (20.0, 5.0, 0.5), (7.0, 0.0, 1.0), (0.0, 12.0, 2.0)]


def membrane(tau_mem=10.0, tau_syn=10.0, dt=1.0, gap=1.0, num_steps=STEPS):
    return Membrane(tau_mem=tau_mem, tau_syn=tau_syn, gap=gap, dt=dt, num_steps=num_steps)


def left(tau, dt):
    return np.exp(-dt / tau) if tau else 0.0


def voltages(arriving, tau_mem, tau_syn, dt):
    """Take one step after the other: synapse, then membrane, as `dynamics.lif_step` says."""
    g = v = np.zeros(arriving.shape[1:])
    out = []
    for x in arriving:
        g = g * left(tau_syn, dt) + x
        v = v * left(tau_mem, dt) + (1.0 - left(tau_mem, dt)) * g
        out.append(v)
    return np.stack(out)


@pytest.mark.parametrize(("tau_mem", "tau_syn", "dt"), CASES)
def test_the_response_to_a_spike(tau_mem, tau_syn, dt):
    spike = np.zeros((STEPS, 1))
    spike[0] = 1.0
    expected = voltages(spike, tau_mem, tau_syn, dt)[:, 0]
    np.testing.assert_allclose(membrane(tau_mem, tau_syn, dt).response(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("tau_mem", "tau_syn", "dt"), CASES)
def test_voltages_deviate_as_the_weights_say(tau_mem, tau_syn, dt):
    """Thousands of neurons that hear random spikes of uneven inputs, through weights of the deviation in question."""
    rng, inputs, gap = np.random.default_rng(0), 40, 2.5
    rates = rng.uniform(5.0, 60.0, inputs)
    heard = Heard(rate=float(rates.mean()), square=float((rates**2).mean()))
    draw = membrane(tau_mem, tau_syn, dt, gap=gap).weights(heard, share=0.8)
    deviations = []
    for trial in range(40):
        w = np.asarray(draw(jax.random.key(trial), (inputs, 100)))
        spikes = rng.random((STEPS, inputs)) < rates * dt / 1000.0
        deviations.append((voltages(spikes @ w, tau_mem, tau_syn, dt) ** 2).mean())
    assert np.mean(deviations) == pytest.approx(0.8 * gap**2, rel=0.1)


def test_inputs_that_fire_once():
    """Each of them fires at a step that is drawn evenly; the mean square of the voltage is counted over all steps."""
    rng, share, trials = np.random.default_rng(1), 0.3, 4000
    spikes = np.zeros((STEPS, trials))
    spikes[rng.integers(0, STEPS, trials), np.arange(trials)] = rng.random(trials) < share
    expected = (voltages(spikes, 10.0, 5.0, 1.0) ** 2).mean()
    assert membrane(10.0, 5.0).mean_square(Heard.once(share, float(STEPS))) == pytest.approx(expected, rel=0.05)


def test_the_rates_of_slow_voltages():
    """A neuron under the constant voltage x fires (x - 1/2) / tau_mem times, if x is above 1; counted over many."""
    x = np.random.default_rng(2).standard_normal(2_000_000)
    rates = np.where(x > 1.0, (x - 0.5) / 0.02, 0.0)  # tau_mem = 20 ms
    heard = Heard.slow(20.0)
    assert heard.rate == pytest.approx(rates.mean(), rel=0.01)
    assert heard.square == pytest.approx((rates**2).mean(), rel=0.02)
    four = Heard.slow(20.0, 4)  # alike
    assert four.rate == pytest.approx(4.0 * heard.rate, rel=1e-3) and four.square == pytest.approx(
        16 * heard.square, rel=1e-3
    )


def test_where_no_spike_moves_a_voltage_the_weights_are_those_of_he():
    w = membrane(tau_mem=np.inf).weights(Heard.steady(15.0))(jax.random.key(0), (30, 20))
    np.testing.assert_allclose(w, initializers.he_normal()(jax.random.key(0), (30, 20)), rtol=1e-6)
