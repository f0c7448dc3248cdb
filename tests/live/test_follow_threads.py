"""Cells that follow a run, without a browser: what they show, of which moment, and in which order."""

import html
import re
import threading
import time

import numpy as np
import plotly.graph_objects as go
import pytest
from lab_driver import wait_until
from networks import SMALL, make_trainer

from snnlab.errors import ArgumentError
from snnlab.live import frontend
from snnlab.live.figures import MIME


@pytest.fixture
def widgets(monkeypatch):
    """The widgets that are displayed, as in a notebook that somebody watches."""
    shown = []
    monkeypatch.setenv("SNNLAB_HEADLESS", "0")
    monkeypatch.setattr(frontend, "show", lambda widget, **_: shown.append(widget))
    return shown


def line(widget) -> str:
    """The line above, if there is one."""
    return widget.outputs[0]["data"]["text/plain"] if widget.outputs else ""


def below(widget) -> list[dict]:
    """What is shown below the line."""
    return [output["data"] for output in widget.outputs[1:]]


def texts(widget) -> list[str]:
    """The same, as text."""
    return [data["text/plain"] for data in below(widget)]


def says(widget, pattern: str) -> None:
    wait_until(lambda: re.fullmatch(pattern, line(widget)), 60, f"{pattern}, not {line(widget)!r}")


def test_it_shows_the_model_of_the_moment_that_the_line_names(make, widgets, small):
    """Every network that was drawn is, bit for bit, the one that a second run has at this step."""
    lab, drawn = make(epochs=12), {}

    @lab.follow
    def draw():
        kernel, row = np.asarray(lab.model.stack.layers["hidden"].kernel[...]), lab.history.epochs[-1:]
        time.sleep(0.05)  # the run is somewhere else by now
        drawn[len(lab.history)] = kernel, row, lab.state
        return f"{len(lab.history)} steps, {lab.history.num_epochs} epochs"

    (widget,) = widgets
    assert line(widget) == "step 0 of 96: not trained yet" and below(widget) == [] and drawn == {}
    lab.start()
    assert lab.wait(60)
    says(widget, "at the end, epoch 12")
    wait_until(lambda: texts(widget) == ["96 steps, 12 epochs"] and 96 in drawn, 60, "the end")
    trainer = make_trainer(small, SMALL, epochs=12)
    for step in sorted(drawn):
        kernel, row, state = drawn[step]
        assert step % 8 == 0 and state in ("training", "done")
        trainer.fit(until=step)
        assert (kernel == np.asarray(trainer.snapshot().stack.layers["hidden"].kernel[...])).all()
    results = trainer.fit().epochs
    for step, (_, (row,), _) in drawn.items():
        assert row["epoch"] == step // 8 and row["test_acc"] == results[step // 8 - 1]["test_acc"]
    assert drawn[96][2] == "done"
    assert draw() == "96 steps, 12 epochs"  # the decorator returns the function


def test_a_pause_a_stop_and_a_reset_are_told(make, widgets):
    lab = make()
    lab.follow(lambda: str(len(lab.history)))
    (widget,) = widgets
    for _ in range(2):
        lab.step(3)
        wait_until(lambda: lab.state == "paused", 60, "paused")
        step = len(lab.history)
        says(widget, rf"paused at step {step} of 800,000, in epoch 1 of 100000")
        wait_until(lambda step=step: texts(widget) == [str(step)], 60, "its drawing")
    lab.resume()
    says(widget, r"after epoch \d+ of 100000")
    lab.stop()
    assert lab.wait(60)
    step, epochs = len(lab.history), lab.history.num_epochs
    ended = step == 8 * epochs  # else in an epoch, perhaps in its test
    where = f"after epoch {epochs}" if ended else f"at step {step:,} of 800,000, in epoch {epochs + 1}"
    says(widget, f"stopped {where} of 100000")
    wait_until(lambda: texts(widget) == [str(step)], 60, "its drawing")
    lab.reset()
    says(widget, "step 0 of 800,000: not trained yet")
    assert below(widget) == []


def test_one_drawing_at_a_time_and_the_newest_state_last(make, widgets):
    """While one drawing takes its time, many epochs are trained; the last state is drawn all the same."""
    lab, busy, most, starts = make(epochs=60), [], [], []
    first = threading.Event()

    @lab.follow
    def _():
        busy.append(1)
        most.append(len(busy))
        starts.append(len(lab.history))
        if len(starts) == 1:
            first.wait(60)
        busy.pop()
        return str(len(lab.history))

    lab.start()
    assert lab.wait(60)  # it has trained to the end while the first drawing was at work
    assert len(starts) == 1 and starts[0] < 480
    first.set()
    says(widgets[0], "at the end, epoch 60")
    wait_until(lambda: texts(widgets[0]) == ["480"], 60, "the last state")
    assert set(most) == {1} and starts == sorted(starts) and starts[-1] == 480


