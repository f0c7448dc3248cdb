"""The history keeps what it was given, in any order of reading and writing, and survives a round trip."""

import threading
import tracemalloc
from xml.etree import ElementTree

import numpy as np
import pytest

from snnlab.errors import ArgumentError, FileFormatError
from snnlab.history import History


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """Metrics as the engine computes them."""
    return rng.random(count, np.float32)


def filled() -> History:
    history = History()
    rng = np.random.default_rng(0)
    for count in (1, 300, 7, 900):
        history.add_steps({"loss": drawn(rng, count), "accuracy": drawn(rng, count)})
    history.add_epoch({"epoch": 1, "test_acc": 0.5, "terms": {"l1": 0.1}})
    history.add_intervention(step=301, knob="hidden.v_th", old=1.0, new=0.6)
    history.add_note("fewer spikes now")
    return history


def test_steps_are_kept_in_order():
    history, rng = filled(), np.random.default_rng(0)
    chunks = [(drawn(rng, count), drawn(rng, count)) for count in (1, 300, 7, 900)]
    assert len(history) == 1208
    np.testing.assert_array_equal(history.steps()["loss"], np.concatenate([loss for loss, _ in chunks]))


def test_a_metric_is_nan_where_it_was_not_given():
    history = History()
    history.add_steps({"loss": np.ones(3)})
    history.add_steps({"loss": np.ones(300), "l1": np.ones(300)})
    history.add_steps({"loss": np.ones(700)})
    np.testing.assert_array_equal(history.steps()["l1"], [np.nan] * 3 + [1] * 300 + [np.nan] * 700)


def test_results_are_read_as_rows_and_as_columns():
    history, rows = History(), []
    for epoch in range(1, 301):
        terms = {"cross_entropy": 1.0 / epoch, "l1": 0.5}
        rows.append({"epoch": epoch, "test_acc": 0.1 * epoch, "spikes_per_sample": None, "terms": terms})
        history.add_epoch(rows[-1])
    assert history.epochs == rows and history.newest_epochs(2) == rows[-2:] and history.num_epochs == 300
    assert history.newest_epochs(1000) == rows and History().epochs == []
    np.testing.assert_array_equal(history.results()["terms.cross_entropy"], 1.0 / np.arange(1, 301))


