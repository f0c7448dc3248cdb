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
    np.testing.assert_allclose(surrogate.derivative(X, slope), exact, atol=2e-6)


@every
def test_spike_steps_at_zero_and_backpropagates_the_derivative(surrogate):
    x = jnp.array([-1.0, -1e-6, 0.0, 1e-6, 1.0])
    assert surrogate.spike(x, 5.0).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    gradient = jax.vmap(jax.grad(surrogate.spike), (0, None))(X, 5.0)
    np.testing.assert_array_equal(gradient, surrogate.derivative(X, 5.0))


@every
def test_peak_is_one_and_slope_is_the_inverse_width(surrogate):
    assert surrogate.derivative(jnp.float32(0.0), 7.0) == 1.0
    np.testing.assert_allclose(
        surrogate.derivative(X, 10.0), surrogate.derivative(10.0 * X, 1.0), rtol=1e-5, atol=1e-30
    )
    assert (surrogate.derivative(X, 3.0) <= 1.0).all() and (surrogate.derivative(X, 3.0) >= 0.0).all()


@every
def test_slope_is_traced(surrogate):
    spike = jax.jit(jax.grad(surrogate.spike))
    assert spike(jnp.float32(0.1), jnp.float32(2.0)) != spike(jnp.float32(0.1), jnp.float32(3.0))
    assert spike._cache_size() == 1


def test_known_values():
    """Values of the formulas, worked out by hand at x = 0.5, slope = 2 (so slope x = 1)."""
    half = jnp.float32(0.5)
    known = {"inv_square": 0.25, "arctan": 0.5, "sigmoid": 4 * 0.7310586 * 0.2689414, "triangular": 0.0}
    known["gaussian"] = 0.6065307
    for name, value in known.items():
        np.testing.assert_allclose(SURROGATES[name].derivative(half, 2.0), value, rtol=1e-6)


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ArgumentError, match=r"surrogate: .*inv_square.*'relu'"):
        get_surrogate("relu")
