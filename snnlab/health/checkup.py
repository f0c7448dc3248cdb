"""How well the neurons of a network are: do they fire, can they learn, and how does the gradient get to them.

    checkup = Checkup(stepper, data)
    checkup(state).layers[0].dead

A checkup costs a few training steps. It runs the model on the same samples every time, and takes the gradient of the
loss in the parameters and in a *nudge*: zeros `(time, batch, n)` added to what reaches each layer. The gradient in it,
`dLoss/dI[t]`, says how strongly a current at step `t` would change the loss, which is where gradients explode or vanish
on their way back through time. `snnlab.health.diagnosis` turns all of this into words.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.data import Dataset
from snnlab.dynamics import LifParams, decay
from snnlab.encode import SpikeTimes
from snnlab.kernels import Drive, Packed
from snnlab.layers import Expon, LifRef, Projection, Recurrent
from snnlab.losses import accuracy, class_scores
from snnlab.models import LayerDescription, describe
from snnlab.record import Record, Trace
from snnlab.train.step import State, Stepper, run_model

FIRING_SHARE = 0.03
"""Share of the pairs (neuron, sample) that fire in a network that starts well; see `LayerHealth.peak_voltage`.

The reference network on digits learns best from a start between 1 and 10 per cent: with fewer it waits, with more the
readout has much to unlearn first.

Source: that the activity at the start decides, Rossbroich, Gygax & Zenke (2022), DOI 10.1088/2634-4386/ac97bb.
"""


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """How well the neurons of one layer are; of `samples` samples and `n` neurons.

    Attributes:
        name: such as "hidden".
        rates: mean firing rate of every neuron `(n,)` [Hz] (of a layer that does not tell its `dt`: per second of
            1 ms steps), or None for a layer that does not spike.
        max_rate: the highest rate that a neuron can have [Hz]: a spike at every step that its refractory time leaves.
        dead: neurons that never fired.
        saturated: neurons that fired at more than half of the steps they could.
        in_window: share of the pairs (neuron, sample) whose voltage comes up to `v_th - 1/slope` at some step, where
            the surrogate lets a gradient through; None where that is not known.
        peak_voltage: the threshold at which `FIRING_SHARE` of the pairs would fire; None where that is not known.
        v_th: threshold; like the next two the mean over the neurons, or None for a layer that has none.
        v_rest: resting voltage.
        slope: of the surrogate.
        gradient: norm of the gradient of the layer's own parameters.
        gradient_over_time: norm over batch and neurons of `dLoss/dI[t]`, `(time,)`, where `I` is the current that
            reaches the neurons (of any layer but `Projection` and `Recurrent`, its input); None where that is unknown.

    Example:
        >>> layer = LayerHealth(name="hidden", rates=np.array([0.0, 12.0, 30.0]), dead=1, gradient=0.4)
        >>> layer.saturated
        0
    """

    name: str
    rates: np.ndarray | None = None
    max_rate: float | None = None
    dead: int = 0
    saturated: int = 0
    in_window: float | None = None
    peak_voltage: float | None = None
    v_th: float | None = None
    v_rest: float | None = None
    slope: float | None = None
    gradient: float
    gradient_over_time: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """How well a network is.

    Attributes:
        step: optimizer steps taken.
        samples: samples that it was measured on.
        loss: of these samples.
        accuracy: of these samples.
        layers: in order; the last one is the readout. Empty for a model that does not tell its layers.
        readout_spread: how much the scores differ between samples: mean over classes of their standard deviation.
        finite: loss, scores and gradients are all finite.

    Example:
        >>> readout = LayerHealth(name="readout", gradient=0.2)
        >>> health = Health(
        ...     step=9, samples=128, loss=2.1, accuracy=0.3, layers=(readout,), readout_spread=0.5, finite=True
        ... )
        >>> health.layers[-1].rates is None  # it does not spike
        True
    """

    step: int
    samples: int
    loss: float
    accuracy: float
    layers: tuple[LayerHealth, ...]
    readout_spread: float
    finite: bool


class Checkup:
    """Measures the health of a network on the first test samples; compiled once, for all states.

    Args:
        stepper: model and loss.
        data: where the samples are.
        samples: how many, or all if there are fewer.

    Attributes:
        stepper: model and loss.

    Example:
        >>> from snnlab import data, models
        >>> from snnlab.train import Trainer
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20, v_th=10.0), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, batch_size=64)
        >>> health = Checkup(trainer.stepper, digits, samples=100)(trainer.state)
        >>> hidden, readout = health.layers
        >>> hidden.dead, round(hidden.peak_voltage, 1), readout.gradient, readout.gradient_over_time.shape
        (20, 0.6, 0.0, (100,))
    """

    def __init__(self, stepper: Stepper, data: Dataset, samples: int = 128):
        self.stepper = stepper
        self._samples = jnp.asarray(data.x_test[:samples]), jnp.asarray(data.y_test[:samples])
        self._measure = jax.jit(functools.partial(_measure, stepper))

    def __call__(self, state: State) -> Health:
        """Measure; from any thread, at any time."""
        x, y = self._samples
        facts, layers = jax.tree.map(np.asarray, self._measure(state, x, y))
        return Health(
            step=int(state.step),
            samples=len(y),
            layers=tuple(map(_layer_health, layers)),
            **{name: value.item() for name, value in facts.items()},
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the compiled function tells of a layer; None where it does not apply. What is not here: see `LayerHealth`.

    Attributes:
        counts: spikes.
        fastest: highest rate possible [Hz].
        duration: of the sequence [ms].
        peak: highest voltage that the current drives a neuron to if it does not fire. Up to the first spike that is
            the voltage itself, so exactly the pairs whose peak is `v_th` or more fire.
        params: of the neurons.
    """

    name: str = field(metadata={"static": True})
    gradient: Float[Array, ""] | None = None
    gradient_over_time: Float[Array, " time"] | None = None
    counts: Float[Array, "batch n"] | None = None
    fastest: Float[Array, "..."] | None = None
    duration: Float[Array, ""] | None = None
    peak: Float[Array, "batch n"] | None = None
    params: LifParams | None = None


