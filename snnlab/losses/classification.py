"""Losses for classes: one label a sample, one every step, or several at once."""

from collections.abc import Mapping, Sequence
from typing import Unpack

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlab.errors import ArgumentError
from snnlab.losses.regularizers import Prices, Regularized, priced
from snnlab.losses.terms import READOUTS, step_weights, weighted_mean
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.variables import Fixed


def cross_entropy(scores: Float[Array, "batch cls"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Mean over the batch of `-log softmax(scores)[label]` [nats].

    Example:
        >>> round(float(cross_entropy(jnp.zeros((1, 10)), jnp.array([3]))), 4)  # ln 10
        2.3026
    """
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


def accuracy(scores: Float[Array, "batch cls"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Share of samples whose highest score is at the label.

    Example:
        >>> float(accuracy(jnp.eye(3), jnp.array([0, 1, 1])))  # doctest: +ELLIPSIS
        0.66666...
    """
    return (scores.argmax(-1) == labels).mean()


class Classification(Regularized):
    """Cross-entropy of a readout over time, plus spike regularizers summed over the spiking layers.

        loss = cross_entropy + l1 spike_l1 + l2 spike_l2
               + rate_weight (rate_below(min_rate) + rate_above(max_rate))

    With weights `w` of samples or classes, `cross_entropy = sum_b w_b c_b / sum_b w_b`, where `c_b` is that of a sample
    and `w_b` the weight of the sample times that of its class.

    Args:
        readout: "max", "mean", "sum" over time, or "last".
        class_weights: one per class, >= 0; None: all classes weigh the same.
        l1, l2, min_rate, max_rate, rate_weight, dt: see `Regularized`.

    Raises:
        ArgumentError: if a value is out of range, see `Regularized`; or if `record` is no Record.

    Example:
        >>> record = Record(readout=jnp.zeros((7, 2, 10)), layers={})
        >>> {k: round(float(v), 3) for k, v in Classification()(record, jnp.array([0, 1])).items()}
        {'cross_entropy': 2.303}
    """

    @priced
    def __init__(self, readout: str = "max", *, class_weights: Sequence[float] | None = None, **prices: Unpack[Prices]):
        super().__init__(**prices)
        self.readout = arguments.choice("readout", readout, READOUTS)
        self.class_weights = _class_weights(class_weights)

    def scores(self, record: Record) -> Float[Array, "batch cls"]:
        """Scores of the classes; the prediction is the class with the highest."""
        return READOUTS[self.readout](record)

    def __call__(
        self, record: Record, labels: Int[Array, " batch"], *, weights: Float[Array, " batch"] | None = None
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        scores = self.scores(record)
        if self.class_weights is not None:
            of_class = _checked_weights(self.class_weights, scores)[labels]
            weights = of_class if weights is None else weights * of_class
        each = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return {"cross_entropy": weighted_mean(each, weights), **self.regularizers(record)}


class StepClassification(Regularized):
    """Cross-entropy of the readout at every step that has a label, plus spike regularizers.

        loss = sum_tb w_tb c_tb / sum_tb w_tb + regularizers

    where `c_tb` is the cross-entropy of sample `b` at step `t`, and `w_tb` is 0 where a step is masked, else the weight
    of the sample times that of the class.

    Args:
        class_weights: one per class, >= 0; None: all classes weigh the same.
        l1, l2, min_rate, max_rate, rate_weight, dt: see `Regularized`.

    Raises:
        ArgumentError: see `Regularized`.

    Example:
        >>> record = Record(readout=jnp.zeros((7, 2, 4)), layers={})
        >>> terms = StepClassification()(record, jnp.zeros((2, 7), int))
        >>> round(float(terms["cross_entropy"]), 4)  # ln 4
        1.3863
    """

    @priced
    def __init__(self, *, class_weights: Sequence[float] | None = None, **prices: Unpack[Prices]):
        super().__init__(**prices)
        self.class_weights = _class_weights(class_weights)

    def scores(self, record: Record) -> Float[Array, "batch time cls"]:
        """Scores of the classes at every step."""
        return record.readout.swapaxes(0, 1)

    def __call__(
        self,
        record: Record,
        labels: Int[Array, "batch time"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        weights: Float[Array, " batch"] | None = None,
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        scores, known = self.scores(record), jnp.maximum(labels, 0)
        each = optax.softmax_cross_entropy_with_integer_labels(scores, known)
        w = step_weights(mask, weights)
        if self.class_weights is not None:
            of_class = _checked_weights(self.class_weights, scores)[known]
            w = of_class if w is None else w * of_class
        return {"cross_entropy": weighted_mean(each, w), **self.regularizers(record)}


class SeveralLabels(Regularized):
    """Binary cross-entropy of every class by itself, plus spike regularizers.

        c_bk = -y_bk log q_bk - (1 - y_bk) log(1 - q_bk),   q = sigmoid(score)
        loss = mean_k sum_b w_b c_bk / sum_b w_b + regularizers

    A class is predicted where its score is above 0.

    Args:
        readout: "max", "mean", "sum" over time, or "last".
        l1, l2, min_rate, max_rate, rate_weight, dt: see `Regularized`.

    Raises:
        ArgumentError: see `Regularized`.

    Example:
        >>> record = Record(readout=jnp.zeros((7, 2, 4)), layers={})
        >>> terms = SeveralLabels()(record, jnp.ones((2, 4)))
        >>> round(float(terms["binary_cross_entropy"]), 4)  # ln 2
        0.6931
    """

    @priced
    def __init__(self, readout: str = "mean", **prices: Unpack[Prices]):
        super().__init__(**prices)
        self.readout = arguments.choice("readout", readout, READOUTS)

    def scores(self, record: Record) -> Float[Array, "batch cls"]:
        """Scores of the classes, above 0 where a class is predicted."""
        return READOUTS[self.readout](record)

    def __call__(
        self, record: Record, labels: Shaped[Array, "batch cls"], *, weights: Float[Array, " batch"] | None = None
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        scores = self.scores(record)
        each = optax.sigmoid_binary_cross_entropy(scores, labels.astype(scores.dtype)).mean(-1)
        return {"binary_cross_entropy": weighted_mean(each, weights), **self.regularizers(record)}


def _class_weights(given: Sequence[float] | None) -> Fixed | None:
    if given is None:
        return None
    weights = arguments.numbers("class_weights", given, 0.0)
    if weights.ndim != 1 or not weights.any():
        raise ArgumentError(f"class_weights: must be one number per class, one of them above 0, got {given!r:.100}")
    return Fixed(jnp.asarray(weights, jnp.float32))


def _checked_weights(weights: Fixed, scores: Float[Array, "... cls"]) -> Float[Array, " cls"]:
    if weights.shape != scores.shape[-1:]:
        raise ArgumentError(f"class_weights: must be {scores.shape[-1]}, one per output, got {weights.shape[0]}")
    return weights[...]
