"""What a network gets wrong in tasks without one label a sample: steps, several labels at once, numbers, spike trains.

`snnlab.live.look.reviewer` runs the samples, `snnlab.live.frames.errors` tells about one label a sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from snnlab.live.frames import pixels
from snnlab.live.frames.errors import MAX_CLASSES, MAX_SAMPLES, Review
from snnlab.support import arguments, numbers

MAX_POINTS = 1500  # of a scatter plot
WORST = 30  # samples in a list of the worst
BINS = 20  # of a histogram of distances
KINDS = ("found", "missed", "claimed wrongly")
"""What may become of a class of several: it is there and predicted; only there; only predicted."""

Frame = dict[str, Any]
Sample = Callable[[int], np.ndarray]


def step_cell_frame(review: Review, names: Sequence[str], truth: int, prediction: int, sample: Sample) -> Frame:
    """List the samples with steps of one class that were taken for another, or for itself, those with most steps first.

    Args:
        review: of steps; `index` is the sample of each.
        names: of the classes.
        truth: the true class.
        prediction: the predicted class.
        sample: returns test sample `index`, such as `Dataset.image`.

    Raises:
        ArgumentError: if there is no such class.

    Example:
        >>> labels, predictions, index = np.array([0, 1, 1]), np.array([0, 0, 0]), np.array([7, 7, 9])
        >>> review = Review(
        ...     step=9, index=index, labels=labels, predictions=predictions, confidence=np.ones(3), total=3, noun="step"
        ... )
        >>> found = step_cell_frame(review, ["P", "T"], 1, 0, lambda index: np.zeros(5))
        >>> [(one["index"], one["note"]) for one in found["samples"]], found["words"]
        ([(7, '1'), (9, '1')], '2 steps of T, taken for P, in 2 samples; below each: how many')
    """
    for name, value in (("truth", truth), ("prediction", prediction)):
        arguments.count(name, value, 0, len(names) - 1)
    here = (review.labels == truth) & (review.predictions == prediction)
    found, counts = np.unique(review.index[here], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_SAMPLES]
    what = "rightly predicted" if truth == prediction else f"taken for {names[prediction]}"
    where = f"in {numbers.part(len(order), len(found), 'sample')}" if len(found) else "in no sample"
    return {
        "reason": None,
        "step": review.step,
        "truth": truth,
        "prediction": prediction,
        "samples": _listed(found[order], [f"{count:,}" for count in counts[order]], sample),
        "words": f"{numbers.count(int(here.sum()), 'step')} of {names[truth]}, {what}, {where}; below each: how many",
    }


# ---- several labels ----


@dataclass(frozen=True, kw_only=True, eq=False)
class SeveralReview:
    """Which classes of several a network predicted for some samples.

    Attributes:
        step: number of optimizer steps taken.
        index: of the samples in the part that is looked at.
        true: whether a sample is of a class.
        said: whether that is predicted.
        total: number of samples in the part.
        noun: what a sample is called.

    Example:
        >>> true, said = np.array([[True, False], [True, True]]), np.array([[True, True], [False, True]])
        >>> SeveralReview(step=9, index=np.arange(2), true=true, said=said, total=2).by_class(2).tolist()
        [0.5, 0.5]
    """

    step: int
    index: Int[np.ndarray, " samples"]
    true: Bool[np.ndarray, "samples cls"]
    said: Bool[np.ndarray, "samples cls"]
    total: int
    noun: str = "test sample"

    def by_class(self, num_classes: int) -> Float[np.ndarray, " cls"]:
        """Return the share of the samples of which the decision about each class is right."""
        return (self.true == self.said).mean(0)[:num_classes]

    def which(self, kind: int) -> Bool[np.ndarray, "samples cls"]:
        """Return the decisions of one of `KINDS`."""
        return (self.true & self.said, self.true & ~self.said, ~self.true & self.said)[kind]


def several_frame(review: SeveralReview, names: Sequence[str]) -> Frame:
    """Count for every class the samples in which it was found, missed, or claimed wrongly.

    Of many classes, those with the most errors are shown.

    Example:
        >>> true, said = np.array([[True, False], [True, True]]), np.array([[True, True], [False, True]])
        >>> review = SeveralReview(step=9, index=np.arange(2), true=true, said=said, total=2)
        >>> frame = several_frame(review, ["cat", "dog"])
        >>> frame["counts"], frame["words"]
        ([[1, 1, 0], [1, 0, 1]], '50% of 4 decisions about 2 test samples are right; cat is missed most (1 of 2)')
    """
    counts = np.stack([review.which(kind).sum(0) for kind in range(len(KINDS))], axis=1)
    order = np.argsort(-counts[:, 1:].sum(1), kind="stable")[:MAX_CLASSES]
    shown: list[int] = np.sort(order).tolist()
    listed = [names[k] for k in shown]
    right = numbers.percent(float((review.true == review.said).mean()))
    about = numbers.part(len(review.index), review.total, review.noun)
    words = f"{right} of {review.true.size:,} decisions about {about} are right"
    there, worst = review.true.sum(0), int(counts[:, 1].argmax())
    if counts[worst, 1]:
        words += f"; {names[worst]} is missed most ({counts[worst, 1]:,} of {there[worst]:,})"
    if len(shown) < len(names):
        words += f"; {numbers.part(len(shown), len(names), 'class', 'classes')} are shown, those with the most errors"
    return {
        "reason": None,
        "step": review.step,
        "kinds": list(KINDS),
        "shown": shown,
        "names": listed,
        "short": numbers.distinct(listed),
        "counts": counts[shown].tolist(),
        "there": there[shown].tolist(),
        "samples": len(review.index),
        "words": words,
    }


def several_cell_frame(review: SeveralReview, names: Sequence[str], k: int, kind: int, sample: Sample) -> Frame:
    """List the samples in which a class was found, missed, or claimed wrongly.

    Raises:
        ArgumentError: if there is no such class or kind.
    """
    arguments.count("class", k, 0, len(names) - 1)
    arguments.count("kind", kind, 0, len(KINDS) - 1)
    found = review.index[review.which(kind)[:, k]]
    size = numbers.part(min(len(found), MAX_SAMPLES), len(found), "sample") if len(found) else "no sample"
    return {
        "reason": None,
        "step": review.step,
        "truth": k,
        "prediction": kind,
        "samples": _listed(found[:MAX_SAMPLES], [""] * len(found), sample),
        "words": f"{size} in which {names[k]} is {KINDS[kind]}",
    }


# ---- numbers ----


def r2_of(targets: Float[np.ndarray, "entries outputs"], said: Float[np.ndarray, "entries outputs"]) -> float | None:
    """Return the mean over the outputs that vary of `1 - sum (p - y)^2 / sum (y - mean y)^2`; None if none does.

    Example:
        >>> r2_of(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]]))
        0.5
    """
    spread, error = ((targets - targets.mean(0)) ** 2).sum(0), ((said - targets) ** 2).sum(0)
    varies = spread > 1e-9 * len(targets)
    return float((1.0 - error[varies] / spread[varies]).mean()) if varies.any() else None


@dataclass(frozen=True, kw_only=True, eq=False)
class NumbersReview:
    """Which numbers a network gave for some samples, or for some of their steps.

    Attributes:
        step: number of optimizer steps taken.
        index: the sample of every entry.
        targets: of the entries.
        said: what the network says.
        total: number of entries in the part that is looked at.
        noun: what an entry is called.

    Example:
        >>> targets, said = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
        >>> review = NumbersReview(step=9, index=np.array([4, 4, 5]), targets=targets, said=said, total=3)
        >>> round(review.r2, 3), round(review.rmse, 3), [a.tolist() for a in review.by_sample()]
        (0.5, 0.577, [[4, 5], [0.0, 1.0]])
    """

    step: int
    index: Int[np.ndarray, " entries"]
    targets: Float[np.ndarray, "entries outputs"]
    said: Float[np.ndarray, "entries outputs"]
    total: int
    noun: str = "test sample"

    @property
    def r2(self) -> float | None:
        """How much of the variance of the outputs is explained, see `r2_of`."""
        return r2_of(self.targets.astype(np.float64), self.said)

    @property
    def rmse(self) -> float:
        """`sqrt(mean (p - y)^2)` over all outputs."""
        return float(np.sqrt(np.mean((self.said.astype(np.float64) - self.targets) ** 2)))

    def by_sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the samples, and the root of the mean squared error of each."""
        samples, place = np.unique(self.index, return_inverse=True)
        squares = ((self.said.astype(np.float64) - self.targets) ** 2).mean(1)
        return samples, np.sqrt(np.bincount(place, squares) / np.bincount(place))


