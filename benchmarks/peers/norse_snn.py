"""The spiking network in Norse: `LIF` and `LI`, its modules over whole sequences, each with its own synapse."""

import norse.torch as norse
import torch

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


def _rates(tau_mem: float) -> dict[str, torch.Tensor]:
    """Inverse time constants; with dt = 1 they are per millisecond."""
    return {"tau_syn_inv": torch.tensor(1.0 / TAU_SYN), "tau_mem_inv": torch.tensor(1.0 / tau_mem)}


class Network(torch.nn.Module):
    """Layer by layer: each matrix is one product over all steps."""

    def __init__(self):
        super().__init__()
        self.to_hidden = torch.nn.Linear(PIXELS, HIDDEN, bias=False)
        self.to_readout = torch.nn.Linear(HIDDEN, CLASSES, bias=False)
        self.hidden = norse.LIF(norse.LIFParameters(**_rates(TAU_MEM)), dt=1.0)
        self.readout = norse.LI(norse.LIParameters(**_rates(TAU_OUT)), dt=1.0)
        torch_step.set_weights(self.to_hidden, self.to_readout, to=initial_weights())

    def forward(self, x):
        spikes, _ = self.hidden(self.to_hidden(x))
        readout, _ = self.readout(self.to_readout(spikes))
        return readout, spikes


def build(folder: str) -> Loop:
    """Its readout has gain 1/tau; the gain of the scores undoes that."""
    return torch_step.train(Network(), spike_batches(folder), score_gain=TAU_OUT)
