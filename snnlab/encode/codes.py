"""Encode numbers as spikes: latency, population, rate and delta codes, bins for events, and rows for an LSTM.

An encoder is a frozen dataclass, called on a batch `(batch, *sample_shape)`. It returns the input of a network:
`SpikeTimes` (sparse) or a dense array `(time, batch, unit)`. Images may stay `uint8` (0..255 stands for 0..1). Random
codes need `key`; the others ignore it. Calls run inside `jit`.

`unfit(x)` compares the range of samples with what the encoder can express, see `snnlab.encode.ranges`. `KNOBS` names
the constants that may change while a network trains, with their ranges; a call takes other values of them, also traced
ones: `Latency()(x, tau=5.0)`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlab.accepted import MAX_STEPS
from snnlab.encode import ranges
from snnlab.encode.events import SpikeTimes, Steady, as_numbers
from snnlab.errors import ArgumentError
from snnlab.support import arguments


def unit_interval(x: Shaped[Array, "..."]) -> Float[Array, "..."]:
    """Scale `uint8` 0..255 to 0..1; floats are not scaled.

    Raises:
        ArgumentError: if `x` has any other type.

    Example:
        >>> unit_interval(jnp.uint8(255)).item()
        1.0
    """
    x = as_numbers(x)
    if x.dtype == jnp.uint8:
        return x.astype(jnp.float32) / 255.0
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.float32)
    hint = "; events need SnnConfig(code='events')" if x.dtype == jnp.int32 else ""
    raise ArgumentError(f"x: must be uint8 (0..255) or floating point (0..1), got {x.dtype}{hint}")


Knobs = dict[str, dict[str, float | str]]  # name: low, begin, high, unit; see `snnlab.variables.setting`
Scalar = Float[Array, ""] | float


def _check_time(num_steps: int, dt: float) -> None:
    arguments.count("num_steps", num_steps, 1, MAX_STEPS)
    arguments.time_step("dt", dt)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time-to-first-spike code: a bright pixel fires once and early, a dark pixel never.

    A unit fires when a leaky integrator charged by the current `x` would,

        T = tau ln(x / (x - threshold)),

    in whole steps `floor(T / dt)`. A unit with `x <= threshold`, or with `T / dt >= num_steps`, stays silent.

    Args:
        num_steps: length of the sequence, in steps.
        dt: time step [ms].
        tau: time constant of the code [ms].
        threshold: inputs above it fire, in 0..1.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> code = Latency(num_steps=100, dt=1.0)
        >>> code(jnp.array([[1.0, 0.5, 0.1]])).times.tolist()  # 20 ln(1/0.8), 20 ln(0.5/0.3), never
        [[4, 10, 100]]

    Source: SpyTorch, Zenke (2019), DOI 10.5281/zenodo.3724018; as in BrainPy's tutorial on BP training.
    """

    num_steps: int = 100  # steps
    dt: float = 1.0  # ms
    tau: float = 20.0  # ms
    threshold: float = 0.2

    def __post_init__(self):
        _check_time(self.num_steps, self.dt)
        arguments.number("tau", self.tau, 0.0, strict=True, unit="ms")
        arguments.number("threshold", self.threshold, 0.0, 1.0)

    KNOBS: ClassVar[Knobs] = {
        "tau": {"low": 0.0, "begin": 1.0, "high": 100.0, "unit": "ms"},
        "threshold": {"low": 0.0, "high": 1.0},
    }

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: one per pixel."""
        return math.prod(sample_shape)

    def __call__(
        self,
        x: Shaped[Array, "batch *sample"],
        *,
        key: PRNGKeyArray | None = None,
        tau: Scalar | None = None,
        threshold: Scalar | None = None,
    ) -> SpikeTimes:
        x = as_numbers(x)
        x = x.reshape(len(x), -1)
        own = self.tau / self.dt, self.threshold
        steps = own[0] if tau is None else jnp.where(tau == np.float32(self.tau), np.float32(own[0]), tau / self.dt)
        now = steps, own[1] if threshold is None else threshold
        if x.dtype == jnp.uint8:  # 256 possible values: a table in double precision, rounded like NumPy
            values = np.arange(256) / 255.0
            times = jnp.asarray(self._steps(values, np, *own))
            if tau is not None or threshold is not None:
                unmoved = (now[0] == jnp.float32(own[0])) & (now[1] == jnp.float32(own[1]))
                times = jnp.where(unmoved, times, self._steps(jnp.float32(values), jnp, *now))
            times = times[x]
        else:
            times = self._steps(unit_interval(x), jnp, *now)
        return SpikeTimes(times=times, num_steps=self.num_steps, num_units=x.shape[1])

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_unit_interval(x, fires_above=self.threshold)

    def _steps(self, x, xp, tau_in_steps, threshold):
        fires = x > threshold
        x = xp.where(fires, x, 1.0)
        steps = xp.floor(tau_in_steps * xp.log(x / (x - threshold)))
        return xp.where(fires & (steps < self.num_steps), steps, self.num_steps).astype(xp.int32)


@dataclass(frozen=True, kw_only=True)
class Current:
    """No code: every pixel is a constant current that drives the first layer at every step,

        x[t] = x in 0..1.

    The first spikes are those of the first layer, whose neurons turn the currents that reach them into rates. It weighs
    them once for all steps.

    Args:
        num_steps: length of the sequence, in steps.
        dt: time step [ms].

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> Current(num_steps=2)(jnp.array([[0.0, 0.5]])).dense()[:, 0].tolist()
        [[0.0, 0.5], [0.0, 0.5]]

    Source: Rueckauer et al. (2017), DOI 10.3389/fnins.2017.00682, section 2.2.2.
    """

    num_steps: int = 100  # steps
    dt: float = 1.0  # ms

    def __post_init__(self):
        _check_time(self.num_steps, self.dt)

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: one per pixel."""
        return math.prod(sample_shape)

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_unit_interval(x)

    def __call__(self, x: Shaped[Array, "batch *sample"], *, key: PRNGKeyArray | None = None) -> Steady:
        x = as_numbers(x)
        return Steady(values=unit_interval(x.reshape(len(x), -1)), num_steps=self.num_steps)


