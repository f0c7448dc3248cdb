"""The LSTM in BrainPy: the tutorial's `LSTMCell` over the sequence, then one product for the outputs of all steps."""

import brainpy as bp

from benchmarks.peers import brainpy_step
from benchmarks.peers.workload import CLASSES, HIDDEN, SIDE, Loop, row_batches


class Network(bp.DynamicalSystem):
    """Time comes first."""

    def __init__(self):
        super().__init__()
        self.hidden = bp.dyn.LSTMCell(SIDE, HIDDEN)
        self.readout = bp.dnn.Dense(HIDDEN, CLASSES)

    def update(self, x):
        return self.readout(brainpy_step.over_time(self.hidden, x)), []


def build(folder: str) -> Loop:
    """All in its defaults."""
    return brainpy_step.train(Network(), row_batches(folder))
