"""Where the voltages of a layer lie, against the threshold and the window where the surrogate lets a gradient through.

`snnlab.live.look.voltages` reads the neurons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from snnlab.live.frames import pixels, wording
from snnlab.support import numbers

MAX_VALUES = 2**20  # of a histogram; of larger layers some neurons are left out
BINS = 40, 100  # of a histogram, at least and at most
POINTS = 4  # of the surrogate's derivative, in a bin
TAIL = 0.001  # share of the voltages at either end that may lie outside of the axis
NICE = (1.0, 2.0, 2.5, 5.0)  # times a power of ten: the width of a bin

Frame = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spiking:
    """What makes the neurons of a layer spike; each value is one number or one per neuron.

    Attributes:
        v_th: threshold.
        v_rest: resting voltage, or None if the neurons have none.
        v_reset: voltage after a spike, or None likewise.
        reset: "subtract" or "value", or None if spikes leave the voltage as it is.
        slope: inverse width of the surrogate, in units of `v_scale`.
        v_scale: the voltage in which the surrogate is measured.
        derivative: `voltages (points,) -> (points,)`: the surrogate's derivative `h(slope (v - v_th) / v_scale)`, the
            mean over the neurons; None if it is unknown.
    """

    v_th: Float[np.ndarray, "..."]
    v_rest: Float[np.ndarray, "..."] | None = None
    v_reset: Float[np.ndarray, "..."] | None = None
    reset: str | None = None
    slope: Float[np.ndarray, "..."] | None = None
    v_scale: Float[np.ndarray, "..."] | None = None
    derivative: Callable[[np.ndarray], np.ndarray] | None = None

    def of(self, units: np.ndarray, features: int) -> "Spiking":
        """Return some of the neurons; every value becomes one per neuron."""
        names = ("v_th", "v_rest", "v_reset", "slope", "v_scale")
        every = {name: getattr(self, name) for name in names}
        chosen = {
            name: np.broadcast_to(np.asarray(value, np.float64), (features,))[units]
            for name, value in every.items()
            if value is not None
        }
        return Spiking(**chosen, reset=self.reset, derivative=self.derivative)


def before_reset(
    states: Float[np.ndarray, "time n"], spikes: Bool[np.ndarray, "time n"], neurons: Spiking
) -> Float[np.ndarray, "time n"]:
    """Return the voltages as they were compared with the threshold; NaN where a spike has overwritten them.

    With `reset="subtract"`, the voltage is `state + (v_th - v_reset) spike`; it is at least the threshold where the
    neuron spikes, also after rounding.

    Args:
        states: voltages after the reset.
        spikes: of the same neurons.
        neurons: see `Spiking`.

    Example:
        >>> two = Spiking(v_th=np.array(1.0), v_reset=np.array(0.0), reset="subtract")
        >>> before_reset(np.array([[0.5, 0.25]]), np.array([[False, True]]), two).tolist()
        [[0.5, 1.25]]
    """
    states = np.asarray(states, np.float64)
    if neurons.reset is None:
        return states
    if neurons.reset == "value" or neurons.v_reset is None:
        return np.where(spikes, np.nan, states)
    return np.where(spikes, np.maximum(states + (neurons.v_th - neurons.v_reset), neurons.v_th), states)


def voltages_frame(
    states: Float[np.ndarray, "time n"], spikes: Bool[np.ndarray, "time n"] | None, neurons: Spiking | None
) -> Frame:
    """Count how often the voltages of a layer were where, at every step of a sample and in every neuron.

    Args:
        states: voltages after the reset, or outputs, see `Probe.states`.
        spikes: see `Probe.rasters`; None for a layer that does not spike.
        neurons: what makes them spike; None if the layer does not spike, or that is unknown.

    Returns:
        A frame with

        - "low", "high", "width": the ends of the axis and the width of a bin. If all neurons have one threshold, it is
          the edge of a bin.
        - "counts", "spiking": for every bin the number of pairs (neuron, step), and how many of them spike.
        - "below", "above": pairs outside of the axis, "spiked": those that spike at an unknown voltage, "lost": those
          whose voltage is not finite.
        - "thresholds": bytes, float32: the different ones, in order; "rest", "reset": means, or None.
        - "curve": bytes, float32: the surrogate's derivative at "points" voltages from "low" to "high", or None. Its
          peak is 1.
        - "in_window": share of the known voltages within `v_scale / slope` of the threshold, where it lets a gradient
          through; None if unknown.
        - "words", "reason": what is to be said; why there is no histogram, or None.

    Example:
        >>> frame = voltages_frame(np.array([[0.0, 0.5], [0.9, 0.25]]), None, None)
        >>> sum(frame["counts"]), frame["words"]
        (4, '4 outputs of 2 units')
    """
    features = states.shape[1]
    units = pixels.thinned(features, max(1, MAX_VALUES // max(1, len(states))))
    chosen = None if neurons is None else neurons.of(units, features)
    states = states[:, units]
    spikes = None if spikes is None else spikes[:, units].astype(bool)
    voltages = np.asarray(states, np.float64)
    if chosen is not None and spikes is not None:
        voltages = before_reset(states, spikes, chosen)
    unknown = np.zeros(states.shape, bool) if chosen is None or spikes is None else spikes & np.isnan(voltages)
    known = np.isfinite(voltages)
    values = voltages[known]
    marks = np.empty(0) if chosen is None else np.concatenate([np.ravel(chosen.v_th), _ravel(chosen.v_rest)])
    marks = marks[np.isfinite(marks)]
    if not values.size and not marks.size:
        return {"reason": "none of its outputs is a finite number"}
    axis = _axis(values, marks, _single(chosen))
    counts, below, above = _histogram(values, *axis)
    frame = {
        "reason": None,
        "low": axis[0],
        "high": axis[1],
        "width": axis[2],
        "counts": counts,
        "spiking": [0] * len(counts) if spikes is None else _histogram(voltages[known & spikes], *axis)[0],
        "below": below,
        "above": above,
        "spiked": int(unknown.sum()),
        "lost": int((~known & ~unknown).sum()),
        "in_window": _in_window(voltages, known, chosen),
        **_curve(chosen, axis),
    }
    noun = wording.unit(spikes is not None)
    size = f"{numbers.count(states.size, 'output' if spikes is None else 'voltage')} of"
    size += f" {numbers.part(len(units), features, noun)}"
    return frame | {"words": ", ".join([size, *_facts(frame)])}


def _ravel(values: np.ndarray | None) -> np.ndarray:
    return np.empty(0) if values is None else np.ravel(values)


def _single(neurons: Spiking | None) -> float | None:
    """The threshold, if there is only one."""
    if neurons is None:
        return None
    different = np.unique(neurons.v_th)
    return float(different[0]) if len(different) == 1 and np.isfinite(different[0]) else None


def _axis(values: np.ndarray, marks: np.ndarray, single: float | None) -> tuple[float, float, float]:
    """Return low, high and the width of a bin: round numbers, so that the axis rarely moves while the net learns."""
    inner = np.empty(0)
    if values.size:
        out = int(TAIL * values.size)
        inner = np.partition(values, [out, values.size - 1 - out])[[out, values.size - 1 - out]]
    ends = np.concatenate([inner, marks])
    low, high = float(ends.min()), float(ends.max())
    if high - low < 1e-6 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    width = _nice((high - low) / BINS[0])
    origin = 0.0 if single is None else single
    coarse = 5 * width  # the axis begins and ends at a multiple of this
    first, last = np.floor((low - origin) / coarse), np.floor((high - origin) / coarse) + 1.0
    return float(origin + first * coarse), float(origin + last * coarse), width


def _nice(width: float) -> float:
    """The largest round number up to `width`."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(max(nice * power for nice in NICE if nice * power <= width * (1.0 + 1e-9)))


