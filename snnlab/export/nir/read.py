"""Convert a NIR graph to snnlab's layers, a `Stack` or a `Graph`, which runs, trains and is exported like any other."""

import itertools
import math
import os
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from snnlab.errors import ArgumentError, FileFormatError
from snnlab.export.nir.constants import METHODS, ROUNDED, fade, tau_from_nir
from snnlab.export.nir.file import need_nir, read_graph
from snnlab.export.nir.graph import NEURONS, WEIGHTS, Node, fires, kind, opened, trimmed
from snnlab.export.nir.timestep import remarks, written_for
from snnlab.export.nir.values import above, matrix, one, padding, single, values, whole
from snnlab.layers import (
    IF,
    Conv,
    Delay,
    Expon,
    Graph,
    Leaky,
    LifRef,
    Pool,
    Projection,
    Recurrent,
    Scale,
    Stack,
    Threshold,
)
from snnlab.layers.wiring import INPUT, OUTPUT, components
from snnlab.support import arguments
from snnlab.support.transfers import transfers_allowed
from snnlab.support.warn import warn

MAX_DELAY = 10_000
"""Steps of a delay in a cycle, whose signals are kept one and all."""
MAX_SUM = 1000
"""Signals that may add up in a node; subgraphs that only pass signals on could multiply them without end."""


@transfers_allowed()
def from_nir(
    source,
    *,
    dt: float,
    method: str = "euler",
    reset: str = "value",
    slope: float = 10.0,
    surrogate: str = "inv_square",
) -> Stack:
    """Convert a NIR graph to a network of snnlab's layers: a `Stack`, or a `Graph` if it has branches or cycles.

    NIR leaves three things open, which you choose here: the time step, the integration method, and the reset.
    With `h = dt`, and input held constant during a step, a LIF node becomes

        method = "euler"          v <- v + (h / tau) (v_leak - v + r I)
        method = "exponential"    v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I
        s = 1 if v > v_threshold (strictly: that is `v >= v_th`, with v_th the next larger float32)
        v <- v_reset              reset = "value", NIR's own equation
        v <- v - (v_th - v_reset) reset = "subtract"

    LI is LIF without spikes; I and IF have no leak (`v <- v + h r I`). CubaLI and CubaLIF have a synapse in front that
    is stepped first, by the same method: `tau_syn I' = -I + w_in S`. All begin at rest, `v = v_leak`. A Threshold fires
    at every step at which its input is above it. Every gain (r, w_in) is applied; integrators have no parameter for it,
    so the weights before them are multiplied by it. A neuron with a threshold of 1e30 or more never fires and is read
    as an integrator, whose output is its voltage.

    What feeds the same node adds up. Recurrent spikes arrive one step later, and so does one signal in every other
    cycle: where it closes, see `snnlab.layers.Graph`. A Delay in the cycle takes the place of that step. Leading axes
    of length 1 in shapes, which are a batch, are left out.

    Args:
        source: path of a NIR file, or a `nir.NIRGraph`.
        dt: time step [ms], > 0; NIR's time constants are in seconds.
        method: "euler", as in most NIR readers (every time constant must then be at least dt), or "exponential".
        reset: "value" or "subtract".
        slope, surrogate: of the neurons' gradient, see `snnlab.layers.LifRef`; NIR has none.

    Returns:
        The layers, named after their nodes. Pass it to `snnlab.models.Network` with an encoder to train it.

    Raises:
        ArgumentError: if an argument is out of range, or a node is damaged (missing, shapes that do not match, values
            that are not finite, time constants that are not positive), or a cycle has no neuron and no delay. The
            message names the node.
        FileFormatError: the same for a file, or if it is not a NIR file.
        SnnlabError: if the extra `nir` is not installed.

    Warns:
        UserWarning: if the time step is probably not the one that the graph was made for, because single spikes hardly
            move its neurons, or far too much, or because it seems to be in seconds. The warning proposes another.

    Example:
        >>> import nir, numpy as np, jax.numpy as jnp
        >>> one = np.ones(1, np.float32)
        >>> lif = nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)
        >>> net = from_nir(nir.NIRGraph.from_list(nir.Linear(2 * np.eye(1)), lif), dt=1.0)
        >>> v = net(jnp.ones((8, 1, 1))).layers["lif"].state[:, 0, 0]  # 0.9 v + 0.1 * 2
        >>> [round(float(x), 3) for x in v]
        [0.2, 0.38, 0.542, 0.688, 0.819, 0.937, 0.0, 0.2]

    Source: Pedersen et al. (2024), Neuromorphic intermediate representation, DOI 10.1038/s41467-024-52259-9.
    """
    dt = arguments.time_step("dt", dt)
    arguments.choice("method", method, METHODS)
    arguments.choice("reset", reset, ("subtract", "value"))
    spiking = {"reset": reset, "slope": slope, "surrogate": surrogate}
    graph = read_graph(source) if isinstance(source, str | os.PathLike) else source
    if not isinstance(graph, need_nir().NIRGraph):
        raise ArgumentError(f"source: must be a path or a nir.NIRGraph, got {type(source).__name__}")
    try:
        nodes = opened(graph)
        net = build(nodes, dt, method, spiking)
    except Exception as error:
        if graph is source:
            raise
        if isinstance(error, ArgumentError):
            raise FileFormatError(f"{source}: {textwrap.shorten(str(error), 1000)}") from None
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)  # nodes in a file may lack any field
        raise FileFormatError(f"{source}: does not describe a network ({reason})") from error
    for remark in remarks(nodes, dt, method, lambda other: _is_readable(nodes, other, method)):
        warn(remark)
    return net


