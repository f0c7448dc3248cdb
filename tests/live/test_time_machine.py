"""Going back while it trains in a thread of its own: nothing is lost, and what is shown is that moment."""

import jax
import numpy as np
import pytest
from lab_driver import wait_until
from networks import ENDLESS, SMALL, make_trainer

from snnlab import models
from snnlab.checkpoint import Checkpoints
from snnlab.errors import ArgumentError, StateError
from snnlab.live.run import Run


def bits(trainer) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((trainer.state.params, trainer.state.live))]


@pytest.fixture
def make_run(small):
    made = []

    def one(**options) -> Run:
        net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
        made.append(Run(net, small, **{"epochs": 3, "batch_size": 32} | options))
        return made[-1]

    yield one
    for run in made:
        run.close()


def test_back_while_it_trains_and_on_as_a_branch(make_run):
    run = make_run(epochs=ENDLESS)
    run.start()
    wait_until(lambda: len(run.history) > 40, 60, "training")
    run.rewind(step=20)
    assert (run.state, len(run.history), run.timeline.behind) == ("stopped", 20, True)
    trunk = run.timeline.branches["a"].tip.steps
    run.set(v_th=0.6)
    run.start()
    wait_until(lambda: len(run.history) > 60, 60, "training again")
    run.stop()
    assert run.wait(60) and run.timeline.here == "b" and run.history.interventions[-1]["step"] == 20
    assert run.timeline.branches["a"].tip.steps == trunk
    run.switch("a")
    assert len(run.history) == trunk and run.history.interventions == []


def test_a_branch_trains_as_a_run_of_its_own(make_run, small):
    run = make_run()
    run.fit()
    assert run.state == "done"
    run.branch(10, "lower", v_th=0.6)
    assert run.state == "stopped"
    run.fit()
    assert run.state == "done"
    own = make_trainer(small, epochs=3)
    own.plan([(10, "v_th", 0.6)])
    own.fit()
    assert bits(run.trainer) == bits(own)
    assert "(10, 'hidden.v_th', 0.6" in run.script()
    run.switch("a")
    assert run.state == "done" and run.history.interventions == []


def test_a_note_on_an_earlier_moment_stays_with_the_trunk(make_run):
    run = make_run()
    run.fit()
    run.rewind(step=9)
    run.note("here it goes wrong")
    noted = [{"step": 9, "text": "here it goes wrong"}]
    assert run.history.notes == noted and run.timeline.behind
    run.switch("a")
    assert run.history.notes == noted and not run.timeline.behind and len(run.history) == 24
    run.branch(5)
    assert run.history.notes == []


def test_two_futures_are_trained_in_turn(make_run):
    run = make_run()
    run.fit()
    run.branch(8, l1=1e-2)
    run.branch(8, l1=1e-3)
    run.run_branches("b", "c")
    assert run.wait(60)
    assert {name: branch.tip.steps for name, branch in run.branches.items()} == {"a": 24, "b": 24, "c": 24}
    assert run.state == "done"


def test_a_wish_that_is_refused_stops_nothing(make_run):
    run = make_run(epochs=ENDLESS)
    run.start()
    wait_until(lambda: len(run.history) > 3, 60, "training")
    for act in (lambda: run.rewind(step=10**9), lambda: run.switch("cow"), lambda: run.branch(1, cow=3.0)):
        with pytest.raises(ArgumentError):
            act()
        step = len(run.history)
        wait_until(lambda step=step: len(run.history) > step, 60, "training on")
    assert list(run.branches) == ["a"]


def test_the_best_epoch(make_run):
    run = make_run(epochs=12)
    run.fit()
    accuracies = [row["test_acc"] for row in run.history.epochs]
    row = run.best()
    assert row["epoch"] == 1 + int(np.argmax(accuracies)) == run.history.num_epochs


def test_patience_stops_and_returns_to_the_best_epoch(make_run):
    run = make_run(epochs=60)
    run.fit(patience=2)
    accuracies = [row["test_acc"] for row in run.branches["a"].history.epochs]
    best = 1 + int(np.argmax(accuracies))
    assert (len(accuracies), run.history.num_epochs, run.state) == (best + 2, best, "stopped")
    with pytest.raises(ArgumentError, match="patience: must be"):
        run.fit(patience=0)
    run.fit(until_epoch=best + 1)  # goes on from there, as a branch
    assert run.timeline.here == "b" and run.history.num_epochs == best + 1


def test_a_run_that_is_done_goes_on_with_more_epochs(make_run, small):
    run = make_run(epochs=1, schedule="constant")
    run.fit()
    with pytest.raises(StateError, match="all 1 epochs are trained; to train longer, set `epochs = 2`"):
        run.start()
    run.epochs = 2
    assert (run.state, run.transport, run.status.total_steps) == ("stopped", "start", 16)
    run.fit()
    own = make_trainer(small, epochs=2, schedule="constant")
    own.fit()
    assert run.state == "done" and bits(run.trainer) == bits(own)
    run.branch(3, "b", v_th=0.5)
    run.switch("a")
    with pytest.raises(ArgumentError, match="epochs: must be at least 2, which branch a has begun or trained, got 1"):
        run.epochs = 1
    run.epochs = 3
    run.run_branches()
    assert run.wait(60) and {branch.tip.steps for branch in run.branches.values()} == {24}
    assert run.state == "done" and run.trainer.compilations == 1


def test_more_and_fewer_epochs_while_it_trains(make_run):
    run = make_run(epochs=ENDLESS)
    run.start()
    wait_until(lambda: len(run.history) > 10, 60, "training")
    run.epochs = 2 * ENDLESS
    assert run.state.alive
    run.pause()
    wait_until(lambda: run.state == "paused", 60, "a pause")
    run.epochs = epochs = run.history.num_epochs + 2
    run.resume()
    assert run.wait(60) and run.state == "done" and run.history.num_epochs == epochs
    assert [move["new"] for move in run.history.interventions if move["new"] < ENDLESS] == [epochs]


def test_more_epochs_come_back_from_disk(make_run, tmp_path):
    """With the same code, as they were raised; if the code asks for another number, that counts."""

    def resumed(epochs: int) -> Run:
        run = make_run(epochs=epochs)
        run.resume(tmp_path)
        return run

    run = resumed(1)
    run.fit()
    run.epochs = 2
    run.close()
    again = resumed(1)
    assert (again.epochs, again.transport, len(again.history)) == (2, "start", 8)
    again.fit()
    expected = bits(again.trainer)
    again.close()
    more = resumed(3)
    assert (more.epochs, more.transport) == (3, "start") and bits(more.trainer) == expected
    more.close()
    with pytest.raises(ArgumentError, match="epochs: must be at least the 2 of the saved run, got 1"):
        Checkpoints(make_trainer(more.trainer.data, epochs=1), tmp_path)


def test_a_restart_begins_a_new_timeline(make_run):
    run = make_run()
    run.fit()
    run.branch(8)
    run.timeline.budget = 32e6
    run.reset(seed=1)
    assert list(run.branches) == ["a"] and run.timeline.trainer is run.trainer and run.timeline.budget == 32e6
    run.fit()
    run.rewind(epoch=2)
    assert len(run.history) == 16
