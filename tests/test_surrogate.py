"""A surrogate is the derivative of its antiderivative, has peak 1, and steps forward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.errors import ArgumentError
from snnlab.surrogate import SURROGATES, get_surrogate

X = np.linspace(-2.0, 2.0, 41, dtype=np.float32) + np.float32(0.013)  # off the kinks of the triangle
every = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES.keys())


@every
@pytest.mark.parametrize("slope", [0.7, 5.0, 100.0])
def test_derivative_is_that_of_the_antiderivative(surrogate, slope):
    exact = jax.jit(jax.vmap(jax.grad(surrogate.smooth), (0, None)))(X, slope)
    np.testing.assert_allclose(surrogate.derivative(X, slope), exact, atol=2e-6 + 3e-7 * slope)  # slope x is rounded


@every
def test_spike_steps_at_zero_and_backpropagates_the_derivative(surrogate):
    x = jnp.array([-1.0, -1e-6, 0.0, 1e-6, 1.0])
    assert surrogate.spike(x, 5.0).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    gradient = jax.vmap(jax.grad(surrogate.spike), (0, None))(X, 5.0)
    np.testing.assert_allclose(gradient, surrogate.derivative(X, 5.0), rtol=1e-6, atol=1e-7)


SIGNED = {"multi_gaussian", "square_wave"}
SLOPELESS = {"leaky_relu", "straight_through"}


@every
def test_it_is_one_at_the_threshold_and_nowhere_larger(surrogate):
    assert surrogate.derivative(jnp.float32(0.0), 7.0) == pytest.approx(1.0, abs=1e-6)
    assert (abs(surrogate.derivative(X, 3.0)) <= 1.0).all()


@pytest.mark.parametrize("name", SURROGATES)
def test_only_two_are_negative_in_places(name):
    assert (SURROGATES[name].derivative(X, 9.0) < 0.0).any() == (name in SIGNED)


@pytest.mark.parametrize("name", SURROGATES)
def test_slope_is_the_inverse_width(name):
    derivative = SURROGATES[name].derivative
    np.testing.assert_allclose(derivative(X, 10.0), derivative(10.0 * X, 1.0), rtol=1e-5, atol=2e-6)
    assert (derivative(X, 10.0) == derivative(X, 3.0)).all() == (name in SLOPELESS)


@every
def test_not_a_number_stays_one(surrogate):
    assert np.isnan(surrogate.derivative(jnp.float32(np.nan), 5.0))


@every
def test_slope_is_traced(surrogate):
    spike = jax.jit(jax.grad(surrogate.spike))
    for slope in (2.0, 3.0):
        assert spike(jnp.float32(0.1), jnp.float32(slope)) == pytest.approx(
            float(surrogate.derivative(0.1, slope)), rel=1e-6
        )
    assert spike._cache_size() == 1


SIDE = 0.15 / 6 * (1 + np.exp(-0.5 * (2 / 6) ** 2))  # the lobes at y = 1
KNOWN = {
    "inv_square": (0.25, 1 / 9),
    "arctan": (0.5, 0.2),
    "sigmoid": (4 * 0.7310586 * 0.2689414, 4 * 0.8807971 * 0.1192029),
    "triangular": (0.0, 0.0),
    "gaussian": (0.6065307, 0.1353353),
    "exponential": (0.3678794, 0.1353353),
    "boxcar": (1.0, 0.0),
    "reciprocal": (0.5, 1 / 3),
    "secant": (1.0, 0.5),
    "circular": (2**-1.5, 5**-1.5),
    "multi_gaussian": ((1.15 * 0.6065307 - SIDE) / (1.15 - 0.05 * np.exp(-1 / 72)), None),
    "s2nn": (0.5, 1 / 3),
    "leaky_boxcar": (1.0, 0.01),
    "log_tailed": (1.0, 0.5),
    "leaky_relu": (1.0, 1.0),
    "square_wave": ((np.cos(1) + np.cos(3)) / 2, (np.cos(2) + np.cos(6)) / 2),
    "straight_through": (1.0, 1.0),
}
BELOW = {"s2nn": 4 * 0.9820138 * 0.0179862, "log_tailed": 0.0, "leaky_relu": 0.1}  # at y = -1; the others are even


@pytest.mark.parametrize("name", SURROGATES)
def test_known_values(name):
    """Values of the formulas, worked out by hand at y = slope x = 1, 2 and -1, with a slope of 2."""
    derivative, (at_one, at_two) = SURROGATES[name].derivative, KNOWN[name]
    np.testing.assert_allclose(derivative(jnp.float32(0.5), 2.0), at_one, rtol=1e-6)
    np.testing.assert_allclose(derivative(jnp.float32(-0.5), 2.0), BELOW.get(name, at_one), rtol=2e-6)
    if at_two is not None:
        np.testing.assert_allclose(derivative(jnp.float32(1.0), 2.0), at_two, rtol=1e-6)


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ArgumentError, match=r"surrogate: .*inv_square.*'relu'"):
        get_surrogate("relu")
