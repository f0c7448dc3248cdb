"""Layers one after the other: `Stack`."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from flax import nnx
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels import Packed
from snnlab.layers.projection import Projection
from snnlab.layers.wiring import INPUT, OUTPUT
from snnlab.record import Record, TimeStep, Trace


def time_step(layer: Callable) -> TimeStep | None:
    """Return the time step of a layer or of its neurons [ms]; None if it has none.

    Example:
        >>> from snnlab.layers import Leaky
        >>> time_step(Leaky(3, dt=0.5)), time_step(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
        (0.5, None)
    """
    step = getattr(getattr(layer, "neuron", layer), "dt", None)
    return None if step is None else TimeStep(step)


class Visit(NamedTuple):
    """One layer of a stack at work.

    Attributes:
        name: of the layer.
        reached: the input that the layer was called with.
        trace: results of the layer.

    Example:
        >>> import jax.numpy as jnp
        >>> from snnlab.layers import LSTM
        >>> rngs = nnx.Rngs(0)
        >>> net = Stack(hidden=LSTM(28, 32, rngs=rngs), readout=nnx.Linear(32, 10, rngs=rngs))
        >>> [(name, reached.shape) for name, reached, _ in net.walk(jnp.zeros((28, 2, 28)))]
        [('hidden', (28, 2, 28)), ('readout', (28, 2, 32))]
    """

    name: str
    reached: Any
    trace: Trace


class Stack(nnx.Module):
    """Layers one after the other, each over the whole sequence before the next begins.

    A layer returns a `Trace`, or a plain array `(time, batch, n)` as `nnx.Linear` does.

    Args:
        layers: the layers by name, in order; the last one is the readout.
        **named: the same as keywords, which Python does not accept for names such as "self".

    Attributes:
        dt: time step of the layers [ms], or None if none has one.

    Raises:
        ArgumentError: if there is no layer, or if their time steps differ.

    Example:
        >>> import jax.numpy as jnp
        >>> from snnlab.layers import LSTM
        >>> rngs = nnx.Rngs(0)
        >>> net = Stack(hidden=LSTM(28, 32, rngs=rngs), readout=nnx.Linear(32, 10, rngs=rngs))
        >>> net(jnp.zeros((28, 2, 28))).readout.shape
        (28, 2, 10)
    """

    def __init__(self, layers: Mapping[str, Callable] | None = None, /, **named: Callable):
        layers = {**(layers or {}), **named}
        if not layers:
            raise ArgumentError("layers: a Stack needs at least one")
        self.names = tuple(layers)
        self.layers = nnx.Dict(layers)
        steps = {name: step for name, layer in layers.items() if (step := time_step(layer)) is not None}
        if len(set(steps.values())) > 1:
            said = ", ".join(f"{name} has {step:g} ms" for name, step in steps.items())
            raise ArgumentError(f"dt: the layers of a stack must have the same time step; {said}")
        self.dt = next(iter(steps.values()), None)

    def __call__(self, x: SpikeTimes | Steady | Float[Array, "time batch pre"]) -> Record:
        traces = {visit.name: visit.trace for visit in self.walk(x)}
        return Record(readout=traces[self.names[-1]].output, layers=traces)

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """What feeds each layer, and "output", by name; the first one is fed by "input".

        Example:
            >>> from snnlab.layers import Leaky
            >>> Stack(a=Leaky(2), b=Leaky(2)).sources
            {'a': ('input',), 'b': ('a',), 'output': ('b',)}
        """
        return {name: (source,) for source, name in itertools.pairwise([INPUT, *self.names, OUTPUT])}

    def parts(self) -> list[tuple[str, Any]]:
        """Return the layers, then the neurons and synapses inside them, each with the name of its layer.

        Example:
            >>> from snnlab.layers import Expon, Leaky, LifRef
            >>> hidden = Projection(3, LifRef(2), synapse=Expon(2), rngs=nnx.Rngs(0))
            >>> [(name, type(part).__name__) for name, part in Stack(hidden=hidden, readout=Leaky(2)).parts()]
            [('hidden', 'Projection'), ('readout', 'Leaky'), ('hidden', 'LifRef'), ('hidden', 'Expon')]
        """
        layers = [(name, self.layers[name]) for name in self.names]
        inner = [(name, getattr(layer, part, None)) for name, layer in layers for part in ("neuron", "synapse")]
        return layers + [(name, part) for name, part in inner if part is not None]

    def walk(
        self,
        x: SpikeTimes | Steady | Float[Array, "time batch pre"],
        enter: Callable[[str, Callable, Any], Any] | None = None,
    ) -> Iterator[Visit]:
        """Run one layer after the other, and yield each as soon as it has run.

        Args:
            x: input of the first layer.
            enter: `(name, layer, x) -> x`, to replace the input `x` of a layer; default: leave it.
        """
        given: Any = x
        for name in self.names:
            layer = self.layers[name]
            if isinstance(given, Packed | Steady) and not isinstance(layer, Projection):
                given = given.dense()  # for a layer that reads arrays only
            if isinstance(given, SpikeTimes) and isinstance(layer, nnx.Linear):
                given = given.dense()
            given = given if enter is None else enter(name, layer, given)
            out = layer(given)
            trace = out if isinstance(out, Trace) else Trace(state=out)
            trace = trace._replace(dt=time_step(layer))
            yield Visit(name, given, trace)
            given = trace.output if trace.packed is None else trace.packed
