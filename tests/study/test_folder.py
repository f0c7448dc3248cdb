"""The folder of a study: what stands there is what is shown, whatever happened to it."""

import json
import math
import subprocess
import sys

import pytest
from hills import plan_of, row

from snnlab.config import SnnConfig
from snnlab.errors import ArgumentError, FileFormatError, StateError, WriteError
from snnlab.study.cells import Fate
from snnlab.study.folder import DIVERGED, lead, read_study

OVER = {"v_th": [0.5, 1.0, 2.0]}


@pytest.fixture
def said() -> list[str]:
    return []


def test_what_is_written_is_read(tmp_path):
    folder = lead(tmp_path, plan_of(OVER))
    assert folder.cell((0,)).fate is Fate.WAITING
    folder.add_rows((0,), [row(1), row(2, spikes=math.nan)])
    folder.add_rows((1,), [row(1), row(2)])
    folder.add_rows((1,), [row(3)])
    folder.settle((2,), Fate.STOPPED, finding="silent", why="silent after epoch 1", by=DIVERGED)
    cells = read_study(tmp_path).cells()
    assert [cells[k,].fate for k in range(3)] == [Fate.RUNNING, Fate.DONE, Fate.STOPPED]
    assert math.isnan(cells[0,].rows[1].spikes) and cells[1,].rows == (row(1), row(2), row(3))
    assert (cells[2,].finding, cells[2,].why, cells[2,].point) == ("silent", "silent after epoch 1", {"v_th": 2.0})


def test_no_two_studies_lead_one_folder_but_anybody_reads(tmp_path):
    first = lead(tmp_path, plan_of(OVER))
    with pytest.raises(StateError, match="another study computes there"):
        lead(tmp_path, plan_of(OVER))
    code = f"from snnlab.study.folder import *; read_study({str(tmp_path)!r}).cells(); print('jax' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    first.close()
    lead(tmp_path, plan_of(OVER)).close()


def test_one_process_at_a_time_has_a_cell(tmp_path):
    folder = lead(tmp_path, plan_of(OVER))
    claim = folder.claim((1,))
    assert claim is not None and read_study(tmp_path).claim((1,)) is None and folder.claim((0,)) is not None
    claim.release()
    again = read_study(tmp_path).claim((1,))
    assert again is not None


@pytest.mark.parametrize(
    ("over", "model", "options", "words"),
    [
        (OVER, SnnConfig(tau_mem=3.0), {}, "model: tau_mem was 10.0, is 3.0"),
        ({"tau_mem": [1.0]}, SnnConfig(), {}, "axes was"),
        (OVER, SnnConfig(), {"batch_size": 7}, "batch_size was None, is 7"),
        (OVER, SnnConfig(), {"epochs": 2}, "epochs: must be at least the 3"),
    ],
)
def test_another_study_is_refused_by_what_differs(tmp_path, over, model, options, words):
    lead(tmp_path, plan_of(OVER, SnnConfig())).close()
    with pytest.raises(ArgumentError, match=words):
        lead(tmp_path, plan_of(over, model, **options))
    lead(tmp_path, plan_of(OVER, SnnConfig())).close()  # the attempt has left nothing


def test_other_data_are_refused(tmp_path):
    plan = plan_of(OVER)
    lead(tmp_path, plan).close()
    other = plan_of(OVER, data=type(plan.data)(name="digits", crc=2, samples=(256, 64)))
    with pytest.raises(ArgumentError, match="data: crc was 1, is 2"):
        lead(tmp_path, other)


def test_more_epochs_and_more_values_extend(tmp_path):
    folder = lead(tmp_path, plan_of(OVER))
    folder.add_rows((2,), [row(1), row(2), row(3)])
    folder.close()
    larger = lead(tmp_path, plan_of({"v_th": [0.25, 2, 4.0]}, epochs=5))
    cells = larger.cells()
    assert [cells[k,].fate for k in range(3)] == [Fate.WAITING, Fate.RUNNING, Fate.WAITING]
    assert len(cells[1,].rows) == 3


