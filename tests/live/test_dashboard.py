"""The dashboard's Python half, without a browser: what it sends, and what a click or a move does."""

import dataclasses
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
from snnlab.live.frames.chosen import Chosen
from snnlab.live.widgets.cockpit import Cockpit, Deeds
from snnlab.live.widgets.twins import KnobRow


@pytest.fixture
def make(make_lab, small):
    """Makes small LiveTrainers."""

    def one(config=SMALL, **options) -> LiveTrainer:
        return make_lab(small, config, **{"epochs": 2, "batch_size": 32} | options)

    return one


def shown(lab) -> None:
    """Wait until the watcher has seen the newest step, and show it."""
    board, watcher = lab.display.board, lab.display.watcher
    if "raster" in lab.show:
        knobs = tuple(knob.value for knob in lab.trainer.mailbox.shown.values())
        wait_until(lambda: _seen(watcher) == (lab.history, len(lab.history), knobs), 60, "a look")
    wait_until(lambda: watcher.error or "health" not in lab.show or watcher.health is not None, 60, "a checkup")
    assert watcher.error is None
    board.pong = board.ping
    lab.display.screen.show()


def _seen(watcher) -> tuple | None:
    looked = watcher._looked
    return looked and (looked.history, looked.steps, looked.knobs)


def say(board: Cockpit, message) -> None:
    """A message from the page."""
    board._receive(board, message, [])


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

    def typed_meanwhile(_change):
        user = threading.Thread(target=row._chosen, args=(0.25, 0.0))
        user.start()
        user.join(0.2)  # it waits for the end of `show`, or it acts at once

    row.slider.unobserve_all("value")
    row.slider.observe(typed_meanwhile, "value")  # between computing the position and comparing it
    row.slider.observe(lambda change: row._slid(change["new"]), "value")
    row.follow(0.75)
    wait_until(lambda: posted, 60, "the user's move")
    row.show()
    assert posted == [("a.b", 0.25)] and row.box.value == 0.25


def quiet(lab) -> int:
    """How many frames were sent, once the newest checkup is there and no more come by themselves."""
    board, sent = lab.display.board, -1
    if "health" in lab.show:
        wait_until(lambda: lab.display.watcher.health.step == len(lab.history), 60, "the newest checkup")
    while sent != (sent := board.ping):
        board.pong = board.ping
        time.sleep(1.0)
    return sent


def floats(part: bytes) -> np.ndarray:
    return np.frombuffer(part, np.float32)


def test_a_frame_is_sent_only_when_something_changed(make):
    lab = make()
    board = lab.display.board
    lab.fit()
    shown(lab)
    sent = quiet(lab)
    shown(lab)
    assert board.ping == sent and board.run["state"] == "done" and board.run["progress"] == 1.0
    lengths = {name: len(floats(curve["x"])) for name, curve in board.curves["now"].items()}
    assert lengths["loss"] == lengths["grad_norm"] == 16 and lengths["test_acc"] == 2 and board.earlier == []
    assert [row[0] for row in board.results["rows"]] == ["2", "1"]
    assert board.frame["summary"].startswith("true class") and "hidden" in board.health["summary"]
    test = lab.history.epochs[-1]["test_loss"]
    assert board.curves["words"].startswith("Curves at step 16: ") and f"test loss {test:.3g}" in board.curves["words"]
    lab.set(v_th=0.7)
    shown(lab)
    assert board.run["knobs"]["hidden.v_th"] == 0.7
    say(board, {"move": ["hidden.v_th", 0.9]})
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.9


@pytest.mark.parametrize("show", [(), ("curves",), ("health",)])
def test_nothing_is_sent_of_a_run_that_stands_whatever_is_shown(make, show):
    lab = make(show=show)
    lab.fit()
    shown(lab)
    sent = quiet(lab)
    for _ in range(3):
        lab.display.screen.show()
    assert lab.display.board.ping == sent


