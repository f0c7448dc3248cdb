"""One training step in PyTorch, shared by all contenders that are built on it."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.peers.workload import BATCH, L1, L2, LEARNING_RATE, Loop


def train(network: Callable, batches: list[tuple], score_gain: float = 1.0) -> Loop:
    """The loop of `network(x) -> (readout, spikes)`, both (time, batch, unit), spikes None if there are none.

    Args:
        network: a `torch.nn.Module`.
        batches: see `Loop`; NumPy arrays, or tuples of such.
        score_gain: of the readout, taken after the maximum over time, where it costs nothing.
    """
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)

    def step(x, y):
        readout, spikes = network(x)
        loss, total = cross_entropy(readout.amax(0) * score_gain, y), None
        if spikes is not None:
            counts = spikes.sum((0, 1)) / BATCH
            total = counts.sum()
            loss = loss + L1 * total + L2 * (counts**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), None if total is None else total.detach()

    return Loop(step, [(_tensors(x), _tensors(y)) for x, y in batches])


def _tensors(arrays):
    """Of an array, or of each of a tuple."""
    return tuple(map(_tensors, arrays)) if isinstance(arrays, tuple) else torch.from_numpy(arrays)


def set_weights(*layers: torch.nn.Linear, to: tuple[np.ndarray, ...]) -> None:
    """Start from these matrices (input, output)."""
    with torch.no_grad():
        for layer, weights in zip(layers, to, strict=True):
            layer.weight.copy_(torch.from_numpy(weights.T))
