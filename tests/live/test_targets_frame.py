"""Targets over the readout: decoded, they are what the sample shall say and what the network says."""

import numpy as np
import pytest

from snnlab.history import History
from snnlab.live.frames import scenes
from snnlab.live.frames.probe import Probe
from snnlab.live.frames.targets import by_column, output_names, scored_steps, target_frame, van_rossum
from snnlab.live.still.picture import picture

NAMES = ("none", "P", "QRS")
RNG = np.random.default_rng(0)


def made(task: str, target, said, steps: int = 12, outputs: int = 3, **more) -> Probe:
    readout = (
        np.asarray(said, np.float32) if np.ndim(said) == 2 else RNG.normal(size=(steps, outputs)).astype(np.float32)
    )
    common = {"sample": RNG.random((steps, 1)).astype(np.float32), "rasters": {}, "label": None, "prediction": -1}
    states = {"readout": readout}
    return Probe(
        **common, states=states, readout=readout, task=task, target=np.asarray(target), said=np.asarray(said), **more
    )


def ints(encoded: bytes) -> list[int]:
    return np.frombuffer(encoded, np.int32).tolist()


def test_steps_that_are_not_scored_have_no_class():
    """Unlabelled, masked and beyond the end: none of them counts, and what is said after the end is not shown."""
    target = np.array([0, 1, 1, -1, 2, 2])
    said = np.eye(3)[[0, 1, 0, 0, 2, 0]]
    mask = np.array([True, True, True, True, False, True])
    probe = made("step_labels", target, said, mask=mask, length=5)
    frame = target_frame(probe, NAMES, [0, 1, 2], 1)
    assert ints(frame["truth"]) == [0, 1, 1, -1, -1, -1] and ints(frame["said"]) == [0, 1, 0, 0, 2, -1]
    assert frame["words"] == "66.7% of 3 steps are right; P is taken for none at 1 step"
    assert scored_steps(probe).tolist() == [True, True, True, False, False, False]


def test_a_sample_without_a_scored_step_says_so():
    probe = made("step_labels", np.full(4, -1), np.zeros((4, 3)))
    assert target_frame(probe, NAMES, [0], 1)["words"] == "no step of this sample is scored"


@pytest.mark.parametrize("steps", [11, 800, 1001])
def test_a_column_has_the_class_of_most_of_its_steps(steps):
    classes, cell = RNG.integers(-1, 4, steps), -(-steps // scenes.MAX_COLUMNS)
    for column, found in enumerate(by_column(classes, cell)):
        part = classes[column * cell : (column + 1) * cell].tolist()
        assert part.count(found) == max(map(part.count, part))


def test_a_value_and_how_it_is_read_out():
    probe = made("values", [25.0], [23.5], outputs=1, rule="last")
    frame = target_frame(probe, ["output"], [0], 1)
    assert frame["targets"] == [25.0] and frame["said"] == [23.5]
    assert frame["words"] == "output 23.5, target 25; read out: last step"


def test_r2_and_rmse_of_one_trace():
    """Over the scored steps only, as a mean over the outputs that vary."""
    target, said = RNG.normal(size=(12, 2)), RNG.normal(size=(12, 2))
    target[:, 1] = 3.0
    mask = RNG.random(12) < 0.6
    frame = target_frame(made("traces", target, said, mask=mask), ["a", "b"], [0, 1], 1)
    y, p = target[mask], said[mask]
    r2 = 1 - ((p - y)[:, 0] ** 2).sum() / ((y - y.mean(0))[:, 0] ** 2).sum()
    rmse = np.sqrt(((p - y) ** 2).mean())
    numbers = [
        float(word.replace("\u2212", "-"))
        for word in frame["words"].replace(",", "").split()
        if word[-1].isdigit() and word != "R2"
    ]
    assert numbers[:2] == pytest.approx([r2, rmse], rel=5e-3)
    np.testing.assert_allclose(np.frombuffer(frame["values"], np.float32).reshape(12, 2), target, rtol=1e-6)


def test_several_labels():
    frame = target_frame(made("several_labels", [1, 0, 1], [2.0, 0.5, -1.0]), NAMES, [0, 1, 2], 1)
    assert (frame["true"], frame["said"]) == ([0, 2], [0, 1])
    assert frame["words"] == "true: none, QRS; predicted: none, P; 1 of 3 decisions right"


def test_spike_trains_and_their_distance():
    """Two spikes far apart cost `1/2` each, in the limit of a short step: van Rossum (2001)."""
    tau, steps = 50.0, 3000
    one, other = np.zeros((steps, 1)), np.zeros((steps, 1))
    one[10], other[1500] = 1.0, 1.0
    assert van_rossum(one, other, tau)[0] == pytest.approx(1.0, rel=0.03)
    assert van_rossum(one, one, tau)[0] == 0.0
    frame = target_frame(made("spike_trains", other, one, tau=tau), ["output"], [0], 1)
    assert "1 spike fired, 1 wanted" in frame["words"] and "time constant 50 steps" in frame["words"]
    bits = [np.unpackbits(np.frombuffer(frame[name], np.uint8))[:steps] for name in ("wanted", "fired")]
    assert [np.flatnonzero(spikes).tolist() for spikes in bits] == [[1500], [10]]


def test_outputs_that_are_no_classes_have_names():
    assert output_names((), 1) == ("output",) and output_names((), 3)[2] == "output 2"


def test_scored_columns_and_the_end_are_in_the_scene():
    mask = np.ones(10, bool)
    mask[3] = False
    probe = made("traces", np.zeros((10, 1)), np.zeros((10, 1)), mask=mask, length=8)
    scene = scenes.raster_scene(probe, ["output"], 1.0)
    scored = np.unpackbits(np.frombuffer(scene["scored"], np.uint8))[:10].tolist()
    assert scored == [1, 1, 1, 0, 1, 1, 1, 1, 0, 0] and scene["length"] == 8 and scene["signal"]["channels"] == 1
    whole = made("traces", np.zeros((10, 1)), np.zeros((10, 1)))
    assert scenes.raster_scene(whole, ["output"], 1.0)["scored"] is None


def test_an_input_of_numbers_is_drawn_as_lines_or_as_an_image():
    few, many = np.zeros((10, 2)), np.arange(90.0).reshape(10, 9)
    scene = scenes.raster_scene(made("traces", np.zeros((10, 1)), np.zeros((10, 1)), signal=few), ["output"], 1.0)
    assert scene["input"]["units"] == 2 and len(scene["input"]["values"]) == 10 * 2 * 4
    scene = scenes.raster_scene(made("traces", np.zeros((10, 1)), np.zeros((10, 1)), signal=many), ["output"], 1.0)
    assert (scene["input"]["image"]["rows"], scene["input"]["image"]["columns"]) == (9, 10)


def test_a_score_far_below_zero_is_cut_off_and_said_so():
    history = History()
    history.add_steps({"loss": np.linspace(9.0, 1.0, 20), "r2": np.linspace(-400.0, 0.9, 20), "grad_norm": np.ones(20)})
    drawn = picture(history, steps_per_epoch=20, title="a regression")
    assert "R2 (not drawn below -1)" in drawn and "R2: train from -400 to 0.9" in drawn
