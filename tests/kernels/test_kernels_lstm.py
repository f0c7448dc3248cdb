"""The LSTM kernel computes what the specification says, value and gradient, wherever JAX may call it from."""

import functools
import itertools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import strategies as st
from tiers import UNOPTIMIZED, drawn

from snnlab import kernels
from snnlab.errors import ArgumentError
from snnlab.kernels import reference

T, B, P, N = 7, 11, 5, 3

lstm = functools.partial(kernels.lstm, backend="numba")


def make(seed=0, *, steps=T, batch=B, pre=P, n=N, gain=1.0, dtype=np.float32):
    """x, w_x, w_h, bias, and a weight for every output, of which a loss is the weighted sum."""
    rng = np.random.default_rng(seed)
    shapes = [(steps, batch, pre), (pre, 4 * n), (n, 4 * n), (4 * n,)]
    deviations = [1.0, gain / pre**0.5, gain / n**0.5, gain]
    values = [rng.normal(0.0, deviation, shape) for deviation, shape in zip(deviations, shapes, strict=True)]
    arrays = [jnp.asarray(v.astype(dtype)) for v in (*values, rng.normal(size=(steps, batch, n)))]
    return tuple(arrays[:4]), arrays[4]


@functools.cache
def both(function):
    """Value, and gradient of the loss in all inputs; compiled once for every shape."""

    def run(inputs, weights):
        value, pull = jax.vjp(function, *inputs)
        return value, pull(weights)

    return jax.jit(run, compiler_options=UNOPTIMIZED if function is reference.lstm else None)


