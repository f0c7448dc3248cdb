"""Spike-count regularizers, and what losses with them have in common."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab.errors import ArgumentError
from snnlab.kernels.drive import EXACT
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.variables import setting

Counts = Float[Array, "batch n"]


def _mean_of_samples(x: Counts) -> Float[Array, " n"]:
    """Return the mean over samples, as a product: XLA's own sum takes sixty times as long for wide layers on a CPU."""
    return jnp.matmul(jnp.ones(len(x), x.dtype), x, precision=EXACT) / len(x)


def spike_l1(counts: Counts) -> Float[Array, ""]:
    """Spikes per sample: `mean_b sum_n c`, of the counts `c = sum_t s` (`Record.counts`).

    SpyTorch and BrainPy's tutorial sum over the `B` samples of a batch instead: multiply their weight by `B`.

    Example:
        >>> float(spike_l1(jnp.full((3, 2), 5.0)))
        10.0
    """
    return counts.sum() / len(counts)


def spike_l2(counts: Counts) -> Float[Array, ""]:
    """Mean over neurons of the squared spike count per sample: `mean_n (mean_b c)^2`.

    SpyTorch and BrainPy's tutorial sum over the `B` samples of a batch instead: multiply their weight by `B^2`.

    Example:
        >>> float(spike_l2(jnp.full((3, 2), 5.0)))
        25.0
    """
    return (_mean_of_samples(counts) ** 2).mean()


def firing_rates(counts: Counts, duration: float | Float[Array, " batch"]) -> Float[Array, " n"]:
    """Rate of every neuron [Hz], averaged over the batch; `duration` is that of the sequence or of each sample [ms].

    Example:
        >>> firing_rates(jnp.full((3, 2), 5.0), duration=10.0).tolist()
        [500.0, 500.0]
    """
    if jnp.ndim(duration):
        return _mean_of_samples(counts * (1000.0 / jnp.asarray(duration))[:, None])
    return _mean_of_samples(counts) * (1000.0 / duration)


def rate_below(counts: Counts, bound, duration) -> Float[Array, ""]:
    """Mean over neurons of `max(0, bound - rate)^2` [Hz^2]: pulls silent neurons up to `bound` [Hz].

    A neuron far below threshold gets no gradient through the surrogate; start with a wide one.

    Example:
        >>> float(rate_below(jnp.zeros((3, 2)), 3.0, duration=10.0))
        9.0
    """
    return (jnp.maximum(0.0, bound - firing_rates(counts, duration)) ** 2).mean()


def rate_above(counts: Counts, bound, duration) -> Float[Array, ""]:
    """Mean over neurons of `max(0, rate - bound)^2` [Hz^2]: holds busy neurons under `bound` [Hz].

    Example:
        >>> float(rate_above(jnp.full((3, 2), 5.0), 998.0, duration=5.0))
        4.0
    """
    return (jnp.maximum(0.0, firing_rates(counts, duration) - bound) ** 2).mean()


class Prices(TypedDict, total=False):
    """The arguments of `Regularized`, which every loss of this package takes, too: `**prices: Unpack[Prices]`.

    Example:
        >>> sorted(Prices.__annotations__)
        ['dt', 'l1', 'l2', 'max_rate', 'min_rate', 'rate_weight']
    """

    l1: float | None
    l2: float | None
    min_rate: float | None
    max_rate: float | None
    rate_weight: float | None
    dt: float | None


def priced(init: Callable) -> Callable:
    """Spell `**prices` out in the signature of a loss, so that notebooks complete and show each of them.

    Example:
        >>> @priced
        ... def loss(readout="mean", **prices): ...
        >>> list(inspect.signature(loss).parameters)
        ['readout', 'l1', 'l2', 'min_rate', 'max_rate', 'rate_weight', 'dt']
    """
    signature, shown = inspect.signature(init), inspect.Parameter.KEYWORD_ONLY
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    prices = [inspect.Parameter(name, shown, default=None, annotation=float | None) for name in Prices.__annotations__]
    made: Any = init
    made.__signature__ = signature.replace(parameters=[*own, *prices])
    return init


