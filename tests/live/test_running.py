"""Where a run stands, in words: pure functions of a status."""

import pytest

from snnlab.controls import Knob
from snnlab.health import Diagnosis
from snnlab.history import History, Report
from snnlab.live.frames.running import BLUNT_HINT, HINT, Said, results_frame, run_frame
from snnlab.live.frames.status import Recorded, Status, View
from snnlab.live.states import RunState, Transport


def status(**changes) -> Status:
    history = History()
    history.add_steps({"loss": [1.0, 0.5]})
    history.add_epoch({"epoch": 1, "test_acc": 0.9412})
    common = {"epochs": 2000, "total_steps": 4000, "compilations": 1, "knobs": {}, "earlier": ()}
    common |= {"state": RunState.TRAINING, "transport": Transport.PAUSE, "recorded": Recorded(history, 2)}
    return Status(**common | {"report": None, "traceback": None, "problem": None, "pace": None} | changes)


NOTHING = Said("")


def said(view: View, message: Said = NOTHING) -> dict:
    return run_frame(view, message, {})["said"]


def test_everything_that_is_wrong_is_said():
    traceback = "Traceback\n  line <b>\nValueError: 1 < 2 & so\n"
    broken = status(traceback=traceback, problem="cannot save", state=RunState.ERROR, transport=Transport.START)
    view = View(broken, Diagnosis(name="silent", text="no spikes"), blind=KeyError("x"))
    words = said(view, Said("exported a file"))
    parts = ["error: ValueError: 1 < 2 & so", "exported a file", "cannot save"]
    assert words["text"] == " \u00b7 ".join([*parts, "cannot look into the network: KeyError('x')", "no spikes"])
    assert words["warning"] and run_frame(view, Said(""), {})["trace"] == traceback


def test_a_run_that_is_well_says_what_to_do():
    """A knob of the training shows nothing in the raster; a knob of a layer does."""
    knobs = {name: Knob(name=name, value=1.0, low=0.0, high=2.0) for name in ("learning_rate", "hidden.v_th")}
    assert said(View(status(transport=Transport.START, knobs=knobs)))["text"] == HINT
    del knobs["hidden.v_th"]
    assert said(View(status(transport=Transport.START, knobs=knobs)))["text"] == BLUNT_HINT
    assert said(View(status())) == {"text": "", "warning": False}
    assert said(View(status()), Said("exported a file")) == {"text": "exported a file", "warning": False}


def test_a_run_that_is_done_says_how_to_train_longer():
    done = status(state=RunState.DONE, transport=Transport.NOTHING)
    assert said(View(done))["text"] == "All 2,000 epochs are trained; `lab.epochs = 4000` trains longer."


@pytest.mark.parametrize("state", [RunState.TRAINING, RunState.DONE])
def test_facts_are_numbers_for_people(state):
    report = Report(
        phase="train", step=1234, total_steps=4000, epoch=3, metrics={}, samples_per_second=98765.4, eta=125.0
    )
    facts = run_frame(View(status(report=report, state=state)), Said(""), {})["facts"]
    left = ["2 min 05 s left"] if state is RunState.TRAINING else []
    expected = [str(state), "epoch 3 of 2,000", "step 1,234 of 4,000", "98,765 samples/s", *left]
    assert facts == [*expected, "test accuracy 94.1%"]
    assert run_frame(View(status()), Said(""), {})["facts"][1] == "step 2 of 4,000"


def test_of_many_epochs_the_newest_are_shown():
    rows = [{"epoch": k, "test_acc": k / 100} for k in range(51, 101)]
    frame = results_frame(rows, 100)
    assert frame["rows"][0][0] == "100" and frame["rows"][-1][0] == "51"
    assert frame["words"] == "the newest 50 of 100, the newest first"
    assert results_frame([], 0)["words"] == "None yet."
