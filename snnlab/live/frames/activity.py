"""Many test samples in the network: how its layers tell the classes apart, and when it has decided.

`snnlab.live.look.xray` runs the samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from snnlab.live.frames import wording
from snnlab.support import arguments, numbers

MAX_POINTS = 400  # of a curve over time
SUBSPACE = 12  # directions that the search for the largest two begins with
ITERATIONS = 200
UNDECIDED = -1  # the running decision while two classes or more have the highest score

Frame = dict[str, Any]
Axes = Float[np.ndarray, "two n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a network did with many test samples.

    Attributes:
        step: number of optimizer steps taken.
        labels: true classes; None where a sample has no label.
        total: number of samples in the test set.
        activity: spike counts of every neuron of the layers that spike, mean outputs of the others, by name and in
            order. Empty for a model that does not expose its layers.
        spiking: names of the layers that spike.
        decisions: the class that would be predicted if the sequence ended at each step, or `UNDECIDED`; None if the
            scores of the loss have no meaning before the end.
        dt: time step [ms], or None if the model does not tell.

    Example:
        >>> seen = Seen(
        ...     step=9,
        ...     labels=np.array([0, 1]),
        ...     total=2,
        ...     activity={"hidden": np.zeros((2, 20))},
        ...     spiking=("hidden",),
        ...     decisions=np.array([[0, 0], [0, 1]]),
        ... )
        >>> list(seen.activity)
        ['hidden']
    """

    step: int
    labels: Int[np.ndarray, " samples"] | None
    total: int
    activity: Mapping[str, Float[np.ndarray, "samples n"]]
    spiking: tuple[str, ...]
    decisions: Int[np.ndarray, "time samples"] | None
    dt: float | None = None


def principal_axes(values: Float[np.ndarray, "samples n"], before: Axes | None = None) -> Axes | None:
    """Return two orthogonal directions of unit length that span the plane in which the values vary most.

    Args:
        values: what is shown in two dimensions.
        before: the axes of an earlier call. The new ones are turned, and mirrored if need be, within their plane so
            that they come closest to these (`min ||R A - before||` over orthogonal `R`), and a picture does not jump
            from one call to the next. Without them, the first axis is that of the largest variance, and the largest
            component of each is positive.

    Returns:
        The axes; the second one is 0 if the values vary in one direction only. None if they do not vary.

    Example:
        >>> values = np.array([[0.0, 1.0, 5.0], [0.0, 3.0, 5.0], [0.5, 2.0, 5.0]])
        >>> np.abs(principal_axes(values)).round(3).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]

    Source: Pearson (1901), DOI 10.1080/14786440109462720; Schönemann (1966), DOI 10.1007/BF02289451, for the turn.
    """
    centred = np.asarray(values, np.float64) - np.mean(values, axis=0, dtype=np.float64)
    samples, n = centred.shape
    wide = n > samples  # then the matrix of the samples is smaller than that of the neurons
    variances, vectors = _largest(centred @ centred.T if wide else centred.T @ centred)
    largest = vectors.T @ centred if wide else vectors.T
    if not variances[0] > 1e-12 * max(1.0, float((np.asarray(values, np.float64) ** 2).sum())):
        return None
    axes = np.zeros((2, n))
    for k in range(len(largest)):
        if variances[k] > 1e-9 * variances[0]:
            axes[k] = largest[k] / np.linalg.norm(largest[k])
    if before is None or before.shape != axes.shape:
        signs = np.sign(axes[[0, 1], np.abs(axes).argmax(1)])
        return axes * np.where(signs == 0, 1.0, signs)[:, None]
    left, _, right = np.linalg.svd(before @ axes.T)
    return left @ right @ axes


