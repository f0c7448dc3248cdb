"""What an exhibit shows of a network: its layers as plain arrays, with every derived constant; and what it cannot show.

The constants are computed here, by the functions and in the precision that the network uses, and never again in the
page: a page that computed `e^(-dt/tau)` by itself would get another last bit for some time constants.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.dynamics import approach, decay
from snnlab.encode import Current
from snnlab.errors import ArgumentError
from snnlab.export.exhibits.exact import Single
from snnlab.layers import LSTM, ConvProjection, Delay, DoubleExpon, Expon, Leaky, LifRef, Projection, Recurrent
from snnlab.models import Network, describe

SHOWN = "an exhibit shows layers of LifRef, a readout of Leaky, each behind Expon or DoubleExpon, and LSTM with Linear"
STOPS = 37  # of a slider
CODE = -1  # the encoder, in the place of a layer


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer, as the page plays it.

    Attributes:
        name: of the layer.
        kind: "lif", "leaky", "lstm" or "linear".
        inputs: number of units before it.
        units: number of neurons.
        weights: from each unit before it (row); for an LSTM to the gates i, f, g, o.
        recurrent: from the layer's own neurons, or None.
        rows: constants by name, each one number or one per neuron; voltages are measured from rest.
        delay: steps that a spike travels.
        value_reset: whether a spike sets the voltage instead of lowering it.
        adapts: whether a spike raises the threshold.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> [(layer.name, layer.kind, layer.weights.shape) for layer in layers_of(net)]
        [('hidden', 'lif', (16, 7)), ('readout', 'leaky', (7, 3))]
    """

    name: str
    kind: str
    inputs: int
    units: int
    weights: Single
    recurrent: Single | None = None
    rows: Mapping[str, Single] = field(default_factory=dict)
    delay: int = 0
    value_reset: bool = False
    adapts: bool = False

    def row(self, name: str) -> Single:
        """A constant, one value per neuron (four per unit for the bias of an LSTM)."""
        width = 4 * self.units if self.kind == "lstm" else self.units
        return np.broadcast_to(self.rows[name], (width,)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Slider:
    """A constant that the visitor may move, and what follows from it at each stop.

    Attributes:
        layer: index of the layer; `CODE` for a constant of the encoder.
        name: of the constant, such as "tau_mem".
        unit: of its values.
        values: at each stop, ascending; the trained value is one of them, or the mean if every neuron has its own.
        home: the stop of the trained values.
        rows: the constants of the layer at each stop, for all neurons, or `(stop, neuron)`; at home the trained ones
            hold.
        own: the lowest and the highest trained value, if every neuron has its own.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> [(slider.name, float(slider.values[slider.home]), [*slider.rows]) for slider in sliders_of(net)][:2]
        [('tau_mem', 10.0, ['a', 'gain']), ('v_th', 1.0, ['v_th'])]
    """

    layer: int
    name: str
    unit: str
    values: Single
    home: int
    rows: Mapping[str, Single] = field(default_factory=dict)
    own: tuple[float, float] | None = None


def shown(model: nnx.Module) -> Network:
    """Return a network that an exhibit can show.

    Raises:
        ArgumentError: with the reason, if it cannot.

    Example:
        >>> from snnlab import build
        >>> from snnlab.config import LATENCY_CONV
        >>> shown(build(LATENCY_CONV, sample_shape=(8, 8), num_classes=3))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: model: layer "conv1" is a ConvProjection; an exhibit shows layers of LifRef, ...
    """
    network = describe(model).network
    if network is None:
        raise ArgumentError(f"model: is a {type(model).__name__} of your own; {SHOWN} in a snnlab.models.Network")
    if isinstance(network.encoder, Current):
        raise ArgumentError("model: its code is a Current, whose weighted sums snnlab computes in no fixed order")
    names, before = network.stack.names, None
    for name in names:
        layer = network.stack.layers[name]
        reason = _unfit(layer, before, last=name == names[-1])
        if reason:
            raise ArgumentError(f'model: layer "{name}" {reason}')
        before = layer
    numbers = {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))}
    if numbers - {"float32"}:
        raise ArgumentError(f"model: has weights of type {', '.join(sorted(numbers))}; the page computes in float32")
    return network


def _unfit(layer: Callable, before: Callable | None, *, last: bool) -> str | None:
    """Say why an exhibit cannot show a layer behind another one; None if it can."""
    neuron, synapse = getattr(layer, "neuron", None), getattr(layer, "synapse", None)
    if isinstance(layer, ConvProjection) or not isinstance(layer, Projection | LSTM | nnx.Linear):
        return f"is a {type(layer).__name__}; {SHOWN}"
    if isinstance(layer, Projection) and not (
        type(neuron) in (LifRef, Leaky) and isinstance(synapse, Expon | DoubleExpon | None)
    ):
        parts = " and ".join(type(part).__name__ for part in (synapse, neuron) if part is not None)
        return f"has {parts}; {SHOWN}"
    if isinstance(getattr(layer, "delay", 0), Delay):
        return "has delays of its own for every input; an exhibit shows one whole number of steps for a layer"
    if isinstance(layer, Recurrent) and isinstance(synapse, DoubleExpon):
        return "is recurrent behind a DoubleExpon, whose sums snnlab computes in no fixed order"
    if isinstance(layer, nnx.Linear) and not isinstance(before, LSTM):
        return "is a Linear that does not follow an LSTM"
    if isinstance(layer, LSTM) and not isinstance(before, LSTM | None):
        return "is an LSTM behind spikes"
    reads = isinstance(layer, nnx.Linear) or isinstance(neuron, Leaky)
    if reads != last:
        return "does not spike, but other layers follow" if reads else "is the last one, but spikes or is an LSTM"
    return None


