"""Undo and redo, against a list of everything that was chosen."""

import random

from snnlab.live.undo import DRAG, Undo


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_any_way_back_and_forth_leads_through_the_values_that_were_chosen():
    """The values of two knobs after every user's action, kept as whole pictures: undo and redo walk through them."""
    rng, clock = random.Random(0), Clock()
    undo, values = Undo(clock), {"a": 1.0, "b": 2.0}
    pictures, place = [dict(values)], 0
    for _ in range(400):
        clock.now += 10 * DRAG
        what = rng.choice(["move", "undo", "redo"])
        if what == "move":
            knob, new = rng.choice("ab"), rng.random()
            undo.note(knob, values[knob], new)
            values[knob] = new
            pictures[place + 1 :] = [dict(values)]
            place += 1
        else:
            step = undo.back() if what == "undo" else undo.forth()
            possible = place > 0 if what == "undo" else place < len(pictures) - 1
            assert (step is not None) == possible
            if step:
                values[step[0]] = step[1]
                place += -1 if what == "undo" else 1
        assert values == pictures[place]
        assert [bool(name) for name in undo.next.values()] == [place > 0, place < len(pictures) - 1]


def test_a_drag_is_one_move_and_one_that_ends_where_it_began_is_none():
    clock = Clock()
    undo = Undo(clock)
    for new in (0.9, 0.8, 0.7):
        undo.note("a", new + 0.1, new)
        clock.now += DRAG / 2
    undo.note("b", 5.0, 6.0)
    assert undo.back() == ("b", 5.0) and undo.back() == ("a", 1.0) and undo.back() is None
    undo.forth()
    clock.now += DRAG / 2
    undo.note("a", 0.7, 0.6)  # after a redo, a move of its own
    assert undo.back() == ("a", 0.7)
    clock.now += 10 * DRAG
    undo = Undo(clock)
    undo.note("a", 1.0, 2.0)
    undo.note("a", 2.0, 1.0)
    assert undo.back() is None
