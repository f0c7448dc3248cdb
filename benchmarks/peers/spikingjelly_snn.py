"""Spiking networks in SpikingJelly, in multi-step mode: on a CPU it runs its PyTorch code (its kernels are CUDA).

Where neurons reach each other they are stepped, since its `LinearRecurrentContainer` would weigh the input once more.
"""

import torch
from spikingjelly.activation_based import functional, neuron, surrogate

from benchmarks.peers import torch_step
from benchmarks.peers.torch_step import Layered, Product
from benchmarks.peers.workload import (
    TAU_OUT,
    TAU_SYN,
    Loop,
    Network,
    Weights,
    initial_weights,
    spike_batches,
)


class Hidden(torch.nn.Module):
    """Neurons with a synapse each; they may reach each other."""

    def __init__(self, network: Network, weights: Weights, backend: str):
        super().__init__()
        settings = {"v_threshold": 1.0, "v_reset": None}  # soft
        settings["surrogate_function"] = surrogate.SoftSign(alpha=2.0)  # 1 / (2 |x| + 1)^2: a steeper one is higher
        if network.steady:
            self.neurons = neuron.LIFNode(tau=1.0 / (1.0 - network.decay(network.tau_mem)), **settings)
        else:
            decays = {"c_decay": network.decay(TAU_SYN), "v_decay": network.decay(network.tau_mem)}
            self.neurons = neuron.CUBALIFNode(**decays, **settings)
        self.neurons.step_mode = "s" if network.recurrent else "m"
        self.neurons.backend = backend
        self.between = Product(weights.recurrent, _gain(network)) if network.recurrent else None

    def forward(self, currents):
        if self.between is None:
            return self.neurons(currents)
        spikes = [self.neurons(currents[0])]
        for current in currents[1:].unbind(0):
            spikes.append(self.neurons(current + self.between(spikes[-1])))
        return torch.stack(spikes)


class Readout(torch.nn.Module):
    """A synapse and a membrane that does not fire."""

    def __init__(self, network: Network):
        super().__init__()
        self.filters = torch.nn.ModuleList(neuron.NonSpikingLIFNode(tau=tau / network.dt) for tau in (TAU_SYN, TAU_OUT))

    def forward(self, currents):
        for stage in self.filters:
            currents = torch.stack(stage(currents))
        return currents


def _gain(network: Network) -> float:
    """`CUBALIFNode` adds a current with weight 1, the exponential Euler step with this one, as `LIFNode` does."""
    return 1.0 if network.steady else 1.0 - network.decay(network.tau_mem)


def build(folder: str, network: Network, backend: str = "torch") -> Loop:
    """The filters of the readout have gain `dt / tau`. The back end is that of the hidden neurons."""
    readout, readout_gain = Readout(network), TAU_SYN * TAU_OUT / network.dt**2
    if network.steady:
        readout, readout_gain = torch.nn.Identity(), 1.0
    *products, to_readout = torch_step.products(network, _gain(network), readout_gain)
    neurons = [Hidden(network, weights, backend) for weights in initial_weights(network)[:-1]]
    layers = Layered(network, list(zip(products, neurons, strict=True)), (to_readout, readout))
    layers.register_forward_pre_hook(lambda module, _: functional.reset_net(module))
    return torch_step.train(layers, spike_batches(folder, network), network)
