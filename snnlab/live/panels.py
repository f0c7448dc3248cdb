"""From history to pictures, as pure functions: what every trace of the curves and the canvas should show.

Nothing here knows a widget, so all of it is tested headless.
"""

from typing import Any

import numpy as np

from snnlab.history import History
from snnlab.live.probe import Probe

MAX_POINTS = 500

# Okabe & Ito (2008): told apart with any kind of colour vision. Train and test also differ by line and marker.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
TERM_COLOURS = (GREEN, PURPLE, VERMILION, SKY, ORANGE, BLUE)

NOT_TERMS = {"epoch", "loss", "accuracy", "grad_norm", "spikes_per_sample"}

Curve = tuple[np.ndarray, np.ndarray]


def thin(values: np.ndarray, points: int = MAX_POINTS) -> Curve:
    """Mean of equal bins, at most `points` of them: `(step at the bin's end, mean)`, float32 for the wire.

    Example:
        >>> [part.tolist() for part in thin(np.array([1.0, 3.0, 5.0, 7.0]), points=2)]
        [[2.0, 4.0], [2.0, 6.0]]
    """
    count = len(values)
    if count == 0:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    edges = np.linspace(0, count, min(count, points) + 1).astype(int)
    sums = np.add.reduceat(values, edges[:-1])
    return edges[1:].astype(np.float32), (sums / np.diff(edges)).astype(np.float32)


def term_names(metrics: dict[str, Any]) -> list[str]:
    """The metrics that are terms of the loss.

    Example:
        >>> term_names({"loss": 1, "accuracy": 1, "cross_entropy": 1, "l1": 1})
        ['cross_entropy', 'l1']
    """
    return [name for name in metrics if name not in NOT_TERMS]


def curves(history: History, steps_per_epoch: int) -> dict[str, Curve]:
    """Every curve by name: train metrics over steps, and "test_loss", "test_acc" at the ends of the epochs."""
    found = {name: thin(values) for name, values in history.steps().items() if name != "epoch"}
    epochs = history.epochs
    ends = np.array([row["epoch"] * steps_per_epoch for row in epochs], np.float32)
    for name in ("test_loss", "test_acc"):
        found[name] = ends, np.array([row[name] for row in epochs], np.float32)
    return found


def clock(seconds: float) -> str:
    """A duration as people say it.

    Example:
        >>> clock(7.4), clock(187), clock(7500)
        ('7 s', '3 min 07 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def canvas_frame(probe: Probe, class_names: tuple[str, ...], dt: float | None) -> dict[str, Any]:
    """What the canvas draws: the image, one raster a spiking layer (bits, row = time), the readout traces.

    Args:
        probe: what the network did.
        class_names: of the data.
        dt: time step [ms] of the axis; None counts steps.
    """
    sample = np.atleast_2d(probe.sample)
    low, high = float(sample.min()), float(sample.max())
    grey = ((sample - low) * (255.0 / max(high - low, 1e-9))).astype(np.uint8)
    truth, guess = class_names[probe.label], class_names[probe.prediction]
    counts = {name: int(raster.sum()) for name, raster in probe.rasters.items()}
    spikes = ", ".join(f"{name} {count} spikes" for name, count in counts.items())
    return {
        "image": {"rows": sample.shape[0], "columns": sample.shape[1], "bytes": grey.tobytes()},
        "rasters": [
            {
                "name": f"{name}: {counts[name]} spikes",
                "units": raster.shape[1],
                "bits": np.packbits(raster).tobytes(),
            }
            for name, raster in probe.rasters.items()
        ],
        "readout": np.ascontiguousarray(probe.readout, np.float32).tobytes(),
        "steps": len(probe.readout),
        "dt": dt or 0.0,
        "classes": list(class_names),
        "label": probe.label,
        "prediction": probe.prediction,
        "summary": f"true class {truth}, predicted {guess}" + (f"; {spikes}" if spikes else ""),
    }