def numbers_frame(review: NumbersReview, names: Sequence[str], output: int) -> Frame:
    """Place what the network says over the target, for one output: what is right lies on the diagonal.

    Args:
        review: what the network says.
        names: of the outputs.
        output: the one that is drawn.

    Returns:
        A frame with "x" and "y": bytes, float32: target and answer of every point, of many a part, evenly spread;
        "samples": bytes, int32: the sample of each; "range", of both axes; "names" of the outputs and the "output";
        "words": R2 and RMSE over all entries and outputs.

    Example:
        >>> targets, said = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
        >>> review = NumbersReview(step=9, index=np.arange(3), targets=targets, said=said, total=3)
        >>> frame = numbers_frame(review, ["output"], 0)
        >>> frame["range"], frame["words"]
        ([0.0, 3.0], 'R2 0.5, RMSE 0.577 over 3 test samples')
    """
    output = min(output, len(names) - 1)
    good = np.isfinite(review.said[:, output])
    entries = np.flatnonzero(good)[pixels.thinned(int(good.sum()), MAX_POINTS)] if good.any() else np.empty(0, int)
    x, y = review.targets[entries, output], review.said[entries, output]
    both = np.concatenate([x, y]) if len(x) else np.zeros(1)
    fit = "R2 unknown: no target varies" if review.r2 is None else f"R2 {numbers.number(review.r2)}"
    words = f"{fit}, RMSE {numbers.number(review.rmse)}"
    words += f" over {numbers.part(len(review.index), review.total, review.noun)}"
    words += f", all {len(names)} outputs" if len(names) > 1 else ""
    words += f"; {numbers.part(len(entries), len(good), 'point')} are drawn" if len(entries) < len(good) else ""
    return {
        "reason": None,
        "step": review.step,
        "x": x.astype(np.float32).tobytes(),
        "y": y.astype(np.float32).tobytes(),
        "samples": review.index[entries].astype(np.int32).tobytes(),
        "range": [float(both.min()), float(both.max())],
        "names": list(names),
        "output": output,
        "words": words,
    }


