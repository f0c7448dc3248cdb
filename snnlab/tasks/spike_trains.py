"""The task whose targets are spike trains, which the readout shall fire."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab.data.targets import Targets
from snnlab.losses import SpikeTrains
from snnlab.losses.spike_trains import filtered, spikes_of
from snnlab.losses.terms import scores_of
from snnlab.record import Record
from snnlab.tasks.labels import PRICES
from snnlab.tasks.task import Sums

NEAR = 10.0
"""Time constant of the filter [steps]."""


@dataclass(frozen=True)
class SpikeTrainTask:
    """Spikes that the readout shall fire, compared behind an exponential filter `f` of `NEAR = 10` steps:

        explained = 1 - sum (f(s) - f(y))^2 / sum f(y)^2
        spikes wanted, spikes fired: a sample on average, over all outputs

    1 means the same spikes, 0 what a silent network reaches; more wrong spikes than right ones are below that.

    Example:
        >>> task = SpikeTrainTask()
        >>> y = jnp.zeros((1, 50, 1)).at[0, 20, 0].set(1.0)
        >>> task.results(task.measure(y, Targets(y)))["explained"], task.results(task.measure(0 * y, Targets(y)))
        (1.0, {'explained': 0.0, 'spikes wanted': 1.0, 'spikes fired': 0.0})
    """

    score: ClassVar[str] = "explained"

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        return SpikeTrains(**(PRICES if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch time outputs"]:
        """See `Task`."""
        return scores_of(loss, record, spikes_of(record).swapaxes(0, 1))

    def measure(self, scores: Float[Array, "batch time outputs"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        fired, wanted = (jnp.swapaxes(values, 0, 1).astype(jnp.float32) for values in (scores, targets.values))
        if targets.mask is not None:
            counted = targets.mask.swapaxes(0, 1)[..., None]
            fired, wanted = (jnp.where(counted, values, 0.0) for values in (fired, wanted))
        tau = jnp.float32(NEAR)
        off, power = ((filtered(values, tau, 1.0) ** 2).sum() for values in (fired - wanted, wanted))
        samples = jnp.float32(len(scores))
        return {"off": off, "power": power, "wanted": wanted.sum(), "fired": fired.sum(), "samples": samples}

    def score_of(self, sums: Sums) -> Float[Array, ""]:
        """See `Task`."""
        return 1.0 - sums["off"] / jnp.maximum(sums["power"], 1.0)

    def results(self, sums: Sums) -> dict[str, float]:
        """See `Task`."""
        samples = float(sums["samples"])
        return {
            "explained": 1.0 - float(sums["off"]) / max(float(sums["power"]), 1.0),
            "spikes wanted": float(sums["wanted"]) / samples,
            "spikes fired": float(sums["fired"]) / samples,
        }
