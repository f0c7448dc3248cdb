"""Layers one after the other: `Stack`."""

from collections.abc import Callable
from dataclasses import replace

from flax import nnx
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.kernels import Packed
from snnlab.layers.projection import Projection
from snnlab.record import Record, Trace


class Stack(nnx.Module):
    """Layers one after the other, each over the whole sequence before the next begins.

    A layer returns a `Trace`, or a plain array `(time, batch, n)` as `nnx.Linear` does.

    Args:
        **layers: the layers by name, in order; the last one is the readout.

    Raises:
        ArgumentError: without layers.

    Example:
        >>> rngs = nnx.Rngs(0)
        >>> net = Stack(hidden=LSTM(28, 100, rngs=rngs), readout=nnx.Linear(100, 10, rngs=rngs))
        >>> net(jnp.zeros((28, 2, 28))).readout.shape
        (28, 2, 10)
    """

    def __init__(self, **layers: Callable):
        if not layers:
            raise ArgumentError("layers: a Stack needs at least one")
        self.names = tuple(layers)
        self.layers = nnx.Dict(layers)

    def __call__(self, x: SpikeTimes | Float[Array, "time batch pre"]) -> Record:
        traces = {}
        layers = [self.layers[name] for name in self.names]
        for name, layer, after in zip(self.names, layers, [*layers[1:], None], strict=True):
            if isinstance(x, Packed) and not isinstance(layer, Projection):
                x = x.dense()  # for a layer that knows arrays only
            both = isinstance(layer, Projection) and isinstance(after, Projection)
            out = layer(x, onward=after.kernel[...]) if both else layer(x)
            traces[name] = trace = out if isinstance(out, Trace) else Trace(state=out)
            x = trace.output
            if trace.packed is not None:  # its short way for the gradient leads to the next layer, and nowhere else
                x = trace.packed
                traces[name] = trace._replace(packed=replace(x, current=None))
        return Record(readout=trace.output, layers=traces)
