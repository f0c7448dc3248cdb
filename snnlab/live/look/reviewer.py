"""Runs the part that is looked at through the network as it is now: for its errors."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from snnlab.data import Dataset
from snnlab.data.targets import Targets
from snnlab.live.frames.errors import Review
from snnlab.live.frames.mistakes import NumbersReview, SeveralReview, TrainsReview
from snnlab.live.frames.pixels import thinned
from snnlab.live.frames.targets import EVERY_STEP, van_rossum
from snnlab.losses import SpikeTrains
from snnlab.models import describe
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.tasks.spike_trains import NEAR
from snnlab.train.step import State, Stepper, Structure, compiled, run_model

BATCH = 128
MOST_STEPS = 1_000_000  # of all samples: fewer samples are reviewed where each has a target every step

AnyReview = Review | SeveralReview | NumbersReview | TrainsReview


class Reviewer:
    """Lets the network answer every sample of the part that is looked at; compiled once for all states.

    Args:
        stepper: model and loss.
        data: its part that is looked at has the samples.
        most: number of samples at the most; of a larger part, samples are taken evenly from its whole length.

    Raises:
        ArgumentError: if `most` is no positive integer.

    Example:
        >>> from snnlab import data, models
        >>> from snnlab.train import Trainer
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, batch_size=64)
        >>> review = Reviewer(trainer.stepper, digits, most=200)(trainer.state)
        >>> review.index.shape, review.total == len(digits.y_test), bool((review.confidence > 0.09).all())
        ((200,), True, True)
    """

    def __init__(self, stepper: Stepper, data: Dataset, most: int = 10_000):
        self._data, samples = data, arguments.count("most", most)
        if data.task in EVERY_STEP:
            samples = max(1, min(samples, MOST_STEPS // data.y_train[0].size))
        self._index = thinned(len(data.seen.x), samples)
        classes = data.task in ("label", "step_labels")
        self._answer = compiled(_predict if classes else _say, stepper.structure)
        self._of: dict[str, Callable[..., AnyReview]] = {
            "label": _labels,
            "step_labels": _step_labels,
            "several_labels": _several,
            "values": _values,
            "traces": _traces,
            "spike_trains": _trains,
        }
        self._stepper = stepper

    @never_lost()
    @transfers_allowed()
    def __call__(self, state: State) -> AnyReview:
        """Answer the samples in a state; any thread may call this at any time."""
        keep_programs()
        x, targets = self._data.seen
        size = min(BATCH, len(self._index))
        parts = []
        for number, first in enumerate(range(0, len(self._index), size)):
            batch = self._index[first : first + size]
            filled = np.pad(batch, (0, size - len(batch)), mode="edge")  # one shape, so one program
            found = self._answer(state, x[filled], targets[filled].lengths, np.int32(number))
            parts.append([np.asarray(values)[: len(batch)] for values in found])
        answers = [np.concatenate(values) for values in zip(*parts, strict=True)]
        part = "validation" if self._data.watched == "val" else "test"
        common = {"step": int(state.step), "index": self._index, "total": len(x), "noun": f"{part} sample"}
        if self._data.task == "spike_trains":
            system = self._stepper.structure.merge(state)
            common["tau"] = _tau(system["loss"], describe(system["model"]).step)
        return self._of[self._data.task](targets[self._index], targets, answers, common)


def _predict(structure: Structure, state: State, x, lengths, number) -> tuple[jax.Array, jax.Array]:
    """Return the classes with the highest scores, and their share in the softmax of the scores."""
    (scores,) = _say(structure, state, x, lengths, number)
    return scores.argmax(-1).astype(jnp.int32), jax.nn.softmax(scores).max(-1)


def _say(structure: Structure, state: State, x, lengths, number) -> tuple[jax.Array]:
    """Return what the task compares with the targets."""
    system = structure.merge(state)
    key = jax.random.fold_in(jax.random.key(0), number)  # a random code is the same in every review
    record = run_model(system["model"], x, key)._replace(lengths=lengths)
    return (structure.task.compared(system["loss"], record),)


def _tau(loss: Callable, step: float | None) -> float:
    """The time constant of the filter that spike trains are compared behind [steps]."""
    return float(loss.tau[...]) / (step or loss.dt or 1.0) if isinstance(loss, SpikeTrains) else NEAR


# ---- what is made of the answers: `seen` are the targets of the samples, `whole` those of the part ----


def _labels(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> Review:
    predictions, confidence = answers
    return Review(labels=seen.values, predictions=predictions, confidence=confidence, **common)


def _scored(targets: Targets) -> np.ndarray:
    """Which steps of the samples are scored."""
    return np.ones(targets.values.shape[:2], bool) if targets.mask is None else targets.mask


def _steps(seen: Targets, whole: Targets, common: dict) -> tuple[np.ndarray, dict]:
    """Which steps are scored, and the facts about a review whose entries are these."""
    scored = _scored(seen)
    index = np.broadcast_to(common["index"][:, None], scored.shape)[scored]
    noun = common["noun"].replace("sample", "step")
    return scored, common | {"index": index, "total": int(_scored(whole).sum()), "noun": noun}


def _step_labels(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> Review:
    scored, common = _steps(seen, whole, common)
    predictions, confidence = (values[scored] for values in answers)
    return Review(labels=seen.values[scored], predictions=predictions, confidence=confidence, **common)


def _several(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> SeveralReview:
    return SeveralReview(true=seen.values > 0, said=answers[0] > 0.0, **common)


def _values(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> NumbersReview:
    return NumbersReview(targets=seen.values, said=answers[0], **common)


def _traces(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> NumbersReview:
    scored, common = _steps(seen, whole, common)
    return NumbersReview(targets=seen.values[scored], said=answers[0][scored], **common)


def _trains(seen: Targets, whole: Targets, answers: list[np.ndarray], common: dict) -> TrainsReview:
    tau, scored = common.pop("tau"), _scored(seen)[..., None]
    fired, wanted = ((values > 0) & scored for values in (answers[0], seen.values))
    off = van_rossum(fired.swapaxes(0, 1).astype(np.float32), wanted.swapaxes(0, 1).astype(np.float32), tau)
    counts = {"fired": fired.sum((1, 2)), "wanted": wanted.sum((1, 2))}
    return TrainsReview(distance=off.mean(-1), **counts, **common)