def test_an_error_is_one_sentence_with_its_traceback_and_stops_nothing(make, widgets):
    lab = make(epochs=2)

    @lab.follow
    def _():
        raise ValueError("<img src=x onerror=alert(1)>")

    lab.start()
    assert lab.wait(60) and lab.state == "done"
    says(widgets[0], "at the end, epoch 2")
    (shown,) = below(widgets[0])
    page = shown["text/html"]
    assert page.startswith("<b>error</b> &middot; ValueError: &lt;img") and "<details><summary>traceback" in page
    assert "<img" not in page and "raise ValueError" in html.unescape(page) and "follow.py" not in page


def test_two_runs_side_by_side(make, widgets):
    """It is drawn anew when the other one ends, too."""
    lab, other = make(epochs=1), make(epochs=2)
    lab.follow(beside=other)(lambda: f"{lab.history.num_epochs} {other.history.num_epochs}")
    lab.start()
    assert lab.wait(60)
    says(widgets[0], "at the end, epoch 1; beside it: step 0 of 16: not trained yet")
    other.start()
    assert other.wait(60)
    says(widgets[0], "at the end, epoch 1; beside it: at the end, epoch 2")
    wait_until(lambda: texts(widgets[0]) == ["1 2"], 60, "both")


def test_what_can_be_shown(make, widgets):
    """A text as it is, a figure that uploads nothing, a list of both; None is a mistake, and said."""
    lab, what = make(epochs=1), []
    lab.follow(lambda: what)
    lab.follow(lambda: None)
    what += ["<b>plain</b>", go.Figure(go.Scatter(y=[1, 2])), 3.5]
    lab.start()
    assert lab.wait(60)
    for widget in widgets:
        says(widget, "at the end, epoch 1")
    wait_until(lambda: len(below(widgets[0])) == 3, 60, "three")
    text, figure, number = below(widgets[0])
    assert text["text/plain"] == "<b>plain</b>" and ">&lt;b&gt;plain&lt;/b&gt;<" in text["text/html"]
    assert number["text/plain"] == "3.5"
    assert set(figure) == {MIME, "text/plain"} and figure[MIME]["config"]["showSendToCloud"] is False
    assert "Return what is to be shown" in below(widgets[1])[0]["text/plain"]


def test_the_cell_run_again_replaces_it_and_close_ends_it(make, widgets, monkeypatch):
    lab, execution = make(), [("cell", "1")]
    monkeypatch.setattr(frontend, "running_cell", lambda: execution[0])
    lab.follow(lambda: "old")
    old = [thread for thread in threading.enumerate() if thread.name == "snnlab-follow"]
    execution[0] = ("cell", "2")
    lab.follow(lambda: "new")
    for thread in old:
        thread.join(60)
    assert widgets[0].comm is None and widgets[1].comm is not None  # a closed widget has no comm
    lab.step()
    says(widgets[1], "paused at step 1 of .*")
    lab.close()
    wait_until(lambda: widgets[1].comm is None, 60, "closed")
    assert not [thread for thread in threading.enumerate() if thread.name == "snnlab-follow"]


def test_what_cannot_be_followed_is_refused_at_once(make, widgets):
    lab = make()
    with pytest.raises(ArgumentError, match=r"draw: must be a function without arguments, got <function .* 'model'"):
        lab.follow(lambda model: model)
    with pytest.raises(ArgumentError, match="draw: must be a function without arguments, got 'text'"):
        lab.follow("text")
    with pytest.raises(ArgumentError, match="beside: must be a LiveTrainer, got int"):
        lab.follow(lambda: 1, beside=[3])
    assert widgets == []


def test_nobody_watches(make, capsys, monkeypatch):
    """It is called once, where the run stands; what fails, fails the cell."""
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    lab = make(epochs=3)
    lab.follow(lambda: pytest.fail("untrained"))
    lab.fit(until_epoch=1)
    lab.follow(lambda: str(len(lab.history)))
    lab.fit()
    lab.follow(lambda: str(len(lab.history)))
    said = ["step 0 of 24: not trained yet", "stopped after epoch 1 of 3", "8", "at the end, epoch 3", "24"]
    assert capsys.readouterr().out.splitlines() == said
    with pytest.raises(ZeroDivisionError):
        lab.follow(lambda: 1 / 0)
