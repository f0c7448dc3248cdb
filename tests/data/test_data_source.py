"""What may give batches, and what is refused, each with the batch named. Expected batches are cut by hand."""

import numpy as np
import pytest

from snnlab.data import Dataset, EventLists, Source
from snnlab.data import source as module
from snnlab.errors import ArgumentError, DataError

B = 7


def arrays(samples: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (samples, 3, 5)).astype(np.uint8), rng.integers(0, 4, samples)


X, Y = arrays(31)
X[0], Y[:4] = 9, range(4)  # all classes are there


def batches(size: int = B):
    for start in range(0, len(X), size):
        yield X[start : start + size], Y[start : start + size]


class OneByOne:
    """A data set of samples, as those of PyTorch."""

    def __len__(self):
        return len(X)

    def __getitem__(self, k):
        return X[k], int(Y[k])


class Again:
    """An iterable that begins anew, without a length."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


class Sized(Again):
    def __len__(self):
        return 5


def read(source: Source, part: str = "train", epoch: int = 1, start: int = 0, **options) -> list:
    stream = source.open(**options).streams[part]
    return [(position, batch.x, batch.targets.values) for position, batch in stream.read(0, epoch, start)]


def agree(found, expected) -> None:
    assert len(found) == len(expected)
    for k, ((position, x, y), (own_x, own_y)) in enumerate(zip(found, expected, strict=True)):
        assert position == k and x.dtype == np.uint8 and y.dtype == np.int32
        np.testing.assert_array_equal(x, own_x)
        np.testing.assert_array_equal(y, own_y)


@pytest.mark.parametrize(
    "given",
    [batches, lambda: list(batches()), list(batches()), Again(batches), Sized(batches), lambda epoch, seed: batches()],
    ids=["function", "function of a list", "list", "iterable", "iterable with a length", "function that asks"],
)
def test_batches_come_as_they_are(given):
    source = Source(train=given, test=given)
    opened = source.open()
    assert (opened.batch_size, opened.streams["train"].batches, opened.head.num_classes) == (B, 5, 4)
    agree(read(source), list(batches()))
    agree(read(source, "test"), list(batches()))
    np.testing.assert_array_equal(opened.head.x_train, X)
    np.testing.assert_array_equal(opened.head.y_test, Y)


class Tensor:
    """A tensor as those of TensorFlow and PyTorch: it says what it is by `numpy()`."""

    def __init__(self, array):
        self.array = array

    def numpy(self):
        return self.array


class Unknown(Again):
    """A data set of TensorFlow that does not know its length, or has none."""

    def __len__(self):
        raise TypeError("The dataset is infinite.")


class Resumable:
    """A data set of Grain, `IterDataset`: what it iterates with can be asked for its state."""

    def __iter__(self):
        class Iterator:
            def __init__(self):
                self.rest = batches()

            def __iter__(self):
                return self

            def __next__(self):
                return next(self.rest)

            def get_state(self):
                return {}

        return Iterator()


class Batched:
    """A data set of Grain, `MapDataset(...).batch(7)`: its items are batches, and it can be cut."""

    def __len__(self):
        return 5

    def __getitem__(self, k):
        return list(batches())[k]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (Unknown(lambda: ((Tensor(x), Tensor(y)) for x, y in batches())), "a loader"),
        (Resumable(), "a loader"),
        (Batched(), "a list of batches"),
    ],
    ids=["tf.data", "grain.IterDataset", "grain.MapDataset of batches"],
)
def test_what_other_packages_have_is_recognized_by_what_it_can_do(given, what):
    source = Source(train=given, test=given)
    assert repr(source) == f"Source('stream': train {what}, test {what})"
    agree(read(source), list(batches()))


def test_a_function_is_told_the_epoch_and_the_seed():
    asked = []

    def given(*, seed, epoch=5):
        asked.append((seed, epoch))
        return batches()

    source = Source(train=given, test=given)
    stream = source.open(seed=3).streams["train"]
    asked.clear()
    list(stream.read(8, 4))
    assert asked == [(8, 4)]
    asked.clear()
    list(source.open().streams["test"].read(8, 4))
    assert asked == [(0, 1)]  # a test is the same every time


@pytest.mark.parametrize("form", ["data set", "pair", "mapped"])
def test_samples_are_shuffled_as_in_a_data_set(form, tmp_path):
    """The order of an epoch is the permutation drawn from [seed, epoch]; what fills no batch is left out."""
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    given = {"data set": OneByOne(), "pair": (X, Y), "mapped": (mapped, Y)}[form]
    source = Source(train=given, test=given)
    for epoch in (1, 2):
        order = np.random.default_rng([0, epoch]).permutation(31)[:28].reshape(4, B)
        agree(read(source, epoch=epoch, batch_size=B), [(X[row], Y[row]) for row in order])
    agree(read(source, "test", batch_size=B), list(batches()))
    later = read(source, start=2, epoch=2, batch_size=B)
    assert [row[0] for row in later] == [2, 3]
    np.testing.assert_array_equal(later[1][1], X[order[3]])


def test_numbers_beside_the_samples():
    """Masks, lengths and weights, by name; float labels that are whole; dicts as those of TensorFlow Datasets."""
    x = np.random.default_rng(0).random((6, 4, 2))
    y = np.array([[0, 1, -1, 1]] * 6, float)
    more = {"weights": np.arange(6) + 1.0, "lengths": np.full(6, 3)}
    source = Source(train=[(x, y, more)], test=[{"x": x, "y": y, **more}], task="step_labels")
    batch = next(source.open().streams["train"].read(0, 1))[1]
    assert batch.x.dtype == np.float32 and batch.targets.values.dtype == np.int32
    assert batch.targets.mask.tolist() == [[True, True, False, False]] * 6
    assert batch.targets.weights.tolist() == [1, 2, 3, 4, 5, 6] and batch.targets.lengths.tolist() == [3] * 6
    named = Source(train=[{"image": X, "label": Y.astype(np.float64)}], test=[(X, Y)])
    agree(read(named), [(X, Y)])


def test_a_generator_that_writes_into_the_same_arrays_gives_different_batches():
    def given():
        x, y = np.zeros((2, 3), np.uint8), np.zeros(2, int)
        for k in range(3):
            x[:], y[:] = k, (0, k % 2)
            yield x, y

    found = read(Source(train=given, test=given))
    assert [x[0, 0] for _, x, _ in found] == [0, 1, 2] and [y[1] for *_, y in found] == [0, 1, 0]


def test_events_stay_events():
    """A recording becomes times and units, sorted by time, up to the longest one: 3 events, so 4 places."""
    event = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
    recordings = [
        np.array([(1, 0, 900, True), (0, 1, 20, False), (2, 1, 500, True)], event),
        np.array([(2, 0, 7, False)], event),
    ]

    class Camera:
        sensor_size = (3, 2, 2)  # width, height, polarities, as in tonic

        def __len__(self):
            return 2

        def __getitem__(self, k):
            return recordings[k], k

    opened = Source(train=[(recordings, [0, 1])], test=Camera(), sensor=(2, 2, 3)).open()
    for part in ("train", "test"):
        batch = next(opened.streams[part].read(0, 1))[1]
        assert batch.x.tolist() == [
            [[20, 500, 900, -1], [3, 11, 7, -1]],  # unit (p 2 + y) 3 + x
            [[7, -1, -1, -1], [2, -1, -1, -1]],
        ]
    assert isinstance(opened.head.x_train, EventLists) and opened.head.sample_shape == (2, 2, 3)
    cut = Source(train=Camera(), test=Camera(), events=2).open(batch_size=2).streams["test"]
    assert next(cut.read(0, 1))[1].x.tolist() == [[[20, 500], [3, 11]], [[7, -1], [2, -1]]]


def test_the_head_is_short_and_says_so():
    many = [(X, Y)] * 50
    head = Source(train=many, test=many, name="ecg").open().head
    assert isinstance(head, Dataset) and len(head.x_train) == module.HEAD_SAMPLES
    assert repr(head) == "Head('ecg': the first 1,000 train, 1,000 test, samples (3, 5) uint8, 4 classes)"


def test_batches_are_counted_only_where_nobody_says_how_many():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield np.zeros((500, 3), np.uint8), np.arange(500) % 2

    opened = Source(train=endless, test=endless, batches={"train": 50, "test": 3}).open()
    assert [stream.batches for stream in opened.streams.values()] == [50, 3]
    assert len(taken) <= 3 + 3  # 1,000 samples of each part, and nothing after
    assert len(list(opened.streams["test"].read(0, 1))) == 3


def test_an_endless_source_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(module, "MOST_BATCHES", 20)

    def endless():
        while True:
            yield X, Y

    with pytest.raises(ArgumentError, match=r"train: has more than 20 batches; .* Source\(\.\.\., batches=\)"):
        Source(train=endless, test=[(X, Y)]).open()


def test_counting_that_takes_long_says_how_far_it_is(monkeypatch, capsys):
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    Source(train=Again(batches), test=[(X, Y)]).open()
    assert "counting the batches of train: 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (batches(), r"train: this generator can be read only once.* pass the function that made it"),
        (lambda: iter(()), "train: is empty: there is no batch in it"),
        ([], "train: is empty"),
        ("digits", r"train: must be a function .* got str"),
        (X, r"train: .* got ndarray; x and y must come as a pair \(x, y\)"),
        (OneByOne, "train: .* got the class OneByOne; pass an object of it"),
        (3, "train: must be a function .* got int"),
        (lambda size: batches(), r"train: the function must not need the argument 'size'.*lambda: batches\(size="),
        (lambda: 3, "train: the function must return an iterable of batches, such as a generator, got int"),
        (lambda: iter([X]), "train: batch 1 of epoch 1: must be .* got ndarray"),
        (lambda: iter([(X, Y, 3)]), r"batch 1 of epoch 1: the third of \(x, y, more\) must be a dict, got int"),
        (lambda: iter([(X, Y, {"wight": Y})]), "batch 1 of epoch 1: has wight; it may have x, y, mask, lengths, wei"),
        (
            lambda: iter([{"a": X}]),
            "batch 1 of epoch 1: a dict must have the entries x and y, or image and label, got a",
        ),
        (
            lambda: iter([(X, Y[:3])]),
            "batch 1 of epoch 1: y: has 3 labels, train: batch 1 of epoch 1: x has 31 samples",
        ),
        (lambda: iter([(X * np.nan, Y)]), "batch 1 of epoch 1: x: has 465 values that are NaN"),
        (lambda: iter([(X, Y + 0.5)]), "batch 1 of epoch 1: y: must be integers, got float64"),
        ((X, Y[:3]), "train: its arrays must have one entry per sample; x has 31, y has 3"),
        (
            lambda: iter([(X, Y), (X[:3], Y[:3]), (X, Y)]),
            "train: batch 2 of epoch 1: has 3 samples, the first batch has 31",
        ),
        (
            lambda: iter([(X, Y), (X, Y), (X[:, :2], Y)]),
            r"train: batch 3 of epoch 1: x is uint8\(31, 2, 5\), that of the first batch uint8\(31, 3, 5\)",
        ),
        (lambda: iter([(X, Y), (X / 255.0, Y)]), r"batch 2 of epoch 1: x is float32\(31, 3, 5\), .* uint8\(31, 3, 5\)"),
        (lambda: iter([(X[:2], Y[:2]), (X, Y)]), r"batch 2 of epoch 1: x is uint8\(31, 3, 5\), .*uint8\(2, 3, 5\)"),
        (
            lambda: iter([(X, Y), (X, Y, {"weights": Y + 1.0})]),
            "batch 2 of epoch 1: has a weights, the first batch had none; all batches must be alike",
        ),
    ],
)
def test_what_is_refused_at_the_start(given, message):
    with pytest.raises(ArgumentError, match=message):
        Source(train=given, test=[(X, Y)]).open()


def test_a_part_that_is_missing_or_another():
    with pytest.raises(ArgumentError, match="test: a run needs samples that it does not learn from; pass test="):
        Source(train=batches, test=None)
    data = Dataset(name="own", x_train=X, y_train=Y, x_test=X, y_test=Y)
    with pytest.raises(ArgumentError, match=r"test: is a Dataset, .* pass a pair \(data.x_test, data.y_test\)"):
        Source(train=batches, test=data)
    with pytest.raises(ArgumentError, match=r"val: x of a sample is uint8\(2,\), in train uint8\(3, 5\)"):
        Source(train=batches, test=batches, val=[(X[:, 0, :2], Y)]).open()
    with pytest.raises(
        ArgumentError, match="batch_size: the batches of the source have 7 samples, got 8; leave it out"
    ):
        Source(train=batches, test=batches).open(batch_size=8)
    with pytest.raises(ArgumentError, match="classes: there are none with task='values'"):
        Source(train=batches, test=batches, task="values", classes=3)
    with pytest.raises(ArgumentError, match="batches: a part: must be one of 'train', 'test', got 'val'"):
        Source(train=batches, test=batches, batches={"val": 3})


class Mended:
    """Batches of which something is wrong from the second time on."""

    def __init__(self, later):
        self.later, self.calls = later, 0

    def __call__(self):
        self.calls += 1
        return batches() if self.calls == 1 else self.later()


def broken():
    yield from list(batches())[:2]
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("later", "good", "message"),
    [
        (broken, 2, r"train: batch 3 of epoch 2 cannot be read \(OSError: the disk is gone\)"),
        (lambda: list(batches())[:3], 3, "train: ended after batch 3 of epoch 2, but an epoch has 5 batches"),
        (lambda: [*batches(), (X[:B], Y[:B])], 4, "train: epoch 2 has more than the 5 batches of the start"),
        (
            lambda: [*list(batches())[:2], (X[:B, :2], Y[:B])],
            2,
            r"batch 3 of epoch 2: x is uint8\(7, 2, 5\), .*\(7, 3, 5\)",
        ),
        (lambda: [(X[:B], np.full(B, 4))] * 5, 0, r"batch 1 of epoch 2: y: label 4 is out of range 0..3; .*classes="),
        (list, 0, "train: ended after batch 0 of epoch 2"),
    ],
    ids=["raises", "fewer", "more", "another shape", "label", "none"],
)
def test_what_goes_wrong_later_is_named_after_the_good_batches(later, good, message):
    stream = Source(train=Mended(later), test=batches).open().streams["train"]
    found = []
    with pytest.raises(DataError, match=message) as caught:
        for position, _ in stream.read(0, 2):
            found.append(position)
    assert found == list(range(good))
    if later is broken:
        assert isinstance(caught.value.__cause__, OSError)


def test_a_recording_that_is_longer_than_those_of_the_start():
    event = np.dtype([("t", int), ("x", int), ("y", int), ("p", int)])
    short, long = (np.zeros(n, event) for n in (2, 3))
    given = [([short] * 500, np.arange(500) % 2)] * 2 + [([long] * 500, np.arange(500) % 2)]
    stream = Source(train=given, test=given[:2], sensor=(1, 1, 1)).open().streams["train"]
    with pytest.raises(DataError, match=r"batch 3 of epoch 1: x: a recording has 3 events, more than the 2"):
        list(stream.read(0, 1))
    with pytest.raises(ArgumentError, match=r"sensor: must be \(polarities, height, width\)"):
        Source(train=given, test=given).open()


def test_samples_that_cannot_be_put_together():
    class Odd(OneByOne):
        def __getitem__(self, k):
            return X[k][: 3 - k % 2], int(Y[k])

    with pytest.raises(ArgumentError, match=r"train: x of sample \d+ has shape \(., 5\), that of sample \d+ \(., 5\)"):
        Source(train=Odd(), test=[(X, Y)]).open(batch_size=4)
    with pytest.raises(ArgumentError, match="batch_size: must be at most the 31 training samples, got 32"):
        Source(train=OneByOne(), test=[(X, Y)]).open(batch_size=32)
