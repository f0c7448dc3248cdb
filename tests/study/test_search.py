"""Optuna in place of the grid: the same best region with fewer epochs."""

import numpy as np
import pytest
from hills import Hill, plan_of, play

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.study.agenda import Agenda
from snnlab.study.cells import Cell
from snnlab.study.search import Search, check
from snnlab.study.study import Study

pytest.importorskip("optuna")

OVER = {"v_th": range(1, 17), "tau_mem": range(1, 17)}
PEAK = (11, 5)


def fresh(plan) -> dict:
    return {index: Cell(index, plan.space.point(index)) for index in plan.space}


@pytest.mark.parametrize("stop", [None, "halving"])
@pytest.mark.parametrize(
    ("width", "tries", "peak"), [(12, 56, (8, 3)), pytest.param(16, 100, PEAK, marks=pytest.mark.nightly)]
)
def test_a_search_finds_the_best_region_with_less_than_half_of_the_epochs(width, tries, peak, stop):
    over = {name: range(1, width + 1) for name in OVER}
    plan = plan_of(over, epochs=4, search=tries, stop=stop)
    hill = Hill((width, width), peak)
    agenda = Agenda(plan, fresh(plan), Search(plan, {}), stride=1)
    cells, _ = play(agenda, plan, hill, most=4)
    tried = [index for index, cell in cells.items() if cell.rows]
    best = max(tried, key=lambda index: cells[index].rows[-1].accuracy)
    assert len(tried) == tries and agenda.done and hill.computed <= width**2 * 4 / 2
    assert np.abs(np.subtract(best, peak)).max() <= 1


def test_a_search_goes_on_with_what_it_has():
    """What was computed counts, and is not asked for again as if it were new."""
    plan = plan_of(OVER, epochs=2, search=12)
    hill, cells = Hill((16, 16), PEAK), fresh(plan)
    for index in [(0, 0), (11, 5), (3, 9)]:
        cells[index] = hill.advance(cells[index], 2, 2)
    search = Search(plan, cells)
    agenda = Agenda(plan, cells, search, stride=None)
    given_out = []
    while (task := agenda.next(most=4)) is not None:
        given_out += task.cells
        for index in task.cells:
            cells[index] = hill.advance(cells[index], 2, 2)
            agenda.tell(cells[index])
    assert len(given_out) == len(set(given_out)) == 9 and not {(0, 0), (11, 5), (3, 9)} & set(given_out)


def test_all_seeds_of_a_cell_are_one_trial():
    plan = plan_of({"v_th": range(1, 9), "seed": range(3)}, epochs=1, search=4)
    found = Search(plan, {}).more(1)
    assert [index[1] for index in found] == [0, 1, 2] and len({index[0] for index in found}) == 1


def test_a_search_of_the_whole_grid_is_refused():
    with pytest.raises(ArgumentError, match="search: must be below the 4 cells"):
        check(plan_of({"v_th": range(1, 5), "seed": range(9)}, search=4))


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(SnnlabError, match=r"snnlab-live\[study\]"):
        check(plan_of({"v_th": range(1, 5)}, search=2))
    assert Study is not None
