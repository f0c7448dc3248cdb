"""The dashboard's Python half, without a browser: what it sends, and what a click or a move does."""

import math
import threading
import time

import numpy as np
import pytest
from disks import file_size_limit
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from lab_driver import wait_until
from networks import ENDLESS, SMALL

from snnlab.config import LstmConfig
from snnlab.controls import Knob, Mailbox
from snnlab.errors import ArgumentError, DivergenceError
from snnlab.health import Diagnosis
from snnlab.live import LiveTrainer
from snnlab.live.widgets.knob_rows import KnobRow


@pytest.fixture
def make(make_lab, small):
    """Makes small LiveTrainers."""

    def one(config=SMALL, **options) -> LiveTrainer:
        return make_lab(small, config, **{"epochs": 2, "batch_size": 32} | options)

    return one


def shown(lab) -> None:
    """Wait until the watcher has seen the newest step, and show it."""
    board, watcher = lab.display.board, lab.display.watcher
    if board.raster:
        wait_until(lambda: watcher._looked and watcher._looked[:2] == (lab.history, len(lab.history)), 60)
    wait_until(lambda: watcher.error or board.health is None or watcher.health is not None, 60)
    assert watcher.error is None
    board.pulse.pong = board.pulse.ping
    lab.display.screen.show()


@pytest.mark.parametrize("value", [0.0001, 0.3, 1.0, 5.0, 77.0])
@pytest.mark.parametrize("log", [False, True])
def test_positions_of_a_slider(value, log):
    """It starts at its value, goes to both ends, and its steps are even in value or, logarithmic, in ratio."""
    low, high = (0.0001, 10.0) if log else (0.0, 10.0)
    row = KnobRow(Knob(name="a.b_c", value=value, low=low, high=high, unit="ms", log=log), lambda *_: None)
    grid, slider = row.grid, row.slider
    assert slider.value == 0 and slider.description == "b_c" and row.box.value == value
    top = max(high, value)
    values = np.array([grid.value(position) for position in range(slider.min, slider.max + 1)])
    assert [grid.position(value) for value in values] == list(range(slider.min, slider.max + 1))
    step = np.log(10) / 100 if log else (top - low) / 400
    axis = np.log(values) if log else values
    np.testing.assert_allclose(np.diff(axis)[1:], step, rtol=1e-3 if log else 0, atol=1e-5)
    assert values[0] == low and abs(axis[-1] - (np.log(top) if log else top)) <= step


@pytest.mark.parametrize("log", [False, True])
def test_slider_box_and_program_agree(log):
    """Whoever moves a knob, the other controls follow; what shows it is not itself a move."""
    posted = []
    knob = Knob(name="a.b", value=0.1, low=0.001, high=1.0, log=log)
    row = KnobRow(knob, lambda *move: not posted.append(move))
    row.slider.value = 30
    row.show()
    chosen = 10 ** (-1 + 0.3) if log else 0.1 + 30 * 0.999 / 400
    assert [name for name, _ in posted] == ["a.b"] and posted[0][1] == row.box.value == pytest.approx(chosen, 1e-5)
    row.box.value = 0.3333
    row.show()
    assert posted[1:] == [("a.b", 0.3333)]
    assert row.slider.value == (round(100 * np.log10(3.333)) if log else round(0.2333 / 0.999 * 400))
    row.follow(5.0)  # from a program, beyond the end of the slider
    row.show()
    assert row.slider.value == row.slider.max and row.box.value == 5.0 and len(posted) == 2
    back = row.root.children[-1]
    back.click()
    row.show()
    assert posted[2:] == [("a.b", 0.1)] and row.box.value == 0.1 and row.slider.value == 0
    back.click()
    assert len(posted) == 3


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("value", [-5.0, math.nan, math.inf, 1e39, 1e300])
def test_a_refused_value_is_shown_no_longer(value, log):
    """What the run refuses, whether typed or sent by a page, leaves knob, box and slider where they were."""
    box = Mailbox([Knob(name="a.b", value=0.5, low=0.1, high=1.0, least=0.0, log=log)])

    def post(name, value) -> bool:
        try:
            return bool(box.post(name, value))
        except ArgumentError:
            return False

    row = KnobRow(box.knobs["a.b"], post)
    row.box.value = value
    row.show()
    assert row.box.value == 0.5 and row.slider.value == 0 and box.posted == {}
    row.slider.set_state({"min": -(10**400), "max": 10**400, "value": 10**400 if value > 0 else -(10**400)})
    row.show()
    assert math.isfinite(row.box.value) and box.knobs["a.b"].value >= 0.0


