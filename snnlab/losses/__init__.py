"""What is minimized: a readout over time compared with targets, and a price for spikes; a dict of named terms.

A loss is any callable `(record, targets) -> {name: scalar}`; the engine minimizes the sum of the terms and reports each
by its name. It may return metrics of its own beside them, `(terms, {name: scalar})`: they are recorded, not minimized.
Which loss is the default for which targets is told in `snnlab.tasks`.
"""

from snnlab.losses.classification import Classification, SeveralLabels, StepClassification, accuracy, cross_entropy
from snnlab.losses.monitored import Monitored
from snnlab.losses.regression import Regression, TraceRegression
from snnlab.losses.regularizers import (
    Regularized,
    firing_rates,
    rate_above,
    rate_below,
    spike_l1,
    spike_l2,
)
from snnlab.losses.spike_trains import SpikeTrains
from snnlab.losses.terms import READOUTS, class_scores, loss_terms

__all__ = [
    "READOUTS",
    "Classification",
    "Monitored",
    "Regression",
    "Regularized",
    "SeveralLabels",
    "SpikeTrains",
    "StepClassification",
    "TraceRegression",
    "accuracy",
    "class_scores",
    "cross_entropy",
    "firing_rates",
    "loss_terms",
    "rate_above",
    "rate_below",
    "spike_l1",
    "spike_l2",
]
