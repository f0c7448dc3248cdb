"""At most one picture in a period while nobody touches anything, each with its look; what is asked for, at once."""

import threading

import numpy as np
import pytest
from lab_driver import wait_until
from networks import ENDLESS, SMALL

from snnlab.live.frames.chosen import Chosen
from snnlab.live.look.watcher import Watcher
from snnlab.live.widgets.rhythm import LATE, Rhythm


class Clock:
    """A time that stands until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(period: float, durations: list[float], touched: tuple[float, ...] = ()) -> tuple[list, list]:
    """A pump and a watcher in simulated time: when pictures were made, and when looks were over.

    The watcher rests for a period after each look, and as long as the look waits for its picture.
    """
    clock = Clock()
    rhythm = Rhythm(lambda: period, clock=clock)
    pictures, looks = [], []
    over, touches = durations[0], list(touched)
    for duration in [*durations[1:], 0.0]:
        while True:
            ends = [("picture", clock.now + rhythm.left), ("look", over)] + [("touch", at) for at in touches[:1]]
            what, clock.now = min(ends, key=lambda end: end[1])
            if what == "look":
                break
            if what == "picture":
                rhythm.begin()
                pictures.append(clock.now)
            else:
                touches.pop(0)
                rhythm.ask()
        looks.append(over)
        over += rhythm.take_turn() + period + duration
    return pictures, looks


@pytest.mark.parametrize("period", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("longest", [0.02, 0.3, 0.9, 5.0])
def test_at_most_one_picture_in_a_period(period, longest):
    """N periods have N + 1 pictures at most, wherever they begin and however long looks take."""
    durations = np.random.default_rng(0).uniform(0.0, longest * period, 300).tolist()
    pictures, looks = simulated(period, durations)
    assert len(pictures) > 100 and np.diff(pictures).min() > period * (1 - 1e-9)
    last = [max(look for look in looks if look <= picture) for picture in pictures if picture >= looks[0]]
    waited = np.array(pictures)[-len(last) :] - last
    if longest < 1.0:
        assert waited[1:].max() < 1e-9 and len(pictures) <= len(looks) + 1, "a picture is made when its look is over"


def test_a_picture_comes_without_a_look_that_takes_long():
    """While the watcher compiles or is busy, curves go on, at a lower rate."""
    pictures, _ = simulated(0.5, [0.0, 20.0, 0.0])
    waits = np.diff([at for at in pictures if at < 20.0])
    assert len(waits) > 15 and waits.max() == pytest.approx(LATE * 0.5)


def test_looks_and_pictures_fall_into_step_again():
    """After a touch that brought a picture between two looks, the next look waits; the one after it does not."""
    pictures, looks = simulated(0.5, [0.01] * 8, touched=(1.7,))
    assert 1.7 in pictures
    after = [at for at in pictures if at > 1.7]
    assert after[0] == pytest.approx(2.2)
    for picture in after[1:]:
        assert min(abs(picture - look) for look in looks) < 1e-9


def test_what_somebody_asks_for_comes_at_once():
    """Whether a look is over or not, and it starts a period of its own."""
    clock = Clock()
    rhythm = Rhythm(lambda: 10.0, clock=clock)
    for looked in (False, True):
        rhythm.begin()
        clock.now += 1.0
        if looked:
            assert rhythm.take_turn() == 9.0
        rhythm.ask()
        assert rhythm.left == 0.0
        rhythm.begin()
        assert rhythm.left == LATE * 10.0


@pytest.mark.parametrize("wake", [Rhythm.ask, Rhythm.take_turn])
def test_a_thread_that_waits_is_woken(wake):
    """By a request, and by a look whose picture is due."""
    clock = Clock()
    rhythm = Rhythm(lambda: 600.0, clock=clock)
    rhythm.begin()
    clock.now = 601.0
    thread = threading.Thread(target=rhythm.wait, daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive(), "no look is over"
    wake(rhythm)
    thread.join(60)
    assert not thread.is_alive()


def test_each_turn_of_the_watcher_is_told_once_unless_somebody_waits(make_lab, small):
    """Looks, checkups and what a tab shows come with one picture; after a move, each as soon as it is there."""
    lab = make_lab(small, SMALL, epochs=ENDLESS, batch_size=32)
    told = []
    watcher = Watcher(
        lab.trainer,
        Chosen(2.0, tab="Weights"),
        lambda awaited: told.append(awaited) or 0.0,
        probing=True,
        checking=True,
    )
    watcher._turn(False)
    assert told == [False] and watcher.look and watcher.health and watcher.inspected["tab"] == "Weights"
    lab.set(v_th=0.5)
    watcher._turn(True)
    assert told == [False, True] and watcher.look.preview
    watcher._turn(True)
    assert told == [False, True, False], "nothing is new"


def test_a_look_that_fails_is_the_last_one_and_pictures_go_on(make_lab, small, monkeypatch):
    lab = make_lab(small, SMALL, epochs=1, batch_size=32)
    told, tried = [], []
    watcher = Watcher(
        lab.trainer, Chosen(2.0), lambda awaited: told.append(awaited) or 0.0, probing=True, checking=True
    )
    monkeypatch.setattr(watcher, "_take_a_look", lambda: tried.append(1) or 1 / 0)
    for _ in range(3):
        watcher._turn(False)
    assert isinstance(watcher.error, ZeroDivisionError) and len(tried) == 1 and told == [False] * 3


def test_pictures_follow_looks_and_a_move_is_shown_at_once(make_lab, small):
    """In a run with a period that no test waits for: looks make the pictures, and a move makes its own."""
    lab = make_lab(small, SMALL, epochs=ENDLESS, batch_size=32, show=("raster",), hz=0.5)
    display = lab.display
    board = display.board
    lab.step(1)
    wait_until(lambda: lab.state == "paused" and board.frame, 60, "the first picture")
    board.chosen.hz = 1e-3  # no picture comes by itself from now on
    board.pong = board.ping
    board._receive(board, {"move": ["hidden.v_th", 1e6]}, [])
    wait_until(lambda: board.frame["preview"] and "hidden 0 spikes" in board.frame["summary"], 60, "the move")
