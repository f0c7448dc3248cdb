"""One training step in PyTorch, and spiking networks layer by layer, shared by all contenders that are built on it."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.peers.workload import REFERENCE, SIDE, Loop, Network, initial_weights


def train(network: torch.nn.Module, batches: list[tuple], settings: Network = REFERENCE) -> Loop:
    """The loop of `network(x) -> (readout, spikes)`.

    The readout is (time, batch, unit), spikes are those of each layer.

    Args:
        network: see above.
        batches: see `Loop`; NumPy arrays, or tuples of such.
        settings: has the learning rate and the loss.
    """
    device, price = torch.get_default_device(), settings.loss
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)

    def step(x, y):
        readout, spikes = network(x)
        scores = readout.mean(0) if price.mean else readout.amax(0)
        loss, total = functional.cross_entropy(scores, y), 0.0
        for fired in spikes:
            counts = fired.sum((0, 1)) / fired.shape[1]
            total = total + counts.sum()
            loss = loss + price.l1 * counts.sum() + price.l2 * (counts**2).mean()
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
    """Weights times input (..., unit) or images, or a convolution of images (time, batch, channel, row, column).

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
            return functional.linear(x.flatten(2) if x.ndim > 3 else x, weight)
        return functional.conv2d(x.flatten(0, 1), weight, padding="same").unflatten(0, x.shape[:2])


class Norm(torch.nn.BatchNorm1d):
    """Normalization of (time, batch, channel, ...) over all axes but the channels.

    Args:
        channels: of the input.
        gain: times what is normalized, see `Product`.
    """

    def __init__(self, channels: int, gain: float):
        super().__init__(channels)
        self.gain = gain

    def forward(self, x):
        flat, averages = x.flatten(0, 1), (self.running_mean, self.running_var)
        scale, offset = self.weight * self.gain, self.bias * self.gain
        y = functional.batch_norm(flat, *averages, scale, offset, True, self.momentum, self.eps)
        return y.unflatten(0, x.shape[:2])


class Repeated(torch.nn.Module):
    """The same at every step; takes no memory."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def forward(self, x):
        return x.expand(self.steps, *x.shape[1:])


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
            x = _pooled(spikes[-1]) if spikes[-1].ndim > 3 else spikes[-1]
        return self.readout(x), spikes


def products(network: Network, gain: float = 1.0, readout_gain: float = 1.0) -> list[torch.nn.Module]:
    """The products of the hidden layers and of the readout, with the initial weights; `Product` tells of the gains.

    Those of hidden layers are normalized if the network is, and repeated if their input is the same at every step.
    """
    kernels, behind = [weights.kernel for weights in initial_weights(network)], len(network.hidden)
    if network.conv:  # PyTorch has channels before rows and columns
        kernel, channels = kernels[behind], network.hidden[-1]
        kernels[behind] = kernel.reshape(-1, channels, kernel.shape[-1]).swapaxes(0, 1).reshape(kernel.shape)
    *hidden, readout = kernels
    return [*(_arriving(network, kernel, gain) for kernel in hidden), Product(readout, readout_gain)]


def _arriving(network: Network, kernel: np.ndarray, gain: float) -> torch.nn.Module:
    """What arrives at hidden neurons; a gain in front of the normalization would be undone by it."""
    if not network.norm:
        return Product(kernel, gain)
    normalized = Product(kernel), Norm(kernel.shape[-1], gain)
    return torch.nn.Sequential(*normalized, Repeated(network.steps) if network.steady else torch.nn.Identity())


def _pooled(x):
    """Sums of 2 x 2 pixels."""
    return functional.avg_pool2d(x.flatten(0, 1), 2, divisor_override=1).unflatten(0, x.shape[:2])