def test_a_stop_holds_as_long_as_its_rule_and_a_failure_until_the_next_time(tmp_path):
    folder = lead(tmp_path, plan_of(OVER, stop="silent+halving"))
    folder.settle((0,), Fate.STOPPED, by="halving", why="h")
    folder.settle((1,), Fate.STOPPED, by=DIVERGED, why="d")
    folder.settle((2,), Fate.FAILED, why="f")
    assert [cell.fate for cell in folder.cells().values()] == [Fate.STOPPED, Fate.STOPPED, Fate.FAILED]
    folder.close()
    folder = lead(tmp_path, plan_of(OVER, stop="halving"))
    assert [cell.fate for cell in folder.cells().values()] == [Fate.STOPPED, Fate.STOPPED, Fate.WAITING]
    folder.close()
    folder = lead(tmp_path, plan_of(OVER))
    assert [cell.fate for cell in folder.cells().values()] == [Fate.WAITING, Fate.STOPPED, Fate.WAITING]


def test_a_torn_line_is_told_and_the_next_row_is_whole(tmp_path, said):
    folder = lead(tmp_path, plan_of(OVER))
    folder.add_rows((0,), [row(1)])
    path = folder.place((0,)) / "rows.jsonl"
    path.write_bytes(path.read_bytes() + b'{"epoch": 2, "ste')
    folder.close()
    folder = lead(tmp_path, plan_of(OVER), said.append)
    assert folder.cell((0,)).rows == (row(1),) and len(said) == 1 and "rows.jsonl" in said[0]
    folder.add_rows((0,), [row(2)])
    assert read_study(tmp_path, said.append).cell((0,)).rows == (row(1), row(2)) and len(said) == 1


def test_rows_count_up_to_the_first_that_is_missing_and_the_newer_of_two_counts(tmp_path, said):
    folder = lead(tmp_path, plan_of(OVER, epochs=5), said.append)
    folder.add_rows((0,), [row(1), row(2, accuracy=0.1), row(2, accuracy=0.2), row(4)])
    assert folder.cell((0,)).rows == (row(1), row(2, accuracy=0.2))
    path = folder.place((0,)) / "rows.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"\x00\xff\n", b"[1]\n", b'{"epoch": true}\n', *lines[2:]]))
    assert folder.cell((0,)).rows == (row(1), row(2, accuracy=0.2)) and len(said) == 1
    (folder.place((0,)) / "result.json").write_text("{")
    assert folder.cell((0,)).fate is Fate.RUNNING and "result.json" in said[1]


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (None, ArgumentError, "holds no study"),
        ("{", FileFormatError, "is damaged"),
        ("[]", FileFormatError, "is damaged"),
        ('{"format": 1}', FileFormatError, "holds no study of snnlab"),
        ('{"format": 99, "snnlab": "7.1"}', FileFormatError, "has format 99.*go on with snnlab 7.1"),
    ],
)
def test_a_folder_without_a_study_of_this_version(tmp_path, content, kind, words):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(kind, match=words):
        read_study(tmp_path)
    if content is not None:
        with pytest.raises(kind, match=words):
            lead(tmp_path, plan_of(OVER))


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ArgumentError, match="holds other files"):
        lead(tmp_path, plan_of(OVER))
    with pytest.raises(ArgumentError, match="cannot write"):
        lead(tmp_path / "thesis.tex" / "below", plan_of(OVER))


def test_a_full_disk_is_an_error_and_old_rows_stay(small_disk, place):
    folder = lead(place / "study", plan_of(OVER))
    folder.add_rows((0,), [row(1)])
    with small_disk(place), pytest.raises(WriteError):
        for _ in range(100):
            folder.add_rows((0,), [row(2)] * 20_000)
    assert folder.cell((0,)).rows[0] == row(1)


def test_the_plan_says_what_wrote_it(tmp_path):
    lead(tmp_path, plan_of(OVER)).close()
    study = json.loads((tmp_path / "study.json").read_text())
    assert study["format"] == 1 and study["versions"]["jax"] and study["snnlab"]
