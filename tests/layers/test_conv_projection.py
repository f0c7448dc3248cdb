"""`ConvProjection`: neurons that share the weights of a window, alone, in stacks, and with parts of your own."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import check_learning, priced_entropy
from tiers import UNOPTIMIZED

from snnlab import kernels
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.layers import IF, ConvProjection, Expon, Leaky, LifRef, Projection, Stack
from snnlab.record import Trace
from snnlab.surrogate import SURROGATES, Surrogate

T, B = 23, 3
IMAGE = (2, 7, 6)


def spikes(image=IMAGE, seed=0, batch=B):
    units = math.prod(image)
    times = np.random.default_rng(seed).integers(-2, T + 5, (batch, units))
    return SpikeTimes(times=jnp.asarray(np.int32(times)), num_steps=T, num_units=units)


def make_net(**options):
    """Events in, packed spikes from one convolution to the next, and a readout of pooled spikes."""
    rngs = nnx.Rngs(0)
    a = ConvProjection(IMAGE, LifRef(17, v_th=0.3), window=(2, 3), synapse=Expon(17), rngs=rngs, **options)
    neuron = LifRef(5, v_th=nnx.Param(np.linspace(0.2, 0.4, 5)), reset="value", tau_ref=2.0)
    b = ConvProjection(a.out_shape, neuron, window=2, pool=2, padding=1, synapse=Expon(5), delay=1, rngs=rngs)
    readout = ConvProjection(b.out_shape, Leaky(2), window=(2, 1), pool=2, synapse=Expon(2), rngs=rngs)
    return Stack(a=a, b=b, readout=readout)


def task():
    """Two classes of images, whose left or right half is early."""
    labels = np.arange(8) % 2
    early = (np.arange(6) < 3)[None, None] != labels[:, None, None, None]
    times = np.random.default_rng(0).integers(0, T // 2, (8, *IMAGE)) + early * (T // 2)
    x = SpikeTimes(times=jnp.asarray(np.int32(times.reshape(8, -1))), num_steps=T, num_units=math.prod(IMAGE))
    return x, jnp.asarray(np.int32(labels))


def test_both_backends_have_the_same_gradient(monkeypatch):
    graphdef, params, rest = nnx.split(make_net(use_bias=True), nnx.Param, ...)
    (x, y), found = task(), []
    for backend in ("numba", "reference"):
        monkeypatch.setenv("SNNLAB_KERNELS", backend)
        value_and_gradient = jax.value_and_grad(lambda params: priced_entropy(nnx.merge(graphdef, params, rest), x, y))
        options = UNOPTIMIZED if backend == "reference" else None
        found.append(jax.tree.leaves(jax.jit(value_and_gradient, compiler_options=options)(params)))
    for f, e in zip(*found, strict=True):
        np.testing.assert_allclose(f, e, atol=1e-4 * (1e-6 + np.abs(e).max()), rtol=0)


def test_a_stack_learns_and_is_traced_once():
    check_learning(make_net(), *task())


@pytest.mark.parametrize("name", ["gaussian"])
def test_bptt_against_finite_differences(name):
    """Float64, with the antiderivative in place of the step: the gradient in every weight and constant, measured."""
    smooth = SURROGATES[name].smooth
    surrogate = Surrogate(spike=smooth, derivative=SURROGATES[name].derivative, smooth=smooth)
    neuron = LifRef(3, tau_mem=np.linspace(5, 20, 3), v_th=0.3, slope=4.0, v_scale=0.3, surrogate=surrogate)
    layer = ConvProjection(
        (2, 5, 4), neuron, window=2, stride=(1, 2), padding=1, pool=1, synapse=Expon(3), use_bias=True, rngs=nnx.Rngs(0)
    )
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        graphdef, state = nnx.split(layer)
        state = jax.tree.map(np.float64, state)
        direction = jax.tree.map(lambda v: rng.normal(size=v.shape), state)
        direction["neuron"]["v_scale"][...] = 0.0  # no gradient flows through it
        x = jnp.asarray(rng.normal(0.3, 1.0, (T, B, 40)))

        def objective(state):
            trace = nnx.merge(graphdef, state)(x)
            return (trace.spikes.max(0) ** 2).sum() + (trace.state**2).mean() + (trace.current**2).mean()

        value_and_gradient = jax.jit(jax.value_and_grad(objective))

        def moved(eps):
            return float(value_and_gradient(jax.tree.map(lambda v, d: v + eps * d, state, direction))[0])

        numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
        slopes = jax.tree.map(lambda g, d: (np.asarray(g) * d).sum(), value_and_gradient(state)[1], direction)
        np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), numeric, rtol=1e-5)


class Own(nnx.Module):
    """Neurons of a user: what they do is known, and that the layer does not know them."""

    def __init__(self, inner):
        self.inner, self.features = inner, inner.features

    def __call__(self, current):
        out = self.inner(current)
        return out._replace(packed=None, current=None) if isinstance(out, Trace) else out


def test_neurons_and_synapses_of_your_own_see_channels():
    """One that does what `LifRef` does, with a value per channel, gives the spikes of `LifRef`."""
    tau, v_th = np.linspace(5.0, 20.0, 4), np.linspace(0.2, 0.5, 4)
    make = {"window": 3, "stride": 2, "rngs": nnx.Rngs(0)}
    known = ConvProjection(IMAGE, LifRef(4, tau_mem=tau, v_th=v_th), synapse=Expon(4, tau_syn=tau), **make)
    own = ConvProjection(IMAGE, Own(LifRef(4, tau_mem=tau, v_th=v_th)), synapse=Own(Expon(4, tau_syn=tau)), **make)
    own.kernel[...] = known.kernel[...]
    a, b = known(spikes()), own(spikes())
    assert a.counts.sum() > 10
    np.testing.assert_array_equal(a.spikes, b.spikes)
    np.testing.assert_array_equal(a.counts, b.counts)
    np.testing.assert_allclose(a.state, b.state, atol=1e-5)


def test_a_window_as_large_as_the_image_is_a_projection():
    conv = ConvProjection(IMAGE, LifRef(5, v_th=0.1), window=(7, 6), synapse=Expon(5), use_bias=True, rngs=nnx.Rngs(0))
    dense = Projection(84, LifRef(5, v_th=0.1), synapse=Expon(5), use_bias=True, rngs=nnx.Rngs(0))
    dense.kernel[...] = conv.kernel[...].reshape(7, 6, 2, 5).transpose(2, 0, 1, 3).reshape(84, 5)
    a, b = conv(spikes()), dense(spikes())
    assert conv.out_shape == (5, 1, 1) and a.counts.sum() > 5
    np.testing.assert_array_equal(a.spikes, b.spikes)


def test_leaky_neurons_at_every_place():
    """One spike in the corner reaches the first place only, with the weight in the corner of each filter."""
    x = SpikeTimes(times=jnp.zeros((1, 1), jnp.int32), units=jnp.zeros((1, 1), jnp.int32), num_steps=T, num_units=12)
    layer = ConvProjection((3, 4), Leaky(2, tau_mem=[5.0, 7.0]), window=2, rngs=nnx.Rngs(0))
    traces = np.asarray(layer(x).state).reshape(T, 2, 2, 3)
    for channel, tau in enumerate((5.0, 7.0)):
        expected = layer.kernel[0, channel] * np.exp(-np.arange(T) / tau)
        np.testing.assert_allclose(traces[:, channel, 0, 0], expected, rtol=1e-5)
    assert not traces[:, :, 0, 1:].any() and not traces[:, :, 1].any()


def test_if_neurons_behind_a_convolution_count():
    """Without leak and synapse, a neuron fires once for each unit of voltage that arrived."""
    layer = ConvProjection((3, 4), IF(1), window=2, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.full((4, 1), 0.5)
    x = SpikeTimes(times=jnp.asarray(np.int32(np.arange(12)[None])), num_steps=T, num_units=12)
    assert layer(x).spikes.sum(0).tolist() == [[2.0] * 6]


def test_real_numbers_in_and_dense_spikes_are_the_same():
    layer = make_net().layers["a"]
    sparse, dense = layer(spikes()), layer(spikes().dense())
    np.testing.assert_array_equal(sparse.spikes, dense.spikes)
    np.testing.assert_allclose(sparse.current, dense.current, atol=1e-5)
    stronger = dataclasses.replace(spikes(), strength=2.0)
    np.testing.assert_array_equal(layer(stronger).spikes, layer(2.0 * spikes().dense()).spikes)


def test_the_packed_spikes_are_the_spikes():
    trace = make_net().layers["a"](spikes())
    if kernels.backend() == "numba":
        lanes = (np.asarray(trace.packed.bits)[..., None] >> np.arange(16)) & 1  # sample, tile, step, lane
        by_pixel = lanes.reshape(B, 6 * 4, 2, T, 16).transpose(3, 0, 2, 4, 1).reshape(T, B, 32, 24)[:, :, :17]
        np.testing.assert_array_equal(by_pixel.reshape(T, B, -1), trace.spikes)


def test_default_weights_have_their_deviation():
    layer = ConvProjection((8, 9, 9), LifRef(64), window=5, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(np.asarray(layer.kernel[...]).std(), np.sqrt(2 / 200), rtol=0.02)
    shapes = nnx.eval_shape(lambda: ConvProjection((28, 28), LifRef(7), window=3, use_bias=True, rngs=nnx.Rngs(0)))
    assert (shapes.kernel.shape, shapes.bias.shape) == ((9, 7), (7,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_shape": (3,), "window": 2}, r"in_shape: must be \(channels, rows, columns\) or \(rows, columns\)"),
        ({"in_shape": (5, 0), "window": 2}, "in_shape: must be"),
        ({"window": (2, 2, 2)}, "window: must be one number, or one for rows and one for columns"),
        ({"window": 9}, r"window: \(9, 9\) does not fit"),
        ({"window": 2, "stride": 0}, "stride: must be"),
        ({"window": 2, "padding": 2}, "padding: must be less than the window"),
        ({"window": 2, "pool": 9}, "pool: cells of 9 x 9"),
        ({"window": 2, "pool": 0}, "pool: must be"),
        ({"window": 2, "synapse": Expon(5)}, "synapse: has 5 features, the neuron has 3"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given = {"in_shape": (5, 4), "neuron": LifRef(3)} | arguments
    with pytest.raises(ArgumentError, match=message):
        ConvProjection(given.pop("in_shape"), given.pop("neuron"), rngs=nnx.Rngs(0), **given)


def test_an_image_of_another_size_is_refused():
    layer = ConvProjection((5, 4), LifRef(3), window=2, rngs=nnx.Rngs(0))
    with pytest.raises(ArgumentError, match="x: has 19 units, this layer was built with in_features=20"):
        layer(jnp.zeros((T, B, 19)))