class Regularized(nnx.Module):
    """A loss whose spikes have a price; a subclass adds what the network shall do.

        regularizers = l1 spike_l1 + l2 spike_l2 + rate_weight (rate_below(min_rate) + rate_above(max_rate))

    each summed over the spiking layers. One that is None is left out; any number, even 0.0, makes it a live knob.

    Args:
        l1: weight of `spike_l1`, >= 0.
        l2: weight of `spike_l2`, >= 0.
        min_rate: lower bound of the firing rate [Hz], >= 0.
        max_rate: upper bound of the firing rate [Hz], >= 0.
        rate_weight: weight of both bounds [1/Hz^2], >= 0; default 1e-4.
        dt: time step for the rates [ms]; needed only if the network does not say how long its steps are.

    Raises:
        ArgumentError: if a value is out of range, or a setting would do nothing: a weight or a step of rates without a
            bound, a regularizer of a network that does not spike; or if `record` is no Record.

    Example:
        >>> from snnlab.record import Trace
        >>> spikes = jnp.ones((5, 2, 3))
        >>> record = Record(readout=spikes, layers={"out": Trace(state=spikes, spikes=spikes)})
        >>> Regularized(l1=0.1).regularizers(record)["l1"].item()
        1.5
    """

    def __init__(
        self,
        *,
        l1: float | None = None,
        l2: float | None = None,
        min_rate: float | None = None,
        max_rate: float | None = None,
        rate_weight: float | None = None,
        dt: float | None = None,
    ):
        bounded = min_rate is not None or max_rate is not None
        for name, value in (("rate_weight", rate_weight), ("dt", dt)):
            if value is not None and not bounded:
                raise ArgumentError(f"{name}: does nothing without min_rate or max_rate; leave it out")
        self.dt = None if dt is None else arguments.time_step("dt", dt)
        self.l1 = _knob("l1", l1, high=0.01)
        self.l2 = _knob("l2", l2, high=0.01)
        self.min_rate = _knob("min_rate", min_rate, high=50.0, unit="Hz")
        self.max_rate = _knob("max_rate", max_rate, high=500.0, unit="Hz")
        rate_weight = 1e-4 if bounded and rate_weight is None else rate_weight
        self.rate_weight = _knob("rate_weight", rate_weight, high=0.01)

    def regularizers(self, record: Record) -> Mapping[str, Float[Array, ""]]:
        """Return the terms that price spikes."""
        counts, terms = record.counts.values(), {}
        wanted = [name for name in ("l1", "l2", "min_rate", "max_rate") if getattr(self, name) is not None]
        if wanted and not counts:
            raise ArgumentError(f"{wanted[0]}: the network has no layer that spikes; leave it out")
        if self.l1 is not None:
            terms["l1"] = self.l1[...] * sum(map(spike_l1, counts))
        if self.l2 is not None:
            terms["l2"] = self.l2[...] * sum(map(spike_l2, counts))
        if self.rate_weight is None:
            return terms
        steps = len(record.readout) if record.lengths is None else record.lengths
        duration = steps * self._step(record)
        if self.min_rate is not None:
            below = sum(rate_below(c, self.min_rate[...], duration) for c in counts)
            terms["rate_below"] = self.rate_weight[...] * below
        if self.max_rate is not None:
            above = sum(rate_above(c, self.max_rate[...], duration) for c in counts)
            terms["rate_above"] = self.rate_weight[...] * above
        return terms

    def _step(self, record: Record) -> float:
        """Return the length of a time step [ms], from the network or, if that does not know, from the argument."""
        known = {step for step in (self.dt, record.dt) if step is not None}
        if not known:
            raise ArgumentError("dt: the network does not say how long a step is; pass Classification(..., dt=...)")
        if len(known) > 1:
            raise ArgumentError(f"dt: rates were to have steps of {self.dt:g} ms, the network has {record.dt:g} ms")
        return known.pop()


def _knob(name: str, value: float | None, *, high: float, unit: str = "") -> nnx.Variable | None:
    if value is None:
        return None
    return setting(name, arguments.number(name, value, 0.0, unit=unit), 1, low=0.0, high=high, unit=unit)
