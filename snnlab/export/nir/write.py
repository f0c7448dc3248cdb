"""Convert snnlab's layers to a NIR graph."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from snnlab.errors import ArgumentError
from snnlab.export.nir.constants import METHODS, NO_SPIKE_THRESHOLD, fade, tau_to_nir
from snnlab.export.nir.file import need_nir
from snnlab.export.nir.timestep import SECONDS
from snnlab.layers import (
    IF,
    Conv,
    ConvProjection,
    Delay,
    Expon,
    Leaky,
    LifRef,
    Pool,
    Projection,
    Recurrent,
    Scale,
    Stack,
    Threshold,
)
from snnlab.layers.wiring import INPUT, OUTPUT
from snnlab.models import Network
from snnlab.support import arguments
from snnlab.support.warn import warn

READOUTS = ("li", "lif")


def to_nir(
    model: nnx.Module,
    *,
    method: str = "euler",
    reader_dt: float | None = None,
    unit_gain: bool = False,
    readout: str = "li",
):
    """Convert a network to a NIR graph, with constants for which a reader of the stated kind computes the same.

    With `a = e^(-dt/tau)` of snnlab's exact step, and a reader with step `h = reader_dt`:

        method = "euler"          tau = h / (1 - a):     v <- v + (h / tau) (v_leak - v + r I) decays by a
        method = "exponential"    tau = tau h / dt:      v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I
        LifRef                    LIF, r = r; v_threshold the next float32 below v_th, as NIR fires at v > v_threshold
        Leaky                     LI, r = 1 / (1 - a): gain 1
        Expon >> LifRef, Leaky    CubaLIF, CubaLI, w_in = 1 / (1 - a_syn): a spike jumps by 1

    A recurrent layer becomes a subgraph in which its neurons feed a Linear node that feeds them. A Flatten node is put
    in front of layers that need images flat. NIR cannot say where a cycle of a `Graph` has its step of delay: the
    certificate of `save_nir` does.

    Args:
        model: a `Network` (its encoder is left out: the graph begins at the spikes), a `Stack`, or one layer.
        method: integration method of the reader: "euler", as in snnTorch, Norse and most others, or "exponential".
        reader_dt: time step of the reader [ms]; default the network's. snnTorch always reads with 0.1.
        unit_gain: multiply the weights by the gain of the current, and write `r` and `w_in` such that every gain is 1:
            for readers that support no other gain (snnTorch's CubaLIF), but not for one that ignores r (Norse's LIF).
        readout: "li" writes a final `Leaky` as LI or CubaLI; "lif" as LIF or CubaLIF with a threshold of 1e30, for
            readers without integrators (snnTorch, Norse): the readout is its voltage.

    Returns:
        A `nir.NIRGraph`. `save_nir` writes it, reads it again and measures the agreement.

    Raises:
        ArgumentError: if an argument is out of range, or NIR cannot express a layer: an LSTM, a refractory time of one
            step or more, layers with different time steps, your own layers. The message names the layer.
        SnnlabError: if the extra `nir` is not installed.

    Warns:
        UserWarning: if `reader_dt` seems to be in seconds.

    Example:
        >>> graph = to_nir(Stack(hidden=LifRef(3, tau_mem=10.0), readout=Leaky(3)), method="exponential")
        >>> graph.nodes["hidden"].tau.tolist()
        [0.009999999776482582, 0.009999999776482582, 0.009999999776482582]

    Source: Pedersen et al. (2024), Neuromorphic intermediate representation, DOI 10.1038/s41467-024-52259-9.
    """
    arguments.choice("method", method, METHODS)
    arguments.choice("readout", readout, READOUTS)
    stack = as_stack(model)
    dt = time_step(stack)
    if reader_dt is not None:
        reader_dt = arguments.time_step("reader_dt", reader_dt)
        if reader_dt < SECONDS and 1000.0 * reader_dt <= dt:
            text = f"reader_dt: is in milliseconds; if it is {reader_dt:g} s, pass reader_dt={1000.0 * reader_dt:g}"
            warn(text)
    writer = _Writer(dt, reader_dt or dt, method, unit_gain, _image(stack))
    for name, sources in stack.sources.items():
        try:
            if name == OUTPUT:
                continue
            integrator = name not in stack.sources[OUTPUT] or readout == "li"
            writer.add(name, stack.layers[name], sources, integrator=integrator)
        except ArgumentError as error:
            raise ArgumentError(f"layer {name!r}: {error}") from None
    return writer.finish(stack.sources[OUTPUT])


def as_stack(model: nnx.Module) -> Stack:
    """Return the layers of a model.

    Raises:
        ArgumentError: if the model is neither a network nor a layer of snnlab.
    """
    stack = model.stack if isinstance(model, Network) else model
    if isinstance(stack, Stack):
        return stack
    if type(stack) in WRITERS:
        return Stack(layer=stack)
    raise ArgumentError(f"model: must be a Network, a Stack or a layer of snnlab, got {type(model).__name__}")


def time_step(stack: Stack) -> float:
    """Return the time step [ms] of all layers; 1 if none has a time step."""
    return 1.0 if stack.dt is None else stack.dt


class _Link(NamedTuple):
    """A connection that is drawn when both its ends have been written.

    Attributes:
        source: the layer that it comes from, or "input".
        layer: the layer that it leads to, or "output".
        node: the first node of that layer.
        shape: of what this node takes.
    """

    source: str
    layer: str
    node: str
    shape: tuple[int, ...]


class _Writer:
    """Writes one layer after the other as a row of NIR nodes, and connects the rows."""

    def __init__(self, dt: float, reader_dt: float, method: str, unit_gain: bool, image: tuple[int, ...]):
        self.nir = need_nir()
        self.dt, self.reader_dt, self.method, self.unit_gain = dt, reader_dt, method, unit_gain
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.links: list[_Link] = []
        self.outputs: dict[str, tuple[str, tuple[int, ...]]] = {}  # last node and shape of a layer
        self.image = image
        self.layer, self.sources = "", ()  # which is being written, and what feeds it
        self.shape: tuple[int, ...] = ()  # output of its last node
        self.row: list[str] = []  # its nodes

    def add(self, name: str, layer: object, sources: tuple[str, ...], *, integrator: bool) -> None:
        """Write the nodes of one layer."""
        if type(layer) not in WRITERS:
            raise ArgumentError(f"NIR has no node for {type(layer).__name__}")
        self.layer, self.sources, self.row = name, sources, []
        WRITERS[type(layer)](self, name, layer, integrator)
        self.outputs[name] = self.row[-1], self.shape

    def finish(self, sources: tuple[str, ...]):
        """Return the graph, whose output these layers feed."""
        shapes = {self.outputs[source][1] for source in sources if source in self.outputs}
        self.layer, self.sources, self.row = OUTPUT, sources, []
        self.accept(shapes.pop() if len(shapes) == 1 else (math.prod(shapes.pop()),))
        self.put(OUTPUT, self.nir.Output(np.array(self.shape)))
        for link in self.links:
            self.connect(link)
        return self.graph(self.nodes, self.edges)

    def connect(self, link: _Link) -> None:
        """Draw a connection, through a Flatten node where an image must be flat."""
        last, shape = self.outputs[link.source]
        if shape != link.shape:
            if math.prod(shape) != math.prod(link.shape) or len(link.shape) != 1:
                raise ArgumentError(f"layer {link.layer!r}: takes {link.shape}, but {link.source!r} returns {shape}")
            self.row = [last]
            last = self.put("flatten", self.nir.Flatten({"input": np.array(shape)}, 0, -1))
        if (last, link.node) in self.edges:
            raise ArgumentError(f"layer {link.layer!r}: is fed twice by {link.source!r}, and NIR counts that once")
        self.edges.append((last, link.node))

    def graph(self, nodes: dict[str, Any], edges: Iterable[tuple[str, str]]):
        return self.nir.NIRGraph(nodes, list(edges), type_check=False)

    def put(self, name: str, node) -> str:
        """Add a node behind the last one of the layer, and return its name."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        if self.row:
            self.edges.append((self.row[-1], name))
        else:
            self.links += [_Link(source, self.layer, name, self.shape) for source in self.sources]
        self.row.append(name)
        return name

    def accept(self, shape: tuple[int, ...]) -> None:
        """Say what shape a layer takes; the first one that the input feeds gives it its shape."""
        if INPUT in self.sources and INPUT not in self.outputs:
            given = self.image if math.prod(self.image) == math.prod(shape) else shape
            self.nodes[INPUT] = self.nir.Input(np.array(given))
            self.outputs[INPUT] = INPUT, given
        self.shape = shape

    def accept_any(self, features: int) -> None:
        """Say what a layer takes that treats each unit by itself, for which an image may stay an image."""
        known = {self.outputs[source][1] if source in self.outputs else () for source in self.sources}
        shape = known.pop() if len(known) == 1 else ()
        shape = self.image if self.sources == (INPUT,) and not shape else shape
        self.accept(shape if math.prod(shape) == features else (features,))

    # ---- the layers ----

    def projection(self, name: str, layer: Projection, integrator: bool) -> None:
        self.accept((layer.in_features,))
        self.travel(name, layer)
        node, gain = self.neuron(layer.neuron, layer.synapse, integrator, (layer.features,))
        kernel, bias = layer.weights()
        if isinstance(layer, ConvProjection):
            kernel = layer.window.flat(kernel)
        self.put(f"{name}_weights", self.matrix(kernel, bias, gain))
        self.shape = (layer.features,)
        if isinstance(layer, Recurrent):
            ends = {"input": self.nir.Input(np.array(self.shape)), "output": self.nir.Output(np.array(self.shape))}
            nodes = ends | {"lif": node, "w_rec": self.matrix(layer.recurrent_kernel[...], None, gain)}
            edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
            node = self.graph(nodes, edges)
        self.put(name, node)

    def convolution(self, name: str, layer: ConvProjection, integrator: bool) -> None:
        window = layer.window
        if window.pixels == 1:  # weights from every input
            return self.projection(name, layer, integrator)
        self.accept(window.in_shape)
        self.travel(name, layer)
        if window.pool > 1:
            size = np.array((window.pool, window.pool))
            self.put(f"{name}_pool", self.nir.SumPool2d(size, size, np.array((0, 0))))
        node, gain = self.neuron(layer.neuron, layer.synapse, integrator, layer.out_shape)
        kernel, bias = layer.weights()
        filters = _finite("kernel", kernel).reshape(*window.size, window.in_shape[0], -1) * gain
        bias = np.zeros(len(gain), np.float32) if bias is None else _finite("bias", bias) * gain
        options = {"stride": window.stride, "padding": window.padding, "dilation": (1, 1), "groups": 1}
        weight = filters.transpose(3, 2, 0, 1)
        self.put(f"{name}_weights", self.nir.Conv2d(input_shape=window.cells, weight=weight, bias=bias, **options))
        self.shape = layer.out_shape
        self.put(name, node)

    def alone(self, name: str, layer: Expon | LifRef | Leaky | IF, integrator: bool) -> None:
        """Append neurons or synapses without weights."""
        self.accept_any(layer.features)
        node, gain = self.neuron(layer, None, integrator, self.shape)
        if (gain != 1.0).any():
            self.put(f"{name}_gain", self.nir.Scale(gain.reshape(self.shape)))
        self.put(name, node)

    def linear(self, name: str, layer: nnx.Linear, integrator: bool) -> None:
        self.accept((layer.in_features,))
        bias = None if layer.bias is None else layer.bias[...]
        self.put(name, self.matrix(layer.kernel[...], bias, np.ones(1, np.float32)))
        self.shape = (layer.out_features,)

    def scale(self, name: str, layer: Scale, integrator: bool) -> None:
        self.accept_any(layer.features)
        self.put(name, self.nir.Scale(_finite("scale", layer.scale[...]).reshape(self.shape)))

    def delay(self, name: str, layer: Delay, integrator: bool) -> None:
        self.accept_any(layer.features)
        self.put(name, self.later(layer))

    def threshold(self, name: str, layer: Threshold, integrator: bool) -> None:
        self.accept_any(layer.features)
        below = np.broadcast_to(_below(layer.v_th), (layer.features,))
        self.put(name, self.nir.Threshold(_finite("v_th", below).reshape(self.shape)))

    def conv(self, name: str, layer: Conv, integrator: bool) -> None:
        self.accept(layer.shape)
        dims, channels = len(layer.shape) - 1, layer.out_shape[0]
        bias = np.zeros(channels, np.float32) if layer.bias is None else _finite("bias", layer.bias[...])
        even = all(before == after for before, after in layer.padding)
        padding = tuple(before for before, _ in layer.padding) if even else "same"
        options = {"stride": layer.stride, "padding": padding, "dilation": layer.dilation}
        size = layer.shape[1:]
        if dims == 1:
            size = size[0]
            options = {key: value if isinstance(value, str) else value[0] for key, value in options.items()}
        make = self.nir.Conv1d if dims == 1 else self.nir.Conv2d
        weight = _finite("kernel", layer.kernel[...])
        self.put(name, make(input_shape=size, weight=weight, groups=layer.groups, bias=bias, **options))
        self.shape = layer.out_shape

    def pool(self, name: str, layer: Pool, integrator: bool) -> None:
        self.accept(layer.shape)
        if layer.kind == "max":
            raise ArgumentError("kind: must be sum or average, as NIR has no maximum over windows")
        if any(before != after for before, after in layer.padding):
            raise ArgumentError(f"NIR pads evenly, this pads by {layer.padding}")
        make = self.nir.SumPool2d if layer.kind == "sum" else self.nir.AvgPool2d
        padding = np.array([before for before, _ in layer.padding])
        self.put(name, make(np.array(layer.window), np.array(layer.stride), padding))
        self.shape = layer.out_shape

    # ---- their parts ----

    def travel(self, name: str, layer: Projection) -> None:
        """Append what delays the input of a layer with weights."""
        if isinstance(layer.delay, Delay):
            self.put(f"{name}_delay", self.later(layer.delay))
        elif layer.delay:
            self.put(f"{name}_delay", self.nir.Delay(np.full(self.shape, layer.delay * self.reader_dt / 1000.0)))

    def later(self, delay: Delay):
        """Make a node of delays, one per unit."""
        steps = np.asarray(delay.steps[...])
        if (steps != steps.round()).any():
            raise ArgumentError(
                "steps: must be whole, as NIR's readers count steps; use Delay(np.round(learned).astype(int))"
            )
        return self.nir.Delay(np.reshape(steps, self.shape) * self.reader_dt / 1000.0)

    def matrix(self, kernel, bias, gain: np.ndarray):
        """Make a node of weights, in NIR of shape (out, in), each row times the gain of its neuron."""
        weight = (_finite("kernel", kernel) * gain).T
        if bias is None:
            return self.nir.Linear(weight)
        return self.nir.Affine(weight, _finite("bias", bias) * gain)

    def neuron(
        self, neuron: object, synapse: object, integrator: bool, shape: tuple[int, ...]
    ) -> tuple[Any, np.ndarray]:
        """Make a node for neurons behind a synapse, and return it with the gain for the weights before it."""
        if not isinstance(neuron, Expon | LifRef | Leaky | IF):
            raise ArgumentError(f"NIR has no node for {type(neuron).__name__}")
        n, one = neuron.features, np.ones(neuron.features, np.float32)
        fields, gain, fires = self.membrane(neuron)
        if synapse is not None:
            if type(synapse) is not Expon or "tau" not in fields:
                raise ArgumentError(f"NIR has no {type(neuron).__name__} behind a {type(synapse).__name__}")
            if np.isinf(_full(synapse.tau_syn, n)).any():
                raise ArgumentError("tau_syn: must be finite, as nothing enters a synapse of NIR that never decays")
            w_in = 1.0 / fade(_full(synapse.tau_syn, n), self.dt)
            fields |= {"tau_mem": fields.pop("tau"), "tau_syn": self.tau(synapse.tau_syn, n), "w_in": w_in}
        if not fires and not integrator and "v_leak" in fields:
            fields |= {"v_threshold": NO_SPIKE_THRESHOLD * one, "v_reset": 0 * one}
        name = {"tau_syn": "CubaLI", "tau": "LI"}.get(next((k for k in ("tau_syn", "tau") if k in fields), ""), "I")
        name += "F" if "v_threshold" in fields else ""
        pixels = math.prod(shape) // n  # which share what is one value per channel
        fields = {
            key: np.repeat(_field(key, np.broadcast_to(value, n)), pixels).reshape(shape)
            for key, value in fields.items()
        }
        return getattr(self.nir, name)(**fields), np.asarray(np.broadcast_to(gain, n), np.float32)

    def membrane(self, neuron: Expon | LifRef | Leaky | IF) -> tuple[dict[str, Any], np.ndarray | float, bool]:
        """Return the parameters of a node without synapse, the gain for the weights before it, and whether it fires."""
        if isinstance(neuron, Expon | Leaky):
            return self.integrator(neuron), 1.0, False
        n, gain = neuron.features, 1.0
        rest = 0.0
        if isinstance(neuron, IF):
            rest = np.asarray(neuron.v_rest[...], np.float32)  # from which NIR's voltages are measured
            fields = {"r": _full(neuron.r, n) * self.dt / (self.reader_dt / 1000.0)}
        else:
            if neuron.beta is not None:
                raise ArgumentError("beta: must be left out, as NIR has no threshold that adapts")
            if (_full(neuron.tau_ref, n) > self.dt * (1.0 - 1e-3)).any():
                raise ArgumentError("tau_ref: must be 0, as NIR has no refractory time; train with tau_ref=0")
            fields = {"tau": self.tau(neuron.tau_mem, n), "r": _full(neuron.r, n), "v_leak": _full(neuron.v_rest, n)}
            if self.unit_gain:
                lost = fade(_full(neuron.tau_mem, n), self.dt)
                gain, fields["r"] = fields["r"] * lost, 1.0 / lost
        return (
            fields | {"v_threshold": _below(neuron.v_th, rest), "v_reset": _full(neuron.v_reset, n) - rest},
            gain,
            True,
        )

    def integrator(self, neuron: Expon | Leaky) -> dict[str, Any]:
        """Return the parameters of a node that does not fire."""
        n = neuron.features
        tau, rest = (neuron.tau_syn, None) if isinstance(neuron, Expon) else (neuron.tau_mem, neuron.v_rest)
        lost = fade(_full(tau, n), self.dt)
        if (lost < 2.0**-25).all() and rest is None:  # no leak, in single precision
            return {"r": np.full(n, 1.0 / (self.reader_dt / 1000.0))}
        if (lost == 0.0).any():
            raise ArgumentError("tau: must be finite for all neurons, or infinite for all that rest at 0")
        v_leak = np.zeros(n) if rest is None else _full(rest, n)
        return {"tau": self.tau(tau, n), "r": 1.0 / lost, "v_leak": v_leak}

    def tau(self, tau, n: int) -> np.ndarray:
        return tau_to_nir(_full(tau, n), dt=self.dt, reader_dt=self.reader_dt, method=self.method)


