"""`BatchNorm`: the textbook's formula and gradient in training, running averages in the weights afterwards."""

import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.layers import BatchNorm, ConvProjection, Expon, Leaky, LifRef, Projection, Stack
from snnlab.record import Record

T, B, IMAGE = 10, 5, (2, 6, 4)
UNITS, EPSILON = 48, 1e-5


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def inputs() -> dict:
    """One input in each of its forms; packed spikes are those of a layer before, see `make_net`. In training, a
    convolution of events is computed event by event, unless they have few steps."""
    times = jnp.asarray(np.random.default_rng(1).integers(-1, T + 2, (B, UNITS)), jnp.int32)
    return {
        "events": SpikeTimes(times=times, num_steps=T, num_units=UNITS),
        "few steps": SpikeTimes(times=times, num_steps=3, num_units=UNITS),
        "steady": Steady(values=drawn(B, UNITS), num_steps=T),
        "dense": drawn(T, B, UNITS),
    }


def make_layer(kind: str, **options):
    rngs, norm = nnx.Rngs(0), BatchNorm(17)
    norm.scale[...], norm.offset[...] = 1.0 + 0.1 * drawn(17, seed=2), 0.1 * drawn(17, seed=3)
    if kind == "full":
        return Projection(UNITS, LifRef(17, v_th=0.3), synapse=Expon(17), norm=norm, rngs=rngs, **options)
    window = {"slides": 2, "sees all": (3, 2)}[kind]
    return ConvProjection(
        IMAGE, LifRef(17, v_th=0.3), window=window, pool=2, synapse=Expon(17), norm=norm, rngs=rngs, **options
    )


def weighed(layer, x) -> np.ndarray:
    """What arrives without the norm, in double precision: `(time, batch, channel, place)`."""
    dense = np.asarray(x if isinstance(x, jnp.ndarray) else x.dense(), np.float64)
    kernel = np.asarray(layer.kernel[...], np.float64)
    if not isinstance(layer, ConvProjection):
        return (dense @ kernel)[..., None]
    cells = dense.reshape(-1, B, 2, 3, 2, 2, 2).sum((4, 6))
    rows, columns = layer.window.size
    filters = kernel.reshape(rows, columns, 2, -1)
    places = itertools.product(range(4 - rows), range(3 - columns))
    seen = [cells[:, :, :, i : i + rows, j : j + columns] for i, j in places]
    return np.stack([np.einsum("tbcij,ijco->tbo", part, filters) for part in seen], -1)


def reaches_synapse(drive) -> np.ndarray:
    """What comes out of the norm: `(time, batch, channel, place)`."""
    bias = 0.0 if drive.bias is None else drive.spread(drive.bias)
    return np.asarray(drive.arriving() + bias).reshape(drive.num_steps, B, 17, -1)


def normalized(x, mean, var, norm) -> np.ndarray:
    scale, offset = (np.asarray(part[...], np.float64)[:, None] for part in (norm.scale, norm.offset))
    return (x - mean[:, None]) / np.sqrt(var[:, None] + EPSILON) * scale + offset


KINDS = ("full", "slides", "sees all")