def layers_of(network: Network) -> list[Layer]:
    """Return the layers of a network that can be shown, see `shown`."""
    stack = network.stack
    graphdef, state = nnx.split(network)
    # With traced values, as in a training: constants that XLA knows while it compiles may get another last bit.
    numbers = jax.jit(lambda state: [_numbers(layer) for layer in _layers(nnx.merge(graphdef, state))])(state)
    found = zip(stack.names, _layers(network), jax.device_get(numbers), strict=True)
    return [_layer(name, layer, *own) for name, layer, own in found]


def _layers(network: Network) -> list[Any]:
    return [network.stack.layers[name] for name in network.stack.names]


def _numbers(layer: Any) -> tuple[Any, dict[str, Any]]:
    """The weights and the constants of a layer."""
    if isinstance(layer, Projection):
        weights, _ = layer.weights()
    else:
        weights = layer.w_x[...] if isinstance(layer, LSTM) else layer.kernel[...]
    return weights, _rows(layer)


def _layer(name: str, layer: Any, weights: Single, rows: dict[str, Single]) -> Layer:
    def array(variable) -> Single:
        return np.asarray(variable[...], np.float32)

    if isinstance(layer, nnx.Linear):
        return Layer(name=name, kind="linear", inputs=len(weights), units=weights.shape[1], weights=weights, rows=rows)
    if isinstance(layer, LSTM):
        recurrent = array(layer.w_h)
        inputs, units = layer.in_features, layer.features
        return Layer(
            name=name, kind="lstm", inputs=inputs, units=units, weights=weights, recurrent=recurrent, rows=rows
        )
    assert not isinstance(layer.delay, Delay)  # see `_unfit`
    spiking = isinstance(layer.neuron, LifRef)
    return Layer(
        name=name,
        kind="lif" if spiking else "leaky",
        inputs=layer.in_features,
        units=layer.features,
        weights=weights,
        recurrent=array(layer.recurrent_kernel) if isinstance(layer, Recurrent) else None,
        rows=rows,
        delay=layer.delay,
        value_reset=spiking and layer.neuron.reset == "value",
        adapts=spiking and layer.neuron.beta is not None,
    )


def _parts(layer: Projection) -> tuple[Any, Any]:
    """The neurons, `LifRef` or `Leaky`, and the synapse, `Expon`, `DoubleExpon` or None."""
    return layer.neuron, layer.synapse


def _rows(layer: Any) -> dict[str, Any]:
    """The constants of a layer, as the kernels get them; see `snnlab.kernels.cpu.calls.lif_rows`."""
    zero = jnp.float32(0.0)
    if not isinstance(layer, Projection):
        return {"bias": zero if layer.bias is None else layer.bias[...]}
    bias = layer.weights()[1]
    bias = zero if bias is None else bias
    rows: dict[str, Any] = {"bias": bias, "a_syn": zero}
    neuron, synapse = _parts(layer)
    dt = neuron.dt
    if isinstance(synapse, Expon):
        rows |= of_tau_syn(synapse.tau_syn[...], dt)
    if isinstance(synapse, DoubleExpon):
        rows |= of_decay(synapse.tau_syn[...], dt) | of_rise(synapse.tau_rise[...], dt)
    if isinstance(neuron, Leaky):
        rest = zero if neuron.v_rest is None else neuron.v_rest[...]
        return rows | of_tau_out(neuron.tau_mem[...], dt) | {"rest": rest}
    given = neuron.params
    rows |= of_tau_mem(given.tau_mem, dt, given.r) | of_tau_ref(given.tau_ref, dt)
    rows |= of_threshold(given.v_th, given.v_rest) | {"v_reset": given.v_reset - given.v_rest, "rest": given.v_rest}
    if given.beta is not None and given.tau_adapt is not None:
        rows |= of_beta(given.beta) | of_tau_adapt(given.tau_adapt, dt)
    return rows


# What follows from one constant; `sliders_of` asks for it at every stop.


def of_tau_syn(tau, dt: float):
    return {"a_syn": decay(tau, dt)}


def of_decay(tau, dt: float):
    return {"a_decay": decay(tau, dt)}


def of_rise(tau, dt: float):
    return {"a_rise": decay(tau, dt), "share": approach(tau, dt)}