def test_what_is_shown_meanwhile_is_no_move():
    """A user moves a knob while the pump shows the value before: the user's stays, and is posted once."""
    posted = []
    row = KnobRow(Knob(name="a.b", value=0.5, low=0.0, high=1.0), lambda *move: not posted.append(move))
    row.follow(0.75)

    def typed_meanwhile(_change):
        user = threading.Thread(target=row._chosen, args=(0.25, 0.0))
        user.start()
        user.join(0.2)  # it waits for the end of `show`, or it acts at once

    row.slider.unobserve_all("value")
    row.slider.observe(typed_meanwhile, "value")  # between computing the position and comparing it
    row.slider.observe(lambda change: row._slid(change["new"]), "value")
    row.show()
    wait_until(lambda: posted, 60, "the user's move")
    row.show()
    assert posted == [("a.b", 0.25)] and row.box.value == 0.25


def quiet(lab) -> int:
    """How many frames were sent, once the newest checkup is there and no more come by themselves."""
    pulse, sent = lab.display.board.pulse, -1
    wait_until(lambda: lab.display.watcher.health.step == len(lab.history), 60, "the newest checkup")
    while sent != (sent := pulse.ping):
        pulse.pong = pulse.ping
        time.sleep(1.0)
    return sent


def test_a_frame_is_sent_only_when_something_changed(make):
    lab = make()
    board = lab.display.board
    lab.fit()
    shown(lab)
    sent = quiet(lab)
    shown(lab)
    assert board.pulse.ping == sent and "done" in board.status.value and board.progress.value == 1.0
    lengths = {trace.meta: len(trace.x if trace.x is not None else ()) for trace in board.figure.data}
    assert lengths["loss"] == lengths["grad_norm"] == 16 and lengths["test_acc"] == 2 and lengths["ghost:loss"] == 0
    assert "<td>2</td>" in board.table.value and board.raster.frame["summary"].startswith("true class")
    assert "hidden" in board.health.frame["summary"]
    test = lab.history.epochs[-1]["test_loss"]
    assert board.words.value.startswith("Curves at step 16: ") and f"test loss {test:.3g}" in board.words.value
    lab.set(v_th=0.7)
    lab.display.screen.show()
    row = board.rows["hidden.v_th"]
    assert row.box.value == 0.7 and row.slider.value == row.grid.position(0.7)
    row.slider.value = row.grid.position(0.9)
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == pytest.approx(0.9, 0.01)


def test_a_page_that_opens_is_sent_everything(make, monkeypatch):
    """Also what has not changed since: the page may have lost the change."""
    lab = make()
    board = lab.display.board
    lab.fit()
    lab.set(v_th=0.7)
    shown(lab)
    quiet(lab)
    sent = {}

    def keep(widget, message, buffers=None):
        sent.setdefault(widget.model_id, {}).update(message.get("state", {}))

    monkeypatch.setattr(Widget, "_send", keep)
    board.pulse._receive(board.pulse, {"hello": True}, [])
    lab.display.screen.show()
    buttons, slider = board.buttons, board.rows["hidden.v_th"].slider
    for widget in [buttons["transport"], buttons["repair"].layout, board.status, slider]:
        state = widget.get_state()
        assert sent[widget.model_id] == {name: state[name] for name in state if not name.startswith("_")}
    assert sent[board.raster.model_id].keys() >= {"scene", "frame"}
    assert "_py2js_update" in sent[board.figure.model_id]
    del sent[board.pulse.model_id]
    lab.display.screen.show()
    assert board.pulse.model_id not in sent, "it is greeted once"


def test_all_panels_can_be_left_out(make):
    lab = make(show=())
    assert lab.display.board.figure is None and lab.display.board.raster is None and lab.display.board.health is None
    lab.fit()
    lab.display.screen.show()
    watcher = lab.display.watcher
    assert "done" in lab.display.board.status.value and watcher.look is None and watcher.health is None


def test_the_lstm_has_a_dashboard_too(make):
    lab = make(LstmConfig(hidden=8))
    lab.fit()
    shown(lab)
    assert "display error" not in lab.display.board.status.value and lab.display.board.raster.frame["layers"]
    assert set(lab.display.board.rows) == {"learning_rate"}
    assert set(lab.display.board.structure) == {"hidden", "batch_size", "epochs"}


def test_select_a_neuron(make):
    lab = make()
    raster = lab.display.board.raster
    shown(lab)
    assert raster.frame["neuron"] is None
    raster._receive(raster, {"select": {"layer": "hidden", "unit": 5}}, [])
    shown(lab)
    assert "hidden neuron 5" in raster.frame["neuron"]["title"]
    raster._receive(raster, {"select": {"layer": "hidden", "unit": 5000}}, [])
    shown(lab)
    assert "hidden neuron 5" in raster.frame["neuron"]["title"]
    lab.reset(hidden=4)  # there is no neuron 5 any more
    shown(lab)
    assert raster.frame["neuron"] is None and "display error" not in lab.display.board.status.value


