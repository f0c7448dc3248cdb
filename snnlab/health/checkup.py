"""The health of a network: whether its neurons fire, can learn, and receive a gradient.

    checkup = Checkup(stepper, data)
    checkup(state).layers[0].dead

A checkup costs a few training steps. It runs the model on the same samples every time, and takes the gradient of the
loss with respect to the parameters and to a *nudge*: zeros `(time, batch, n)` added to the input of each layer. The
latter gradient, `dLoss/dI[t]`, says how strongly a current at step `t` would change the loss; it shows where gradients
explode or vanish on their way back through time. `snnlab.health.diagnosis` puts all of this into words.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from snnlab import kernels
from snnlab.data import Dataset, EventLists
from snnlab.data.targets import UNLABELLED, Targets
from snnlab.dynamics import LifParams, approach, decay
from snnlab.encode import SpikeTimes, Steady
from snnlab.encode.ranges import unfit
from snnlab.kernels import Drive, Packed
from snnlab.layers import ConvProjection, DoubleExpon, Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.losses import loss_terms
from snnlab.models import Description, LayerDescription, describe
from snnlab.record import Record, Trace
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.train.step import State, Stepper, Structure, compiled, run_model

FIRING_SHARE = 0.03
"""Share of the pairs (neuron, sample) that fire in a network that starts well; see `LayerHealth.peak_voltage`.

The reference network on digits learns best if it starts between 1 and 10 per cent: below, learning begins late; above,
the readout first has much to unlearn.

Source, on the role of the initial activity: Rossbroich, Gygax & Zenke (2022), DOI 10.1088/2634-4386/ac97bb.
"""

COUNTS = 0.1
"""Of the largest change of the loss: a spike at a step where it would change less hardly counts."""

MOST_NEURONS = 1 << 18
"""Neurons of a convolution that a checkup looks at, over all samples: at 100 steps, a value of each takes 100 MB."""


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """The health of one layer of `n` neurons.

    Attributes:
        name: name of the layer, such as "hidden".
        rates: mean firing rate of every neuron `(n,)` [Hz], or None for a layer that does not spike. A layer without
            `dt` counts as having steps of 1 ms.
        max_rate: highest possible rate of a neuron [Hz]: a spike at the first step, and at every later one that its
            refractory time leaves.
        dead: number of neurons that never fired.
        saturated: number of neurons that fired at more than half of `max_rate`.
        in_window: share of the pairs (neuron, sample) whose voltage reaches `v_th - v_scale/slope` at some step, where
            the surrogate lets a gradient through; None if unknown.
        peak_voltage: the threshold at which `FIRING_SHARE` of the pairs would fire; None if unknown.
        v_th: threshold; like the next two the mean over the neurons, or None for a layer without it.
        v_rest: resting voltage.
        tau_mem: membrane time constant [ms], of `LifRef` or `Leaky`.
        slope: slope of the surrogate, in units of the distance from rest to threshold (`LifRef.v_scale`).
        gradient: norm of the gradient of the layer's own parameters.
        feeds_next: whether the next layer reads this one; not so beside a branch of a `snnlab.layers.Graph`.
        gradient_over_time: norm over batch and neurons of `dLoss/dI[t]`, `(time,)`, where `I` is the current that
            reaches the neurons of a `Projection` or `Recurrent`, or the input of any other layer; None if unknown.
        heard: share of what arrives at the readout that comes at steps which count: those where it would change the
            loss by at least `COUNTS` of the most; None if nothing arrives, for other layers, and unless it is a `Stack`
            of plain `Projection`s, because other networks may remember what came before.

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
    tau_mem: float | None = None
    slope: float | None = None
    gradient: float
    feeds_next: bool = True
    gradient_over_time: np.ndarray | None = None
    heard: float | None = None

    @property
    def gap(self) -> float | None:
        """How far the threshold lies above rest; None if it does not, or if that is unknown."""
        if self.v_th is None or self.v_rest is None or self.v_th <= self.v_rest:
            return None
        return self.v_th - self.v_rest

    @property
    def driven(self) -> float | None:
        """How far the current drives its strongest driven neurons, in thresholds: `peak_voltage`, seen from rest."""
        if self.peak_voltage is None or self.v_rest is None or self.gap is None:
            return None
        return (self.peak_voltage - self.v_rest) / self.gap


