"""1,797 real handwritten digits of 8x8 pixels, embedded: the default, without a download."""

from pathlib import Path

import numpy as np

from snnlab.data.dataset import Dataset

# `pixels`, 0..16, and `labels` as scikit-learn ships them (CC BY 4.0); the test samples come last.
FILE = Path(__file__).parent / "digits.npz"
TEST = 360


def load_digits() -> Dataset:
    """Load the digits; one fifth of every class is for testing, the same split every time.

    Source: Alpaydin & Kaynak (1998), UCI Machine Learning Repository, DOI 10.24432/C50P49.

    Example:
        >>> load_digits()
        Dataset('digits': 1,437 train, 360 test, samples (8, 8) uint8, 10 classes)
    """
    with np.load(FILE) as file:
        pixels, labels = file["pixels"], file["labels"].astype(np.int32)
    images = np.round(pixels * (255.0 / 16.0)).astype(np.uint8)
    return Dataset(
        name="digits", x_train=images[:-TEST], y_train=labels[:-TEST], x_test=images[-TEST:], y_test=labels[-TEST:]
    )
