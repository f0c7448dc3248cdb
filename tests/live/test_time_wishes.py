"""Wishes for another moment, without a browser: what a page may ask, what is refused, what the traits then say."""

import threading

import jax
import numpy as np
import pytest
from lab_driver import wait_until
from networks import ENDLESS, SMALL
from test_dashboard import say, shown

from snnlab.live import LiveTrainer
from snnlab.live.traveller import Traveller


@pytest.fixture
def make(make_lab, small):
    """Makes small LiveTrainers."""

    def one(**options) -> LiveTrainer:
        return make_lab(small, SMALL, **{"epochs": 2, "batch_size": 32} | options)

    return one


def bits(state) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((state.params, state.live))]


def ints(part: bytes) -> list[int]:
    return np.frombuffer(part, np.int32).tolist()


def test_a_page_goes_back_and_on_and_the_bits_are_those_of_the_timeline(make):
    lab = make()
    board = lab.display.board
    lab.fit()
    end = bits(lab.trainer.state)
    say(board, {"ask": ["rewind", 11]})
    wait_until(lambda: len(lab.history) == 11, 60, "step 11")
    assert bits(lab.trainer.state) == bits(lab.timeline.point(11).state) != end
    shown(lab)
    told = board.times
    assert (told["step"], told["tip"], told["behind"], told["goes_on"]) == (11, 16, True, True)
    assert board.run["facts"][:3] == ["stopped", "epoch 2 of 2", "step 11 of 16"]
    wait_until(lambda: lab.display.watcher.health.step == 11, 60, "the health of that moment")
    assert [ghost["name"] for ghost in board.ghosts] == ["a"]
    assert len(np.frombuffer(board.curves["now"]["loss"]["x"], np.float32)) == 11
    say(board, {"move": ["hidden.v_th", 0.5]})
    say(board, {"do": "go_on"})
    wait_until(lambda: lab.state == "done", 60, "the branch")
    shown(lab)
    assert [lane["name"] for lane in board.times["lanes"]] == ["a", "b"] and board.times["here"] == "b"
    assert board.times["rows"][1][:4] == ["b", "a \u00b7 11", "16", "v_th 0.5"]
    say(board, {"ask": ["switch", "a"]})
    wait_until(lambda: lab.timeline.here == "a", 60, "the trunk")
    assert bits(lab.trainer.state) == end and lab.trainer.compilations == 1


def test_a_glance_is_at_a_kept_point_and_never_trains(make, monkeypatch):
    lab = make(epochs=ENDLESS)
    lab.display.board.chosen.hz = 10.0
    lab.start()
    wait_until(lambda: len(lab.history) > 50, 60, "training")
    lab.stop()
    lab.wait()
    kept = [point.steps for point in lab.timeline.points]
    monkeypatch.setattr("snnlab.timeline.timeline.reach", _no_gap)
    wish = kept[3] + 1
    nearest = min([0, *kept], key=lambda step: abs(step - wish))
    say(lab.display.board, {"ask": ["glance", wish]})
    wait_until(lambda: len(lab.history) == nearest, 60, "the nearest kept point")


def _no_gap(trainer, start, steps):
    assert start.steps == steps, "a gap was trained again"
    return start


BAD = [
    {"ask": ["rewind", -1]},
    {"ask": ["rewind", 17]},
    {"ask": ["rewind", 3.5]},
    {"ask": ["rewind", True]},
    {"ask": ["rewind", "3"]},
    {"ask": ["rewind", None]},
    {"ask": ["glance", 10**30]},
    {"ask": ["glance", {"step": 3}]},
    {"ask": ["switch", "z"]},
    {"ask": ["switch", ["a"]]},
    {"ask": ["run_both", "a"]},
    {"ask": ["run_both", []]},
    {"ask": ["run_both", ["a", "z"]]},
    {"ask": ["run_both", [1, 2]]},
    {"ask": ["budget", 5]},
    {"ask": ["budget", "much"]},
    {"ask": ["budget", float("nan")]},
]


@pytest.fixture(scope="module")
def trained(small):
    from snnlab import models

    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    lab = LiveTrainer(net, small, epochs=2, batch_size=32)
    lab.fit()
    yield lab
    lab.close()


@pytest.mark.parametrize("message", BAD, ids=lambda message: str(message)[:40])
def test_a_bad_wish_changes_nothing_and_is_said(trained, message):
    lab = trained
    board = lab.display.board
    before = lab.timeline.sizes, lab.timeline.here, lab.timeline.behind, lab.timeline.budget, len(lab.history)
    board.say("")
    say(board, message)
    assert board.message.warning and board.message.text, message
    assert (lab.timeline.sizes, lab.timeline.here, lab.timeline.behind, lab.timeline.budget, len(lab.history)) == before


def test_the_budget_is_what_was_asked_for(trained):
    say(trained.display.board, {"ask": ["budget", 5e6]})
    shown(trained)
    assert trained.timeline.budget == 5e6 and trained.display.board.times["memory"][1] == 5.0
    assert trained.timeline.bytes <= 5e6


def test_back_to_now_leaves_a_run_that_trains_alone(make):
    lab = make(epochs=ENDLESS)
    board = lab.display.board
    lab.start()
    wait_until(lambda: len(lab.history) > 5, 60, "training")
    say(board, {"do": "now"})
    steps = len(lab.history)
    wait_until(lambda: len(lab.history) > steps, 60, "it trains")
    assert lab.state == "training"


def test_what_is_shown_of_branches_in_turn_is_one_of_them(make):
    """The curves, the step and the knobs do not jump between the two."""
    lab = make(epochs=ENDLESS)
    lab.start()
    wait_until(lambda: len(lab.history) > 20, 60, "training")
    lab.branch(10, v_th=0.5)
    trunk = lab.timeline.branches["a"].history
    say(lab.display.board, {"ask": ["run_both", ["a", "b"]]})
    seen = set()

    def both() -> bool:
        view = lab.display.view()
        if view.status.state == "training":
            assert view.status.recorded.history is trunk and view.times.here == "a"
            assert view.status.knobs["hidden.v_th"].value != 0.5
            seen.add(lab.timeline.here)
        return seen == {"a", "b"}

    wait_until(both, 60, "each had its turn")
    lab.stop()
    assert lab.wait(60)


def test_of_several_wishes_the_newest_is_fulfilled():
    """What is being done is finished; what waits gives way; what fails ends nothing."""
    done, gate, words = [], threading.Event(), []
    traveller = Traveller(lambda act: act(), lambda: words.append(traveller.going))
    traveller.wish("first", lambda: (gate.wait(10), done.append(1)))
    wait_until(lambda: words == ["first"], 10, "the first takes long enough to be told")
    for number in (2, 3, 4):
        traveller.wish("", lambda number=number: done.append(number))
    gate.set()
    traveller.close()
    assert done == [1, 4]
    wait_until(lambda: len(words) == 2, 10, "it was told, and that it is over")
    assert words == ["first", ""]


def test_a_wish_that_fails_does_not_end_the_thread(monkeypatch):
    done, failed = [], []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    traveller = Traveller(lambda act: act(), lambda: None)
    traveller.wish("", lambda: 1 / 0)
    wait_until(lambda: failed, 10, "the error")
    traveller.wish("", lambda: done.append(1))
    traveller.close()
    assert done == [1] and failed[0].exc_type is ZeroDivisionError