@dataclass(frozen=True, kw_only=True)
class Health:
    """The health of a network.

    Attributes:
        step: number of optimizer steps taken.
        samples: number of samples that it was measured on.
        loss: loss of these samples.
        accuracy: score of the task on these samples: the accuracy, where targets are classes.
        layers: the layers in order; the last one is the readout. Empty for a model whose record has no layers.
        readout_spread: standard deviation of the scores over the samples, and over the steps where each is scored,
            averaged over the classes or outputs; of numbers, in units of the deviation of the training targets.
        finite: whether loss, scores and gradients are all finite.
        input_spikes: spikes, or values other than 0, that the encoder emits for a sample on average; None if unknown.
        unfit: why the encoder cannot express the samples, and what helps; None if it can, or if that is unknown.
        duration: length of the sequence [ms], or None if no layer has time steps.
        predicted: number of these samples that the network takes for each class, `(class,)`, or None.
        present: number of these samples of each class, `(class,)`, or None.
        taught: number of training samples of each class, `(class,)`, or None.
        class_names: names of the classes.
        score: name of the score that `accuracy` holds, see `snnlab.history.Scored`.
        level: the score of an answer that is the same for all samples; None where `predicted` and `present` tell it.
        counted: what `predicted`, `present` and `taught` count: "samples" or "steps".
        part: the part of the data that the samples are of, in words.

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
    input_spikes: float | None = None
    unfit: str | None = None
    duration: float | None = None
    predicted: np.ndarray | None = None
    present: np.ndarray | None = None
    taught: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    score: str = "accuracy"
    level: float | None = None
    counted: str = "samples"
    part: str = "test"


def affordable(known: Description, samples: int) -> int:
    """Return the number of samples, or fewer for a convolution with many neurons; see `MOST_NEURONS`.

    Example:
        >>> from snnlab.config import ConvConfig
        >>> from snnlab.models import build
        >>> net = build(ConvConfig(channels=(16,)), sample_shape=(64, 64), num_classes=10)
        >>> affordable(describe(net), samples=128) < 128
        True
    """
    layers = [layer.module for layer in known.layers.values() if isinstance(layer.module, ConvProjection)]
    return max(1, min(samples, MOST_NEURONS // max((layer.features for layer in layers), default=1)))


class Checkup:
    """Measures the health of a network on the first samples that are looked at; compiled once for all states.

    Args:
        stepper: model and loss.
        data: data set with the samples.
        samples: number of samples; all if there are fewer. A convolution with many neurons gets fewer, because the
            checkup looks at the current of each of them at every step.

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

    @transfers_allowed()
    def __init__(self, stepper: Stepper, data: Dataset, samples: int = 128):
        self.stepper = stepper
        known = describe(stepper.structure.merge(stepper.start)["model"])
        samples = affordable(known, samples)
        code, x, targets = known.encoder, data.seen.x, data.seen.targets[:samples]
        self._samples = jax.tree.map(jnp.asarray, (x[:samples], targets))
        self._unfit = None if isinstance(x, EventLists) else unfit(code, x[:samples])
        self._classes = data.class_names
        self._one_at_a_time = data.task in ("label", "step_labels")  # then classes can be counted
        self._taught, self._present = (
            _counted(values, data.num_classes) if self._one_at_a_time else None
            for values in (data.y_train, targets.values)
        )
        self._scale = np.asarray(getattr(stepper.structure.task, "deviation", 1.0), np.float32)
        self._facts = {
            "score": stepper.structure.task.score,
            "level": _level(data),
            "counted": "steps" if data.task == "step_labels" else "samples",
            "part": "validation" if data.watched == "val" else "test",
        }
        self._measure = compiled(_measure, stepper.structure)

    @never_lost()
    @transfers_allowed()
    def __call__(self, state: State) -> Health:
        """Measure the health of a state; any thread may call this at any time."""
        keep_programs()  # a dashboard makes checkups before it trains
        x, targets = self._samples
        facts, predicted, layers = jax.tree.map(np.asarray, self._measure(state, x, targets, self._scale))
        return Health(
            step=int(state.step),
            samples=len(targets),
            layers=tuple(map(_layer_health, layers)),
            unfit=self._unfit,
            predicted=_counted(predicted, len(self._classes)) if self._one_at_a_time else None,
            present=self._present,
            taught=self._taught,
            class_names=self._classes,
            **self._facts,
            **{name: value.item() for name, value in facts.items()},
        )


