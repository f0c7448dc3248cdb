"""Rules of the diagnosis on single layers: their spikes, their voltages and their gradients.

`snnlab.health.diagnosis` explains them.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from snnlab.controls import CALM_RATE, LEARNING_RATE
from snnlab.health.finding import (
    PATIENCE,
    WINDOW,
    Diagnosis,
    Knobs,
    Move,
    fires_never,
    gets_no_gradient,
    move_to,
    redraw,
    rounded,
    steps_since_move,
)
from snnlab.history import History
from snnlab.support import numbers

if TYPE_CHECKING:  # so that no JAX is loaded to read a saved run
    from snnlab.health.checkup import Health, LayerHealth

EXPLODED = 300.0  # times: healthy spiking layers stay below 2, LSTMs of 8 to 28 steps below 50
OVERDRIVEN = 10.0  # thresholds: a healthy layer is driven to 1.5 to 6
FAR_TOO_HARD = 15.0  # thresholds: of 85 random networks that began above, 4 learned well
BUSY = 3.0  # thresholds: with weights 15 to 200 times too large, networks learn best if driven to 2 to 4
DEAD, NEAR = 0.5, 0.02  # of the neurons, of the pairs (neuron, sample): healthy layers that sparse have 0.06 near
ALL_DEAD = 0.9  # of the neurons, if it is not known how near they come
WAKING = 2.0  # times the spikes of the `WINDOW` before: the network wakes up by itself
ALIKE = 0.01  # nats between the scores: healthy readouts are at 0.1 and more after `PATIENCE` steps
SLOW_RATE = 1e-4  # at this rate Adam moves a weight by 0.01 in 100 steps
VANISHED = 0.03  # of the gradient of the next layer: healthy layers get 0.08 and more
WIDTH = 10.0  # slope of the reference network, in which a silent neuron still learns
DEEP, FADED = 3, 0.1  # layers, and of the highest rate: a balanced network has 0.3 and more in all layers
UNHEARD = 0.1  # of what arrives at the readout: of 72 random networks that learned well, none heard less than 0.56


def exploding(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
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


def saturated(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Half of the neurons or more are saturated, as `LayerHealth.saturated` counts them."""
    for layer in health.layers:
        if layer.rates is None or layer.saturated < len(layer.rates) / 2 or not _is_settled(health, history):
            continue
        rate = f"{numbers.number(layer.rates.mean())} of {numbers.number(layer.max_rate or 0.0)} Hz"
        busy = f"{layer.saturated} of {len(layer.rates)} neurons fire at more than half of all steps"
        text = f"{layer.name} layer saturated: {rate}, {busy}"
        return _too_busy("saturated", text, layer, knobs)
    return None


