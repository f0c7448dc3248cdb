"""Convert a NIR graph to a `Stack` of snnlab's layers, which runs, trains and is exported like any other."""

import math
import os
import textwrap
from typing import Any

import numpy as np
from flax import nnx

from snnlab.errors import ArgumentError, FileFormatError
from snnlab.export.nir.constants import METHODS, NO_LEAK_STEPS, NO_SPIKE_THRESHOLD, fade, tau_from_nir
from snnlab.export.nir.file import need_nir, read_graph
from snnlab.export.nir.graph import Step, in_order, kind
from snnlab.export.nir.values import above, matrix, one, padding, single, values, whole
from snnlab.layers import IF, Conv, Delay, Expon, Leaky, LifRef, Pool, Projection, Recurrent, Scale, Stack
from snnlab.support import arguments
from snnlab.support.transfers import transfers_allowed
from snnlab.variables import Fixed

NEURONS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
}
"""NIR's neurons and their parameters: one number per neuron, or one for all."""


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
    """Convert a NIR graph to a network of snnlab's layers.

    NIR leaves three things open, which you choose here: the time step, the integration method, and the reset.
    With `h = dt`, and input held constant during a step, a LIF node becomes

        method = "euler"          v <- v + (h / tau) (v_leak - v + r I)
        method = "exponential"    v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I
        s = 1 if v > v_threshold (strictly: that is `v >= v_th`, with v_th the next larger float32)
        v <- v_reset              reset = "value", NIR's own equation
        v <- v - (v_th - v_reset) reset = "subtract"

    LI is LIF without spikes; I and IF have no leak (`v <- v + h r I`). CubaLI and CubaLIF have a synapse in front that
    is stepped first, by the same method: `tau_syn I' = -I + w_in S`. All begin at rest, `v = v_leak`. Recurrent spikes
    arrive one step later. Every gain (r, w_in) is applied; integrators have no parameter for it, so the weights before
    them are multiplied by it. A neuron with a threshold of 1e30 or more never fires and is read as an integrator, whose
    output is its voltage.

    Args:
        source: path of a NIR file, or a `nir.NIRGraph`.
        dt: time step [ms], > 0; NIR's time constants are in seconds.
        method: "euler", as in most NIR readers (every time constant must then be > 1.58 dt), or "exponential".
        reset: "value" or "subtract".
        slope, surrogate: of the neurons' gradient, see `snnlab.layers.LifRef`; NIR has none.

    Returns:
        The layers, named after their nodes. Pass it to `snnlab.models.Network` with an encoder to train it.

    Raises:
        ArgumentError: if an argument is out of range, or a node is damaged (missing, shapes that do not match, values
            that are not finite, time constants that are not positive) or has no layer here. The message names the node.
        FileFormatError: the same for a file, or if it is not a NIR file.
        SnnlabError: if the extra `nir` is not installed.

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
    from_file = isinstance(source, str | os.PathLike)
    graph = read_graph(source) if from_file else source
    if not isinstance(graph, need_nir().NIRGraph):
        raise ArgumentError(f"source: must be a path or a nir.NIRGraph, got {type(source).__name__}")
    try:
        builder = _Builder(dt, method, {"reset": reset, "slope": slope, "surrogate": surrogate, "dt": dt})
        for step in in_order(graph):
            builder.add(step)
        return builder.finish()
    except ArgumentError as error:
        if from_file:
            raise FileFormatError(f"{source}: {textwrap.shorten(str(error), 1000)}") from None
        raise
    except Exception as error:  # nodes in a file may lack any field, and hold values of any type
        if from_file:
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
            raise FileFormatError(f"{source}: does not describe a network ({reason})") from error
        raise


class _Builder:
    """Collects layers. A delay and weights wait until the neurons that they feed are known."""

    def __init__(self, dt: float, method: str, spiking: dict[str, Any]):
        self.dt, self.method, self.spiking = dt, method, spiking
        self.layers: dict[str, nnx.Module] = {}
        self.shape: tuple[int, ...] = ()  # output of the last node; () before the first one
        self.steps: tuple[str, np.ndarray] | None = None
        self.weights: tuple[str, np.ndarray, np.ndarray | None] | None = None

    def add(self, step: Step) -> None:
        """Add one node."""
        what = kind(step.node)
        if what not in MAKERS:
            raise ArgumentError(f"node {step.name!r}: snnlab has no layer for {what}")
        try:
            MAKERS[what](self, step)
        except ArgumentError as error:
            raise ArgumentError(f"node {step.name!r}: {error}") from None

    def finish(self) -> Stack:
        """Return the network."""
        self.flush()
        if not self.layers:
            raise ArgumentError("graph: must have nodes between its input and its output")
        return Stack(**self.layers)

    @property
    def width(self) -> int:
        """Number of units."""
        return math.prod(self.shape)

    def put(self, name: str, layer: nnx.Module) -> None:
        """Add a layer under a name that is not taken."""
        if name.startswith("__"):
            raise ArgumentError("name: must not begin with two underscores")
        while name in self.layers:
            name += "_"
        self.layers[name] = layer

    def flush(self) -> None:
        """Turn waiting delays and weights into layers of their own."""
        if self.steps is not None:
            name, steps = self.steps
            self.put(name, Delay(steps))
        if self.weights is not None:
            name, kernel, bias = self.weights
            layer = nnx.Linear(*kernel.shape, use_bias=bias is not None, rngs=nnx.Rngs(0))
            layer.kernel[...] = single(kernel)
            if bias is not None and layer.bias is not None:
                layer.bias[...] = single(bias)
            self.put(name, layer)
        self.steps = self.weights = None

    # ---- the nodes ----

    def end(self, step: Step) -> None:
        """Input or Output: its shape must be the shape here; an Output may have none, or a single number."""
        said = step.node.input_type["input"]
        if said is None and self.shape:
            return
        shape = whole("shape", said, low=1)
        if self.shape not in ((), shape) and math.prod(shape) > 1:
            raise ArgumentError(f"shape: must be {self.shape}, as the node before returns, got {shape}")
        self.shape = self.shape or shape

    def matrix(self, step: Step) -> None:
        """Linear or Affine."""
        if self.weights is not None:
            self.flush()
        kernel, bias = matrix(step.node)
        if self.shape != kernel.shape[:1]:
            raise ArgumentError(f"weight: takes {kernel.shape[0]} units, but the node before returns {self.shape}")
        self.weights, self.shape = (step.name, kernel, bias), kernel.shape[1:]

    def delay(self, step: Step) -> None:
        """Delay, in whole steps."""
        self.flush()
        exact = values(step.node, "delay", self.shape, low=0.0) * 1000.0 / self.dt
        if (np.abs(exact - exact.round()) > 1e-3).any():
            raise ArgumentError(f"delay: must be whole steps of dt = {self.dt} ms, got {exact.max() * self.dt} ms")
        self.steps = step.name, exact.round().astype(int)

    def scale(self, step: Step) -> None:
        """Scale."""
        self.flush()
        self.put(step.name, Scale(values(step.node, "scale", self.shape)))

    def flatten(self, step: Step) -> None:
        """Flatten: signals are always flat, in the same order."""
        self.shape = (self.width,)

    def conv(self, step: Step) -> None:
        """Conv1d or Conv2d."""
        self.flush()
        node, dims = step.node, int(kind(step.node)[-2])
        kernel = arguments.numbers("weight", node.weight)
        options = {name: whole(name, getattr(node, name), dims, low=1) for name in ("stride", "dilation")}
        reach = [d * (k - 1) for d, k in zip(options["dilation"], kernel.shape[2:], strict=False)]
        pad = padding(node.padding, reach, options["stride"])
        groups = whole("groups", node.groups, 1, low=1)[0]
        layer = Conv(kernel, node.bias, shape=self.shape, padding=pad, groups=groups, **options)
        self.put(step.name, layer)
        self.shape = layer.out_shape

    def pool(self, step: Step) -> None:
        """SumPool2d or AvgPool2d."""
        self.flush()
        node = step.node
        window, stride = (whole(name, getattr(node, name), 2, low=1) for name in ("kernel_size", "stride"))
        name = "sum" if kind(node) == "SumPool2d" else "average"
        pad = padding(node.padding, (0, 0), stride)
        layer = Pool(name, shape=self.shape, window=window, stride=stride, padding=pad)
        self.put(step.name, layer)
        self.shape = layer.out_shape

    def neuron(self, step: Step) -> None:
        """Any neuron; its gain becomes its resistance, or is multiplied into the weights before an integrator."""
        what, node, n = kind(step.node), step.node, self.width
        p = {name: values(node, name, self.shape) for name in NEURONS[what]}
        synapse, gain, tau = None, p["r"], None
        if what.startswith("Cuba"):
            tau_syn = self.tau("tau_syn", p["tau_syn"])
            synapse, gain = Expon(n, tau_syn=one(tau_syn), dt=self.dt), gain * p["w_in"] * fade(tau_syn, self.dt)
        if what not in ("I", "IF"):
            name = "tau_mem" if synapse else "tau"
            tau = self.tau(name, p[name])
        fires = "v_threshold" in p and (p["v_threshold"] < NO_SPIKE_THRESHOLD).any()
        if fires:
            spiking = {"v_reset": one(p["v_reset"]), "v_th": one(above(p["v_threshold"])), **self.spiking}
            if tau is None:
                self.place(step, IF(n, r=one(gain / 1000.0), **spiking), synapse)
            else:
                leak = {"tau_mem": one(tau), "v_rest": one(p["v_leak"])}
                self.place(step, LifRef(n, r=one(gain), **leak, **spiking), synapse)
            return
        rest = p["v_leak"] if p.get("v_leak", np.zeros(1)).any() else None
        gain = gain * (self.dt / 1000.0 if tau is None else fade(tau, self.dt))
        tau_mem: Any = Fixed(NO_LEAK_STEPS * self.dt) if tau is None else one(tau)
        self.place(step, Leaky(n, tau_mem=tau_mem, v_rest=one(rest), dt=self.dt), synapse, gain)

    def tau(self, name: str, seconds: np.ndarray) -> np.ndarray:
        """Convert a time constant to ms, for exact decay; see `tau_from_nir`."""
        arguments.numbers(name, seconds, 0.0, strict=True, unit="s")
        least = self.dt / float(fade(1.0, 1.0)) if self.method == "euler" else self.dt
        if (1000.0 * seconds < least * (1.0 - 1e-6)).any():
            raise ArgumentError(
                f"{name}: must be >= {least / 1000.0:.4g} s for dt = {self.dt} ms and method={self.method!r}, "
                f"got {seconds.min():.4g} s; use a smaller dt"
            )
        return tau_from_nir(seconds, dt=self.dt, method=self.method)

    def place(
        self, step: Step, neuron: LifRef | IF | Leaky, synapse: Expon | None, gain: np.ndarray | None = None
    ) -> None:
        """Add neurons behind the weights that wait for them; without any, as layers of their own."""
        if step.loop is not None and self.weights is None:
            self.weights = step.name, np.eye(neuron.features), None
        if self.weights is None:
            self.place_alone(step.name, neuron, synapse, gain)
            return
        (_, kernel, bias), self.weights = self.weights, None
        if gain is not None:
            kernel, bias = kernel * gain, None if bias is None else bias * gain
        options: dict[str, Any] = {"synapse": synapse, "kernel_init": lambda key, shape: single(kernel)}
        if step.loop is None:
            make = Projection
        else:
            make, (inner, constant) = Recurrent, self.recurrence(step.loop, neuron.features)
            bias = constant if bias is None else bias + (0.0 if constant is None else constant)
            options["recurrent_init"] = lambda key, shape: single(inner)
        options |= {"delay": self.whole_delay(), "use_bias": bias is not None, "rngs": nnx.Rngs(0)}
        layer = make(len(kernel), neuron, **options)  # pyright: ignore[reportArgumentType] (Recurrent checks its neuron)
        if bias is not None and layer.bias is not None:
            layer.bias[...] = single(bias)
        self.put(step.name, layer)

    def place_alone(self, name: str, neuron: nnx.Module, synapse: Expon | None, gain: np.ndarray | None) -> None:
        """Add neurons without weights: a row of layers."""
        self.flush()
        if gain is not None and (gain != 1.0).any():
            self.put(f"{name}_gain", Scale(gain))
        if synapse is not None:
            self.put(f"{name}_synapse", synapse)
        self.put(name, neuron)

    def recurrence(self, loop: Any, features: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the weights and the bias by which neurons feed themselves."""
        inner, constant = matrix(loop)
        if inner.shape != (features, features):
            raise ArgumentError(f"weight: recurrent weights must have shape {(features,) * 2}, got {inner.T.shape}")
        return inner, constant

    def whole_delay(self) -> int:
        """Return the waiting delay if it is the same for all units; otherwise make it a layer."""
        if self.steps is None or np.unique(self.steps[1]).size > 1:
            self.flush()
            return 0
        steps, self.steps = self.steps[1], None
        return int(steps[0])


MAKERS = {
    "Input": _Builder.end,
    "Output": _Builder.end,
    "Linear": _Builder.matrix,
    "Affine": _Builder.matrix,
    "Delay": _Builder.delay,
    "Scale": _Builder.scale,
    "Flatten": _Builder.flatten,
    "Conv1d": _Builder.conv,
    "Conv2d": _Builder.conv,
    "SumPool2d": _Builder.pool,
    "AvgPool2d": _Builder.pool,
    **dict.fromkeys(NEURONS, _Builder.neuron),
}
