"""Which cells are given up early: the rules of a study, as pure functions of the rows. Loads no JAX.

silent
    The diagnosis finds the neurons of a cell silent at the end of an epoch (see `snnlab.health.diagnosis`). It is
    patient, because such a network often wakes up by itself.
halving
    Asynchronous successive halving. At each of a few gates, after `REDUCTION^k` epochs, the best third goes on.
    Nobody waits for the slowest: among the `n` cells that have reached a gate, the best `floor(n / REDUCTION)` may pass
    at any time, so a worker always finds work, and a cell that was among the best when few had arrived goes on, too.
    When no more can arrive, one may pass at least, and the others are stopped.

    The paper lets cells pass before it begins new ones. On a grid it is the other way round here, because a map is to
    be whole before it is deep; where cells are searched for, as in the paper.

Source: Li et al. (2020), A System for Massively Parallel Hyperparameter Tuning, MLSys, arXiv:1810.05934.
"""

from collections.abc import Mapping, Sequence

from snnlab.study.cells import Row
from snnlab.study.space import Index

REDUCTION = 3  # one of three passes a gate, as in the paper that comes before: Li et al. (2018), arXiv:1603.06560


def has_rule(stop: str | None, rule: str) -> bool:
    """Whether a study has a rule.

    Example:
        >>> has_rule("silent+halving", "silent"), has_rule(None, "silent")
        (True, False)
    """
    return rule in (stop or "").split("+")


def gates(epochs: int) -> tuple[int, ...]:
    """Return the epochs after which cells are compared: 1, 3, 9, ..., and at least a factor before the last.

    Example:
        >>> gates(10), gates(30), gates(2)
        ((1, 3), (1, 3, 9), ())
    """
    found, epoch = [], 1
    while epoch * REDUCTION <= epochs:
        found.append(epoch)
        epoch *= REDUCTION
    return tuple(found)


def ranked(arrived: Mapping[Index, Sequence[Row]], gate: int) -> list[Index]:
    """Sort the cells that have reached a gate, the best first: by accuracy there, then by loss, then by index.

    Example:
        >>> rows = {(k,): [Row(1, 11, loss, accuracy, 50.0)] for k, (loss, accuracy) in enumerate([(1, 0.5), (2, 0.7)])}
        >>> ranked(rows, 1)
        [(1,), (0,)]
    """

    def merit(index: Index) -> tuple:
        row = arrived[index][gate - 1]
        worst = float("-inf")
        accuracy = row.accuracy if row.accuracy == row.accuracy else worst
        loss = -row.loss if row.loss == row.loss else worst
        return -accuracy, -loss, index

    return sorted(arrived, key=merit)


def passing(arrived: Mapping[Index, Sequence[Row]], gate: int, *, closed: bool) -> list[Index]:
    """Return the cells that may pass a gate now, the best first.

    Args:
        arrived: the rows of every cell that has reached the gate, also of those that have passed.
        gate: epochs.
        closed: whether no more can arrive; then one passes at least.

    Example:
        >>> rows = {(k,): [Row(1, 11, 1.0, 0.1 * k, 50.0)] for k in range(5)}
        >>> passing(rows, 1, closed=False), passing({(0,): rows[0,]}, 1, closed=False)
        ([(4,)], [])
    """
    count = len(arrived) // REDUCTION
    return ranked(arrived, gate)[: max(count, 1) if closed else count]
