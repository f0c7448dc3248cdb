"""The picture of a run, read back: its coordinates must give the data, its text must be XML, whatever is in it."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snnlab.history import History
from snnlab.live.frames.probe import Probe
from snnlab.live.still import svg
from snnlab.live.still.picture import picture

SVG = "{http://www.w3.org/2000/svg}"
POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NASTY = '<script>alert("1")</script> & \' \x00\ud800'


def a_history(steps=60, epochs=3, **more):
    rng = np.random.default_rng(0)
    history = History()
    decay = np.exp(-np.arange(steps) / (steps / 4))
    metrics = {"loss": 2.3 * decay + 0.05 * rng.random(steps), "accuracy": 1 - 0.9 * decay}
    metrics |= {"cross_entropy": 2.3 * decay, "l1": 1e-5 / decay, "spikes_per_sample": 90 - 80 * decay}
    history.add_steps(metrics | {"epoch": np.arange(steps) * epochs // steps + 1} | more)
    for epoch in range(1, epochs + 1):
        history.add_epoch({"epoch": epoch, "test_loss": 1 / epoch, "test_acc": 1 - 0.5 / epoch})
    return history


def a_probe(rasters=None, classes=3, label=0, prediction=2):
    readout = np.sin(np.arange(20)[:, None] / 5 + np.arange(classes))
    readout[:, prediction] += 3
    rasters = {"input": np.random.default_rng(0).random((20, 7)) < 0.3} if rasters is None else rasters
    return Probe(sample=np.eye(5), rasters=rasters, readout=readout, label=label, prediction=prediction)


def draw(history, **options):
    return picture(history, **({"steps_per_epoch": 20, "title": "a run"} | options))


def parse(text):
    return ET.fromstring(text)


def panel(root, title):
    return next(group for group in root.iter(f"{SVG}g") if group[0].text is not None and group[0].text == title)


def named(group, name):
    """The path with this name."""
    return next(path for path in group.iter(f"{SVG}path") if path.findtext(f"{SVG}title") == name)


def segments(d):
    """The pieces of a path of `M`, `h0` and `l`, in absolute coordinates."""
    pieces = []
    for command, x, y in re.findall(r"([Ml])(-?[\d.]+) ?(-?[\d.]+)", d):
        at = np.array([float(x), float(y)])
        if command == "M":
            pieces.append([at])
        else:
            pieces[-1].append(pieces[-1][-1] + at)
    return [np.array(piece) for piece in pieces]


def value_of(label):
    """The number that was written: 0.2, 1,000, 10⁻⁸ or 2·10⁻⁷."""
    mantissa, power = re.fullmatch(r"([-\d.,]*?)(?:·?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", label).groups(default="")
    return float(mantissa.replace(",", "") or 1) * 10.0 ** int(power.translate(POWERS) or 0)


def ticks(group, axis):
    """Pixels and values of the numbers at an axis."""
    anchor = {"x": "middle", "y": "end"}[axis]
    texts = [text for text in group.iter(f"{SVG}text") if text.get("text-anchor") == anchor]
    return np.array([float(t.get(axis)) - 4 * (axis == "y") for t in texts]), np.array(
        [value_of(t.text) for t in texts]
    )


def read(group, name, log=False):
    """The curve of this name in the units of its axes, and the tolerance of a pixel's fifth."""
    points = segments(named(group, name).get("d"))
    at_x, x = ticks(group, "x")
    at_y, y = ticks(group, "y")
    to_x, to_y = np.polyfit(at_x, x, 1), np.polyfit(at_y, np.log10(y) if log else y, 1)
    curves = [(np.polyval(to_x, piece[:, 0]), np.polyval(to_y, piece[:, 1])) for piece in points]
    return curves, 0.2 * abs(to_x[0]), 0.2 * abs(to_y[0])


