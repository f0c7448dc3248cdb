"""LIF neurons behind a convolution: a matrix of shared weights, written out from the definition, says what they do."""

import dataclasses
import functools
import subprocess
import sys
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, example
from hypothesis import strategies as st
from test_kernels import (
    PATTERNS,
    by_hand,
    close,
    f32,
    flags,
    make_input,
    make_params,
    outputs_and_gradient,
    same_in_three_threads,
)
from tiers import UNOPTIMIZED, drawn

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, Window
from snnlab.surrogate import SURROGATES

T, B = 23, 3
BOTH = ("numba", "reference")
ARCTAN = {"surrogate": SURROGATES["arctan"]}

# Rows and columns of the image, then the window: odd ones, one that leaves pixels out, one as large as the image.
WINDOWS = [
    ((5, 4), {"size": (2, 3)}),
    ((5, 6), {"size": (3, 2), "stride": (2, 1), "padding": (1, 1)}),
    ((7, 5), {"size": (2, 2), "pool": 2}),
    ((4, 4), {"size": (1, 1), "stride": (3, 2)}),
    ((3, 2), {"size": (3, 2)}),
    ((5, 4), {"size": (4, 5), "padding": (3, 4), "pool": 1, "stride": (1, 3)}),
    ((7, 7), {"size": (2, 2), "padding": (1, 0), "pool": 3}),
]


@pytest.fixture(autouse=True)
def numba_backend():
    assert kernels.backend() == "numba"


def make_window(channels, image, options) -> Window:
    return Window(in_shape=(channels, *image), **options)


def written_out(window: Window, channels: int) -> np.ndarray:
    """Where each weight of the matrix `(unit, neuron)` stands in the weights of the window, flat; -1 for none."""
    c_in, rows, columns = window.in_shape
    (out_rows, out_columns), (high, wide), k = window.grid, window.size, window.pool
    place = np.full((c_in, rows, columns, channels, out_rows, out_columns), -1)
    for y, x, i, j in product(range(out_rows), range(out_columns), range(high), range(wide)):
        row, column = y * window.stride[0] + i - window.padding[0], x * window.stride[1] + j - window.padding[1]
        if not (0 <= row < rows // k and 0 <= column < columns // k):
            continue
        for c, o in product(range(c_in), range(channels)):
            cell = np.s_[c, row * k : (row + 1) * k, column * k : (column + 1) * k, o, y, x]
            place[cell] = ((i * wide + j) * c_in + c) * channels + o
    return place.reshape(window.num_units, -1)


def as_matrix(window: Window, kernel) -> np.ndarray:
    place, flat = written_out(window, kernel.shape[1]), np.append(np.ravel(kernel), 0.0)
    return flat[place]


def make_drive(rng, x, window, channels, *, synapse=True, bias=True, delay=0) -> Drive:
    return Drive(
        x=x,
        kernel=f32(rng.normal(0.3, 1.0, (window.fan_in, channels))),
        bias=f32(rng.normal(0.0, 0.1, channels)) if bias else None,
        delay=delay,
        tau_syn=f32(rng.uniform(2.0, 20.0, channels)) if synapse else None,
        window=window,
    )


def run_lif(backend, drive, params, **options):
    out = kernels.lif(drive, params, dt=1.0, backend=backend, **options)
    return {"spikes": out.spikes, "v": out.v, "counts": out.counts}


def expected_spikes(drive, params, reset):
    """Those of the equations in NumPy, with the matrix written out; and how close a voltage came to its threshold."""
    window = drive.window
    dense = {"kernel": as_matrix(window, drive.kernel), "window": None}
    for name in ("bias", "tau_syn"):
        value = getattr(drive, name)
        dense[name] = None if value is None else np.repeat(value, window.pixels)
    each = LifParams(*(np.repeat(value, window.pixels) if np.ndim(value) else value for value in params))
    return by_hand(dataclasses.replace(drive, **dense), each, reset)


EDGE = {"seed": 1, "pattern": "streams", "refractory": True, "synapse": True, "bias": True, "delay": 1}
EDGE |= {"reset": "value", "detach_reset": False, "name": "sigmoid", "per_channel": True, "adapts": True}


@drawn(
    12,
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 18), st.integers(1, 35)),
    place=st.sampled_from(WINDOWS),
    pattern=st.sampled_from(PATTERNS),
    per_channel=flags,
    refractory=flags,
    adapts=flags,
    synapse=flags,
    bias=flags,
    delay=st.integers(0, 3),
    reset=st.sampled_from(["subtract", "value"]),
    detach_reset=flags,
    name=st.sampled_from(list(SURROGATES)),
)
@example(shape=(1, 1, 1, 1), place=WINDOWS[0], **EDGE)
@example(shape=(9, 2, 2, 33), place=WINDOWS[2], **(EDGE | {"delay": 12}))
@example(shape=(9, 2, 2, 33), place=WINDOWS[1], **(EDGE | {"pattern": "steady", "delay": 2}))
@example(shape=(8, 5, 1, 17), place=WINDOWS[3], **(EDGE | {"pattern": "steady", "bias": False, "delay": 0}))
def test_kernel_is_the_reference(
    seed, shape, place, pattern, per_channel, refractory, adapts, synapse, bias, delay, reset, detach_reset, name
):
    """Spikes, voltages, counts, and the gradient of all of them in weights, input and every constant."""
    rng = np.random.default_rng(seed)
    num_steps, batch, c_in, channels = shape
    window = make_window(min(c_in, 18), *place)
    x = make_input(rng, pattern, num_steps, batch, window.num_units)
    drive = make_drive(rng, x, window, channels, synapse=synapse, bias=bias, delay=delay)
    fixed = {} if refractory else {"tau_ref": 0.0}
    params = make_params(rng, channels, per_channel, adapts, **fixed)
    spikes, closest = expected_spikes(drive, params, reset)
    assume(closest > 1e-5)  # otherwise rounding decides whether it is a spike
    options = {"reset": reset, "detach_reset": detach_reset, "surrogate": SURROGATES[name]}

    def run(backend, drive, params):
        return run_lif(backend, drive, params, **options)

    (found, df), (expected, de) = (outputs_and_gradient(run, b, drive, params, seed) for b in BOTH)
    np.testing.assert_array_equal(found["spikes"], spikes)
    np.testing.assert_array_equal(expected["spikes"], spikes)
    close(found, expected)
    close(df, de, 2e-4)


