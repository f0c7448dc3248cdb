"""The order in which samples are trained with: drawn anew every epoch, from the seed of the run and the epoch alone."""

import numpy as np
from jaxtyping import Int


def shuffled(
    samples: int, batch_size: int, *, seed: int, epoch: int, groups: Int[np.ndarray, " samples"] | None = None
) -> Int[np.ndarray, "step batch"]:
    """Return the samples of every batch of an epoch; samples left over take their turn in the next shuffle.

    Args:
        samples: number of samples.
        batch_size: samples in one batch.
        seed: of the run.
        epoch: its number, from 1.
        groups: of every sample; those of a batch are from one group where that is possible, and the batches come in
            any order.

    Example:
        >>> shuffled(5, 2, seed=0, epoch=1).tolist(), shuffled(5, 2, seed=0, epoch=2).shape
        ([[1, 4], [3, 0]], (2, 2))
        >>> shuffled(5, 2, seed=0, epoch=1, groups=np.array([0, 1, 1, 1, 0])).tolist()
        [[1, 3], [4, 0]]
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(samples).astype(np.int32)[: samples // batch_size * batch_size]
    if groups is None:
        return order.reshape(-1, batch_size)
    alike = order[np.argsort(groups[order], kind="stable")].reshape(-1, batch_size)
    return rng.permutation(alike)
