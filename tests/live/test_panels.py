"""Pictures as pure functions of what happened."""

import numpy as np
import pytest

from snnlab.history import History
from snnlab.live.figure import figure, mark_shapes
from snnlab.live.frames import curves
from snnlab.live.frames.curves import WINDOWS, Mark
from snnlab.live.frames.status import Recorded


def test_curves_place_tests_at_the_ends_of_epochs():
    history = History()
    history.add_steps({"loss": np.arange(6.0), "epoch": np.repeat([1, 2], 3)})
    for epoch in (1, 2):
        history.add_epoch({"epoch": epoch, "test_loss": 0.1 * epoch, "test_acc": 0.5 * epoch})
    found = curves.curves(history, steps_per_epoch=3)
    assert set(found) == {"loss", "test_loss", "test_acc"}
    assert found["test_acc"][0].tolist() == [3.0, 6.0] and found["test_acc"][1].tolist() == [0.5, 1.0]


def recorded(steps: int, moves: tuple[int, ...] = ()) -> History:
    history = History()
    history.add_steps({"loss": np.arange(1.0, steps + 1), "epoch": np.ones(steps)})
    for step in moves:
        history.add_intervention(step=step, knob="hidden.v_th", old=1.0, new=0.5)
    return history


def points(curve: dict) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(curve["x"], np.float32), np.frombuffer(curve["y"], np.float32)


@pytest.mark.parametrize(
    ("steps", "moves", "expected"),
    [
        (1000, (), {"all steps": None, "last 200": (800, 1000), "last move": None}),
        (1000, (300,), {"last move": (200, 400)}),
        (1000, (300, 950), {"last move": (800, 1000)}),
        (1000, (20,), {"last move": (0, 200)}),
        (60, (20,), {"all steps": None, "last 200": (0, 60), "last move": (0, 60)}),
        (0, (), dict.fromkeys(WINDOWS)),
    ],
)
def test_a_window_shows_every_step_in_it(steps, moves, expected):
    """The newest 200 steps, or those around the last move: each step is a point, at its place."""
    history = recorded(steps, moves)
    for chosen, part in expected.items():
        frame = curves.curves_frame(history, 100, 5000, chosen)
        assert frame["range"] == part
        x, y = points(frame["now"]["loss"]) if steps else ([], [])
        if part is not None:
            np.testing.assert_array_equal(x, np.arange(part[0] + 1, part[1] + 1))
            np.testing.assert_array_equal(y, x)
        elif steps:
            assert x[-1] == steps and len(x) <= 300


def test_earlier_runs_come_the_newest_first():
    runs = [curves.curves(recorded(steps), 100) for steps in (3, 5)]
    assert [len(points(run["loss"])[0]) for run in curves.earlier_frame(runs)] == [5, 3]


def test_a_drag_is_one_mark_and_two_knobs_are_two():
    rows = [("hidden.v_th", 10, 0.9), ("hidden.v_th", 12, 0.8), ("l1", 13, 0.01), ("hidden.v_th", 14, 0.7)]
    rows += [("hidden.v_th", 200, 0.5)]
    moves = [{"step": step, "knob": knob, "old": 1.0, "new": new} for knob, step, new in rows]
    found = curves.marks(moves, total_steps=500)
    assert found == [Mark(12, "v_th 0.8"), Mark(13, "l1 0.01"), Mark(14, "v_th 0.7"), Mark(200, "v_th 0.5")]


def test_the_newest_moves_are_said():
    """To whoever cannot see the marks: how many there are, and the last three, the newest first."""
    history = History()
    history.add_steps({"loss": np.full(900, 0.25), "epoch": np.ones(900, int)})
    say = lambda: curves.curves_frame(history, 900, 2000, "all steps")["words"]  # noqa: E731
    ends = say()
    assert ends.startswith("Curves at step ") and ends.endswith(": loss 0.25.")
    history.add_intervention(step=100, knob="hidden.v_th", old=1.0, new=0.9)
    assert say() == f"{ends} 1 move, the newest: v_th 0.9 at step 100."
    for step, new in ((200, 0.8), (300, 0.7), (800, 0.6)):
        history.add_intervention(step=step, knob="hidden.v_th", old=1.0, new=new)
    assert (
        say() == f"{ends} 4 moves, the newest first: v_th 0.6 at step 800, v_th 0.7 at step 300, v_th 0.8 at step 200."
    )


def test_a_mark_is_a_line_in_every_plot_and_words_in_the_first():
    shapes = mark_shapes([Mark(k, f"m{k}") for k in range(20)], panels=3)
    assert len(shapes) == 60 and {shape["yref"] for shape in shapes} == {"y domain", "y2 domain", "y3 domain"}
    assert all(shape["x0"] == shape["x1"] for shape in shapes)
    labels = [shape["label"]["text"] for shape in shapes if "label" in shape]
    assert labels == [f"m{k}" for k in range(8, 20)]  # of many, the newest


def drawn(terms: list[str], spiking: bool, earlier: int = 0):
    runs = [Recorded(recorded(5), 5)] * earlier
    return figure(Recorded(recorded(20, (7,)), 5), terms=terms, spiking=spiking, earlier=runs, total_steps=20)


def test_every_curve_has_its_trace():
    whole = drawn(["cross_entropy", "l1", "l2"], spiking=True, earlier=2)
    shown = [trace.meta for trace in whole.data if trace.meta]
    assert shown == [
        *("loss", "test_loss", "accuracy", "test_acc", "cross_entropy", "l1", "l2", "spikes_per_sample", "grad_norm")
    ]
    assert len([trace for trace in whole.data if trace.name.startswith("run ")]) == 2 * 5
    assert [trace.x.tolist() for trace in whole.data if trace.meta == "loss"] == [list(range(1, 21))]
    assert len(whole.layout.shapes) == 5, "a mark in every plot"
    styles = {
        (trace.line.color, trace.line.dash) for trace in whole.data if trace.meta in ("cross_entropy", "l1", "l2")
    }
    assert len({dash for _, dash in styles}) == 3  # told apart without colour
    plain = drawn(["cross_entropy"], spiking=False)
    assert [t.meta for t in plain.data] == ["loss", "test_loss", "accuracy", "test_acc", "grad_norm"]
    assert plain.layout.height < whole.layout.height
