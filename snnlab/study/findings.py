"""What the diagnosis says of a cell, in one word for the map."""

import numpy as np

from snnlab.data import Dataset
from snnlab.health import Checkup, diagnose
from snnlab.health.finding import LEARNED, PATIENCE
from snnlab.history import History
from snnlab.study.stopping import has_rule
from snnlab.train.knobs import find_knobs
from snnlab.train.step import State, Stepper

FINDINGS = {"silent": "silent", "fading": "silent", "saturated": "saturated"}
"""Diagnoses that a map hatches, and how it calls them."""

SAMPLES = 64  # that a checkup looks at: half of what a dashboard takes, as a study has many cells


def is_due(epoch: int, steps_per_epoch: int, epochs: int, rules: str | None) -> bool:
    """Whether to examine a cell after an epoch: the first one that the diagnosis judges, and the last; with a rule that
    asks for it, all.

    Example:
        >>> [epoch for epoch in range(1, 11) if is_due(epoch, steps_per_epoch=11, epochs=10, rules=None)]
        [5, 10]
    """
    first = -(-PATIENCE // steps_per_epoch)
    return epoch in (first, epochs) or has_rule(rules, "silent")


class Examiner:
    """Examines cells of one structure; compiled once for all of them. A cell that might still wake up is well.

    Args:
        stepper: model and loss of one of the cells.
        data: of the study.

    Example:
        >>> from snnlab import SnnConfig, Trainer, build, load_data
        >>> digits = load_data("digits").subset(train=256, test=64)
        >>> net = build(SnnConfig(hidden=8, v_th=300.0), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=13, batch_size=64)
        >>> examine = Examiner(trainer.stepper, digits)
        >>> examine(trainer.state, trainer.fit(until=4)), examine(trainer.state, trainer.fit())
        ('', 'silent')
    """

    def __init__(self, stepper: Stepper, data: Dataset):
        self._checkup = Checkup(stepper, data, samples=SAMPLES)
        self._learned = _learned(data)

    def __call__(self, state: State, history: History, accuracy: float = 0.0) -> str:
        """Return one of `FINDINGS`, or "" for nothing.

        Args:
            state: of the cell.
            history: of its run.
            accuracy: of its last row; a cell that has learned is not examined, as the diagnosis would find it well.
        """
        if accuracy >= self._learned:
            return ""
        knobs = {knob.name: knob for knob in find_knobs(state.live, state.opt_state)}
        found = diagnose(self._checkup(state), history, knobs)
        return "" if found is None else FINDINGS.get(found.name, "")


def _learned(data: Dataset) -> float:
    """Return the accuracy above which a network has learned, whatever it predicts; see `health.finding.has_learned`."""
    if data.task != "label":
        return np.inf
    luck = float(np.bincount(data.seen.targets.values).max() / len(data.seen.targets))  # no predictions have more
    return luck + LEARNED * (1.0 - luck)
