"""What a network takes for what: confusions of classes, the samples behind them, and every class over the run.

`snnlab.live.look.reviewer` runs the test set.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from snnlab.errors import ArgumentError
from snnlab.live.frames import pixels
from snnlab.support import arguments, numbers

MAX_CLASSES = 100  # rows and columns of a confusion matrix
MAX_SAMPLES = 60  # shown of a cell
MAX_REVIEWS = 400  # kept of a run
MAX_KEPT = 2**21  # numbers kept of a run
ABSENT = 255  # the byte of a class that no sample has; an accuracy is 0 to `FULL`
FULL = 250

Frame = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Review:
    """What a network predicted for the samples of a test set.

    Attributes:
        step: number of optimizer steps taken.
        index: of the samples in the test set.
        labels: true classes.
        predictions: classes with the highest score, as the loss computes scores.
        confidence: share of the predicted class in the softmax of the scores; NaN if a score is.
        total: number of samples in the test set.
        noun: what a sample is called. Of a step, for example, `index` is the sample that it belongs to.

    Example:
        >>> review = Review(
        ...     step=9,
        ...     index=np.arange(3),
        ...     labels=np.array([0, 1, 1]),
        ...     predictions=np.array([0, 1, 0]),
        ...     confidence=np.array([0.9, 0.8, 0.4]),
        ...     total=3,
        ... )
        >>> review.right.tolist(), review.by_class(3).tolist()
        ([True, True, False], [1.0, 0.5, nan])
    """

    step: int
    index: Int[np.ndarray, " samples"]
    labels: Int[np.ndarray, " samples"]
    predictions: Int[np.ndarray, " samples"]
    confidence: Float[np.ndarray, " samples"]
    total: int
    noun: str = "test sample"

    @property
    def right(self) -> np.ndarray:
        """Whether the prediction is right, for every sample."""
        return self.labels == self.predictions

    def by_class(self, num_classes: int) -> Float[np.ndarray, " cls"]:
        """Return the accuracy of every class; NaN if it has no sample."""
        right, there = (np.bincount(labels, minlength=num_classes) for labels in (self.labels[self.right], self.labels))
        return np.where(there > 0, right / np.maximum(there, 1), np.nan)


def confusion_frame(review: Review, class_names: Sequence[str]) -> Frame:
    """Count which class was taken for which. Of many classes, those with the most errors are shown.

    Args:
        review: what the network predicted.
        class_names: of the data.

    Returns:
        A frame with

        - "noun": what is counted, "sample" or "step".
        - "shown": index of each class that has a row and a column, in order; "names", "short": their names.
        - "counts": bytes, int32, row after row: the samples of the true class (row) by predicted class (column).
        - "shade": bytes: the same as shares of the samples of the row, 0 to 255.
        - "accuracy": for every row, None without a sample; "never": rows of the classes that were never predicted.
        - "worst": the most frequent confusions `[true, predicted, count]`, at most five, of all classes.
        - "words": what is to be said.

    Example:
        >>> labels, predictions = np.array([0, 1, 1]), np.array([0, 0, 0])
        >>> review = Review(
        ...     step=9, index=labels, labels=labels, predictions=predictions, confidence=np.ones(3), total=3
        ... )
        >>> frame = confusion_frame(review, ["cat", "dog"])
        >>> np.frombuffer(frame["counts"], np.int32).reshape(2, 2).tolist(), frame["accuracy"], frame["never"]
        ([[1, 0], [2, 0]], [1.0, 0.0], [1])
        >>> frame["words"]
        '33.3% of 3 test samples are right; dog is taken for cat (2 times); never predicted: dog'
    """
    names = _names(review, class_names)
    shown = _shown(review, len(names))
    row = np.full(len(names), -1)
    row[shown] = np.arange(len(shown))
    counts = np.zeros((len(shown), len(shown)), np.int32)
    inside = (row[review.labels] >= 0) & (row[review.predictions] >= 0)
    np.add.at(counts, (row[review.labels[inside]], row[review.predictions[inside]]), 1)
    there = np.bincount(review.labels, minlength=len(names))[shown]
    predicted = np.bincount(review.predictions, minlength=len(names))
    worst = _worst(review, len(names))
    return {
        "reason": None,
        "step": review.step,
        "noun": review.noun.rpartition(" ")[2],
        "shown": shown.tolist(),
        "names": [names[k] for k in shown],
        "short": numbers.distinct([names[k] for k in shown]),
        "counts": counts.tobytes(),
        "shade": pixels.shares(counts / np.maximum(there, 1)[:, None]).tobytes(),
        "accuracy": [None if np.isnan(share) else float(share) for share in review.by_class(len(names))[shown]],
        "never": np.flatnonzero(predicted[shown] == 0).tolist(),
        "worst": worst,
        "words": "; ".join(_said(review, names, shown, np.flatnonzero(predicted == 0), worst)),
    }


def cell_frame(
    review: Review,
    class_names: Sequence[str],
    truth: int,
    prediction: int,
    sample: Callable[[int], np.ndarray],
) -> Frame:
    """List the samples of one class that were taken for another, or for itself, the most confident first.

    Args:
        review: what the network predicted.
        class_names: of the data.
        truth: the true class.
        prediction: the predicted class.
        sample: returns test sample `index`, such as `Dataset.image`.

    Returns:
        A frame with "samples", each of them `{"index", "confidence", "image", "line"}`, and "words". The confidence is
        None if it is not finite, the image if the sample is none (`pixels.thumbnail`), the line if it is no signal
        (`pixels.spark`).

    Raises:
        ArgumentError: if there is no such class.
    """
    names = _names(review, class_names)
    for name, value in (("truth", truth), ("prediction", prediction)):
        arguments.count(name, value, 0, len(names) - 1)
    found = np.flatnonzero((review.labels == truth) & (review.predictions == prediction))
    confident = np.nan_to_num(review.confidence[found], nan=-1.0)
    found = found[np.argsort(-confident, kind="stable")]
    chosen = found[:MAX_SAMPLES]
    size = numbers.part(len(chosen), len(found), "sample")
    what = f"{size} of {names[truth]}"
    return {
        "reason": None,
        "step": review.step,
        "truth": truth,
        "prediction": prediction,
        "samples": [
            {
                "index": int(review.index[k]),
                "confidence": float(review.confidence[k]) if np.isfinite(review.confidence[k]) else None,
                "image": pixels.thumbnail(sample(int(review.index[k]))),
                "line": pixels.spark(sample(int(review.index[k]))),
            }
            for k in chosen
        ],
        "words": f"{what}, rightly predicted" if truth == prediction else f"{what}, taken for {names[prediction]}",
    }


class _ByClass(Protocol):
    """A review that tells how well each class is known."""

    @property
    def step(self) -> int:
        """Number of optimizer steps taken."""
        ...

    def by_class(self, num_classes: int) -> Float[np.ndarray, " cls"]:
        """Return the accuracy of every class; NaN if it has no sample."""
        ...


class _Entry(NamedTuple):
    """Accuracies of the classes in one review, and how many reviews came before it."""

    number: int
    step: int
    accuracies: Float[np.ndarray, " cls"]


class Reviews:
    """The accuracy of every class over a run. The memory is bounded: of very many reviews some are kept, evenly spread.

    Args:
        class_names: of the data.

    Raises:
        ArgumentError: if there is no class.

    Example:
        >>> reviews, labels = Reviews(["cat", "dog"]), np.array([0, 1, 1])
        >>> for step, predictions in ((8, np.array([0, 0, 0])), (16, np.array([1, 1, 1]))):
        ...     reviews.append(
        ...         Review(
        ...             step=step, index=labels, labels=labels, predictions=predictions, confidence=np.ones(3), total=3
        ...         )
        ...     )
        >>> reviews.frame()["words"]
        'accuracy of 2 classes in 2 reviews up to step 16; now lowest: cat 0%'
    """

    def __init__(self, class_names: Sequence[str]):
        if not class_names:
            raise ArgumentError("class_names: must name at least one class")
        self._names = tuple(class_names)
        self._entries: list[_Entry] = []
        self._most = max(2, min(MAX_REVIEWS, MAX_KEPT // len(self._names)))
        self._stride = 1  # of this many reviews one is kept, and the newest

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, review: _ByClass) -> None:
        """Add a review. If the run was taken back to an earlier step, what came after that is dropped."""
        entries = [entry for entry in self._entries if entry.step < review.step]
        number = entries[-1].number + 1 if entries else 0
        if entries and entries[-1].number % self._stride:  # it was there as the newest only
            entries.pop()
        entries.append(_Entry(number, review.step, review.by_class(len(self._names))[: len(self._names)]))
        if len(entries) > self._most:
            self._stride *= 2
            entries = [entry for entry in entries if entry.number % self._stride == 0 or entry.number == number]
        self._entries = entries

    def frame(self) -> Frame:
        """Describe the accuracy of the classes over the run.

        Returns:
            A frame with "steps"; "shown", "names" and "short" of the classes, as in `confusion_frame`, of many classes
            those with the lowest accuracy now; "image": one row for each of these and one column for each review, with
            the accuracy from 0 to `FULL`, or `ABSENT`; "full" and "absent"; "words". If there is no review, "reason"
            says so.
        """
        entries = self._entries
        if not entries:
            return {"reason": "the test set has not been reviewed yet"}
        now = entries[-1].accuracies
        order = np.argsort(np.nan_to_num(now, nan=2.0), kind="stable")
        shown = np.sort(order[:MAX_CLASSES])
        table = np.stack([entry.accuracies[shown] for entry in entries], axis=1)
        levels = np.where(np.isnan(table), ABSENT, np.round(np.nan_to_num(table) * FULL))
        size = numbers.part(len(shown), len(self._names), "class", "classes")
        words = f"accuracy of {size} in {numbers.count(len(entries), 'review')} up to step {entries[-1].step:,}"
        words += f" (one in {self._stride}; the others are left out)" if self._stride > 1 else ""
        if not np.isnan(now).all():
            lowest = int(order[0])
            words += f"; now lowest: {self._names[lowest]} {numbers.percent(float(now[lowest]))}"
        return {
            "reason": None,
            "steps": [entry.step for entry in entries],
            "shown": shown.tolist(),
            "names": [self._names[k] for k in shown],
            "short": numbers.distinct([self._names[k] for k in shown]),
            "image": pixels.image(levels),
            "full": FULL,
            "absent": ABSENT,
            "words": words,
        }


def _names(review: Review, class_names: Sequence[str]) -> list[str]:
    """Names of the classes; a network may have more outputs than the data has classes."""
    outputs = 1 + int(max(review.predictions.max(initial=-1), review.labels.max(initial=-1)))
    return [*class_names, *(f"output {k}" for k in range(len(class_names), outputs))]


def _shown(review: Review, num_classes: int) -> np.ndarray:
    """Those classes that take part in the most errors, if there are too many."""
    wrong = ~review.right
    errors = sum(np.bincount(part[wrong], minlength=num_classes) for part in (review.labels, review.predictions))
    return np.sort(np.argsort(-errors, kind="stable")[:MAX_CLASSES])


def _worst(review: Review, num_classes: int) -> list[list[int]]:
    """Return the most frequent confusions; of equally frequent ones, those of the first classes."""
    wrong = ~review.right
    pairs = review.labels[wrong].astype(np.int64) * num_classes + review.predictions[wrong]
    found, counts = np.unique(pairs, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:5]
    return [[int(found[k] // num_classes), int(found[k] % num_classes), int(counts[k])] for k in order]


def _said(review: Review, names, shown: np.ndarray, never: np.ndarray, worst: list[list[int]]) -> list[str]:
    size = numbers.part(len(review.labels), review.total, review.noun)
    said = [f"{numbers.percent(float(review.right.mean()))} of {size} are right"]
    if worst:
        truth, guess, n = worst[0]
        said.append(f"{names[truth]} is taken for {names[guess]} ({numbers.count(n, 'time')})")
    if never.size:
        some = ", ".join(names[k] for k in itertools.islice(never, 5)) + (", \u2026" if never.size > 5 else "")
        said.append(f"never predicted: {some}")
    if len(shown) < len(names):
        said.append(f"{numbers.part(len(shown), len(names), 'class', 'classes')} are shown, those with the most errors")
    lost = int((~np.isfinite(review.confidence)).sum())
    return said + (
        [f"{numbers.count(lost, review.noun.rpartition(' ')[2])} with scores that are not finite"] if lost else []
    )
