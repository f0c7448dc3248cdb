"""Networks that start neither silent nor saturated, however deep: factors of the first weights, measured on data."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab.config import ConvConfig, SnnConfig
from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.layers.fluctuations import RATE
from snnlab.models import Network, build, describe
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.support.warn import warn

SAMPLES = 128
NEAR = 0.02  # of the wanted rate: nearer than the rates of other samples are
WIDEST = 2.0**20  # beyond these factors, and below their inverse, weights are not to blame
DIGITS = 3  # of a factor: the same on every machine, though sums are not

Spiking = TypeVar("Spiking", bound=SnnConfig | ConvConfig)


def is_deep(config: Any) -> bool:
    """Whether activity would fade in the network, or grow, unless it is balanced: it has two spiking layers or more.
    A convolutional one has more than the two that are tuned by hand, and no norm, which balances it at every step.

    Example:
        >>> is_deep(SnnConfig(hidden=(64, 64))), is_deep(SnnConfig()), is_deep(ConvConfig())
        (True, False, False)
    """
    if isinstance(config, ConvConfig):
        return not config.norm and config.depth > 2
    return isinstance(config, SnnConfig) and len(config.widths) > 1


@never_lost()
@transfers_allowed()
def balanced(config: Spiking, data: Dataset, *, seed: int = 0) -> Spiking:
    """Return the config of a network whose hidden layers all start at a mean rate of `RATE`, 15 Hz.

    The first weights follow from theory (`snnlab.layers.fluctuations`), which knows the depth and the neurons, but not
    the data. So this runs `SAMPLES` training samples through one hidden layer after the other, and finds the factor of
    its weights at which it fires as wanted, by bisection. The factors are in `config.gains`, so that
    `build(config, ...)` makes the same network again without the data.

    Args:
        config: of a spiking network; its own `gains` are replaced.
        data: with the training samples.
        seed: of the weights, as `build` takes it. Others need factors of their own, because a layer that fires a little
            less makes the next one fire much less.

    Raises:
        ArgumentError: if the config is of another network, or does not fit the data.

    Warns:
        UserWarning: if no weights make a layer fire at that rate, as where no spike arrives; its weights stay as they
            are.

    Example:
        >>> from snnlab.data import load
        >>> digits = load("digits")
        >>> config = balanced(SnnConfig(hidden=(20, 20), num_steps=30), digits)
        >>> net = build(config, sample_shape=(8, 8), num_classes=10)
        >>> all(10.0 < rate < 20.0 for rate in firing_rates(net, digits).values())
        True
    """
    arguments.instance("config", config, (SnnConfig, ConvConfig), "of a spiking network")
    if isinstance(config, ConvConfig) and config.norm:
        raise ArgumentError(
            "config: has norm, which balances its layers at every step of the training; build it as it is"
        )
    keep_programs()
    config = replace(config, gains=None)
    net = build(config, sample_shape=data.sample_shape, num_classes=data.num_outputs, seed=seed)
    x: Any = net.encode(jnp.asarray(data.x_train[:SAMPLES]))
    gains = []
    for name in describe(net).hidden:
        gain, x = _found(name, cast(nnx.Module, net.stack.layers[name]), x)
        gains.append(gain)
    return replace(config, gains=tuple(gains))


@never_lost()
@transfers_allowed()
def firing_rates(net: Network, data: Dataset, samples: int = SAMPLES) -> dict[str, float]:
    """Measure the mean rate of each hidden layer [Hz], on the first samples of the part that is looked at.

    Example:
        >>> from snnlab.data import load
        >>> net = build(SnnConfig(hidden=20, v_th=100.0), sample_shape=(8, 8), num_classes=10)
        >>> firing_rates(net, load("digits"))
        {'hidden': 0.0}
    """
    arguments.instance("net", net, Network, "a network, such as build(...) makes")
    known, x = describe(net), jnp.asarray(data.seen.x[: arguments.count("samples", samples)])
    rates, given = {}, net.encode(x)
    for name in known.hidden:
        fired = _fire(*nnx.split(net.stack.layers[name]), given)
        rates[name], given = float(fired.rate), fired.onward
    return rates


class _Fired(NamedTuple):
    """What a layer does: its mean rate [Hz], and what the next layer gets."""

    rate: Float[Array, ""]
    onward: Any


@partial(jax.jit, static_argnums=0)
def _fire(graph: nnx.GraphDef, state: nnx.State, x) -> _Fired:
    """Run a layer; those of the same shape share a program."""
    layer = nnx.merge(graph, state)
    trace = layer(x)
    duration = len(trace.spikes) * layer.neuron.dt / 1000.0
    counts = trace.spikes.sum(0) if trace.counts is None else trace.counts
    return _Fired(counts.mean() / duration, trace.spikes if trace.packed is None else trace.packed)


def _found(name: str, layer: nnx.Module, x) -> tuple[float, Any]:
    """Find the factor of the weights at which a layer fires at `RATE`; return it with what the next layer gets."""
    graph, state = nnx.split(layer)

    def fire(gain: float) -> _Fired:
        return _fire(graph, _scaled(state, gain), x)

    low, high = _bracket(fire)
    if not 1.0 / WIDEST <= low <= high <= WIDEST:
        unmoved = fire(1.0)
        warn(
            f"{name}: no weights make it fire at {RATE:g} Hz on these samples, so it starts at "
            f"{float(unmoved.rate):.3g} Hz; does anything arrive, and is its refractory time short enough?"
        )
        return 1.0, unmoved.onward
    gain = _rounded(math.sqrt(low * high))
    while abs((now := fire(gain)).rate - RATE) > NEAR * RATE and low < gain < high:
        low, high = (gain, high) if now.rate < RATE else (low, gain)
        gain = _rounded(math.sqrt(low * high))
    return gain, now.onward


def _bracket(fire) -> tuple[float, float]:
    """Double or halve the weights until the wanted rate lies between two factors."""
    gain, low, high = 1.0, 0.0, math.inf
    while (low == 0.0 or high == math.inf) and 1.0 / WIDEST <= gain <= WIDEST:
        if fire(gain).rate < RATE:
            low, gain = gain, 2.0 * gain
        else:
            high, gain = gain, 0.5 * gain
    return low, high


def _rounded(gain: float) -> float:
    return float(f"{gain:.{DIGITS}g}")


def _scaled(state: nnx.State, gain: float) -> nnx.State:
    """Multiply all weights, also those between the neurons of the layer."""
    flat = dict(nnx.to_flat_state(state))
    for path, value in flat.items():
        if path[-1] in ("kernel", "recurrent_kernel"):
            flat[path] = value.replace(gain * value.get_value())
    return nnx.from_flat_state(flat)
