"""Rules of the diagnosis on the whole: what goes in, how the loss runs, and what has been learned.

`snnlab.health.diagnosis` explains them.
"""

from typing import TYPE_CHECKING

import numpy as np

from snnlab.controls import CALM_RATE, LEARNING_RATE, calmer
from snnlab.health.finding import (
    PATIENCE,
    WINDOW,
    Diagnosis,
    Knobs,
    Move,
    chance,
    gets_no_gradient,
    has_learned,
    is_at_chance,
    last_move,
    move_to,
    redraw,
    steps_since_move,
)
from snnlab.history import History, Scored
from snnlab.history.series import RISE, loss_scale, worst_rise

if TYPE_CHECKING:  # so that no JAX is loaded to read a saved run
    from snnlab.health.checkup import Health

RECOVERED = 0.5  # of the first loss: below this the network has learned, whatever happened before
LONG = 100  # steps: after as many, reference networks are far above chance
SLOW_RATE = 0.3 * CALM_RATE  # below Adam's usual range: in `LONG` steps a weight moves by 0.3 at most
PRICES = {"l1": "l1", "l2": "l2", "rate_below": "rate_weight", "rate_above": "rate_weight"}  # terms and their knobs
PRICE, COSTLY = 0.01, 0.3  # of the cross-entropy: what a regularizer may cost at its worst, what makes it the aim
WORSE = 0.2  # of the lowest test loss: healthy runs rise by less
SINCE = 3  # epochs: one may be bad by chance
GAP, ERRORS = 0.05, 2.0  # of the accuracy, times the errors in training
FAR = 0.3  # of the way from there to 1: in training, far better than on other samples
ENOUGH = 5  # samples of a class
FALLS = 0.05  # of the loss, in half of `LONG` steps
RARE = 0.2  # of the mean number of training samples of a class