@dataclass(frozen=True, kw_only=True)
class Population:
    """Population code: `fields` Gaussian receptive fields cover each feature; a better match fires earlier.

    Field `k = 1..fields` of a feature in 0..1 has centre `(2k - 3) / (2 (fields - 2))` and width
    `1 / (1.5 (fields - 2))`. A response `r` in 0..1 fires at step `round((1 - r) (num_steps - 1))`; a response
    below `cutoff` stays silent.

    Args:
        num_steps: length of the sequence, in steps.
        dt: time step [ms].
        fields: receptive fields per feature, >= 3.
        cutoff: the weakest response that fires, in 0..1.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> Population(num_steps=11, fields=3)(jnp.array([[0.5]])).times.tolist()  # centres -0.5, 0.5, 1.5
        [[7, 0, 7]]

    Source: Bohte, Kok & La Poutre (2002), DOI 10.1016/S0925-2312(01)00658-0.
    """

    num_steps: int = 100  # steps
    dt: float = 1.0  # ms
    fields: int = 12
    cutoff: float = 0.1

    def __post_init__(self):
        _check_time(self.num_steps, self.dt)
        arguments.count("fields", self.fields, 3)
        arguments.number("cutoff", self.cutoff, 0.0, 1.0)

    KNOBS: ClassVar[Knobs] = {"cutoff": {"low": 0.0, "high": 1.0}}

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: `fields` per feature."""
        return math.prod(sample_shape) * self.fields

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_unit_interval(x)

    def __call__(
        self,
        x: Shaped[Array, "batch *sample"],
        *,
        key: PRNGKeyArray | None = None,
        cutoff: Scalar | None = None,
    ) -> SpikeTimes:
        cutoff = self.cutoff if cutoff is None else cutoff
        x = as_numbers(x)
        x = unit_interval(x.reshape(len(x), -1, 1))
        k = jnp.arange(1.0, self.fields + 1, dtype=jnp.float32).reshape(1, 1, -1)
        centre = (2 * k - 3) / (2 * (self.fields - 2))
        response = jnp.exp(-0.5 * ((x - centre) * 1.5 * (self.fields - 2)) ** 2)
        steps = jnp.round((1.0 - response) * (self.num_steps - 1)).astype(jnp.int32)
        times = jnp.where(response >= cutoff, steps, self.num_steps).reshape(len(x), -1)
        return SpikeTimes(times=times, num_steps=self.num_steps, num_units=times.shape[1])


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Rate code: at each step each unit fires independently with probability `x max_rate dt / 1000`.

    Args:
        num_steps: length of the sequence, in steps.
        dt: time step [ms].
        max_rate: firing rate of an input of 1 [Hz]; at most one spike per step.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> spikes = Rate(num_steps=1000, max_rate=100.0)(jnp.ones((1, 1)), key=jax.random.key(0))
        >>> spikes.shape, 70 < spikes.sum().item() < 130
        ((1000, 1, 1), True)
    """

    num_steps: int = 100  # steps
    dt: float = 1.0  # ms
    max_rate: float = 100.0  # Hz

    def __post_init__(self):
        _check_time(self.num_steps, self.dt)
        arguments.number("max_rate", self.max_rate, 0.0, 1000.0 / self.dt, unit="Hz (at most one spike per step)")

    KNOBS: ClassVar[Knobs] = {"max_rate": {"low": 0.0, "unit": "Hz"}}

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: one per feature."""
        return math.prod(sample_shape)

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_unit_interval(x)

    def __call__(
        self, x: Shaped[Array, "batch *sample"], *, key: PRNGKeyArray | None = None, max_rate: Scalar | None = None
    ) -> Float[Array, "time batch unit"]:
        if key is None:
            raise ArgumentError("key: the rate code is random and needs a key, got None; pass key=jax.random.key(...)")
        p = self.chance(x, max_rate)
        return jax.random.bernoulli(key, jnp.broadcast_to(p, (self.num_steps, *p.shape))).astype(jnp.float32)

    def chance(self, x: Shaped[Array, "batch *sample"], max_rate: Scalar | None = None) -> Float[Array, "batch unit"]:
        """Return the probability that a unit fires in a step, `x max_rate dt / 1000`.

        Example:
            >>> Rate(max_rate=100.0, dt=2.0).chance(jnp.array([[1.0, 0.5]])).tolist()
            [[0.20000000298023224, 0.10000000149011612]]
        """
        most = self.max_rate if max_rate is None else max_rate
        return unit_interval(x.reshape(len(x), -1)) * (most * self.dt / 1000.0)


@dataclass(frozen=True, kw_only=True)
class Delta:
    """Send-on-delta code of a signal `(batch, time, feature)`, as in event cameras and silicon cochleas.

    A reference level starts at the first value. At each step, a feature that has risen to `threshold` above the level
    fires its ON unit and raises the level by `threshold`. One that has fallen as far fires its OFF unit and lowers it.

    Args:
        threshold: change per event, > 0.

    Raises:
        ArgumentError: if a value is out of range, or a signal has no time axis.

    Example:
        >>> Delta(threshold=0.5)(jnp.array([[[0.0], [0.6], [0.6], [0.0]]]))[:, 0].tolist()  # ON, OFF
        [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]

    Source: Lichtsteiner, Posch & Delbruck (2008), DOI 10.1109/JSSC.2007.914337.
    """

    threshold: float = 0.1

    def __post_init__(self):
        arguments.number("threshold", self.threshold, 0.0, strict=True)

    KNOBS: ClassVar[Knobs] = {"threshold": {"low": 1e-6, "begin": 0.01, "high": 1.0}}

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: ON and OFF per feature."""
        return 2 * math.prod(sample_shape[1:])

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_changes(x, self.threshold)

    def __call__(
        self,
        x: Shaped[Array, "batch time feature"],
        *,
        key: PRNGKeyArray | None = None,
        threshold: Scalar | None = None,
    ) -> Float[Array, "time batch unit"]:
        signal, least = Rows()(x), self.threshold if threshold is None else threshold

        def step(level, x_t):
            change = x_t - level
            on, off = change >= least, change <= -least
            level = level + least * (on.astype(jnp.float32) - off.astype(jnp.float32))
            return level, jnp.concatenate([on, off], axis=-1).astype(jnp.float32)

        return jax.lax.scan(step, signal[0], signal)[1]


