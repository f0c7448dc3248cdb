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


class Placed:
    """What Grain has: iterators that say where they stand and can be put there. Counts what is read."""

    def __init__(self, batches, *, astray: int = 0, broken: bool = False):
        self.batches, self.astray, self.broken = batches, astray, broken
        self.read: list[int] = []

    def __iter__(self):
        whole = self

        class Iterator:
            next = 0

            def __iter__(self):
                return self

            def __next__(self):
                if self.next == len(whole.batches):
                    raise StopIteration
                whole.read.append(self.next)
                self.next += 1
                return whole.batches[self.next - 1]

            def get_state(self):
                return {"next": self.next}

            def set_state(self, state):
                if whole.broken:
                    raise ValueError("the state is of another version")
                self.next = state["next"] + whole.astray

        return Iterator()


def test_a_loader_that_says_where_it_stands_continues_there(small, tmp_path):
    """The last batch that was used is read again, to compare it, and none before it."""
    listed = list(batches_of(small, 1))
    whole = streamed_trainer(small, listed)
    whole.fit()
    continued(tmp_path, small, Placed(listed), until=13)
    run = Checkpoints(streamed_trainer(small, loader := Placed(listed)), tmp_path)
    loader.read.clear()  # of the start, when batches are counted
    run.trainer.fit()
    run.close()
    assert loader.read == [4, 5, 6, 7]
    for a, b in zip(jax.tree.leaves(run.trainer.state.params), jax.tree.leaves(whole.state.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_place_that_is_another_one_is_refused(small, tmp_path):
    listed = list(batches_of(small, 1))
    continued(tmp_path, small, Placed(listed), until=13)
    with pytest.raises(StateError, match=r"train: batch 5 of epoch 2 is another one than when it was used"):
        continued(tmp_path, small, Placed(listed, astray=1))


def test_a_place_that_cannot_be_taken_is_found_by_reading(small, tmp_path):
    listed = list(batches_of(small, 1))
    continued(tmp_path, small, Placed(listed), until=13)
    assert continued(tmp_path, small, Placed(listed, broken=True)).done
    for number, state in enumerate(("no json", '{"state": 3}')):
        run = Checkpoints(streamed_trainer(small, Placed(listed)), tmp_path / str(number))
        run.trainer.fit(until=13)
        places = run.trainer.runner.feed.places
        places[run.trainer.config.seed, 2] = places[run.trainer.config.seed, 2]._replace(state=state)
        run.save_now()
        run.close()
        assert continued(tmp_path / str(number), small, Placed(listed)).done


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