@pytest.mark.parametrize(
    ("title", "name", "metric", "log"),
    [
        ("loss", "train", "loss", False),
        ("accuracy", "train", "accuracy", False),
        ("terms of the loss", "cross_entropy", "cross_entropy", True),
        ("terms of the loss", "l1", "l1", True),
        ("spikes per sample", "train", "spikes_per_sample", False),
    ],
)
def test_curves_read_back(title, name, metric, log):
    history = a_history()
    [(x, y)], near_x, near_y = read(panel(parse(draw(history)), title), name, log)
    values = history.steps()[metric]
    np.testing.assert_allclose(x, np.arange(1, 61), atol=near_x)
    np.testing.assert_allclose(y, np.log10(values) if log else values, atol=near_y)


def test_tests_stand_at_the_ends_of_epochs():
    group = panel(parse(draw(a_history())), "loss")
    [(x, y)], near_x, near_y = read(group, "test")
    np.testing.assert_allclose(x, [20, 40, 60], atol=near_x)
    np.testing.assert_allclose(y, [1, 1 / 2, 1 / 3], atol=near_y)
    markers = [path.get("d").count("z") for path in group.iter(f"{SVG}path") if "z" in path.get("d")]
    assert markers == [3, 1]  # of the tests, and of the key beside their label


def test_long_curves_are_means_and_reach_the_end():
    history = a_history(5000, 10)
    [(x, y)], near_x, near_y = read(panel(parse(draw(history, steps_per_epoch=500)), "loss"), "train")
    assert len(x) == 300 and abs(x[-1] - 5000) < near_x
    np.testing.assert_allclose(y[-1], history.steps()["loss"][-16:].mean(), atol=near_y)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_axes_are_round_and_hold_the_data(low, span):
    scale = svg.Scale.around(np.array([low, low + span]), size=140.0)
    at, values = np.array([tick[0] for tick in scale.ticks()]), [value_of(label) for _, label in scale.ticks()]
    assert (
        2 <= len(values) <= 8
        and (np.diff(at) < 0).all()
        and (np.abs(scale(np.array([low, low + span])) - 70) < 71).all()
    )
    step = np.diff(values).max()
    assert min(abs(step / 10.0 ** np.floor(np.log10(step)) - k) for k in (1, 2, 5, 10)) < 0.01


@given(hnp.arrays(float, st.integers(1, 40), elements=st.floats(-1e3, 1e3) | st.just(np.nan)))
def test_no_rounding_adds_up(y):
    x = np.linspace(0, 281.3, len(y))
    there = np.isfinite(y)
    pieces = segments(svg.polyline(x, y))
    starts = there & ~np.concatenate([[False], there[:-1]])
    assert len(pieces) == starts.sum()
    drawn = np.concatenate([*pieces, np.empty((0, 2))])
    np.testing.assert_allclose(drawn, np.stack([x, y], 1)[there], atol=0.0501)


def test_what_is_not_finite_breaks_the_line():
    history = a_history()
    loss = history.steps()["loss"].copy()
    loss[[10, 11]], loss[30], loss[-1] = np.nan, np.inf, -np.inf
    text = draw(a_history(loss=loss, accuracy=np.full(60, np.nan), l1=np.zeros(60)))
    curves, near_x, _ = read(panel(parse(text), "loss"), "train")
    ends = [(x[0], x[-1]) for x, _ in curves]
    np.testing.assert_allclose(ends, [(1, 10), (13, 30), (32, 59)], atol=near_x)
    root = parse(text)
    assert (
        named(panel(root, "accuracy"), "train").get("d") == named(panel(root, "terms of the loss"), "l1").get("d") == ""
    )
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', text)
    assert "accuracy: train from not a number" in root.findtext(f"{SVG}desc")


def test_an_empty_history_is_a_sober_picture():
    root = parse(draw(History()))
    assert "not trained yet" in [text.text for text in root.iter(f"{SVG}text")] and not list(root.iter(f"{SVG}path"))
    root = parse(draw(History(), probe=a_probe()))
    assert panel(root, "readout") is not None