def test_a_move_is_seen_before_the_next_step(make):
    """Paused, the raster is that of the new value at once, and says that no step has used it; then one has."""
    lab = make()
    board = lab.display.board
    lab.step(1)
    wait_until(lambda: lab.state == "paused", 60, "a step")
    shown(lab)
    assert not board.frame["preview"]
    before = lab.trainer.state
    say(board, {"move": ["hidden.v_th", 1e6]})  # nothing reaches it
    shown(lab)
    assert board.frame["preview"] and "hidden 0 spikes" in board.frame["summary"]
    assert lab.trainer.state is before and len(lab.history) == 1
    lab.set(v_th=0.01)
    shown(lab)
    assert board.frame["preview"] and "hidden 0 spikes" not in board.frame["summary"]
    lab.step(1)
    wait_until(lambda: lab.state == "paused" and len(lab.history) == 2, 60, "the step that uses it")
    shown(lab)
    assert not board.frame["preview"]


def test_a_preview_is_what_the_next_step_computes(make):
    """The raster of a preview is that of a network in which the knob has this value from the start."""
    lab = make()
    say(lab.display.board, {"move": ["hidden.v_th", 0.37]})
    ahead, is_ahead = lab.trainer.preview()
    made = make(dataclasses.replace(SMALL, v_th=0.37)).model
    assert is_ahead and ahead.stack.layers["hidden"].neuron.v_th[...].item() == np.float32(0.37)
    x = lab.trainer.data.x_test[:4]
    np.testing.assert_array_equal(ahead(x).readout, made(x).readout)
    kept, is_ahead = make().trainer.preview()
    assert not is_ahead and kept.stack.layers["hidden"].neuron.v_th[...].item() == 1.0


def test_what_is_tried_out_shows_and_is_not_trained_with(make):
    """The run takes the same steps as one that nobody looked at; weights, history and undo show no trace of it."""
    lab, other = make(), make()
    board = lab.display.board
    for one in (lab, other):
        one.step(1)
        wait_until(lambda one=one: one.state == "paused" and len(one.history) == 1, 60, "a step")
    say(board, {"try": ["hidden.v_th", 0.01], "stamp": ["page", 3]})
    shown(lab)
    assert board.frame["preview"] and "hidden 0 spikes" not in board.frame["summary"]
    assert board.run["tried"] == {"hidden.v_th": 0.01} and board.run["heard"] == {"page": 3}
    for one in (lab, other):
        one.step(1)
        wait_until(lambda one=one: one.state == "paused" and len(one.history) == 2, 60, "another step")
    assert lab.history.interventions == [] and board.run["undo"] == {"undo": "", "redo": ""}
    assert lab.history.steps()["loss"].tolist() == other.history.steps()["loss"].tolist()
    say(board, {"try": ["hidden.v_th", -1.0]})
    assert "hidden.v_th" in board.message.text and board.message.warning
    for nonsense in (["no_such_knob", 1.0], ["hidden.v_th", "x"], ["hidden.v_th"], 3):
        say(board, {"try": nonsense})
    say(board, {"try": None, "stamp": ["page", 4]})
    shown(lab)
    shown(other)
    assert not board.frame["preview"] and board.frame["summary"] == other.display.board.frame["summary"]
    assert board.run["tried"] == {} and board.run["heard"] == {"page": 4}


def test_the_tour_is_kept_with_the_page(make):
    board = make().display.board
    board.ui = {"tour": "3", "tab": "Health"}
    assert board.ui == {"tour": "3", "tab": "Health"}
    assert len(board.about["tour"]) == 6


def test_a_board_is_complete_before_a_page_can_see_it(make):
    lab = make()
    for board in (lab.display.board, lab.panel("head")):
        assert board.run["state"] == "idle" and board.results["words"] == "None yet." and board.curves["words"]


def test_a_page_that_opens_is_sent_everything(make, monkeypatch):
    """Also what has not changed since: the page may have lost the change."""
    lab = make()
    board = lab.display.board
    lab.fit()
    lab.set(v_th=0.7)
    shown(lab)
    quiet(lab)
    sent = []

    def keep(widget, message, buffers=None):
        if widget is board:
            sent.append(message.get("state", {}))

    monkeypatch.setattr(Widget, "_send", keep)
    say(board, {"hello": True})
    lab.display.screen.show()
    whole = max(sent, key=len)
    assert whole.keys() >= {"about", "run", "results", "curves", "earlier", "health", "ui", "ping"}
    assert whole["run"]["knobs"]["hidden.v_th"] == 0.7 and {"scene", "frame"} <= whole.keys()
    sent.clear()
    lab.display.screen.show()
    assert not any("about" in state for state in sent), "it is greeted once"


