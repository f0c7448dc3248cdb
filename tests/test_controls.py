"""Knobs and the mailbox: names, ranges, and no value lost between two threads."""

import threading
import time

import pytest

from snnlab.controls import Knob, Mailbox
from snnlab.errors import ArgumentError


@pytest.fixture
def box() -> Mailbox:
    names = {"hidden.tau_mem": 1.0, "readout.tau_mem": 1.0, "hidden.v_th": 0.01}
    return Mailbox([Knob(name=name, value=5.0, low=2.0, high=9.0, least=low, unit="ms") for name, low in names.items()])


def test_last_value_wins_and_is_taken_once(box):
    box.post("hidden.v_th", 1.0)
    box.post("hidden.v_th", 2.0)
    box.post("readout.tau_mem", 3)
    assert box.drain() == {"hidden.v_th": 2.0, "readout.tau_mem": 3.0}
    assert box.drain() == {}
    assert box.knobs["hidden.v_th"].value == 2.0


def test_a_unique_ending_is_a_name(box):
    assert box.post("v_th", 1.0) == "hidden.v_th"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau_mem", 2.0, r"'tau_mem' is ambiguous.* hidden.tau_mem or readout.tau_mem; .*{\"hidden.tau_mem\": 2.0}"),
        ("tau", 2.0, "name: .*'tau' is unknown.* hidden.tau_mem, readout.tau_mem, hidden.v_th"),
        ("hidden.tau_mem", -2.0, "hidden.tau_mem: must be a finite number >= 1 ms, got -2.0"),
        ("hidden.tau_mem", float("nan"), "hidden.tau_mem: .* got nan"),
        ("hidden.tau_mem", 1e39, r"hidden.tau_mem: .* got 1e\+39"),
        ("hidden.tau_mem", "fast", "hidden.tau_mem: .* got 'fast'"),
    ],
)
def test_bad_posts_are_refused_and_change_nothing(box, name, value, message):
    with pytest.raises(ArgumentError, match=message):
        box.post(name, value)
    assert box.drain() == {} and box.knobs["hidden.tau_mem"].value == 5.0


def test_the_ends_of_a_slider_bound_no_value():
    """A value may lie beyond the slider on both sides, also below 0, unless the knob says otherwise."""
    box = Mailbox([Knob(name="v_rest", value=-65.0, low=-80.0, high=-50.0)])
    for value in (-65.0, -100.0, 20.0):
        box.post("v_rest", value)
        assert box.drain() == {"v_rest": value}


def test_no_move_is_lost_between_threads(box):
    """Four threads post rising values while another drains: the last value of each knob always arrives, in order."""
    seen: list[float] = []
    stop = threading.Event()

    def drain():
        while not stop.is_set():
            seen.extend(box.drain().values())

    reader = threading.Thread(target=drain)
    reader.start()
    lock, counter = threading.Lock(), iter(range(1, 4001))

    def post():
        for _ in range(1000):
            with lock:
                box.post("hidden.v_th", next(counter))

    writers = [threading.Thread(target=post) for _ in range(4)]
    [w.start() for w in writers]
    [w.join() for w in writers]
    stop.set()
    reader.join()
    seen.extend(box.drain().values())
    assert seen[-1] == 4000.0 and seen == sorted(seen)


def test_a_planned_move_acts_exactly_once(box):
    """Four threads plan moves while the engine takes steps: each acts once, on its step, or is refused."""
    steps, accepted, lock = 2000, [], threading.Lock()

    def plan(first):
        for step in range(first, steps, 4):
            try:
                box.plan([(step, "v_th", 1.0 + step)])
            except ArgumentError:
                continue  # the engine was there first
            with lock:
                accepted.append(step)

    planners = [threading.Thread(target=plan, args=(first,)) for first in range(4)]
    [planner.start() for planner in planners]
    acted, step = [], 0
    while step < steps:
        count = box.claim(step, min(8, steps - step))
        acted += [(step, value) for value in box.drain().values()]
        step += count
        time.sleep(0)
    [planner.join() for planner in planners]
    assert acted == [(step, 1.0 + step) for step in sorted(accepted)] and box.planned == []


def test_a_move_for_later_is_planned_and_one_that_is_due_is_posted(box):
    box.claim(0, 4)
    box.post("v_th", 2.0, not_before=5)
    box.post("readout.tau_mem", 3.0, not_before=4)
    assert box.planned == [(5, "hidden.v_th", 2.0)] and box.drain() == {"readout.tau_mem": 3.0}
    assert box.claim(4, 8) == 1 and box.drain() == {}
    assert box.claim(5, 8) == 8 and box.drain() == {"hidden.v_th": 2.0}
    box.stop_at = 14
    assert box.claim(13, 8) == 1


def test_a_brief_chunk_has_an_eighth_of_the_steps_but_one_at_least(box):
    box.brief = True
    assert [box.claim(0, count) for count in (32, 8, 3, 1)] == [4, 1, 1, 1]
    box.brief = False
    assert box.claim(0, 32) == 32


def test_a_value_that_is_tried_out_is_shown_and_never_used(box):
    box.try_out("v_th", 1.0)
    box.try_out("hidden.v_th", 2.0)
    assert box.tried and box.shown["hidden.v_th"].value == 2.0
    assert box.knobs["hidden.v_th"].value == 5.0 and box.posted == {} and box.drain() == {}
    box.stop_trying()
    assert not box.tried and box.shown == box.knobs
    with pytest.raises(ArgumentError, match=r"hidden\.v_th.*-1"):
        box.try_out("v_th", -1.0)
    assert not box.tried


def test_a_move_ends_the_trial_of_its_knob(box):
    box.try_out("hidden.v_th", 2.0)
    box.try_out("hidden.tau_mem", 3.0)
    box.post("hidden.v_th", 1.0)
    assert {name: knob.value for name, knob in box.shown.items()} == {
        "hidden.v_th": 1.0,
        "hidden.tau_mem": 3.0,
        "readout.tau_mem": 5.0,
    }
    assert box.drain() == {"hidden.v_th": 1.0}
