"""Every cell of a study has the bits of its network trained alone, whoever computes it, and however it is cut."""

import dataclasses
import os
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from hills import bits, plan_of, plan_on
from networks import SMALL

from snnlab import models
from snnlab.errors import DataError, StateError
from snnlab.study import saved
from snnlab.study.agenda import Grid
from snnlab.study.blocks import Blocks
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.engines import Job, here
from snnlab.study.folder import StudyFolder, lead, read_study
from snnlab.study.population import Groups, Population
from snnlab.study.work import compute, make_trainer, open_cell
from snnlab.train import Trainer

OVER = {"tau_mem": [5.0, 20.0], "v_th": [0.5, 1.0], "seed": [0, 3], "hidden": [16, 32]}


def alone(data, point) -> Trainer:
    """What anybody would write who trains one network."""
    config = {name: value for name, value in point.items() if name in ("tau_mem", "v_th", "hidden")}
    seed = point.get("seed", 0)
    net = models.build(
        dataclasses.replace(SMALL, **config), sample_shape=data.sample_shape, num_classes=data.num_classes, seed=seed
    )
    more = {name: value for name, value in point.items() if name == "learning_rate"}
    trainer = Trainer(net, data, epochs=2, batch_size=32, seed=seed, **more)
    trainer.set({name: value for name, value in point.items() if name in ("l1", "hidden.slope")})
    return trainer


def run_here(folder: StudyFolder, data, *, asks: float = np.inf) -> list[Cell]:
    """Compute in this process; `asks` times it is told not to stop, then to stop."""
    told = []
    left = [asks]

    def should_stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    order = folder.plan.space.in_order()
    here.run(Job(folder=folder, data=data, on_cell=told.append, source=lambda cells: Grid(order)), should_stop)
    return told


def check_alone(folder: StudyFolder, data, index) -> None:
    """Compare all arrays of the state, all metrics of all steps, the moves, and the rows."""
    cell = read_study(folder.path).cell(index)
    theirs, mine = alone(data, cell.point), open_cell(folder, index, data)
    theirs.fit()
    for left, right in zip(jax.tree.leaves(theirs.state), jax.tree.leaves(mine.state), strict=True):
        assert left.dtype == right.dtype and bool((left == right).all())
    for name, values in theirs.history.steps().items():
        np.testing.assert_array_equal(values, mine.history.steps()[name], err_msg=name)
    assert theirs.history.interventions == mine.history.interventions
    assert cell.fate is Fate.DONE and cell.rows == tuple(
        Row(epoch["epoch"], 8 * epoch["epoch"], epoch["test_loss"], epoch["test_acc"], epoch["spikes_per_sample"])
        for epoch in theirs.history.epochs
    )


@pytest.mark.parametrize(
    ("over", "knobs", "some"),
    [
        (OVER, (), [(0, 0, 0, 0), (1, 1, 1, 0), (1, 0, 1, 1)]),
        (
            {"l1": [0.0, 1e-3], "learning_rate": [0.003, 0.03], "hidden.slope": [4.0]},
            ("l1", "hidden.slope"),
            [(1, 0, 0)],
        ),
    ],
    ids=["config", "knobs"],
)
def test_a_cell_of_a_population_is_as_if_it_were_alone(small, tmp_path, over, knobs, some):
    folder = lead(tmp_path, plan_on(small, over, knobs=knobs))
    told = run_here(folder, small)
    assert {cell.index for cell in told} == set(folder.plan.space)
    for index in some:
        check_alone(folder, small, index)


@pytest.mark.parametrize("cores", [1, 3, 64])
def test_bits_do_not_depend_on_the_cores_that_share_out_the_cells(small, monkeypatch, cores):
    """Of a block of five, which three cores share out unevenly, and of which 64 get one each."""
    monkeypatch.setattr("snnlab.study.blocks.cores", lambda: cores)
    plan = plan_on(small, {"tau_mem": [2.0, 5.0, 9.0, 20.0, 40.0]})
    population = Population(plan, small, (0,), Blocks.of())
    members = [population.member(index) for index in plan.space]
    for _ in range(plan.epochs):
        population.train(members)
    for member, point in zip(members, map(plan.space.point, plan.space), strict=True):
        theirs = alone(small, point)
        theirs.fit()
        mine = jax.tree.leaves(population.state_of(member))
        assert all(bool((a == b).all()) for a, b in zip(jax.tree.leaves(theirs.state), mine, strict=True))
        np.testing.assert_array_equal(theirs.history.steps()["loss"], member.history.steps()["loss"])


