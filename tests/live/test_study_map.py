"""The map's Python half, without a browser: what it sends, and what a click or a key does."""

import json
import threading

import pytest
from lab_driver import wait_until
from studies_made import AXES_OF_MAP as AXES
from studies_made import FakeStudy, done, random_study

from snnlab.errors import StateError
from snnlab.live import courtesy
from snnlab.live.frames.map_grid import first_view
from snnlab.live.study_display import MOST, StudyDisplay
from snnlab.study.cells import Fate


@pytest.fixture
def display():
    """Makes displays of studies, and closes them at the end."""
    made = []

    def make(study: FakeStudy, hz: float = 0.01) -> StudyDisplay:
        made.append(StudyDisplay(study, hz=hz))
        return made[-1]

    yield make
    for one in made:
        one.close()


def say(one: StudyDisplay, message, buffers=()) -> None:
    """A message from the page."""
    one.board._receive(one.board, message, list(buffers))


def listened(one: StudyDisplay, monkeypatch) -> list:
    """Everything that the board sends from now on: names of traits, or messages."""
    sent: list = []
    monkeypatch.setattr(one.board, "send_state", lambda key=None: sent.append(key))
    monkeypatch.setattr(one.board, "send", lambda content, buffers=None: sent.append((content, buffers)))
    return sent


def test_a_page_that_opens_is_sent_everything(display, monkeypatch):
    one = display(FakeStudy(random_study(AXES)))
    state = one.board.get_state()
    assert {"about", "state", "drawn", "places", "cells"} <= set(state)
    assert len(state["places"]["values"]) == 15 * 12 * 4
    json.dumps({name: state[name] for name in ("about", "state", "drawn")})  # nothing that JSON cannot hold
    sent = listened(one, monkeypatch)
    say(one, {"hello": True})
    one.screen.show()
    assert any(isinstance(names, list) and {"places", "cells", "about"} <= set(names) for names in sent)


def test_only_what_changed_is_sent(display, monkeypatch):
    study = FakeStudy(random_study(AXES, missing=1.0))
    one = display(study)
    sent = listened(one, monkeypatch)
    one.screen.show()
    assert [what for what in sent if isinstance(what, tuple)] == []
    study.put(done(AXES, (1, 1, 0), 0.9, 40.0))
    one.screen.show()
    ((content, parts),) = [what for what in sent if isinstance(what, tuple)]
    assert content["news"] == 1 and [len(part) for part in parts] == [13 * 4, 4 * 4, 4 * 5 * 4]
    assert not any("places" in names for names in sent if isinstance(names, list))


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"view": {"x": "nonsense"}}, "x"),
        ({"view": {"fixed": {"tau_mem": 99}}}, "tau_mem"),
        ({"view": {"level": None, "other": 1}}, "view"),
        ({"open": 10**9}, "open"),
        ({"open": "1"}, "open"),
        ({"open": [1]}, "open"),
        ({"close": 0}, "close"),
        ({"close": -1}, "close"),
    ],
)
def test_a_bad_message_changes_nothing_and_says_so(display, message, named):
    study = FakeStudy(random_study(AXES))
    one = display(study)
    before = one.view
    say(one, message)
    assert one.view == before and study.asked == []
    assert one.board.message.warning and named in one.board.message.text


@pytest.mark.parametrize("message", [None, 3, "open", {}, {"do": "nonsense"}, {"view": 3}, {"csv": 1}, {"pong": 10**9}])
def test_what_is_no_message_does_nothing(display, message):
    study = FakeStudy(random_study(AXES))
    one = display(study)
    say(one, message)
    assert one.view == first_view(AXES) and study.asked == [] and one.board.pong == 0