class _Spiking(NamedTuple):
    """Counts of the spikes of a layer, the highest possible rate [Hz], and the duration of the sequence [ms]."""

    counts: Float[Array, "batch n"]
    fastest: Float[Array, "..."]
    duration: Float[Array, ""]


class _Driven(NamedTuple):
    """How far above rest the current would drive LIF neurons if they did not fire, and their parameters.

    Until the first spike that is the voltage itself, so exactly the pairs that come up to `v_th - v_rest` fire. It is
    measured from rest, because a small distance from -65 mV has few digits in float32.
    """

    above: Float[Array, "batch n"]
    params: LifParams


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Results of the compiled function for one layer; for the gradients see `LayerHealth`."""

    name: str = field(metadata={"static": True})
    feeds_next: bool = field(default=True, metadata={"static": True})
    spiking: _Spiking | None = None
    driven: _Driven | None = None
    tau_mem: Float[Array, "..."] | None = None
    gradient: Float[Array, ""] = field(default_factory=lambda: jnp.float32(0.0))
    gradient_over_time: Float[Array, " time"] | None = None
    heard: Float[Array, ""] | None = None


def _layer_health(seen: _Seen) -> LayerHealth:
    """Compute the statistics of a layer."""
    over_time = None if seen.gradient_over_time is None else np.asarray(seen.gradient_over_time)
    found = LayerHealth(
        name=seen.name,
        feeds_next=seen.feeds_next,
        tau_mem=None if seen.tau_mem is None else float(seen.tau_mem.mean()),
        gradient=seen.gradient.item(),
        gradient_over_time=over_time,
        heard=None if seen.heard is None or not 0.0 <= seen.heard < np.inf else min(float(seen.heard), 1.0),
    )
    if seen.spiking is not None:
        counts, fastest, duration = map(np.asarray, seen.spiking)
        rates = counts.mean(0) * (1000.0 / duration)
        found = replace(
            found,
            rates=rates,
            max_rate=float(fastest.max()),
            dead=int((counts.sum(0) == 0).sum()),
            saturated=int((rates > 0.5 * fastest).sum()),
        )
    if seen.driven is not None:
        above, p = np.asarray(seen.driven.above, np.float64), seen.driven.params
        gap = np.asarray(p.v_th, np.float64) - np.asarray(p.v_rest, np.float64)
        found = replace(
            found,
            v_th=float(p.v_th.mean()),
            v_rest=float(p.v_rest.mean()),
            slope=float(p.slope.mean()),
            in_window=float((p.slope * (above - gap) >= -p.v_scale).mean()),
            peak_voltage=_peak_voltage(above, gap, p),
        )
    return found


def _peak_voltage(above: np.ndarray, gap: np.ndarray, p: LifParams) -> float:
    """Compute `LayerHealth.peak_voltage`; each neuron counts by its own way `gap` from rest to threshold.

    If a neuron rests at or above its threshold, all count alike.
    """
    gap = gap if (gap > 0.0).all() else np.ones(1)
    return float(p.v_rest.mean()) + float(gap.mean() * np.quantile(above / gap, 1.0 - FIRING_SHARE))


def _level(data: Dataset) -> float | None:
    """The score of an answer that is the same for all samples: the mean of the targets, silence, the usual classes.

    None where classes are counted, see `snnlab.health.finding.chance`.
    """
    if data.task in ("label", "step_labels"):
        return None
    if data.task == "several_labels":
        share = data.seen.targets.values.mean(0)
        return float(np.maximum(share, 1.0 - share).mean())
    return 0.0


def _counted(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the labels of every class, without steps that have none."""
    flat = np.ravel(labels)
    return np.bincount(flat[flat >= 0], minlength=num_classes)


