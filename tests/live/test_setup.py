"""A setup is a small file with the knobs and the looks of a dashboard; it brings both back, or changes nothing."""

import json

import pytest

from snnlab.errors import ArgumentError, FileFormatError

RANGES = {"hidden.v_th": [0.2, 2.0, 0.1]}
UI = {"tab": "Health", "large": True, "log": True, "ranges": RANGES}


@pytest.fixture
def saved(make, tmp_path):
    """A setup that somebody saved, and its path."""
    lab = make()
    lab.set(v_th=0.7, learning_rate=3e-3)
    lab.pace = 30
    board = lab.display.board
    board.set_state({"ui": UI})
    board._receive(board, {"set": {"sample": 5, "sort": "rate", "window": "last 200", "hz": 3.0, "cell": [1, 2]}}, [])
    assert board.message.text == ""
    path = lab.save_setup(tmp_path / "lecture.json")
    return json.loads(path.read_text()), path


def test_it_comes_back_in_another_run(saved, make):
    _, path = saved
    lab = make()
    lab.set(l1=0.002)  # not as it was
    before = {name: knob.value for name, knob in lab.trainer.mailbox.knobs.items()}
    lab.open_setup(path)
    values = {name: knob.value for name, knob in lab.trainer.mailbox.knobs.items()}
    assert values["hidden.v_th"] == 0.7 and values["learning_rate"] == 3e-3 and values["l1"] == 1e-4
    chosen = lab.display.board.chosen
    assert (chosen.sample, chosen.sort, chosen.window, chosen.hz, chosen.cell) == (5, "rate", "last 200", 3.0, (1, 2))
    assert lab.pace == 30 and not lab.history.interventions
    lab.display.screen.show()
    assert lab.display.board.ui == UI and chosen.tab == "Health"
    for _ in range(3):  # of the three knobs that differed
        lab.display.board._receive(lab.display.board, {"do": "undo"}, [])
    assert {name: knob.value for name, knob in lab.trainer.mailbox.knobs.items()} == before


def test_a_page_opens_one_too(saved, make):
    setup, _ = saved
    lab = make()
    board = lab.display.board
    board._receive(board, {"ask": ["setup", setup]}, [])
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.7 and board.message.text == ""
    board._receive(board, {"ask": ["setup", "not what it should be"]}, [])
    assert "setup: must be" in board.message.text and board.message.warning


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"snnlab": "history"}, "setup: must be"),
        ({"version": 2}, "setup: must be"),
        ({"knobs": {"v_th": 0.5, "cow": 1.0}}, "cow"),
        ({"knobs": {"v_th": -1.0}}, "v_th: must be a finite number >= 0"),
        ({"knobs": 3}, "setup: knobs: must be an object"),
        ({"view": {"sort": "cow"}}, "sort: must be one of"),
        ({"view": {"sort": ["cow"]}}, "sort: must be one of"),
        ({"view": {"cell": 3}}, "cell: must be a true and a predicted class"),
        ({"pace": -1}, "setup: pace: must be a finite number > 0"),
        ({"pace": "quick"}, "setup: pace: must be"),
        ({"ui": None}, "setup: ui: must be an object"),
    ],
)
def test_one_that_does_not_fit_changes_nothing(saved, make, tmp_path, change, words):
    setup, _ = saved
    lab = make()
    before = dict(lab.trainer.mailbox.knobs), lab.display.board.chosen.fields(), lab.pace
    (tmp_path / "odd.json").write_text(json.dumps(setup | change))
    with pytest.raises(ArgumentError, match=words):
        lab.open_setup(tmp_path / "odd.json")
    lab.display.screen.show()
    assert (dict(lab.trainer.mailbox.knobs), lab.display.board.chosen.fields(), lab.pace) == before
    assert lab.display.board.ui == {}


def test_files_that_are_none(make, tmp_path):
    lab = make()
    (tmp_path / "text.json").write_text("[" * 100_000)
    for name in ("text.json", "none.json"):
        with pytest.raises(FileFormatError, match=f"{name}: is not a saved setup"):
            lab.open_setup(tmp_path / name)
    lab.save_setup(tmp_path / "one.json")
    with pytest.raises(ArgumentError, match="exists"):
        lab.save_setup(tmp_path / "one.json")
    lab.save_setup(tmp_path / "one.json", overwrite=True)


def test_ranges_that_a_page_sends_are_checked(make):
    board = make().display.board
    odd = [[1, 1, 1], [2, 1, 1], [0, 1, 0], [0, 1], "no", [0, 1, "a"], [float("nan"), 1, 1], [0, float("inf"), 1]]
    board.set_state({"ui": {"ranges": {str(k): value for k, value in enumerate(odd)} | {"good": [0, 1, 0.5]}}})
    assert board.ui == {"ranges": {"good": [0, 1, 0.5]}}
    board.set_state({"ui": {"ranges": [1, 2]}})
    assert board.ui == {"ranges": {}}


def test_notes_of_the_page_stay_with_the_run(make):
    lab = make()
    board = lab.display.board
    board._receive(board, {"ask": ["note", "too quiet"]}, [])
    lab.display.screen.show()
    assert lab.history.notes == [{"step": 0, "text": "too quiet"}] and board.results["notes"] == [
        ["step 0", "too quiet"]
    ]
    assert [mark["label"] for mark in board.curves["marks"]] == ["\u201ctoo quiet\u201d"]
    assert "# step 0: too quiet" in lab.script()
    for odd in ("", 3, None, "two\nlines"):
        board._receive(board, {"ask": ["note", odd]}, [])
        assert "note: must be" in board.message.text
    assert lab.history.num_notes == 1
