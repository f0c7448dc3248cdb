"""Tasks whose targets are numbers: some a sample, or some every step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from snnlab.data.targets import Targets
from snnlab.losses import Regression, TraceRegression
from snnlab.losses.terms import scores_of
from snnlab.record import Record
from snnlab.tasks.labels import PRICES
from snnlab.tasks.task import Sums


@dataclass(frozen=True)
class _Numbers:
    """What both tasks have in common, for targets `y` and what the network says, `p`:

        r2 = mean over outputs of 1 - sum (p - y)^2 / sum (y - mean y)^2, of those whose targets vary
        RMSE = sqrt(mean (p - y)^2), over all outputs, in the unit of the targets
        correlation = mean over outputs of that of Pearson, of those where both vary

    Args:
        mean: of the training targets, for every output.
        deviation: standard deviation of the training targets; 1 where they do not vary.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    score: ClassVar[str] = "r2"

    def score_of(self, sums: Sums) -> Float[Array, ""]:
        """The score of a batch, with the variance of the training targets, because a batch may have none."""
        return (1.0 - sums["error"] / jnp.maximum(sums["count"], 1.0)).mean()

    def results(self, sums: Sums) -> dict[str, float]:
        """See `Task`."""
        n, error, y, p, yy, pp, yp = (
            np.asarray(sums[name], np.float64) for name in ("count", "error", "y", "p", "yy", "pp", "yp")
        )
        spread_y, spread_p, both = yy - y * y / n, pp - p * p / n, yp - y * p / n
        varies = spread_y > 1e-9 * n
        together = varies & (spread_p > 1e-9 * n)
        scale = np.asarray(self.deviation)
        return {
            "r2": float((1.0 - error[varies] / spread_y[varies]).mean()) if varies.any() else 0.0,
            "RMSE": float(np.sqrt((error / n * scale**2).mean())),
            "correlation": float((both[together] / np.sqrt(spread_y[together] * spread_p[together])).mean())
            if together.any()
            else 0.0,
        }

    def _sums(
        self, scores: Float[Array, "... outputs"], targets: Float[Array, "... outputs"], counted: Bool[Array, "..."]
    ) -> dict[str, Array]:
        """Sum over samples and steps, in units of the training targets, so that float32 holds them."""
        w = counted[..., None]
        y, p = ((values - jnp.asarray(self.mean)) / jnp.asarray(self.deviation) for values in (targets, scores))
        of = {"count": jnp.ones_like(y), "error": (p - y) ** 2, "y": y, "p": p, "yy": y * y, "pp": p * p, "yp": y * p}
        axes = tuple(range(y.ndim - 1))
        return {name: jnp.where(w, values, 0.0).sum(axes, dtype=jnp.float32) for name, values in of.items()}


@dataclass(frozen=True)
class ValueTask(_Numbers):
    """Numbers for a sample: how well the readout says them. Score and metrics are those of `TraceTask`, a target each.

    Example:
        >>> task = ValueTask(mean=(20.0,), deviation=(5.0,))
        >>> said, targets = jnp.array([[15.0], [20.0], [28.0]]), Targets(jnp.array([[15.0], [20.0], [25.0]]))
        >>> {name: round(value, 3) for name, value in task.results(task.measure(said, targets)).items()}
        {'r2': 0.82, 'RMSE': 1.732, 'correlation': 0.991}
    """

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        readout = "mean" if spiking else "last"
        return Regression(readout, center=self.mean, scale=self.deviation, **(PRICES if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch outputs"]:
        """See `Task`."""
        return scores_of(loss, record, record.mean)

    def measure(self, scores: Float[Array, "batch outputs"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        return self._sums(scores, targets.values, jnp.ones(len(scores), bool))


@dataclass(frozen=True)
class TraceTask(_Numbers):
    """Numbers at every step: how well the readout follows them.

    For targets `y` and what the network says, `p`, over all samples and steps that are scored:

        r2 = mean over outputs of 1 - sum (p - y)^2 / sum (y - mean y)^2, of those whose targets vary
        RMSE = sqrt(mean (p - y)^2), over all outputs, in the unit of the targets
        correlation = mean over outputs of that of Pearson, of those where both vary

    Args:
        mean: of the training targets, for every output.
        deviation: standard deviation of the training targets; 1 where they do not vary.

    Example:
        >>> task = TraceTask(mean=(0.0,), deviation=(1.0,))
        >>> y = jnp.sin(jnp.arange(30.0)).reshape(1, 30, 1)
        >>> task.results(task.measure(y, Targets(y)))["r2"]
        1.0
    """

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        return TraceRegression(center=self.mean, scale=self.deviation, **(PRICES if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch time outputs"]:
        """See `Task`."""
        return scores_of(loss, record, record.readout.swapaxes(0, 1))

    def measure(self, scores: Float[Array, "batch time outputs"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        counted = jnp.ones(scores.shape[:2], bool) if targets.mask is None else targets.mask
        return self._sums(scores, targets.values, counted)