def build(nodes: Mapping[str, Node], dt: float, method: str, spiking: dict[str, Any]) -> Stack:
    """Build the layers of the nodes.

    Args:
        nodes: from `graph.opened`.
        dt, method: see `from_nir`.
        spiking: arguments of the layers that fire.

    Raises:
        ArgumentError: see `from_nir`.
    """
    builder = _Builder(nodes, dt, method, spiking)
    for name, node in nodes.items():
        try:
            builder.add(name, node)
        except ArgumentError as error:
            raise ArgumentError(f"node {node.label!r}: {error}") from None
    return builder.finish()


def _is_readable(nodes: Mapping[str, Node], dt: float, method: str) -> bool:
    try:
        build(nodes, dt, method, {})
    except ArgumentError:
        return False
    return True


class _Builder:
    """Makes layers, and remembers which belong to a node. A delay and weights are left to the neurons they feed."""

    def __init__(self, nodes: Mapping[str, Node], dt: float, method: str, spiking: dict[str, Any]):
        self.nodes, self.dt, self.method, self.spiking = nodes, dt, method, spiking
        self.layers: dict[str, nnx.Module] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # outputs of the nodes
        self.rows: dict[str, list[str]] = {}  # the layers of a node, one after the other; none if it passes signals on
        self.delays: dict[str, int] = {}
        self.weights: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}

    def add(self, name: str, node: Node) -> None:
        """Add the layers of one node; one of its sources has been added before."""
        what = kind(node.node)
        if what not in MAKERS:
            raise ArgumentError(f"snnlab has no layer for {what}")
        self.rows[name] = []
        shape = next((self.shapes[source] for source in node.sources if source in self.shapes), ())
        self.shapes[name] = trimmed(MAKERS[what](self, name, node, shape))

    def finish(self) -> Stack:
        """Return the network."""
        for node in self.nodes.values():
            shapes = {source: self.shapes[source] for source in node.sources}
            if len(set(shapes.values())) > 1:
                raise ArgumentError(f"node {node.label!r}: must be fed by nodes of one shape, got {shapes}")
        if not self.layers:
            raise ArgumentError("graph: must have nodes between its input and its output")
        edges = self.edges()
        row = [INPUT, *self.layers, OUTPUT]
        return Stack(self.layers) if edges == list(itertools.pairwise(row)) else Graph(self.layers, edges)

    def edges(self) -> list[tuple[str, str]]:
        """Return the connections between the layers."""
        outputs = {name: row[-1:] for name, row in self.rows.items()} | {INPUT: [INPUT]}  # what adds up to an output
        passing = [name for name, row in self.rows.items() if not row]
        for (name,) in components(passing, [(a, b) for b in passing for a in self.nodes[b].sources]):
            outputs[name] += [layer for source in self.nodes[name].sources for layer in outputs[source]]
            if len(outputs[name]) > MAX_SUM:
                raise ArgumentError(f"node {name!r}: at most {MAX_SUM} signals may add up in it")
        edges = []
        for name, node in self.nodes.items():
            row = [OUTPUT] if name == OUTPUT else self.rows[name]
            if row:
                edges += [(layer, row[0]) for source in node.sources for layer in outputs[source]]
                edges += itertools.pairwise(row)
        return edges

    def put(self, node: str, name: str, layer: nnx.Module) -> None:
        """Add a layer of a node, under a name that is not taken."""
        if name.startswith(("__", "_pytree__")):
            raise ArgumentError("name: must not begin with two underscores, or with _pytree__")
        while name in self.layers or name in (INPUT, OUTPUT):
            name += "_"
        self.layers[name] = layer
        self.rows[node].append(name)

    # ---- the nodes: each returns the shape of its output ----

    def end(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Input or Output: its shape must be the shape here; an Output may have none, or a single number."""
        given = node.node.input_type["input"]
        if given is None and shape:
            return shape
        said = trimmed(whole("shape", given, low=1))
        if shape not in ((), said) and math.prod(said) > 1:
            raise ArgumentError(f"shape: must be {shape}, as the node before returns, got {said}")
        return shape or said

    def matrix(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Linear or Affine."""
        kernel, bias = matrix(node.node)
        if shape != kernel.shape[:1]:
            raise ArgumentError(f"weight: takes {kernel.shape[0]} units, but the node before returns {shape}")
        if self.belongs_to_neurons(name):
            self.weights[name] = kernel, bias
            return kernel.shape[1:]
        layer = nnx.Linear(*kernel.shape, use_bias=bias is not None, rngs=nnx.Rngs(0))
        layer.kernel[...] = single(kernel)
        if bias is not None and layer.bias is not None:
            layer.bias[...] = single(bias)
        self.put(name, name, layer)
        return kernel.shape[1:]

    def belongs_to_neurons(self, name: str) -> bool:
        """Whether the weights feed neurons, and nothing else feeds these; then they are one layer."""
        targets = self.nodes[name].targets
        return (
            len(targets) == 1 and kind(self.nodes[targets[0]].node) in NEURONS and self.weights_of(targets[0]) == name
        )

    def weights_of(self, name: str) -> str | None:
        """Return the node of the weights that alone feed neurons, and these alone."""
        node = self.nodes[name]
        source = node.sources[0]
        alone = len(node.sources) == 1 and not node.cyclic and self.nodes[source].targets == (name,)
        return source if alone and kind(self.nodes[source].node) in WEIGHTS else None

    def delay(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Delay, in whole steps."""
        exact = values(node.node, "delay", shape, low=0.0) * 1000.0 / self.dt
        if (np.abs(exact - exact.round()) > 1e-3).any():
            raise ArgumentError(f"delay: must be whole steps of dt = {self.dt} ms, got {exact.max() * self.dt} ms")
        if node.cyclic and exact.max() > MAX_DELAY:
            raise ArgumentError(f"delay: must be at most {MAX_DELAY} steps in a cycle, got {exact.max():g}")
        steps, target = exact.round().astype(int), node.targets[0]
        weights = self.nodes[target]
        same = np.unique(steps).size == 1 and node.targets == (target,) and weights.sources == (name,)
        if same and kind(weights.node) in WEIGHTS and self.belongs_to_neurons(target):
            self.delays[target] = int(steps[0])
        else:
            self.put(name, name, Delay(steps))
        return shape

    def scale(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Scale."""
        self.put(name, name, Scale(values(node.node, "scale", shape)))
        return shape

    def threshold(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Threshold; its surrogate is as wide as the threshold is high."""
        level = values(node.node, "threshold", shape)
        options = {key: value for key, value in self.spiking.items() if key != "reset"}
        scale = float(np.abs(level).max()) or 1.0
        self.put(name, name, Threshold(level.size, v_th=one(above(level)), v_scale=scale, **options))
        return shape

    def flatten(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Flatten: signals are always flat, in the same order."""
        return (math.prod(shape),)

    def conv(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Conv1d or Conv2d."""
        given, dims = node.node, int(kind(node.node)[-2])
        kernel = arguments.numbers("weight", given.weight)
        options = {key: whole(key, getattr(given, key), dims, low=1) for key in ("stride", "dilation")}
        reach = [d * (k - 1) for d, k in zip(options["dilation"], kernel.shape[2:], strict=False)]
        pad = padding(given.padding, reach, options["stride"])
        groups = whole("groups", given.groups, 1, low=1)[0]
        layer = Conv(kernel, given.bias, shape=_image(shape, dims), padding=pad, groups=groups, **options)
        self.put(name, name, layer)
        return layer.out_shape

    def pool(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """SumPool2d or AvgPool2d."""
        given = node.node
        window, stride = (whole(key, getattr(given, key), 2, low=1) for key in ("kernel_size", "stride"))
        how = "sum" if kind(given) == "SumPool2d" else "average"
        pad = padding(given.padding, (0, 0), stride)
        layer = Pool(how, shape=_image(shape, 2), window=window, stride=stride, padding=pad)
        self.put(name, name, layer)
        return layer.out_shape

    def neuron(self, name: str, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Any neuron; its gain becomes its resistance, or is multiplied into the weights before an integrator."""
        what, n = kind(node.node), math.prod(shape)
        if np.isinf(np.asarray(node.node.r, np.float64)).any():
            raise ArgumentError("r: is infinite, so the gain r / tau is unknown; neurons without a leak are I or IF")
        infinite = [key for key in ("tau", "tau_mem", "tau_syn") if key in NEURONS[what]]
        p = {key: values(node.node, key, shape, infinite=key in infinite) for key in NEURONS[what]}
        synapse, gain, tau = None, p["r"], None
        if what.startswith("Cuba"):
            tau_syn = self.tau("tau_syn", p["tau_syn"])
            synapse, gain = Expon(n, tau_syn=one(tau_syn), dt=self.dt), gain * p["w_in"] * fade(tau_syn, self.dt)
        if what not in ("I", "IF"):
            key = "tau_mem" if synapse else "tau"
            tau = self.tau(key, p[key])
        if fires(node.node):
            spiking = {
                "v_reset": one(p["v_reset"]),
                "v_th": one(above(p["v_threshold"])),
                **self.spiking,
                "dt": self.dt,
            }
            if tau is None:
                self.place(name, node, IF(n, r=one(gain / 1000.0), **spiking), synapse)
            else:
                leak = {"tau_mem": one(tau), "v_rest": one(p["v_leak"])}
                self.place(name, node, LifRef(n, r=one(gain), **leak, **spiking), synapse)
            return shape
        rest = p["v_leak"] if p.get("v_leak", np.zeros(1)).any() else None
        gain = gain * (self.dt / 1000.0 if tau is None else fade(tau, self.dt))
        tau_mem = math.inf if tau is None else one(tau)
        self.place(name, node, Leaky(n, tau_mem=tau_mem, v_rest=one(rest), dt=self.dt), synapse, gain)
        return shape

    def tau(self, name: str, seconds: np.ndarray) -> np.ndarray:
        """Convert a time constant to ms, for exact decay; see `tau_from_nir`."""
        euler = self.method == "euler"
        arguments.numbers(name, seconds, 0.0, strict=euler, infinite=True, unit="s")
        if euler and (1000.0 * seconds < self.dt * (1.0 - ROUNDED)).any():
            written = written_for(self.nodes, self.method)
            hint = f", such as {written:.4g}, with which all its gains are 1" if written else ""
            raise ArgumentError(
                f"{name}: must be >= {self.dt / 1000.0:.4g} s for dt = {self.dt} ms and method='euler', "
                f"got {seconds.min():.4g} s; use a smaller dt{hint}"
            )
        return tau_from_nir(seconds, dt=self.dt, method=self.method)

    def place(
        self, name: str, node: Node, neuron: LifRef | IF | Leaky, synapse: Expon | None, gain: np.ndarray | None = None
    ) -> None:
        """Add neurons together with the weights that feed only them; without such, as layers of their own."""
        source = self.weights_of(name)
        if source is not None:
            kernel, bias = self.weights[source]
        elif node.loop is not None:
            kernel, bias = np.eye(neuron.features), None
        else:
            self.place_alone(name, neuron, synapse, gain)
            return
        if gain is not None:
            kernel, bias = kernel * gain, None if bias is None else bias * gain
        options: dict[str, Any] = {"synapse": synapse, "kernel_init": lambda key, shape: single(kernel)}
        if node.loop is None:
            make = Projection
        else:
            make, (inner, constant) = Recurrent, self.recurrence(node.loop, neuron.features)
            bias = constant if bias is None else bias + (0.0 if constant is None else constant)
            options["recurrent_init"] = lambda key, shape: single(inner)
        options |= {"delay": self.delays.get(source or "", 0), "use_bias": bias is not None, "rngs": nnx.Rngs(0)}
        layer = make(len(kernel), neuron, **options)  # pyright: ignore[reportArgumentType] (Recurrent checks its neuron)
        if bias is not None and layer.bias is not None:
            layer.bias[...] = single(bias)
        self.put(name, name, layer)

    def place_alone(self, name: str, neuron: nnx.Module, synapse: Expon | None, gain: np.ndarray | None) -> None:
        """Add neurons without weights: a row of layers."""
        if gain is not None and (gain != 1.0).any():
            self.put(name, f"{name}_gain", Scale(gain))
        if synapse is not None:
            self.put(name, f"{name}_synapse", synapse)
        self.put(name, name, neuron)

    def recurrence(self, loop: Any, features: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the weights and the bias by which neurons feed themselves."""
        inner, constant = matrix(loop)
        if inner.shape != (features, features):
            raise ArgumentError(f"weight: recurrent weights must have shape {(features,) * 2}, got {inner.T.shape}")
        return inner, constant


def _image(shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    """Return a shape with an axis of channels before those of space."""
    return (1,) * (dims + 1 - len(shape)) + shape


MAKERS = {
    "Input": _Builder.end,
    "Output": _Builder.end,
    "Linear": _Builder.matrix,
    "Affine": _Builder.matrix,
    "Delay": _Builder.delay,
    "Scale": _Builder.scale,
    "Threshold": _Builder.threshold,
    "Flatten": _Builder.flatten,
    "Conv1d": _Builder.conv,
    "Conv2d": _Builder.conv,
    "SumPool2d": _Builder.pool,
    "AvgPool2d": _Builder.pool,
    **dict.fromkeys(NEURONS, _Builder.neuron),
}
