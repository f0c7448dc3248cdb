"""Points of a run, thinned exponentially: the newest stand close together, the older ones farther and farther apart."""

from bisect import bisect_right
from typing import NamedTuple

from snnlab.train.point import Point

CLOSEST = 2.0**20  # of the newest points all are kept, until there is no room for them


class _Rung(NamedTuple):
    number: int
    point: Point


class Ladder:
    """Points of one run, in the order of their steps, numbered from 0 as they come.

    Of `n` points that came, point `i` is kept if and only if `i` is divisible by

        2 ** floor(log2(max(1, (n - i) / b)))

    with `b = close`: the newest 2 b are all kept, of the next 2 b every second one, of the next 4 b every fourth one.
    A point that was dropped would not be kept later either, so nothing is ever missed.

    Attributes:
        close: `b` of the rule.

    Example:
        >>> from snnlab.history import History
        >>> ladder = Ladder()
        >>> ladder.close = 2.0
        >>> for step in range(16):
        ...     ladder.add(Point(state=None, origin=None, history=History(), steps=step))
        >>> [point.steps for point in ladder.points]
        [0, 4, 8, 10, 12, 13, 14, 15]
    """

    def __init__(self):
        self.close = CLOSEST
        self._count = 0
        self._rungs: list[_Rung] = []

    def __len__(self) -> int:
        return len(self._rungs)

    @property
    def points(self) -> list[Point]:
        """The points that are kept, the oldest first."""
        return [rung.point for rung in self._rungs]

    def add(self, point: Point) -> None:
        """Add a point that is not before any other; thin the older ones."""
        self._rungs.append(_Rung(self._count, point))
        self._count += 1
        self._thin()

    def spread(self) -> None:
        """Keep about half as many points: halve `b`. The only one that is left is dropped."""
        if len(self) == 1:
            self._rungs = []
            return
        self.close /= 2.0
        self._thin()

    def before(self, steps: int) -> Point | None:
        """Return the last point at or before a step, or None."""
        k = bisect_right(self._rungs, steps, key=lambda rung: rung.point.steps)
        return self._rungs[k - 1].point if k else None

    def _thin(self) -> None:
        if self._count >= 2.0 * self.close:
            self._rungs = [rung for rung in self._rungs if rung.number % self._apart(rung.number) == 0]

    def _apart(self, number: int) -> int:
        return 1 << max(0, int((self._count - number) / self.close).bit_length() - 1)
