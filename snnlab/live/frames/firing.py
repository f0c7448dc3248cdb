"""One neuron by itself: the rate at which a constant current makes it fire, and the intervals between its spikes.

`snnlab.live.look.xray` reads the neuron and its spikes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from snnlab.live.frames import pixels
from snnlab.support import numbers

POINTS = 181  # of the curve
SETTLING = 100  # spikes before the rate of a neuron with reset="subtract" is measured
MEASURED = 400  # spikes that it is measured on
BINS = 60  # of the intervals, at most

Frame = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A neuron that integrates a current and fires, see `dynamics.lif_step` and `dynamics.if_step`.

    Attributes:
        leaky: whether it is a LIF neuron; without a leak, `tau_mem` and `tau_ref` do nothing.
        v_th, v_rest, v_reset: threshold, resting voltage, and voltage after a spike.
        r: membrane resistance; without a leak, the voltage that a current of 1 adds per millisecond.
        reset: "subtract" or "value".
        dt: time step [ms].
        tau_mem: membrane time constant [ms].
        tau_ref: refractory time [ms].

    Example:
        >>> Cell(leaky=True, v_th=1.0, v_rest=0.0, v_reset=0.0, r=1.0, reset="value", dt=1.0, tau_mem=10.0).held
        0
    """

    leaky: bool
    v_th: float
    v_rest: float
    v_reset: float
    r: float
    reset: str
    dt: float
    tau_mem: float = 0.0
    tau_ref: float = 0.0

    @property
    def held(self) -> int:
        """Steps after a spike in which the voltage is held."""
        return int(np.floor(self.tau_ref / self.dt + 1e-3)) if self.leaky else 0

    @property
    def rheobase(self) -> float:
        """The constant current above which it fires."""
        return (self.v_th - self.v_rest) / self.r if self.leaky else 0.0


