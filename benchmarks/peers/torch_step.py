"""One training step in PyTorch, and spiking networks layer by layer, shared by all contenders that are built on it."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.peers.workload import L1, L2, LEARNING_RATE, SIDE, Loop, Network, initial_weights


def train(network: torch.nn.Module, batches: list[tuple], learning_rate: float = LEARNING_RATE) -> Loop:
    """The loop of `network(x) -> (readout, spikes)`.

    The readout is (time, batch, unit), spikes are those of each layer.

    Args:
        network: see above.
        batches: see `Loop`; NumPy arrays, or tuples of such.
        learning_rate: of Adam.
    """
    device = torch.get_default_device()
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)

    def step(x, y):
        readout, spikes = network(x)
        loss, total = functional.cross_entropy(readout.amax(0), y), 0.0
        for fired in spikes:
            counts = fired.sum((0, 1)) / fired.shape[1]
            total = total + counts.sum()
            loss = loss + L1 * counts.sum() + L2 * (counts**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach(), total.detach() if spikes else None

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    return Loop(step, [(_tensors(x, device), _tensors(y, device)) for x, y in batches], finish)


def _tensors(arrays, device):
    """Of an array, or of each of a tuple."""
    if isinstance(arrays, tuple):
        return tuple(_tensors(array, device) for array in arrays)
    return torch.from_numpy(arrays).to(device)


class Product(torch.nn.Module):
    """Weights times input (time, ..., unit), or a convolution of images (time, batch, channel, row, column).

    Args:
        kernel: as `workload.Weights` has it.
        gain: times the weights. Libraries scale currents differently; this makes their networks equal at no cost.
    """

    def __init__(self, kernel: np.ndarray, gain: float = 1.0):
        super().__init__()
        order = (1, 0) if kernel.ndim == 2 else (3, 2, 0, 1)  # PyTorch has outputs first, then inputs
        self.weight = torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(kernel.transpose(order))))
        self.gain = gain

    def forward(self, x):
        weight = self.weight * self.gain
        if weight.ndim == 2:
            return functional.linear(x, weight)
        return functional.conv2d(x.flatten(0, 1), weight, padding="same").unflatten(0, x.shape[:2])


class Layered(torch.nn.Module):
    """A spiking network layer by layer: each product is one over all steps.

    Args:
        network: if it has convolutions, images are made of the input, and pooled behind each.
        hidden: the products and the neurons of each hidden layer, called with the whole sequence.
        readout: the same of the readout.
    """

    def __init__(self, network: Network, hidden: list[tuple[Callable, Callable]], readout: tuple[Callable, Callable]):
        super().__init__()
        self.conv = network.conv
        self.hidden = torch.nn.ModuleList(torch.nn.Sequential(*parts) for parts in hidden)
        self.readout = torch.nn.Sequential(*readout)

    def forward(self, x):
        spikes = []
        if self.conv:
            x = x.unflatten(2, (1, SIDE, SIDE))
        for layer in self.hidden:
            spikes.append(layer(x))
            x = _pooled(spikes[-1]) if self.conv else spikes[-1]
        return self.readout(x.flatten(2) if self.conv else x), spikes


def products(network: Network, gain: float = 1.0, readout_gain: float = 1.0) -> list[Product]:
    """The products of the hidden layers and of the readout, with the initial weights; `Product` tells of the gains."""
    *hidden, readout = (weights.kernel for weights in initial_weights(network))
    if network.conv:  # PyTorch has channels before rows and columns
        channels = network.hidden[-1]
        readout = readout.reshape(-1, channels, readout.shape[-1]).swapaxes(0, 1).reshape(readout.shape)
    return [*(Product(kernel, gain) for kernel in hidden), Product(readout, readout_gain)]


def _pooled(x):
    """Sums of 2 x 2 pixels."""
    return functional.avg_pool2d(x.flatten(0, 1), 2, divisor_override=1).unflatten(0, x.shape[:2])
