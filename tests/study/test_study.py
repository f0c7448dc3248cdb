"""The study as its user has it: it computes in the background, tells where it stands, and goes on."""

import math
import threading

import flax.nnx as nnx
import numpy as np
import pandas
import pytest
from hills import Hill, plan_of
from networks import SMALL

from snnlab import study
from snnlab.errors import ArgumentError, StateError, WriteError
from snnlab.study import study as module
from snnlab.study.cells import Fate
from snnlab.study.folder import lead
from snnlab.study.study import Study
from snnlab.study.work import make_trainer, row_of

HILL = Hill((4, 3), (2, 1))
OVER = {"v_th": [0.5, 1.0, 2.0, 4.0], "tau_mem": [5.0, 10.0, 20.0]}


def climb(job, should_stop) -> None:
    """An engine that computes nothing."""
    cells = job.folder.cells()
    agenda = job.agenda(cells, 1)
    while not should_stop() and (task := agenda.next()) is not None:
        for index in task.cells:
            cell = HILL.advance(cells[index], task.until, job.folder.plan.epochs)
            job.folder.add_rows(index, cell.rows[len(cells[index].rows) :])
            cells[index] = cell
            agenda.tell(cell)
            job.on_cell(cell)


def made(tmp_path, engine=climb, **options) -> Study:
    return Study(lead(tmp_path / "study", plan_of(OVER, **options)), None, engine)  # pyright: ignore[reportArgumentType]


def own_model(width: int, *, seed: int = 0):
    """A model of the user's, and a loss."""
    net = nnx.Sequential(lambda x: x.reshape(1, len(x), -1) / 255.0, nnx.Linear(64, width, rngs=nnx.Rngs(seed)))
    net.layers.append(nnx.Linear(width, 10, rngs=nnx.Rngs(seed + 1)))
    return net


def broken_model(width: int):
    if width == 9:
        raise RuntimeError("no such\nwidth")
    return own_model(width)


def test_a_study_is_computed_and_read(tmp_path):
    one = made(tmp_path)
    assert not one.running and "12 waiting" in repr(one)
    one.start()
    assert one.wait(60) and one.done and not one.running
    best = HILL.row((2, 1), 3).accuracy
    assert f"12 done; best {best:.3f} at v_th=2, tau_mem=10" in repr(one) and one.version >= 12
    table, rows = one.table(), one.rows()
    assert isinstance(table, pandas.DataFrame) and len(table) == 12 and len(rows) == 36
    assert table.loc[table.accuracy.idxmax(), ["v_th", "tau_mem"]].tolist() == [2.0, 10.0]
    assert set(table.fate) == {"done"} and table.epochs.tolist() == [3] * 12
    front = one.pareto()
    assert front[0].point == {"v_th": 2.0, "tau_mem": 10.0} and front[-1].spikes == 10.0


def test_rows_are_saved_as_they_are(tmp_path):
    one = made(tmp_path)
    one.start()
    one.wait(60)
    rows = one.rows()
    for name, read in (("rows.csv", pandas.read_csv), ("rows.parquet", pandas.read_parquet)):
        if name.endswith("parquet"):
            pytest.importorskip("pyarrow")
        pandas.testing.assert_frame_equal(read(one.save_table(tmp_path / name)), rows)
    with pytest.raises(ArgumentError, match="exists"):
        one.save_table(tmp_path / "rows.csv")
    with pytest.raises(ArgumentError, match="path: must be one of"):
        one.save_table(tmp_path / "rows.xlsx")


def test_a_paused_study_goes_on_and_a_stopped_one_gives_the_folder_free(tmp_path):
    goes, held = threading.Event(), threading.Event()

    def engine(job, should_stop):
        held.set()
        goes.wait(60)
        climb(job, should_stop)

    one = made(tmp_path, engine)
    one.start()
    one.start()
    held.wait(60)
    assert not one.wait(0.01) and one.running
    threading.Timer(0.05, goes.set).start()
    one.pause()
    assert not one.running and not one.done
    with pytest.raises(StateError):
        made(tmp_path)
    one.start()
    assert one.wait(60) and one.done
    one.stop()
    with pytest.raises(StateError, match="is closed"):
        one.start()
    again = made(tmp_path)
    assert again.done and all(cell.fate is Fate.DONE for cell in again.cells.values())


def test_what_ends_the_engine_is_raised_and_told(tmp_path):
    def engine(job, should_stop):
        climb(job, lambda: True)
        job.folder.add_rows((0, 0), [HILL.row((0, 0), 1)])
        raise WriteError(28, "No space left on device", "rows.jsonl")

    one = made(tmp_path, engine)
    one.start()
    with pytest.raises(WriteError):
        one.wait(60)
    assert "ended by WriteError" in repr(one) and len(one.cells[0, 0].rows) == 1 and not one.done


