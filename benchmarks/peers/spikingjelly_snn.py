"""The spiking network in SpikingJelly, in multi-step mode: on a CPU it runs its PyTorch code (its kernels are CUDA)."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate

from benchmarks.peers import torch_step
from benchmarks.peers.workload import (
    CLASSES,
    HIDDEN,
    PIXELS,
    TAU_MEM,
    TAU_OUT,
    TAU_SYN,
    Loop,
    initial_weights,
    spike_batches,
)


class Network(torch.nn.Module):
    """Its `SynapseFilter` is for 0/1 spikes only; the non-spiking LIF is the exponential synapse for currents."""

    def __init__(self):
        super().__init__()
        self.to_hidden = layer.Linear(PIXELS, HIDDEN, bias=False, step_mode="m")
        self.to_readout = layer.Linear(HIDDEN, CLASSES, bias=False, step_mode="m")
        self.hidden_synapse = neuron.NonSpikingLIFNode(tau=TAU_SYN)
        self.hidden = neuron.LIFNode(
            tau=TAU_MEM,
            v_reset=None,  # soft
            surrogate_function=surrogate.SoftSign(alpha=2.0),  # 1 / (2 |x| + 1)^2: a steeper one would be higher, too
            step_mode="m",
        )
        self.readout_synapse = neuron.NonSpikingLIFNode(tau=TAU_SYN)
        self.readout = neuron.NonSpikingLIFNode(tau=TAU_OUT)
        torch_step.set_weights(self.to_hidden, self.to_readout, to=initial_weights())

    def forward(self, x):
        functional.reset_net(self)
        spikes = self.hidden(torch.stack(self.hidden_synapse(self.to_hidden(x))))
        current = torch.stack(self.readout_synapse(self.to_readout(spikes)))
        return torch.stack(self.readout(current)), spikes


def build(folder: str) -> Loop:
    """Its filters have gain 1/tau; the amplitude of the input and the gain of the scores undo that."""
    return torch_step.train(Network(), spike_batches(folder, amplitude=TAU_SYN), score_gain=TAU_SYN * TAU_OUT)
