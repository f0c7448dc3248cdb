"""A loss for spike trains: the distance of van Rossum."""

from collections.abc import Mapping
from typing import Unpack

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from snnlab import kernels
from snnlab.errors import ArgumentError
from snnlab.losses.regularizers import Prices, Regularized, priced
from snnlab.losses.terms import weighted_mean
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.variables import setting


def filtered(spikes: Float[Array, "time batch n"], tau: Float[Array, ""], dt: float) -> Float[Array, "time batch n"]:
    """Spike trains behind an exponential filter, `f <- f e^(-dt/tau) + s`.

    Example:
        >>> spikes = jnp.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)
        >>> [round(float(f), 3) for f in filtered(spikes, jnp.float32(10.0), 1.0)[:, 0, 0]]
        [1.0, 0.905, 0.819]
    """
    return kernels.expon(spikes, tau, dt=dt)


class SpikeTrains(Regularized):
    """Distance of van Rossum between the spikes of the readout and those wanted, plus spike regularizers.

        d = filtered(s - y),   f <- f e^(-dt/tau) + x
        van_rossum = mean_n sum_b w_b sum_t d_tbn^2 dt / tau / sum_b w_b

    One spike too much or too few costs about 1/2, and so does a spike at another time by far more than `tau`, twice.
    The readout must be a layer that spikes, such as `LifRef(3)`.

    Args:
        tau: time constant of the filter [ms], > 0: how far apart two spikes may be and still count as near. A knob.
        dt: time step [ms]; needed only if the network does not say how long its steps are.
        l1, l2, min_rate, max_rate, rate_weight: see `Regularized`.

    Raises:
        ArgumentError: if a value is out of range, or the readout does not spike.

    Source: van Rossum (2001), A novel spike distance, DOI 10.1162/089976601300014321.

    Example:
        >>> from snnlab.record import TimeStep, Trace
        >>> none, one = jnp.zeros((200, 1, 1)), jnp.zeros((200, 1, 1)).at[0].set(1.0)
        >>> record = Record(readout=none, layers={"out": Trace(state=none, spikes=none, dt=TimeStep(1.0))})
        >>> round(float(SpikeTrains(tau=20.0)(record, one.swapaxes(0, 1))["van_rossum"]), 2)
        0.53
    """

    @priced
    def __init__(self, tau: float = 10.0, **prices: Unpack[Prices]):
        dt, bounded = prices.get("dt"), any(prices.get(name) is not None for name in ("min_rate", "max_rate"))
        others: Prices = {**prices, "dt": dt if bounded else None}
        super().__init__(**others)
        self.dt = None if dt is None else arguments.time_step("dt", dt)
        tau = arguments.number("tau", tau, 0.0, strict=True, unit="ms")
        self.tau = setting("tau", tau, 1, low=0.0, begin=0.1, high=100.0, unit="ms")

    def scores(self, record: Record) -> Float[Array, "batch time outputs"]:
        """The spikes of the readout."""
        return spikes_of(record).swapaxes(0, 1)

    def __call__(
        self,
        record: Record,
        targets: Shaped[Array, "batch time outputs"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        weights: Float[Array, " batch"] | None = None,
    ) -> Mapping[str, Float[Array, ""]]:
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        spikes, step = spikes_of(record), self._step(record)
        wanted = targets.swapaxes(0, 1).astype(spikes.dtype)
        if spikes.shape != wanted.shape:
            raise ArgumentError(f"loss: the readout fires {spikes.shape}, the targets are {wanted.shape}")
        off = spikes - wanted
        off = off if mask is None else jnp.where(mask.swapaxes(0, 1)[..., None], off, 0.0)
        tau = self.tau[...]
        each = (filtered(off, tau, step) ** 2).sum(0).mean(-1) * step / tau
        return {"van_rossum": weighted_mean(each, weights), **self.regularizers(record)}


def spikes_of(record: Record) -> Float[Array, "time batch outputs"]:
    """Return the spikes of the readout.

    Raises:
        ArgumentError: if it does not spike.
    """
    last = next(reversed(record.layers.values()), None)
    if last is None or last.spikes is None:
        raise ArgumentError("loss: the readout does not spike; end the network with neurons that do, such as LifRef")
    return last.spikes