def test_ctrl_c_pauses(tmp_path, monkeypatch):
    def engine(job, should_stop):
        while not should_stop():
            pass

    one = made(tmp_path, engine)
    one.start()
    monkeypatch.setattr(one, "_show", lambda bar: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        one.wait(60)
    assert not one.running and one.error is None


def test_cells_are_found_by_point_index_and_themselves(tmp_path):
    one = made(tmp_path)
    cell = one.cells[1, 2]
    assert one.index_of(cell) == one.index_of((1, 2)) == one.index_of({"tau_mem": 20, "v_th": 1.0}) == (1, 2)
    for wrong, words in [
        ((4, 0), r"cell\[v_th\]"),
        ({"v_th": 1.0}, "must have a value for v_th, tau_mem"),
        ({"v_th": 1.0, "tau_mem": 6.0}, "tau_mem must be one of 5.0, 10.0, 20.0, got 6.0"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            one.index_of(wrong)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"hidden.tau": [1.0]}, "did you mean .*hidden.tau_"),
        ({"tau_mem": [1.0], "hidden.slopes": [1.0]}, "did you mean 'hidden.slope'"),
        ({"readout.tau_mem": [1.0, -2.0]}, "readout.tau_mem=-2.0 are refused"),
        ({"l1": [1e-3], "v_th": []}, "'v_th' has no values"),
    ],
)
def test_sweep_refuses_bad_axes_before_anything_starts(small, tmp_path, over, words):
    with pytest.raises(ArgumentError, match=words):
        study.sweep(SMALL, small, over=over, folder=tmp_path / "study")
    assert not (tmp_path / "study" / "cells").exists()


def test_names_of_knobs_are_found_or_ambiguous(small):
    space = plan_of({"v_th": [1.0]}).space
    assert module._full_name("slope", ["hidden.slope", "l1"], []) == "hidden.slope"
    with pytest.raises(
        ArgumentError, match=r"'tau_mem' is ambiguous, it could be 'hidden.tau_mem' or 'readout.tau_mem'"
    ):
        module._full_name("tau_mem", ["hidden.tau_mem", "readout.tau_mem"], [])
    assert module._with_knobs(SMALL, space, small) == (space, ())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": "dusk"}, "cluster: must be None"),
        ({"data": 3}, "data: must be"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1000}, "batch_size: must be at most"),
        ({"validation": 1.5}, "share"),
        ({"search": 2}, "search: must be below the 2"),
        ({"model": lambda v_th: None}, "cannot be imported"),
        ({"model": "nowhere:made"}, "nowhere:made cannot be imported"),
        ({"model": SMALL.__class__}, "model: must be a config"),
    ],
)
def test_sweep_refuses_bad_arguments(small, tmp_path, options, words):
    known = {"model": SMALL, "data": small} | options
    with pytest.raises(ArgumentError, match=words):
        study.sweep(over={"v_th": [0.5, 1.0]}, folder=tmp_path, **known)


def test_a_model_of_ones_own_is_swept_and_a_broken_cell_is_told(small, tmp_path):
    one = study.sweep(broken_model, small, over={"width": [4, 9]}, epochs=1, batch_size=32, folder=tmp_path)
    assert one.wait(300)
    good, bad = one.cells.values()
    assert good.fate is Fate.DONE and len(good.rows) == 1 and math.isnan(good.rows[0].spikes)
    assert bad.fate is Fate.FAILED and bad.why == "RuntimeError: no such width"
    trainer = one.open({"width": 4})
    assert trainer.history.num_epochs == 1 and np.isfinite(trainer.history.steps()["loss"]).all()
    one.stop()


def test_validation_is_looked_at_in_place_of_the_test(small, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "engine_for", lambda cluster, **options: lambda job, should_stop: None)
    one = study.sweep(SMALL, small, over={"v_th": [1.0]}, epochs=1, batch_size=32, validation=0.25, folder=tmp_path)
    trainer = make_trainer(one.plan, one._data, (0,))
    assert trainer.scored.result == "val_acc" and len(trainer.data.x_train) == 192
    epoch = {"epoch": 2, "val_loss": 1.5, "val_acc": 0.25, "test_loss": 9.0, "test_acc": 0.9, "spikes_per_sample": None}
    row = row_of(epoch, trainer.scored, trainer.steps_per_epoch)
    assert row[:4] == (2, 12, 1.5, 0.25) and math.isnan(row.spikes)
    one.stop()