@pytest.mark.parametrize(("image", "options"), WINDOWS)
def test_a_convolution_is_a_matrix_of_shared_weights(image, options):
    """Value and gradient: that of a weight is the sum of those of all entries of the matrix in which it stands."""
    rng = np.random.default_rng(0)
    window, x = make_window(2, image, options), rng.normal(size=(1, 2, 2 * image[0] * image[1]))
    kernel, place = rng.normal(size=(window.fan_in, 3)), written_out(window, 3)
    out, back = jax.vjp(window.convolve, f32(x), f32(kernel))
    np.testing.assert_allclose(out, x @ as_matrix(window, kernel), atol=1e-5)
    weight = rng.normal(size=out.shape)
    d_x, d_kernel = back(f32(weight))
    d_matrix = np.einsum("tbi,tbo->io", x, weight)
    expected = np.bincount(place[place >= 0], d_matrix[place >= 0], kernel.size).reshape(kernel.shape)
    np.testing.assert_allclose(d_kernel, expected, atol=1e-4)
    np.testing.assert_allclose(d_x, weight @ as_matrix(window, kernel).T, atol=1e-4)


# What the second layer is: its window, its delay, whether something else reads the spikes of the first one, too, and
# whether its weights have a place for each of them.
USUAL = [((2, 2), {"pool": 2}, 0, False), ((3, 2), {"padding": (2, 1), "stride": (2, 1)}, 3, False)]
EVERY = [
    ((2, 2), {"pool": 2}, 1, True),
    ((1, 1), {}, 0, False),
    ((2, 3), {"padding": (1, 2), "pool": 2}, 9, False),
    ((3, 3), {"stride": (1, 2)}, 2, True),
]