def firing_rate(cell: Cell, currents: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute the rate at which a constant current makes a neuron fire, step by step as it is simulated [Hz].

    A LIF neuron approaches `v_inf = v_rest + r I`. From the voltage `v0` after a spike it takes

        k = ceil(tau_mem / dt  ln((v_inf - v0) / (v_inf - v_th)))

    steps to the threshold, after `held = floor(tau_ref / dt)` steps in which it is held; a neuron without a leak takes
    `k = ceil((v_th - v0) / (r dt I))`. With `reset="value"`, `v0 = v_reset`, and the rate is `1 / ((held + k) dt)`.
    With `reset="subtract"`, `v0` keeps what the voltage was above the threshold, so intervals differ: this follows
    them from spike to spike, and returns their mean.

    Args:
        cell: the neuron.
        currents: constant currents.

    Example:
        >>> cell = Cell(leaky=True, v_th=1.0, v_rest=0.0, v_reset=0.0, r=1.0, reset="value", dt=1.0, tau_mem=10.0)
        >>> firing_rate(cell, np.array([0.9, 1.5])).round(2).tolist()  # 10 ln 3 = 10.99 ms take 11 steps
        [0.0, 90.91]

    Source: Gerstner et al., Neuronal Dynamics (2014), section 1.3, DOI 10.1017/CBO9781107447615.
    """
    currents = np.asarray(currents, np.float64)
    fires = cell.r * currents > cell.r * cell.rheobase if cell.leaky else cell.r * currents > 0.0
    if cell.leaky and np.isinf(cell.tau_mem):
        fires = np.zeros(currents.shape, bool)  # no current moves it
    driven = currents[fires]
    v0 = np.full(driven.shape, cell.v_reset)
    rates = np.zeros(currents.shape)
    if cell.reset == "value":
        rates[fires] = 1000.0 / (cell.dt * (_steps(cell, driven, v0)[0] + cell.held))
        return rates
    for _ in range(SETTLING):
        _, v0 = _next_spike(cell, driven, v0)
    total = np.zeros(driven.shape)
    for _ in range(MEASURED):
        steps, v0 = _next_spike(cell, driven, v0)
        total += steps
    rates[fires] = 1000.0 * MEASURED / (cell.dt * total)
    return rates


def _next_spike(cell: Cell, currents: np.ndarray, v0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps to the next spike and the voltage after it. A voltage held above threshold fires at once."""
    steps, v = _steps(cell, currents, v0)
    at_once = (v0 >= cell.v_th) & (cell.held > 0)
    return np.where(at_once, 1, steps + cell.held), np.where(at_once, v0, v) - (cell.v_th - cell.v_reset)


def _steps(cell: Cell, currents: np.ndarray, v0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps from `v0` to the threshold, and the voltage that is reached there."""
    if not cell.leaky:
        rise = cell.r * cell.dt * currents
        k = np.maximum(np.ceil((cell.v_th - v0) / rise - 1e-9), 1.0)
        return k, v0 + k * rise
    v_inf = cell.v_rest + cell.r * currents
    elapsed = cell.dt / max(cell.tau_mem, cell.dt / 800.0)  # as in `dynamics.decay`
    below = np.minimum(v0, cell.v_th)
    k = np.maximum(np.ceil(np.log((v_inf - below) / (v_inf - cell.v_th)) / elapsed - 1e-9), 1.0)
    return k, v_inf + (v0 - v_inf) * np.exp(-elapsed * k)


def ideal_rate(cell: Cell, currents: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute the rate for a time step that goes to 0: `1 / (tau_ref + tau_mem ln((v_inf - v_reset)/(v_inf - v_th)))`.

    Example:
        >>> cell = Cell(leaky=True, v_th=1.0, v_rest=0.0, v_reset=0.0, r=1.0, reset="value", dt=1.0, tau_mem=10.0)
        >>> ideal_rate(cell, np.array([0.9, 1.5])).round(2).tolist()  # 1 / (10 ln 3 ms)
        [0.0, 91.02]
    """
    currents = np.asarray(currents, np.float64)
    rates = np.zeros(currents.shape)
    if not cell.leaky:
        return np.maximum(1000.0 * cell.r * currents / (cell.v_th - cell.v_reset), 0.0)
    v_inf = cell.v_rest + cell.r * currents
    fires = v_inf > cell.v_th
    with np.errstate(divide="ignore"):  # without a time constant it fires all the time
        way = np.log((v_inf[fires] - cell.v_reset) / (v_inf[fires] - cell.v_th))
        rates[fires] = 1000.0 / (cell.tau_ref + cell.tau_mem * way)
    return rates


def current_frame(cell: Cell | None, received: Float[np.ndarray, "..."] | None = None) -> Frame:
    """Draw the rate of a neuron over a constant current.

    Args:
        cell: the neuron; None if its equations are unknown.
        received: the currents that reached it in test samples, which the axis then covers (all but 5% at either end).

    Returns:
        A frame with "currents", "rates" and "ideal": bytes, float32, the rate [Hz] as it is simulated and for a time
        step that goes to 0; "rheobase"; "fastest", the highest possible rate [Hz]; "received", the middle 90% of the
        currents `[low, high]`, or None; "words". If there is no curve, its "reason".

    Example:
        >>> cell = Cell(leaky=True, v_th=1.0, v_rest=0.0, v_reset=0.0, r=1.0, reset="value", dt=1.0, tau_mem=10.0)
        >>> current_frame(cell)["words"]
        'fires above a constant current of 1, at most at 1,000 Hz'
    """
    if cell is None:
        return {"reason": "the curve is known for LIF and IF neurons"}
    if cell.r == 0.0 or (cell.leaky and np.isinf(cell.tau_mem)):
        return {"reason": "no current moves the voltage of this neuron"}
    middle = None
    if received is not None and np.isfinite(received).any():
        middle = np.quantile(received[np.isfinite(received)], [0.05, 0.95]).tolist()
    low, high = _range(cell, middle)
    currents = np.linspace(low, high, POINTS)
    fastest = 1000.0 / (cell.dt * (1 + cell.held))
    ideal = np.minimum(ideal_rate(cell, currents), np.finfo(np.float32).max)
    side = "above" if cell.r > 0.0 else "below"
    said = f"fires {side} a constant current of {numbers.number(cell.rheobase)}"
    said += f", at most at {numbers.quantity(fastest, 'Hz')}"
    if middle is not None:
        said += f"; its current in test samples: 90% {pixels.range_words(*middle)}"
    return {
        "reason": None,
        "currents": currents.astype(np.float32).tobytes(),
        "rates": firing_rate(cell, currents).astype(np.float32).tobytes(),
        "ideal": ideal.astype(np.float32).tobytes(),
        "rheobase": cell.rheobase,
        "fastest": fastest,
        "received": middle,
        "words": said,
    }


def _range(cell: Cell, received: list[float] | None) -> tuple[float, float]:
    """Return the ends of the axis: from below the rheobase to where it fires quickly, and what reached the neuron."""
    unit = (cell.v_th - cell.v_reset) / cell.r
    far = 4.0 * unit if cell.leaky else 0.5 * unit / cell.dt
    ends = [cell.rheobase - 0.25 * far, cell.rheobase + far, *(received or [])]
    return min(ends), max(ends)


def intervals_frame(spikes: Bool[np.ndarray, "time samples"], dt: float | None) -> Frame:
    """Count the intervals between the spikes of one neuron, within each sample.

    Args:
        spikes: of the neuron.
        dt: time step [ms]; None counts steps.

    Returns:
        A frame with "counts" for bins of "width" steps each, of which the first begins at "first" steps; "dt"; "mean"
        [ms, or steps], "cv", the standard deviation as a share of the mean; "words". If it never fires twice in a
        sample, a "reason".

    Example:
        >>> spikes = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [0, 1]], bool)
        >>> frame = intervals_frame(spikes, dt=0.5)
        >>> frame["counts"], frame["first"], frame["words"]
        ([1, 1], 2, '2 intervals in 2 samples, 1.25 ms on average, coefficient of variation 0.2')

    Source: Gerstner et al., Neuronal Dynamics (2014), section 7.3, DOI 10.1017/CBO9781107447615.
    """
    sample, time = np.nonzero(np.asarray(spikes).T)
    intervals = np.diff(time)[np.diff(sample) == 0]
    samples = numbers.count(spikes.shape[1], "sample")
    if not intervals.size:
        return {"reason": f"fires less than twice in each of {samples}, so there are no intervals"}
    first, last = int(intervals.min()), int(intervals.max())
    width = -(-(last - first + 1) // BINS)
    counts = np.bincount((intervals - first) // width)
    unit, step = ("ms", dt) if dt else ("steps", 1.0)
    mean, cv = float(intervals.mean() * step), float(intervals.std() / intervals.mean())
    said = f"{numbers.count(intervals.size, 'interval')} in {samples}, {numbers.quantity(mean, unit)} on average"
    return {
        "reason": None,
        "counts": counts.tolist(),
        "first": first,
        "width": width,
        "dt": dt or 0.0,
        "mean": mean,
        "cv": cv,
        "words": f"{said}, coefficient of variation {numbers.number(cv)}",
    }