def no_input(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """No weights and no threshold help a network that gets no spikes."""
    if health.input_spikes != 0.0:
        return None
    reason = health.unfit or "all of them stay below what it fires for, or come after the last step"
    text = f"the encoder emits 0 spikes on {health.samples} samples, because {reason}"
    return Diagnosis(name="no input", text=text)


def unfit_input(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """At chance, with samples of another range than the encoder is for."""
    luck = chance(health)
    if health.unfit is None or luck is None or steps_since_move(history) < PATIENCE or not is_at_chance(health):
        return None
    text = f"{_score(health)} on {health.samples} samples is no better than {luck.words}, and {health.unfit}"
    return Diagnosis(name="unfit input", text=text)


def learning_rate(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
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
    if high - low < RISE * scale or now < RECOVERED * scale or (has_learned(health) and not _has_got_worse(history)):
        return None
    rate = knobs.get(LEARNING_RATE)
    move = move_to(knobs, LEARNING_RATE, calmer(rate.value)) if rate else Move()
    text = (
        f"the loss rose from {low:.3g} to {high:.3g} by itself, and is {now:.3g} now; "
        f"lower the learning rate to {'a tenth' if move.value is None else move.value} and draw new weights"
    )
    return Diagnosis(name="learning rate too high", text=text, new_seed=True, knob=move.knob, value=move.value)


def regularized(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """A term of the loss that prices spikes was as costly as the errors."""
    if steps_since_move(history) < PATIENCE:
        return None
    columns, begin = history.steps(), last_move(history)
    errors = columns.get("cross_entropy", np.empty(0))[begin:]
    terms = [
        (float((columns[term][begin:] / errors).max()), term) for term in PRICES if term in columns and len(errors)
    ]
    ratio, term = max(terms, default=(0.0, ""))
    if not ratio > COSTLY:
        return None
    knob = PRICES[term]
    now = knobs.get(knob)
    move = Move() if now is None else move_to(knobs, knob, PRICE / ratio * now.value)
    lower = f"to a {ratio / PRICE:.0g}th" if now is None else f"from {now.value:.2g} to {move.value:.2g}"
    text = (
        f"the network learns to save spikes and nothing else: the term {term} was {ratio:.2g} times the cross-entropy; "
        f"lower {knob} {lower} and draw new weights"
    )
    return Diagnosis(name="regularized", text=text, knob=move.knob, value=move.value, new_seed=True)


def overfitting(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """The training loss still falls, and the test loss has risen well above its lowest value.

    Source: Prechelt (1998), Early Stopping, DOI 10.1007/3-540-49430-8_3, for the loss of generalization.
    """
    results = history.results()
    scored = history.scored
    names = ("epoch", "train_loss", scored.train, scored.loss, scored.result)
    if not all(name in results for name in names) or not np.isfinite([results[name] for name in names]).all():
        return None
    epoch, train_loss, train_acc, test_loss, test_acc = (results[name] for name in names)
    best = int(test_loss.argmin())
    newest = test_loss[best + 1 :][-SINCE:]
    if len(newest) < SINCE or newest.min() < (1.0 + WORSE) * test_loss[best] or train_loss[-1] >= train_loss[best]:
        return None
    if train_acc[-1] - test_acc[-1] < GAP or 1.0 - test_acc[-1] < ERRORS * (1.0 - train_acc[-1]):
        return None
    place = scored.place
    text = (
        f"overfitting: {scored.name} is {train_acc[-1]:.3f} in training and {test_acc[-1]:.3f} in the {place}; since "
        f"epoch {int(epoch[best])} the {place} loss has risen from {test_loss[best]:.3g} to {test_loss[-1]:.3g}, while "
        f"that of training fell from {train_loss[best]:.3g} to {train_loss[-1]:.3g}; stop at that epoch, or train with "
        "more samples, fewer neurons or dropped input spikes"
    )
    return Diagnosis(name="overfitting", text=text)


def at_chance(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """No better than chance after long training, or at once if no gradient says what to learn."""
    luck, steps = chance(health), steps_since_move(history)
    if luck is None or not is_at_chance(health):
        return None
    nothing = gets_no_gradient(health)
    if steps < LONG and not nothing:
        return None
    text = f"{_score(health)} on {health.samples} samples: no better than {luck.words} ({luck.expected:.2g})"
    if nothing:
        text = f"{text}, and no gradient reaches any weight, so nothing can be learned; draw new weights"
        return Diagnosis(name="at chance", text=text, new_seed=True)
    text = f"{text} after {steps} steps"
    rate = knobs.get(LEARNING_RATE)
    if rate and rate.value < SLOW_RATE:
        move = move_to(knobs, LEARNING_RATE, CALM_RATE)
        text = f"{text}; raise the learning rate from {rate.value:.2g} to {move.value:.2g}"
        return Diagnosis(name="at chance", text=text, knob=move.knob, value=move.value)
    learned = history.steps().get(history.scored.score, np.zeros(1))[-WINDOW:].mean()
    targets = "labels" if health.level is None else "targets"
    if learned > (2.0 * luck.most if health.level is None else luck.most + FAR * (1.0 - luck.most)):
        kind = f"are the {health.part} samples of the same kind, with the same {targets}?"
        return Diagnosis(name="at chance", text=f"{text}, but {learned:.2g} in training; {kind}")
    return redraw("at chance", f"{text}; check that the {targets} belong to the samples", knobs)


def missing_class(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """A class is never predicted, although some samples are of it."""
    if health.predicted is None or health.present is None or steps_since_move(history) < LONG:
        return None
    if _is_learning(history):
        return None
    count = min(len(health.predicted), len(health.present))
    missing = np.flatnonzero((health.predicted[:count] == 0) & (health.present[:count] >= ENOUGH))
    if not len(missing):
        return None
    first = int(missing[0])
    name = health.class_names[first] if first < len(health.class_names) else str(first)
    there = f"{health.present[first]} of {health.present.sum()} {health.counted}"
    text = f"class {name!r} is never predicted, although {there} are of it"
    if len(missing) > 1:
        text = f"{text} (nor {'is another' if len(missing) == 2 else f'are {len(missing) - 1} others'})"
    if health.taught is not None and health.taught[first] < RARE * health.taught.mean():
        taught = f"only {health.taught[first]} of {health.taught.sum()} training {health.counted} are"
        text = f"{text}: {taught}; add more of them"
        return Diagnosis(name="missing class", text=text)
    return Diagnosis(name="missing class", text=f"{text}; draw new weights", new_seed=True)


def _score(health: "Health") -> str:
    return f"{Scored(score=health.score).name} {health.accuracy:.2g}"


def _has_got_worse(history: History) -> bool:
    """Whether the score in training is well below what it was before its largest fall."""
    accuracy = history.steps().get(history.scored.score, np.zeros(1))
    before, _, now = worst_rise(-accuracy, WINDOW)
    return now - before > GAP


def _is_learning(history: History) -> bool:
    """Whether the loss still falls."""
    losses = history.steps().get("loss", np.empty(0))
    before, now = losses[-LONG : -LONG // 2], losses[-LONG // 2 :]
    return bool(len(before) and now.mean() < before.mean() - FALLS * abs(before.mean()))


def _last_excuse(history: History) -> int:
    """Return the step of the last move that may have raised the loss."""
    excuses = (m for m in history.interventions if m["knob"] != LEARNING_RATE or m["new"] < m["old"])
    return max((move["step"] for move in excuses), default=0)
