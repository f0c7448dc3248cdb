"""What is known of a sample at each moment of it: scores, the class that leads, spikes so far.

A moment is the end of a column of the raster, which is `cell` steps wide, or less at the end of the sample.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from snnlab.live.frames.activity import UNDECIDED
from snnlab.live.frames.probe import Probe

WORDS = {
    "max": "highest so far",
    "mean": "mean so far",
    "sum": "sum so far",
    "last": "at this moment",
    None: "at this moment; the loss scores a sample as a whole",
}
"""What a score is of the readout, by the readout of the loss, see `snnlab.losses.READOUTS`."""

RACE = ("label", "step_labels")  # tasks with one class at a time, which leads

Frame = dict[str, Any]


def scores_so_far(readout: Float[np.ndarray, "time cls"], rule: str | None) -> Float[np.ndarray, "time cls"]:
    """Return the scores of the classes if the sample ended at each step.

    Args:
        readout: the readout traces.
        rule: how the loss makes scores of them: "max", "mean", "sum" or "last"; None takes the readout itself.

    Example:
        >>> readout = np.array([[1.0, 0.0], [0.0, 4.0]])
        >>> scores_so_far(readout, "max").tolist(), scores_so_far(readout, "mean").tolist()
        ([[1.0, 0.0], [1.0, 4.0]], [[1.0, 0.0], [0.5, 2.0]])
    """
    if rule == "max":
        return np.maximum.accumulate(readout, axis=0)
    if rule in ("mean", "sum"):
        sums = np.cumsum(readout, axis=0)
        return sums / np.arange(1, len(sums) + 1)[:, None] if rule == "mean" else sums
    return readout


def leaders(scores: Float[np.ndarray, "time cls"]) -> np.ndarray:
    """Return the class with the highest score at each step; `UNDECIDED` if it is shared, or not finite.

    Example:
        >>> leaders(np.array([[0.0, 0.0], [0.0, 2.0], [np.nan, 2.0]])).tolist()
        [-1, 1, -1]
    """
    best = scores.max(1, keepdims=True)
    clear = ((scores == best).sum(1) == 1) & np.isfinite(best[:, 0])
    return np.where(clear, scores.argmax(1), UNDECIDED).astype(np.int32)


def moments_frame(probe: Probe, shown: list[int], cell: int) -> Frame:
    """Describe every moment of a sample.

    Args:
        probe: what the network did with the sample.
        shown: the classes that are shown.
        cell: steps in a column.

    Returns:
        A frame with one value for every column, at its end: "scores", bytes, float32, `(columns, classes shown)`;
        "readout", the same of the readout traces, or None where their frame has every step; "leads", bytes, int32: the
        class that leads among all, or -1, also for tasks without one class at a time; "spikes": by layer, bytes, int32:
        the spikes of all its neurons since the beginning. "words": what a score is.
    """
    steps = len(probe.readout)
    last = np.minimum(np.arange(cell, steps + cell, cell), steps) - 1  # step of every column
    scores = scores_so_far(probe.readout, probe.rule)[last]
    leading = leaders(scores) if probe.task in RACE else np.full(len(scores), UNDECIDED, np.int32)
    counts = {name: raster.sum(1).cumsum()[last] for name, raster in probe.rasters.items()}
    return {
        "scores": scores[:, shown].astype(np.float32).tobytes(),
        "readout": None if cell == 1 else probe.readout[last][:, shown].astype(np.float32).tobytes(),
        "leads": leading.tobytes(),
        "spikes": {name: count.astype(np.int32).tobytes() for name, count in counts.items()},
        "words": WORDS[probe.rule],
    }