def test_all_panels_can_be_left_out(make):
    lab = make(show=())
    lab.fit()
    lab.display.screen.show()
    board, watcher = lab.display.board, lab.display.watcher
    assert board.run["state"] == "done" and watcher.look is None and watcher.health is None
    assert board.curves == board.scene == board.frame == board.health == {}


def test_the_lstm_has_a_dashboard_too(make):
    lab = make(LstmConfig(hidden=8))
    lab.fit()
    shown(lab)
    board = lab.display.board
    assert "display error" not in board.run["said"]["text"] and board.frame["layers"]
    assert [knob["name"] for knob in board.about["knobs"]] == ["learning_rate"]
    assert set(board.about["structure"]) == {"hidden", "batch_size", "epochs"}


def test_knobs_stand_in_the_order_of_the_network(make):
    """By layer from the input to the readout, those of the training last; each explains itself."""
    about = make().display.board.about
    knobs = about["knobs"]
    assert list(dict.fromkeys(knob["group"] for knob in knobs)) == ["code", "hidden", "readout", "training"]
    for knob in knobs:
        group = "code." if knob["group"] == "code" else ""
        assert knob["explain"] == f"knob.{group}{knob['label']}" and knob["explain"] in about["explained"]


def test_select_a_neuron(make):
    lab = make()
    board = lab.display.board
    shown(lab)
    assert board.frame["neuron"] is None
    say(board, {"select": {"layer": "hidden", "unit": 5}})
    shown(lab)
    assert "hidden neuron 5" in board.frame["neuron"]["title"]
    say(board, {"select": {"layer": "hidden", "unit": 5000}})
    shown(lab)
    assert "hidden neuron 5" in board.frame["neuron"]["title"]
    lab.reset(hidden=4)  # there is no neuron 5 any more
    shown(lab)
    assert board.frame["neuron"] is None and "display error" not in board.run["said"]["text"]


NONSENSE = [None, 3, [], "x", {}, {"pong": 10**9}, {"pong": "1"}, {"pong": math.nan}, {"select": 3}, {"select": {}}]
NONSENSE += [{"move": ["hidden.v_th"]}, {"move": ["hidden.v_th", "1"]}, {"move": {"hidden.v_th": 1}}, {"do": "cow"}]
NONSENSE += [{"do": ["stop"]}, {"set": 3}, {"set": {"cow": 1}}, {"hello": None}, {"ask": 3}, {"ask": ["cow", 1]}]
NONSENSE += [{"ask": ["restart", [1]]}, {"ask": ["restart", {1: 2}]}, {"ask": ["export", 5]}, {"ask": ["pace", "x"]}]
NONSENSE += [{"ask": ["page", 5]}]


def test_what_a_page_sends_is_checked(make):
    """A page may send anything: pictures and looks go on, nothing grows."""
    lab = make(hz=10.0)
    board, screen, watcher = lab.display.board, lab.display.screen, lab.display.watcher
    for rate in (0.0, -1.0, math.nan, math.inf, 1e300, "2", None):
        say(board, {"set": {"hz": rate}})
        assert board.chosen.hz == 10.0 and "hz: must be" in board.message.text and board.message.warning
    for sample, understood in ((10**9, 63), (-5, 0), (7, 7)):
        say(board, {"set": {"sample": sample}})
        assert board.chosen.sample == understood and board.message.text == ""
        wait_until(lambda shown=understood: watcher._looked and watcher._looked.sample == shown, 60)
    for name in ("layer", "sort", "window"):
        before = board.chosen.fields()
        say(board, {"set": {name: "cow"}})
        assert f"{name}: must be one of" in board.message.text and board.chosen.fields() == before
    for content in NONSENSE:
        say(board, content)
    assert board.pong <= board.ping and lab.state == "idle"
    board.set_state({"scene": {"units": {"cow": 10**9, "hidden": "many"}}})
    say(board, {"select": {"layer": "cow", "unit": 3}})
    assert board.chosen.selected is None
    board.set_state({"ui": {"tab": "x" * 10**6, "large": 1, "cow": 3, "smooth": None}})
    assert board.ui == {"tab": "x" * 100, "large": True}
    for wanted in (10**12, 0, 2.5, True, "3"):
        say(board, {"ask": ["restart", {"hidden": wanted}]})
        assert f"hidden: must be an integer >= 1 and <= 1000000, got {wanted!r}" in board.message.text
    say(board, {"ask": ["restart", {"cow": 3}]})
    assert "restart: must be one of" in board.message.text and "got 'cow'" in board.message.text
    lab.set(v_th=0.5)
    shown(lab)
    assert "display error" not in board.run["said"]["text"]
    assert screen._thread.is_alive() and watcher._thread.is_alive()


