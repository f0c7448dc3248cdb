"""Layers with branches, sums and feedback: `Graph`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels import Packed
from snnlab.kernels.axes import alike
from snnlab.layers.operators import Conv, Delay, Pool, Scale, Threshold
from snnlab.layers.projection import Projection
from snnlab.layers.stack import Stack, Visit, time_step
from snnlab.layers.wiring import INPUT, OUTPUT, cycle_without, unconnected, wire
from snnlab.record import Trace

WITHOUT_MEMORY = (nnx.Linear, Scale, Conv, Pool, Threshold)
"""Layers whose output depends on their input at the same step only, so that they can be called on single steps."""


@runtime_checkable
class Stepped(Protocol):
    """A layer that can run step by step, as in a cycle."""

    def start(self, batch: int, dtype: Any = ..., /) -> tuple[Any, Array]:
        """Return the state and the output before the first step."""
        ...

    def step(self, state: Any, x: Array, /) -> tuple[Any, Trace]:
        """Take one step; return the new state and the results."""
        ...


class Sum(nnx.Module):
    """The sum of all that feeds it, as the readout of a graph whose output has several sources."""

    def __call__(self, x: Float[Array, "time batch n"]) -> Float[Array, "time batch n"]:
        return x


class Graph(Stack):
    """Layers with branches, sums and feedback. A layer that is fed by several others gets the sum of their outputs.

    Layers run over the whole sequence, each after those that feed it. Only layers that depend on each other, a *cycle*,
    run together step by step; then one signal must wait. It waits one step, on its way into the layer of the cycle that
    is nearest to the input and farthest from the output, or before the layers without memory (weights, gains,
    convolutions, thresholds) that lie in front of it; `late` lists these connections. What they carry before the first
    step is the signal at rest. If a `Delay` of at least one step for every unit lies in the cycle, nothing else waits.

    Layers in a cycle are `LifRef`, `IF`, `Leaky`, `Expon`, `DoubleExpon`, `Delay`, those without memory, or your own
    with two methods: `start(batch, dtype) -> (state, output)`, which both hold before the first step, and
    `step(state, x) -> (state, trace)`.

    Args:
        layers: the layers by name.
        edges: the connections `(from, to)`, which begin at "input" and end at "output". A connection that is listed
            twice counts twice.

    Attributes:
        late: the connections on which a signal takes one step.

    Raises:
        ArgumentError: if a layer lies on no path from input to output, if a cycle has no memory or a layer that cannot
            run step by step, or if layers with outputs of different widths feed the same layer.

    Example:
        >>> from snnlab.layers import LifRef
        >>> rngs = nnx.Rngs(0)
        >>> layers = {"w": nnx.Linear(7, 5, rngs=rngs), "a": LifRef(5), "b": LifRef(5), "back": Scale([-0.5] * 5)}
        >>> edges = [("input", "w"), ("w", "a"), ("a", "b"), ("b", "back"), ("back", "a"), ("b", "output")]
        >>> net = Graph(layers, edges)
        >>> net.late, net(jnp.ones((20, 2, 7))).readout.shape
        ((('b', 'back'),), (20, 2, 5))
    """

    def __init__(self, layers: Mapping[str, Callable], edges: Iterable[tuple[str, str]]):
        edges = [(str(a), str(b)) for a, b in edges]
        layers = dict(layers)
        _check_names(layers, edges)
        last = [a for a, b in edges if b == OUTPUT]
        if len(last) > 1:
            layers[OUTPUT] = Sum()
        super().__init__(layers)
        held = [name for name, layer in layers.items() if isinstance(layer, Delay) and layer.least > 0]
        memory = [name for name, layer in layers.items() if _has_memory(layer)]
        loop = cycle_without([name for name in layers if name not in memory], edges)
        if loop:
            raise ArgumentError(f"layer {loop[0]!r}: feeds itself through {loop}, none of which has a memory")
        wired = wire(edges, memory, held)
        self.late = wired.late
        self._sources, self._groups = wired.sources, wired.groups  # tuples, which have a hash
        self._cyclic = tuple(group for group in wired.groups if wired.cyclic(group))
        for name in (name for group in self._cyclic for name in group):
            _check_steps(name, layers[name])
        readout = last[0] if len(last) == 1 else OUTPUT
        self.names = (*(name for group in wired.groups for name in group if name != readout), readout)

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """What feeds each layer, and "output", by name; twice if it counts twice."""
        return dict(self._sources)

    def walk(
        self,
        x: SpikeTimes | Steady | Float[Array, "time batch pre"],
        enter: Callable[[str, Callable, Any], Any] | None = None,
    ) -> Iterator[Visit]:
        """Run the layers, and yield each as soon as it has run; of a cycle, all when the last step was taken.

        Args:
            x: input.
            enter: `(name, layer, x) -> x`, to replace the input `x` of a layer, for a layer of a cycle what comes from
                outside of it; default: leave it.
        """
        known: dict[str, Any] = {INPUT: x}
        for group in self._groups:
            if group in self._cyclic:
                visits = self._run_cycle(group, known, enter)
            else:
                visits = [self._run(group[0], known, enter)]
            for visit in visits:
                trace = visit.trace
                known[visit.name] = trace.output if trace.packed is None else trace.packed
                yield visit
        if self.names[-1] == OUTPUT:
            yield self._run(OUTPUT, known, enter)

    def _run(self, name: str, known: dict[str, Any], enter) -> Visit:
        """Run a layer over the whole sequence."""
        layer, sources = self.layers[name], self.sources[name]
        one = len(sources) == 1 and isinstance(layer, Projection)  # which reads sparse spikes, too
        given = known[sources[0]] if one else _total(name, [known[source] for source in sources])
        given = given if enter is None else enter(name, layer, given)
        return Visit(name, given, _as_trace(layer(given))._replace(dt=time_step(layer)))

    def _run_cycle(self, group: Sequence[str], known: dict[str, Any], enter) -> list[Visit]:
        """Run the layers of a cycle together, step by step."""
        cycle = _Cycle(self, group)
        outside = {}
        for name in group:
            parts = [known[source] for source in cycle.sources[name] if source not in group]
            if parts:
                outside[name] = _total(name, parts)
        num_steps, batch, _ = next(iter(outside.values())).shape
        dtype = jnp.result_type(*outside.values())
        states, rest = cycle.rest(batch, dtype)
        if enter is not None:
            zeros = {name: jnp.zeros((num_steps, *cycle.inside(name, rest, rest).shape), dtype) for name in group}
            outside = {name: enter(name, self.layers[name], outside.get(name, zeros[name])) for name in group}
        start, outside = alike((states, rest), outside)
        traces = jax.lax.scan(cycle.step, start, outside)[1]
        last = sorted(group, key=lambda name: name == self.names[-1])
        steps = {name: time_step(layer) for name, layer in cycle.layers.items()}
        return [Visit(name, outside.get(name), traces[name]._replace(dt=steps[name])) for name in last]


class _Cycle:
    """The layers of a cycle at one step."""

    def __init__(self, graph: Graph, group: Sequence[str]):
        self.layers = {name: graph.layers[name] for name in group}
        self.sources = {name: sources for name, sources in graph.sources.items() if name in self.layers}
        self.late = graph.late

    def rest(self, batch: int, dtype) -> tuple[dict[str, Any], dict[str, Float[Array, "batch n"]]]:
        """Return the states and the outputs before the first step, when nothing comes from outside."""
        begun = {name: layer.start(batch, dtype) for name, layer in self.layers.items() if isinstance(layer, Stepped)}
        states, rest = ({name: pair[k] for name, pair in begun.items()} for k in (0, 1))
        waiting = [name for name in self.layers if name not in rest]
        while waiting:  # no cycle is without memory, so there is always one whose sources are known
            name = next(name for name in waiting if all(a in rest for a in self.sources[name] if a in self.layers))
            rest[name] = self.at_once(name, self.inside(name, rest, rest)).output
            waiting.remove(name)
        return states, rest

    def inside(self, name: str, now: Mapping[str, Array], before: Mapping[str, Array]) -> Float[Array, "batch n"]:
        """Return what a layer gets from the layers of the cycle."""
        inner = [source for source in self.sources[name] if source in self.layers]
        return _total(name, [before[a] if (a, name) in self.late else now[a] for a in inner])

    def at_once(self, name: str, x: Float[Array, "batch n"]) -> Trace:
        """Call a layer without memory on a single step."""
        return jax.tree.map(lambda array: array[0], _as_trace(self.layers[name](x[None])))

    def step(self, carry, outside: dict[str, Float[Array, "batch n"]]):
        """Run every layer once: `jax.lax.scan` takes this as its step."""
        states, before = carry
        held = {name: layer for name, layer in self.layers.items() if isinstance(layer, Delay) and layer.least > 0}
        now = {name: layer.due(states[name]) for name, layer in held.items()}
        states, traces = dict(states), {}
        for name, layer in self.layers.items():
            given = _total(name, [self.inside(name, now, before), *([outside[name]] if name in outside else [])])
            if isinstance(layer, Stepped):
                states[name], traces[name] = layer.step(states[name], given)
            else:
                traces[name] = self.at_once(name, given)
            now[name] = traces[name].output
        return (states, now), traces


def _as_trace(out) -> Trace:
    return out if isinstance(out, Trace) else Trace(state=out)


def _total(name: str, parts: Sequence[Any]) -> Array:
    """Return the sum of what feeds a layer, as an array."""
    arrays = [part.dense() if isinstance(part, SpikeTimes | Packed | Steady) else part for part in parts]
    widths = {array.shape[-1] for array in arrays}
    if len(widths) > 1:
        raise ArgumentError(f"layer {name!r}: is fed by outputs of different widths, {sorted(widths)}")
    return sum(arrays[1:], arrays[0])


def _has_memory(layer: Callable) -> bool:
    return layer.least > 0 if isinstance(layer, Delay) else not isinstance(layer, WITHOUT_MEMORY)


def _check_names(layers: Mapping[str, Callable], edges: Sequence[tuple[str, str]]) -> None:
    if not layers:
        raise ArgumentError("layers: a Graph needs at least one")
    for name in (INPUT, OUTPUT):
        if name in layers:
            raise ArgumentError(f"layers: {name!r} is the name of an end of the graph; give the layer another")
    for a, b in edges:
        for end, accepted in ((a, {INPUT, *layers}), (b, {OUTPUT, *layers})):
            if end not in accepted:
                raise ArgumentError(f"edges: {a!r} -> {b!r}: there is no layer {end!r}")
    name = unconnected(layers, edges)
    if name is not None:
        raise ArgumentError(f"layer {name!r}: must lie on a path from input to output")


def _check_steps(name: str, layer: Callable) -> None:
    """Raise if a layer cannot be part of a cycle."""
    if not isinstance(layer, (Stepped, *WITHOUT_MEMORY)):
        kind = type(layer).__name__
        hint = "; use an nnx.Linear, an Expon and the neurons" if isinstance(layer, Projection) else ""
        raise ArgumentError(f"layer {name!r}: a {kind} cannot be part of a cycle, as it has no method step{hint}")
