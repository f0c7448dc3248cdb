"""Losses for numbers: one target a sample, or a trace over time."""

from collections.abc import Mapping, Sequence
from typing import Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from snnlab.errors import ArgumentError
from snnlab.losses.regularizers import Prices, Regularized, priced
from snnlab.losses.terms import READOUTS, step_weights, weighted_mean
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.variables import Fixed

Numbers = float | Sequence[float]


class _Numbers(Regularized):
    """What both losses have in common: the unit of the targets."""

    def __init__(self, *, center: Numbers, scale: Numbers, **prices: Unpack[Prices]):
        super().__init__(**prices)
        self.center = _per_output("center", arguments.numbers("center", center))
        self.scale = _per_output("scale", arguments.numbers("scale", scale, 0.0, strict=True))

    def in_units(self, readout: Float[Array, "... outputs"]) -> Float[Array, "... outputs"]:
        """Return a readout in the unit of the targets: `center + scale readout`."""
        return self.center[...] + self.scale[...] * readout

    def _error(self, scores: Float[Array, "... outputs"], targets: Float[Array, "... outputs"]):
        """The squared error in units of the scale, as a mean over the outputs."""
        if scores.shape != targets.shape:
            raise ArgumentError(f"loss: the network puts out {scores.shape}, the targets are {targets.shape}")
        return (((scores - targets) / self.scale[...]) ** 2).mean(-1)


def _per_output(name: str, value: np.ndarray) -> Fixed:
    if value.ndim > 1:
        raise ArgumentError(f"{name}: must be a number, or one per output, got shape {value.shape}")
    return Fixed(jnp.asarray(value, jnp.float32))


class Regression(_Numbers):
    """Squared error of a readout over time, plus spike regularizers.

        score = center + scale READOUT(record)
        loss = sum_b w_b mean_k ((score_bk - y_bk) / scale_k)^2 / sum_b w_b + regularizers

    A network starts with a readout around 0 and 1, whatever the unit of the targets is; `center` and `scale` lead from
    the one to the other. By default a trainer takes mean and standard deviation of the training targets.

    Args:
        readout: "max", "mean", "sum" over time, or "last".
        center: of the targets, a number or one per output.
        scale: of the targets, > 0, a number or one per output.
        l1, l2, min_rate, max_rate, rate_weight, dt: see `Regularized`.

    Raises:
        ArgumentError: if a value is out of range, or targets and outputs have different shapes.

    Example:
        >>> record = Record(readout=jnp.ones((7, 2, 1)), layers={})
        >>> loss = Regression(center=20.0, scale=5.0)
        >>> loss.scores(record).tolist(), float(loss(record, jnp.array([[25.0], [35.0]]))["squared_error"])
        ([[25.0], [25.0]], 2.0)
    """

    @priced
    def __init__(self, readout: str = "mean", *, center: Numbers = 0.0, scale: Numbers = 1.0, **prices: Unpack[Prices]):
        super().__init__(center=center, scale=scale, **prices)
        self.readout = arguments.choice("readout", readout, READOUTS)

    def scores(self, record: Record) -> Float[Array, "batch outputs"]:
        """What the network says, in the unit of the targets."""
        return self.in_units(READOUTS[self.readout](record))

    def __call__(
        self, record: Record, targets: Float[Array, "batch outputs"], *, weights: Float[Array, " batch"] | None = None
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        error = weighted_mean(self._error(self.scores(record), targets), weights)
        return {"squared_error": error, **self.regularizers(record)}


class TraceRegression(_Numbers):
    """Squared error of the readout at every step, plus spike regularizers.

        score[t] = center + scale readout[t]
        loss = sum_tb w_tb mean_k ((score_tbk - y_tbk) / scale_k)^2 / sum_tb w_tb + regularizers

    where `w_tb` is 0 where a step is masked, else the weight of the sample.

    Args:
        center, scale: see `Regression`.
        l1, l2, min_rate, max_rate, rate_weight, dt: see `Regularized`.

    Raises:
        ArgumentError: if a value is out of range, or targets and outputs have different shapes.

    Example:
        >>> record = Record(readout=jnp.zeros((7, 2, 1)), layers={})
        >>> float(TraceRegression()(record, jnp.full((2, 7, 1), 0.5))["squared_error"])
        0.25
    """

    @priced
    def __init__(self, *, center: Numbers = 0.0, scale: Numbers = 1.0, **prices: Unpack[Prices]):
        super().__init__(center=center, scale=scale, **prices)

    def scores(self, record: Record) -> Float[Array, "batch time outputs"]:
        """What the network says at every step, in the unit of the targets."""
        return self.in_units(record.readout.swapaxes(0, 1))

    def __call__(
        self,
        record: Record,
        targets: Float[Array, "batch time outputs"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        weights: Float[Array, " batch"] | None = None,
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        each = self._error(self.scores(record), targets)
        return {"squared_error": weighted_mean(each, step_weights(mask, weights)), **self.regularizers(record)}
