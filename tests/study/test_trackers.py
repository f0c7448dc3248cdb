"""Results sent elsewhere while a study computes: cells as they end, and the lines of the guide with real trackers."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hills import Hill, plan_of
from tiers import needed

from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.folder import lead
from snnlab.study.study import Study

EPOCHS = 3
HILL = Hill((4, 3), (2, 1))
OVER = {"v_th": [0.5, 1.0, 2.0, 4.0], "tau_mem": [5.0, 10.0, 20.0]}
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "studies.md"


class Gated:
    """An engine that ends one cell whenever it is let, coarse to fine."""

    def __init__(self):
        self.lets = threading.Semaphore(0)

    def __call__(self, job, should_stop) -> None:
        cells = job.folder.cells()
        agenda = job.agenda(cells)
        while (task := agenda.next()) is not None:
            while not self.lets.acquire(timeout=0.05):
                if should_stop():
                    return
            (index,) = task.cells
            cells[index] = HILL.advance(cells[index], task.until, EPOCHS)
            job.folder.add_rows(index, cells[index].rows)
            agenda.tell(cells[index])
            job.on_cell(cells[index])


def begun(folder, engine) -> Study:
    study = Study(lead(folder, plan_of(OVER, epochs=EPOCHS)), None, engine)  # pyright: ignore[reportArgumentType]
    study.start()
    return study


def test_each_cell_comes_once_as_soon_as_it_is_over(tmp_path):
    """Only as many cells have come as were let to end; those of an earlier process come first."""
    gate = Gated()
    study = begun(tmp_path / "study", gate)
    coming = study.as_completed()
    seen: list[Cell] = []
    for _ in range(5):
        gate.lets.release()
        seen.append(next(coming))
        assert all(cell.fate is Fate.DONE and len(cell.rows) == EPOCHS for cell in seen)
        assert sum(cell.fate.over for cell in study.cells.values()) == len(seen)
    study.pause()
    assert list(coming) == [] and len({cell.index for cell in seen}) == 5
    study.stop()
    again = begun(tmp_path / "study", gate)
    gate.lets.release(7)
    told = [cell.index for cell in again.as_completed()]
    assert set(told[:5]) == {cell.index for cell in seen} and sorted(told) == sorted(again.cells)
    again.stop()


def test_an_error_of_the_computing_ends_it_after_the_cells_that_are_over(tmp_path):
    def engine(job, should_stop):
        cell = HILL.advance(job.folder.cell((0, 0)), EPOCHS, EPOCHS)
        job.folder.add_rows(cell.index, cell.rows)
        job.on_cell(cell)
        raise OSError("no space left")

    study = begun(tmp_path / "study", engine)
    coming = study.as_completed()
    assert next(coming).index == (0, 0)
    with pytest.raises(OSError, match="no space left"):
        next(coming)
    study.stop()


# ---- the lines of the guide ----

# Each reads what the tracker keeps on this machine: for every run its config, and accuracy by step.
TRACKIO = """
from trackio.sqlite_storage import SQLiteStorage
for run in SQLiteStorage.get_runs("map"):
    logs = [[one["step"], one["accuracy"]] for one in SQLiteStorage.get_logs("map", run)]
    found.append([SQLiteStorage.get_run_config("map", run), logs])
"""
WANDB = """
from wandb.proto.wandb_internal_pb2 import Record
for file in Path("wandb").glob("offline-run-*/*.wandb"):
    config, logs, data = {}, [], file.read_bytes()[7:]  # a header; then records: checksum (4 bytes), length (2), kind
    while data:
        size = int.from_bytes(data[4:6], "little")
        assert data[6] == 1, "the whole record stands in this block"
        record, data = Record.FromString(data[7 : 7 + size]), data[7 + size :]
        config |= {one.key: json.loads(one.value_json) for one in record.run.config.update}
        row = {one.key or one.nested_key[0]: json.loads(one.value_json) for one in record.history.item}
        logs += [[row["_step"], row["accuracy"]]] if "accuracy" in row else []
    found.append([config, logs])
"""


@pytest.mark.peers
@pytest.mark.parametrize(("tracker", "read"), [("trackio", TRACKIO), ("wandb", WANDB)])
def test_the_lines_of_the_guide_fill_a_tracker(tmp_path, tracker, read):
    """A run for each cell, with its values as config and a row for each epoch; each tracker in a process of its own."""
    needed(tracker, "peers")
    block = next(b for b in re.findall(r"```py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S) if "tracker" in b)
    cells = [HILL.advance(cell, EPOCHS, EPOCHS) for cell in lead(tmp_path / "study", plan_of(OVER)).cells().values()][
        :3
    ]
    told = [[dict(cell.point), [list(row) for row in cell.rows]] for cell in cells]
    script = f"""
import json
from pathlib import Path
from types import SimpleNamespace
from snnlab.study.cells import Cell, Row
cells = [Cell((k,), point, rows=tuple(Row(*row) for row in rows)) for k, (point, rows) in enumerate({told!r})]
study = SimpleNamespace(as_completed=lambda: iter(cells), folder="runs/map")
{block.replace("import trackio as tracker", f"import {tracker} as tracker")}
found = []
{read}
Path("found.json").write_text(json.dumps(found))
"""
    home = {"TRACKIO_DIR": str(tmp_path / "trackio"), "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = [
        [{name: config[name] for name in OVER}, logs]
        for config, logs in json.loads((tmp_path / "found.json").read_text())
    ]
    wanted = [[point, [[epoch, Row(*row).accuracy] for epoch, row in enumerate(rows, 1)]] for point, rows in told]
    assert sorted(found, key=str) == sorted(wanted, key=str)
