"""Pictures as pure functions of what happened."""

import numpy as np
import pytest

from snnlab.history import History
from snnlab.live.frames import curves, words
from snnlab.live.frames.curves import Mark
from snnlab.live.widgets.curves_figure import make_figure, mark_shapes


@pytest.mark.parametrize("count", [1, 2, 49, 500])
def test_smoothing_keeps_straight_lines_and_calms_noise(count):
    x = np.arange(count, dtype=np.float32)
    middle = slice(count // 50 + 1, count - count // 50 - 1)  # the ends see one side only
    np.testing.assert_allclose(curves.moving_mean((x, 3 * x))[1][middle], 3 * x[middle], atol=1e-3)
    noise = np.random.default_rng(0).normal(size=count).astype(np.float32)
    calm = curves.moving_mean((x, noise))[1]
    assert len(calm) == count and np.isfinite(calm).all()
    if count == 500:  # mean of 21 values
        assert 0.5 / 21**0.5 < calm[middle].std() / noise.std() < 1.5 / 21**0.5


def test_curves_place_tests_at_the_ends_of_epochs():
    history = History()
    history.add_steps({"loss": np.arange(6.0), "epoch": np.repeat([1, 2], 3)})
    for epoch in (1, 2):
        history.add_epoch({"epoch": epoch, "test_loss": 0.1 * epoch, "test_acc": 0.5 * epoch})
    found = curves.curves(history, steps_per_epoch=3)
    assert set(found) == {"loss", "test_loss", "test_acc"}
    assert found["test_acc"][0].tolist() == [3.0, 6.0] and found["test_acc"][1].tolist() == [0.5, 1.0]


def test_earlier_runs_are_one_line_with_gaps():
    ones = {"loss": (np.arange(2.0), np.ones(2))}
    x, y = curves.joined([ones, {}, ones], "loss")
    assert x.tolist()[:2] == [0.0, 1.0] and np.isnan(x[[2, 5]]).all() and y[3:5].tolist() == [1.0, 1.0]
    assert [len(part) for part in curves.joined([], "loss")] == [0, 0]


def test_a_drag_is_one_mark_and_two_knobs_are_two():
    rows = [("hidden.v_th", 10, 0.9), ("hidden.v_th", 12, 0.8), ("l1", 13, 0.01), ("hidden.v_th", 14, 0.7)]
    rows += [("hidden.v_th", 200, 0.5)]
    moves = [{"step": step, "knob": knob, "old": 1.0, "new": new} for knob, step, new in rows]
    found = curves.marks(moves, total_steps=500)
    assert found == [Mark(12, "v_th 0.8"), Mark(13, "l1 0.01"), Mark(14, "v_th 0.7"), Mark(200, "v_th 0.5")]


def test_a_mark_is_a_line_in_every_plot_and_words_in_the_first():
    shapes = mark_shapes([Mark(k, f"m{k}") for k in range(20)], panels=3)
    assert len(shapes) == 60 and {shape["yref"] for shape in shapes} == {"y domain", "y2 domain", "y3 domain"}
    assert all(shape["x0"] == shape["x1"] for shape in shapes)
    labels = [shape["label"]["text"] for shape in shapes if "label" in shape]
    assert labels == [f"m{k}" for k in range(8, 20)]  # of many, the newest


def test_every_curve_has_its_trace():
    figure = make_figure(["cross_entropy", "l1", "l2"], spiking=True)
    shown = [trace.meta for trace in figure.data if not trace.meta.startswith("ghost:")]
    assert shown == [
        *("loss", "test_loss", "accuracy", "test_acc", "cross_entropy", "l1", "l2", "spikes_per_sample", "grad_norm")
    ]
    styles = {
        (trace.line.color, trace.line.dash) for trace in figure.data if trace.meta in ("cross_entropy", "l1", "l2")
    }
    assert len({dash for _, dash in styles}) == 3  # told apart without colour
    plain = make_figure(["cross_entropy"], spiking=False)
    assert [t.meta for t in plain.data if ":" not in t.meta] == [
        "loss",
        "test_loss",
        "accuracy",
        "test_acc",
        "grad_norm",
    ]
    assert plain.layout.height < figure.layout.height


def test_an_error_is_shown_with_its_traceback_and_without_markup():
    text = words.error_text("Traceback\n  line <b>\nValueError: 1 < 2 & so\n")
    assert "ValueError: 1 &lt; 2 &amp; so" in text.split("<details>")[0] and "line &lt;b&gt;" in text