def test_a_page_learns_which_of_its_moves_were_heard(make):
    """Also of those that were refused; of many pages the newest are remembered."""
    lab = make(show=())
    board = lab.display.board
    for number, value in enumerate([0.5, math.nan, 0.6], 1):
        say(board, {"move": ["hidden.v_th", value], "stamp": ["one", number]})
        lab.display.screen.show()
        assert board.run["heard"] == {"one": number}
    for stamp in (None, 3, ["x"], ["x", "y"], [1, 2]):
        say(board, {"move": ["hidden.v_th", 0.7], "stamp": stamp})
    for page in range(100):
        say(board, {"move": ["hidden.v_th", 0.7], "stamp": [str(page) * 50, 1]})
    assert len(board.heard) == 8 and "one" not in board.heard and max(map(len, board.heard)) <= 20


def test_moves_are_undone_and_made_again(make):
    """From the page, from a twin; not those of a program."""
    lab = make(show=())
    board, value = lab.display.board, lambda: lab.trainer.mailbox.knobs["hidden.v_th"].value
    say(board, {"do": "undo"})
    assert value() == 1.0 and board.message.text == ""
    lab.set(v_th=0.9)
    say(board, {"move": ["hidden.v_th", 0.5]})
    lab.widgets["l1"].children[1].value = 0.25
    lab.display.screen.show()
    assert board.run["undo"] == {"undo": "l1", "redo": ""}
    for _ in range(3):
        say(board, {"do": "undo"})
    assert value() == 0.9 and lab.trainer.mailbox.knobs["l1"].value == pytest.approx(1e-4)
    say(board, {"do": "redo"})
    lab.display.screen.show()
    assert value() == 0.5 and board.run["undo"] == {"undo": "hidden.v_th", "redo": "l1"}
    say(board, {"move": ["hidden.v_th", math.nan]})  # refused: no move
    say(board, {"do": "undo"})
    assert value() == 0.9


def test_a_refused_move_leaves_the_knob_and_says_why(make):
    lab = make(show=())
    board = lab.display.board
    for value in (-5.0, math.nan, math.inf, 1e39, 1e300):
        say(board, {"move": ["l1", value]})
        assert "l1: must be a finite number >= 0" in board.message.text
        assert lab.trainer.mailbox.posted == {} and lab.trainer.mailbox.knobs["l1"].value == np.float32(1e-4)
    say(board, {"move": ["hidden.tau_mem", 1e20]})  # allowed, and probably a mistake
    assert "hidden.tau_mem = 1e+20 ms is far above the end of its slider" in board.message.text
    assert board.message.warning and lab.trainer.mailbox.posted == {"hidden.tau_mem": 1e20}
    say(board, {"move": ["hidden.tau_mem", 20.0]})
    assert board.message.text == ""


