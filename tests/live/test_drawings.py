"""An image drawn by hand: what input it is, that the network sees it as any other, and what is known at each moment."""

import jax.numpy as jnp
import numpy as np
import pytest
from lab_driver import wait_until

from snnlab import data, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.errors import ArgumentError
from snnlab.live import LiveTrainer
from snnlab.live.frames import scenes
from snnlab.live.frames.moments import leaders, moments_frame, scores_so_far
from snnlab.live.frames.paper import Paper, paper_of
from snnlab.live.frames.probe import Probe
from snnlab.live.look.prober import Prober
from snnlab.live.still.picture import picture
from snnlab.losses import READOUTS, Classification, class_scores
from snnlab.record import Record


def make_data(shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype=np.float32) -> Dataset:
    """Six samples whose training part has exactly this range."""
    x = np.linspace(low, high, 6 * int(np.prod(shape))).reshape(6, *shape).astype(dtype)
    y = np.arange(6) % 2
    return Dataset(name="any", x_train=x, y_train=y, x_test=x, y_test=y)


# ---- the paper ----


def test_a_test_image_drawn_is_the_test_image(digits):
    """Bytes over the whole range: from sample to drawing and back, bit for bit."""
    paper = paper_of(digits)
    for sample in digits.x_test[:20]:
        found = paper.sample(paper.drawing(sample))
        assert found.dtype == sample.dtype and found.tobytes() == sample.tobytes()


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7), (5, 7, 3), (5, 7, 1)])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-2.5, 0.5)])
def test_ink_spans_the_range_of_the_training_data(shape, low, high):
    """No ink is the lowest value, full ink the highest, and between them it is even; all channels are the same."""
    paper = paper_of(make_data(shape, low, high))
    assert isinstance(paper, Paper) and (paper.rows, paper.columns) == (5, 7)
    ink = np.arange(0, 35 * 7, 7, dtype=np.uint8)
    found = paper.sample(ink.tobytes())
    assert found.shape == shape and found.dtype == np.float32
    wanted = low + (high - low) * ink.reshape(5, 7) / 255
    channels = {5: [found], 1: list(found), 3: list(found)}[shape[0]] if len(shape) == 2 or shape[0] < 5 else None
    for plane in channels or np.moveaxis(found, 2, 0):
        np.testing.assert_allclose(plane, wanted, atol=1e-6)
    assert paper.drawing(found) == ink.tobytes()


def test_the_frame_is_where_the_training_images_have_ink():
    """In every sample a block of ink in other rows than columns, and a faint pixel, which does not count."""
    x = np.full((6, 12, 10), -1.0, np.float32)
    x[:, 3:9, 2:5] = 1.0
    x[:, 0, 9] = -0.9
    y = np.arange(6) % 2
    for image, axis in ((x, None), (x[:, None], 1), (x[..., None], 3)):
        paper = paper_of(Dataset(name="any", x_train=image, y_train=y, x_test=image, y_test=y))
        assert isinstance(paper, Paper) and paper.frame == (3, 2, 8, 4), axis


def test_pixels_are_whole_numbers():
    """Of darker images, ink is no brighter than they are."""
    paper = paper_of(make_data((4, 4), 0, 100, np.uint8))
    assert paper.sample(bytes([0, 255, 128, 1] * 4))[0].tolist() == [0, 100, 50, 0]


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (make_data((4,)), r"\(4,\) numbers and no image"),
        (make_data((3, 40)), r"\(3, 40\) numbers and no image"),  # a sequence of three numbers
        (make_data((4, 40)), "no image"),
        (make_data((300, 300)), "300 x 300 pixels is too large"),
        (make_data((5, 5), 0.5, 0.5), "All values of the training samples are 0.5"),
    ],
)
def test_what_is_no_image_has_no_paper(samples, why):
    reason = paper_of(samples)
    assert isinstance(reason, str)
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(reason)


