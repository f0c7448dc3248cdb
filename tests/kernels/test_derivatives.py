"""Forward mode and second derivatives, which the kernels do not have, agree with gradients and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import kernels, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.errors import StateError

NETWORKS = {"snn": SnnConfig(hidden=9, num_steps=12, v_th=0.2), "lstm": LstmConfig(hidden=5)}


def objective(name: str):
    """A function of the parameters of a network, the parameters, and a direction."""
    net = models.build(NETWORKS[name], sample_shape=(6, 6), num_classes=3)
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 6, 6)), jnp.float32)
    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32), params)
    return lambda params: (nnx.merge(graph, params, rest)(x).readout ** 2).mean(), params, direction


def along(one, other):
    """The scalar product of two trees."""
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("name", ["lstm", pytest.param("snn", marks=pytest.mark.endure)])
def test_forward_mode_is_the_gradient_along_a_direction(name):
    assert kernels.backend() == "numba"
    f, params, direction = objective(name)
    gradient = jax.jit(jax.grad(f))(params)
    assert "snnlab_" in str(jax.make_jaxpr(jax.grad(f))(params))  # by a kernel
    found = jax.jit(lambda v: jax.jvp(f, (params,), (v,))[1])(direction)
    assert abs(found) > 1e-4
    np.testing.assert_allclose(found, along(gradient, direction), rtol=1e-4)


@pytest.mark.endure
def test_hessian_vector_products_are_differences_of_gradients():
    f, params, direction = objective("lstm")
    step = 1e-2
    there = jax.tree.map(lambda p, v: p + step * v, params, direction)
    back = jax.tree.map(lambda p, v: p - step * v, params, direction)
    gradient = jax.jit(jax.grad(f))
    expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), gradient(there), gradient(back))
    products = {
        "forward over reverse": jax.jit(lambda v: jax.jvp(jax.grad(f), (params,), (v,))[1]),
        "reverse over reverse": jax.jit(lambda v: jax.grad(lambda p: along(jax.grad(f)(p), v))(params)),
    }
    for product in products.values():
        for a, b in zip(jax.tree.leaves(product(direction)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-2 * float(jnp.abs(b).max()))


def test_where_jit_hides_it_the_error_names_the_switch():
    f, params, direction = objective("lstm")
    with pytest.raises(StateError, match="set the environment variable SNNLAB_KERNELS=reference"):
        jax.jvp(jax.jit(jax.grad(f)), (params,), (direction,))