def overdriven(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The current drives the strongest driven neurons to many times their threshold."""
    for layer in health.layers:
        driven = layer.driven or 0.0
        if driven < OVERDRIVEN or not (driven >= FAR_TOO_HARD or _is_settled(health, history)):
            continue
        times = f"{numbers.number(driven, 2)} times their threshold"
        text = f"{layer.name} layer overdriven: the current drives its strongest driven neurons to {times}"
        return _too_busy("overdriven", text, layer, knobs)
    return None


def fading(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """From one layer to the next fewer spikes are left, and hardly any in the last.

    Source: Rossbroich, Gygax & Zenke (2022), DOI 10.1088/2634-4386/ac97bb.
    """
    fires = [(layer, float(layer.rates.mean())) for layer in _chain(health) if layer.rates is not None]
    fires = fires[max(range(len(fires)), key=lambda k: fires[k][1], default=0) :]  # from the most active layer on
    rates = [rate for _, rate in fires]
    if len(fires) < DEEP or rates[-1] >= FADED * rates[0] or rates != sorted(rates, reverse=True):
        return None
    if not gets_no_gradient(health) and (steps_since_move(history) < PATIENCE or _is_waking(history)):
        return None
    shown = ", ".join(numbers.number(rate, 2) for rate in rates)
    text = f"activity fades with depth: {shown} Hz from {fires[0][0].name} to {fires[-1][0].name}"
    cure = "give the layers weights that are balanced on the data (snnlab.balanced)"
    weak = next((layer for layer, rate in fires if rate < 0.5 * rates[0] and (layer.driven or 1.0) < 1.0), None)
    if weak is None or weak.peak_voltage is None:
        return Diagnosis(name="fading", text=f"{text}; {cure}")
    words, move = _waking_move(weak, weak.peak_voltage, health, knobs)
    text = f"{text}; {cure}" if words is None else f"{text}; {words}, or {cure}"
    return Diagnosis(name="fading", text=text, knob=move.knob, value=move.value)


def silent(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Neurons do not fire, their voltages are not near the threshold, and neither is about to change."""
    layer = next(filter(is_silent, health.layers), None)
    if layer is None or layer.rates is None:
        return None
    if not gets_no_gradient(health) and (steps_since_move(history) < PATIENCE or _is_waking(history)):
        return None
    text = f"{layer.name} layer silent: {layer.dead} of {len(layer.rates)} neurons never fired on "
    text = f"{text}{health.samples} samples"
    if layer.in_window is not None and layer.in_window >= NEAR:
        text = f"{text}, though {layer.in_window:.0%} of the pairs (neuron, sample) are in the surrogate window"
    if layer.peak_voltage is None:
        return Diagnosis(name="silent", text=f"{text}; lower their threshold, or raise the input weights")
    words, move = _waking_move(layer, layer.peak_voltage, health, knobs)
    if words is None:
        text = f"{text}, and no current drives them towards their threshold; draw new weights"
        return Diagnosis(name="silent", text=text, new_seed=True)
    return Diagnosis(name="silent", text=f"{text}; {words}", knob=move.knob, value=move.value)


def dead_readout(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The readout has nearly the same scores for every sample, whatever it reads."""
    if not health.layers or health.readout_spread >= ALIKE:
        return None
    *before, readout = health.layers
    if any(map(fires_never, before)):
        return None  # a readout that hears nothing is not to blame
    if _is_forgetful(readout):
        return None  # another rule
    text = f"its scores differ by {health.readout_spread:.1g} between samples"
    if readout.gradient == 0.0:
        g = readout.gradient_over_time
        if readout.heard == 0.0 or (g is not None and not g[1:].any()):
            what = "class" if health.level is None else "output"
            return redraw("dead readout", f"{text}, every {what} is at its best before anything arrives", knobs)
        text = f"{text}, and no gradient reaches its weights; do spikes arrive before the sequence ends (delay)?"
        return Diagnosis(name="dead readout", text=text)
    if steps_since_move(history) < PATIENCE or any(map(is_silent, before)):
        return None
    rate = knobs.get(LEARNING_RATE)
    if rate and rate.value < SLOW_RATE:
        text = f"{text}; raise the learning rate from {rate.value:.2g} to {CALM_RATE:.2g}"
        move = move_to(knobs, LEARNING_RATE, CALM_RATE)
        return Diagnosis(name="dead readout", text=text, knob=move.knob, value=move.value)
    return redraw("dead readout", text, knobs)


def forgetful_readout(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Nearly all that arrives at the readout comes long before the steps at which it decides."""
    if not health.layers or steps_since_move(history) < PATIENCE:
        return None
    readout, last = health.layers[-1], 0.5 * (health.duration or 0.0)
    if not _is_forgetful(readout) or readout.heard is None:
        return None
    text = f"{readout.name} ignores time: {1.0 - readout.heard:.0%} of what arrives comes before the steps that count"
    if readout.tau_mem is None or readout.tau_mem >= last:
        return Diagnosis(name="forgetful readout", text=f"{text}; decide by the mean of the readout over time")
    knob = f"{readout.name}.tau_mem"
    text = f"{text}; raise {knob} from {readout.tau_mem:.2g} to about {last:.2g} ms, or decide by its mean over time"
    move = move_to(knobs, knob, last)
    return Diagnosis(name="forgetful readout", text=text, knob=move.knob, value=move.value)


def vanishing(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """A layer that fires learns nothing, because its surrogate lets almost no gradient through.

    Source: Zenke & Vogels (2021), DOI 10.1162/neco_a_01367.
    """
    if steps_since_move(history) < PATIENCE:
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
        move = move_to(knobs, f"{layer.name}.slope", WIDTH)
        return Diagnosis(name="vanishing", text=text, knob=move.knob, value=move.value)
    return None


def _neighbours(health: "Health") -> list[tuple["LayerHealth", "LayerHealth"]]:
    """Return the pairs of a layer and the next one, if this reads the former."""
    return [(layer, after) for layer, after in itertools.pairwise(health.layers) if layer.feeds_next]


def _chain(health: "Health") -> list["LayerHealth"]:
    """Return the layers from the first on of which each reads the one before it."""
    broken = next((k for k, layer in enumerate(health.layers) if not layer.feeds_next), len(health.layers))
    return list(health.layers[: broken + 1])


def _unit(layer: "LayerHealth") -> float:
    """Return the unit of a layer's currents: gradients in two layers are compared as if both thresholds were 1."""
    return layer.gap or 1.0


def _is_settled(health: "Health", history: History) -> bool:
    """Whether a layer may be judged by how it fires: learning changes that soon, unless nothing can be learned."""
    return steps_since_move(history) >= PATIENCE or gets_no_gradient(health)


def _too_busy(name: str, text: str, layer: "LayerHealth", knobs: Knobs) -> Diagnosis:
    """Propose a threshold that fewer neurons reach; not too high, because weights so large hardly learn to reach it."""
    if layer.peak_voltage is None or (layer.v_th is not None and layer.peak_voltage <= layer.v_th):
        return Diagnosis(name=name, text=f"{text}; draw new weights, smaller ones", new_seed=True)
    rest, share = layer.v_rest or 0.0, 1.0 / BUSY if (layer.driven or 0.0) > 2.0 * BUSY else 1.0
    words, move = _to_threshold(layer, rest + share * (layer.peak_voltage - rest), knobs)
    return Diagnosis(name=name, text=f"{text}; raise {words}, or lower the weights", knob=move.knob, value=move.value)


def is_silent(layer: "LayerHealth") -> bool:
    """Whether no neuron fires, or hardly any and hardly a voltage comes near its threshold."""
    if layer.rates is None:
        return False
    dead = layer.dead / len(layer.rates)
    few = dead >= ALL_DEAD if layer.in_window is None else dead >= DEAD and layer.in_window < NEAR
    return few or fires_never(layer)


def _is_forgetful(readout: "LayerHealth") -> bool:
    """Whether only the end of the sequence counts, and nearly all arrives before."""
    g = readout.gradient_over_time
    late = g is not None and bool(g.any()) and int(g.argmax()) >= len(g) / 2
    return late and readout.heard is not None and readout.heard < UNHEARD


def _is_waking(history: History) -> bool:
    """Whether the number of spikes rises quickly."""
    spikes = history.steps().get("spikes_per_sample", np.empty(0))
    return bool(spikes[-WINDOW:].sum() > WAKING * spikes[-2 * WINDOW : -WINDOW].sum())


def _waking_move(layer: "LayerHealth", peak: float, health: "Health", knobs: Knobs) -> tuple[str | None, Move]:
    """Return what wakes a silent layer, in words and as a move; None if no current drives its neurons."""
    rest = layer.v_rest or 0.0
    if peak <= rest:
        return None, Move()
    tau, last, slow = layer.tau_mem, health.duration, f"{layer.name}.tau_mem"
    if tau is not None and last is not None and slow in knobs and tau * (layer.driven or 0.0) > last:
        move = move_to(knobs, slow, tau * (layer.driven or 0.0))  # far below tau, the voltage is proportional to 1/tau
        return f"lower {slow} from {tau:.2g} to about {move.value:.2g} ms, the sequence lasts {last:.3g} ms", move
    knob = knobs.get(f"{layer.name}.v_th")
    if knob and peak <= knob.least:
        return f"raise {layer.name}.v_rest, or the input weights: the current lifts {rest:.3g} to {peak:.3g}", Move()
    words, move = _to_threshold(layer, peak, knobs)
    return f"lower {words}, or raise the input weights", move


def _to_threshold(layer: "LayerHealth", v_th: float, knobs: Knobs) -> tuple[str, Move]:
    """Return another threshold, in words and as a move."""
    rest = layer.v_rest or 0.0
    move = move_to(knobs, f"{layer.name}.v_th", v_th, origin=rest)
    value = rounded(v_th, rest) if move.value is None else move.value
    return f"{layer.name}.v_th from {layer.v_th:.4g} to about {value:.6g}", move