def test_events_have_no_paper():
    lists = EventLists.from_lists([[(0, 0, 0, 0)], [(0, 1, 1, 0)]], sensor=(1, 8, 8))
    events = Dataset(name="e", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
    assert paper_of(events) == "The samples are events, so there is nothing to draw."


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_drawing_of_another_size_is_refused(digits, size):
    with pytest.raises(ArgumentError, match=f"drawing: must be 8 x 8 bytes, got {size}"):
        paper_of(digits).sample(bytes(size))


# ---- the network sees it as any other ----


@pytest.mark.parametrize("config", [SnnConfig(hidden=20), SnnConfig(hidden=20, code="rows"), LstmConfig(hidden=12)])
def test_an_own_image_is_seen_as_the_same_test_image(digits, config):
    """Bit for bit, and no program is compiled for it."""
    net = models.build(config, sample_shape=(8, 8), num_classes=10)
    prober = Prober(net, digits)
    wanted = prober(net, 3)
    found = prober.own(net, digits.x_test[3])
    assert prober._run._cache_size() == 1
    assert found.label is None and wanted.label == digits.y_test[3] and found.prediction == wanted.prediction
    np.testing.assert_array_equal(found.sample, wanted.sample)
    assert found.readout.tobytes() == wanted.readout.tobytes()
    for name in ("rasters", "states"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        assert list(ours) == list(theirs)
        assert all(ours[layer].tobytes() == theirs[layer].tobytes() for layer in theirs)


@pytest.mark.parametrize("shape", [(8, 7), (64,), (1, 8, 8), ()])
def test_an_image_of_another_shape_is_refused(digits, shape):
    net = models.build(SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
    with pytest.raises(ArgumentError, match=r"sample: must be uint8\(8, 8\)"):
        Prober(net, digits).own(net, np.zeros(shape, np.uint8))
    with pytest.raises(ArgumentError, match=r"got float32\(8, 8\)"):
        Prober(net, digits).own(net, np.zeros((8, 8), np.float32))


def test_an_image_is_no_event():
    events = data.load("event_digits").subset(train=20, test=10)
    net = models.build(SnnConfig(hidden=20, code="events"), sample_shape=events.sample_shape, num_classes=10)
    with pytest.raises(ArgumentError, match="sample: must be events"):
        Prober(net, events).own(net, np.zeros((2, 12, 12), np.float32))


# ---- it has no label, and none is claimed ----


def drawn_probe(**parts) -> Probe:
    readout = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 3.0], [2.0, 0.5, 1.0]], np.float32)
    spikes = np.array([[True, False], [True, True], [False, False]])
    common = {"sample": np.zeros((2, 2)), "rasters": {"hidden": spikes}, "readout": readout, "prediction": 2}
    states = {"hidden": np.zeros((3, 2), np.float32), "readout": readout}
    return Probe(**{**common, "states": states, "label": None} | parts)


def test_a_drawing_has_no_true_class():
    probe = drawn_probe()
    assert scenes.raster_scene(probe, "abc", 1.0)["label"] is None
    summary = scenes.raster_frame(probe, "abc")["summary"]
    assert summary == "your drawing, predicted c; hidden 3 spikes" and "true" not in summary
    hundred = drawn_probe(readout=np.eye(3, 100, dtype=np.float32), states={})
    assert 0 in scenes.raster_frame(hundred, [str(k) for k in range(100)])["shown"]  # by its trace, not as a label


def test_a_still_picture_of_a_drawing_claims_none(make):
    lab = make()
    drawn = picture(lab.history, steps_per_epoch=8, title="t", probe=drawn_probe(), class_names="abc", dt=1.0)
    assert "your drawing" in drawn and "true class" not in drawn


def test_the_dashboard_draws_what_the_page_sends(make):
    """And returns to the test samples when one is chosen; what is no drawing changes nothing and says why."""
    lab = make()
    board = lab.display.board
    paper = board.about["paper"]
    assert (paper["rows"], paper["columns"], paper["reason"]) == (8, 8, "")
    ink = bytes(range(64))

    def shows(label) -> bool:
        board.pong = board.ping
        lab.display.screen.show()
        return bool(board.scene) and board.scene["label"] == label and bool(board.frame)

    wait_until(lambda: shows(int(lab.trainer.data.y_test[0])), 60, "the test sample")
    board._receive(board, {"draw": True}, [memoryview(ink)])
    wait_until(lambda: shows(None), 60, "the drawing")
    assert board.scene["drawing"] == ink and board.frame["summary"].startswith("your drawing, predicted ")
    assert board.run["view"]["drawn"] is True
    wanted = Prober(lab.model, lab.trainer.data, lab.trainer.loss).own(
        lab.model, paper_of(lab.trainer.data).sample(ink)
    )
    assert board.frame["prediction"] == wanted.prediction

    for buffers in ([], [ink[:63]], [ink, ink], [bytes(65)], [np.zeros(64)]):
        board._receive(board, {"draw": True}, buffers)
        assert "drawing: must be 8 x 8 bytes" in board.message.text and board.chosen.drawing == ink
    board._receive(board, {"set": {"sample": 0}}, [])
    assert board.chosen.drawing is None
    wait_until(lambda: shows(int(lab.trainer.data.y_test[0])), 60, "the test sample again")
    assert board.scene["drawing"] == lab.trainer.data.x_test[0].tobytes()  # pixels are bytes already