def test_one_step_is_a_point():
    history = History()
    history.add_steps({"loss": np.array([2.0]), "grad_norm": np.array([0.5])})
    root = parse(draw(history))
    assert [len(piece) for piece in segments(named(panel(root, "loss"), "train").get("d"))] == [1]
    assert panel(root, "gradient norm") is not None


def poles(group):
    """Where the moves of knobs are, and how high their poles rise."""
    d = next(path.get("d") for path in group.iter(f"{SVG}path") if path.get("opacity") == "0.7")
    return [(float(x), float(top)) for x, top in re.findall(r"M([\d.]+) (-?[\d.]+)V", d)]


def flags(group):
    """Box of every label of a move: left, right, and its base line."""
    texts = [
        t for t in group.iter(f"{SVG}text") if float(t.get("x")) > 0 > float(t.get("y")) and not t.get("font-size")
    ]
    return [(float(t.get("x")), float(t.get("x")) + svg.width(t.text), float(t.get("y")), t.text) for t in texts]


def test_a_drag_is_one_move_with_its_last_value():
    history = a_history(500)
    for step, value in ((100, 0.9), (104, 0.8), (108, 0.7), (300, 0.65)):
        history.add_intervention(step=step, knob="hidden.v_th", old=1.0, new=value)
    root = parse(draw(history))
    for title in ("loss", "accuracy"):
        group = panel(root, title)
        assert [text.split()[-1] for *_, text in sorted(flags(group))] == ["0.7", "0.65"]
    at_x, x = ticks(group, "x")
    steps = np.polyval(np.polyfit(at_x, x, 1), [at for at, _ in poles(panel(root, "terms of the loss"))])
    np.testing.assert_allclose(sorted(steps), [108, 300], atol=1)


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["v_th", "tau_mem", "learning_rate"])), max_size=25))
def test_labels_of_moves_never_collide(moves):
    history = a_history(500)
    for step, knob in sorted(moves):
        history.add_intervention(step=step, knob=knob, old=1.0, new=step / 7)
    group = panel(parse(draw(history)), "loss")
    boxes = flags(group)
    for k, (left, right, base, _) in enumerate(boxes):
        assert right < 960 / 2
        assert all(other[2] != base or other[1] < left or right < other[0] for other in boxes[k + 1 :])
        assert not any(left < at < right and top < base for at, top in (poles(group) if moves else []))
    assert bool(boxes) == bool(moves)


def decode(d, shape):
    """The cells that a path of runs covers, counted."""
    cells, at = np.zeros(shape, int), np.zeros(2, int)
    for right, down, run in re.findall(r"m(-?\d+) ?(-?\d+)v(\d+)", d):
        at += [int(right), int(down)]
        cells[at[0], at[1] : at[1] + int(run)] += 1
        at[1] += int(run)
    return cells


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_rasters_read_back(raster):
    d = svg.cells(raster)
    np.testing.assert_array_equal(decode(d, raster.shape), raster)
    runs = (raster & ~np.pad(raster, ((0, 0), (1, 0)))[:, :-1]).sum()
    assert d.count("m") == d.count("v") == runs


def test_a_raster_hangs_on_its_axes():
    """Unit 0 is at the top and the last one at the bottom, and both have their number, as in the dashboard."""
    raster = np.zeros((20, 300), bool)
    raster[3, 40] = raster[19, 299] = True
    group = panel(parse(draw(History(), probe=a_probe({"hidden": raster}), dt=0.5)), "hidden: 2 spikes of 300 units")
    path = named(group, "hidden")
    dx, dy = map(float, re.search(r"scale\((\S+) (\S+)\)", path.get("transform")).groups())
    left, head = map(float, re.search(r"translate\((\S+) (\S+)\)", path.get("transform")).groups())
    cells = decode(path.get("d"), (20, 100))  # three units share a cell
    assert np.argwhere(cells).tolist() == [[3, 13], [19, 99]]
    at_y, y = ticks(group, "y")
    assert list(y) == [0, 299]
    np.testing.assert_allclose(at_y, [head, head + 100 * dy], atol=1)
    readout = panel(parse(draw(History(), probe=a_probe({"hidden": raster}), dt=0.5)), "readout")
    at_x, x = ticks(readout, "x")
    np.testing.assert_allclose(np.polyval(np.polyfit(at_x, x, 1), left + 3 * dx), 3.5 * 0.5, atol=0.02)


