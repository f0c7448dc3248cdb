"""More epochs: a run that is done goes on, as the run that had so many from its start, or as its history tells."""

import math
import runpy
from typing import Any

import jax
import numpy as np
import optax
import pytest
from networks import make_trainer

from snnlab.checkpoint import Checkpoints
from snnlab.config import LstmConfig
from snnlab.errors import ArgumentError
from snnlab.timeline import Timeline
from snnlab.train import Trainer
from snnlab.train.replay import script

EPOCH = 8  # steps
LSTM = LstmConfig(hidden=8)


def bits(trainer: Trainer) -> list[bytes]:
    state = trainer.state
    leaves = jax.tree.leaves((state.params, state.live, state.opt_state, state.step))
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def measured(trainer: Trainer) -> dict:
    """The history without what took how long."""
    told = trainer.history.to_dict()
    for row in told["epochs"]:
        del row["seconds"], row["samples_per_second"]
    return told


def longer(small, first: int, then: int, **options) -> Trainer:
    """Trained to its end, and on."""
    trainer = make_trainer(small, epochs=first, **options)
    trainer.fit()
    trainer.epochs = then
    trainer.fit()
    return trainer


@pytest.mark.parametrize("optimizer", [None, optax.inject_hyperparams(optax.sgd)(0.1)], ids=["adam", "own"])
def test_two_epochs_and_then_four_are_four(small, optimizer):
    """What does not depend on the number of epochs has the same bits: the samples of a step, the codes, the updates."""
    options: dict[str, Any] = {"schedule": "constant"} if optimizer is None else {"optimizer": optimizer}
    whole = make_trainer(small, epochs=4, **options)
    whole.fit()
    trainer = longer(small, 2, 4, **options)
    assert (trainer.epochs, trainer.total_steps, len(trainer.history), trainer.done) == (4, 32, 32, True)
    assert bits(trainer) == bits(whole) and measured(trainer) == measured(whole)
    assert trainer.compilations == 1 and trainer.history.interventions == []
    for epoch in range(1, 5):
        np.testing.assert_array_equal(
            trainer.runner.batches(0, epoch), make_trainer(small, epochs=1).runner.batches(0, epoch)
        )


def test_the_cosine_is_that_of_the_new_number_of_epochs_from_then_on(small):
    """Adam's steps are proportional to its learning rate: the same run, with the factors of the law moved by hand."""
    changes = {0: 2, 16: 4, 20: 3}  # from step k on, the schedule is that of so many epochs
    trainer = make_trainer(small, LSTM, epochs=2)
    for step, epochs in changes.items():
        trainer.fit(until=step)
        trainer.epochs = epochs
    trainer.fit()
    assert len(trainer.history) == 24
    law = []
    for k in range(24):
        length = EPOCH * next(epochs for step, epochs in reversed(changes.items()) if step <= k)
        law.append((k, "learning_rate", 0.01 * (1.0 + math.cos(math.pi * min(k, length) / length)) / 2.0))
    by_hand = make_trainer(small, LSTM, epochs=3, schedule="constant")
    by_hand.plan(law)
    by_hand.fit()
    one, two = (jax.tree.leaves(made.state.params) for made in (trainer, by_hand))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)
    moves = [(move["step"], move["knob"], move["old"], move["new"]) for move in trainer.history.interventions]
    assert moves == [(16, "epochs", 2, 4), (20, "epochs", 4, 3)] and trainer.compilations == 1


