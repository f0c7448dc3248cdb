"""A search in place of the grid: Optuna chooses the cells, by what it was told of those before. The only file that
knows Optuna.

Its sampler models where good cells lie and where bad ones do (a tree-structured Parzen estimator), for two objectives:
accuracy is to be high and spikes are to be few. It begins with coarse cells of the grid.

Source: Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization, NeurIPS; for two objectives Ozaki et al.
(2022), DOI 10.1613/jair.1.13188; Akiba et al. (2019), Optuna, DOI 10.1145/3292500.3330701.
"""

import itertools
import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.study.cells import Cell, Row
from snnlab.study.plan import Plan
from snnlab.study.space import Index
from snnlab.support.extras import install_hint

BEGIN = 10  # cells of the coarse grid at first, as many as Optuna would draw at random; a third of them at most
TRIES = 20  # times that the sampler may ask for a cell that it has


class Search:
    """Cells that Optuna chooses, each with all of its seeds; see `snnlab.study.agenda.Source`.

    Args:
        plan: of the study, with the number of cells, without seeds, that are tried.
        cells: what is known of them; the search learns from those that were computed.

    Raises:
        SnnlabError: if Optuna is not installed.

    Example:
        >>> from snnlab.config import SnnConfig
        >>> from snnlab.study.plan import DataId
        >>> from snnlab.study.space import Space
        >>> data = DataId(name="digits", crc=1, samples=(1437, 360))
        >>> plan = Plan(space=Space.of({"v_th": range(1, 9)}), model=SnnConfig(), data=data, epochs=2, search=3)
        >>> search = Search(plan, {})
        >>> first, others = search.more(1), search.more(8)
        >>> first, len({*first, *others}), search.more(1)
        ([(1,)], 3, [])
    """

    def __init__(self, plan: Plan, cells: Mapping[Index, Cell]):
        assert plan.search is not None
        self._optuna, self._plan = _optuna(), plan
        self._axes = [(k, axis) for k, axis in enumerate(plan.space.axes) if not axis.seeds]
        self._questions: dict[Index, list[Index]] = {}
        for index in plan.space.in_order():
            self._questions.setdefault(self._question(index), []).append(index)
        computed = {self._question(index) for index, cell in cells.items() if cell.rows}
        coarse = list(self._questions)[: max(1, min(BEGIN, plan.search // 3))]
        self._first = list(dict.fromkeys((*(one for one in self._questions if one in computed), *coarse)))
        self._left = plan.search
        self._trials: dict[Index, Any] = {}  # asked, by the question
        self._rows: dict[Index, list[Row]] = {}
        self._study = self._make()

    def _make(self) -> Any:
        optuna = self._optuna
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would greet
        try:
            sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=len(self._first))
            return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        finally:
            optuna.logging.set_verbosity(before)

    def _question(self, index: Index) -> Index:
        """The place of a cell without its seed."""
        return tuple(index[k] for k, _ in self._axes)

    def more(self, count: int) -> list[Index]:
        """Ask for cells that are new."""
        found: list[Index] = []
        while self._left and len(found) < count:
            question = self._ask()
            self._left -= 1
            found += self._questions[question]
        return found

    def _ask(self) -> Index:
        """Return a cell that was not asked for; one of our choice if the sampler wants only those that it has."""
        for number in itertools.count():
            wanted = self._first or ([] if number < TRIES else list(self._questions))
            chosen = next((one for one in wanted if one not in self._trials), None)
            if chosen is not None:
                self._study.enqueue_trial({axis.name: k for (_, axis), k in zip(self._axes, chosen, strict=True)})
            self._first = [one for one in self._first if one != chosen]
            trial = self._study.ask()
            question = tuple(trial.suggest_int(axis.name, 0, len(axis.values) - 1) for _, axis in self._axes)
            if question not in self._trials:
                self._trials[question] = trial
                return question
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        raise AssertionError("the search asks for more cells than there are")

    def told(self, index: Index, row: Row | None) -> None:
        """Learn the medians over the seeds of a cell, when all of them are there."""
        question = self._question(index)
        rows = self._rows.setdefault(question, [])
        rows.append(Row(0, 0, math.nan, math.nan, math.nan) if row is None else row)
        if question not in self._trials or len(rows) < len(self._questions[question]):
            return
        trial = self._trials[question]
        accuracy, spikes = (median(getattr(one, name) for one in rows) for name in ("accuracy", "spikes"))
        if math.isnan(accuracy):
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, [accuracy, 0.0 if math.isnan(spikes) else spikes])


def check(plan: Plan) -> None:
    """Check that a plan can be searched.

    Raises:
        ArgumentError: if it has fewer cells than the search is to try.
        SnnlabError: if Optuna is not installed.
    """
    questions = math.prod(len(axis.values) for axis in plan.space.axes if not axis.seeds)
    if plan.search is not None and plan.search >= questions:
        raise ArgumentError(
            f"search: must be below the {questions} cells of the grid, got {plan.search}; leave it out to compute all"
        )
    _optuna()


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SnnlabError(f"search needs Optuna: {install_hint('study')}") from None
    return optuna
