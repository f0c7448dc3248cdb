"""Play a network in NumPy by the rules of the page, to tell when an exhibit is written whether its spikes are Python's.

The sums have the order of the CPU kernels: spikes by their time, those of one step in the order given, ascending within
a layer; the equations are those of `snnlab.kernels.cpu`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnlab.export.exhibits.exact import Single, fused, sigmoid, tanh, times
from snnlab.export.exhibits.plan import Layer

NEVER = np.float32(1e9)  # steps since the last spike of a neuron that has not fired yet
_AT_ONCE = 1 << 22  # weights that are added in one call


class Signal(NamedTuple):
    """What reaches a layer: spikes, or numbers at every step.

    Attributes:
        steps: length of the sequence.
        when, batch, who: step, sample and unit of every spike, in the order in which they are added; or None.
        values: `(time, batch, unit)`, or None.

    Example:
        >>> Signal.of_spikes(np.eye(3, dtype=bool)[:, None]).who.tolist()
        [0, 1, 2]
    """

    steps: int
    samples: int
    when: NDArray[np.integer] | None = None
    batch: NDArray[np.integer] | None = None
    who: NDArray[np.integer] | None = None
    values: Single | None = None

    @classmethod
    def of_spikes(cls, spikes: NDArray[np.bool_]) -> "Signal":
        """Of a raster `(time, batch, unit)`."""
        when, batch, who = np.nonzero(spikes)
        return cls(len(spikes), spikes.shape[1], when, batch, who)


class Played(NamedTuple):
    """What a layer did.

    Attributes:
        spikes: `(time, batch, n)`, or None for a layer that does not spike.
        values: voltages measured from rest; or traces of a readout, outputs of an LSTM.

    Example:
        >>> Played(None, np.zeros((3, 1, 2), np.float32)).values.shape
        (3, 1, 2)
    """

    spikes: NDArray[np.bool_] | None
    values: Single


def play(layers: Sequence[Layer], signal: Signal) -> list[Played]:
    """Play a signal through all layers.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> from snnlab.export.exhibits.plan import layers_of
        >>> net = build(SnnConfig(hidden=7, num_steps=20), sample_shape=(4, 4), num_classes=3)
        >>> hidden, readout = play(layers_of(net), Signal.of_spikes(np.ones((20, 2, 16), bool)))
        >>> hidden.spikes.shape, readout.values.shape
        ((20, 2, 7), (20, 2, 3))
    """
    done = []
    for layer in layers:
        played = {"lif": _lif, "leaky": _leaky, "lstm": _lstm, "linear": _linear}[layer.kind](layer, signal)
        done.append(played)
        if played.spikes is None:
            signal = Signal(signal.steps, signal.samples, values=played.values)
        else:
            signal = Signal.of_spikes(played.spikes)
    return done


def _product(values: Single, weights: Single, start: Single) -> Single:
    """`start + values @ weights`, summed in the order of the units."""
    total = start
    for u in range(values.shape[-1]):
        total = fused(values[..., u, None], weights[u], total)
    return total


def _arriving(layer: Layer, signal: Signal) -> Single:
    """What arrives at every step, behind a synapse that rises if the layer has one."""
    bias, shape = layer.row("bias"), (signal.steps, signal.samples, layer.units)
    x = np.broadcast_to(bias, shape).copy()
    when, batch, who = signal.when, signal.batch, signal.who
    if when is not None and batch is not None and who is not None:
        there = (when >= 0) & (when < signal.steps - layer.delay) & (who >= 0) & (who < layer.inputs)
        when, batch, who = when[there] + layer.delay, batch[there], who[there]
        step = max(1, _AT_ONCE // layer.units)
        for k in range(0, len(who), step):  # one after the other, in this order
            np.add.at(x, (when[k : k + step], batch[k : k + step]), layer.weights[who[k : k + step]])
    elif signal.values is not None:
        late = np.zeros(shape, np.float32)
        late[layer.delay :] = _product(signal.values, layer.weights, np.zeros(shape, np.float32))[
            : signal.steps - layer.delay
        ]
        x = bias + late
    return _risen(layer, x) if "a_rise" in layer.rows else x


def _risen(layer: Layer, x: Single) -> Single:
    h = c = np.zeros_like(x[0])
    out = np.empty_like(x)
    for t in range(len(x)):
        h = fused(h, layer.row("a_rise"), x[t])
        c = fused(c, layer.row("a_decay"), h)
        out[t] = times(layer.row("share"), c)
    return out


def _lif(layer: Layer, signal: Signal) -> Played:
    arriving = _arriving(layer, signal)
    a_syn, a, gain, v_th, v_reset, hold = map(layer.row, ("a_syn", "a", "gain", "v_th", "v_reset", "hold"))
    rho, beta = (layer.row("rho"), layer.row("beta")) if layer.adapts else (a, a)
    zero = np.float32(0.0)
    v = g = b = np.zeros_like(arriving[0])
    age, s = np.full_like(v, NEVER), np.zeros(v.shape, bool)
    spikes, voltages, gap = np.zeros(arriving.shape, bool), np.empty_like(arriving), v_th - v_reset
    for t, x in enumerate(arriving):
        if layer.recurrent is not None:
            batch, who = np.nonzero(s)
            np.add.at(x, batch, layer.recurrent[who])
        g = fused(g, a_syn, x)
        u = fused(v, a, times(gain, g))
        threshold = v_th + b if layer.adapts else v_th
        age = age + np.float32(1.0)
        u = np.where(age <= hold, v, u)
        s = u >= threshold
        age = np.where(s, zero, age)
        v = np.where(s, v_reset if layer.value_reset else u - gap, u)
        b = fused(b, rho, np.where(s, beta, zero)) if layer.adapts else b
        spikes[t], voltages[t] = s, v
    return Played(spikes, voltages)


def _leaky(layer: Layer, signal: Signal) -> Played:
    x = _arriving(layer, signal)
    a_syn, a, rest = map(layer.row, ("a_syn", "a", "rest"))
    v = g = np.zeros_like(x[0])
    out = np.empty_like(x)
    for t in range(len(x)):
        g = fused(g, a_syn, x[t])
        v = fused(v, a, g)
        out[t] = v + rest
    return Played(None, out)


def _linear(layer: Layer, signal: Signal) -> Played:
    return Played(None, _arriving(layer, signal))


def _lstm(layer: Layer, signal: Signal) -> Played:
    n, values, recurrent = layer.units, signal.values, layer.recurrent
    assert values is not None and recurrent is not None  # `shown` lets no spikes reach an LSTM
    h = c = np.zeros((signal.samples, n), np.float32)
    out = np.empty((signal.steps, signal.samples, n), np.float32)
    for t in range(signal.steps):
        start = np.broadcast_to(layer.row("bias"), (signal.samples, 4 * n))
        i, f, g, o = np.split(_product(h, recurrent, _product(values[t], layer.weights, start)), 4, axis=-1)
        c = fused(sigmoid(i), tanh(g), times(sigmoid(f), c))  # which of the two products is rounded, LLVM decides
        h = times(sigmoid(o), tanh(c))
        out[t] = h
    return Played(None, out)
