"""scikit-learn's 1,797 real handwritten digits of 8x8 pixels: the embedded default, no download."""

import numpy as np

from snnlab.data.dataset import Dataset


def load_digits() -> Dataset:
    """The digits, one fifth of every class for testing; the same split every time.

    Source: Alpaydin & Kaynak (1998), UCI Machine Learning Repository, DOI 10.24432/C50P49.

    Example:
        >>> load_digits()
        Dataset('digits': 1,437 train, 360 test, samples (8, 8) uint8, 10 classes)
    """
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    images, labels = bundled(return_X_y=True)
    images = np.round(images * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 8, 8)
    split = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    x_train, x_test, y_train, y_test = split
    return Dataset(name="digits", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
