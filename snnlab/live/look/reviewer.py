"""Runs the whole test set through the network as it is now: for its errors, class by class."""

import jax
import jax.numpy as jnp
import numpy as np

from snnlab.data import Dataset
from snnlab.live.frames.errors import Review
from snnlab.live.frames.pixels import thinned
from snnlab.losses import class_scores
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.train.step import State, Stepper, Structure, compiled, run_model

BATCH = 128


class Reviewer:
    """Predicts the class of every test sample; compiled once for all states.

    Args:
        stepper: model and loss.
        data: its test set has the samples.
        most: number of samples at the most; of a larger test set, samples are taken evenly from its whole length.

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
        self._data = data
        self._index = thinned(len(data.seen.x), arguments.count("most", most))
        self._predict = compiled(_predict, stepper.structure)

    @never_lost()
    @transfers_allowed()
    def __call__(self, state: State) -> Review:
        """Predict the class of the samples in a state; any thread may call this at any time."""
        keep_programs()
        size = min(BATCH, len(self._index))
        parts = []
        for number, first in enumerate(range(0, len(self._index), size)):
            batch = self._index[first : first + size]
            filled = np.pad(batch, (0, size - len(batch)), mode="edge")  # one shape, so one program
            found = self._predict(state, self._data.seen.x[filled], np.int32(number))
            parts.append([np.asarray(values)[: len(batch)] for values in found])
        predictions, confidence = (np.concatenate(values) for values in zip(*parts, strict=True))
        return Review(
            step=int(state.step),
            index=self._index,
            labels=self._data.seen.targets.values[self._index],
            predictions=predictions,
            confidence=confidence,
            total=len(self._data.seen.x),
        )


def _predict(structure: Structure, state: State, x, number) -> tuple[jax.Array, jax.Array]:
    """Return the classes with the highest scores, and their share in the softmax of the scores."""
    system = structure.merge(state)
    key = jax.random.fold_in(jax.random.key(0), number)  # a random code is the same in every review
    scores = class_scores(system["loss"], run_model(system["model"], x, key))
    return scores.argmax(-1).astype(jnp.int32), jax.nn.softmax(scores).max(-1)
