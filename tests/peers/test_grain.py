"""Real loaders and data sets of Grain: samples, batches, and runs that continue where an iterator stood."""

import jax
import numpy as np
import pytest
from networks import make_trainer, streamed_trainer
from tiers import needed

from snnlab.checkpoint import Checkpoints
from snnlab.data import Source
from snnlab.errors import ArgumentError
from snnlab.train import Trainer

grain = needed("grain", "peers")
BATCH = 32


class Digits:
    """A source of samples, which counts how often it is read."""

    def __init__(self, data):
        self.data, self.read = data, 0

    def __len__(self):
        return len(self.data.x_train)

    def __getitem__(self, k):
        self.read += 1
        return {"image": self.data.x_train[k], "label": self.data.y_train[k]}

    def __repr__(self):
        return "digits"  # Grain compares it where an iterator is put back


def loader_of(digits: Digits, seed: int = 7, workers: int = 0):
    """A loader with an order and batches of its own."""
    sampler = grain.samplers.IndexSampler(
        len(digits), shuffle=True, seed=seed, num_epochs=1, shard_options=grain.sharding.NoSharding()
    )
    batch = grain.transforms.Batch(BATCH, drop_remainder=True)
    return grain.DataLoader(
        data_source=digits, sampler=sampler, operations=[batch], worker_count=workers, read_options=ONE_BY_ONE
    )


def iterated(digits: Digits, seed: int = 7):
    shuffled = grain.MapDataset.source(digits).seed(seed).shuffle()
    return shuffled.to_iter_dataset(ONE_BY_ONE).batch(BATCH, drop_remainder=True)


ONE_BY_ONE = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)  # so that what is read is known
FORMS = {
    "loader": loader_of,
    "iterated": iterated,
    "function of the epoch": lambda digits: lambda epoch: iterated(digits, epoch),
}


def params(trainer: Trainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trainer.state.params)]


def same(one: Trainer, two: Trainer) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(params(one), params(two), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_batches_of_grain_are_those_of_a_list(small, form):
    given = FORMS[form](Digits(small))
    listed = [[(b["image"], b["label"]) for b in (given(epoch) if callable(given) else given)] for epoch in (1, 2)]
    assert [len(batches) for batches in listed] == [8, 8]
    one, two = streamed_trainer(small, given), streamed_trainer(small, lambda epoch: listed[epoch - 1])
    one.fit(), two.fit()
    assert same(one, two)


def test_a_loader_with_a_process_of_its_own(small):
    """For which Grain looks at flags of its own that a script parses, see `absl.app.run`."""
    needed("absl.flags", "peers").FLAGS.mark_as_parsed()
    one = streamed_trainer(small, loader_of(Digits(small), workers=1))
    two = streamed_trainer(small, loader_of(Digits(small)))
    one.fit(), two.fit()
    assert same(one, two)


def test_samples_of_a_map_dataset_are_shuffled_here(small):
    """As those of a `Dataset`; where its items are batches, they come as they are."""
    digits = Digits(small)
    usual, one = make_trainer(small), streamed_trainer(small, grain.MapDataset.source(digits), batch_size=BATCH)
    usual.fit(), one.fit()
    assert same(one, usual)
    batched = grain.MapDataset.source(digits).batch(BATCH)
    assert repr(Source(train=batched, test=batched)).count("a list of batches") == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_run_continues_where_the_iterator_stood(small, tmp_path, form):
    """Bit for bit, in the middle of an epoch. A batch is read again, to compare it, and none before it."""
    whole = streamed_trainer(small, FORMS[form](Digits(small)))
    whole.fit()
    first = Checkpoints(streamed_trainer(small, FORMS[form](Digits(small))), tmp_path)
    first.trainer.fit(until=14)
    first.save_now()
    first.close()
    digits = Digits(small)
    again = Checkpoints(streamed_trainer(small, FORMS[form](digits)), tmp_path)
    assert again.resumed and len(again.trainer.history) == 14
    digits.read = 0
    again.trainer.fit()
    again.close()
    assert same(again.trainer, whole) and digits.read == 3 * BATCH


def test_a_loader_in_another_order_is_another_run(small, tmp_path):
    first = Checkpoints(streamed_trainer(small, loader_of(Digits(small))), tmp_path)
    first.trainer.fit(until=11)
    first.save_now()
    first.close()
    with pytest.raises(ArgumentError, match="the saved run is another one: data crc was"):
        Checkpoints(streamed_trainer(small, loader_of(Digits(small), seed=8)), tmp_path)


def test_what_is_repeated_for_ever_is_refused(small):
    samples = grain.MapDataset.source(Digits(small)).repeat()
    for endless in (samples, samples.batch(BATCH)):
        with pytest.raises(ArgumentError, match=r"train: is repeated for ever; leave repeat\(\) out"):
            streamed_trainer(small, endless)
