"""Divide samples that come in one piece into parts: to train, to validate and to test with."""

import numpy as np

from snnlab.errors import ArgumentError

TEST, VALIDATION = 0.2, 0.1
"""Shares of the samples that a set in one piece gives to be tested and validated with; the rest is trained with."""

SEED = 0  # of the draw: the same parts every time
FEWEST = 10  # samples that can be divided
FEWEST_OF_CLASS = 3  # so that every class is trained


def divide(
    samples: int, labels: np.ndarray | None = None, *, validation: bool = True, names: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Draw which samples are in which part, at random with a fixed seed.

    Args:
        samples: how many there are.
        labels: of the samples, integers from 0: every class gives its share, to one sample. None: there are no classes.
        validation: whether a validation part is drawn, too.
        names: of the classes, for errors.

    Returns:
        Places of the samples in "train", "test" and, if wanted, "val", in ascending order.

    Raises:
        ArgumentError: if there are fewer than `FEWEST` samples, or fewer than `FEWEST_OF_CLASS` of a class.

    Example:
        >>> parts = divide(20, np.arange(20) % 2)
        >>> {name: len(places) for name, places in parts.items()}, np.bincount(parts["test"] % 2).tolist()
        ({'train': 14, 'test': 4, 'val': 2}, [2, 2])
    """
    if samples < FEWEST:
        raise ArgumentError(f"x: {samples} samples are too few to divide; give x_train, y_train, x_test and y_test")
    if labels is None:
        labels = np.zeros(samples, int)
    else:
        _check_classes(labels, names)
    rest = np.random.default_rng(SEED).permutation(samples)
    parts = {}
    for name, share in (("test", TEST), *((("val", VALIDATION),) if validation else ())):
        taken = in_proportion(labels[rest], round(share * samples))
        parts[name], rest = np.sort(rest[taken]), np.delete(rest, taken)
    return {"train": np.sort(rest), **parts}


def _check_classes(labels: np.ndarray, names: tuple[str, ...]) -> None:
    classes, first, counts = np.unique(labels, return_index=True, return_counts=True)
    few = np.flatnonzero(counts < FEWEST_OF_CLASS)
    if few.size:
        label, sample, count = (int(array[few[0]]) for array in (classes, first, counts))
        name = names[label] if label < len(names) else str(label)
        raise ArgumentError(
            f"y: class {name!r} has {count} of the samples, sample {sample + 1} is the first; a class needs "
            f"{FEWEST_OF_CLASS}, so that it can be trained and tested"
        )


def in_proportion(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the places of `count` labels, the first of every class in proportion to its size.

    Example:
        >>> in_proportion(np.array([0, 0, 1, 0, 0, 1]), 3).tolist()
        [0, 1, 2]
    """
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / len(labels)
    wanted = np.floor(exact).astype(int)
    for k in np.argsort(wanted - exact, kind="stable")[: count - wanted.sum()]:
        wanted[k] += 1
    return np.concatenate([np.flatnonzero(labels == label)[:size] for label, size in zip(classes, wanted, strict=True)])
