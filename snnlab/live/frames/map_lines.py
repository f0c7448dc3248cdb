"""Lines over a map: where the score has one value, and the front of the places that nothing beats."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

# Edges of a square between four neighbouring places: below, right, above, left. Which of them a line crosses, by the
# corners that are at the level or higher: 1 lower left, 2 lower right, 4 upper right, 8 upper left.
BELOW, RIGHT, ABOVE, LEFT = range(4)
CROSSED = {
    1: ((LEFT, BELOW),),
    2: ((BELOW, RIGHT),),
    3: ((LEFT, RIGHT),),
    4: ((RIGHT, ABOVE),),
    6: ((BELOW, ABOVE),),
    7: ((LEFT, ABOVE),),
    8: ((ABOVE, LEFT),),
    9: ((BELOW, ABOVE),),
    11: ((RIGHT, ABOVE),),
    12: ((LEFT, RIGHT),),
    13: ((BELOW, RIGHT),),
    14: ((LEFT, BELOW),),
}
SADDLES = {  # two corners that face each other: what is in the middle decides whether they are joined
    (5, True): ((LEFT, ABOVE), (BELOW, RIGHT)),
    (5, False): ((LEFT, BELOW), (RIGHT, ABOVE)),
    (10, True): ((LEFT, BELOW), (RIGHT, ABOVE)),
    (10, False): ((LEFT, ABOVE), (BELOW, RIGHT)),
}
Edge = tuple[str, int, int]  # "across" or "up", row and column of the place where it begins


def contour(values: Float[np.ndarray, "y x"], level: float) -> list[Float[np.ndarray, "points 2"]]:
    """Return the lines where values, linear between neighbouring places, are at a level: marching squares.

    Args:
        values: one for each place; a square with a corner that is not finite has no line.
        level: that the lines are at.

    Returns:
        Points (x, y) in places, `(0, 0)` is the middle of the first one; a closed line ends where it begins.

    Source: Lorensen & Cline (1987), DOI 10.1145/37402.37422, in two dimensions.

    Example:
        >>> [line.tolist() for line in contour(np.array([[0.0, 1.0], [0.0, 1.0]]), 0.25)]
        [[[0.25, 0.0], [0.25, 1.0]]]
    """
    values = np.asarray(values, np.float64)
    neighbours: dict[Edge, list[Edge]] = {}
    for one, other in _pieces(values, level):
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    places = {edge: _crossing(values, level, edge) for edge in neighbours}
    lines = []
    ends = [edge for edge, others in neighbours.items() if len(others) == 1]
    for start in [*ends, *list(neighbours)]:
        if neighbours[start]:
            lines.append(np.array([places[edge] for edge in _walk(neighbours, start)]))
    return lines


def _pieces(values: np.ndarray, level: float) -> Iterator[tuple[Edge, Edge]]:
    corners = values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]
    kind = sum((corner >= level).astype(int) << k for k, corner in enumerate(corners))
    kind = np.where(np.isfinite(np.stack(corners)).all(0), kind, 0)
    middle = np.mean(corners, 0) >= level
    for y, x in np.argwhere((kind > 0) & (kind < 15)).tolist():
        edges: tuple[Edge, ...] = (("across", y, x), ("up", y, x + 1), ("across", y + 1, x), ("up", y, x))
        case = int(kind[y, x])
        for one, other in CROSSED.get(case) or SADDLES[case, bool(middle[y, x])]:
            yield edges[one], edges[other]


def _crossing(values: np.ndarray, level: float, edge: Edge) -> tuple[float, float]:
    direction, y, x = edge
    right, up = (1, 0) if direction == "across" else (0, 1)
    low, high = values[y, x], values[y + up, x + right]
    share = (level - low) / (high - low)
    return x + share * right, y + share * up


def _walk(neighbours: dict[Edge, list[Edge]], start: Edge) -> list[Edge]:
    """Follow a line from an edge, and take it away."""
    line = [start]
    while neighbours[line[-1]]:
        here = line[-1]
        after = neighbours[here].pop()
        neighbours[after].remove(here)
        line.append(after)
    return line


def front(score: Float[np.ndarray, "places"], spikes: Float[np.ndarray, "places"]) -> Int[np.ndarray, "members"]:
    """Return the places that no other one beats, with a higher score for no more spikes, or fewer for no lower score.

    Args:
        score: of each place; what is not finite takes no part.
        spikes: a sample, of each place.

    Returns:
        Indices, by spikes. Of places that are equal in both, the first.

    Example:
        >>> front(np.array([0.9, 0.8, 0.95, 0.7]), np.array([50.0, 20.0, 200.0, 30.0])).tolist()
        [1, 0, 2]
    """
    there = np.flatnonzero(np.isfinite(score) & np.isfinite(spikes))
    order = there[np.lexsort((there, -score[there], spikes[there]))]
    best = np.maximum.accumulate(np.concatenate([[-np.inf], score[order]]))
    return order[score[order] > best[:-1]]