def _layer_health(seen: _Seen) -> LayerHealth:
    """The statistics of a layer."""
    found = {"name": seen.name, "gradient": seen.gradient.item(), "gradient_over_time": seen.gradient_over_time}
    if seen.counts is not None:
        rates = seen.counts.mean(0) * (1000.0 / seen.duration)
        found |= {"rates": rates, "max_rate": float(seen.fastest.max())}
        found["dead"] = int((seen.counts.sum(0) == 0).sum())
        found["saturated"] = int((rates > 0.5 * seen.fastest).sum())
    if seen.peak is not None:
        p = seen.params
        found |= {name: float(getattr(p, name).mean()) for name in ("v_th", "v_rest", "slope")}
        found["in_window"] = float((seen.peak >= p.v_th - 1.0 / p.slope).mean())
        found["peak_voltage"] = float(np.quantile(seen.peak, 1.0 - FIRING_SHARE))
    return LayerHealth(**found)


def _measure(stepper: Stepper, state: State, x, y) -> tuple[dict[str, Array], list[_Seen]]:
    """Facts about the network, and about every layer."""

    def objective(params, nudges):
        system = stepper.merge(state._replace(params=params))
        model, loss = system["model"], system["loss"]
        record, reached = _run(model, x, nudges)
        terms = loss(record, y)
        value = sum(terms.values()) if hasattr(terms, "values") else terms
        scores = class_scores(loss, record)
        layers = describe(model).layers
        watched = [_watch(name, layers.get(name), trace) for name, trace in record.layers.items()]
        return value, (scores, watched, reached)

    shapes = jax.eval_shape(objective, state.params, {})[1][2]
    nudges = {name: jnp.zeros(into.shape, into.dtype) for name, into in shapes.items()}
    (value, (scores, watched, _)), gradients = jax.value_and_grad(objective, (0, 1), has_aux=True)(state.params, nudges)
    layers = describe(stepper.merge(state)["model"]).layers
    norms = {name: _norm_over_time(layers[name].module, gradient) for name, gradient in gradients[1].items()}
    layers = [
        replace(seen, gradient=_norm_of(seen.name, gradients[0]), gradient_over_time=norms.get(seen.name))
        for seen in watched
    ]
    numbers = jax.tree.leaves((value, scores, optax.tree.norm(gradients[0]), norms))
    facts = {
        "loss": value,
        "accuracy": accuracy(scores, y),
        "readout_spread": scores.std(0).mean(),
        "finite": jnp.all(jnp.stack([jnp.isfinite(number).all() for number in numbers])),
    }
    return facts, layers


