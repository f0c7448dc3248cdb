"""The front of a study: cells of which no other has more accuracy and fewer spikes. Loads no JAX."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from snnlab.study.cells import Axis, Cell, Fate


class Choice(NamedTuple):
    """One question of a study with its answer: the medians over the seeds.

    Attributes:
        point: values on the axes, without the seed.
        accuracy: of the last epoch.
        spikes: a sample, of the last epoch; NaN for a network that does not spike.
        cells: one for each seed.

    Example:
        >>> Choice({"v_th": 1.0}, accuracy=0.9, spikes=50.0, cells=()).point
        {'v_th': 1.0}
    """

    point: dict[str, Any]
    accuracy: float
    spikes: float
    cells: tuple[Cell, ...]


def choices(axes: Sequence[Axis], cells: Iterable[Cell]) -> list[Choice]:
    """Put the seeds of each question together; leave out what has no row, failed or diverged.

    Example:
        >>> from snnlab.study.cells import Row
        >>> axes = (Axis("v_th", (0.5, 1.0)), Axis("seed", (0, 1), seeds=True))
        >>> def cell(k, seed, accuracy):
        ...     point = {"v_th": axes[0].values[k], "seed": seed}
        ...     return Cell((k, seed), point, rows=(Row(1, 11, 1.0, accuracy, 9.0),))
        >>> [(one.point, one.accuracy) for one in choices(axes, [cell(0, 0, 0.4), cell(0, 1, 0.8), cell(1, 0, 0.7)])]
        [({'v_th': 0.5}, 0.6000000000000001), ({'v_th': 1.0}, 0.7)]
    """
    seeds = [axis.name for axis in axes if axis.seeds]
    found: dict[tuple, list[Cell]] = {}
    for cell in cells:
        if cell.rows and cell.fate is not Fate.FAILED and cell.finding != "diverged":
            question = tuple(k for axis, k in zip(axes, cell.index, strict=True) if not axis.seeds)
            found.setdefault(question, []).append(cell)
    return [
        Choice(
            {name: value for name, value in own[0].point.items() if name not in seeds},
            _median(own, "accuracy"),
            _median(own, "spikes"),
            tuple(own),
        )
        for own in found.values()
    ]


def front(choices: Iterable[Choice]) -> list[Choice]:
    """Return the choices that no other beats, those with the most accuracy first.

    One beats another if it has at least the accuracy and at most the spikes, and is better in one of them. Networks
    that do not spike are compared by their accuracy.

    Example:
        >>> found = [Choice({"a": k}, *values, ()) for k, values in enumerate([(0.9, 50.0), (0.8, 60.0), (0.7, 20.0)])]
        >>> [choice.point["a"] for choice in front(found)]
        [0, 2]
    """
    ranked = sorted(
        (choice for choice in choices if not math.isnan(choice.accuracy)),
        key=lambda choice: (-choice.accuracy, _spikes(choice)),
    )
    best, fewest = [], math.inf
    for choice in ranked:
        alike = best and (choice.accuracy, _spikes(choice)) == (best[-1].accuracy, _spikes(best[-1]))
        if _spikes(choice) < fewest or alike:
            best.append(choice)
            fewest = _spikes(choice)
    return best


def _spikes(choice: Choice) -> float:
    return 0.0 if math.isnan(choice.spikes) else choice.spikes


def _median(cells: Sequence[Cell], name: str) -> float:
    return median(getattr(cell.rows[-1], name) for cell in cells)
