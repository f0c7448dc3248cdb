"""The LSTM in PyTorch: `torch.nn.LSTM` over the sequence, then one product for the outputs of all steps."""

import torch

from benchmarks.peers import torch_step
from benchmarks.peers.workload import CLASSES, HIDDEN, SIDE, Loop, row_batches


class Network(torch.nn.Module):
    """Time comes first, as its LSTM has it by default."""

    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.LSTM(SIDE, HIDDEN)
        self.readout = torch.nn.Linear(HIDDEN, CLASSES)

    def forward(self, x):
        outputs, _ = self.hidden(x)
        return self.readout(outputs), []


def build(folder: str) -> Loop:
    """All in PyTorch's defaults."""
    torch.manual_seed(0)
    return torch_step.train(Network(), row_batches(folder))
