"""Points are thinned by the rule, whatever comes when, and what was dropped would not be kept later either."""

import itertools
import math

import pytest

from snnlab.history import History
from snnlab.timeline.ladder import Ladder
from snnlab.train.point import Point

HISTORY = History()


def at(step: int) -> Point:
    return Point(state=None, origin=None, history=HISTORY, steps=step)  # pyright: ignore[reportArgumentType]


def kept(n: int, b: float) -> list[int]:
    """The rule, word for word."""
    return [i for i in range(n) if i % 2 ** math.floor(math.log2(max(1.0, (n - i) / b))) == 0]


@pytest.mark.parametrize("close", [0.25, 1.0, 2.0, 4.0, 16.0])
def test_the_rule_holds_after_every_point(close):
    ladder = Ladder()
    ladder.close = close
    for n in range(1, 300):
        ladder.add(at(3 * (n - 1)))
        assert [point.steps // 3 for point in ladder.points] == kept(n, close)


def test_halving_keeps_what_the_rule_keeps():
    ladder = Ladder()
    ladder.close = 64.0
    for step in range(500):
        ladder.add(at(step))
    for b in (32.0, 16.0, 8.0, 1.0):
        while ladder.close > b:
            ladder.spread()
        assert [point.steps for point in ladder.points] == kept(500, b)


def test_gaps_grow_with_age_only():
    """The gap after a point is at most its age in units of b."""
    ladder, close, n = Ladder(), 8.0, 10_000
    ladder.close = close
    for step in range(n):
        ladder.add(at(step))
    steps = [point.steps for point in ladder.points]
    assert len(steps) < 2 * close * (1 + math.log2(n / close)) and steps[0] == 0 and steps[-1] == n - 1
    for before, after in itertools.pairwise(steps):
        assert after - before <= max(1.0, (n - before) / close)


def test_the_point_before_a_step():
    ladder = Ladder()
    assert ladder.before(10) is None
    for step in (5, 8, 8, 20):
        ladder.add(at(step))
    assert ladder.before(4) is None
    found = [ladder.before(step) for step in (5, 7, 8, 19, 20, 99)]
    assert [point and point.steps for point in found] == [5, 5, 8, 8, 20, 20]