def _measure(
    structure: Structure, state: State, x, targets: Targets, scale
) -> tuple[dict[str, Array], Int[Array, "batch ..."], list[_Seen]]:
    """Measure facts about the network, its predictions, and facts about every layer."""

    def objective(params, nudges):
        system = structure.merge(state._replace(params=params))
        model, loss = system["model"], system["loss"]
        record, reached, emitted = _run(model, x, nudges)
        record = record if targets.lengths is None else record._replace(lengths=targets.lengths)
        value = sum(loss_terms(loss, record, targets).values())
        scores = structure.task.compared(loss, record)
        layers = describe(model).layers
        watched = [_watch(name, layers.get(name), trace) for name, trace in record.layers.items()]
        lasts = {} if record.dt is None else {"duration": jnp.float32(len(record.readout) * record.dt)}
        return value, (scores, watched, reached, lasts if emitted is None else lasts | {"input_spikes": emitted})

    shapes = jax.eval_shape(objective, state.params, {})[1][2]
    nudges = {name: jnp.zeros(into.shape, into.dtype) for name, into in shapes.items()}
    (value, (scores, watched, reached, known_facts)), gradients = jax.value_and_grad(objective, (0, 1), has_aux=True)(
        state.params, nudges
    )
    known = describe(structure.merge(state)["model"])
    layers = known.layers
    read = {} if known.stack is None else known.stack.sources
    names = [seen.name for seen in watched]
    onward = [after not in read or name in read[after] for name, after in itertools.pairwise(names)]
    norms = {name: _norm_over_time(layers[name].module, gradient) for name, gradient in gradients[1].items()}
    heard = None
    if reached and type(known.stack) is Stack and all(type(layers[name].module) is Projection for name in names):
        heard = _heard(reached[names[-1]], gradients[1][names[-1]])
    layers = [
        replace(
            seen,
            gradient=_norm_of(seen.name, gradients[0]),
            gradient_over_time=norms.get(seen.name),
            heard=heard if seen is watched[-1] else None,
            feeds_next=fed,
        )
        for seen, fed in zip(watched, [*onward, True], strict=False)
    ]
    numbers = jax.tree.leaves((value, scores, optax.tree.norm(gradients[0]), norms))
    facts = {
        "loss": value,
        "accuracy": structure.task.score_of(structure.task.measure(scores, targets)),
        "readout_spread": (scores / scale).std(tuple(range(scores.ndim - 1))).mean(),
        "finite": jnp.all(jnp.stack([jnp.isfinite(number).all() for number in numbers])),
    }
    predicted = scores.argmax(-1)
    predicted = predicted if targets.mask is None else jnp.where(targets.mask, predicted, UNLABELLED)
    return facts | known_facts, predicted, layers


def _run(model: nnx.Module, x, nudges: dict[str, Array]) -> tuple[Record, dict[str, Array], Float[Array, ""] | None]:
    """Run the model on `x`; return also the input of each layer, with its nudge, and `Health.input_spikes`.

    Only a plain `Network` has these.
    """
    key = jax.random.key(0)  # the same code every time
    network = describe(model).network
    if network is None:
        return run_model(model, x, key), {}, None
    reached = {}

    def enter(name: str, layer: Callable, x):
        if _is_wired(layer):
            reached[name] = current = kernels.current(layer.drive(x), dt=1.0) + nudges.get(name, 0.0)
            return Drive(x=current)
        if isinstance(x, SpikeTimes) or isinstance(layer, ConvProjection):  # without gradient, or too large for one
            return x
        reached[name] = x = (x.dense() if isinstance(x, Packed | Steady) else x) + nudges.get(name, 0.0)
        return x

    code = network.encode(x, key=key)
    traces = {visit.name: visit.trace for visit in network.stack.walk(code, enter)}
    return Record(readout=traces[network.stack.names[-1]].output, layers=traces), reached, _emitted(code, len(x))


def _emitted(code: SpikeTimes | Steady | Float[Array, "time batch unit"], batch: int) -> Float[Array, ""]:
    """Count the spikes of a sample on average."""
    code = code.dense() if isinstance(code, Steady) else code
    if not isinstance(code, SpikeTimes):
        return jnp.count_nonzero(code) / batch
    there = (code.times >= 0) & (code.times < code.num_steps)
    if code.units is not None:
        there &= (code.units >= 0) & (code.units < code.num_units)
    return there.sum() / batch


