"""Counts the synaptic operations of a network, see `snnlab.live.frames.energy`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from snnlab.data import Dataset
from snnlab.encode import SpikeTimes, Steady
from snnlab.health import affordable
from snnlab.layers import (
    IF,
    LSTM,
    ConvProjection,
    DoubleExpon,
    Expon,
    Graph,
    Leaky,
    LifRef,
    Projection,
    Recurrent,
    Stack,
)
from snnlab.layers.graph import Sum
from snnlab.layers.operators import Conv, Delay, Pool, Scale, Threshold
from snnlab.layers.wiring import INPUT
from snnlab.live.frames.energy import Energy, Operations
from snnlab.models import describe
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.train.step import State, Stepper, Structure, compiled

WITHOUT_WEIGHTS = (LifRef, IF, Leaky, Expon, DoubleExpon, Delay, Threshold, Pool, Scale, Sum)
"""Layers without synapses: a gain is none."""


class Meter:
    """Counts the synaptic operations of a network on the first test samples, as a `Checkup`; compiled once.

    Steps after the last one of a sample count nowhere.

    Args:
        stepper: model and loss.
        data: its test set has the samples.
        samples: number of samples; all if there are fewer.

    Raises:
        ArgumentError: if `samples` is no positive integer.

    Example:
        >>> from snnlab import data, models
        >>> from snnlab.train import Trainer
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, batch_size=64)
        >>> energy = Meter(trainer.stepper, digits)(trainer.state)
        >>> [(layer.layer, layer.macs, layer.dense) for layer in energy.layers]
        [('hidden', 0.0, 128000.0), ('readout', 0.0, 20000.0)]
    """

    @transfers_allowed()
    def __init__(self, stepper: Stepper, data: Dataset, samples: int = 128):
        self._known = describe(stepper.structure.merge(stepper.start)["model"])
        x, targets = data.seen
        first = slice(affordable(self._known, arguments.count("samples", samples)))
        self._x, lengths = jnp.asarray(x[first]), targets.lengths
        self._lengths = None if lengths is None else jnp.asarray(lengths[first])
        self._count = compiled(_count, stepper.structure)

    @never_lost()
    @transfers_allowed()
    def __call__(self, state: State) -> Energy | None:
        """Count the operations in a state; None if the model is no plain `Network`. Any thread may call this."""
        if self._known.network is None or self._known.stack is None:
            return None
        keep_programs()
        ways, silence, steps = jax.tree.map(np.asarray, self._count(state, self._x, self._lengths))
        names, samples = self._known.stack.names, len(self._x)
        layers = self._known.layers
        known = {name: layers[name].module for name in names}
        return Energy(
            step=int(state.step),
            samples=samples,
            layers=tuple(_operations(name, ways[name], int(steps) / samples, samples) for name in names if ways[name]),
            silent=None if silence is None else float(silence[0].sum(dtype=np.float64) / silence[1]),
            uncounted=tuple(name for name, layer in known.items() if not _is_known(layer)),
        )


class _Ways(NamedTuple):
    """The ways from the inputs of a layer through one array of weights.

    Attributes:
        active: number of pairs (sample, step) at which each input is not 0 when it arrives.
        spikes: whether the inputs are 0, 1 or -1 only.
        fanout: number of weights of each input that are not 0.
        dense: number of weights of each input.
        weights, zeros: number of weights, and of those that are 0.
    """

    active: Int[Array, " pre"]
    spikes: Bool[Array, ""]
    fanout: Float[Array, " pre"]
    dense: Float[Array, " pre"]
    weights: Int[Array, ""]
    zeros: Int[Array, ""]


def _operations(name: str, ways: list[_Ways], steps: float, samples: int) -> Operations:
    """Add up, in float64: there are more operations than a 32-bit integer can count. `steps` are those of a sample."""
    effective = [float((way.active.astype(np.float64) * way.fanout).sum()) / samples for way in ways]
    return Operations(
        layer=name,
        acs=sum((n for n, way in zip(effective, ways, strict=True) if way.spikes), 0.0),
        macs=sum((n for n, way in zip(effective, ways, strict=True) if not way.spikes), 0.0),
        dense=steps * float(sum(way.dense.sum(dtype=np.float64) for way in ways)),
        weights=int(sum(way.weights for way in ways)),
        zeros=int(sum(way.zeros for way in ways)),
    )


def _is_known(layer: Callable) -> bool:
    """A subclass may do something else with its weights."""
    return type(layer) in (Projection, ConvProjection, Recurrent, nnx.Linear, LSTM, Conv, *WITHOUT_WEIGHTS)


def _count(
    structure: Structure, state: State, x, lengths: Int[Array, " batch"] | None
) -> tuple[dict[str, list[_Ways]], tuple | None, Int[Array, ""]]:
    """Return the ways of every layer; the silent outputs per layer and the number of outputs; the number of steps.

    Outputs and steps are those of all samples together.
    """
    model = structure.merge(state)["model"]  # a plain network
    code, stack = model.encode(x, key=jax.random.key(0)), model.stack  # the code is the same every time
    traces = {visit.name: visit.trace for visit in stack.walk(code)}
    num_steps = len(next(iter(traces.values())).state)
    lengths = jnp.full(len(x), num_steps, jnp.int32) if lengths is None else lengths
    ways = {
        name: _ways(stack.layers[name], lambda name=name: _input(stack, name, code, traces), trace, lengths)
        for name, trace in traces.items()
    }
    within = (jnp.arange(num_steps)[:, None] < lengths)[..., None]
    firing = [trace for name, trace in traces.items() if trace.spikes is not None or type(stack.layers[name]) is LSTM]
    zeros = jnp.stack([((t.output == 0.0) & within).sum() for t in firing]) if firing else None
    outputs = sum(t.output.shape[-1] for t in firing)
    silence = None if zeros is None else (zeros, outputs * lengths.sum().astype(jnp.float32))
    return ways, silence, lengths.sum()


def _input(stack: Stack, name: str, code, traces: Mapping[str, Trace]) -> SpikeTimes | Float[Array, "time batch pre"]:
    """Return what reaches a layer: the sum of what feeds it, a step later where it waits."""
    late = stack.late if isinstance(stack, Graph) else ()
    parts: list[Any] = []
    for source in stack.sources[name]:
        out = code if source == INPUT else traces[source].output
        parts.append(jnp.pad(out[:-1], ((1, 0), (0, 0), (0, 0))) if (source, name) in late else out)
    if len(parts) == 1:
        return parts[0]
    arrays = [part.dense() if isinstance(part, SpikeTimes | Steady) else part for part in parts]
    return sum(arrays[1:], arrays[0])


def _ways(layer: Any, reached: Callable, trace: Trace, lengths: Int[Array, " batch"]) -> list[_Ways]:
    """Return one for each array of weights; none for a layer that has no weights, or is unknown."""
    active = partial(_active, lengths=lengths)
    if isinstance(layer, Projection):
        x = reached()
        # A spike that is delayed to between two steps arrives in two parts.
        heard = active(layer.delay(x)) if isinstance(layer.delay, Delay) else active(x, layer.delay)
        kernel, _ = layer.weights()
        if type(layer) is Projection:
            return [_full(kernel, *heard)]
        if type(layer) is Recurrent:  # own spikes arrive one step later
            return [_full(kernel, *heard), _full(layer.recurrent_kernel[...], *active(trace.output, 1))]
        if type(layer) is ConvProjection:
            return [_shared(layer.window.convolve, kernel, *heard)]
    if type(layer) is nnx.Linear:
        return [_full(layer.kernel[...], *active(reached()))]
    if type(layer) is LSTM:
        return [_full(layer.w_x[...], *active(reached())), _full(layer.w_h[...], *active(trace.output, 1))]
    return [_convolution(layer, *active(reached()))] if type(layer) is Conv else []


def _active(
    x: SpikeTimes | Float[Array, "time batch pre"], delay: int = 0, *, lengths: Int[Array, " batch"]
) -> tuple[Int[Array, " pre"], Bool[Array, ""]]:
    """Count what arrives before a sample ends, and say whether it is spikes. Every event counts for itself.

    Args:
        x: what comes out of the layers before.
        delay: steps until it arrives.
        lengths: number of steps of each sample.

    Returns:
        The number for each input, over all samples, and whether all values are 0, 1 or -1.
    """
    x = x.dense() if isinstance(x, Steady) else x
    if not isinstance(x, SpikeTimes):
        within = (jnp.arange(len(x))[:, None] + delay < lengths)[..., None]
        return ((x != 0.0) & within).sum((0, 1)), ((x == 0.0) | (jnp.abs(x) == 1.0) | ~within).all()
    there = (x.times >= 0) & (x.times + delay < lengths[:, None])
    if x.units is None:
        return there.sum(0), jnp.bool_(True)
    units = jnp.where(there & (x.units >= 0), x.units, x.num_units)
    return jnp.zeros(x.num_units, jnp.int32).at[units].add(1, mode="drop"), jnp.bool_(True)


def _full(kernel: Float[Array, "pre post"], active, spikes) -> _Ways:
    fanout = (kernel != 0.0).sum(1)
    dense = jnp.full(len(kernel), kernel.shape[1], jnp.float32)
    return _Ways(active, spikes, fanout.astype(jnp.float32), dense, jnp.int32(kernel.size), (kernel == 0.0).sum())


def _convolution(layer: Conv, active, spikes) -> _Ways:
    def convolve(x, kernel):
        alike = Conv(
            np.ones(kernel.shape),
            shape=layer.shape,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        alike.kernel.set_value(kernel)
        return alike(x)

    return _shared(convolve, layer.kernel[...], active, spikes)


def _shared(convolve: Callable, kernel: Array, active, spikes) -> _Ways:
    """The weights that an input goes through are the derivative of the sum of all outputs, if each weight is 1."""

    def fanout(kernel) -> Float[Array, " pre"]:
        return jax.grad(lambda x: convolve(x, kernel).sum())(jnp.zeros((1, 1, len(active))))[0, 0]

    there = (kernel != 0.0).astype(jnp.float32)
    zeros = (kernel == 0.0).sum()
    return _Ways(active, spikes, fanout(there), fanout(jnp.ones_like(kernel)), jnp.int32(kernel.size), zeros)