@pytest.mark.parametrize("form", ["events", "few steps", "steady", "dense"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_normalizes_over_samples_steps_and_places(kind, form):
    layer, x = make_layer(kind), inputs()[form]
    layer.train()
    raw = weighed(layer, x)
    mean, var = raw.mean((0, 1, 3)), raw.var((0, 1, 3))
    np.testing.assert_allclose(reaches_synapse(layer.drive(x)), normalized(raw, mean, var, layer.norm), atol=1e-5)
    np.testing.assert_allclose(layer.norm.mean[...], mean, atol=1e-6)
    np.testing.assert_allclose(layer.norm.var[...], var, rtol=1e-5)


@pytest.mark.parametrize("form", ["events", "few steps", "steady", "dense"])
@pytest.mark.parametrize("kind", KINDS)
def test_tests_have_the_running_averages_in_the_weights(kind, form):
    layer, x = make_layer(kind), inputs()[form]
    layer.norm.mean[...], layer.norm.var[...] = drawn(17, seed=4), 0.5 + drawn(17, seed=5) ** 2
    drive = layer.drive(x)
    assert drive.kernel is not None and (drive.x is x or form == "dense")  # events drive the kernels as ever
    mean, var = (np.asarray(part[...], np.float64) for part in (layer.norm.mean, layer.norm.var))
    expected = normalized(weighed(layer, x), mean, var, layer.norm)
    np.testing.assert_allclose(reaches_synapse(drive), expected, atol=2e-5)


def test_averages_are_those_of_all_batches_at_first_and_then_forget():
    layer, batches = make_layer("full"), [drawn(T, B, UNITS, seed=seed) for seed in range(6)]
    layer.norm.momentum = 0.75
    layer.train()
    of_each = []
    for k, x in enumerate(batches, 1):
        layer(x)
        of_each.append(weighed(layer, x))
        if k <= 4:
            for average, kind in ((layer.norm.mean, np.mean), (layer.norm.var, np.var)):
                expected = np.mean([kind(raw, (0, 1, 3)) for raw in of_each], 0)
                np.testing.assert_allclose(average[...], expected, rtol=1e-4, atol=1e-5)
    means = [raw.mean((0, 1, 3)) for raw in of_each]
    expected = 0.75 * (0.75 * np.mean(means[:4], 0) + 0.25 * means[4]) + 0.25 * means[5]
    np.testing.assert_allclose(layer.norm.mean[...], expected, rtol=1e-4, atol=1e-5)
    before = layer.norm.mean[...]
    layer.eval()
    layer(batches[0])
    np.testing.assert_array_equal(layer.norm.mean[...], before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_formula(kind):
    """Of the weights, the input, scale and offset: flax's own layer over the product of XLA."""
    layer, x, factors = make_layer(kind), inputs()["dense"], drawn(T, B, 17, 2)
    layer.train()
    graph, params, rest = nnx.split(layer, nnx.Param, ...)

    def found(params, x):
        y = nnx.merge(graph, params, rest, copy=True).drive(x).arriving().reshape(T, B, 17, -1)
        return (y * factors[..., : y.shape[3]]).sum()

    def expected(kernel, scale, offset, x):
        raw = x @ kernel if kind == "full" else layer.window.convolve(x, kernel)
        raw = raw.reshape(T, B, 17, -1)
        norm = nnx.BatchNorm(17, use_running_average=False, epsilon=EPSILON, axis=2, rngs=nnx.Rngs(0))
        norm.scale[...], norm.bias[...] = scale, offset
        return (norm(raw) * factors[..., : raw.shape[3]]).sum()

    d, dx = jax.grad(found, argnums=(0, 1))(params, x)
    numbers = layer.kernel[...], layer.norm.scale[...], layer.norm.offset[...]
    *wanted, wanted_x = jax.grad(expected, argnums=(0, 1, 2, 3))(*numbers, x)
    for ours, theirs in zip((d.kernel, d.norm.scale, d.norm.offset, dx), (*wanted, wanted_x), strict=True):
        ours = ours[...] if isinstance(ours, nnx.Variable) else ours
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(jnp.abs(theirs).max()))


def make_net() -> Stack:
    rngs = nnx.Rngs(0)
    a = ConvProjection(IMAGE, LifRef(17, v_th=0.3), window=2, norm=BatchNorm(17), synapse=Expon(17), rngs=rngs)
    b = ConvProjection(a.out_shape, LifRef(5, v_th=0.1), window=2, padding=1, norm=BatchNorm(5), delay=1, rngs=rngs)
    parts = {"norm": BatchNorm(9), "synapse": Expon(9)}
    c = ConvProjection(b.out_shape, LifRef(9, v_th=0.1), window=(3, 2), pool=2, rngs=rngs, **parts)
    for layer in (a, b, c):
        layer.norm.var[...] *= 0.02  # or hardly anything fires in tests
    return Stack(a=a, b=b, c=c, readout=Projection(9, Leaky(2), rngs=rngs))


@pytest.mark.parametrize("form", ["events", "few steps", "steady"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_both_backends_have_the_same_spikes_and_gradients(monkeypatch, form, mode):
    net, x, found = make_net(), inputs()[form], []
    factors = drawn(x.num_steps, B, 2)
    getattr(net, mode)()
    graph, params, rest = nnx.split(net, nnx.Param, ...)

    def value(params):
        record: Record = nnx.merge(graph, params, rest, copy=True)(x)
        return (record.readout * factors).sum(), record.counts

    for backend in ("numba", "reference"):
        monkeypatch.setenv("SNNLAB_KERNELS", backend)
        (_, counts), gradient = jax.jit(jax.value_and_grad(value, has_aux=True))(params)
        found.append((counts, jax.tree.leaves(gradient)))
    (spikes, ours), (expected, theirs) = found
    assert all(count.sum() > 0 for count in spikes.values())
    for name in spikes:
        np.testing.assert_array_equal(spikes[name], expected[name])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * (1e-6 + float(jnp.abs(b).max())))


ON_CORES = """
import hashlib, os, sys
os.sched_setaffinity(0, [int(core) for core in sys.argv[2:]])
from dataclasses import replace
import jax, numpy as np, snnlab
from flax import nnx
from snnlab.config import LATENCY_CONV
x, y = np.random.default_rng(0).integers(0, 256, (256, 28, 28), np.uint8), np.arange(256) % 10
data = snnlab.Dataset(name="noise", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
config = {"current": snnlab.ConvConfig(), "latency": replace(LATENCY_CONV, norm=True)}[sys.argv[1]]
net = snnlab.build(config, sample_shape=(28, 28), num_classes=10)
trainer = snnlab.Trainer(net, data, epochs=2)
trainer.fit()
state = jax.tree.leaves((trainer.state.params, trainer.state.rest.filter(nnx.BatchStat)))
print(len(trainer.history), hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in state)).hexdigest())
"""


@pytest.mark.endure
@pytest.mark.parametrize("code", ["current", "latency"])
def test_one_core_and_all_of_them_come_to_the_same_bits(code):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        pytest.skip("needs two cores")
    told = [
        subprocess.run(
            [sys.executable, "-c", ON_CORES, code, *map(str, some)], capture_output=True, text=True, check=True
        ).stdout
        for some in (cores[:1], cores)
    ]
    assert told[0] == told[1] and told[0].startswith("4 ")


def test_what_does_not_fit_is_refused():
    for make, message in (
        (lambda: BatchNorm(0), "features: must be an integer >= 1"),
        (lambda: BatchNorm(3, momentum=1.5), "momentum: must be"),
        (lambda: BatchNorm(3, epsilon=0.0), "epsilon: must be"),
        (lambda: BatchNorm(3, start=0.0), "start: must be"),
        (
            lambda: Projection(4, LifRef(3), norm=BatchNorm(4), rngs=nnx.Rngs(0)),
            "norm: has 4 features, the neuron has 3",
        ),
        (
            lambda: Projection(4, LifRef(3), norm=BatchNorm(3), use_bias=True, rngs=nnx.Rngs(0)),
            "use_bias: does nothing with a norm",
        ),
    ):
        with pytest.raises(ArgumentError, match=message):
            make()