def _is_wired(layer: Callable) -> TypeGuard[Projection]:
    """Whether the layer weighs its input and sends it through a synapse; a subclass may do something else."""
    return type(layer) in (Projection, Recurrent)


def _norm_over_time(layer: Callable, gradient: Float[Array, "time batch n"]) -> Float[Array, " time"]:
    """Compute `LayerHealth.gradient_over_time` from the gradient in the nudge of the layer.

    An exponential synapse `I[t] = a I[t - 1] + x[t]`, with `a = e^(-dt/tau_syn)`, sends back
    `dL/dx[t] = dL/dI[t] + a dL/dx[t + 1]`; this function solves for `dL/dI[t]`. A double exponential one
    is two of them in a row.
    """
    synapse = layer.synapse if _is_wired(layer) else None
    if isinstance(synapse, DoubleExpon):
        gradient = _before_filter(gradient, synapse.tau_rise[...], synapse.dt) / approach(
            synapse.tau_rise[...], synapse.dt
        )
    if isinstance(synapse, Expon | DoubleExpon):
        gradient = _before_filter(gradient, synapse.tau_syn[...], synapse.dt)
    return jnp.sqrt((gradient**2).sum((1, 2)))


def _before_filter(gradient: Float[Array, "time batch n"], tau, dt: float) -> Float[Array, "time batch n"]:
    later = jnp.pad(gradient[1:], ((0, 1), (0, 0), (0, 0)))
    return gradient - decay(tau, dt) * later


def _heard(arriving: Float[Array, "time batch n"], gradient: Float[Array, "time batch n"]) -> Float[Array, ""]:
    """Compute `LayerHealth.heard` from what arrives at a layer and the gradient of the loss in it; -1 for nothing."""
    listens, arrives = (jnp.abs(values).sum((1, 2)) for values in (gradient, arriving))
    counted, total = jnp.where(listens >= COUNTS * listens.max(), arrives, 0.0).sum(), arrives.sum()
    return jnp.where(total > 0.0, counted / jnp.where(total > 0.0, total, 1.0), -1.0)  # no NaN under `jax_debug_nans`


def _watch(name: str, layer: LayerDescription | None, trace: Trace) -> _Seen:
    """Watch the spikes of a layer and the voltages of its neurons."""
    neuron, dt = (None, None) if layer is None else (layer.neuron, layer.dt)
    dt = 1.0 if dt is None else dt
    tau_mem = neuron.tau_mem[...] if isinstance(neuron, LifRef | Leaky) else None
    if trace.spikes is None:
        return _Seen(name=name, tau_mem=tau_mem)
    counts = trace.spikes.sum(0) if trace.counts is None else trace.counts
    spiking = _Spiking(counts, jnp.float32(1e3 / dt), jnp.float32(len(trace.spikes) * dt))
    if not isinstance(neuron, LifRef) or trace.current is None:
        return _Seen(name=name, spiking=spiking, tau_mem=tau_mem)
    p = neuron.params
    if layer is not None and isinstance(layer.module, ConvProjection):
        p = layer.module.window.spread(p)
    held = jnp.floor(p.tau_ref / dt + 1e-3)  # steps; as in `dynamics.lif_step`
    gain = approach(p.tau_mem, dt) * p.r
    driven = kernels.leaky(jax.lax.stop_gradient(trace.current), p.tau_mem, dt=dt)[1]
    most = jnp.ceil(len(trace.spikes) / (1.0 + held))  # one spike, however long a neuron then rests
    spiking = spiking._replace(fastest=spiking.fastest * most / len(trace.spikes))
    return _Seen(name=name, spiking=spiking, driven=_Driven(gain * driven, p), tau_mem=tau_mem)


def _norm_of(name: str, gradients: nnx.State) -> Float[Array, ""]:
    """Compute the norm of the gradient of the parameters of one layer of the model."""
    within = ("model", "stack", "layers", name), ("model", name)
    own = [g.get_value() for path, g in nnx.to_flat_state(gradients) if path[:4] == within[0] or path[:2] == within[1]]
    return jnp.float32(optax.tree.norm(own))
