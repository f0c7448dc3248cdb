"""What the tabs show: looked at while it is seen, within a budget, and kept over the run."""

import numpy as np
import pytest
from networks import SMALL, make_trainer

from snnlab.config import LstmConfig
from snnlab.live.frames.chosen import Chosen
from snnlab.live.look.inspector import SOONEST, Budget, Inspector
from snnlab.timeline import Timeline


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_keeps_its_share():
    """However long a look takes, over a long time all looks take at most the share."""
    clock = Clock()
    budget, spent, began = Budget(clock), 0.0, clock.now
    draws = np.random.default_rng(0).uniform(0.05, 2.0, 50)
    for took in draws:
        while not budget.may("x", share=0.05):
            clock.now += 0.01
        clock.now += took
        spent += took
        budget.took("x", took)
    assert spent / (clock.now - began) < 0.05 + draws[-1] / (clock.now - began)
    budget.took("y", 1e-6)
    assert not budget.may("y", share=1.0)
    clock.now += SOONEST
    assert budget.may("y", share=1.0)


@pytest.fixture
def trained(digits):
    trainer = make_trainer(digits.subset(train=512, test=200), epochs=2)
    trainer.fit()
    return trainer


def test_each_tab_shows_its_own(trained):
    inspector, chosen = Inspector(trained), Chosen(2.0)
    assert not inspector.look(chosen) and inspector.frame == {}, "no tab that needs a look is seen"
    shows = {
        "Errors": {"confusion", "classes", "decisions"},
        "Weights": {"layers", "layer", "log", "fields"},
        "Look inside": {"layer", "plane"},
        "Health": {"energy"},
    }
    for tab, parts in shows.items():
        chosen.tab = tab
        assert inspector.look(chosen) and set(inspector.frame) == {"tab", *parts}
        assert inspector.frame["tab"] == tab
        assert not inspector.look(chosen), "nothing has changed since"


def test_the_confusions_are_those_of_the_trained_network(trained):
    """Row sums are the classes of the test set, and the diagonal is the trainer's own test accuracy."""
    inspector, chosen = Inspector(trained), Chosen(2.0, tab="Errors")
    inspector.look(chosen)
    confusion = inspector.frame["confusion"]
    counts = np.frombuffer(confusion["counts"], np.int32).reshape(10, 10)
    y = trained.data.y_test
    np.testing.assert_array_equal(counts.sum(1), np.bincount(y, minlength=10))
    assert counts.trace() / len(y) == pytest.approx(trained.history.epochs[-1]["test_acc"])
    wrong = next((row, column) for row, column in np.argwhere(counts) if row != column)
    chosen.cell = tuple(map(int, wrong))
    assert inspector.look(chosen), "what somebody asks for comes at once"
    samples = inspector.frame["cell"]["samples"]
    assert len(samples) == counts[wrong] and all(y[sample["index"]] == wrong[0] for sample in samples)


def test_a_selected_neuron_has_its_own_plots(trained):
    inspector, chosen = Inspector(trained), Chosen(2.0, tab="Look inside", selected=("hidden", 3))
    inspector.look(chosen)
    assert inspector.frame["selected"] == ["hidden", 3] and {"current", "intervals"} <= set(inspector.frame)
    chosen.selected = ("readout", 3)  # it does not spike
    inspector.look(chosen)
    assert "current" not in inspector.frame and inspector.frame["layer"] == "readout"
    chosen.selected = ("hidden", 10**6)  # of a wider network, before a restart
    inspector.look(chosen)
    assert "current" not in inspector.frame


def test_the_weights_are_kept_over_the_run_and_forgotten_at_a_reset(digits):
    trainer = make_trainer(digits.subset(train=512, test=64), epochs=3)
    inspector, chosen = Inspector(trainer), Chosen(2.0, tab="Weights", weights_layer="readout", weights_sort="norm")
    inspector.look(chosen)
    trainer.fit()
    chosen.weights_sort = "index"
    inspector.look(chosen)
    assert inspector.frame["layer"] == "readout" and inspector.frame["log"]["steps"] == [0, trainer.total_steps]
    trainer.reset()
    inspector.look(chosen)
    chosen.weights_sort = "norm"
    inspector.look(chosen)
    assert inspector.frame["log"]["steps"] == [0]
    chosen.weights_layer = "cow"
    inspector.look(chosen)
    assert inspector.frame["layer"] == "hidden"


def test_a_run_that_goes_back_and_returns_has_lost_no_weights(digits):
    """An earlier moment shows what was there before it; the branch that was left has all of it again."""
    timeline = Timeline(make_trainer(digits.subset(train=512, test=64), epochs=3))
    total = timeline.trainer.total_steps
    inspector, chosen = Inspector(timeline.trainer), Chosen(2.0, tab="Weights", weights_sort="norm")
    inspector.look(chosen)

    def steps() -> list[int]:
        chosen.weights_sort = "index" if chosen.weights_sort == "norm" else "norm"  # somebody waits for the answer
        inspector.look(chosen)
        return inspector.frame["log"]["steps"]

    timeline.fit()
    assert steps() == [0, total]
    timeline.rewind(step=total // 2)
    assert steps() == [0, total // 2]
    timeline.switch("a")
    assert steps() == [0, total]


def test_the_lstm_has_its_tabs_too(digits):
    trainer = make_trainer(digits.subset(train=512, test=64), LstmConfig(hidden=8), epochs=1)
    trainer.fit()
    inspector, chosen = Inspector(trainer), Chosen(2.0, selected=("hidden", 3))
    for tab in ("Errors", "Weights", "Look inside", "Health"):
        chosen.tab = tab
        assert inspector.look(chosen) and inspector.frame["tab"] == tab


def test_looking_changes_nothing(digits):
    """A run that is inspected between its steps ends with the bits of one that is not."""
    runs = [make_trainer(digits.subset(train=256, test=64), SMALL, epochs=2) for _ in range(2)]
    inspector, chosen = Inspector(runs[0]), Chosen(2.0, selected=("hidden", 0))
    for number, _ in enumerate(runs[0]):
        chosen.tab = ("Errors", "Weights", "Look inside", "Health")[number % 4]
        inspector.look(chosen)
    runs[1].fit()
    weights = [run.model.stack.layers["hidden"].kernel[...] for run in runs]
    np.testing.assert_array_equal(*weights)
