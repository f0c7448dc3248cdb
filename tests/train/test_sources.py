"""Runs whose data come batch by batch: the same bits as from a data set, however the run is cut; what goes wrong stops
the run and loses nothing. The reference is always a run on the same samples as a `Dataset`."""

import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import SMALL, make_trainer
from networks import streamed_batches as batches_of
from networks import streamed_tests as part_of
from networks import streamed_trainer as streamed

from snnlab import losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Source, load
from snnlab.data.targets import Targets
from snnlab.errors import ArgumentError, DataError, DivergenceError, StateError
from snnlab.timeline import Timeline
from snnlab.train import Trainer, replay

B = 32


def net(data, config=SMALL):
    return models.build(config, sample_shape=data.sample_shape, num_classes=data.num_classes)


def shuffling(data):
    """A generator function as in tutorials: its order is drawn anew whenever it is called."""
    rng = np.random.default_rng()

    def batches():
        order = rng.permutation(len(data.x_train))
        for k in range(0, len(order), B):
            yield data.x_train[order[k : k + B]], data.y_train[order[k : k + B]]

    return batches


def rows(trainer) -> list[dict]:
    timed = ("seconds", "samples_per_second")
    return [{name: value for name, value in row.items() if name not in timed} for row in trainer.history.epochs]


def same(one: Trainer, two: Trainer) -> None:
    """The same weights, losses and results, to the bit."""
    for a, b in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(two.state.params), strict=True):
        np.testing.assert_array_equal(a, b)
    for name, column in one.history.steps().items():
        np.testing.assert_array_equal(column, two.history.steps()[name])
    assert rows(one) == rows(two)


@pytest.fixture(scope="module")
def usual(small):
    trainer = make_trainer(small)
    trainer.fit()
    return trainer


@pytest.mark.parametrize("form", ["function", "pair", "samples"])
def test_a_stream_has_the_bits_of_the_data_set(small, usual, form):
    class Samples:
        def __len__(self):
            return len(small.x_train)

        def __getitem__(self, k):
            return small.x_train[k], small.y_train[k]

    train = {
        "function": lambda epoch, seed: batches_of(small, epoch, seed),
        "pair": (small.x_train, small.y_train),
        "samples": Samples(),
    }[form]
    trainer = streamed(small, train, batch_size=None if form == "function" else B)
    trainer.fit()
    same(trainer, usual)
    assert trainer.compilations == 1 and trainer.steps_per_epoch == 8 and trainer.config.batch_size == B
    assert trainer.evaluate() == usual.evaluate() and repr(trainer.data).startswith(
        "Head('stream': the first 256 train"
    )


def test_events_have_the_bits_of_the_data_set():
    camera = load("event_digits").subset(train=96, test=32)
    config = SnnConfig(hidden=16, num_steps=50, dt=2.0, code="events")

    def lists(x):
        events = x.structured()
        return [events[a:b] for a, b in zip(x.offsets[:-1], x.offsets[1:], strict=True)]

    recordings = lists(camera.x_train)

    class Recordings:
        def __len__(self):
            return len(recordings)

        def __getitem__(self, k):
            return recordings[k], camera.y_train[k]

    test = [(lists(camera.x_test), camera.y_test)]
    source = Source(train=Recordings(), test=test, sensor=camera.sample_shape)
    one, two = (Trainer(net(camera, config), data, epochs=1, batch_size=B) for data in (source, camera))
    one.fit(), two.fit()
    for a, b in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(two.state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)  # it is padded to another length
    assert rows(one)[0]["test_acc"] == rows(two)[0]["test_acc"] and one.data.has_events


def test_the_tutorial_runs_as_it_stands(digits):
    """Generator functions for training and test, a loss of predictions that returns its accuracy, labels as floats."""
    images, labels = digits.x_train.astype(np.float32) / 255.0, digits.y_train.astype(np.float32)

    def get_data(x, y, batch_size):
        rng = np.random.default_rng(0)

        def data_generator():
            order = rng.permutation(len(x))
            for k in range(0, len(x), batch_size):
                yield x[order[k : k + batch_size]], y[order[k : k + batch_size]]

        return data_generator

    def loss_fun(predicts, targets):
        assert predicts.shape[1:] == (8, 10) and predicts.shape[0] == targets.shape[0]  # batch, time, class
        predicts = jnp.max(predicts, axis=1)
        loss = losses.cross_entropy(predicts, targets)
        acc = jnp.mean(predicts.argmax(axis=-1) == targets)
        return loss, {"acc": acc}

    model = models.build(LstmConfig(hidden=48), sample_shape=(8, 8), num_classes=10)
    train, test = get_data(images[:1280], labels[:1280], 32), get_data(images[1280:], labels[1280:], 64)
    trainer = Trainer(model, train, test=test, loss=loss_fun, epochs=6)
    trainer.fit()
    last = trainer.history.epochs[-1]
    assert last["test_acc"] > 0.8 and last["metrics"]["acc"] == pytest.approx(last["test_acc"], abs=1e-6)
    assert trainer.history.epochs[-1]["train_loss"] < 0.7 * trainer.history.epochs[0]["train_loss"]


