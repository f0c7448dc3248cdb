"""Runs whose data come batch by batch, saved in the middle of an epoch: their position in the data is found again, or
refused with the reason."""

import jax
import numpy as np
import pytest
from networks import streamed_batches as batches_of
from networks import streamed_trainer

from snnlab.checkpoint import Checkpoints
from snnlab.errors import ArgumentError, StateError
from snnlab.train import Trainer


def continued(folder, small, train, until=None) -> Trainer:
    """Continue the run in a folder, as a process does that is started again; save it after some steps."""
    run = Checkpoints(streamed_trainer(small, train), folder)
    try:
        run.trainer.fit(until=until)
        run.save_now()
    finally:
        run.close()
    return run.trainer


def shuffling(data):
    """Batches in an order that is drawn anew whenever they are asked for."""
    rng = np.random.default_rng()
    return lambda: batches_of(data, rng.integers(2**31))


@pytest.mark.parametrize("form", ["function", "list", "pair"])
def test_a_run_continues_in_the_middle_of_an_epoch(small, tmp_path, form):
    given = {
        "function": lambda epoch, seed: batches_of(small, epoch, seed),
        "list": list(batches_of(small, 1)),
        "pair": (small.x_train, small.y_train),
    }[form]
    whole = streamed_trainer(small, given)
    whole.fit()
    continued(tmp_path, small, given, until=11)
    found = continued(tmp_path, small, given)
    assert found.done
    for a, b in zip(jax.tree.leaves(found.state.params), jax.tree.leaves(whole.state.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_that_are_others_every_time_are_refused_in_the_middle_of_an_epoch(small, tmp_path):
    train = shuffling(small)
    continued(tmp_path / "middle", small, train, until=11)
    with pytest.raises(StateError, match=r"train: batch 1 of epoch 2 is another one .* the middle of this epoch"):
        continued(tmp_path / "middle", small, train)
    continued(tmp_path / "end", small, train, until=8)
    assert continued(tmp_path / "end", small, train).done


def test_another_source_is_another_run(small, tmp_path):
    continued(tmp_path, small, lambda epoch: batches_of(small, epoch), until=3)
    with pytest.raises(ArgumentError, match="the saved run is another one: data crc was"):
        continued(tmp_path, small, lambda epoch: batches_of(small, epoch, seed=5))
    with pytest.raises(ArgumentError, match="the saved run is another one: data batches was"):
        continued(tmp_path, small, lambda epoch: list(batches_of(small, epoch))[:7])
