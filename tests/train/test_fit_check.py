"""What a network cannot see in its data is said before the first step, with a cure that works."""

import re
import warnings

import numpy as np
import pytest

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.encode import Delta, Latency, Population, Rate, Rows
from snnlab.encode.ranges import unfit
from snnlab.errors import ArgumentError
from snnlab.layers import Leaky, LifRef, Stack
from snnlab.live import LiveTrainer
from snnlab.train import Trainer
from snnlab.train.fit_check import check_fit

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 6, 4)).astype(np.uint8)
Y = np.arange(20) % 2


def dataset(x, y=Y) -> Dataset:
    return Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)


def check(x, config=None, y=Y):
    """Whatever is said about samples, one text."""
    config = config or SnnConfig(hidden=3)
    mine = dataset(x, y)
    net = models.build(config, sample_shape=mine.sample_shape, num_classes=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_fit(net, mine, batch_size=4)
    return " ".join(str(warning.message) for warning in caught)


GOOD = {
    "pixels": PIXELS,
    "pixels as real numbers": PIXELS / 255.0,
    "true and false": PIXELS > 128,
    "a little beyond 0..1": PIXELS / 255.0 * 1.04 - 0.02,
}
BAD = {  # what is said, and the cure, which the message gives
    "integers 0 and 1": (PIXELS // 128, "integers 0..1 .* as pixels", lambda x: x.astype(np.float32)),
    "integers 0..16": (PIXELS // 16, "integers 0..15 .* divide by 15", lambda x: (x / 15).astype(np.float32)),
    "real numbers 0..255": (PIXELS * 1.0, "values are 0..255; divide by 255", lambda x: x / 255),
    "tiny": (PIXELS / 255e3, r"values are 0..0.001; divide by 0.001", lambda x: x / 0.001),
}
STANDARDIZED = PIXELS / 100.0 - 1.0


@pytest.mark.parametrize("config", [SnnConfig(hidden=3), LstmConfig(hidden=3)])
@pytest.mark.parametrize("case", GOOD)
def test_a_range_that_fits_is_not_mentioned(case, config):
    assert check(GOOD[case], config) == ""


@pytest.mark.parametrize("config", [SnnConfig(hidden=3), LstmConfig(hidden=3)])
@pytest.mark.parametrize("case", BAD)
def test_a_range_that_does_not_fit_is_said_and_cured(case, config):
    x, said, cure = BAD[case]
    found = check(x, config)
    assert re.search(said, found) and found.count("x_train: ") == 1
    assert check(cure(x), config) == ""


def test_the_lstm_reads_standardized_numbers_and_the_code_does_not():
    assert check(STANDARDIZED, LstmConfig(hidden=3)) == ""
    assert "0..1, the values are -1..1.55; use (x + 1) / 2.55" in check(STANDARDIZED)
    assert check((STANDARDIZED + 1) / 2.55) == ""


@pytest.mark.parametrize(
    ("code", "x", "said"),
    [
        (Latency(threshold=0.9), PIXELS[:, :1] // 2, "integers 0"),
        (Population(), PIXELS * 1.0, "0..1"),
        (Rate(), PIXELS * 1.0, "0..1"),
        (Rows(), np.zeros((3, 4, 5), np.float32), "all are 0"),
        (Latency(), np.zeros((3, 4, 5), np.uint8), "all pixels are 0"),
        (Delta(threshold=0.1), np.cumsum(np.full((3, 9, 1), 0.01, np.float32), 1), "more than 0.08, .* change of 0.1"),
    ],
)
def test_every_encoder_knows_what_it_can_express(code, x, said):
    x = dataset(np.resize(x, (20, *x.shape[1:]))).x_train
    assert re.search(said, unfit(code, x))


@pytest.mark.parametrize("shape", [(300, 2, 34, 34), (50, 34, 34), (2, 3, 4, 5, 6)])
def test_more_axes_than_an_image_need_a_choice(shape):
    with pytest.raises(ArgumentError, match=r"code: .*code='rows'.*code='delta'.*code='latency'"):
        models.build(SnnConfig(hidden=3), sample_shape=shape, num_classes=2)
    for code, steps, units in (("rows", shape[0], 1), ("delta", shape[0], 2), ("latency", 100, shape[0])):
        net = models.build(SnnConfig(hidden=3, code=code), sample_shape=shape, num_classes=2)
        x = np.zeros((2, *shape), np.float32)
        found = net.encode(x)
        got = (found.num_steps, found.num_units) if code == "latency" else (found.shape[0], found.shape[2])
        assert got == (steps, units * int(np.prod(shape[1:])))


def test_images_need_no_choice():
    for shape in ((784,), (28, 28), (28, 28, 1), (3, 32, 32), (32, 32, 3)):
        net = models.build(SnnConfig(hidden=3), sample_shape=shape, num_classes=2)
        assert isinstance(net.encoder, Latency)


def test_a_signal_has_its_own_steps():
    with pytest.raises(ArgumentError, match="num_steps: the samples have 50 steps of their own, got 20"):
        models.build(SnnConfig(code="rows", num_steps=20), sample_shape=(50, 12), num_classes=2)
    with pytest.raises(ArgumentError, match=r"code: 'rows' needs samples \(time, \*frame\)"):
        models.build(SnnConfig(code="rows"), sample_shape=(50,), num_classes=2)
    with pytest.raises(ArgumentError, match=r"sample_shape: .*\(3, 32, 32\).*x.reshape"):
        models.build(LstmConfig(), sample_shape=(3, 32, 32), num_classes=2)


def test_milliseconds_are_noticed():
    """A recording of 90 ms, in milliseconds, would lie in the first step; in microseconds nothing is said."""
    config = SnnConfig(hidden=3, code="events")

    def events(unit):
        lists = [[(unit * t, 0, 0, 0) for t in range(0, 90, 9)]] * 20
        return EventLists.from_lists(lists, sensor=(1, 2, 2))

    assert "first 1 of 100 steps of 1 ms; their times are microseconds" in check(events(1), config)
    assert check(events(1000), config) == ""


def test_a_class_that_is_never_trained_is_noticed():
    y = np.repeat([0, 1], 10)
    mine = Dataset(name="s", x_train=PIXELS[:10], y_train=y[:10], x_test=PIXELS, y_test=y, class_names=("cat", "dog"))
    net = models.build(SnnConfig(hidden=3), sample_shape=(6, 4), num_classes=2)
    with pytest.warns(UserWarning, match=r"y_train: has no sample of 1 of the classes .*\(dog\); shuffle"):
        check_fit(net, mine, batch_size=4)


def test_encoder_and_layers_have_one_time_step():
    with pytest.raises(ArgumentError, match=r"dt: the encoder has steps of 0.1 ms, the layers have 1 ms"):
        models.Network(Latency(dt=0.1), Stack(hidden=LifRef(24), readout=Leaky(24)))


def test_a_time_step_in_seconds_is_noticed():
    with pytest.warns(UserWarning, match=r"100 steps of dt = 0\.001 ms last 0\.1 ms, tau_mem is 10 ms"):
        models.build(SnnConfig(hidden=3, dt=1e-3), sample_shape=(4, 4), num_classes=2)


def test_a_warning_points_to_the_line_that_caused_it():
    """However deep it is found: in a layer, in the building of a network, before a training, live or not."""
    mine = dataset(PIXELS // 128)
    net = models.build(SnnConfig(hidden=3), sample_shape=(6, 4), num_classes=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LifRef(3, tau_mem=0.02)
        models.build(SnnConfig(hidden=3, dt=1e-3), sample_shape=(4, 4), num_classes=2)
        Trainer(net, mine, batch_size=4)
        LiveTrainer(net, mine, batch_size=4)
    assert len(caught) == 4 and {warning.filename for warning in caught} == {__file__}