BY_ITSELF = (Expon, LifRef, Leaky, IF, Scale, Delay, Threshold)
"""Layers that treat each unit by itself."""

WRITERS: dict[type, Callable[..., None]] = {
    Projection: _Writer.projection,
    Recurrent: _Writer.projection,
    ConvProjection: _Writer.convolution,
    Expon: _Writer.alone,
    LifRef: _Writer.alone,
    Leaky: _Writer.alone,
    IF: _Writer.alone,
    nnx.Linear: _Writer.linear,
    Scale: _Writer.scale,
    Threshold: _Writer.threshold,
    Delay: _Writer.delay,
    Conv: _Writer.conv,
    Pool: _Writer.pool,
}


def _image(stack: Stack) -> tuple[int, ...]:
    """Return the image shape that the layers behind the input need; (0,) if they need none."""
    near = {INPUT}
    for name in stack.names:
        layer = stack.layers[name]
        if near.intersection(stack.sources.get(name, ())):
            if isinstance(layer, Conv | Pool):
                return layer.shape
            if isinstance(layer, ConvProjection):
                return layer.window.in_shape
            if type(layer) in BY_ITSELF:
                near.add(name)
    return (0,)


def _below(variable, rest: np.ndarray | float = 0.0) -> np.ndarray:
    """Return thresholds above rest, one float32 lower: snnlab fires at them, NIR above them."""
    return np.nextafter(np.asarray(variable[...], np.float32) - np.float32(rest), np.float32(-np.inf))


def _full(variable, n: int) -> np.ndarray:
    """Return one number per neuron, in double precision."""
    return np.broadcast_to(np.asarray(variable[...], np.float64), (n,))


def _finite(name: str, values) -> np.ndarray:
    """Convert to single precision; raise if a value is not finite."""
    return arguments.numbers(name, values).astype(np.float32)


def _field(name: str, values) -> np.ndarray:
    """Convert a parameter of neurons to single precision; a time constant may be infinite."""
    if not name.startswith("tau"):
        return _finite(name, values)
    return arguments.numbers(name, values, infinite=True).astype(np.float32)