def test_the_view_is_the_kernels(display):
    one = display(FakeStudy(random_study(AXES)))
    say(one, {"view": {"x": "v_th", "level": 0.5, "front": False}})
    one.screen.show()
    assert one.board.drawn["view"] == {
        "x": "v_th",
        "y": "tau_mem",
        "fixed": {},
        "level": 0.5,
        "contour": True,
        "front": False,
    }
    assert one.board.get_state()["places"]["shape"] == [5, 3]


def test_the_computing_steps_back_until_a_wish_is_drawn(display, monkeypatch):
    """A picture that nobody waits for holds nobody up; of one that somebody waits for, the page's answer ends it."""
    monkeypatch.setattr(courtesy, "WAIT", 600.0)
    study = FakeStudy(random_study(AXES))
    one = display(study)
    study.courtesy.give_way()
    say(one, {"view": {"x": "v_th"}})
    computing = threading.Thread(target=study.courtesy.give_way, daemon=True)
    computing.start()
    wait_until(lambda: one.board.drawn["view"]["x"] == "v_th" and one.screen._awaited is not None, what="the picture")
    assert computing.is_alive()
    say(one, {"pong": one.board.ping})
    computing.join(60)
    assert not computing.is_alive()


def test_the_buttons_start_pause_and_stop(display):
    study = FakeStudy(random_study(AXES))
    one = display(study)
    for button, asked in (("transport", "start"), ("transport", "pause"), ("stop", "stop")):
        say(one, {"do": button})
        wait_until(lambda asked=asked: asked in study.asked and not one._busy, what=asked)
    assert study.asked == ["start", "pause", "stop"]


def test_the_table_opens_and_closes(display):
    one = display(FakeStudy(random_study(AXES)))
    say(one, {"do": "table"})
    one.screen.show()
    assert one.board.state["opened"] == ["table"] and len(one.root.children) == 2
    assert "tau_mem" in one.root.children[1].children[1].value
    say(one, {"do": "table"})
    assert len(one.root.children) == 1


def test_every_network_as_text_goes_to_the_page_that_asked(display, monkeypatch):
    one = display(FakeStudy(random_study(AXES)))
    sent = listened(one, monkeypatch)
    say(one, {"csv": "csv-abc"})
    ((content, _),) = [what for what in sent if isinstance(what, tuple)]
    assert content["csv"] == "csv-abc" and len(content["text"].splitlines()) == 1 + 45


def test_a_run_that_cannot_be_opened_says_why(display):
    class Empty(FakeStudy):
        def open(self, cell):
            raise StateError(f"open: the cell {cell} has no checkpoint yet")

    one = display(Empty(random_study(AXES)))
    say(one, {"open": 44})
    wait_until(lambda: not one._busy, what="the answer")
    one.screen.show()
    assert one.board.state["said"] == {"text": "open: the cell (4, 2, 2) has no checkpoint yet", "warning": True}
    assert len(one.root.children) == 1


def test_runs_open_below_and_close(display, make):
    """Several at a time, each once; what is closed ends."""
    opened = []

    class Opens(FakeStudy):
        def open(self, cell):
            opened.append(make(hz=0.5))
            return opened[-1]

    one = display(Opens(random_study(AXES)))
    for number in (0, 1, 1):
        say(one, {"open": number})
        wait_until(lambda: not one._busy, what="a run")
    assert len(opened) == 2 and len(one.root.children) == 3
    assert "open below" in one.board.message.text and MOST > 2
    say(one, {"close": 0})
    assert opened[0]._display is None and opened[1]._display is not None and len(one.root.children) == 2


def test_cells_that_are_new_show_without_a_message(display):
    """The pump looks by itself."""
    study = FakeStudy(random_study(AXES, missing=1.0))
    one = display(study, hz=10.0)
    one.board._timeout = 0.0  # nobody draws here
    study.put(done(AXES, (0, 0, 0), 0.9, 40.0), done(AXES, (0, 0, 1), 0.1, 0.0, fate=Fate.FAILED))
    wait_until(lambda: "1 failed" in one.board.state["facts"], what="a picture")
    assert one.board.sent.version == 1