def test_buttons_do_what_their_twins_do(make, tmp_path):
    lab = make(epochs=ENDLESS, folder=tmp_path / "exports")
    board = lab.display.board
    press = lambda name: say(board, {"do": name})  # noqa: E731
    press("step")
    wait_until(lambda: lab.state == "paused", 60, "one step")
    assert len(lab.history) == 1
    press("chunk")
    wait_until(lambda: lab.state == "paused" and len(lab.history) > 1, 60, "a chunk")
    shown(lab)
    assert board.run["transport"] == "resume"
    press("transport")
    wait_until(lambda: len(lab.history) > 6, 60, "running")
    press("step")
    assert "call pause() first" in board.message.text
    press("stop")
    assert lab.wait(60) and lab.state == "stopped"
    before = lab.history
    press("new_seed")
    assert lab.trainer.config.seed == 1 and len(lab.history) == 0 and [run[:2] for run in lab.runs] == [(before, 8)]
    say(board, {"ask": ["restart", {"hidden": 12}]})
    assert lab.model.recipe.config.hidden == 12 and lab.trainer.config.seed == 1
    for _ in range(2):
        say(board, {"ask": ["export", str(tmp_path / "exports")]})
    names = sorted(path.name for path in (tmp_path / "exports").iterdir())
    assert names == ["net-step-0-2.safetensors", "net-step-0.safetensors"] and names[0] in board.message.text
    say(board, {"ask": ["page", str(tmp_path / "exports")]})
    assert (tmp_path / "exports" / "net-step-0.html").exists() and "20 of 20 samples" in board.message.text
    (tmp_path / "exports" / "file").write_text("")
    say(board, {"ask": ["export", str(tmp_path / "exports" / "file")]})
    assert board.message.warning


def test_a_pace_is_kept_and_changed_at_once(make):
    """Never more steps than the pace allows, on any machine; a slow pace holds up neither a pause nor a faster one."""
    lab = make(epochs=ENDLESS, show=())
    board = lab.display.board
    lab.step(1)  # compiles
    wait_until(lambda: lab.state == "paused", 60, "compiled")
    say(board, {"ask": ["pace", 20]})
    began, first = time.monotonic(), len(lab.history)
    lab.resume()
    wait_until(lambda: len(lab.history) >= first + 20, 60, "a second's steps")
    steps, seconds = len(lab.history) - first, time.monotonic() - began
    assert steps <= 20 * seconds + 2 * 20 * 0.1 + 1
    say(board, {"pace": 0.01})  # a step in 100 s
    say(board, {"do": "transport"})
    wait_until(lambda: lab.state == "paused", 60, "the pause")
    say(board, {"do": "transport"})
    say(board, {"ask": ["pace", None]})
    now = len(lab.history)
    wait_until(lambda: len(lab.history) > now + 50, 60, "full speed")
    for refused in (0, -1.0, math.nan, math.inf):
        say(board, {"ask": ["pace", refused]})
        assert "pace: must be a finite number > 0" in board.message.text and lab.pace is None
    lab.stop()
    assert lab.wait(60)


def test_what_fails_is_said_on_the_page(make, place):
    """A disk that cannot be written, by the name of the file; what nobody expected, too, and it is logged."""
    lab = make(show=(), folder=place)
    board = lab.display.board
    with file_size_limit(place) as words:
        say(board, {"ask": ["export", str(place)]})
    assert f"{place}/net-step-0.safetensors: cannot be written ({words})" in board.message.text
    with pytest.raises(KeyError):
        board.do(lambda: {}["<cow>"])
    assert board.message == ("KeyError: '<cow>'", True)


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
    say(board, {"ask": ["export", folder.format(tmp_path)]})
    assert board.message.text.startswith("folder: ") and board.message.warning
    assert sorted(tmp_path.rglob("*")) == before
    for inner in ("exports", "exports/deep/er", f"{tmp_path}/exports", "other/../exports/deep"):
        say(board, {"ask": ["export", inner]})
        assert list((tmp_path / inner).glob("net-step-0.safetensors")), board.message


def test_the_diagnosis_has_a_button_that_does_it(make):
    lab = make(show=())
    board = lab.display.board
    lab.display.screen.show()
    assert board.run["repair"] == "" and not board.run["said"]["warning"]
    say(board, {"do": "repair"})  # nothing to repair, nothing happens
    lab.display.watcher.finding = Diagnosis(name="silent", text="97 < 100 fired", knob="hidden.v_th", value=0.4)
    lab.display.screen.show()
    assert board.run["said"] == {"text": "97 < 100 fired", "warning": True}
    assert board.run["repair"] == "set hidden.v_th to 0.4"
    say(board, {"do": "repair"})
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.4
    lab.display.watcher.finding = Diagnosis(name="dead readout", text="x", knob=None, value=None, new_seed=True)
    lab.display.screen.show()
    say(board, {"do": "repair"})
    assert board.run["repair"] == "new seed" and lab.trainer.config.seed == 1


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
    said = board.run["said"]["text"]
    assert lab.state == "error" and "is not finite" in said and str(error) in said and "Traceback" in board.run["trace"]
    assert board.run["repair"] == f"go back to step {error.back_to}, set learning_rate to 0.01"
    assert len(lab.history) >= error.back_to
    say(board, {"do": "repair"})
    assert lab.wait(60) and lab.state == "done" and lab.diagnosis is None and board.message.text == ""
    moves = [(row["step"], row["knob"], row["new"]) for row in lab.history.interventions]
    assert moves[-1] == (error.back_to, "learning_rate", 0.01) and len(lab.history) == 16
    assert f"({error.back_to}, 'learning_rate', 0.01)," in lab.script()
    lab.display.screen.show()
    assert board.run["repair"] == board.run["trace"] == "" and board.run["state"] == "done"


