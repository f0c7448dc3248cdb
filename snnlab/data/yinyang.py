"""The Yin-Yang set: three classes in the plane, small but not linearly separable."""

import numpy as np

from snnlab.data.dataset import Dataset

R_BIG, R_SMALL = 0.5, 0.1
CLASS_NAMES = ("yin", "yang", "dot")


def classify(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the class of points inside the big circle around (0.5, 0.5), numbered as in the published data.

    The dots are two small circles of radius 0.1 around (0.25, 0.5) and (0.75, 0.5). Outside the dots, yang is the
    upper half, plus the disc of radius 0.25 around the left dot, minus the one around the right dot. Yin is the rest,
    which is yang rotated by 180 degrees.

    Example:
        >>> classify(np.array([0.5, 0.5, 0.25]), np.array([0.1, 0.9, 0.5])).tolist()
        [0, 1, 2]
    """
    left = np.hypot(x - 0.5 * R_BIG, y - R_BIG)
    right = np.hypot(x - 1.5 * R_BIG, y - R_BIG)
    dot = (left < R_SMALL) | (right < R_SMALL)
    yang = (left <= 0.5 * R_BIG) | ((right > 0.5 * R_BIG) & (y > R_BIG))
    return np.where(dot, 2, yang).astype(np.int32)


def _sample(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` points, a third of each class, uniformly within the class."""
    labels = (np.arange(count) % 3).astype(np.int32)
    points = np.empty((count, 2))
    for label in range(3):
        wanted = int((labels == label).sum())
        # The dots fill 8 % of the circle, so 60 candidates per point are enough.
        candidates = rng.random((60 * wanted + 1000, 2))
        x, y = candidates.T
        inside = np.hypot(x - R_BIG, y - R_BIG) <= R_BIG
        points[labels == label] = candidates[inside & (classify(x, y) == label)][:wanted]
    order = rng.permutation(count)
    x, y = points[order].T
    return np.stack([x, y, 1.0 - x, 1.0 - y], axis=1).astype(np.float32), labels[order]


def load_yinyang(train: int = 5000, test: int = 1000) -> Dataset:
    """Make the Yin-Yang set: 4 features `x, y, 1 - x, 1 - y` in 0..1, 3 classes, the same points every time.

    Source: Kriener, Goeltz & Petrovici (2022), DOI 10.1145/3517343.3517380.

    Example:
        >>> load_yinyang()
        Dataset('yinyang': 5,000 train, 1,000 test, samples (4,) float32, 3 classes)
    """
    rng = np.random.default_rng(42)
    x_train, y_train = _sample(train, rng)
    x_test, y_test = _sample(test, rng)
    return Dataset(
        name="yinyang",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=CLASS_NAMES,
    )