def test_populations_are_found_and_not_listed(small):
    """Time constants, thresholds and seeds are values of one program; widths, lengths, neurons, infinity are not."""
    over = OVER | {
        "num_steps": [30, 40],
        "neuron": ["lif", "alif"],
        "tau_syn": [5.0, np.inf],
        "learning_rate": [0.1, 1],
    }
    groups = Groups(plan_on(small, over), small)
    first = (0,) * len(over)
    for place, name in enumerate(over):
        other = (*first[:place], 1, *first[place + 1 :])
        traced = name in ("tau_mem", "v_th", "seed", "learning_rate")
        assert (groups(other) == groups(first)) is traced, name


def test_one_program_serves_all_cells_blocks_and_calls(small, monkeypatch):
    monkeypatch.setattr("snnlab.study.population.CALL_SECONDS", 1e-9)  # several calls in an epoch
    plan = plan_on(small, {"tau_mem": [5.0, 9.0, 20.0], "seed": [0, 1]})
    population = Population(plan, small, (0, 0))
    members = [population.member(index) for index in plan.space]
    population.train(members[:4])
    population.train(members[4:])
    population.train(members[::2])
    assert population.compilations == 1 and population._steps_in_call == 1
    assert [member.history.num_epochs for member in members] == [2, 1, 2, 1, 2, 1]


def test_a_snapshot_is_that_of_its_own_trainer(small):
    """All facts but the times, so that whoever opens a cell finds a run like any other."""
    from snnlab.checkpoint.snapshot import take

    plan = plan_on(small, {"v_th": [0.5, 1.0], "seed": [3], "l1": [1e-3]}, knobs=("l1",))
    population = Population(plan, small, (0, 0, 0))
    member = population.member((1, 0, 0))
    population.train([member])
    trainer = make_trainer(plan, small, (1, 0, 0))
    next(report for report in trainer if report.phase == "epoch")
    mine, theirs = population.snapshot(member), take(trainer, trainer.at)
    for facts in (mine.facts, theirs.facts):
        facts["seconds"] = 0.0
        for epoch in facts["epochs"]:
            epoch["seconds"] = epoch["samples_per_second"] = 0.0
    assert mine.facts == theirs.facts and mine.digest == theirs.digest


@pytest.mark.parametrize("asks", [7, *(pytest.param(asks, marks=pytest.mark.endure) for asks in (2, 11, 16))])
def test_a_study_that_is_stopped_goes_on_to_the_same_bits(small, tmp_path, asks, monkeypatch):
    """It is stopped between calls in the middle of an epoch, too; then cells go on alone or in a population."""
    monkeypatch.setattr("snnlab.study.population.CALL_SECONDS", 1e-9)  # one step in a call
    over = {"tau_mem": [5.0, 20.0], "seed": [0, 3]}
    whole = lead(tmp_path / "whole", plan_on(small, over))
    run_here(whole, small)
    cut = lead(tmp_path / "cut", plan_on(small, over))
    run_here(cut, small, asks=asks)
    cut.close()
    again = lead(tmp_path / "cut", plan_on(small, over))
    before = {index: len(cell.rows) for index, cell in again.cells().items()}
    compute(again, (1, 1), data=small)
    run_here(again, small)
    assert min(before.values()) < 2
    for index in whole.plan.space:
        assert bits(whole, index) == bits(again, index)
        assert whole.cell(index).rows == again.cell(index).rows


KILLED = """
    import os, sys
    from hills import plan_on
    from snnlab import data
    from snnlab.study.agenda import Grid
    from snnlab.study.engines import Job, here
    from snnlab.study.folder import lead
    here.EVERY = 0.0
    small = data.load("digits").subset(train=256, test=64)
    folder = lead(sys.argv[1], plan_on(small, {"tau_mem": [5.0, 20.0], "v_th": [0.5, 1.0]}, epochs=4))
    count = 0
    def on_cell(cell):
        global count
        count += len(cell.rows) == 3
        if count == 2:
            os._exit(9)  # as a kill does: nothing is tidied up
    order = folder.plan.space.in_order()
    here.run(Job(folder=folder, data=small, on_cell=on_cell, source=lambda cells: Grid(order)), lambda: False)
"""


def test_a_study_that_is_killed_goes_on_to_the_same_bits(small, tmp_path):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "killed")], env=env)
    assert killed.returncode == 9
    plan = plan_on(small, {"tau_mem": [5.0, 20.0], "v_th": [0.5, 1.0]}, epochs=4)
    again, whole = lead(tmp_path / "killed", plan), lead(tmp_path / "whole", plan)
    assert all(len(cell.rows) == 3 for cell in again.cells().values())
    assert {len(saved.newest(again.place(index), print).arrays["history/loss"]) for index in plan.space} == {24}
    run_here(again, small)
    run_here(whole, small)
    for index in plan.space:
        assert bits(again, index) == bits(whole, index) and again.cell(index) == whole.cell(index)