@pytest.mark.parametrize(
    ("size", "options", "delay", "read_too"),
    [*USUAL, *(pytest.param(*case, marks=pytest.mark.shapes) for case in EVERY)],
)
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("pattern", ["streams", "steady"])
def test_through_layers_of_convolutions(pattern, size, options, delay, read_too, learns):
    """From convolution to convolution to a readout, at one bit a spike: the gradient of every weight and, if they are
    learned, of every constant."""
    rng = np.random.default_rng(delay)
    first = make_window(2, (8, 7), {"size": (3, 2), "padding": (1, 0)})
    second = Window(in_shape=(17, *first.grid), size=size, **options)
    one = make_drive(rng, make_input(rng, pattern, pre=first.num_units), first, 17, bias=learns)
    two = make_drive(rng, f32(np.zeros((T, B, second.num_units))), second, 19, bias=learns, delay=delay)
    two = dataclasses.replace(two, kernel=two.kernel * 0.3)
    params, w_out = make_params(rng, 17), f32(rng.normal(size=(19 * second.pixels, 5)))
    others = make_params(rng, 19)

    def objective(arrays, constants, backend):
        (k1, k2, w_out), (params, others, b1, b2) = arrays, constants
        layer = kernels.lif(dataclasses.replace(one, kernel=k1, bias=b1), params, dt=1.0, backend=backend, **ARCTAN)
        x = layer.spikes if layer.packed is None else layer.packed
        next_one = dataclasses.replace(two, x=x, kernel=k2, bias=b2)
        after = kernels.lif(next_one, others, dt=1.0, backend=backend, **ARCTAN)
        x = after.spikes if after.packed is None else after.packed
        _, peak = kernels.leaky(Drive(x=x, kernel=w_out), f32(5.0), dt=1.0, backend=backend)
        read = (layer.spikes.mean(0) ** 3).sum() if read_too else 0.0
        return (peak**2).mean() + (after.counts**2).mean() + (after.v**2).mean() + (layer.counts**2).mean() + read

    arrays, constants = (one.kernel, two.kernel, w_out), (params, others, one.bias, two.bias)
    value_and_gradient = jax.value_and_grad(objective, (0, 1) if learns else 0)
    a, da = jax.jit(value_and_gradient, static_argnums=2)(arrays, constants, "numba")
    run = jax.jit(value_and_gradient, static_argnums=2, compiler_options=UNOPTIMIZED)
    b, db = run(arrays, constants, "reference")
    np.testing.assert_allclose(a, b, rtol=1e-5)
    close(da, db, 2e-4)
    assert all(map(np.any, map(np.asarray, jax.tree.leaves(da[0] if learns else da))))


def test_spikes_of_another_layout_reach_a_convolution():
    """Of a layer without windows, and of windows over an image with as many pixels, but other rows."""
    rng = np.random.default_rng(0)
    second = make_window(4, (6, 3), {"size": (3, 2), "stride": (2, 1)})
    two = make_drive(rng, f32(np.zeros((T, B, second.num_units))), second, 17)
    plain = Drive(x=make_input(rng, "streams"), kernel=f32(rng.normal(0.3, 1.0, (11, 72))), tau_syn=f32(5.0))
    other = make_window(2, (2, 9), {"size": (1, 1)})
    turned = make_drive(rng, make_input(rng, "streams", pre=other.num_units), other, 4)
    params = LifParams(*map(f32, (9.0, 0.5, 0.0, 0.0, 1.0, 1.0, 5.0)))

    def objective(arrays, backend):
        total = 0.0
        for first, kernel in zip((plain, turned), arrays[:2], strict=True):
            layer = kernels.lif(dataclasses.replace(first, kernel=kernel), params, dt=1.0, backend=backend, **ARCTAN)
            x = layer.spikes if layer.packed is None else layer.packed
            drive = dataclasses.replace(two, x=x, kernel=arrays[2])
            total += (kernels.lif(drive, params, dt=1.0, backend=backend, **ARCTAN).counts ** 2).mean()
        return total

    arrays = plain.kernel, turned.kernel, two.kernel
    found, expected = (jax.jit(jax.value_and_grad(objective), static_argnums=1)(arrays, b) for b in BOTH)
    close(found, expected, 1e-4)


def make_layer(rng, pattern="streams", channels=17):
    window = make_window(2, (6, 5), {"size": (3, 2)})
    return make_drive(rng, make_input(rng, pattern, pre=window.num_units), window, channels), make_params(rng, channels)


def test_events_out_of_range_never_touch_memory():
    """Times and units of any 32-bit value are dropped, whatever the delay."""
    window = make_window(2, (3, 3), {"size": (2, 2), "pool": 1})
    extreme = jnp.asarray(np.int32([[-(2**31), 2**31 - 1, -1, T, 0, 0, 0, 0]] * B))
    units = jnp.asarray(np.int32([[0, 0, 0, 0, -(2**31), 2**31 - 1, -1, 18]] * B))
    events = SpikeTimes(times=extreme, units=units, num_steps=T, num_units=18)
    params = LifParams(*map(f32, (9.0, 0.5, 0.0, 0.0, 1.0, 1.0, 5.0)))
    drive = make_drive(np.random.default_rng(0), events, window, 5, bias=False)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient_and_v(kernel):
        late = [dataclasses.replace(drive, kernel=kernel, delay=delay) for delay in (0, 2, T, T + 5, 2**31)]
        v = jnp.stack([run_lif("numba", one, params, **ARCTAN)["v"] for one in late])
        return v.sum(), v

    assert not any(map(np.any, jax.tree.leaves(jax.tree.map(np.asarray, gradient_and_v(drive.kernel)))))