def _largest(matrix: Float[np.ndarray, "m m"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two largest eigenvalues, and their vectors as columns, of a symmetric matrix; one of a single number.

    By subspace iteration: while a network trains on all cores, LAPACK takes seconds for all eigenvalues of a matrix of
    500, because its threads wait for each other.

    Source: Halko, Martinsson & Tropp (2011), DOI 10.1137/090771806.
    """
    basis = np.random.default_rng(0).normal(size=(len(matrix), min(len(matrix), SUBSPACE)))
    found = np.zeros(1)
    for _ in range(ITERATIONS):
        basis = np.linalg.qr(matrix @ basis)[0]
        before, found = found, np.linalg.eigvalsh(basis.T @ matrix @ basis)[-2:]
        if len(before) == len(found) and np.abs(found - before).max() <= 1e-13 * np.abs(found).max():
            break
    values, turn = np.linalg.eigh(basis.T @ matrix @ basis)
    return values[::-1][:2], (basis @ turn)[:, ::-1][:, :2]


def activity_frame(
    seen: Seen, layer: str, class_names: Sequence[str], before: Axes | None = None
) -> tuple[Frame, Axes | None]:
    """Show the activity of a layer in two dimensions: one point for each sample, coloured by its class if it has one.

    Args:
        seen: what the network did with the samples.
        layer: name of the layer.
        class_names: of the data.
        before: the axes that the last call for this layer returned, see `principal_axes`.

    Returns:
        A frame with "x", "y": bytes, float32; "labels": bytes, int32; "names" of the classes; "explained", the shares
        of the variance along the two axes; "words"; or its "reason" if there is nothing to show. And the axes, to be
        passed to the next call.

    Raises:
        ArgumentError: if there is no such layer.

    Example:
        >>> seen = Seen(
        ...     step=9,
        ...     labels=np.array([0, 1, 1]),
        ...     total=900,
        ...     activity={"hidden": np.array([[4.0, 0.0], [0.0, 4.0], [0.0, 1.0]])},
        ...     spiking=("hidden",),
        ...     decisions=None,
        ... )
        >>> frame, axes = activity_frame(seen, "hidden", ["cat", "dog"])
        >>> frame["words"].partition("; ")[2]
        'the plane shows 100% of the variance (84.9% + 15.1%)'
    """
    if not seen.activity:
        return {"reason": "the model does not show its layers, as a Network does"}, None
    values = np.asarray(seen.activity[arguments.choice("layer", layer, tuple(seen.activity))], np.float64)
    good = np.isfinite(values).all(1)
    lost = int((~good).sum())
    values = values[good]
    axes = principal_axes(values, before) if len(values) > 1 else None
    if axes is None:
        fate = "its outputs are not finite" if lost else "its activity is the same in all samples"
        return {"reason": f"{layer}: {fate}, so there is nothing to compare"}, before
    centred = values - values.mean(0)
    x, y = axes @ centred.T
    explained = [float((part**2).sum() / (centred**2).sum()) for part in (x, y)]
    spiking = layer in seen.spiking
    size = f"{numbers.count(values.shape[1], wording.unit(spiking))} of {layer}"
    said = f"{'spike counts' if spiking else 'mean outputs'} of {size}"
    said += f" in {numbers.part(len(values), seen.total, 'test sample')}"
    both = " + ".join(map(numbers.percent, explained))
    said += f"; the plane shows {numbers.percent(min(sum(explained), 1.0))} of the variance ({both})"
    said += f"; {numbers.count(lost, 'sample')} left out, not finite" if lost else ""
    frame = {
        "reason": None,
        "step": seen.step,
        "x": x.astype(np.float32).tobytes(),
        "y": y.astype(np.float32).tobytes(),
        "labels": (np.zeros(good.sum()) if seen.labels is None else seen.labels[good]).astype(np.int32).tobytes(),
        "names": [] if seen.labels is None else numbers.distinct(class_names),
        "explained": explained,
        "words": said,
    }
    return frame, axes


def decision_steps(decisions: Int[np.ndarray, "time samples"]) -> Int[np.ndarray, " samples"]:
    """Return the step at which each sample is decided: from there on, the running decision is the final one.

    It is the number of steps if the sample is undecided at the end.

    Example:
        >>> decision_steps(np.array([[0, 1, -1], [2, 1, -1], [0, 1, -1]])).tolist()
        [2, 0, 3]
    """
    other = decisions != decisions[-1]
    last = len(decisions) - other[::-1].argmax(0)  # the step after the last one that differs
    return np.where(decisions[-1] == UNDECIDED, len(decisions), np.where(other.any(0), last, 0))


def decisions_frame(seen: Seen) -> Frame:
    """Show when the network knows: the decision that it would take if the sequence ended at each step.

    Returns:
        A frame with "final", the share of the samples whose running decision equals the final one and is right, and
        "right", the share whose running decision is right: bytes, float32, one for every "cell" steps (the last step
        of each); "steps" and "dt"; "median", the median over all samples of the time from which the decision stays
        [ms, or steps, counted from the beginning of the sequence to the end of that step], None if most are undecided;
        "words". If the decision has no meaning before the end, its "reason".

    Example:
        >>> seen = Seen(
        ...     step=9,
        ...     labels=np.array([0, 1]),
        ...     total=2,
        ...     activity={},
        ...     spiking=(),
        ...     decisions=np.array([[0, 0], [0, 1], [0, 1]]),
        ...     dt=2.0,
        ... )
        >>> frame = decisions_frame(seen)
        >>> np.frombuffer(frame["final"], np.float32).tolist(), frame["words"]
        ([0.5, 1.0, 1.0], '2 test samples: half are decided after 3 ms of 6 ms; 100% are right at the end')
    """
    if seen.decisions is None or seen.labels is None:
        return {"reason": "the loss has scores of its own, which have no meaning before the end of the sequence"}
    decisions = seen.decisions
    steps, samples = decisions.shape
    right = decisions == seen.labels
    cell = -(-steps // MAX_POINTS)
    at = np.unique(np.append(np.arange(cell - 1, steps, cell), steps - 1))
    unit, step = ("ms", seen.dt) if seen.dt else ("steps", 1.0)
    middle = float(np.median(decision_steps(decisions) + 1.0))
    median = middle * step if middle <= steps else None
    undecided = float((decisions[-1] == UNDECIDED).mean())
    end = numbers.quantity(steps * step, unit)
    half = f"most are not decided in {end}"
    if median is not None:
        half = f"half are decided after {numbers.quantity(median, unit)} of {end}"
    said = f"{numbers.part(samples, seen.total, 'test sample')}: {half}"
    said += f"; {numbers.percent(float(right[-1].mean()))} are right at the end"
    said += f", {numbers.percent(undecided)} undecided" if undecided else ""
    return {
        "reason": None,
        "step": seen.step,
        "final": (right & (decisions == decisions[-1]))[at].mean(1).astype(np.float32).tobytes(),
        "right": right[at].mean(1).astype(np.float32).tobytes(),
        "cell": cell,
        "steps": steps,
        "dt": seen.dt or 0.0,
        "median": median,
        "words": said,
    }