def spiking_tutorial(digits, layer: str):
    """The network of the tutorial's second part, its generator of spikes in batches, and its loss of predictions and
    what is monitored: two prices for spikes beside the cross-entropy. Only names of layers are snnlab's."""

    def get_spikes(x, y, batch_size, steps=20):
        times = np.where(x.reshape(len(x), -1) > 0.2, (1.0 - x.reshape(len(x), -1)) * 15, steps).astype(int)

        def data_generator():
            for k in range(0, len(x) // batch_size * batch_size, batch_size):
                one = times[k : k + batch_size]
                sample, unit = np.nonzero(one < steps)
                batch = np.zeros((batch_size, steps, one.shape[1]), np.float32)
                batch[sample, one[sample, unit], unit] = 1.0
                yield batch, y[k : k + batch_size]

        return data_generator

    def loss_fun(predicts, targets):
        predicts, mon = predicts
        total = 1e-5 * jnp.sum(mon["r.spike"])
        each = 1e-5 * jnp.mean(jnp.sum(jnp.sum(mon["r.spike"], axis=0), axis=0) ** 2)
        predicts = jnp.max(predicts, axis=1)
        loss = losses.cross_entropy(predicts, targets)
        acc = jnp.mean(predicts.argmax(axis=-1) == targets)
        return loss + total + each, {"acc": acc}

    images, labels = digits.x_train.astype(np.float32) / 255.0, digits.y_train
    train, test = get_spikes(images[:640], labels[:640], 32), get_spikes(images[640:768], labels[640:768], 64)
    config = SnnConfig(hidden=40, code="rows", v_th=0.3)
    model = models.build(config, sample_shape=(20, 64), num_classes=10)
    return model, train, test, losses.Monitored(loss_fun, {"r.spike": layer}), loss_fun


def test_the_spiking_tutorial_runs_as_it_stands(digits):
    """It minimizes what its loss says, which is computed by hand here from the record of the first batch."""
    model, train, test, loss, _ = spiking_tutorial(digits, "hidden.spikes")
    x, y = next(train())
    record = nnx.jit(lambda net, x: net(x))(model, x)
    fired, scores = np.asarray(record.spikes["hidden"], float), np.asarray(record.readout, float).max(0)
    entropy = np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(len(y)), y])
    expected = entropy + 1e-5 * fired.sum() + 1e-5 * np.mean(fired.sum((0, 1)) ** 2)
    trainer = Trainer(model, train, test=test, loss=loss, epochs=6)
    trainer.fit()
    assert fired.sum() > 100 and trainer.history.steps()["loss"][0] == pytest.approx(expected, rel=1e-5)
    last = trainer.history.epochs[-1]
    assert last["test_acc"] > 0.6 and last["metrics"]["acc"] == pytest.approx(last["test_acc"], abs=1e-6)


def test_a_loss_that_expects_a_pair_is_told_what_to_do(digits):
    model, train, test, _, loss_fun = spiking_tutorial(digits, "hidden.spikes")
    for batches in (train, lambda: [(x[:2], y[:2]) for x, y in train()]):  # two samples can be unpacked
        with pytest.raises(
            ArgumentError, match=r"expect a pair .*losses\.Monitored\(loss, {.r\.spike.: .hidden.spikes.}"
        ):
            Trainer(model, batches, test=batches, loss=loss_fun)
    for place, message in (
        ("r.spikes", "there is no layer 'r'; there are hidden, readout"),
        ("readout.spikes", "no spikes"),
    ):
        with pytest.raises(ArgumentError, match=f"monitors: .*{message}"):
            Trainer(*spiking_tutorial(digits, place)[:2], test=test, loss=spiking_tutorial(digits, place)[3])


