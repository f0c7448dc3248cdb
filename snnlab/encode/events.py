"""The input of a batch in short forms: `SpikeTimes`, lists of units and times, and `Steady` currents."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlab.errors import ArgumentError
from snnlab.support import arguments


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SpikeTimes:
    """Spikes of a batch in sparse form: event `e` of sample `b` is unit `units[b, e]` firing at step `times[b, e]`.

    Events with a time outside `0 .. num_steps - 1`, or a unit outside `0 .. num_units - 1`, are ignored; silent units
    and padding are written this way.

    Attributes:
        times: step of each event.
        units: unit of each event; None means that event `e` belongs to unit `e` (each fires at most once).
        strength: value of each spike.
        num_steps: length of the sequence, in steps.
        num_units: number of units.

    Example:
        >>> e = SpikeTimes(times=jnp.array([[0, 2, 9]]), num_steps=3, num_units=3)
        >>> e.dense()[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    times: Int[Array, "batch events"]
    units: Int[Array, "batch events"] | None = None
    strength: float = field(default=1.0, metadata={"static": True})
    num_steps: int = field(metadata={"static": True})
    num_units: int = field(metadata={"static": True})

    @classmethod
    def from_lists(cls, samples: Sequence, *, num_steps: int, num_units: int) -> "SpikeTimes":
        """Make spikes from one pair `(times, units)` per sample, of any length and in any order.

        Args:
            samples: the pairs; times are integers in `0 .. num_steps - 1`, units in `0 .. num_units - 1`.
            num_steps: length of the sequence, in steps.
            num_units: number of units.

        Raises:
            ArgumentError: if numbers are out of range or not integers, or lists differ in length; names the sample.

        Example:
            >>> e = SpikeTimes.from_lists([([0, 2, 2], [1, 0, 1]), ([], [])], num_steps=3, num_units=2)
            >>> e.times.shape, e.dense().sum((0, 2)).tolist()
            ((2, 3), [3.0, 0.0])
        """
        arguments.count("num_steps", num_steps)
        arguments.count("num_units", num_units)
        pairs = [_pair(k, pair, num_steps, num_units) for k, pair in enumerate(samples)]
        if not pairs:
            raise ArgumentError("samples: must not be empty")
        longest = max(1, *(len(times) for times, _ in pairs))
        padded = np.full((2, len(pairs), longest), num_steps, np.int32)  # out of range: ignored
        for k, (times, units) in enumerate(pairs):
            padded[0, k, : len(times)], padded[1, k, : len(units)] = times, units
        return cls(times=jnp.asarray(padded[0]), units=jnp.asarray(padded[1]), num_steps=num_steps, num_units=num_units)

    def int32(self, name: str) -> Int[Array, "batch events"]:
        """Return `times` or `units` as 32-bit integers; larger numbers stay out of range instead of wrapping around.

        Raises:
            ArgumentError: if they are not integers.
        """
        values = getattr(self, name)
        if not jnp.issubdtype(values.dtype, jnp.integer):
            raise ArgumentError(f"{name}: must be integers, got {values.dtype}")
        limit = jnp.iinfo(jnp.int32)
        if jnp.iinfo(values.dtype).max > limit.max:
            values = values.clip(-1, limit.max)
        return values.astype(jnp.int32)

    def dense(self) -> Float[Array, "time batch unit"]:
        """Return the number of spikes of each unit at each step, times their strength."""
        if self.units is None:
            steps = jnp.arange(self.num_steps, dtype=self.times.dtype)
            return (self.times[None] == steps[:, None, None]).astype(jnp.float32) * self.strength
        # A negative index would count from the end. Move it out of range, where mode="drop" ignores it.
        times = jnp.where(self.times < 0, self.num_steps, self.times)
        units = jnp.where(self.units < 0, self.num_units, self.units)
        batch = jnp.arange(len(times), dtype=times.dtype)[:, None]
        silence = jnp.zeros((self.num_steps, len(times), self.num_units), jnp.float32)
        return silence.at[times, batch, units].add(self.strength, mode="drop")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Steady:
    """Currents of a batch that are the same at every step, so that a layer weighs them once.

    Attributes:
        values: current of each unit.
        num_steps: length of the sequence, in steps.

    Example:
        >>> Steady(values=jnp.array([[0.5, 2.0]]), num_steps=3).dense()[:, 0].tolist()
        [[0.5, 2.0], [0.5, 2.0], [0.5, 2.0]]
    """

    values: Float[Array, "batch unit"]
    num_steps: int = field(metadata={"static": True})

    @property
    def num_units(self) -> int:
        """Number of units."""
        return self.values.shape[1]

    def dense(self) -> Float[Array, "time batch unit"]:
        """Return the current of each unit at every step."""
        return jnp.broadcast_to(self.values, (self.num_steps, *self.values.shape))


def as_numbers(x, name: str = "x") -> Array:
    """Return an array of JAX as it is, and what else holds numbers (NumPy, lists, `__array__`) as one.

    Raises:
        ArgumentError: if it holds no numbers.

    Example:
        >>> as_numbers([[1.0, 2.0]]).shape
        (1, 2)
    """
    if isinstance(x, jax.Array):
        return x
    found = arguments.array(name, x)
    if found.dtype.kind in "OSUMm" or found.size == 0:
        raise ArgumentError(f"{name}: must be an array of numbers, got {found.dtype}{found.shape}")
    return jnp.asarray(found)


def as_sequence(x) -> Float[Array, "time batch n"]:
    """Return what holds numbers as an array `(time, batch, n)`, for a layer.

    Raises:
        ArgumentError: if it has other axes, or holds no numbers.
    """
    x = as_numbers(x)
    if x.ndim != 3:
        raise ArgumentError(f"x: must be (time, batch, units), got shape {x.shape}; a single sample is x[:, None]")
    return x.astype(jnp.float32) if x.dtype == jnp.bool_ else x


def drop_spikes(
    spikes: SpikeTimes | Steady | Float[Array, "time batch unit"], rate: float, key: PRNGKeyArray
) -> SpikeTimes | Steady | Float[Array, "time batch unit"]:
    """Drop each spike independently with probability `rate`, so that a network overfits less.

    The remaining spikes are scaled by `1 / (1 - rate)`, which keeps the mean.

    Args:
        spikes: sparse or dense; of real numbers, as from `snnlab.encode.Rows`, each entry is dropped or kept, and of
            steady currents each unit.
        rate: the probability, in 0..1.
        key: random key.

    Example:
        >>> events = SpikeTimes(times=jnp.zeros((1, 1000), jnp.int32), num_steps=3, num_units=1000)
        >>> some = drop_spikes(events, 0.2, jax.random.key(0))
        >>> some.strength, 950 < some.dense().sum().item() < 1050
        (1.25, True)

    Source: Srivastava et al. (2014), Dropout, https://jmlr.org/papers/v15/srivastava14a.html; drawn spike by spike, as
    in Gu et al. (2021), EventDrop, DOI 10.24963/ijcai.2021/97.
    """
    more = 1.0 / (1.0 - rate) if rate < 1.0 else 1.0
    if isinstance(spikes, SpikeTimes):
        kept = jax.random.bernoulli(key, jnp.float32(1.0 - rate), spikes.times.shape)
        times = jnp.where(kept, spikes.times, spikes.num_steps)
        return replace(spikes, times=times, strength=more * spikes.strength)
    if isinstance(spikes, Steady):
        return replace(spikes, values=drop_spikes(spikes.values, rate, key))
    return jnp.where(jax.random.bernoulli(key, jnp.float32(1.0 - rate), spikes.shape), more * spikes, 0.0)


def _pair(k: int, pair, num_steps: int, num_units: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one sample's times and units; raise if they are not valid."""
    try:
        times, units = (np.asarray(values) for values in pair)
    except (TypeError, ValueError):
        raise ArgumentError(f"samples[{k}]: must be a pair (times, units) of lists of integers") from None
    for name, values, end in (("times", times, num_steps), ("units", units, num_units)):
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ArgumentError(f"samples[{k}]: {name} must be a list of integers, got {values.dtype}{values.shape}")
        if values.size and not (values.min() >= 0 and values.max() < end):
            raise ArgumentError(f"samples[{k}]: {name} must be in 0..{end - 1}, got {values.min()}..{values.max()}")
    if len(times) != len(units):
        raise ArgumentError(f"samples[{k}]: has {len(times)} times and {len(units)} units")
    return times, units
