"""What a rule of the diagnosis finds, the move of a knob that it proposes, and what all rules ask of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from snnlab.controls import CALM_RATE, LEARNING_RATE, Knob, calmer
from snnlab.history import History

if TYPE_CHECKING:  # so that no JAX is loaded to read a saved run
    from snnlab.health.checkup import Health, LayerHealth

Knobs = Mapping[str, Knob]

PATIENCE = 50  # steps: the reference network, silent at first, fires in 10 to 20, one with tiny weights in 50
WINDOW = 10  # steps: the loss of one batch says little
DEVIATIONS = 3.0  # standard deviations of the accuracy by chance
LEARNED = 0.5  # of the way from chance to no error: what learns this well is not told how it might be built otherwise
FAST_RATE = 3.0 * CALM_RATE  # above Adam's usual range
NOTHING = 1e-9  # norm of a gradient: Adam adds 1e-8 to it, so below this even Adam's steps are tiny


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """An ailment of a network.

    Attributes:
        name: name of the rule, such as "silent".
        text: a sentence or two with the numbers.
        knob: name of the knob to move, as `Mailbox.post` takes it, or None.
        value: new value of the knob, one that it accepts.
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


class Move(NamedTuple):
    """A knob and its new value; None without a knob.

    Example:
        >>> Move("hidden.v_th", 0.3).value, Move().knob
        (0.3, None)
    """

    knob: str | None = None
    value: float | None = None


def move_to(knobs: Knobs, name: str, value: float, *, origin: float = 0.0) -> Move:
    """Move a knob to a value, of which the distance from `origin` has two digits; nothing without such a knob.

    The ends of a slider are no limits, because its knob accepts more, and sliders follow.

    Example:
        >>> v_th = Knob(name="hidden.v_th", value=-50.0, low=-64.0, high=-5.0, least=-65.0)
        >>> move_to({"hidden.v_th": v_th}, "hidden.v_th", -64.123, origin=-65.0)
        Move(knob='hidden.v_th', value=-64.12)
    """
    knob = knobs.get(name)
    if knob is None:
        return Move()
    return Move(name, max(rounded(value, origin), knob.least))


def rounded(value: float, origin: float = 0.0) -> float:
    """Round the distance from `origin` to two digits.

    Example:
        >>> rounded(0.1234), rounded(-64.123, -65.0)
        (0.12, -64.12)
    """
    return float(f"{origin + float(f'{value - origin:.2g}'):.9g}")


def redraw(name: str, text: str, knobs: Knobs) -> Diagnosis:
    """Propose new weights, and a lower learning rate where it may have spoiled the old ones.

    Example:
        >>> rate = Knob(name="learning_rate", value=0.1, low=1e-6, high=0.1)
        >>> redraw("dead readout", "all scores are alike", {"learning_rate": rate}).text
        'all scores are alike; lower the learning rate from 0.1 to 0.01 and draw new weights'
    """
    rate = knobs.get(LEARNING_RATE)
    if rate is None or rate.value <= FAST_RATE:
        return Diagnosis(name=name, text=f"{text}; draw new weights", new_seed=True)
    move = move_to(knobs, LEARNING_RATE, calmer(rate.value))
    text = f"{text}; lower the learning rate from {rate.value:.2g} to {move.value:.2g} and draw new weights"
    return Diagnosis(name=name, text=text, knob=move.knob, value=move.value, new_seed=True)


def steps_since_move(history: History) -> int:
    """Return the number of steps since the start, or since the last move of a knob.

    Example:
        >>> history = History()
        >>> history.add_steps({"loss": np.zeros(7)})
        >>> history.add_intervention(step=5, knob="hidden.v_th", old=1.0, new=0.5)
        >>> steps_since_move(history)
        2
    """
    return len(history) - last_move(history)


def last_move(history: History) -> int:
    """Return the step of the last move of a knob, or 0."""
    return max((move["step"] for move in history.interventions), default=0)


class Chance(NamedTuple):
    """The accuracy that comes about by chance, and the highest that cannot be told from it.

    Example:
        >>> Chance(expected=0.1, most=0.18).most
        0.18
    """

    expected: float
    most: float
    words: str = "chance"


LEVELS = {"r2": "the mean of the targets", "explained": "a silent readout", "accuracy": "always the same answer"}
"""What has the score `Health.level`, by the name of the score."""
ABOVE = 0.02  # of the score: what is not farther above that level cannot be told from it


def chance(health: "Health") -> Chance | None:
    """Compute the accuracy of predictions that do not depend on the samples, but are as frequent as those seen.

        expected = sum_c q_c p_c
        most = expected + DEVIATIONS sqrt(expected (1 - expected) / samples)

    Here `q_c` is the share of the predictions of class `c`, and `p_c` that of the samples. A few samples tell little;
    `most` is at most half of the way from there to 1. Where targets are no classes, it is the score of an answer that
    is the same for all samples, `Health.level`. Returns None if the predictions are unknown, or if the samples are of
    one class.

    Source: Cohen (1960), DOI 10.1177/001316446002000104.

    Example:
        >>> from snnlab.health import Health
        >>> told = {"predicted": np.array([128, 0]), "present": np.array([64, 64])}
        >>> found = {"step": 0, "samples": 128, "loss": 0.7, "accuracy": 0.5, "layers": (), "finite": True}
        >>> chance(Health(**found, **told, readout_spread=0.0)).expected
        0.5
    """
    if health.level is not None:
        return Chance(health.level, health.level + ABOVE * (1.0 - health.level), LEVELS[health.score])
    if health.predicted is None or health.present is None or (health.present > 0).sum() < 2:
        return None
    classes = min(len(health.predicted), len(health.present))
    q, p = (counts[:classes] / max(counts.sum(), 1) for counts in (health.predicted, health.present))
    expected = float(q @ p)
    deviation = np.sqrt(expected * (1.0 - expected) / health.samples)
    return Chance(expected, min(expected + DEVIATIONS * float(deviation), expected + 0.5 * (1.0 - expected)))


def is_at_chance(health: "Health") -> bool:
    """Whether the accuracy cannot be told from chance; False if that is unknown."""
    luck = chance(health)
    return luck is not None and health.accuracy <= luck.most


def has_learned(health: "Health") -> bool:
    """Whether the accuracy is `LEARNED` of the way from chance to 1, or more; False if that is unknown."""
    luck = chance(health)
    return luck is not None and health.accuracy >= luck.expected + LEARNED * (1.0 - luck.expected)


def gets_no_gradient(health: "Health") -> bool:
    """Whether no parameter of a layer gets a gradient, so that nothing can be learned, however long it is trained."""
    return bool(health.layers) and all(layer.gradient < NOTHING for layer in health.layers)


def fires_never(layer: "LayerHealth") -> bool:
    """Whether it is a layer that spikes, and none of its neurons does."""
    return layer.rates is not None and not layer.rates.any()