def test_a_smaller_last_batch_is_a_step_of_its_own(small):
    """80 samples in steps of 32, 32 and 16: the third starts where the second ended, and is taken on 16 samples."""

    def ragged():
        for k in range(0, 80, B):
            yield small.x_train[k : min(k + B, 80)], small.y_train[k : min(k + B, 80)]

    trainer = streamed(small, ragged, epochs=1)
    trainer.fit(until=2)
    before = trainer.state
    trainer.fit(until=3)
    structure = trainer.stepper.structure
    targets = Targets(small.y_train[64:80])
    own, log = jax.jit(structure.step)(before, small.x_train[64:80], targets)
    for a, b in zip(jax.tree.leaves(own.params), jax.tree.leaves(trainer.state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(trainer.history.steps()["loss"][2], log["loss"], rtol=1e-5)
    assert len(trainer.history) == 3 and trainer.compilations == 2 and trainer.runner.feed.samples == 80


@pytest.mark.parametrize("until", [1, 5, 8, 11])
def test_a_run_may_be_cut_anywhere(small, usual, until):
    """Left and continued, it goes on with the next batch; nothing is read twice."""
    calls = []

    def train(epoch):
        calls.append(epoch)
        return batches_of(small, epoch)

    trainer = streamed(small, train)
    calls.clear()
    trainer.fit(until=until)
    trainer.fit()
    same(trainer, usual)
    assert calls == [1, 2]


def test_rewinding_and_branches_repeat_the_batches(small, usual):
    timeline = Timeline(streamed(small, lambda epoch: batches_of(small, epoch)))
    timeline.fit()
    timeline.rewind(step=5)
    assert len(timeline.trainer.history) == 5
    timeline.fit()
    same(timeline.trainer, usual)
    branch = timeline.branch(11, learning_rate=0.001)
    timeline.fit()
    own = Timeline(make_trainer(small))
    own.fit()
    own.branch(11, learning_rate=0.001)
    own.fit()
    same(timeline.trainer, own.trainer)
    assert branch.start == 11


def test_batches_that_are_others_every_time_cannot_be_rewound_into(small):
    """But the run is not harmed by the attempt, and the end of an epoch can be gone on from."""
    timeline = Timeline(streamed(small, shuffling(small), epochs=3))
    timeline.trainer.fit(until=11)
    timeline.keep()
    with pytest.raises(
        StateError, match=r"train: batch \d of epoch \d is another one than when it was used, .*`epoch`"
    ):
        timeline.rewind(step=5)
    assert len(timeline.trainer.history) == 11
    timeline.fit()
    assert timeline.trainer.done and len(timeline.trainer.history) == 24
    timeline.rewind(epoch=2)
    timeline.fit()
    assert len(timeline.trainer.history) == 24


def test_a_run_that_was_put_into_the_middle_of_an_epoch_goes_on_if_its_batches_are_the_same(small, usual):
    repeats = streamed(small, lambda epoch: batches_of(small, epoch))
    repeats.fit(until=11)
    again = copy.deepcopy(repeats)
    again.fit()
    same(again, usual)
    other = streamed(small, shuffling(small))
    other.fit(until=11)
    with pytest.raises(StateError, match=r"train: batch 1 of epoch 2 is another one .* the middle of this epoch"):
        copy.deepcopy(other).fit()
    stranger = streamed(small, shuffling(small))
    stranger.at = other.at
    with pytest.raises(StateError, match="was used, but it was not noted what it was"):
        stranger.fit()


def test_a_trainer_with_a_source_is_pickled(small, usual):
    """It stands in the middle of an epoch, and continues with the next batch."""
    trainer = streamed(small, (small.x_train, small.y_train))
    trainer.fit(until=11)
    again = pickle.loads(pickle.dumps(trainer))
    again.fit()
    same(again, usual)


class Wrong:
    """A source in whose second epoch something is wrong until it is mended."""

    def __init__(self, data, error):
        self.data, self.error, self.mended = data, error, False

    def __call__(self, epoch):
        for k, batch in enumerate(batches_of(self.data, epoch)):
            if epoch == 2 and k == 3 and not self.mended:
                yield self.error(batch)
            yield batch


def raises(batch):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (raises, r"train: batch 4 of epoch 2 cannot be read \(OSError: the disk is gone\)"),
        (lambda batch: (batch[0][:, :4], batch[1]), r"batch 4 of epoch 2: x is uint8\(32, 4, 8\), .*uint8\(32, 8, 8\)"),
    ],
    ids=["raises", "another shape"],
)
def test_what_goes_wrong_stops_the_run_and_loses_nothing(small, usual, error, message):
    source = Wrong(small, error)
    trainer = streamed(small, source)
    for _ in range(2):
        with pytest.raises(DataError, match=message):
            trainer.fit()
        assert len(trainer.history) == 11 and len(trainer.history.epochs) == 1
        for a, b in zip(jax.tree.leaves(trainer.snapshot()), jax.tree.leaves(trainer.model), strict=True):
            np.testing.assert_array_equal(a, b)
    source.mended = True
    trainer.fit()
    same(trainer, usual)