def test_a_longer_run_has_the_bits_of_its_script(small, tmp_path):
    """Raised in the middle and at the end, with moves on both sides, and one at the same step."""
    trainer = make_trainer(small, epochs=1)
    trainer.plan([(3, "v_th", 0.8), (5, "l1", 1e-3), (8, "v_th", 0.7), (12, "learning_rate", 5e-3)])
    trainer.fit(until=5)
    trainer.epochs = 3
    trainer.epochs = 2  # the last word before a step counts
    trainer.fit()
    trainer.epochs = 3
    trainer.fit(until=21)
    text = script(trainer)
    (tmp_path / "script.py").write_text(text)
    assert text.count("trainer.epochs = ") == 2 and "epochs=1" in text
    again = runpy.run_path(str(tmp_path / "script.py"))["trainer"]
    assert bits(again) == bits(trainer) and measured(again) == measured(trainer)
    assert script(again) == text


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_from_disk_too(small, tmp_path, schedule):
    said = []
    first = Checkpoints(make_trainer(small, epochs=2, schedule=schedule), tmp_path)
    for _ in first:
        pass
    first.close()
    second = Checkpoints(make_trainer(small, epochs=4, schedule=schedule), tmp_path, say=said.append)
    assert not second.trainer.done and said == [f"{tmp_path}: the run was to have 2 epochs, and now continues to 4"]
    second.trainer.fit(until=27)
    second.save_now()
    second.close()
    third = Checkpoints(make_trainer(small, epochs=4, schedule=schedule), tmp_path, say=said.append)
    for _ in third:
        pass
    third.close()
    direct = longer(small, 2, 4, schedule=schedule)
    assert bits(third.trainer) == bits(direct) and measured(third.trainer) == measured(direct)
    assert script(third.trainer) == script(direct) and len(said) == 1
    with pytest.raises(ArgumentError, match="epochs: must be at least the 4 of the saved run, got 3"):
        Checkpoints(make_trainer(small, epochs=3, schedule=schedule), tmp_path)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_every_branch_goes_on_and_back(small, schedule):
    timeline = Timeline(make_trainer(small, epochs=2, schedule=schedule))
    timeline.fit()
    timeline.branch(11, "b", v_th=0.6)
    for _ in timeline.run("b", until=13):
        pass
    timeline.epochs = 4
    for _ in timeline.run("a", "b"):
        pass
    assert {branch.tip.steps for branch in timeline.branches.values()} == {32}
    starts = {"a": 16, "b": 13}
    for name, start in starts.items():
        timeline.switch(name)
        own = make_trainer(small, epochs=2, schedule=schedule)
        own.plan([(11, "v_th", 0.6)] if name == "b" else [])
        for until, epochs in ((start, 2), (30, 4), (32, 4)):
            own.epochs = epochs
            own.fit(until=until)
            assert bits(own) == _at(timeline, until)
            timeline.switch(name)
    if schedule == "constant":
        whole = make_trainer(small, epochs=4, schedule=schedule)
        whole.fit()
        timeline.switch("a")
        assert bits(timeline.trainer) == bits(whole)


def _at(timeline: Timeline, step: int) -> list[bytes]:
    """The bits after a step, with few points kept, so that it is reached across the change."""
    timeline.budget = timeline.least(timeline.trainer)
    timeline.rewind(step=step)
    return bits(timeline.trainer)


def test_a_restart_begins_with_all_its_epochs(small):
    trainer = longer(small, 1, 3)
    trainer.reset()
    trainer.fit()
    whole = make_trainer(small, epochs=3)
    whole.fit()
    assert bits(trainer) == bits(whole) and measured(trainer) == measured(whole)


def test_what_cannot_be_is_refused(small):
    trainer = make_trainer(small, epochs=3)
    trainer.fit(until=9)
    for wrong, words in (
        (1, "epochs: must be at least 2, which the run has begun or trained, got 1"),
        (0, "epochs: must be an integer >= 1, got 0"),
        (2.5, "epochs: must be an integer"),
        (2**31, "epochs: must be at most 268435455 here, got 2147483648"),
    ):
        with pytest.raises(ArgumentError, match=words):
            trainer.epochs = wrong  # pyright: ignore[reportAttributeAccessIssue]
    assert trainer.epochs == 3
    timeline = Timeline(trainer)
    timeline.fit()
    timeline.rewind(step=2)
    with pytest.raises(ArgumentError, match="epochs: must be at least 3, which branch a has begun or trained, got 2"):
        timeline.epochs = 2
    trainer.epochs = 3
    assert trainer.fit().num_epochs == 3