def test_a_picture_that_fails_says_so_and_the_next_one_comes(make, monkeypatch):
    lab = make(show=(), hz=10.0)
    board = lab.display.board
    monkeypatch.setattr(lab.display.screen, "show", lambda: 1 / 0)
    wait_until(lambda: "display error" in board.run.get("said", {"text": ""})["text"], 60, "the error")
    monkeypatch.undo()
    board.pong = board.ping
    lab.set(v_th=0.5)
    wait_until(lambda: "display error" not in board.run["said"]["text"], 60, "the next picture")


def test_the_pulse_holds_pictures_back():
    """One picture at a time; a page that never answers is asked again after a while, and a late answer counts."""
    about = {"knobs": [], "samples": 1, "layers": [], "show": []}
    others = ("move", "try_out", "moved", "set", "pace", "restart", "export", "note")
    deeds = Deeds(press={}, **dict.fromkeys(others, print))
    board = Cockpit(about, deeds, Chosen(2.0), lambda: None, timeout=0.3)
    assert board.ready
    board.beat()
    assert not board.ready
    say(board, {"pong": board.ping + 1})  # of a picture that was never sent
    assert not board.ready
    say(board, {"pong": board.ping})
    assert board.ready
    board.beat()
    wait_until(lambda: board.ready, 60, "its patience ends")
    board.close()


def test_parts_stand_alone_and_sliders_have_twins(make):
    """What is chosen in one part is chosen in all; a twin moves its knob and follows it; both end with the run."""
    lab = make()
    raster = lab.panel("raster")
    assert raster.about["only"] == "raster" and raster is not lab.display.board
    say(raster, {"set": {"sample": 3}})
    assert lab.display.board.chosen.sample == 3
    wait_until(lambda: raster.scene and raster.run["view"]["sample"] == 3, 60, "the part is drawn")
    box = lab.widgets["v_th"].children[1]
    assert lab.widgets["hidden.v_th"].children[1] is box and set(lab.widgets) == set(lab.trainer.mailbox.knobs)
    box.value = 0.6
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.6
    lab.set(v_th=0.8)
    wait_until(lambda: box.value == 0.8, 60, "the twin follows")
    box.value = -1e39
    assert "hidden.v_th: must be" in lab.display.board.message.text
    wait_until(lambda: lab.display.screen.show() or box.value == 0.8, 60, "and what is refused is taken back")
    for name in ("cow", "tau_mem"):
        with pytest.raises(ArgumentError, match=r"name: must be one of .*hidden\.tau_mem.*, got"):
            lab.widgets[name]
    with pytest.raises(ArgumentError, match=r"name: must be one of 'head', .*, got 'cow'"):
        lab.panel("cow")
    lab.close()
    assert raster.comm is None and box.comm is None


def test_closing_frees_every_widget(make):
    before = set(_instances)
    for _ in range(2):
        lab = make()
        _ = lab.display.board, lab.panel("curves"), lab.widgets["v_th"]
        assert len(set(_instances) - before) > 10
        lab.close()
        assert set(_instances) - before == set()
    lab = make(show=())
    _ = lab.display
    lab.close()
    assert set(_instances) - before == set()
    assert lab.history is not None and lab.model is not None


def test_closing_ends_the_threads(make):
    lab = make(epochs=ENDLESS)
    _ = lab.display.board, lab.panel("head")
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
