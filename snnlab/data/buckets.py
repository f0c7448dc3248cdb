"""Group sequences of different lengths, so that the short ones need not be as long as the longest."""

import numpy as np
from jaxtyping import Int

MOST = 5
"""Groups at most: the step is compiled for the longest length of each, so each costs time before the first step."""

WORTH = 0.03  # share of the steps that another group must save
FINE = 256  # lengths that are told apart


def bucket_lengths(lengths: Int[np.ndarray, " samples"], longest: int) -> tuple[int, ...]:
    """Return to which lengths samples are best padded: up to `MOST`, of which the last is `longest`.

    They have the fewest steps in all, padding included, that so many lengths can have (by dynamic programming). A
    length that saves less than 3 % is left out.

    Args:
        lengths: number of steps of every sample.
        longest: number of steps of the padded samples.

    Example:
        >>> bucket_lengths(np.array([20, 30, 30, 100, 100]), 100), bucket_lengths(np.array([99, 100]), 100)
        ((20, 30, 100), (100,))
        >>> bucket_lengths(np.array([20, 20, 30]), 50)
        (20, 30, 50)
    """
    ends, counts = np.unique(lengths, return_counts=True)
    if len(ends) > FINE:
        kept = np.unique(np.linspace(0, len(ends) - 1, FINE).round().astype(int))
        counts = np.diff(np.cumsum(counts)[kept], prepend=0)
        ends = ends[kept]
    if ends[-1] < longest:
        ends, counts = np.append(ends, longest), np.append(counts, 0)
    below = np.cumsum(counts)
    least, choices = below * ends, []  # steps of the samples up to each length, in one group
    for _ in range(MOST - 1):
        # Up to length j: the best groups up to some length i before it, and one group of what is between.
        between = least[:, None] + (below[None, :] - below[:, None]) * ends[None, :]
        between = np.where(np.tri(len(ends), k=0, dtype=bool), np.inf, between)
        before = between.argmin(0)
        better = between.min(0)
        if not better[-1] < least[-1] * (1.0 - WORTH):
            break
        choices.append(before)
        least = better
    found = [len(ends) - 1]
    for before in reversed(choices):
        found.append(int(before[found[-1]]))
    return tuple(int(ends[k]) for k in reversed(found))


def bucket_of(lengths: Int[np.ndarray, " samples"], steps: tuple[int, ...]) -> Int[np.ndarray, " samples"]:
    """Return for every sample the first of some lengths that holds it.

    Example:
        >>> bucket_of(np.array([20, 31, 30, 100]), (30, 100)).tolist()
        [0, 1, 0, 1]
    """
    return np.searchsorted(np.asarray(steps), lengths)
