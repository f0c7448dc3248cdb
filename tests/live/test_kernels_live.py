"""The backends inside a live session: the train thread and the probe call them at once."""

import numpy as np
from networks import SMALL

from snnlab import kernels, models
from snnlab.live import LiveTrainer
from snnlab.live.look.prober import Prober


def test_probing_while_training_changes_nothing(digits):
    """A run that is probed all the time ends with the bits of a run that was left alone."""
    assert kernels.backend() == "numba"

    def lab():
        net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
        return LiveTrainer(net, digits, epochs=20, batch_size=64)

    alone, probed = lab(), lab()
    alone.fit()
    prober = Prober(probed.trainer.model, digits)
    prober(probed.model, 0)  # compiles
    probed.start()
    seen = 0
    while not probed.wait(timeout=0.0):
        probe = prober(probed.model, seen % 100)
        assert set(np.unique(probe.rasters["hidden"])) <= {0, 1} and np.isfinite(probe.readout).all()
        seen += 1
    assert seen > 5 and probed.state == "done"
    weights = [run.model.stack.layers["hidden"].kernel[...] for run in (alone, probed)]
    np.testing.assert_array_equal(*weights)