@pytest.mark.parametrize("backend", BOTH)
def test_a_neuron_that_nothing_reaches_obeys_its_equation(backend):
    """With a bias, v = b (1 - a^(t + 1)); resting above the threshold, it fires at every step; else it rests."""
    window = make_window(1, (3, 3), {"size": (2, 2)})
    silence = SpikeTimes(times=jnp.full((B, 9), -1, jnp.int32), num_steps=T, num_units=9)
    drive = Drive(x=silence, kernel=f32(np.ones((4, 3))), bias=f32([0.0, 0.4, 0.0]), window=window)
    params = LifParams(*map(f32, (10.0, [1.0, 1.0, -1.0], 0.0, -2.0, 1.0, 0.0, 10.0)))
    out = run_lif(backend, drive, params, reset="value", **ARCTAN)
    v, spikes = (np.asarray(out[name]).reshape(T, B, 3, 4) for name in ("v", "spikes"))
    a = np.exp(-1 / 10)
    assert not v[:, :, 0].any() and not spikes[:, :, :2].any()
    np.testing.assert_allclose(v[:, 0, 1, 2], 0.4 * (1 - a ** np.arange(1, T + 1)), rtol=1e-5)
    assert spikes[0, :, 2].all() and np.asarray(out["counts"]).reshape(B, 3, 4)[:, 2].min() >= 1


@pytest.mark.parametrize("name", ["kernel", "bias", "tau_syn", "tau_mem", "r"])
def test_what_is_not_a_number_is_not_lost(name):
    """One bad value of a channel makes all its voltages bad that it reaches, and no other channel."""
    rng = np.random.default_rng(0)
    drive, params = make_layer(rng, "burst")
    bad = np.array(getattr(drive if name in ("kernel", "bias", "tau_syn") else params, name))
    bad[..., 3] = np.nan
    where = {name: f32(bad)}
    drive, params = (
        (dataclasses.replace(drive, **where), params) if hasattr(drive, name) else (drive, params._replace(**where))
    )
    v = np.asarray(run_lif("numba", drive, params, **ARCTAN)["v"]).reshape(T, B, 17, -1)
    assert np.isnan(v[-1, :, 3]).all() and np.isfinite(np.delete(v, 3, 2)).all()


