"""Flax NNX layers over whole sequences `(time, batch, neuron)`: LSTM, LifRef, Leaky, Expon, Projection, Stack.

Time constants, thresholds and the like are numbers, arrays with one value per neuron, or Variables that say who
may change them: see `snnlab.variables`.
"""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import Events
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, Packed
from snnlab.record import Record, Trace
from snnlab.support import arguments
from snnlab.surrogate import Surrogate, get_surrogate
from snnlab.variables import Fixed, plain, setting, time_constant


class Expon(nnx.Module):
    """Exponential synapse, `g <- g e^(-dt/tau_syn) + x`, one per neuron that it feeds.

    Args:
        features: number of neurons.
        tau_syn: time constant [ms], >= dt.
        dt: time step [ms].

    Raises:
        ArgumentError: for a value out of range.

    Example:
        >>> Expon(3, tau_syn=10.0)(jnp.ones((7, 2, 3))).shape
        (7, 2, 3)

    Source: see `snnlab.dynamics.expon_step`.
    """

    def __init__(self, features: int, *, tau_syn=10.0, dt: float = 1.0):
        self.features = arguments.count("features", features)
        self.dt = arguments.number("dt", dt, 0.0, strict=True, unit="ms")
        self.tau_syn = time_constant("tau_syn", tau_syn, features, self.dt)

    def __call__(self, x: Float[Array, "time batch n"]) -> Float[Array, "time batch n"]:
        return kernels.expon(x, self.tau_syn[...], dt=self.dt)


class Leaky(nnx.Module):
    """Leaky integrator for readouts, `v <- v e^(-dt/tau_mem) + I`, or around a resting value
    `v <- v_rest + (v - v_rest) e^(-dt/tau_mem) + I`.

    Args:
        features: number of neurons.
        tau_mem: time constant [ms], >= dt.
        v_rest: where it begins and returns to; None is 0 and costs nothing.
        dt: time step [ms].

    Raises:
        ArgumentError: for a value out of range.

    Example:
        >>> Leaky(10, tau_mem=5.0)(jnp.ones((7, 2, 10))).state.shape
        (7, 2, 10)

    Source: see `snnlab.dynamics.leaky_step`.
    """

    def __init__(self, features: int, *, tau_mem=5.0, v_rest=None, dt: float = 1.0):
        self.features = arguments.count("features", features)
        self.dt = arguments.number("dt", dt, 0.0, strict=True, unit="ms")
        self.tau_mem = time_constant("tau_mem", tau_mem, features, self.dt)
        self.v_rest = None if v_rest is None else setting("v_rest", v_rest, features, default=Fixed)

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        drive = Drive.of(current)
        trace, peak = kernels.leaky(drive, self.tau_mem[...], dt=self.dt)
        if self.v_rest is not None:  # it is linear: rest and what came add up
            trace, peak = trace + self.v_rest[...], peak + self.v_rest[...]
        return Trace(state=trace, current=kernels.current(drive, dt=self.dt), peak=peak)


class LifRef(nnx.Module):
    """Leaky integrate-and-fire neurons with refractory time; the equations are those of `dynamics.lif_step`.

    Args:
        features: number of neurons.
        tau_mem: membrane time constant [ms], >= dt.
        v_th: threshold, above v_rest and v_reset.
        v_rest: resting voltage.
        v_reset: voltage after a spike.
        r: membrane resistance.
        tau_ref: absolute refractory time [ms], >= 0.
        slope: inverse width of the surrogate, > 0. BrainPy's default is 100, which hardly lets a gradient
            through unless the voltage comes within 0.01 of the threshold.
        surrogate: a name in `snnlab.surrogate.SURROGATES`, or a `Surrogate`.
        reset: "subtract" takes `v_th - v_reset` off, "value" sets `v_reset`.
        detach_reset: let no gradient through the reset.
        dt: time step [ms].

    Raises:
        ArgumentError: for a value out of range.

    Example:
        >>> trace = LifRef(3, tau_mem=10.0)(jnp.full((20, 2, 3), 1.5))
        >>> trace.spikes.shape, int(trace.spikes[:, 0, 0].sum())  # one spike every 10 ln 3 = 11 ms
        ((20, 2, 3), 1)
    """

    def __init__(
        self,
        features: int,
        *,
        tau_mem=10.0,
        v_th=1.0,
        v_rest=0.0,
        v_reset=0.0,
        r=1.0,
        tau_ref=0.0,
        slope=10.0,
        surrogate: str | Surrogate = "inv_square",
        reset: str = "subtract",
        detach_reset: bool = False,
        dt: float = 1.0,
    ):
        self.features = arguments.count("features", features)
        self.dt = arguments.number("dt", dt, 0.0, strict=True, unit="ms")
        self.tau_mem = time_constant("tau_mem", tau_mem, features, self.dt)
        self.v_rest = setting("v_rest", v_rest, features, default=Fixed)
        self.v_reset = setting("v_reset", v_reset, features, default=Fixed)
        # From the arguments, not from the Variables: those are tracers where a model is built under `nnx.eval_shape`.
        floor = max(float(np.max(plain(v_rest))), float(np.max(plain(v_reset))))
        self.v_th = setting("v_th", v_th, features, low=floor + 0.01, high=floor + 4.0)
        self.r = setting("r", r, features, default=Fixed)
        self.tau_ref = setting("tau_ref", tau_ref, features, low=0.0, unit="ms", default=Fixed)
        self.slope = setting("slope", slope, features, low=0.1, high=100.0)
        self.surrogate = get_surrogate(surrogate)
        self.reset = arguments.choice("reset", reset, ("subtract", "value"))
        self.detach_reset = bool(detach_reset)

    @property
    def params(self) -> LifParams:
        """The parameters as `dynamics.lif_step` takes them."""
        return LifParams(**{name: getattr(self, name)[...] for name in LifParams._fields})

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        drive = Drive.of(current)
        options = {"dt": self.dt, "reset": self.reset, "detach_reset": self.detach_reset}
        out = kernels.lif(drive, self.params, surrogate=self.surrogate, **options)
        return Trace(out.v, out.spikes, kernels.current(drive, dt=self.dt), out.counts, out.packed)


