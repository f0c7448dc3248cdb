"""The errors of a network, against a count by hand and against what the engine itself measures."""

import numpy as np
import pytest
from flax import nnx
from networks import make_trainer

from snnlab import data, losses
from snnlab.config import SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.errors import ArgumentError
from snnlab.live.frames.errors import ABSENT, FULL, Review, Reviews, cell_frame, confusion_frame
from snnlab.live.look.reviewer import Reviewer
from snnlab.models import build
from snnlab.record import Record
from snnlab.train import Trainer


def review_of(labels, predictions, confidence=None, **parts) -> Review:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    confidence = np.full(len(labels), 0.5) if confidence is None else np.asarray(confidence, float)
    common = {"step": 1, "index": np.arange(len(labels)), "total": len(labels)}
    return Review(labels=labels, predictions=predictions, confidence=confidence, **common | parts)


def matrix(frame: dict) -> np.ndarray:
    return np.frombuffer(frame["counts"], np.int32).reshape(len(frame["shown"]), -1)


def drawn(classes: int, samples: int = 3000) -> Review:
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=samples)
    guesses = np.where(rng.random(samples) < 0.7, labels, rng.integers(classes, size=samples))
    return review_of(labels, guesses, rng.random(samples))


def test_review_agrees_with_the_engine(small):
    """After an epoch, its accuracy is that of the engine's own test; its confidence is the softmax of the scores."""
    trainer = make_trainer(small)
    trainer.fit()
    review = Reviewer(trainer.stepper, small)(trainer.state)
    assert review.step == 16 and review.total == 64 and review.index.tolist() == list(range(64))
    assert review.right.mean() == pytest.approx(trainer.history.newest_epochs(1)[0]["test_acc"], abs=1e-6)
    record = nnx.jit(lambda net, x: net(x).readout)(trainer.snapshot(), small.x_test)
    scores = np.asarray(losses.READOUTS[trainer.loss.readout](Record(record, {})), np.float64)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_array_equal(review.predictions, scores.argmax(1))
    np.testing.assert_allclose(review.confidence, shares.max(1), rtol=1e-4)


def test_review_is_compiled_once_and_takes_samples_evenly(digits):
    """Batches of one shape, also the last one; of sorted data, every class is among the samples."""
    order = np.argsort(digits.y_test, kind="stable")
    x, y = digits.x_test[order], digits.y_test[order]
    ordered = Dataset(name="sorted", x_train=digits.x_train, y_train=digits.y_train, x_test=x, y_test=y)
    trainer = make_trainer(ordered)
    reviewer = Reviewer(trainer.stepper, ordered, most=130)
    review = reviewer(trainer.state)
    assert len(review.index) == 130 and len(np.unique(review.labels)) == 10 and review.total == len(y)
    whole = Reviewer(trainer.stepper, ordered)(trainer.state)
    np.testing.assert_array_equal(review.predictions, whole.predictions[review.index])
    assert reviewer._answer._cache_size() == 1
    with pytest.raises(ArgumentError, match="most: must be an integer >= 1, got 0"):
        Reviewer(trainer.stepper, ordered, most=0)


