"""The spiking network in snnTorch: `Synaptic` is stepped; the readout, which never fires, is two `StateLeaky` filters.

`StateLeaky` (new in snnTorch 1.0) filters the whole sequence at once. Stepping a second `Synaptic` is 15 % slower.

The three libraries on PyTorch measured here have no event-driven input for the CPU, but PyTorch itself has one: an
`EmbeddingBag` sums the rows of the pixels that fire. One of them gets it here; it would serve the others as well.
"""

from collections.abc import Callable

import numpy as np
import snntorch
import torch
from snntorch import surrogate

from benchmarks.peers import torch_step
from benchmarks.peers.workload import (
    BATCH,
    CLASSES,
    DECAY,
    HIDDEN,
    PIXELS,
    SLOPE,
    TAU_OUT,
    TAU_SYN,
    TIME,
    Loop,
    initial_weights,
    spike_batches,
)

# Of a spike: snnTorch's membrane adds a current with weight 1, the exponential Euler step with this one.
AMPLITUDE = 1.0 - DECAY


class Network(torch.nn.Module):
    """Layer by layer: each matrix is one product over all steps.

    Args:
        to_hidden: what the input is given to; returns currents (time, batch, unit).
    """

    def __init__(self, to_hidden: Callable):
        super().__init__()
        self.to_hidden = to_hidden
        self.to_readout = torch.nn.Linear(HIDDEN, CLASSES, bias=False)
        self.hidden = snntorch.Synaptic(alpha=DECAY, beta=DECAY, spike_grad=surrogate.fast_sigmoid(slope=SLOPE))
        # It takes beta = 1 - 1/tau and decays by e^(-1/tau).
        self.filters = torch.nn.Sequential(
            *(snntorch.StateLeaky(beta=1.0 - 1.0 / tau, channels=CLASSES, output=False) for tau in (TAU_SYN, TAU_OUT))
        )
        torch_step.set_weights(self.to_readout, to=initial_weights()[1:])

    def forward(self, x):
        synapse, membrane = self.hidden.reset_mem()
        spikes = []
        for current in self.to_hidden(x).unbind(0):
            fired, synapse, membrane = self.hidden(current, synapse, membrane)
            spikes.append(fired)
        spikes = torch.stack(spikes)
        return self.filters(self.to_readout(spikes)), spikes


class EventInput(torch.nn.Module):
    """The first matrix as an `EmbeddingBag`; a bag holds the pixels that fire in one sample at one step."""

    def __init__(self):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(initial_weights()[0]), False, mode="sum")

    def forward(self, events):
        pixels, starts, amplitudes = events
        return self.bag(pixels, starts, amplitudes).view(TIME, BATCH, HIDDEN)


def build(folder: str) -> Loop:
    """From dense spikes."""
    to_hidden = torch.nn.Linear(PIXELS, HIDDEN, bias=False)
    torch_step.set_weights(to_hidden, to=initial_weights()[:1])
    return torch_step.train(Network(to_hidden), spike_batches(folder, AMPLITUDE))


def build_from_events(folder: str) -> Loop:
    """From events, which are ready-made just as well."""
    batches = []
    for spikes, labels in spike_batches(folder):
        bag, pixels = np.nonzero(spikes.reshape(-1, PIXELS))
        starts = np.searchsorted(bag, np.arange(TIME * BATCH))
        batches.append(((pixels, starts, np.full(len(pixels), AMPLITUDE, np.float32)), labels))
    return torch_step.train(Network(EventInput()), batches)