class LSTM(nnx.Module):
    """Long short-term memory layer; the equations are those of `dynamics.lstm_step`.

    Args:
        in_features: inputs a step.
        features: units.
        forget_bias: start of the forget gate's bias: 1 lets the cell remember at first.
        rngs: random streams; `params` draws the weights (Glorot normal).

    Raises:
        ArgumentError: for a value out of range, or an input of another width.

    Example:
        >>> LSTM(5, 3, rngs=nnx.Rngs(0))(jnp.ones((7, 2, 5))).state.shape
        (7, 2, 3)

    Source: Hochreiter & Schmidhuber (1997), DOI 10.1162/neco.1997.9.8.1735.
    """

    def __init__(self, in_features: int, features: int, *, forget_bias: float = 1.0, rngs: nnx.Rngs):
        self.in_features = arguments.count("in_features", in_features)
        self.features = arguments.count("features", features)
        init = jax.nn.initializers.glorot_normal()
        self.w_x = nnx.Param(init(rngs.params(), (in_features, 4 * features)))
        self.w_h = nnx.Param(init(rngs.params(), (features, 4 * features)))
        self.bias = nnx.Param(jnp.zeros(4 * features).at[features : 2 * features].set(forget_bias))

    def __call__(self, x: Float[Array, "time batch pre"]) -> Trace:
        _check_width(x, self.in_features)
        return Trace(state=kernels.lstm(x, self.w_x[...], self.w_h[...], self.bias[...]))


class Projection(nnx.Module):
    """Spikes in, neurons out: `Linear >> synapse >> neuron`.

        I[t] = synapse(x[t - delay] W + b)

    Args:
        in_features: units of the layer before.
        neuron: the layer that is fed, such as `LifRef(100)` or `Leaky(10)`.
        synapse: such as `Expon(100)`; None makes every spike a current of one step.
        delay: steps that a spike travels, >= 0.
        use_bias: add a learned constant at every step.
        kernel_init: `(key, (in, out)) -> weights`; default He normal, deviation `sqrt(2 / in_features)`.
        rngs: random streams; `params` draws the weights.

    Raises:
        ArgumentError: if the sizes do not fit together.

    Source: He et al. (2015), DOI 10.1109/ICCV.2015.123, for the weights.

    Example:
        >>> hidden = Projection(784, LifRef(100), synapse=Expon(100), rngs=nnx.Rngs(0))
        >>> hidden(jnp.zeros((7, 2, 784))).spikes.shape
        (7, 2, 100)
    """

    def __init__(
        self,
        in_features: int,
        neuron: nnx.Module,
        *,
        synapse: nnx.Module | None = None,
        delay: int = 0,
        use_bias: bool = False,
        kernel_init: Callable = jax.nn.initializers.he_normal(),  # noqa: B008 (a pure function)
        rngs: nnx.Rngs,
    ):
        if synapse is not None and synapse.features != neuron.features:
            raise ArgumentError(f"synapse: has {synapse.features} features, the neuron has {neuron.features}")
        self.in_features = arguments.count("in_features", in_features)
        self.features = neuron.features
        self.delay = arguments.count("delay", delay, 0)
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_features, self.features)))
        self.bias = nnx.Param(jnp.zeros(self.features)) if use_bias else None
        self.synapse = synapse
        self.neuron = neuron

    def __call__(
        self,
        x: Events | Packed | Drive | Float[Array, "time batch pre"],
        *,
        onward: Float[Array, "post after"] | None = None,
    ) -> Trace:
        drive = self.drive(x, onward)
        fused = isinstance(self.neuron, Leaky | LifRef)
        if isinstance(self.synapse, Expon) and fused and self.synapse.dt == self.neuron.dt:
            return self.neuron(replace(drive, tau_syn=self.synapse.tau_syn[...]))
        if self.synapse is None and fused:
            return self.neuron(drive)
        arriving = kernels.current(drive, dt=1.0)  # for a part of the user's own
        return self.neuron(arriving if self.synapse is None else self.synapse(arriving))

    def drive(self, x: Events | Packed | Drive | Float[Array, "time batch pre"], onward=None) -> Drive:
        """What reaches the synapse, for an input of the right width; a `Drive` is that already."""
        if isinstance(x, Drive):
            return x
        _check_width(x, self.in_features)
        bias = None if self.bias is None else self.bias[...]
        return Drive(x=x, kernel=self.kernel[...], bias=bias, delay=self.delay, onward=onward)


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

    def __call__(self, x: Events | Float[Array, "time batch pre"]) -> Record:
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


def _check_width(x, in_features: int) -> None:
    width = x.num_units if isinstance(x, Events | Packed) else x.shape[-1]
    if width != in_features:
        raise ArgumentError(f"x: has {width} units, this layer was built with in_features={in_features}")
