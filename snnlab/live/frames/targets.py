"""What one sample shall say and what the network says of it, for each task: to be drawn over the readout, and in words.

A sample with one label is told by `snnlab.live.frames.scenes`; here are the other tasks, see `snnlab.data.Dataset`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from snnlab.live.frames.columns import cells, extremes
from snnlab.live.frames.mistakes import r2_of
from snnlab.live.frames.probe import Probe
from snnlab.support import numbers

EVERY_STEP = ("step_labels", "traces", "spike_trains")  # tasks with a target at every step
UNLABELLED = -1  # the class of a step that is not scored
NAMED = 3  # classes that a line of words names

READ_OUT = {
    "max": "maximum over time",
    "mean": "mean over time",
    "sum": "sum over time",
    "last": "last step",
    None: "as the loss reads it",
}
"""How a value is read out of the trace, by the readout of the loss, see `snnlab.losses.READOUTS`."""

Frame = dict[str, Any]


def output_names(class_names: Sequence[str], outputs: int) -> tuple[str, ...]:
    """Return the names of the classes, or those of outputs that are no classes.

    Example:
        >>> output_names(["cat", "dog"], 2), output_names([], 2), output_names([], 1)
        (('cat', 'dog'), ('output 0', 'output 1'), ('output',))
    """
    if class_names:
        return tuple(class_names)
    return ("output",) if outputs == 1 else tuple(f"output {k}" for k in range(outputs))


def scored_steps(probe: Probe) -> Bool[np.ndarray, " time"]:
    """Return which steps of the sample are scored: not masked, labelled, and before the end of the sample.

    Example:
        >>> probe = Probe(
        ...     sample=np.zeros(3), rasters={}, readout=np.zeros((3, 2)), label=None, prediction=-1, task="step_labels",
        ...     target=np.array([0, -1, 1]), said=np.zeros((3, 2)), length=2,
        ... )
        >>> scored_steps(probe).tolist()
        [True, False, False]
    """
    steps = len(probe.readout)
    scored = np.arange(steps) < (steps if probe.length is None else probe.length)
    if probe.mask is not None:
        scored &= probe.mask
    if probe.task == "step_labels" and probe.target is not None:
        scored &= probe.target >= 0
    return scored


def by_column(classes: Int[np.ndarray, " time"], cell: int) -> Int[np.ndarray, " columns"]:
    """Return the class that most steps of every column have; of several, the first.

    Args:
        classes: of the steps, or -1.
        cell: steps in a column; the last one may have fewer.

    Example:
        >>> by_column(np.array([0, 2, 2, -1, -1, 1, 1]), cell=3).tolist()
        [2, -1, 1]
    """
    if cell == 1:
        return classes.astype(np.int32)
    column = np.arange(len(classes)) // cell
    counts = np.zeros((column[-1] + 1, classes.max() + 2), int)
    np.add.at(counts, (column, classes + 1), 1)
    return (counts.argmax(1) - 1).astype(np.int32)


def van_rossum(
    fired: Float[np.ndarray, "time *rest"], wanted: Float[np.ndarray, "time *rest"], tau: float
) -> Float[np.ndarray, "*rest"]:
    """Return the distance of van Rossum between two spike trains: `sum_t f^2 / tau`, `f <- f e^(-1/tau) + s - y`.

    Args:
        fired: spikes `s`.
        wanted: spikes `y`.
        tau: time constant [steps].

    Source: van Rossum (2001), DOI 10.1162/089976601300014321.

    Example:
        >>> one = np.zeros((500, 1))
        >>> one[0] = 1.0
        >>> van_rossum(one, np.zeros((500, 1)), tau=20.0).round(2).tolist()  # about 1/2
        [0.53]
    """
    kept, f, total = np.exp(-1.0 / tau), np.zeros(fired.shape[1:]), np.zeros(fired.shape[1:])
    for off in np.asarray(fired, np.float64) - wanted:
        f = f * kept + off
        total += f * f
    return total / tau


def target_frame(probe: Probe, names: Sequence[str], shown: Sequence[int], cell: int) -> Frame | None:
    """Describe the target of a sample, and what the network says.

    Args:
        probe: what the network did with the sample.
        names: of the outputs, see `output_names`.
        shown: the outputs whose traces are drawn.
        cell: steps in a column.

    Returns:
        None for one label a sample, and for a drawing, which has no target. Else a frame with "words", "lines" (short
        ones, to stand beside the sample), and

        - "step_labels": "truth" and "said": bytes, int32: the class of every column, or -1 where none is scored.
        - "values": "targets" and "said", numbers, one for every output shown.
        - "traces": "values": bytes, float32, the targets as `scenes.extremes` of the outputs shown.
        - "several_labels": "true" and "said": the classes.
        - "spike_trains": "outputs", their number; "wanted" and "fired": bits, row = column of time.
    """
    if probe.task == "label" or probe.target is None or probe.said is None:
        return None
    made = {
        "step_labels": _step_labels,
        "values": _values,
        "traces": _traces,
        "several_labels": _several_labels,
        "spike_trains": _spike_trains,
    }[probe.task]
    return made(probe, probe.target, probe.said, names, list(shown), cell)


def _step_labels(probe: Probe, target, said, names, shown, cell) -> Frame:
    guess, scored = said.argmax(-1), scored_steps(probe)
    inside = np.arange(len(guess)) < (len(guess) if probe.length is None else probe.length)
    count = int(scored.sum())
    share = float((guess == target)[scored].mean()) if count else None
    words = "no step of this sample is scored"
    if share is not None:
        words = f"{numbers.percent(share)} of {numbers.count(count, 'step')} are right"
        words += _most_missed(target[scored], guess[scored], names)
    return {
        "kind": "step_labels",
        "truth": by_column(np.where(scored, target, UNLABELLED), cell).tobytes(),
        "said": by_column(np.where(inside, guess, UNLABELLED), cell).tobytes(),
        "lines": ["no step scored"] if share is None else [f"{numbers.percent(share)} right", f"of {count:,} steps"],
        "words": words,
    }


def _most_missed(target: np.ndarray, guess: np.ndarray, names: Sequence[str]) -> str:
    """Name the confusion that most steps have."""
    wrong = target != guess
    if not wrong.any():
        return ""
    pairs, counts = np.unique(np.stack([target[wrong], guess[wrong]]), axis=1, return_counts=True)
    truth, taken = pairs[:, counts.argmax()]
    return f"; {names[truth]} is taken for {names[taken]} at {numbers.count(int(counts.max()), 'step')}"


def _values(probe: Probe, target, said, names, shown, cell) -> Frame:
    how, error = READ_OUT[probe.rule], float(np.sqrt(np.mean((said - target) ** 2)))
    pairs = [f"{names[k]} {numbers.number(said[k])}, target {numbers.number(target[k])}" for k in shown[:NAMED]]
    more = f" (and {len(target) - len(pairs)} more)" if len(target) > len(pairs) else ""
    lines = [f"RMS error {numbers.number(error, 2)}", f"of {len(target)} values"]
    if len(target) == 1:
        lines = [f"says {numbers.number(said[0])}", f"target {numbers.number(target[0])}", how]
    return {
        "kind": "values",
        "targets": [float(target[k]) for k in shown],
        "said": [float(said[k]) if np.isfinite(said[k]) else None for k in shown],
        "lines": lines,
        "words": f"{'; '.join(pairs)}{more}; read out: {how}",
    }


def _traces(probe: Probe, target, said, names, shown, cell) -> Frame:
    scored = scored_steps(probe)
    y, p = target[scored].astype(np.float64), said[scored].astype(np.float64)
    frame = {"kind": "traces", "values": extremes(target[:, shown], cell).tobytes()}
    if not len(y):
        return frame | {"lines": ["no step scored"], "words": "no step of this sample is scored"}
    fit, rmse = r2_of(y, p), numbers.number(float(np.sqrt(((p - y) ** 2).mean())))
    lines = [*([] if fit is None else [f"R2 {numbers.number(fit)}"]), f"RMSE {rmse}"]
    many = f"{len(shown)} of {target.shape[1]} outputs are drawn; " if len(shown) < target.shape[1] else ""
    words = f"{many}{', '.join(lines)} over {numbers.count(len(y), 'step')} of this sample"
    return frame | {"lines": lines, "words": words}


def _several_labels(probe: Probe, target, said, names, shown, cell) -> Frame:
    true, guess = np.flatnonzero(target > 0).tolist(), np.flatnonzero(said > 0.0).tolist()
    right = int(((target > 0) == (said > 0.0)).sum())
    listed, taken = (_listed(classes, names) for classes in (true, guess))
    words = f"true: {listed}; predicted: {taken}; {right} of {numbers.count(len(target), 'decision')} right"
    return {"kind": "several_labels", "true": true, "said": guess, "words": words} | {
        "lines": [f"{right} of {len(target)} right", f"true: {listed}", f"says: {taken}"]
    }


def _listed(classes: Sequence[int], names: Sequence[str]) -> str:
    found = [names[k] for k in classes[:NAMED]] + (["\u2026"] if len(classes) > NAMED else [])
    return ", ".join(found) or "none"


def _spike_trains(probe: Probe, target, said, names, shown, cell) -> Frame:
    scored = scored_steps(probe)[:, None]
    fired, wanted = ((values > 0) & scored for values in (said, target))
    distance = float(van_rossum(fired.astype(float), wanted.astype(float), probe.tau).mean())
    count = numbers.count(int(fired.sum()), "spike")
    bits = [np.packbits(cells(values[:, shown], cell).any(1)).tobytes() for values in ((target > 0), (said > 0))]
    many = f"{len(shown)} of {target.shape[1]} outputs are drawn; " if len(shown) < target.shape[1] else ""
    return {
        "kind": "spike_trains",
        "outputs": len(shown),
        "wanted": bits[0],
        "fired": bits[1],
        "lines": [
            f"distance {numbers.number(distance, 2)}",
            f"{int(fired.sum()):,} fired",
            f"{int(wanted.sum()):,} wanted",
        ],
        "words": f"{many}{count} fired, {int(wanted.sum()):,} wanted; van Rossum distance {numbers.number(distance)} "
        f"(time constant {numbers.number(probe.tau)} steps)",
    }