@dataclass(frozen=True, kw_only=True)
class Binned:
    """Events of a sensor as spikes: each event is one spike of its unit, in the step of its time. No frames are made.

        step = floor(t / dt)

    exactly, in whole microseconds. Two events of a unit in one step are two spikes. Events at or after
    `num_steps dt` are left out; the trainer warns if a data set has such events.

    Args:
        num_steps: length of the sequence, in steps.
        dt: time step [ms], a whole number of microseconds.
        units: number of units of the sensor, numbered as in `snnlab.data.EventLists`.

    Raises:
        ArgumentError: if a value is out of range, or samples are not events.

    Example:
        >>> code = Binned(num_steps=10, dt=2.0, units=4)
        >>> code(jnp.array([[[1999, 2000, -1], [3, 3, -1]]])).times.tolist()  # us; -1 pads
        [[0, 1, -1]]
    """

    num_steps: int = 100  # steps
    dt: float = 1.0  # ms
    units: int

    def __post_init__(self):
        _check_time(self.num_steps, self.dt)
        arguments.count("units", self.units)
        arguments.microseconds("dt", self.dt)

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: one per pixel and polarity."""
        return math.prod(sample_shape)

    def __call__(self, x: Int[Array, "batch 2 events"], *, key: PRNGKeyArray | None = None) -> SpikeTimes:
        x = as_numbers(x)
        if x.ndim != 3 or x.shape[1] != 2 or x.dtype != jnp.int32:
            raise ArgumentError(
                f"x: must be events, int32 (batch, 2, events) from snnlab.data.EventLists, got {x.dtype}{x.shape}; "
                "if these are images, use SnnConfig(code='latency')"
            )
        return SpikeTimes(
            times=x[:, 0] // arguments.microseconds("dt", self.dt),
            units=x[:, 1],
            num_steps=self.num_steps,
            num_units=self.units,
        )


@dataclass(frozen=True, kw_only=True)
class Rows:
    """No code: the rows of an image, or the frames of a signal, one per step, as real numbers. A frame is flattened.

    Example:
        >>> Rows()(jnp.zeros((2, 3, 5), jnp.uint8)).shape
        (3, 2, 5)
    """

    def num_units(self, sample_shape: tuple[int, ...]) -> int:
        """Return the number of units: one per column, or per value of a frame."""
        return math.prod(sample_shape[1:])

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        return ranges.unfit_for_order_one(x)

    def __call__(
        self, x: Shaped[Array, "batch time *frame"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "time batch feature"]:
        x = as_numbers(x)
        if x.ndim < 3:
            raise ArgumentError(f"x: samples must have shape (rows, columns) or (time, *frame), got {x.shape[1:]}")
        return unit_interval(x.reshape(*x.shape[:2], -1)).swapaxes(0, 1)
