"""Loaders and data sets of PyTorch and of TensorFlow (Datasets), and the runs of BrainPy's tutorial, given to a trainer
as they stand."""

import jax
import numpy as np
import pytest
from networks import make_trainer, streamed_trainer
from tiers import needed

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.errors import ArgumentError
from snnlab.live import LiveTrainer
from snnlab.losses import Monitored
from snnlab.train import Trainer

torch, loading = needed("torch", "peers"), needed("torch.utils.data", "peers")


def same(one: Trainer, two: Trainer) -> None:
    for a, b in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(two.state.params), strict=True):
        np.testing.assert_array_equal(a, b)


class Digits(loading.Dataset):
    """A data set as PyTorch's users write it."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data.x_train)

    def __getitem__(self, k):
        return torch.from_numpy(self.data.x_train[k]), int(self.data.y_train[k])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader(small, workers):
    """In its own order, which is that of a run whose batches are a list."""
    loader = loading.DataLoader(Digits(small), batch_size=32, num_workers=workers)
    listed = [(small.x_train[k : k + 32], small.y_train[k : k + 32]) for k in range(0, 256, 32)]
    one, two = streamed_trainer(small, loader), streamed_trainer(small, listed)
    one.fit(), two.fit()
    same(one, two)


def test_a_loader_whose_iterators_are_one_is_refused(small):
    loader = loading.DataLoader(Digits(small), batch_size=32, num_workers=1, persistent_workers=True)
    with pytest.raises(ArgumentError, match=r"train: may be read twice at a time; .* persistent_workers=False"):
        streamed_trainer(small, loader)


def test_a_data_set_of_samples(small):
    """Shuffled here, as a `Dataset` is; also what PyTorch makes of tensors."""
    usual = make_trainer(small)
    usual.fit()
    tensors = loading.TensorDataset(torch.from_numpy(small.x_train), torch.from_numpy(small.y_train))
    for given in (Digits(small), tensors):
        trainer = streamed_trainer(small, given, batch_size=32)
        trainer.fit()
        same(trainer, usual)


@pytest.mark.parametrize("kind", [Trainer, LiveTrainer])
def test_the_tutorial_of_brainpy(digits, kind, monkeypatch):
    """Its generator and its loss, with BrainPy's own arrays and functions; only the network is one of snnlab.

    BrainPy has settings for each thread, and a dashboard trains in a thread of its own.
    """
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    bp = needed("brainpy", "peers")
    bm = bp.math

    def get_data(x, y, batch_size=256):
        rng = bm.random.default_rng(0)

        def data_generator():
            images, labels = bm.array(x, dtype=bm.float_) / 255, bm.array(y, dtype=bm.float_)
            key = rng.split_key()
            rng.shuffle(images, key=key)
            rng.shuffle(labels, key=key)
            for i in range(0, len(x), batch_size):
                yield images[i : i + batch_size], labels[i : i + batch_size]

        return data_generator

    def loss_fun(predicts, targets):
        predicts = bm.max(predicts, axis=1)
        loss = bp.losses.cross_entropy_loss(predicts, targets)
        acc = bm.mean(predicts.argmax(axis=-1) == targets)
        return loss, {"acc": acc}

    net = models.build(LstmConfig(hidden=48), sample_shape=(8, 8), num_classes=10)
    train, test = (get_data(x, y, 64) for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test)))
    trainer = kind(net, train, test=test, loss=loss_fun, epochs=10)
    trainer.fit()
    last = trainer.history.epochs[-1]
    assert last["test_acc"] > 0.8 and last["metrics"]["acc"] == pytest.approx(last["test_acc"], abs=1e-6)


def test_the_spiking_tutorial_of_brainpy(digits):
    """Its sparse batches, written into BrainPy's arrays by index, and its loss of `(predicts, mon)` with two prices."""
    bp = needed("brainpy", "peers")
    bm = bp.math

    def sparse_data_generator(x, y, batch_size, nb_steps):
        firing = np.where(x > 50, 16 - x // 16, nb_steps)  # a bright pixel fires early
        for k in range(0, len(x) // batch_size * batch_size, batch_size):
            sample, unit = np.nonzero(firing[k : k + batch_size] < nb_steps)
            x_batch = bm.zeros((batch_size, nb_steps, x.shape[1]))
            x_batch[sample, firing[k : k + batch_size][sample, unit], unit] = 1.0
            yield x_batch, bm.asarray(y[k : k + batch_size])

    def loss_fun(predicts, targets):
        predicts, mon = predicts
        l1_loss = 1e-5 * bm.sum(mon["r.spike"])
        l2_loss = 1e-5 * bm.mean(bm.sum(bm.sum(mon["r.spike"], axis=0), axis=0) ** 2)
        predicts = bm.max(predicts, axis=1)
        loss = bp.losses.cross_entropy_loss(predicts, targets)
        acc = bm.mean(predicts.argmax(axis=-1) == targets)
        return loss + l2_loss + l1_loss, {"acc": acc}

    x = digits.x_train.reshape(-1, 64).astype(int)
    net = models.build(SnnConfig(hidden=40, code="rows", v_th=0.3), sample_shape=(20, 64), num_classes=10)
    trainer = Trainer(
        net,
        lambda: sparse_data_generator(x[:640], digits.y_train[:640], 32, 20),
        test=lambda: sparse_data_generator(x[640:768], digits.y_train[640:768], 64, 20),
        loss=Monitored(loss_fun, {"r.spike": "hidden.spikes"}),
        epochs=6,
    )
    trainer.fit()
    last = trainer.history.epochs[-1]
    assert last["test_acc"] > 0.6 and last["metrics"]["acc"] == pytest.approx(last["test_acc"], abs=1e-6)


class Written:
    """Digits in the files of TensorFlow Datasets (ArrayRecord), which are read without TensorFlow."""

    def __init__(self, data, folder):
        tfds = needed("tensorflow_datasets", "peers")
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(8, 8), dtype=np.uint8),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        )

        class Small(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                for k, (image, label) in enumerate(zip(data.x_train, data.y_train, strict=True)):
                    yield k, {"image": image, "label": int(label)}

        self.builder = Small(data_dir=folder, file_format="array_record")
        self.builder.download_and_prepare()


def test_a_data_source_of_tensorflow_datasets(small, tmp_path):
    """Its samples are dicts with "image" and "label", read one by one; shuffled here, as a `Dataset` is."""
    given = Written(small, tmp_path).builder.as_data_source(split="train")
    usual, trainer = make_trainer(small), streamed_trainer(small, given, batch_size=32)
    usual.fit(), trainer.fit()
    same(trainer, usual)


def test_a_data_set_of_tensorflow(small):
    """A real `tf.data.Dataset`, if TensorFlow is installed: with 1.3 GB it is no part of an extra. Its interface is
    tested without it in `tests/data/test_data_source.py`."""
    tf = pytest.importorskip("tensorflow")
    given = tf.data.Dataset.from_tensor_slices((small.x_train, small.y_train)).batch(32)
    listed = [(small.x_train[k : k + 32], small.y_train[k : k + 32]) for k in range(0, 256, 32)]
    for form in (given, given.repeat(1).prefetch(2), given.map(lambda x, y: {"image": x, "label": y})):
        one, two = streamed_trainer(small, form), streamed_trainer(small, listed)
        one.fit(), two.fit()
        same(one, two)
