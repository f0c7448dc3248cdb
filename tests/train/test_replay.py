"""A run written as Python: executed it ends with the same bits."""

import runpy
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from networks import SMALL
from safetensors.numpy import load_file

from snnlab import data, losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.train import Trainer
from snnlab.train.replay import script


def replay(text: str, folder, *, fresh: bool = False) -> dict[str, np.ndarray]:
    """The weights that a script ends with, perhaps in a fresh interpreter."""
    path, saved = folder / "replay.py", folder / "net.safetensors"
    path.write_text(f"{text}\nsnnlab.save(net, {str(saved)!r})\n", encoding="utf-8")
    if fresh:
        subprocess.run([sys.executable, path], check=True)
    else:
        runpy.run_path(str(path))
    return load_file(saved)


@pytest.mark.parametrize(("config", "fresh"), [(replace(SMALL, slope=8.0), True), (LstmConfig(hidden=12), False)])
def test_a_replayed_run_has_the_same_bits(small, config, fresh, tmp_path):
    """Moves of knobs, a run that goes on after a pause, a new seed, values that are no round numbers: all the same."""
    build = {"sample_shape": (8, 8), "num_classes": 10}
    net = models.build(config, **build, seed=3)
    weights = {"l1": 1e-4, "l2": 3e-5} if isinstance(config, SnnConfig) else {}
    trainer = Trainer(net, small, loss=losses.Classification(**weights), epochs=2, batch_size=32, seed=3)
    trainer.fit(until=5)
    knob = "l1" if "l1" in trainer.mailbox.knobs else "learning_rate"
    trainer.set({knob: 0.1 / 3})
    trainer.reset(models.build(config, **build, seed=4), seed=4)
    trainer.fit(until=7)
    trainer.set(learning_rate=0.02 / 3)
    trainer.history.add_note('quoted """ and \\ not a line of code')
    trainer.fit(until=11)  # in the second epoch
    weights = replay(script(trainer), tmp_path, fresh=fresh)
    kernels = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trainer.state.params)]
    assert len(kernels) == {SnnConfig: 2, LstmConfig: 5}[type(config)]
    replayed = {array.tobytes() for array in weights.values()}
    assert all(kernel in replayed for kernel in kernels)


@pytest.mark.endure
def test_a_replayed_run_on_events(tmp_path):
    """The limit of events is part of the data; so is how the network reads them."""
    part = data.load("event_digits").subset(train=200, test=50, events=150)
    net = models.build(SnnConfig(hidden=9, code="events"), sample_shape=(2, 12, 12), num_classes=10, seed=0)
    trainer = Trainer(net, part, epochs=1, batch_size=50)
    trainer.fit(until=3)
    text = script(trainer)
    assert "load_data('event_digits').subset(train=200, test=50, events=150)" in text
    weights = {array.tobytes() for array in replay(text, tmp_path).values()}
    assert all(np.asarray(leaf).tobytes() in weights for leaf in jax.tree.leaves(trainer.state.params))


def test_what_cannot_be_written_down_is_left_open(digits):
    """Arrays, a model, a loss of one's own, weights from elsewhere."""
    own = replace(digits, name="mine")
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    net.stack.layers["hidden"].kernel.set_value(2 * net.stack.layers["hidden"].kernel[...])
    text = script(Trainer(net, own, loss=lambda record, labels: losses.cross_entropy(record.peak, labels)))
    for line in ("data = ...  # your data set 'mine'", "net = ...  # your model", "loss = ...  # your loss"):
        assert line in text
    compile(text, "script", "exec")