def assert_close(found, expected, tolerance=1e-5):
    """Relative to the largest value."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0.0, atol=tolerance * np.abs(other).max(initial=1e-30))


# Steps, batch, inputs, units: around whole vectors of 16 and whole blocks of 8. Few, for XLA compiles each of them.
SIZES = [(2, 3, 5, 7), (3, 4, 1, 16), (5, 13, 3, 17), (6, 8, 19, 2), (2, 37, 11, 33)]


@drawn(20, seed=st.integers(0, 2**31), shape=st.sampled_from(SIZES), gain=st.floats(0.01, 2.0))
def test_value_and_gradient_are_those_of_the_reference(seed, shape, gain):
    inputs, weights = make(seed, **dict(zip(("steps", "batch", "pre", "n"), shape, strict=True)), gain=gain)
    assert_close(both(lstm)(inputs, weights), both(reference.lstm)(inputs, weights))


@pytest.mark.parametrize(
    "sizes",
    [
        {"steps": 1, "batch": 1, "pre": 1, "n": 1},
        {"steps": 5, "batch": 257, "pre": 28, "n": 100},  # blocks of the batch that do not come out even
    ],
)
def test_sizes_at_the_edges(sizes):
    inputs, weights = make(**sizes)
    expected = both(reference.lstm)(inputs, weights)
    assert_close(lstm(*inputs), expected[0])
    assert_close(both(lstm)(inputs, weights), expected)


def differences(inputs, weights, step=1e-5):
    """Central differences of the loss in every entry of every input, by the reference in float64."""
    inputs = [np.asarray(value, np.float64) for value in inputs]
    sizes = np.cumsum([0] + [value.size for value in inputs])

    def loss(flat):
        parts = [flat[a:b].reshape(v.shape) for (a, b), v in zip(itertools.pairwise(sizes), inputs, strict=True)]
        return (reference.lstm(*parts) * weights).sum()

    start = np.concatenate([value.ravel() for value in inputs])
    moves = step * np.eye(len(start))
    change = np.asarray(jax.jit(jax.vmap(loss))(np.concatenate([start + moves, start - moves])))
    slopes = (change[: len(start)] - change[len(start) :]) / (2 * step)
    return [slopes[a:b].reshape(v.shape) for (a, b), v in zip(itertools.pairwise(sizes), inputs, strict=True)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-8)])
def test_gradient_is_the_slope_of_the_value(dtype, tolerance):
    with jax.enable_x64(True):
        inputs, weights = make(3, batch=2, dtype=dtype)
        found = both(lstm)(inputs, weights)[1]
        assert all(part.dtype == dtype for part in found)
        assert_close(found, differences(inputs, weights), tolerance)


def test_double_precision():
    with jax.enable_x64(True):
        inputs, weights = make(dtype=np.float64)
        found = both(lstm)(inputs, weights)
        assert found[0].dtype == jnp.float64
        assert_close(found, both(reference.lstm)(inputs, weights), 1e-11)


def test_the_gates_are_exact_over_the_whole_range():
    """One step from rest: `h = sigmoid(o) tanh(sigmoid(i) tanh(g))`; each gate is fed by an input of its own."""
    x = (
        np.random.default_rng(0).normal(0.0, 1.0, (1, 4096, 4)).astype(np.float32)
        * np.geomspace(1e-3, 60.0, 4096)[:, None]
    )
    x = np.float32(x)
    i, _, g, o = np.moveaxis(np.float64(x), -1, 0)
    expected = np.tanh(np.tanh(g) / (1.0 + np.exp(-i))) / (1.0 + np.exp(-o))
    found = jax.jit(lstm)(x, np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32), np.zeros(4, np.float32))[..., 0]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-37)


def test_samples_are_independent_and_nan_is_not_swallowed():
    inputs, weights = make()
    expected, _ = both(lstm)(inputs, weights)
    x, w_x, w_h, bias = map(np.array, inputs)
    x[2, 4, 1] = np.nan
    found, gradient = jax.tree.map(np.asarray, both(lstm)((x, *inputs[1:]), weights))
    assert np.isnan(found[2:, 4]).all()
    np.testing.assert_array_equal(np.delete(found, 4, 1), np.delete(expected, 4, 1))
    np.testing.assert_array_equal(found[:2, 4], np.asarray(expected)[:2, 4])
    assert all(np.isnan(part).any() for part in gradient)
    for k in range(4 * N):  # whichever gate it is in
        spoiled = np.where(np.arange(4 * N) == k, np.float32(np.nan), bias)
        found, _ = both(lstm)((inputs[0], w_x, w_h, spoiled), weights)
        assert np.isnan(np.asarray(found)[0, :, k % N]).all()


@pytest.mark.parametrize("some", [(0,), (1,), (2,), (3,), (0, 3), (1, 2)])
def test_gradient_in_some_inputs_only(some):
    inputs, weights = make()
    _, expected = both(reference.lstm)(inputs, weights)
    found = jax.jit(jax.grad(lambda *inputs: (lstm(*inputs) * weights).sum(), some))(*inputs)
    assert_close(found, tuple(expected[k] for k in some))


def test_same_input_same_bits():
    inputs, weights = make(batch=101, n=37)
    runs = [both(lstm)(inputs, weights) for _ in range(5)]
    for found in runs[1:]:
        jax.tree.map(np.testing.assert_array_equal, found, runs[0])


@pytest.mark.parametrize("axes", [(0, None, None, None), (None, 0, 0, 0), (2, 1, 0, 0)])
def test_under_vmap(axes):
    """Over inputs, over weights, over both: as one after the other."""
    cases, weights = [make(seed)[0] for seed in range(3)], make()[1]
    one_by_one = [[cases[0][k] if axis is None else case[k] for k, axis in enumerate(axes)] for case in cases]
    inputs = [cases[0][k] if axis is None else np.stack([c[k] for c in cases], axis) for k, axis in enumerate(axes)]
    found = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda *inputs: both(lstm)(inputs, weights), axes))(*inputs))
    for k, case in enumerate(one_by_one):
        expected = both(reference.lstm)(tuple(case), weights)
        assert_close(jax.tree.map(lambda part, k=k: part[k], found), expected)


def test_under_scan_checkpoint_and_stop_gradient():
    inputs, weights = make()
    expected = both(reference.lstm)(inputs, weights)

    def by_sample(x, *rest):
        h = jax.lax.scan(lambda carry, x: (carry, lstm(x[:, None], *rest)[:, 0]), 0, x.swapaxes(0, 1))[1]
        return h.swapaxes(0, 1)

    assert_close(both(by_sample)(inputs, weights), expected)
    assert_close(both(jax.checkpoint(lstm))(inputs, weights), expected)
    _, stopped = both(lambda *inputs: jax.lax.stop_gradient(lstm(*inputs)))(inputs, weights)
    assert not any(map(np.any, map(np.asarray, stopped)))


class Net(nnx.Module):
    """Two layers: the gradient reaches the weights of the first through the input of the second."""

    def __init__(self):
        self.weights = nnx.List([nnx.Param(value) for value in (*make(1)[0][1:], *make(2, pre=N)[0][1:])])

    def __call__(self, x, function):
        w = [value[...] for value in self.weights]
        return function(function(x, *w[:3]), *w[3:])


def test_inside_a_module():
    (x, *_), weights = make()

    def run(function):
        return nnx.jit(nnx.grad(lambda net: (net(x, function) * weights).sum()))(Net())

    assert_close(run(lstm), run(reference.lstm))


def test_one_program_for_all_values():
    run = jax.jit(jax.grad(lambda inputs: lstm(*inputs).sum()))
    for seed in range(4):
        run(make(seed)[0])
    assert run._cache_size() == 1


def test_from_two_threads_at_once():
    cases = [make(seed, batch=41, n=31) for seed in range(2)]
    expected = [jax.tree.leaves(both(lstm)(*case)) for case in cases]
    wrong: list[int] = []

    def work(k):
        for _ in range(100):
            if not all(map(np.array_equal, jax.tree.leaves(both(lstm)(*cases[k])), expected[k])):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


def test_large_weights_take_the_reference():
    inputs, _ = make(steps=2, batch=3, pre=2, n=400)
    np.testing.assert_array_equal(*(jax.jit(function)(*inputs) for function in (lstm, reference.lstm)))


def test_forward_mode_is_that_of_the_reference():
    inputs, _ = make()
    np.testing.assert_array_equal(*(jax.jvp(function, inputs, inputs)[1] for function in (lstm, reference.lstm)))


def test_what_does_not_fit_is_said():
    x, w_x, w_h, bias = map(np.asarray, make()[0])
    for wrong in [
        (x[..., 1:], w_x, w_h, bias),
        (x, w_x[:, 1:], w_h, bias),
        (x, w_x, w_h, bias[1:]),
        (x, w_x, w_h[1:], bias),
    ]:
        with pytest.raises(ArgumentError, match="w_x, w_h, bias: must be"):
            lstm(*wrong)
