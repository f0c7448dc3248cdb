"""How strong the backward signal is at every layer and at every time: where gradients vanish or explode."""

from typing import TYPE_CHECKING, Any

import numpy as np

from snnlab.live.frames import pixels
from snnlab.support import arguments

if TYPE_CHECKING:  # frames load no JAX
    from snnlab.health import Health

MAX_COLUMNS = 400  # of time

Frame = dict[str, Any]


def backward_frame(health: "Health", most: int = MAX_COLUMNS) -> Frame:
    """Draw `LayerHealth.gradient_over_time` of all layers as a map: a row for each layer, a column for each cell.

    A cell of `k` steps has the root of the mean of their squares, so that a map with longer cells is as bright.

    Args:
        health: a checkup.
        most: number of columns at the most.

    Returns:
        A frame with "layers", the names from the input to the readout; "image", on a logarithmic scale (byte 0: no
        gradient, 1: `low`, or less, 255: `high`, or not finite); "low", "high"; "cell", the steps of a column, and
        "steps", those of the sequence; "not_finite" and "missing", names of layers; "words". If no layer is known, its
        "reason".

    Raises:
        ArgumentError: if `most` is no positive integer.

    Example:
        >>> from snnlab.health import Health, LayerHealth
        >>> layers = [LayerHealth(name="hidden", gradient=0.1, gradient_over_time=np.array([0.0, 0.01, 1.0]))]
        >>> health = Health(
        ...     step=9, samples=128, loss=2.1, accuracy=0.3, layers=layers, readout_spread=0.5, finite=True
        ... )
        >>> frame = backward_frame(health)
        >>> list(frame["image"]["bytes"]), frame["words"]
        ([0, 1, 255], 'size of dLoss/dI at every step, from 0.01 to 1 on a logarithmic scale')
    """
    arguments.count("most", most)
    known = {layer.name: layer.gradient_over_time for layer in health.layers}
    rows = {name: np.asarray(trace, np.float64) for name, trace in known.items() if trace is not None and len(trace)}
    missing = [name for name in known if name not in rows]
    if not rows:
        return {
            "reason": "the model does not show its layers, as a Network does, so the backward signal at each is unknown"
        }
    steps = max(map(len, rows.values()))
    cell = -(-steps // most)
    cells = np.stack([_cells(trace, steps, cell) for trace in rows.values()])
    levels, (low, high) = pixels.logarithmic(cells)
    lost = [name for name, row in zip(rows, cells, strict=True) if not np.isfinite(row).all()]
    each = "every step" if cell == 1 else f"{cell} steps at a time"
    scale = f"{pixels.range_words(low, high)} on a logarithmic scale" if high > 0.0 else "0 everywhere"
    said = [f"size of dLoss/dI at {each}, {scale}"]
    said += [f"not finite: {', '.join(lost)}"] if lost else []
    said += [f"unknown: {', '.join(missing)}"] if missing else []
    return {
        "reason": None,
        "step": health.step,
        "layers": list(rows),
        "image": pixels.image(levels),
        "low": low,
        "high": high,
        "cell": cell,
        "steps": steps,
        "not_finite": lost,
        "missing": missing,
        "words": "; ".join(said),
    }


def _cells(trace: np.ndarray, steps: int, cell: int) -> np.ndarray:
    """Root mean square of every cell; a layer with other steps is stretched to those of the longest."""
    if len(trace) != steps:
        trace = trace[np.arange(steps) * len(trace) // steps]
    starts = np.arange(0, steps, cell)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(trace**2, starts)
        return np.sqrt(sums / np.diff(np.append(starts, steps)))