def test_a_loss_that_is_not_finite_is_found_in_a_stream(small):
    """The same step, reason and way back as with the data set, also where the batches cannot be read again."""

    found = []
    for train in (None, lambda epoch: batches_of(small, epoch), shuffling(small)):
        trainer = make_trainer(small) if train is None else streamed(small, train)
        trainer.plan([(11, "learning_rate", 1e38)])
        with pytest.raises(DivergenceError) as caught:
            trainer.fit()
        found.append((caught.value.step, caught.value.back_to, len(trainer.history)))
        trainer.go_back(0.001)
        trainer.fit()
        assert trainer.done
    assert found[0] == found[1] and found[2][0] in (11, 12)


def test_a_source_needs_a_test(small):
    with pytest.raises(ArgumentError, match="test: a run needs samples that it does not learn from; pass test="):
        Trainer(net(small), lambda: batches_of(small, 1))
    with pytest.raises(ArgumentError, match="test: the Dataset has parts of its own; leave it out"):
        Trainer(net(small), small, test=part_of(small))
    with pytest.raises(ArgumentError, match="batch_size: the batches of the source have 32 samples, got 16"):
        streamed(small, lambda: batches_of(small, 1), batch_size=16)


def test_a_validation_source_is_watched(small):
    parts = {"test": part_of(small), "validation": part_of(small)[:1]}
    trainer = Trainer(net(small), (small.x_train, small.y_train), **parts, epochs=1, batch_size=B)
    assert [report.phase for report in trainer].count("test") == 1
    whole = trainer.evaluate("val")
    assert trainer.history.epochs[0]["val_acc"] == whole["accuracy"] and trainer.data.parts == ("train", "val", "test")


def test_what_cannot_be_written_down_is_said(small):
    trainer = streamed(small, lambda epoch: batches_of(small, epoch), epochs=1)
    trainer.fit()
    text = replay.script(trainer)
    assert (
        "data = ...  # your Source('stream': train a function, test a list of batches), 8 batches of 32 an epoch"
        in text
    )
    compile(text, "replay", "exec")
    assert trainer.provenance["data"] == "stream" and trainer.provenance["batch_size"] == B


def test_ctrl_c_ends_the_wait_for_a_batch_that_does_not_come(small, usual):
    """The steps before it are kept, and the run goes on when it has come."""
    come = threading.Event()

    def slow(epoch):
        for k, batch in enumerate(batches_of(small, epoch)):
            if (epoch, k) == (2, 3):
                while len(trainer.history) < 11:
                    time.sleep(0.01)
                threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
                come.wait(60.0)
            yield batch

    trainer = streamed(small, slow)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert len(trainer.history) == 11
    come.set()
    trainer.fit()
    same(trainer, usual)


def test_nothing_is_left_when_a_run_is_forgotten(small):
    """No thread, though it stopped in the middle of an epoch."""
    before = threading.active_count()
    trainer = streamed(small, lambda epoch: batches_of(small, epoch))
    trainer.fit(until=3)
    del trainer
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "snnlab-read":
            thread.join(10.0)
    assert threading.active_count() <= before


LARGE = """
import resource, sys
import numpy as np
from snnlab import SnnConfig, Trainer, build

folder, gigabytes, steps = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
samples = int(gigabytes * 1e9 / 784)
x = np.lib.format.open_memmap(f"{folder}/x.npy", "w+", np.uint8, (samples, 28, 28))  # a sparse file
x[::samples // 1000, 3] = 200
x.flush()
y = np.arange(samples, dtype=np.uint8) % 10
x = np.load(f"{folder}/x.npy", mmap_mode="r")
net = build(SnnConfig(hidden=20, num_steps=20), sample_shape=(28, 28), num_classes=10)
trainer = Trainer(net, (x, y), test=(x[:1000], y[:1000]), epochs=1, batch_size=128)
trainer.fit(until=1)  # compiled
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trainer.fit(until=steps)
print(len(trainer.history), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("gigabytes", "steps", "most"), [(2, 50, 300), pytest.param(20, 300, 1500, marks=pytest.mark.nightly)]
)
def test_a_file_that_is_larger_than_memory_trains_within_it(tmp_path, gigabytes, steps, most):
    """A sparse file, read at random places: the peak of the memory [MB] grows by a small part of its size."""
    command = [sys.executable, "-c", LARGE, str(tmp_path), str(gigabytes), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    taken, grown = map(int, done.stdout.split())
    assert taken == steps and grown < most
