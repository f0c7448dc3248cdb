"""Branches as lanes, rows and ghosts: what a page is told of them, worked out here by hand."""

import itertools

import numpy as np
import pytest

from snnlab.history import History
from snnlab.live.frames import style
from snnlab.live.frames.branches import (
    GHOSTS,
    MOST_TICKS,
    Lane,
    Times,
    branches_frame,
    ghosts_frame,
    ghosts_key,
    place_words,
)

PER_EPOCH = 8


def history(steps: int, accuracies=(), moves=(), spikes: float | None = 12.5) -> History:
    """A loss that counts its steps, an epoch for every accuracy, and moves of one knob."""
    made = History()
    made.add_steps({"loss": np.arange(steps, dtype=float), "accuracy": np.linspace(0, 1, steps)})
    for epoch, accuracy in enumerate(accuracies, 1):
        made.add_epoch({"epoch": epoch, "test_acc": accuracy, "spikes_per_sample": spikes})
    for step in moves:
        made.add_intervention(step=step, knob="hidden.v_th", old=1.0, new=0.5)
    return made


def lane(
    name="a", number=0, parent=None, start=0, steps=20, accuracies=(0.5, 0.75), moves=(), own=None, **more
) -> Lane:
    past = history(steps, accuracies, moves, **more)
    return Lane(name, number, parent, start, steps, len(accuracies), past, own or {})


def times(*lanes: Lane, here="a", step=20, **more) -> Times:
    return Times(lanes, here, step, PER_EPOCH, 800, **more)


def ints(part: bytes) -> list[int]:
    return np.frombuffer(part, np.int32).tolist()


def floats(part: bytes) -> list[float]:
    return np.frombuffer(part, np.float32).tolist()


TRUNK = lane(moves=(3,))
BRANCH = lane("b", 1, "a", 10, 30, (0.5, 0.25, 0.25), moves=(10, 25), own={"hidden.v_th": 0.5})


def test_lanes_have_what_happened_since_they_left():
    frame = branches_frame(times(TRUNK, BRANCH, here="b", step=30))
    trunk, branch = frame["lanes"]
    assert (trunk["start"], trunk["end"], ints(trunk["moves"]), ints(trunk["epochs"])) == (0, 20, [3], [8, 16])
    assert (branch["parent"], branch["start"], branch["end"]) == ("a", 10, 30)
    assert ints(branch["moves"]) == [25], "one drag: the moves are closer than a fiftieth of the run"
    assert ints(branch["epochs"]) == [16, 24], "the epoch that ended at step 8 is the trunk's"
    assert (trunk["best"], branch["best"]) == (16, 16), "of its own epochs, the first of equal ones"
    assert frame["best"] == 8, "of the whole line, 0.5 after the first epoch"
    assert frame["tip"] == 30 and frame["step"] == 30 and not frame["behind"]


def test_rows_compare_what_is_not_shared():
    rows = branches_frame(times(TRUNK, BRANCH))["rows"]
    assert rows[0] == ["a", "start", "20", "", "75%", "12.5"]
    assert rows[1] == ["b", "a \u00b7 10", "30", "v_th 0.5", "25%", "12.5"]
    fresh = lane("c", 2, "a", 17, 19, (0.5, 0.75))
    assert branches_frame(times(TRUNK, fresh))["rows"][1][4:] == ["", ""]


@pytest.mark.parametrize("results", [{"spikes": None}, {"accuracies": (float("nan"),)}])
def test_a_result_that_is_not_there_is_left_empty(results):
    row = branches_frame(times(lane(**results)))["rows"][0]
    assert row[5] == "" or row[4] == ""


def test_a_move_at_the_branch_point_belongs_to_the_branch_and_a_drag_is_one_tick():
    dragged = lane("b", 1, "a", 10, 60, (), moves=(4, 10, 11, 12, 50))
    assert ints(branches_frame(times(TRUNK, dragged))["lanes"][1]["moves"]) == [12, 50]


def test_a_browser_gets_no_more_ticks_than_it_can_show():
    long = lane(steps=PER_EPOCH * 9000, accuracies=(0.5,) * 9000, moves=range(0, 72_000, 40))
    frame = branches_frame(Times((long,), "a", long.steps, PER_EPOCH, long.steps))
    (described,) = frame["lanes"]
    assert len(ints(described["epochs"])) <= MOST_TICKS and len(ints(described["moves"])) <= MOST_TICKS
    assert ints(described["epochs"])[0] == PER_EPOCH


def test_what_it_can_return_to_and_the_memory_of_it():
    frame = branches_frame(times(TRUNK, kept=(0, 4, 8), bytes=12.3e6, budget=64e6, least=1e5))
    assert ints(frame["kept"]) == [0, 4, 8] and frame["memory"] == [12.3, 64.0, 0.1]


def test_words_say_where_it_is():
    assert place_words(times(TRUNK)) == "At step 20 of branch a."
    assert place_words(times(TRUNK, step=7, behind=True)) == "At step 7 of branch a, which was trained to step 20."
    assert place_words(times(TRUNK, BRANCH, in_turn=("a", "b"))) == "Trains a, b in turn; a is shown."
    assert branches_frame(times(TRUNK, BRANCH))["words"].endswith(" 2 branches: a, b.")


def test_ghosts_are_the_others_from_where_they_left():
    (ghost,) = ghosts_frame(times(TRUNK, BRANCH))
    assert (ghost["name"], ghost["number"]) == ("b", 1)
    assert set(ghost["curves"]) == {"loss", "accuracy"}
    loss = ghost["curves"]["loss"]
    assert floats(loss["x"]) == list(range(11, 31)) and floats(loss["y"]) == list(range(10, 30))


def test_what_comes_after_here_is_a_ghost_of_the_branch_itself():
    (later,) = ghosts_frame(times(TRUNK, step=7, behind=True))
    assert later["name"] == "a" and floats(later["curves"]["loss"]["x"])[0] == 8
    assert ghosts_frame(times(TRUNK)) == []


def test_ghosts_are_few_and_thin():
    many = [lane(f"b{k}", k + 1, "a", 5, 5000, ()) for k in range(GHOSTS + 5)]
    ghosts = ghosts_frame(times(TRUNK, *many, lane("new", 99, "a", 20, 20)))
    assert [ghost["number"] for ghost in ghosts] == list(range(6, GHOSTS + 6)), "the newest; none without a step"
    assert all(len(floats(ghost["curves"]["loss"]["x"])) <= 300 for ghost in ghosts)


def test_ghosts_change_only_if_another_branch_does():
    grown = lane(steps=40)
    assert ghosts_key(times(TRUNK, BRANCH)) == ghosts_key(times(grown, BRANCH, step=40))
    assert ghosts_key(times(TRUNK, BRANCH)) != ghosts_key(times(TRUNK, BRANCH, here="b", step=30))
    assert ghosts_key(times(TRUNK, step=7, behind=True)) != ghosts_key(times(TRUNK, step=8, behind=True))


def test_branches_can_be_told_apart_without_colour():
    """Twenty looks, no two alike; the dashes of neighbours differ; none looks like a curve of the run itself."""
    looks = [style.of_branch(k) for k in range(20)]
    assert len(set(looks)) == 20 and all(look.dash for look in looks)
    assert all(one.dash != other.dash for one, other in itertools.pairwise(looks))
    assert {look.colour for look in looks}.isdisjoint({style.TRAIN.colour, style.TEST.colour})