# ---- spike trains ----


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainsReview:
    """How far the spikes of the readout are from those wanted, for some samples.

    Attributes:
        step: number of optimizer steps taken.
        index: of the samples in the part that is looked at.
        distance: of van Rossum, see `snnlab.live.frames.targets.van_rossum`, as a mean over the outputs.
        fired: spikes of the readout.
        wanted: spikes that it shall fire.
        total: number of samples in the part.
        noun: what a sample is called.
    """

    step: int
    index: Int[np.ndarray, " samples"]
    distance: Float[np.ndarray, " samples"]
    fired: Int[np.ndarray, " samples"]
    wanted: Int[np.ndarray, " samples"]
    total: int
    noun: str = "test sample"


def trains_frame(review: TrainsReview) -> Frame:
    """Count how many samples have which distance.

    Example:
        >>> review = TrainsReview(
        ...     step=9, index=np.arange(3), distance=np.array([0.0, 0.5, 2.0]), fired=np.array([4, 3, 0]),
        ...     wanted=np.array([4, 4, 4]), total=3,
        ... )
        >>> trains_frame(review)["words"]
        'median distance 0.5 over 3 test samples; 7 spikes fired, 12 wanted'
    """
    high = float(review.distance.max()) or 1.0
    spikes = f"{int(review.fired.sum()):,} spikes fired, {int(review.wanted.sum()):,} wanted"
    samples = numbers.part(len(review.index), review.total, review.noun)
    return {
        "reason": None,
        "step": review.step,
        "counts": np.histogram(review.distance, BINS, (0.0, high))[0].tolist(),
        "high": high,
        "words": f"median distance {numbers.number(float(np.median(review.distance)))} over {samples}; {spikes}",
    }


# ---- lists ----


def worst_frame(review: NumbersReview | TrainsReview, sample: Sample) -> Frame:
    """List the samples with the largest errors, the worst first.

    Example:
        >>> targets, said = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [3.0]])
        >>> review = NumbersReview(step=9, index=np.arange(3), targets=targets, said=said, total=3)
        >>> frame = worst_frame(review, lambda index: np.zeros(5))
        >>> frame["samples"][0], frame["words"]
        ({'index': 2, 'note': '1', 'image': None, 'line': None}, 'the 3 worst samples; below each: its RMSE')
    """
    if isinstance(review, NumbersReview):
        (index, errors), what = review.by_sample(), "RMSE"
    else:
        index, errors, what = review.index, review.distance, "distance"
    order = np.argsort(-np.nan_to_num(errors, nan=np.inf), kind="stable")[:WORST]
    notes = [numbers.number(float(error), 2) for error in errors[order]]
    return {
        "reason": None,
        "step": review.step,
        "samples": _listed(index[order], notes, sample),
        "words": f"the {len(order)} worst samples; below each: its {what}",
    }


def _listed(index: np.ndarray, notes: Sequence[str], sample: Sample) -> list[Frame]:
    """Samples with a small picture of each, or a line, and a note."""
    found = []
    for k, note in zip(index.tolist(), notes, strict=False):
        one = sample(k)
        found.append({"index": k, "note": note, "image": pixels.thumbnail(one), "line": pixels.spark(one)})
    return found