def test_a_constant_current_makes_a_neuron_fire_at_a_known_rate():
    """Behind `I = x W`, from reset: after `n` steps `v = r I (1 - a^n)`, so a reset to 0 is due every
    `n = ceil(ln(1 - v_th / (r I)) / ln a)` steps, and never where `r I <= v_th`."""
    a, steps, threshold = np.exp(-1.0 / 10.0), 60, 0.5
    window = make_window(1, (2, 3), {"size": (1, 1)})
    x, weights = np.array([0.0, 0.2, 0.3, 0.4, 0.7, 1.0]), np.array([[2.0, 1.0, -1.0]])
    current = x[:, None] * weights
    with np.errstate(divide="ignore", invalid="ignore"):
        every = np.ceil(np.log(1.0 - threshold / current) / np.log(a))
    expected = np.where(current > threshold, steps // np.where(current > threshold, every, 1.0), 0.0)
    assert sorted(set(expected.ravel().tolist()))[:1] == [0.0] and expected.max() > 10.0  # silent ones, and quick ones
    drive = Drive(x=Steady(values=f32(x[None]), num_steps=steps), kernel=f32(weights), window=window)
    params = LifParams(*map(f32, (10.0, threshold, 0.0, 0.0, 1.0, 0.0, 10.0)))
    for backend in BOTH:
        counts = run_lif(backend, drive, params, reset="value", **ARCTAN)["counts"]
        np.testing.assert_array_equal(counts[0], expected.T.ravel())


def test_a_moved_image_gives_moved_spikes():
    """A convolution does the same at every place, and at every time."""
    rng = np.random.default_rng(0)
    window = make_window(1, (9, 8), {"size": (3, 2), "stride": (2, 1)})
    drive = make_drive(rng, f32(np.zeros((T, 1, 72))), window, 5, bias=False)
    params = make_params(rng, 5, v_rest=0.0)
    rows, columns, times = rng.integers(0, 5, 20), rng.integers(0, 5, 20), rng.integers(0, T - 4, 20)

    def spikes(down, right, later):
        units = np.int32((rows + down) * 8 + columns + right)[None]
        x = SpikeTimes(times=jnp.asarray(np.int32(times + later)[None]), units=units, num_steps=T, num_units=72)
        out = run_lif("numba", dataclasses.replace(drive, x=x), params, **ARCTAN)["spikes"]
        return np.asarray(out).reshape(T, 5, *window.grid)

    still, moved = spikes(0, 0, 0), spikes(4, 2, 3)
    assert still.sum() > 5
    np.testing.assert_array_equal(moved[3:, :, 2:, 2:], still[:-3, :, :-2, :-2])


def test_same_input_same_bits_however_many_threads():
    rng = np.random.default_rng(0)
    window = make_window(2, (6, 5), {"size": (3, 2)})
    drive = make_drive(rng, make_input(rng, "streams", batch=151, pre=window.num_units), window, 17)
    params = make_params(rng, 17)

    @jax.jit
    @jax.value_and_grad
    def run(kernel):
        return run_lif("numba", dataclasses.replace(drive, kernel=kernel), params, **ARCTAN)["counts"].sum()

    same_in_three_threads(lambda: run(drive.kernel), 10)


def test_under_vmap_and_outside_of_jit():
    drive, params = make_layer(np.random.default_rng(0))

    @jax.value_and_grad
    def run(kernel):
        out = run_lif("numba", dataclasses.replace(drive, kernel=kernel), params, **ARCTAN)
        return out["v"].sum() + out["counts"].sum()

    both = np.stack([drive.kernel, -np.asarray(drive.kernel)])
    mapped, alone = jax.tree.map(np.asarray, jax.jit(jax.vmap(run))(both)), jax.jit(run)
    for k, one in enumerate(both):
        close([part[k] for part in mapped], alone(one), 1e-6)
        close(run(jnp.asarray(one)), alone(one), 1e-6)


def test_what_nobody_reads_is_not_computed():
    """A step that uses counts only holds no array of a value for every neuron and step."""
    rng = np.random.default_rng(0)
    window = make_window(1, (10, 9), {"size": (3, 3)})
    second = Window(in_shape=(16, *window.grid), size=(2, 2), pool=2)
    drive = make_drive(rng, make_input(rng, "random", 211, 7, 90), window, 16, bias=False)
    two, params = (
        make_drive(rng, f32(np.zeros((211, 7, second.num_units))), second, 16, bias=False),
        make_params(rng, 16),
    )

    def objective(kernel):
        out = kernels.lif(dataclasses.replace(drive, kernel=kernel), params, dt=1.0, backend="numba", **ARCTAN)
        after = run_lif("numba", dataclasses.replace(two, x=out.packed), params, **ARCTAN)
        return (after["counts"] ** 2).sum()

    compiled = jax.jit(jax.grad(objective)).lower(drive.kernel).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4 * 211 * 7 * 16 * window.pixels


def test_no_convolution_no_compilation():
    """Networks without windows do not wait for kernels that they do not need."""
    code = """
import sys, jax.numpy as jnp
from snnlab import kernels
kernels.project(jnp.ones((3, 2, 4)), jnp.ones((4, 5)), backend="numba")
print([name for name in sys.modules if name.startswith("snnlab.kernels.cpu") and "conv" in name])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_window(1, (3, 3), {"size": (4, 2)}), r"window: \(4, 2\) does not fit into \(3, 3\) pixels"),
        (lambda: make_window(1, (3, 3), {"size": (1, 1), "pool": 4}), "pool: cells of 4 x 4 do not fit"),
        (lambda: make_window(1, (3, 3), {"size": (2, 2), "padding": (2, 0)}), r"padding: must be less than the window"),
        (lambda: make_window(1, (3, 3), {"size": (2, 2), "stride": (0, 1)}), "stride: must be"),
        (lambda: make_window(1, (3, 3), {"size": (2, 2)}).flat(jnp.ones((4, 1))), "window: has 4 places"),
        (
            lambda: run_lif(
                "numba",
                dataclasses.replace(
                    make_layer(np.random.default_rng(0))[0], x=make_input(np.random.default_rng(0), "streams")
                ),
                make_params(np.random.default_rng(0), 17),
                **ARCTAN,
            ),
            r"x: has 11 units, the window has an input of \(2, 6, 5\)",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
