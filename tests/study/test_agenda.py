"""Who comes when, and who is given up: on a surface that is known."""

import itertools
import math

import pytest
from hills import Hill, plan_of, play, row
from hypothesis import given
from hypothesis import strategies as st

from snnlab.study.agenda import Agenda
from snnlab.study.cells import Cell, Fate
from snnlab.study.stopping import REDUCTION, gates, passing, ranked


def fresh(plan) -> dict:
    return {index: Cell(index, plan.space.point(index)) for index in plan.space}


def test_rounds_go_over_the_whole_map_before_the_next_epoch():
    plan = plan_of({"v_th": range(1, 9)}, epochs=2)
    hill = Hill((8,), (3,))
    cells, order = play(Agenda(plan, fresh(plan), stride=1), plan, hill, most=3)
    assert order == plan.space.in_order() * 2
    assert all(cell.fate is Fate.DONE for cell in cells.values()) and hill.computed == 16


def test_without_a_stride_a_cell_is_computed_at_once_and_begun_ones_come_first():
    plan = plan_of({"v_th": range(1, 9)}, epochs=4)
    cells = fresh(plan)
    cells[6,] = Cell((6,), cells[6,].point, Fate.RUNNING, (row(1), row(2)))
    cells[5,] = Cell((5,), cells[5,].point, Fate.DONE, tuple(row(k) for k in range(1, 5)))
    agenda = Agenda(plan, cells)
    given_out = [agenda.next() for _ in range(8)]
    assert given_out[0].cells == [(6,)] and all(task.until == 4 for task in given_out[:-1])
    assert given_out[-1] is None and not agenda.done
    agenda.put_back((6,))
    assert agenda.next().cells == [(6,)]


def test_a_cell_that_another_computes_is_asked_for_again_later():
    """After the time that was given, or as soon as it is told that nobody computes it; what it gains there counts."""
    plan, now = plan_of({"v_th": [1.0]}, epochs=3), [0.0]
    cell = fresh(plan)[0,]
    agenda = Agenda(plan, {(0,): cell}, clock=lambda: now[0])

    def given() -> bool:
        return agenda.next() is not None

    assert given()
    agenda.put_back((0,), 5.0)
    agenda.tell(Cell((0,), cell.point, Fate.RUNNING, (row(1),), computing=True))
    assert not given() and not agenda.done
    now[0] = 4.9
    assert not given()
    now[0] = 5.0
    assert given() and not given()
    agenda.put_back((0,), 5.0)
    agenda.tell(Cell((0,), cell.point, Fate.RUNNING, (row(1), row(2))))
    assert given()
    agenda.put_back((0,), 5.0)
    agenda.tell(Cell((0,), cell.point, Fate.DONE, (row(1), row(2), row(3))))
    now[0] = 20.0
    assert not given() and agenda.done


def test_cells_of_one_task_are_alike():
    plan = plan_of({"v_th": range(1, 9)}, epochs=1)
    agenda = Agenda(plan, fresh(plan))
    tasks = []
    while (task := agenda.next(most=3, alike=lambda index: index[0] % 2)) is not None:
        tasks.append(task.cells)
    assert sorted(itertools.chain(*tasks)) == sorted(plan.space)
    assert all(len({index[0] % 2 for index in cells}) == 1 and len(cells) <= 3 for cells in tasks)


@given(st.integers(1, 200))
def test_gates_are_a_factor_apart_and_before_the_end(epochs):
    found = (*gates(epochs), epochs)
    assert all(after >= REDUCTION * before for before, after in itertools.pairwise(found))
    assert found[0] == 1 or epochs < REDUCTION


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=30))
def test_the_best_third_passes(accuracies):
    """Every cell that passes is at least as good as every one that does not; NaN is the worst."""
    arrived = {(k,): (row(1, accuracy=value),) for k, value in enumerate(accuracies)}
    through = passing(arrived, 1, closed=True)
    assert len(through) == max(1, len(accuracies) // 3) and len(passing(arrived, 1, closed=False)) == len(arrived) // 3

    def height(index):
        value = accuracies[index[0]]
        return -1.0 if math.isnan(value) else value

    rest = [height(index) for index in arrived if index not in through]
    assert min(map(height, through)) >= max(rest, default=-1.0)
    assert ranked(arrived, 1)[: len(through)] == through


@pytest.mark.parametrize("most", [1, 5, 16])
@pytest.mark.parametrize("stride", [1, None])
def test_halving_finds_the_best_cell_with_less_than_half_of_the_epochs(most, stride):
    plan = plan_of({"v_th": range(1, 13), "tau_mem": range(1, 13)}, epochs=10, stop="halving")
    full = plan_of({"v_th": range(1, 13), "tau_mem": range(1, 13)}, epochs=10)
    whole, cut = Hill((12, 12), (7, 4)), Hill((12, 12), (7, 4))
    everything, _ = play(Agenda(full, fresh(full), stride=1), full, whole, most)
    agenda = Agenda(plan, fresh(plan), stride=stride)
    cells, _ = play(agenda, plan, cut, most)
    best = max(everything, key=lambda index: everything[index].rows[-1].accuracy)
    done = [index for index, cell in cells.items() if cell.fate is Fate.DONE]
    assert best == (7, 4) and max(done, key=lambda index: cells[index].rows[-1].accuracy) == best
    assert cut.computed == 144 + 48 * 2 + 16 * 7 <= whole.computed / 2
    stopped = [cell for cell in cells.values() if cell.fate is Fate.STOPPED]
    assert len(done) == 16 and len(stopped) == 128 and agenda.done
    assert {cell.why for cell in stopped} == {
        "halving: not among the best 48 of 144 after 1 epoch",
        "halving: not among the best 16 of 48 after 3 epochs",
    }


def test_at_least_one_cell_passes_a_gate_and_cells_that_fail_hold_nobody_up():
    plan = plan_of({"v_th": [1.0, 2.0]}, epochs=9, stop="halving")
    agenda, cells = Agenda(plan, fresh(plan)), fresh(plan)
    first = agenda.next(most=2)
    assert first.until == 1
    agenda.tell(Cell((0,), cells[0,].point, Fate.FAILED, why="broken"))
    assert agenda.next() is None  # the other one may still arrive
    agenda.tell(Cell((1,), cells[1,].point, Fate.RUNNING, (row(1),)))
    assert agenda.next().cells == [(1,)] and agenda.given_up() == []


def test_a_study_goes_on_behind_its_gates():
    """Of nine cells, three have passed the first gate before the study was closed; one was stopped there."""
    plan = plan_of({"v_th": range(1, 10)}, epochs=9, stop="halving")
    cells = fresh(plan)
    for k in range(9):
        rows = tuple(row(epoch, accuracy=0.1 * k) for epoch in range(1, 3 if k >= 6 else 2))
        cells[k,] = Cell((k,), cells[k,].point, Fate.STOPPED if k == 0 else Fate.RUNNING, rows)
    agenda = Agenda(plan, cells)
    assert {index for index, _ in agenda.given_up()} == {(k,) for k in range(1, 6)}
    tasks = [agenda.next() for _ in range(4)]
    assert tasks[-1] is None and {(tuple(task.cells), task.until) for task in tasks[:-1]} == {
        (((k,),), 3) for k in (6, 7, 8)
    }
