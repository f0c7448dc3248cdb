"""LiveStudy headless: what it says of itself, its picture, and the runs that it opens."""

import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from lab_driver import wait_until
from networks import SMALL

import snnlab
from snnlab.errors import ArgumentError
from snnlab.live import LiveStudy, LiveTrainer, courtesy, frontend


@pytest.fixture
def sweep(small, tmp_path):
    """Starts small studies, and closes them at the end."""
    made = []

    def one(folder="study", epochs=1, **more) -> LiveStudy:
        over = {"v_th": [0.5, 1.0], "seed": range(2)}
        made.append(snnlab.sweep(SMALL, small, over=over, folder=tmp_path / folder, epochs=epochs, **more))
        return made[-1]

    yield one
    for study in made:
        study.close()


def test_a_study_that_nobody_watches_leaves_its_picture(sweep, tmp_path):
    study = sweep()
    assert study.wait() and study.state == "done"
    bundle = study._repr_mimebundle_()
    assert bundle["text/plain"] == "LiveStudy: 4 of 4 networks · done"
    words = " ".join(ElementTree.fromstring(bundle["image/svg+xml"]).itertext())
    assert "test accuracy and spikes a sample over v_th" in words
    path = study.save_picture(tmp_path / "map.svg")
    assert path.read_text(encoding="utf-8") == bundle["image/svg+xml"]
    for bad in ({"path": tmp_path / "map.png"}, {"path": path}, {"path": tmp_path / "a.svg", "x": "seed"}):
        with pytest.raises(ArgumentError):
            study.save_picture(**bad)


def test_the_picture_in_a_notebook_that_nobody_watches_is_that_of_the_end(sweep, monkeypatch):
    """A terminal has it at once; an error that ends the computing is left to `wait`."""
    endless = sweep("endless", epochs=10_000)
    assert endless._repr_mimebundle_()["text/plain"].endswith(" · running")
    endless.pause()
    monkeypatch.setattr(frontend, "in_notebook", lambda: True)
    assert sweep(epochs=2)._repr_mimebundle_()["text/plain"] == "LiveStudy: 4 of 4 networks · done"

    def broken(job, should_stop):
        raise OSError("no space left")

    study = sweep("broken", cluster=broken)
    assert study._repr_mimebundle_()["text/plain"].endswith(" · error")
    with pytest.raises(OSError, match="no space left"):
        study.wait()


def test_a_cell_opens_as_a_live_run_that_goes_on(sweep):
    """At the study's last step, with its history and its knobs; what is done to it does not change the study."""
    study = sweep()
    study.wait()
    cell = study.cells[1, 0]
    lab = study.open(cell)
    assert isinstance(lab, LiveTrainer)
    assert lab.history.num_epochs == 1 and lab.history.epochs[-1]["test_acc"] == cell.rows[-1].accuracy
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 1.0
    lab.epochs = 2
    assert lab.fit().num_epochs == 2
    assert study.cells[1, 0] == cell
    lab.close()


def test_the_cell_that_is_run_again_lets_go_of_the_folder(sweep, monkeypatch):
    executions = iter(["first", "second"])
    monkeypatch.setattr(frontend, "running_cell", lambda: ("cell", execution))
    execution = next(executions)
    one = sweep()
    one.wait()
    execution = next(executions)
    other = sweep(epochs=2)
    assert other.wait() and other.state == "done"
    np.testing.assert_array_equal([len(cell.rows) for cell in other.cells.values()], [2] * 4)


def test_the_engine_steps_back_while_somebody_waits_for_a_picture(sweep, monkeypatch):
    monkeypatch.setattr(courtesy, "WAIT", 600.0)
    begin, asked, answers = threading.Event(), threading.Event(), []

    def engine(job, should_stop):
        begin.wait(60)
        asked.set()
        answers.append(should_stop())

    study = sweep(cluster=engine)
    study.courtesy.ask()
    begin.set()
    assert asked.wait(60) and not study.wait(0.3) and answers == []
    study.courtesy.answer()
    study.wait(60)
    assert answers == [False]


def test_a_pause_shows_at_once(sweep, monkeypatch):
    monkeypatch.setenv("SNNLAB_HEADLESS", "0")
    study = sweep(epochs=1000)
    board = study.display.board
    board._timeout = 0.0  # nobody draws here
    wait_until(lambda: any(cell.rows for cell in study.cells.values()), what="an epoch")
    study.pause()
    wait_until(lambda: board.state["state"] == "paused", what="the picture of it")
    assert board.sent.version > 0