def test_what_a_page_sends_is_checked(make):
    """A page may send any state of a widget, other bounds included: pictures and looks go on, nothing grows."""
    lab = make(hz=10.0)
    board, screen, watcher = lab.display.board, lab.display.screen, lab.display.watcher
    for rate, understood in ((0.0, 0.5), (-1.0, 0.5), (math.nan, 0.5), (math.inf, 10.0), (1e300, 10.0)):
        board.hz.set_state({"min": -math.inf, "max": math.inf, "value": rate})
        assert board.rate == understood
    for sample, understood in ((10**9, 63), (-5, 0), (7, 7)):
        board.sample.set_state({"min": -(10**9), "max": 10**9, "value": sample})
        assert board.shown_sample == understood
        watcher.awake.set()
        wait_until(lambda shown=understood: watcher._looked and watcher._looked.sample == shown, 60)
    for content in (None, 3, [], {"pong": 10**9}, {"pong": "1"}, {"pong": math.nan}, {"select": 3}, {"select": {}}):
        board.pulse._receive(board.pulse, content, [])
        board.raster._receive(board.raster, content, [])
    assert board.pulse.pong <= board.pulse.ping
    board.raster.set_state({"scene": {"units": {"cow": 10**9, "hidden": "many"}}})
    board.raster._receive(board.raster, {"select": {"layer": "cow", "unit": 3}}, [])
    board.figure._js2py_restyle = {"source_view_id": "", "style_traces": [0], "style_data": {"meta": [5]}}
    board.structure["hidden"].set_state({"max": 10**12, "value": 10**12})
    board.buttons["restart"].click()
    assert "hidden: must be an integer &gt;= 1 and &lt;= 1000000, got 1000000000000" in board.message
    lab.set(v_th=0.5)
    shown(lab)
    assert "display error" not in board.status.value and screen._thread.is_alive() and watcher._thread.is_alive()


def test_buttons_do_what_their_twins_do(make, tmp_path):
    lab = make(epochs=ENDLESS, folder=tmp_path / "exports")
    board, buttons = lab.display.board, lab.display.board.buttons
    buttons["step"].click()
    wait_until(lambda: lab.state == "paused", 60, "one step")
    assert len(lab.history) == 1
    buttons["chunk"].click()
    wait_until(lambda: lab.state == "paused" and len(lab.history) > 1, 60, "a chunk")
    shown(lab)
    assert buttons["transport"].description == "Resume" and not buttons["step"].disabled
    buttons["transport"].click()
    wait_until(lambda: len(lab.history) > 6, 60, "running")
    buttons["step"].click()
    assert "call pause() first" in board.message
    buttons["stop"].click()
    assert lab.wait(60) and lab.state == "stopped"
    before = lab.history
    buttons["new_seed"].click()
    assert lab.trainer.config.seed == 1 and len(lab.history) == 0 and lab.runs == [(before, 8)]
    board.structure["hidden"].value = 12
    buttons["restart"].click()
    assert lab.model.recipe.config.hidden == 12 and lab.trainer.config.seed == 1
    buttons["export"].click()
    buttons["export"].click()
    names = sorted(path.name for path in (tmp_path / "exports").iterdir())
    assert names == ["net-step-0-2.safetensors", "net-step-0.safetensors"] and names[0] in board.message
    (tmp_path / "exports" / "file").write_text("")
    board.folder.value = str(tmp_path / "exports" / "file")
    buttons["export"].click()
    assert "&#9888;" in board.message


def test_what_fails_is_said_on_the_page(make, place):
    """A disk that cannot be written, by the name of the file; what nobody expected, too, and it is logged."""
    lab = make(show=(), folder=place)
    board = lab.display.board
    with file_size_limit(place) as words:
        board.buttons["export"].click()
    assert f"{place}/net-step-0.safetensors: cannot be written ({words})" in board.message
    with pytest.raises(KeyError):
        board._act(lambda: {}["<cow>"])
    assert "KeyError: &#x27;&lt;cow&gt;&#x27;" in board.message