def test_the_winner_is_thick_and_named():
    root = parse(draw(History(), probe=a_probe(), class_names=("cat", "dog", "owl")))
    group = panel(root, "readout")
    widths = {name: float(named(group, name).get("stroke-width")) for name in ("cat", "dog", "owl")}
    assert widths["owl"] > 2 * widths["cat"] == 2 * widths["dog"]
    bold = [text.text for text in group.iter(f"{SVG}text") if text.get("font-weight") == "700"]
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert bold == ["owl"] and {"true class: cat", "predicted: owl", "✗ wrong", "cat (true)"} <= set(words)
    [(x, y)], near_x, near_y = read(group, "dog")
    np.testing.assert_allclose(x, np.arange(20) + 0.5, atol=near_x)
    np.testing.assert_allclose(y, a_probe().readout[:, 1], atol=near_y)


def test_curves_differ_without_colour():
    group = panel(parse(draw(a_history(l2=np.full(60, 0.1), rate=np.full(60, 0.2)))), "terms of the loss")
    dashes = [named(group, name).get("stroke-dasharray") for name in ("cross_entropy", "l1", "l2", "rate")]
    assert len(set(dashes)) == 4


def test_names_cannot_break_out():
    history = a_history(**{NASTY: np.ones(60)})
    history.add_intervention(step=30, knob=NASTY, old=1.0, new=0.5)
    probe = a_probe({NASTY: np.ones((20, 3), bool)})
    text = draw(history, title=NASTY, probe=probe, class_names=(NASTY, "b", NASTY))
    root = parse(text.encode())
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "text", "g", "path"}
    assert root.findtext(f"{SVG}title").startswith('<script>alert("1")</script> & ')


def test_stands_alone_and_speaks():
    history = a_history()
    history.add_intervention(step=30, knob="hidden.v_th", old=1.0, new=0.7)
    text = draw(history, probe=a_probe(), class_names=("cat", "dog", "owl"))
    root = parse(text)
    assert text.count("http") == 1 and root.tag == f"{SVG}svg"
    assert not re.search(r"href|url\(|<script|<image|\bid=|@import|@font-face", text)
    assert (
        root.get("role") == "img"
        and root.get("viewBox").startswith("0 0 960 ")
        and root.findtext(f"{SVG}title") == "a run"
    )
    said = root.findtext(f"{SVG}desc")
    for part in ("60 steps, 3 epochs", "test from 1 to 0.333", "at step 30: v_th 0.7", "predicted: owl"):
        assert part in said
    assert "prefers-color-scheme:dark" in root.findtext(f"{SVG}style")


@pytest.mark.parametrize("rate", [0.01, 0.15, 0.5])
def test_stays_small(rate):
    rng = np.random.default_rng(0)
    rasters = {"input": rng.random((100, 784)) < rate, "hidden": rng.random((100, 100)) < 0.05}
    readout = rng.normal(size=(100, 10)).cumsum(0)
    probe = Probe(sample=rng.random((28, 28)), rasters=rasters, readout=readout, label=3, prediction=4)
    assert len(draw(a_history(5000, 10), steps_per_epoch=500, probe=probe, dt=1.0).encode()) <= 60_000


def test_same_bytes_for_the_same_run(tmp_path):
    history = a_history()
    again = History.load(history.save(tmp_path / "history.json"))
    assert draw(history, probe=a_probe()) == draw(history, probe=a_probe()) == draw(again, probe=a_probe())
