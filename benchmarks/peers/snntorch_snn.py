"""Spiking networks in snnTorch: `Synaptic`, or `Leaky` where there are no synapses, is stepped; the readout, which
never fires, is two `StateLeaky` filters.

`StateLeaky` (new in snnTorch 1.0) filters the whole sequence at once. Stepping a second `Synaptic` is 15 % slower.

The three libraries on PyTorch measured here have no event-driven input for the CPU, but PyTorch itself has one: an
`EmbeddingBag` sums the rows of the pixels that fire. One of them gets it here; it would serve the others as well.
"""

import numpy as np
import snntorch
import torch
from snntorch import surrogate

from benchmarks.peers import torch_step
from benchmarks.peers.torch_step import Layered, Product
from benchmarks.peers.workload import (
    CLASSES,
    PIXELS,
    TAU_OUT,
    TAU_SYN,
    Loop,
    Network,
    Weights,
    initial_weights,
    spike_batches,
)


class Hidden(torch.nn.Module):
    """Neurons, step by step; `RSynaptic` has the connections between them."""

    def __init__(self, network: Network, weights: Weights):
        super().__init__()
        settings = {"beta": network.decay(network.tau_mem), "spike_grad": surrogate.fast_sigmoid(slope=network.slope)}
        self.recurrent = network.recurrent
        if self.recurrent:
            settings |= {"alpha": network.decay(TAU_SYN), "linear_features": len(weights.recurrent)}
            self.neurons = snntorch.RSynaptic(**settings)
            self.neurons.recurrent = Product(weights.recurrent, gain(network))  # its own has a bias
        elif network.steady:
            self.neurons = snntorch.Leaky(**settings)
        else:
            self.neurons = snntorch.Synaptic(alpha=network.decay(TAU_SYN), **settings)

    def forward(self, currents):
        state, spikes = self.neurons.reset_mem(), []
        state = state if isinstance(state, tuple) else (state,)
        for current in currents.unbind(0):
            fired, *state = self.neurons(current, *state)
            spikes.append(fired)
            if self.recurrent:
                state = fired, *state
        return torch.stack(spikes)


def gain(network: Network) -> float:
    """snnTorch's membrane adds a current with weight 1, the exponential Euler step with this one."""
    return 1.0 - network.decay(network.tau_mem)


def _network(network: Network, *, event_driven: bool = False) -> Layered:
    *products, to_readout = torch_step.products(network, gain(network))
    if event_driven:
        products[0] = EventInput(network)
    neurons = [Hidden(network, weights) for weights in initial_weights(network)[:-1]]
    # It takes beta = 1 - 1/tau and decays by e^(-1/tau).
    filters = torch.nn.Sequential(
        *(
            snntorch.StateLeaky(beta=1.0 - network.dt / tau, channels=CLASSES, output=False)
            for tau in (() if network.steady else (TAU_SYN, TAU_OUT))
        )
    )
    return Layered(network, list(zip(products, neurons, strict=True)), (to_readout, filters))


class EventInput(torch.nn.Module):
    """The first matrix as an `EmbeddingBag`; a bag holds the pixels that fire in one sample at one step."""

    def __init__(self, network: Network):
        super().__init__()
        first = torch.from_numpy(initial_weights(network)[0].kernel)
        self.bag = torch.nn.EmbeddingBag.from_pretrained(first, False, mode="sum")
        self.shape = network.steps, network.batch, network.hidden[0]

    def forward(self, events):
        pixels, starts, amplitudes = events
        return self.bag(pixels, starts, amplitudes).view(self.shape)


def build(folder: str, network: Network) -> Loop:
    """From dense spikes."""
    return torch_step.train(_network(network), spike_batches(folder, network), network)


def build_from_events(folder: str, network: Network) -> Loop:
    """From events, which are ready-made just as well."""
    batches, amplitude = [], gain(network)
    for spikes, labels in spike_batches(folder, network):
        bag, pixels = np.nonzero(spikes.reshape(-1, PIXELS))
        starts = np.searchsorted(bag, np.arange(network.steps * network.batch))
        batches.append(((pixels, starts, np.full(len(pixels), amplitude, np.float32)), labels))
    return torch_step.train(_network(network, event_driven=True), batches, network)
