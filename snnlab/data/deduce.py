"""Deduce from targets what they are, where only one thing fits; make labels of texts."""

import numpy as np

from snnlab.data.targets import KINDS
from snnlab.errors import ArgumentError
from snnlab.support import arguments

FEWEST = 3  # samples a class on average; integers of which each comes up less often rather are numbers


def deduced(y: np.ndarray, x: np.ndarray) -> str:
    """Return the task that the targets of samples have, if only one fits.

    | targets | task |
    |---|---|
    | `(samples,)`, texts, or integers that come up again and again | "label" |
    | `(samples,)` or `(samples, outputs)`, real numbers | "values" |
    | `(samples, classes)`, integers 0 and 1, of which a sample may have several or none | "several_labels" |
    | `(samples, time)`, integers, as many as the samples have steps | "step_labels" |
    | `(samples, time)` or `(samples, time, outputs)`, real numbers, as many as the samples have steps | "traces" |
    | `(samples, time, outputs)`, integers 0 and 1, as many as the samples have steps | "spike_trains" |

    Args:
        y: targets.
        x: samples; where they are `(time, *frame)`, they have steps.

    Raises:
        ArgumentError: if several tasks fit, or none; it says which to choose from.

    Example:
        >>> x = np.zeros((6, 4, 2))
        >>> deduced(np.arange(6) % 2, x), deduced(np.linspace(0.5, 1, 6), x), deduced(np.zeros((6, 4), int), x)
        ('label', 'values', 'step_labels')
    """
    steps = x.shape[1] if x.ndim >= 3 else None
    every_step = steps is not None and y.ndim in (2, 3) and y.shape[1] == steps
    if y.size == 0:
        raise ArgumentError(f"y: is empty, shape {y.shape}")
    if y.dtype.kind in "US":
        return "label"
    if y.dtype.kind not in "biuf":
        raise ArgumentError(f"y: must be numbers or texts, got {y.dtype}")
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return _of_one_number(y)
    if every_step:
        return _of_steps(y)
    if y.ndim == 2:
        return _of_several_numbers(y)
    raise ArgumentError(f"y: shape {y.shape} fits no task with samples of shape {x.shape[1:]}; {_choices(*KINDS)}")


def _of_one_number(y: np.ndarray) -> str:
    if y.dtype.kind == "f":
        if np.isfinite(y).all() and (y == np.floor(y)).all():
            choices = _choices("label", "values")
            raise ArgumentError(f"y: whole numbers as {y.dtype} may be classes or values; {choices}")
        return "values"
    different = len(np.unique(y))
    if different * FEWEST > len(y):
        raise ArgumentError(
            f"y: {different:,} different integers in {len(y):,} samples may be classes or values; "
            f"{_choices('label', 'values')}"
        )
    return "label"


def _of_steps(y: np.ndarray) -> str:
    if y.ndim == 2:
        return "traces" if y.dtype.kind == "f" else "step_labels"
    if np.isin(y, (0, 1)).all():
        if y.dtype.kind == "f":
            raise ArgumentError(f"y: zeros and ones may be traces or spikes; {_choices('traces', 'spike_trains')}")
        return "spike_trains"
    return "traces"


def _of_several_numbers(y: np.ndarray) -> str:
    if y.dtype.kind == "f":
        return "values"
    if not np.isin(y, (0, 1)).all():
        raise ArgumentError(
            f"y: shape {y.shape} of integers are no labels of the samples, nor of their steps; {_choices('values')}"
        )
    if (y.sum(1) == 1).all():
        raise ArgumentError(
            "y: one 1 in every row may be one class of several, or one of several that a sample can have; save "
            f"y.argmax(1) for the first; {_choices('several_labels')} for the second"
        )
    return "several_labels"


def _choices(*tasks: str) -> str:
    """Say how a task is chosen, in a notebook and in a terminal."""
    return f"choose {' or '.join(f'task={task!r}' for task in tasks)} (in a terminal, --task {tasks[0]})"


def numbered(parts: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Number labels from 0 in their order; return them, and the names of the classes.

    Args:
        parts: labels by part; texts, integers, or whole numbers.

    Raises:
        ArgumentError: if the labels of a part are none, or some parts have texts and some have numbers.

    Example:
        >>> numbers, names = numbered({"train": np.array(["dog", "cat", "dog"]), "test": np.array(["cat"])})
        >>> numbers["train"].tolist(), numbers["test"].tolist(), names
        ([1, 0, 1], [0], ('cat', 'dog'))
    """
    texts = {part: y.dtype.kind in "US" for part, y in parts.items()}
    if any(texts.values()) and not all(texts.values()):
        raise ArgumentError(f"y: is text in {_where(texts, True)} and numbers in {_where(texts, False)}")
    parts = {part: _plain(f"y_{part}", y) for part, y in parts.items()}
    known, numbers = np.unique(np.concatenate(list(parts.values())), return_inverse=True)
    ends = np.cumsum([len(y) for y in parts.values()])
    names = tuple(arguments.name("y", str(name)) for name in known.tolist())
    return dict(zip(parts, np.split(numbers.astype(np.int32), ends[:-1]), strict=True)), names


def _where(texts: dict[str, bool], wanted: bool) -> str:
    return ", ".join(f"y_{part}" for part, is_text in texts.items() if is_text is wanted)


def _plain(name: str, y: np.ndarray) -> np.ndarray:
    """Labels in one dimension, as texts or integers."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ArgumentError(f"{name}: must be (samples,), a label each, got shape {y.shape}")
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise ArgumentError(f"{name}: its texts are not UTF-8 ({error.reason})") from error
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.floor(y)).all():
        y = y.astype(np.int64)
    if y.dtype.kind not in "biuU":
        raise ArgumentError(f"{name}: labels must be integers or texts, got {y.dtype}")
    return y.astype(np.int64) if y.dtype.kind in "iu" else y