def test_events_and_models_of_ones_own(small):
    """A review needs no layers; samples that are lists of events are images of their counts, per pixel."""
    rng = np.random.default_rng(0)
    lists = [[(t, rng.integers(3), rng.integers(2), 0) for t in range(0, 5000, 1000)] for _ in range(20)]
    events, y = EventLists.from_lists(lists, sensor=(1, 2, 3)), np.arange(20) % 2
    seen = Dataset(name="events", x_train=events, y_train=y, x_test=events, y_test=y)
    net = build(SnnConfig(hidden=5, num_steps=10, code="events"), sample_shape=(1, 2, 3), num_classes=2)
    trainer = Trainer(net, seen, batch_size=10)
    review = Reviewer(trainer.stepper, seen)(trainer.state)
    truth, guess = int(review.labels[0]), int(review.predictions[0])
    first = cell_frame(review, seen.class_names, truth, guess, seen.image)["samples"][0]
    counts = seen.image(first["index"]).astype(float)
    grey = np.frombuffer(first["image"]["bytes"], np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(grey, np.floor((counts - counts.min()) * 255.0 / (counts.max() - counts.min())))

    class Mine(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(64, 10, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.linear(x.reshape(1, len(x), -1).astype(np.float32))

    trainer = Trainer(Mine(), small, batch_size=32)
    assert len(Reviewer(trainer.stepper, small)(trainer.state).labels) == 64


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_confusions_are_counted(classes):
    """Against a double loop; a row of shades is the share of its samples."""
    review, names = drawn(classes), [f"a class with the long name {k}" for k in range(classes)]
    frame = confusion_frame(review, names)
    wanted = np.zeros((classes, classes), int)
    for truth, guess in zip(review.labels, review.predictions, strict=True):
        wanted[truth, guess] += 1
    np.testing.assert_array_equal(matrix(frame), wanted)
    shade = np.frombuffer(frame["shade"], np.uint8).reshape(classes, classes) / 255.0
    np.testing.assert_allclose(shade, wanted / wanted.sum(1, keepdims=True), atol=0.5 / 255 + 1e-9)
    np.testing.assert_allclose(frame["accuracy"], wanted.diagonal() / wanted.sum(1))
    assert frame["names"] == names and all(len(name) <= 16 for name in frame["short"])
    np.fill_diagonal(wanted, 0)
    truth, guess, count = frame["worst"][0]
    assert count == wanted.max() == wanted[truth, guess]


def test_classes_without_samples_or_predictions():
    frame = confusion_frame(review_of([0, 0, 2], [0, 2, 2]), ["a", "b", "c", "d"])
    assert frame["accuracy"] == [0.5, None, 1.0, None] and frame["never"] == [1, 3]
    assert frame["words"].endswith("never predicted: b, d")
    more = confusion_frame(review_of([0, 1], [0, 3]), ["a", "b"])  # a network with more outputs than classes
    assert more["names"] == ["a", "b", "output 2", "output 3"]
    lost = confusion_frame(review_of([0, 1], [0, 0], [np.nan, 0.5]), ["a", "b"])
    assert "1 sample with scores that are not finite" in lost["words"]


def test_of_very_many_classes_those_with_errors_are_shown():
    labels = np.repeat(np.arange(1000), 2)
    guesses = labels.copy()
    guesses[labels == 977] = 3
    frame = confusion_frame(review_of(labels, guesses), list(map(str, range(1000))))
    assert len(frame["shown"]) == 100 and {3, 977} <= set(frame["shown"])
    place = [frame["shown"].index(k) for k in (977, 3)]
    assert matrix(frame)[place[0], place[1]] == 2
    assert frame["words"].endswith("100 of 1,000 classes are shown, those with the most errors")


def test_samples_of_a_cell():
    """Sorted by confidence, at most 60 of them; images where there are some."""
    review = review_of([1] * 100 + [0], [0] * 100 + [0], np.append(np.arange(100) / 100.0, 0.3), total=500)
    frame = cell_frame(review, ["cat", "dog"], 1, 0, lambda index: np.full((3, 4), index))
    assert [one["index"] for one in frame["samples"]] == list(range(99, 39, -1))
    assert frame["samples"][0]["confidence"] == 0.99 and frame["samples"][0]["image"]["rows"] == 3
    assert frame["words"] == "60 of 100 samples of dog, taken for cat"
    flat = cell_frame(review, ["cat", "dog"], 0, 0, lambda index: np.zeros(5))
    assert [one["image"] for one in flat["samples"]] == [None]
    assert flat["words"] == "1 sample of cat, rightly predicted"
    assert cell_frame(review, ["cat", "dog"], 0, 1, lambda index: np.zeros(5))["samples"] == []
    with pytest.raises(ArgumentError, match="truth: must be an integer >= 0 and <= 1, got 2"):
        cell_frame(review, ["cat", "dog"], 2, 0, lambda index: np.zeros(5))
    with np.errstate(all="raise"):
        lost = cell_frame(review_of([0, 0], [0, 0], [np.nan, 0.9]), ["a", "b"], 0, 0, lambda index: np.zeros(5))
    assert [one["confidence"] for one in lost["samples"]] == [0.9, None]


def test_accuracies_over_the_run():
    """A byte holds an accuracy to a part in 500; going back forgets what came after."""
    reviews = Reviews(["a", "b", "c"])
    assert reviews.frame()["reason"]
    for step, right in ((8, 1), (16, 3), (24, 4)):
        reviews.append(review_of([0] * 4 + [1], [0] * right + [2] * (4 - right) + [1], step=step))
    frame = reviews.frame()
    table = np.frombuffer(frame["image"]["bytes"], np.uint8).reshape(3, 3)
    assert table.tolist() == [[round(FULL * k / 4) for k in (1, 3, 4)], [FULL] * 3, [ABSENT] * 3]
    assert frame["steps"] == [8, 16, 24]
    reviews.append(review_of([0, 1], [0, 1], step=16))
    assert reviews.frame()["steps"] == [8, 16]
    with pytest.raises(ArgumentError, match="class_names"):
        Reviews([])


def test_memory_of_a_long_run_is_bounded():
    reviews = Reviews(["a", "b"])
    for step in range(5000):
        reviews.append(review_of([0, 1], [0, 0], step=step))
    frame = reviews.frame()
    assert len(reviews) <= 400 and frame["steps"][0] == 0 and frame["steps"][-1] == 4999
    assert len(set(np.diff(frame["steps"])[:-1])) == 1 and "(one in 16; the others are left out)" in frame["words"]
    many = Reviews(list(map(str, range(100_000))))
    for step in range(50):
        many.append(review_of([0, 1], [0, 0], step=step))
    assert len(many) <= 20 and len(many.frame()["shown"]) == 100


def test_thumbnails_of_colours_and_large_images():
    from snnlab.live.frames.pixels import thumbnail

    colours = np.zeros((6, 5, 3))
    colours[2, 3] = 3.0
    for image in (colours, np.moveaxis(colours, 2, 0)):
        found = np.frombuffer(thumbnail(image)["bytes"], np.uint8).reshape(6, 5)
        assert found[2, 3] == 255 and found.sum() == 255
    large = thumbnail(np.arange(65.0 * 40).reshape(65, 40))
    assert (large["rows"], large["columns"]) == (22, 14)  # blocks of 3
    assert data.load("digits").image(0).shape == (8, 8) and thumbnail(np.zeros((3, 4, 5, 6))) is None