def test_a_long_run_takes_little_more_than_its_numbers():
    history, count = History(), 300_000
    tracemalloc.start()
    for _ in range(count // 100):
        history.add_steps({name: np.ones(100, np.float32) for name in ("loss", "accuracy")})
        history.add_epoch({"epoch": 1, "test_acc": 0.5, "terms": {"l1": 0.1}})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1.3 * (2 * 4 * count + 3 * 8 * count // 100)


def test_what_was_read_does_not_change():
    history = filled()
    before = history.steps()["loss"]
    copy = before.copy()
    history.add_steps({"loss": np.zeros(5), "accuracy": np.zeros(5)})
    np.testing.assert_array_equal(before, copy)


def test_round_trip(tmp_path):
    history = filled()
    loaded = History.load(history.save(tmp_path / "run.json"))
    assert loaded.to_dict() == history.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_note_belongs_to_the_newest_step(tmp_path):
    history = History()
    history.add_note("before the first step")
    history.add_steps({"loss": np.zeros(3)})
    history.add_note(" \u00dcber 3 steps: <b>so?</b> ")
    noted = [(0, "before the first step"), (3, "\u00dcber 3 steps: <b>so?</b>")]
    assert [(note["step"], note["text"]) for note in history.notes] == noted
    assert History.load(history.save(tmp_path / "run.json")).notes == history.notes
    assert history.until(2, epochs=0, moves=0).notes == history.notes[:1]
    history.add_note("of an earlier step", step=1)
    assert [note["step"] for note in history.notes] == [0, 1, 3]
    for text in ("", "  ", "two\nlines", "x" * 1001, 7, None, "\u202e"):
        with pytest.raises(ArgumentError, match="note: must be a text"):
            history.add_note(text)
    assert history.num_notes == 3


def test_files_without_notes_are_read(tmp_path):
    """They were saved before there were notes."""
    (tmp_path / "old.json").write_text(STEPS % ('{"loss": [1.0]}', "[]", "[]"))
    assert History.load(tmp_path / "old.json").notes == []


def test_an_existing_file_is_kept(tmp_path):
    path = filled().save(tmp_path / "run.json")
    with pytest.raises(ArgumentError, match=r"run.json exists; choose another, or pass overwrite=True"):
        History().save(path)
    assert History.load(path).to_dict() == filled().to_dict()
    assert len(History.load(History().save(path, overwrite=True))) == 0


BAD_MOVES = ['"step": -1, "knob": "v_th", "new": 1', '"step": 1.5, "knob": "v_th", "new": 1']
BAD_MOVES += ['"step": 1, "knob": 3, "new": 1', '"step": 1, "knob": "a\\nb", "new": 1', '"step": 1, "new": 1']
BAD_MOVES += ['"step": 1, "knob": "v_th", "new": NaN', '"step": 1, "knob": "v_th", "new": 1e39']
STEPS = '{"steps": %s, "epochs": %s, "interventions": %s}'


def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    history = filled()
    path = history.save(tmp_path / "run.json")
    old = path.read_bytes()

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        history.save(path, overwrite=True)
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"steps": 3}', "[" * 100_000, '{"a":' * 100_000),
        *(STEPS % (steps, "[]", "[]") for steps in ('{"a": ["b"]}', '{"a": [[1]]}', '{"a": [1], "b": [1, 2]}', "[]")),
        *(STEPS % ("{}", epochs, "[]") for epochs in ("[3]", '[{"epoch": "1"}]', "7", '[{"test_acc": true}]')),
        *(
            STEPS % ("{}", "[]", moves)
            for moves in ("[[]]", '[{"knob": "v_th"}]', '[{"step": 1, "old": 0, "new": "1"}]')
        ),
        *(STEPS % (f'{{"{name}": [1]}}', "[]", "[]") for name in ("a\\nb", "", "\\ud800", "x" * 2000)),
        *(STEPS % ("{}", f'[{{"epoch": {epoch}}}]', "[]") for epoch in (0, -1, 1.5, "1e400", "NaN")),
        STEPS % ("{}", '[{"epoch": 1, "terms": {"a\\nb": 1}}]', "[]"),
        *(
            f'{{"steps": {{}}, "epochs": [], "interventions": [], "notes": {notes}}}'
            for notes in ("7", "[7]", '[{"step": 1}]', '[{"step": -1, "text": "a"}]', '[{"step": 1, "text": "a\\nb"}]')
        ),
        *(STEPS % ("{}", "[]", f'[{{"old": 0, {move}}}]') for move in BAD_MOVES),
        *(STEPS % (f'{{"a": [{value}]}}', "[]", "[]") for value in ("9" * 400, "1e39", "1e400", "Infinity")),
    ],
)
def test_damaged_files_are_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"run.json: is not a saved history"):
        History.load(tmp_path / "run.json")
    with pytest.raises(FileFormatError, match=r"none.json: is not a saved history"):
        History.load(tmp_path / "none.json")


def test_frame_has_one_row_a_step():
    frame = filled().to_frame()
    assert frame.shape == (1208, 2) and frame.index.name == "step"


def test_readers_see_whole_chunks():
    """A writer appends chunks of one value each; a reader never sees columns of different lengths or torn values."""
    history, torn = History(), []

    def read():
        while len(history) < 20_000:
            steps = history.steps()
            if steps and (len(steps["a"]) != len(steps["b"]) or not np.array_equal(steps["a"], -steps["b"])):
                torn.append(len(steps["a"]))

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(2000):
        history.add_steps({"a": np.full(10, k), "b": np.full(10, -k)})
    reader.join()
    assert torn == []


def test_a_notebook_shows_the_epochs_as_a_table():
    history = History()
    history.add_epoch({"epoch": 1, "test_acc": 0.98765, "spikes_per_sample": None})
    rows = ElementTree.fromstring(history._repr_html_()).find("tbody").findall("tr")
    shown = [cell.text for cell in rows[0]]
    assert len(rows) == 1 and shown[0] == "1" and shown[4] == "0.9877" and shown[5] is None