def _histogram(values: np.ndarray, low: float, high: float, width: float) -> tuple[list[int], int, int]:
    """Count values in bins `[low + k width, low + (k + 1) width)`, those below the first, and those above the last."""
    bins = round((high - low) / width)
    place = np.floor((values - low) / width + 1e-7)  # a threshold is the edge of a bin, also after rounding
    inside = (place >= 0) & (place < bins)
    counts = np.bincount(place[inside].astype(np.int64), minlength=bins)
    return counts.tolist(), int((place < 0).sum()), int((place >= bins).sum())


def _in_window(voltages: np.ndarray, known: np.ndarray, neurons: Spiking | None) -> float | None:
    if neurons is None or neurons.slope is None or neurons.v_scale is None:
        return None
    with np.errstate(invalid="ignore"):
        near = np.abs(voltages - neurons.v_th) * neurons.slope <= neurons.v_scale
    return float(near[known].mean()) if known.any() else None


def _curve(neurons: Spiking | None, axis: tuple[float, float, float]) -> Frame:
    if neurons is None:
        return {"thresholds": b"", "rest": None, "reset": None, "curve": None, "points": 0}
    low, high, width = axis
    points = POINTS * round((high - low) / width) + 1
    at = low + (width / POINTS) * np.arange(points)
    curve = None if neurons.derivative is None else np.asarray(neurons.derivative(at), np.float32).tobytes()
    return {
        "thresholds": np.unique(neurons.v_th).astype(np.float32).tobytes(),
        "rest": _mean(neurons.v_rest),
        "reset": _mean(neurons.v_reset),
        "curve": curve,
        "points": points,
    }


def _mean(values: np.ndarray | None) -> float | None:
    return None if values is None or not np.isfinite(values).all() else float(np.mean(values))


def _facts(frame: Frame) -> list[str]:
    """Say what the picture shows beside the bars, and what it leaves out."""
    th = np.frombuffer(frame["thresholds"], np.float32)
    said = []
    if len(th):
        several = f"thresholds {pixels.range_words(th[0], th[-1])}"
        said.append(f"threshold {numbers.number(th[0])}" if len(th) == 1 else several)
    if frame["in_window"] is not None:
        said.append(f"{numbers.percent(frame['in_window'])} in the surrogate window")
    outside = frame["below"] + frame["above"]
    said += [numbers.count(frame["spiked"], "spike") + " at an unknown voltage"] if frame["spiked"] else []
    said += [f"{numbers.number(frame['lost'])} not finite"] if frame["lost"] else []
    return said + ([f"{numbers.number(outside)} outside of the axis"] if outside else [])
