"""What the targets of a data set are: a label a sample or a step, several labels, values, traces, or spike trains.

Each kind checks its arrays and tells how many outputs a network needs for it. How a target is scored is told in
`snnlab.tasks`. Nothing here imports JAX.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlab.errors import ArgumentError
from snnlab.support import arguments

MAX_CLASSES = 100_000
UNLABELLED = -1
"""The label of a step that has none: it is not scored."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of some samples: NumPy arrays, or JAX arrays inside a compiled program.

    Indexing takes the same samples of all its arrays.

    Attributes:
        values: of the samples, see `snnlab.data.Dataset`.
        mask: which steps are scored `(samples, time)`, or None for all.
        lengths: number of steps of every sample `(samples,)`, or None if all have the length of the sequence.
        weights: of the samples in the loss `(samples,)`, or None if all weigh the same.

    Example:
        >>> targets = Targets(np.array([3, 1, 2]), weights=np.array([1.0, 0.5, 2.0]))
        >>> len(targets), targets[[2, 0]].values.tolist(), targets[1:].weights.tolist()
        (3, [2, 3], [0.5, 2.0])
    """

    values: Any
    mask: Any = None
    lengths: Any = None
    weights: Any = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index) -> "Targets":
        return Targets(self.values[index], *(None if array is None else array[index] for array in self.arrays[1:]))

    @property
    def arrays(self) -> tuple:
        """Values, mask, lengths and weights; None for what there is not."""
        return self.values, self.mask, self.lengths, self.weights


def labels(name: str, values) -> np.ndarray:
    """Check labels `(samples,)`: integers from 0."""
    array = arguments.array(name, values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ArgumentError(f"{name}: must be (samples,), got shape {array.shape}{_shape_hint(array)}")
    return _integers(name, array, 0)


def step_labels(name: str, values) -> np.ndarray:
    """Check labels `(samples, time)`: integers from 0, or `UNLABELLED`."""
    array = arguments.array(name, values)
    if array.ndim != 2:
        raise ArgumentError(f"{name}: must be (samples, time), a label for every step, got shape {array.shape}")
    array = _integers(name, array, UNLABELLED)
    if array.max() < 0:
        raise ArgumentError(f"{name}: no step of any sample has a label; {UNLABELLED} means that it has none")
    return array


def several_labels(name: str, values) -> np.ndarray:
    """Check labels `(samples, classes)`: 1 or True for every class that a sample belongs to, else 0."""
    array = arguments.array(name, values)
    if array.ndim != 2:
        raise ArgumentError(f"{name}: must be (samples, classes) of 0 and 1, got shape {array.shape}")
    return _zeros_and_ones(name, array)


def numbers(name: str, values) -> np.ndarray:
    """Check values `(samples, outputs)`; `(samples,)` is one output."""
    array = arguments.array(name, values)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise ArgumentError(f"{name}: must be (samples,) or (samples, outputs), got shape {array.shape}")
    return _real(name, array)


def traces(name: str, values) -> np.ndarray:
    """Check traces `(samples, time, outputs)`; `(samples, time)` is one output."""
    array = arguments.array(name, values)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise ArgumentError(f"{name}: must be (samples, time) or (samples, time, outputs), got shape {array.shape}")
    return _real(name, array)


def spike_trains(name: str, values) -> np.ndarray:
    """Check spike trains `(samples, time, outputs)` of 0 and 1."""
    array = arguments.array(name, values)
    if array.ndim != 3:
        raise ArgumentError(f"{name}: must be (samples, time, outputs) of 0 and 1, got shape {array.shape}")
    return _zeros_and_ones(name, array)


@dataclass(frozen=True)
class Kind:
    """A kind of targets.

    Attributes:
        check: `(name, values) -> values` that are fit to train with, or an `ArgumentError`.
        classes: they are classes, which have names.
        every_step: there is one for every step of the sequence.
    """

    check: Callable[[str, object], np.ndarray]
    classes: bool = False
    every_step: bool = False


KINDS = {
    "label": Kind(labels, classes=True),
    "step_labels": Kind(step_labels, classes=True, every_step=True),
    "several_labels": Kind(several_labels, classes=True),
    "values": Kind(numbers),
    "traces": Kind(traces, every_step=True),
    "spike_trains": Kind(spike_trains, every_step=True),
}
"""What a target may be, by name; see `snnlab.data.Dataset`."""


def mask_of(name: str, values, targets: np.ndarray) -> np.ndarray:
    """Check which steps are scored: True or False for every step of every sample, at least one of them True.

    Raises:
        ArgumentError: if it has another shape or type, or masks everything.
    """
    array = arguments.array(name, values)
    if array.shape != targets.shape[:2]:
        raise ArgumentError(f"{name}: must be (samples, time) = {targets.shape[:2]}, got shape {array.shape}")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ArgumentError(f"{name}: must be True where a step is scored, else False, got {array.dtype}")
    if not array.any():
        raise ArgumentError(f"{name}: masks every step of every sample, so there is nothing to score")
    return array.astype(bool)


def lengths_of(name: str, values, samples: int, steps: int) -> np.ndarray:
    """Check the lengths of the samples: integers in 1..steps.

    Raises:
        ArgumentError: if they are not.
    """
    array = arguments.array(name, values)
    if array.shape != (samples,) or not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(f"{name}: must be {samples} integers, one per sample, got {array.dtype}{array.shape}")
    wrong = np.flatnonzero((array < 1) | (array > steps))
    if wrong.size:
        raise ArgumentError(f"{name}: must be in 1..{steps}, sample {wrong[0]} has {array[wrong[0]]}")
    return array.astype(np.int32)


def weights_of(name: str, values, samples: int) -> np.ndarray:
    """Check the weights of the samples: finite numbers >= 0, of which one is above 0.

    Raises:
        ArgumentError: if they are not.
    """
    array = arguments.numbers(name, values, 0.0).astype(np.float32)
    if array.shape != (samples,):
        raise ArgumentError(f"{name}: must be {samples} numbers, one per sample, got shape {array.shape}")
    if not array.any():
        raise ArgumentError(f"{name}: all weights are 0, so no sample is learned")
    return array


def _integers(name: str, array: np.ndarray, lowest: int) -> np.ndarray:
    if array.size == 0:
        raise ArgumentError(f"{name}: is empty")
    if not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(f"{name}: must be integers, got {array.dtype}{_type_hint(array)}")
    if array.min() < lowest or array.max() > np.iinfo(np.int32).max:
        also = f", or {lowest} where there is none" if lowest < 0 else ""
        raise ArgumentError(
            f"{name}: labels must be in 0..number of classes - 1{also}, got {array.min()}..{array.max()}"
        )
    return array.astype(np.int32)


def _zeros_and_ones(name: str, array: np.ndarray) -> np.ndarray:
    if array.size == 0:
        raise ArgumentError(f"{name}: is empty, shape {array.shape}")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ArgumentError(f"{name}: must be 0 and 1 only, got {array.dtype}")
    return array.astype(np.uint8)


def _real(name: str, array: np.ndarray) -> np.ndarray:
    if array.size == 0:
        raise ArgumentError(f"{name}: is empty, shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name}: must be numbers, got {array.dtype}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array))
        raise ArgumentError(f"{name}: has {bad} values that are NaN, infinite or too large for float32; mask them")
    return array


def _shape_hint(array: np.ndarray) -> str:
    """Say what an array that is no list of labels may be."""
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        return "; a sample has one label"
    if ((array != 0).sum(1) == 1).all():
        return "; these are one-hot, use .argmax(1)"
    return '; a sample has one label. For a label every step, pass task="step_labels", for several, "several_labels"'


def _type_hint(array: np.ndarray) -> str:
    """Say how to make integers of labels, or what they are if they are none."""
    if array.dtype == bool or (array.dtype.kind == "f" and (array == np.floor(array)).all()):
        return "; use .astype(int)"
    if array.dtype.kind in "US":
        return "; number them with numpy.unique(labels, return_inverse=True)[1]"
    return '; to learn numbers, pass task="values"' if array.dtype.kind == "f" else ""