def of_tau_out(tau, dt: float):
    return {"a": decay(tau, dt)}


def of_tau_mem(tau, dt: float, r):
    return {"a": decay(tau, dt), "gain": approach(tau, dt) * r}


def of_tau_ref(tau, dt: float):
    return {"hold": tau / dt + 1e-3}  # as in `dynamics.lif_step`


def of_threshold(v_th, v_rest):
    return {"v_th": v_th - v_rest}


def of_beta(beta):
    return {"beta": beta}


def of_tau_adapt(tau, dt: float):
    return {"rho": decay(tau, dt)}


def sliders_of(network: Network) -> list[Slider]:
    """Return a slider for every constant of a layer: one that neurons have of their own moves for all together."""
    asked = []
    for k, layer in enumerate(_layers(network)):
        for name, variable, rows in _movable(layer):
            slider = slider_of(k, name, variable, layer.neuron.dt)
            if slider is not None:
                asked.append((rows, slider))
    # NumPy's arrays as they are: `jnp.asarray` would compile a program for each of their lengths.
    made = jax.jit(lambda stops: [rows(v) for (rows, _), v in zip(asked, stops, strict=True)])
    found = jax.device_get(made([slider.values for _, slider in asked]))
    return [replace(slider, rows=rows) for (_, slider), rows in zip(asked, found, strict=True)]


def slider_of(layer: int, name: str, variable: nnx.Variable, dt: float) -> Slider | None:
    """Return the slider of a constant, without its rows; None for one that is infinite.

    Example:
        >>> from snnlab.layers import LifRef
        >>> slider = slider_of(0, "v_th", LifRef(2, v_th=np.array([0.5, 1.0])).v_th, 1.0)
        >>> slider.own, float(slider.values[slider.home])
        ((0.5, 1.0), 0.75)
    """
    value = np.asarray(variable[...], np.float32)
    if not np.isfinite(value).all():
        return None
    meta, own = variable.get_metadata(), None
    if value.ndim:
        own, value = (float(value.min()), float(value.max())), value.mean(dtype=np.float32)
    values = _stops(name, value, meta, dt)
    home = int(np.searchsorted(values, value))
    return Slider(layer=layer, name=name, unit=meta.get("unit", ""), values=values, home=home, own=own)


def _movable(layer: Any) -> list[tuple[str, nnx.Variable, Callable]]:
    """The constants of a layer that may be moved: name, value, and what follows from it."""
    if not isinstance(layer, Projection):
        return []
    neuron, synapse = _parts(layer)
    dt = neuron.dt
    found: list[tuple[str, nnx.Variable, Callable]] = []
    if isinstance(neuron, LifRef):
        r, v_rest = neuron.r[...], neuron.v_rest[...]
        found.append(("tau_mem", neuron.tau_mem, lambda tau: of_tau_mem(_beside(tau, r), dt, r)))
        found.append(("v_th", neuron.v_th, lambda v: of_threshold(_beside(v, v_rest), v_rest)))
        found.append(("tau_ref", neuron.tau_ref, lambda tau: of_tau_ref(tau, dt)))
        if neuron.beta is not None and neuron.tau_adapt is not None:
            found += [
                ("beta", neuron.beta, of_beta),
                ("tau_adapt", neuron.tau_adapt, lambda tau: of_tau_adapt(tau, dt)),
            ]
    else:
        found.append(("tau_mem", neuron.tau_mem, lambda tau: of_tau_out(tau, dt)))
    if isinstance(synapse, Expon):
        found.append(("tau_syn", synapse.tau_syn, lambda tau: of_tau_syn(tau, dt)))
    if isinstance(synapse, DoubleExpon):
        found += [
            ("tau_rise", synapse.tau_rise, lambda tau: of_rise(tau, dt)),
            ("tau_syn", synapse.tau_syn, lambda tau: of_decay(tau, dt)),
        ]
    return found


def _beside(stops: Any, others: Any) -> Any:
    """The stops of a slider, in a column if what they are computed with is one number per neuron."""
    return stops[:, None] if others.ndim else stops


def _stops(name: str, home: Single, meta: Mapping[str, Any], dt: float) -> Single:
    """The values of a slider, ascending, of three digits each; time constants in equal ratios, others in equal steps.

    The trained value is among them as it is.
    """
    value = float(home)
    if name == "tau_ref":  # whole steps
        stops = dt * np.arange(11)
    elif name.startswith("tau"):
        stops = np.geomspace(dt, max(100.0 * dt, 4.0 * value), STOPS)
    else:
        low, begin, high = (meta.get(name) for name in ("low", "begin", "high"))
        begin = low if begin is None else begin
        low = value - max(1.0, abs(value)) if begin is None else begin
        stops = np.linspace(low, max(high if high is not None else value + max(1.0, abs(value)), value), STOPS)
    rounded = np.array([float(f"{stop:.3g}") for stop in stops], np.float32)
    return np.unique(np.append(rounded, home)).astype(np.float32)
