"""The order in which samples are trained with: drawn anew every epoch, from the seed of the run and the epoch alone."""

import numpy as np
from jaxtyping import Int


def shuffled(samples: int, batch_size: int, *, seed: int, epoch: int) -> Int[np.ndarray, "step batch"]:
    """Return the samples of every batch of an epoch; samples left over take their turn in the next shuffle.

    Args:
        samples: number of samples.
        batch_size: samples in one batch.
        seed: of the run.
        epoch: its number, from 1.

    Example:
        >>> shuffled(5, 2, seed=0, epoch=1).tolist(), shuffled(5, 2, seed=0, epoch=2).shape
        ([[1, 4], [3, 0]], (2, 2))
    """
    order = np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int32)
    return order[: samples // batch_size * batch_size].reshape(-1, batch_size)