def test_a_cell_alone_is_cut_and_claimed(small, tmp_path):
    folder = lead(tmp_path, plan_on(small, {"tau_mem": [5.0, 20.0]}))
    claim = folder.claim((1,))
    assert compute(folder, (1,), data=small).computing and not folder.cell((1,)).rows
    claim.release()
    rows = []
    half = compute(folder, (1,), until=1, on_row=rows.append, data=small)
    assert half.fate is Fate.RUNNING and half.rows == tuple(rows) and len(rows) == 1
    asked = iter([False, False, True])
    compute(folder, (1,), should_stop=lambda: next(asked), data=small)
    assert len(open_cell(folder, (1,), small).history) in range(9, 17)  # in the middle of the second epoch
    compute(folder, (1,), data=small)
    check_alone(folder, small, (1,))
    with pytest.raises(StateError, match=r"cell \(tau_mem=5\) has no checkpoint"):
        open_cell(folder, (0,), small)


def test_the_newest_checkpoint_holds_the_measurement_of_its_epoch(small, tmp_path, monkeypatch):
    """Saved after every report: at the end of an epoch, too, after its last step and again after its measurement."""
    monkeypatch.setattr("snnlab.study.work.WITHIN", 0.0)
    monkeypatch.setattr("snnlab.study.work.BETWEEN", 0.0)
    folder = lead(tmp_path, plan_on(small, {"tau_mem": [5.0]}))
    compute(folder, (0,), until=1, data=small)
    assert open_cell(folder, (0,), small).history.num_epochs == 1


def test_more_epochs_go_on_as_a_trainer_would(small, tmp_path):
    """The learning rate follows the cosine of the new number; population and trainer move it alike."""
    over, states = {"tau_mem": [5.0, 20.0]}, []
    for one, name in ((False, "here"), (True, "alone")):
        lead(tmp_path / name, plan_on(small, over, epochs=1)).close()
        for epochs in (1, 3):
            folder = lead(tmp_path / name, plan_on(small, over, epochs=epochs))
            compute(folder, (1,), data=small) if one else run_here(folder, small)
            folder.close()
        cell = folder.cell((1,))
        assert cell.fate is Fate.DONE and len(cell.rows) == 3
        states.append({n: v for n, v in bits(folder, (1,)).items() if n.startswith("state")})
        trainer = open_cell(folder, (1,), small)
        assert [(move["step"], move["knob"], move["new"]) for move in trainer.history.interventions] == [
            (8, "epochs", 3)
        ]
    assert states[0] == states[1]


def test_a_cell_that_diverges_stops_and_the_others_go_on(small, tmp_path):
    """A learning rate of 1e30 makes weights infinite in the first epoch; alone and in a population the cell stays."""
    plan = plan_on(small, {"learning_rate": [0.01, 1e30]})
    folder, other = lead(tmp_path / "here", plan), lead(tmp_path / "alone", plan)
    run_here(folder, small)
    compute(other, (1,), data=small)
    for where in (folder, other):
        cell = where.cell((1,))
        assert (cell.fate, cell.finding, cell.rows) == (Fate.STOPPED, "diverged", ())
        assert "diverged in epoch 1" in cell.why
    check_alone(folder, small, (0,))


@pytest.mark.parametrize("stop", ["silent", pytest.param(None, marks=pytest.mark.endure)])
def test_silent_cells_are_told_and_given_up_by_the_rule(small, tmp_path, stop):
    """With a threshold far above what any current reaches, nothing fires: 13 epochs of 4 steps are more than the
    patience of the diagnosis."""
    folder = lead(tmp_path, plan_on(small, {"v_th": [1.0, 300.0]}, epochs=15, batch_size=64, stop=stop))
    run_here(folder, small)
    fires, silent = folder.cells().values()
    assert (fires.fate, fires.finding, silent.finding) == (Fate.DONE, "", "silent")
    if stop is None:
        assert silent.fate is Fate.DONE and silent.why == ""
    else:
        assert silent.fate is Fate.STOPPED and silent.why == "silent after epoch 13" and len(silent.rows) == 13


def test_a_worker_without_the_data_says_so(small, tmp_path):
    lead(tmp_path / "arrays", plan_on(small, {"v_th": [1.0]})).close()
    with pytest.raises(DataError, match="was given its data 'digits' as arrays"):
        compute(tmp_path / "arrays", (0,))
    known = dataclasses.replace(plan_on(small, {"v_th": [1.0]}).data, source="digits")
    lead(tmp_path / "other", plan_of({"v_th": [1.0]}, data=known)).close()
    with pytest.raises(DataError, match="has other samples here"):
        compute(tmp_path / "other", (0,))