@pytest.mark.parametrize(
    "folder", ["..", "exports/..", "exports/../other", "{}/other", "/", "exports/link", "loop", "a\0"]
)
def test_the_page_exports_into_its_folder_only(make, tmp_path, monkeypatch, folder):
    """Whoever sees the page (of Voila, say) names a folder; what leads out of the one that it was given is refused."""
    monkeypatch.chdir(tmp_path)
    for name in ("exports", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "exports" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    lab = make(show=(), folder="exports")
    before = sorted(tmp_path.rglob("*"))
    board = lab.display.board
    board.folder.value = folder.format(tmp_path)
    board.buttons["export"].click()
    assert "&#9888;</span> folder: " in board.message and sorted(tmp_path.rglob("*")) == before
    for inner in ("exports", "exports/deep/er", f"{tmp_path}/exports", "other/../exports/deep"):
        board.folder.value = inner
        board.buttons["export"].click()
        assert list((tmp_path / inner).glob("net-step-0.safetensors")), board.message


def test_the_diagnosis_has_a_button_that_does_it(make):
    lab = make(show=())
    repair = lab.display.board.buttons["repair"]
    lab.display.screen.show()
    assert repair.layout.visibility == "hidden"
    repair.click()  # nothing to repair, nothing happens
    lab.display.watcher.finding = Diagnosis(name="silent", text="97 < 100 fired", knob="hidden.v_th", value=0.4)
    lab.display.screen.show()
    assert "97 &lt; 100 fired" in lab.display.board.diagnosis.value
    assert repair.layout.visibility == "visible" and repair.description == "set hidden.v_th to 0.4"
    repair.click()
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.4
    lab.display.watcher.finding = Diagnosis(name="dead readout", text="x", knob=None, value=None, new_seed=True)
    lab.display.screen.show()
    repair.click()
    assert repair.description == "new seed" and lab.trainer.config.seed == 1


def test_a_run_that_diverged_has_a_button_that_goes_back(make):
    """The error beside the state, what to do in words and as a button; the move is recorded."""
    lab = make(LstmConfig(hidden=8), show=())
    board = lab.display.board
    lab.step(2)
    wait_until(lambda: lab.state == "paused", 60, "two steps")
    lab.set(learning_rate=1e30)
    lab.resume()
    with pytest.raises(DivergenceError) as caught:
        lab.wait(60)
    error = caught.value
    lab.display.screen.show()
    assert lab.state == "error" and "is not finite" in board.status.value and str(error) in board.diagnosis.value
    repair = board.buttons["repair"]
    assert repair.description == f"go back to step {error.back_to}, set learning_rate to 0.01"
    assert repair.layout.visibility == "visible" and len(lab.history) >= error.back_to
    repair.click()
    assert lab.wait(60) and lab.state == "done" and lab.diagnosis is None and board.message == ""
    moves = [(row["step"], row["knob"], row["new"]) for row in lab.history.interventions]
    assert moves[-1] == (error.back_to, "learning_rate", 0.01) and len(lab.history) == 16
    assert f"({error.back_to}, 'learning_rate', 0.01)," in lab.script()
    lab.display.screen.show()
    assert repair.layout.visibility == "hidden" and "done" in board.status.value


def test_a_picture_that_fails_says_so_and_the_next_one_comes(make, monkeypatch):
    lab = make(show=(), hz=10.0)
    board = lab.display.board
    monkeypatch.setattr(lab.display.screen, "show", lambda: 1 / 0)
    wait_until(lambda: "display error" in board.status.value, 60, "the error")
    monkeypatch.undo()
    board.pulse.pong = board.pulse.ping
    lab.set(v_th=0.5)
    wait_until(lambda: "idle" in board.status.value or lab.display.screen._texts, 60, "the next picture")


def test_closing_frees_every_widget(make):
    before = set(_instances)
    for _ in range(2):
        lab = make()
        _ = lab.display.board
        assert len(set(_instances) - before) > 50
        lab.close()
        assert set(_instances) - before == set()
    lab = make(show=())
    _ = lab.display
    lab.close()
    assert set(_instances) - before == set()
    assert lab.history is not None and lab.model is not None


def test_closing_ends_the_threads(make):
    lab = make(epochs=ENDLESS)
    _ = lab.display.board
    lab.start()
    wait_until(lambda: len(lab.history) > 1, 60, "training")
    lab.close()
    names = {"snnlab-train", "snnlab-pump", "snnlab-watch"}
    wait_until(lambda: not {thread.name for thread in threading.enumerate()} & names, 60, "all threads have ended")
    assert lab.state == "stopped"


@pytest.mark.endure
def test_checkups_go_on_while_it_trains(make):
    lab = make(epochs=ENDLESS, hz=10.0)
    watcher = lab.display.watcher
    lab.start()
    wait_until(lambda: watcher.health is not None and watcher.health.step > 0, 60, "a first checkup")
    step = watcher.health.step
    wait_until(lambda: watcher.health.step > step, 60, "another one")
    lab.stop()
    assert lab.wait(60)
    wait_until(lambda: watcher.health.step == len(lab.history), 60, "the last one is of the end")
