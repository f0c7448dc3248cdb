"""The diagnosis of a network in a sentence or two, with a move of a knob that helps.

    diagnosis = diagnose(checkup(trainer.state), trainer.history, trainer.mailbox.knobs)

The rules stand in the order in which one ailment causes the next; the first that applies is the diagnosis:

no input
    The encoder emits nothing: the samples have another range than it can express. Proposed: what their range asks for.
learning rate too high
    Without a move of a knob, the loss rose by its first value or more, and has not come down since.
    Proposed: a tenth of the learning rate, at most 0.01, and new weights, because the old ones are far out.
exploding
    A layer gets a gradient many times that of the layer it feeds, or its gradient grows many-fold on its way back
    through the time steps. Proposed: new weights.
saturated
    The current drives neurons to many times their threshold, or they fire at more than half of all steps.
    Proposed: the threshold at which a few fire; new weights where no threshold within reach would do.
silent
    Half of the neurons or more never fire, and hardly a voltage comes near its threshold. Such a network often wakes up
    by itself, so this is diagnosed only after some steps in which the number of spikes did not rise quickly; at once if
    the first layer is far from its threshold. Proposed: the threshold at which a few fire; new weights if no current
    drives the neurons.
dead readout
    The readout scores all samples alike, although its input is not silent. Proposed: a higher learning rate if it is
    tiny, new weights if all scores are stuck at the start; without any gradient the cause lies elsewhere (a delay).
vanishing
    A layer that fires gets a gradient far below that of the layer it feeds.
    Proposed: a surrogate that is as wide, relative to the threshold, as that of the reference network.

A proposed value lies in the range of its knob. If there is no such knob, because the parameter is fixed or learned, the
text still says what to do. The constants were measured on the reference networks, healthy and spoiled: digits and
Fashion-MNIST, 20 to 300 units, every few steps from the first to the last epoch.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from snnlab.controls import LEARNING_RATE, Knob, calmer
from snnlab.errors import DivergenceError
from snnlab.history import History
from snnlab.history.series import RISE, loss_scale, worst_rise

if TYPE_CHECKING:  # so that no JAX is loaded to read a saved run
    from snnlab.health.checkup import Health, LayerHealth

Knobs = Mapping[str, Knob]

PATIENCE = 25  # steps: the reference network, silent at first, fires in 10 to 20
WINDOW = 10  # steps: the loss of one batch says little
RECOVERED = 0.5  # of the first loss: below this the network has learned, whatever happened before
EXPLODED = 300.0  # times: healthy spiking layers stay below 2, LSTMs of 8 to 28 steps below 50
OVERDRIVEN = 10.0  # thresholds: a healthy layer is driven to 1.5 to 6, one with weights 20 times too large to 13
OUT_OF_REACH = 5.0  # slider lengths: beyond them another threshold does not help
DEAD, NEAR = 0.5, 0.02  # of the neurons, of the pairs (neuron, sample): healthy layers that sparse have 0.06 near
ALL_DEAD = 0.9  # of the neurons, if it is not known how near they come
FAR = 0.4  # of the way from rest to threshold: reference networks start at 0.55 or more
WAKING = 2.0  # times the spikes of the `WINDOW` before: the network wakes up by itself
ALIKE = 0.01  # nats between the scores: healthy readouts are at 0.1 and more after `PATIENCE` steps
SLOW_RATE = 1e-4  # at this rate Adam moves a weight by 0.01 in 100 steps
VANISHED = 0.03  # of the gradient of the next layer: healthy layers get 0.08 and more
WIDTH = 10.0  # slope of the reference network, in which a silent neuron still learns


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """An ailment of a network.

    Attributes:
        name: name of the rule, such as "silent".
        text: a sentence or two with the numbers.
        knob: name of the knob to move, as `Mailbox.post` takes it, or None.
        value: new value of the knob, in its range.
        new_seed: whether to draw new weights, after moving the knob if there is one.
        back_to: go back to that step of a run that diverged, and on from there; see `Trainer.go_back`.

    Example:
        >>> found = Diagnosis(name="silent", text="hidden layer silent", knob="hidden.v_th", value=0.3)
        >>> found.new_seed
        False
    """

    name: str
    text: str
    knob: str | None = None
    value: float | None = None
    new_seed: bool = False
    back_to: int | None = None


def diagnose(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Return the ailment that causes the others, or None if the network is well.

    Args:
        health: see `snnlab.health.Checkup`.
        history: history of the run so far.
        knobs: see `Mailbox.knobs`.

    Example:
        >>> from snnlab.health import Health
        >>> health = Health(step=31, samples=256, loss=9.1, accuracy=0.1, layers=(), readout_spread=3.0, finite=True)
        >>> history = History()
        >>> history.add_steps({"loss": np.array([2.3] + 30 * [9.1])})
        >>> rate = Knob(name="learning_rate", value=1.0, low=1e-6, high=0.1)
        >>> found = diagnose(health, history, {"learning_rate": rate})
        >>> found.text
        'the loss rose from 2.3 to 9.1 by itself, and is 9.1 now; lower the learning rate to 0.01 and draw new weights'
        >>> found.name, found.knob, found.value, found.new_seed
        ('learning rate too high', 'learning_rate', 0.01, True)
    """
    return next((found for rule in RULES if (found := rule(health, history, knobs))), None)