def _run(model: nnx.Module, x, nudges: dict[str, Array]) -> tuple[Record, dict[str, Array]]:
    """Run the model on `x`, and tell what reaches its layers; the nudges are added to that, if it can be walked."""
    key = jax.random.key(0)  # the same code every time
    if not describe(model).walkable:
        return run_model(model, x, key), {}
    reached = {}

    def enter(name: str, layer: Callable, x):
        wired = _is_wired(layer)
        if wired:
            x = kernels.current(layer.drive(x), dt=1.0)
        elif isinstance(x, Packed):
            x = x.dense()
        if isinstance(x, SpikeTimes):  # for a layer of the user's own; they have no gradient
            return x
        reached[name] = x = x + nudges.get(name, 0.0)
        return Drive(x=x) if wired else x

    traces = {visit.name: visit.trace for visit in model.stack.walk(model.encode(x, key=key), enter)}
    return Record(readout=traces[model.stack.names[-1]].output, layers=traces), reached


def _is_wired(layer: Callable) -> bool:
    """It weighs what comes in and passes it through a synapse, in the way we know."""
    return type(layer) in (Projection, Recurrent)


def _norm_over_time(layer: Callable, gradient: Float[Array, "time batch n"]) -> Float[Array, " time"]:
    """See `LayerHealth.gradient_over_time`, from the gradient in what reaches the layer.

    An exponential synapse `I[t] = a I[t - 1] + x[t]`, with `a = e^(-dt/tau_syn)`, hands back
    `dL/dx[t] = dL/dI[t] + a dL/dx[t + 1]`; here this is solved for `dL/dI[t]`.
    """
    synapse = layer.synapse if _is_wired(layer) else None
    if isinstance(synapse, Expon):
        later = jnp.pad(gradient[1:], ((0, 1), (0, 0), (0, 0)))
        gradient = gradient - decay(synapse.tau_syn[...], synapse.dt) * later
    return jnp.sqrt((gradient**2).sum((1, 2)))


def _watch(name: str, layer: LayerDescription | None, trace: Trace) -> _Seen:
    """What the spikes of a layer and the voltages of its neurons say."""
    if trace.spikes is None:
        return _Seen(name=name)
    neuron, dt = (None, None) if layer is None else (layer.neuron, layer.dt)
    dt = 1.0 if dt is None else dt
    counts = trace.spikes.sum(0) if trace.counts is None else trace.counts
    seen = _Seen(name=name, counts=counts, duration=jnp.float32(len(trace.spikes) * dt), fastest=jnp.float32(1e3 / dt))
    if not isinstance(neuron, LifRef):
        return seen
    p = neuron.params
    held = jnp.floor(p.tau_ref / dt + 1e-3)  # steps; as in `dynamics.lif_step`
    gain = (1.0 - decay(p.tau_mem, dt)) * p.r
    driven = kernels.leaky(jax.lax.stop_gradient(trace.current), p.tau_mem, dt=dt)[1]
    return replace(seen, fastest=seen.fastest / (1.0 + held), peak=p.v_rest + gain * driven, params=p)


def _norm_of(name: str, gradients: nnx.State) -> Float[Array, ""]:
    """Norm of the gradient of the parameters of one layer of the model."""
    within = ("model", "stack", "layers", name), ("model", name)
    own = [g.get_value() for path, g in nnx.to_flat_state(gradients) if path[:4] == within[0] or path[:2] == within[1]]
    return jnp.float32(optax.tree.norm(own))