def test_where_nothing_can_be_drawn_it_is_refused(make_lab):
    yinyang = data.load("yinyang").subset(train=64, test=32)
    net = models.build(SnnConfig(hidden=8, num_steps=20), sample_shape=(4,), num_classes=3)
    lab = LiveTrainer(net, yinyang, epochs=1, batch_size=32)
    try:
        board = lab.display.board
        board._receive(board, {"draw": True}, [bytes(4)])
        assert "drawing: A sample is (4,) numbers and no image" in board.message.text
        assert board.chosen.drawing is None
    finally:
        lab.close()


def test_the_stage_is_a_widget_where_somebody_watches(make, monkeypatch):
    """It shows the same run, and sees no tab; where nobody watches, the run's picture stands for it."""
    lab = make()
    assert lab.stage() is lab
    monkeypatch.setenv("SNNLAB_HEADLESS", "0")
    stage = lab.stage()
    assert stage.about["only"] == "stage" and stage.run["state"] == "idle"
    stage.ui = {"stage": True, "tab": "Errors"}
    assert stage.ui == {"stage": True, "tab": "Errors"} and lab.display.board.chosen.tab == ""
    stage.ui = {"stage": False, "tab": "Errors"}
    assert lab.display.board.chosen.tab == "Errors"
    with pytest.raises(ArgumentError, match=r"show: the stage shows the raster, .*\('curves',\).*add 'raster'"):
        make(show=("curves",)).stage()


# ---- moments ----


@pytest.mark.parametrize("rule", list(READOUTS))
def test_scores_so_far_are_those_of_the_part_until_then(rule):
    """As the loss itself scores the sequence cut off there."""
    readout = np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32)
    found = scores_so_far(readout, rule)
    for step in range(23):
        wanted = class_scores(Classification(rule), Record(readout=jnp.asarray(readout[: step + 1, None]), layers={}))
        np.testing.assert_allclose(found[step], wanted[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scores_so_far(readout, None), readout)


def test_who_leads_is_the_only_one_with_the_highest_score():
    scores = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [3.0, 2.0, 2.0], [np.nan, 1.0, 0.0], [-np.inf] * 3])
    assert leaders(scores).tolist() == [-1, -1, 0, -1, -1]


@pytest.mark.parametrize(("steps", "cell"), [(7, 1), (7, 3), (6, 3), (401, 2), (1, 1), (1000, 3)])
def test_a_moment_is_the_end_of_a_column(steps, cell):
    """Spikes and readout are those of the steps until then, of all neurons and classes, however few are shown."""
    rng = np.random.default_rng(steps)
    readout, spikes = rng.normal(size=(steps, 4)).astype(np.float32), rng.random((steps, 5)) < 0.3
    probe = drawn_probe(readout=readout, rasters={"hidden": spikes}, rule="last", prediction=0)
    frame = moments_frame(probe, [1, 3], cell)
    ends = [min(first + cell, steps) for first in range(0, steps, cell)]
    assert np.frombuffer(frame["spikes"]["hidden"], np.int32).tolist() == [int(spikes[:end].sum()) for end in ends]
    assert np.frombuffer(frame["leads"], np.int32).tolist() == [int(readout[end - 1].argmax()) for end in ends]
    shown = readout[np.array(ends) - 1][:, [1, 3]]
    np.testing.assert_array_equal(np.frombuffer(frame["scores"], np.float32).reshape(-1, 2), shown)
    if cell == 1:
        assert frame["readout"] is None
    else:
        np.testing.assert_array_equal(np.frombuffer(frame["readout"], np.float32).reshape(-1, 2), shown)


@pytest.mark.parametrize("loss", [None, *map(Classification, READOUTS)])
def test_at_the_end_the_prediction_leads(digits, loss):
    net = models.build(SnnConfig(hidden=40, v_th=0.3), sample_shape=(8, 8), num_classes=10)
    prober = Prober(net, digits, loss)
    for index in range(5):
        probe = prober(net, index)
        assert np.frombuffer(moments_frame(probe, [0], 7)["leads"], np.int32)[-1] == probe.prediction