def diverged(error: BaseException | None) -> Diagnosis | None:
    """Say why a run diverged, and from which step and with which learning rate to continue, if that would help.

    Returns None if the run ended in another way.

    Example:
        >>> diverged(DivergenceError("the loss is not finite", advice=0.001, back_to=7)).value, diverged(None)
        (0.001, None)
    """
    if not isinstance(error, DivergenceError):
        return None
    if error.advice is None:
        return Diagnosis(name="diverged", text=str(error))
    return Diagnosis(name="diverged", text=str(error), knob=LEARNING_RATE, value=error.advice, back_to=error.back_to)


def _no_input(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """No weights and no threshold help a network that gets no spikes."""
    if health.input_spikes != 0.0:
        return None
    reason = health.unfit or "all of them stay below what it fires for, or come after the last step"
    text = f"the encoder emits 0 spikes on {health.samples} samples, because {reason}"
    return Diagnosis(name="no input", text=text)


def _learning_rate(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Without a move of a knob, the loss rose far and stayed there.

    A moved knob may change the loss in any way, so the rule looks only at later steps. A higher learning rate is no
    such excuse: it is what this rule looks for.
    """
    losses = history.steps().get("loss", np.empty(0))
    since = losses[_last_excuse(history) :]
    if not len(since):
        return None
    low, high, now = worst_rise(since, WINDOW)
    scale = loss_scale(losses)
    if high - low < RISE * scale or now < RECOVERED * scale:
        return None
    rate = knobs.get(LEARNING_RATE)
    move = _move(knobs, LEARNING_RATE, calmer(rate.value)) if rate else _Move()
    text = (
        f"the loss rose from {low:.3g} to {high:.3g} by itself, and is {now:.3g} now; "
        f"lower the learning rate to {'a tenth' if move.value is None else move.value} and draw new weights"
    )
    return Diagnosis(name="learning rate too high", text=text, new_seed=True, knob=move.knob, value=move.value)


def _exploding(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The gradient grows many-fold from a layer to the one before it, or through the time steps of one layer.

    Source: Pascanu, Mikolov & Bengio (2013), arXiv:1211.5063.
    """
    cure = "draw new weights, smaller ones if these were scaled up, or clip the gradient (optax.clip_by_global_norm)"
    if not health.finite:
        return Diagnosis(name="exploding", text=f"the loss or its gradient is not finite; {cure}", new_seed=True)
    for layer, after in _neighbours(health):
        g, error = layer.gradient_over_time, after.gradient_over_time
        if g is None or error is None or not error.any():
            continue
        across = _unit(layer) * g.max() / (_unit(after) * error.max())
        entered = np.flatnonzero(error >= 0.1 * error.max())[-1]  # the last step at which a large error enters
        # A spiking neuron passes on a gradient only when near its threshold: its steps cannot be compared.
        back = g[: entered + 1].max() / max(g[entered], 1e-30) if layer.rates is None else 0.0
        if max(across, back) > EXPLODED:
            where = f"{across:.1e} times that of {after.name}" if across > back else f"{back:.1e}-fold over its steps"
            text = f"the gradient explodes on its way back through {layer.name}, {where}; {cure}"
            return Diagnosis(name="exploding", text=text, new_seed=True)
    return None


def _saturated(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The current drives its strongest driven neurons to many times their threshold."""
    for layer in health.layers:
        if layer.rates is None or (_driven(layer) < OVERDRIVEN and layer.saturated < len(layer.rates) / 2):
            continue
        text = (
            f"{layer.name} layer saturated: {layer.rates.mean():.3g} of {layer.max_rate:.3g} Hz, {layer.saturated} of "
            f"{len(layer.rates)} neurons fire at more than half of all steps"
        )
        knob = knobs.get(f"{layer.name}.v_th")
        if layer.peak_voltage is None or (knob and _lengths(knob, layer.peak_voltage) > OUT_OF_REACH):
            return Diagnosis(name="saturated", text=f"{text}; draw new weights, smaller ones", new_seed=True)
        words, move = _to_peak(layer, layer.peak_voltage, knobs)
        text = f"{text}, driven to {_driven(layer):.2g} times their threshold; raise {words}, or lower the weights"
        return Diagnosis(name="saturated", text=text, knob=move.knob, value=move.value)
    return None


def _silent(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Neurons do not fire, their voltages are not near the threshold, and neither is about to change."""
    layer = next(filter(_is_silent, health.layers), None)
    if layer is None or layer.rates is None:
        return None
    # Only its own weights can wake the first layer, because its input stays the same.
    hopeless = layer is health.layers[0] and layer.peak_voltage is not None and _driven(layer) < FAR
    if not hopeless and (_steps_since_move(history) < PATIENCE or _is_waking(history)):
        return None
    text = f"{layer.name} layer silent: {layer.dead} of {len(layer.rates)} neurons never fired on "
    text = f"{text}{health.samples} samples"
    if layer.peak_voltage is None:
        return Diagnosis(name="silent", text=f"{text}; lower their threshold, or raise the input weights")
    knob = knobs.get(f"{layer.name}.v_th")
    if layer.peak_voltage <= (knob.low if knob else layer.v_rest or 0.0):
        text = f"{text}, and no current drives them towards their threshold; draw new weights"
        return Diagnosis(name="silent", text=text, new_seed=True)
    words, move = _to_peak(layer, layer.peak_voltage, knobs)
    text = f"{text}; lower {words}, or raise the input weights"
    return Diagnosis(name="silent", text=text, knob=move.knob, value=move.value)


def _dead_readout(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The readout has nearly the same scores for every sample, whatever it reads."""
    if not health.layers or health.readout_spread >= ALIKE:
        return None
    *before, readout = health.layers
    if any(layer.rates is not None and not layer.rates.any() for layer in before):
        return None  # a readout that hears nothing is not to blame
    text = f"its scores differ by {health.readout_spread:.1g} between samples"
    if readout.gradient == 0.0:
        g = readout.gradient_over_time
        if g is not None and not g[1:].any():
            text = f"{text}, every class is at its best before anything arrives; draw new weights"
            return Diagnosis(name="dead readout", text=text, new_seed=True)
        text = f"{text}, and no gradient reaches its weights; do spikes arrive before the sequence ends (delay)?"
        return Diagnosis(name="dead readout", text=text)
    if _steps_since_move(history) < PATIENCE or any(map(_is_silent, before)):
        return None
    rate = knobs.get(LEARNING_RATE)
    if rate and rate.value < SLOW_RATE:
        text = f"{text}; raise the learning rate from {rate.value:.2g} to {10.0 * SLOW_RATE:.2g}"
        move = _move(knobs, LEARNING_RATE, 10.0 * SLOW_RATE)
        return Diagnosis(name="dead readout", text=text, knob=move.knob, value=move.value)
    return Diagnosis(name="dead readout", text=f"{text}; draw new weights", new_seed=True)


def _vanishing(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """A layer that fires learns nothing, because its surrogate lets almost no gradient through.

    Source: Zenke & Vogels (2021), DOI 10.1162/neco_a_01367.
    """
    if _steps_since_move(history) < PATIENCE:
        return None
    for layer, after in _neighbours(health):
        share = _unit(layer) * layer.gradient / max(_unit(after) * after.gradient, 1e-30)
        if share >= VANISHED or after.gradient == 0.0 or (layer.rates is not None and not layer.rates.any()):
            continue  # of a silent layer it would be no wonder
        if layer.gradient == 0.0 and (layer.gradient_over_time is None or layer.gradient_over_time.any()):
            continue  # it has no parameters, or no input
        text = f"the gradient vanishes on its way back to {layer.name}: {share:.2g} of that of {after.name}"
        if layer.slope is None or layer.slope <= WIDTH:
            return Diagnosis(name="vanishing", text=f"{text}; raise the weights of {after.name}, or leave a layer out")
        text = f"{text}; lower {layer.name}.slope from {layer.slope:.2g} to about {WIDTH:.2g}"
        move = _move(knobs, f"{layer.name}.slope", WIDTH)
        return Diagnosis(name="vanishing", text=text, knob=move.knob, value=move.value)
    return None


RULES = (_no_input, _learning_rate, _exploding, _saturated, _silent, _dead_readout, _vanishing)
"""From cause to effect, with the arguments of `diagnose`. The docstring of this module explains them."""


def _neighbours(health: "Health") -> list[tuple["LayerHealth", "LayerHealth"]]:
    """Return the pairs of a layer and the next one, if this reads the former."""
    return [(layer, after) for layer, after in itertools.pairwise(health.layers) if layer.feeds_next]


def _gap(layer: "LayerHealth") -> float | None:
    """Return how far the threshold lies above rest; None if it does not, or if that is not known."""
    if layer.v_th is None or layer.v_rest is None or layer.v_th <= layer.v_rest:
        return None
    return layer.v_th - layer.v_rest


def _unit(layer: "LayerHealth") -> float:
    """Return the unit of a layer's currents: gradients in two layers are compared as if both thresholds were 1."""
    return _gap(layer) or 1.0


def _driven(layer: "LayerHealth") -> float:
    """Return how far the current drives its strongest driven neurons, in thresholds; 0 if that is not known."""
    gap = _gap(layer)
    if layer.peak_voltage is None or layer.v_rest is None or gap is None:
        return 0.0
    return (layer.peak_voltage - layer.v_rest) / gap


def _lengths(knob: Knob, value: float) -> float:
    """Return where a value lies, in lengths of the knob's slider from its lower end."""
    return (value - knob.low) / (knob.high - knob.low)


def _is_silent(layer: "LayerHealth") -> bool:
    if layer.rates is None:
        return False
    dead = layer.dead / len(layer.rates)
    return dead >= ALL_DEAD if layer.in_window is None else dead >= DEAD and layer.in_window < NEAR


def _is_waking(history: History) -> bool:
    """Whether the number of spikes rises quickly."""
    spikes = history.steps().get("spikes_per_sample", np.empty(0))
    return bool(spikes[-WINDOW:].sum() > WAKING * spikes[-2 * WINDOW : -WINDOW].sum())


def _steps_since_move(history: History) -> int:
    """Return the number of steps since the start, or since the last move of a knob."""
    return len(history) - max((move["step"] for move in history.interventions), default=0)


def _last_excuse(history: History) -> int:
    """Return the step of the last move that may have raised the loss."""
    excuses = (m for m in history.interventions if m["knob"] != LEARNING_RATE or m["new"] < m["old"])
    return max((move["step"] for move in excuses), default=0)


class _Move(NamedTuple):
    """A knob and its new value; None without a knob."""

    knob: str | None = None
    value: float | None = None


def _to_peak(layer: "LayerHealth", peak: float, knobs: Knobs) -> tuple[str, _Move]:
    """Return the threshold at which a few neurons fire, in words and as a move."""
    move = _move(knobs, f"{layer.name}.v_th", peak)
    value = peak if move.value is None else move.value
    return f"{layer.name}.v_th from {layer.v_th:.2g} to about {value:.2g}", move


def _move(knobs: Knobs, name: str, value: float) -> _Move:
    """Move a knob to a value, rounded to two digits and within its range; nothing if there is no such knob."""
    knob = knobs.get(name)
    if knob is None:
        return _Move()
    return _Move(name, float(np.clip(float(f"{value:.2g}"), knob.low, knob.high)))
