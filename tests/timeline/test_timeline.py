"""A step that was passed is reached again bit for bit, and a branch is the run that its script would train."""

import os
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from fates import fates
from networks import make_trainer

from snnlab.config import LstmConfig
from snnlab.errors import ArgumentError, StateError
from snnlab.timeline import Timeline
from snnlab.timeline.timeline import bytes_of
from snnlab.train.replay import script

EPOCH = 8  # steps
MOVES = [(3, "v_th", 0.8), (3, "learning_rate", 5e-3), (8, "hidden.tau_mem", 14.0), (13, "l1", 2e-3)]


def bits(state) -> list[bytes]:
    leaves = jax.tree.leaves(state)
    keys = [jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    plain = [jax.random.key_data(leaf) if key else leaf for leaf, key in zip(leaves, keys, strict=True)]
    return [np.asarray(leaf).tobytes() for leaf in plain]


def trained(small, moves=MOVES, **options) -> Timeline:
    """A run of 24 steps, with moves."""
    timeline = Timeline(make_trainer(small, epochs=3, **options))
    timeline.trainer.plan(moves)
    timeline.fit()
    return timeline


def first_steps(small, steps: int, moves=MOVES, **options):
    """The same run, trained for some steps only."""
    trainer = make_trainer(small, epochs=3, **options)
    trainer.plan([move for move in moves if move[0] < steps])
    trainer.fit(until=steps)
    return trainer


@pytest.mark.parametrize("step", [0, 1, 3, 4, 8, 13, 16, 23, 24])
def test_every_step_is_reached_bit_for_bit(small, step):
    timeline, short = trained(small), first_steps(small, step)
    point = timeline.rewind(step=step)
    assert bits(point.state) == bits(short.state) == bits(timeline.trainer.state)
    assert len(timeline.trainer.history) == step
    for name, column in short.history.steps().items():
        np.testing.assert_array_equal(column, timeline.trainer.history.steps()[name])
    assert timeline.trainer.history.interventions == short.history.interventions
    values = {name: knob.value for name, knob in timeline.trainer.mailbox.knobs.items()}
    assert values == pytest.approx({name: knob.value for name, knob in short.mailbox.knobs.items()})
    assert timeline.trainer.compilations == 1


def test_few_points_are_enough(small):
    """Thinned to a small budget, every step is still reached."""
    timeline = trained(small)
    timeline.budget = 3 * bytes_of(timeline.trainer.state)
    assert len(timeline.points) <= 1 and timeline.bytes <= timeline.budget
    for step in (22, 5, 13):
        assert bits(timeline.rewind(step=step).state) == bits(first_steps(small, step).state)
        timeline.switch("a")


def test_a_branch_is_what_its_script_trains(small):
    """Twice the same bits, and a run of its own with the same moves has them, too."""
    timeline, found = trained(small), []
    for name in ("one", "two"):
        timeline.branch(11, name, v_th=0.6)
        timeline.fit()
        found.append(bits(timeline.trainer.state))
        timeline.switch("a")
    assert found[0] == found[1] != bits(timeline.trainer.state)
    own = make_trainer(small, epochs=3)
    own.plan([*(move for move in MOVES if move[0] < 11), (11, "v_th", 0.6)])
    own.fit()
    assert bits(own.state) == found[0]
    timeline.switch("two")
    printed = [line for line in script(timeline.trainer).splitlines() if line.startswith("    (")]
    assert printed == [line for line in script(own).splitlines() if line.startswith("    (")]
    assert len(printed) == 4 and "(11, 'hidden.v_th', 0.6" in printed[-1]


def test_nothing_is_destroyed(small):
    """The trunk keeps its history and its state; a run that goes on from an earlier step becomes a branch."""
    timeline = trained(small)
    trunk, past = bits(timeline.trainer.state), timeline.trainer.history.to_dict()
    timeline.rewind(epoch=1)
    assert timeline.behind and timeline.here == "a" and len(timeline.trainer.history) == EPOCH
    timeline.trainer.set(v_th=0.5)
    for _ in timeline:
        pass
    assert timeline.here == "b" and not timeline.behind
    branch = timeline.branches["b"]
    assert (branch.parent, branch.start, branch.tip.steps, branch.own_moves) == ("a", 8, 24, {"hidden.v_th": 0.5})
    timeline.switch("a")
    assert bits(timeline.trainer.state) == trunk and timeline.trainer.history.to_dict() == past
    timeline.switch("b")
    assert timeline.trainer.mailbox.knobs["hidden.v_th"].value == 0.5
    assert "tau_mem" not in str(timeline.trainer.history.interventions)


def test_a_branch_begins_when_something_is_trained(small):
    """A trainer that was put back by hand, not by the timeline, stands on its branch until then."""
    timeline = trained(small)
    past = timeline.find(step=5)
    timeline.trainer.at = past
    timeline.keep()
    assert list(timeline.branches) == ["a"] and timeline.behind and timeline.branches["a"].tip.steps == 24
    for _ in timeline:
        break
    assert list(timeline.branches) == ["a", "b"] and timeline.branches["b"].start == 5


def test_a_branch_of_a_branch(small):
    timeline = trained(small)
    timeline.branch(16, "b", v_th=0.6)
    timeline.fit()
    timeline.branch(20, l1=1e-2)
    timeline.fit()
    assert timeline.here == "c" and timeline.branches["c"].parent == "b"
    timeline.branch(5)  # of the part that all of them share
    assert timeline.here == "d" and timeline.branches["d"].parent == "a"
    timeline.switch("c")
    moves = [*(move for move in MOVES if move[0] < 16), (16, "hidden.v_th", 0.6), (20, "l1", 1e-2)]
    for step in (4, 15, 17, 23):
        assert bits(timeline.rewind(step=step).state) == bits(first_steps(small, step, moves).state)
        timeline.switch("c")
    lines = repr(timeline.branches).splitlines()
    assert [line[: line.index(":")] for line in lines] == ["- a", "  - b", "    * c", "  - d"]
    assert "hidden.v_th 0.6" in lines[1] and "from step 20" in lines[2]


def test_moves_that_have_not_acted_yet_stay_with_their_branch(small):
    timeline = Timeline(first_steps(small, 10))
    timeline.trainer.set(v_th=0.7)
    timeline.branch(0, "b")
    assert timeline.trainer.mailbox.posted == {}
    timeline.switch("a")
    assert timeline.trainer.mailbox.posted == {"hidden.v_th": 0.7}


@pytest.mark.parametrize(
    "optimizer", ["adamw", *(pytest.param(name, marks=pytest.mark.endure) for name in ("sgd", "lion"))]
)
def test_any_optimizer_counts(small, optimizer):
    made = optax.inject_hyperparams(getattr(optax, optimizer))(learning_rate=0.01)
    timeline = trained(small, moves=[], optimizer=made)
    size = bytes_of(timeline.trainer.state)
    parameters = bytes_of(timeline.trainer.state.params)
    copies = {"adamw": 2, "sgd": 0, "lion": 1}[optimizer]
    assert (1 + copies) * parameters <= size < (1 + copies) * parameters + 5000
    assert timeline.bytes >= size * len({point.steps for point in timeline.points})
    assert bits(timeline.rewind(step=9).state) == bits(first_steps(small, 9, [], optimizer=made).state)


def test_an_lstm_goes_back_too(small):
    moves, config = [(5, "learning_rate", 1e-3)], LstmConfig(hidden=8)
    timeline, short = trained(small, moves, config=config), first_steps(small, 9, moves, config=config)
    assert bits(timeline.rewind(step=9).state) == bits(short.state)


def test_the_budget_is_kept(small):
    trainer = make_trainer(small, epochs=40)
    size = bytes_of(trainer.state)
    timeline = Timeline(trainer, budget=12.5 * size)
    most = 0
    for report in timeline:
        most = max(most, timeline.bytes)
        if report.phase == "train" and report.step % 7 == 0:
            trainer.set(l1=1e-4 * (report.step + 1))
    assert 8 * size <= most <= timeline.budget
    timeline.rewind(step=100)
    for wrong in (size, 0, float("nan")):
        with pytest.raises(ArgumentError, match="budget: must be"):
            timeline.budget = wrong


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "chunks", [pytest.param(5000, marks=pytest.mark.endure), pytest.param(12_000, marks=pytest.mark.nightly)]
)
def test_memory_stays_flat(small, chunks):
    """Over thousands of chunks and moves, of which all points together would take twenty times the budget."""
    trainer = make_trainer(small, epochs=2000)
    trainer.mailbox.pace = 1.0  # a step is a chunk; only a session waits
    size = bytes_of(trainer.state)
    timeline = Timeline(trainer, budget=chunks * size / 20)
    resident: list[int] = []
    for report in timeline:
        assert timeline.bytes <= timeline.budget
        if report.phase == "train":
            resident.append(_resident_bytes())
            if report.step % 7 == 0:
                trainer.set(l1=1e-4 * (1 + report.step % 5))
        if len(resident) == chunks:
            break
    assert timeline.bytes > timeline.budget / 4
    assert max(resident) - max(resident[: chunks // 4]) < 0.05 * chunks * size


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_both_are_trained_to_the_same_step(small):
    timeline = trained(small)
    timeline.branch(8, "b", v_th=0.5)
    timeline.switch("a")
    timeline.branch(8, "c", v_th=1.5)
    heard = dict.fromkeys("bc", 0)
    for report in timeline.run("b", "c", until=20):
        heard[timeline.here] = report.step
    assert heard == {"b": 20, "c": 20}
    for name, value in (("b", 0.5), ("c", 1.5)):
        timeline.switch(name)
        own = first_steps(small, 20, [*(move for move in MOVES if move[0] < 8), (8, "v_th", value)])
        assert bits(timeline.trainer.state) == bits(own.state)
    for _ in timeline.run("a", "b", "c"):
        pass
    assert {name: branch.tip.epochs for name, branch in timeline.branches.items()} == {"a": 3, "b": 3, "c": 3}


def test_early_stopping_returns_to_the_best(small):
    timeline = Timeline(make_trainer(small, epochs=60))
    timeline.fit(patience=2)
    accuracies = [row["test_acc"] for row in timeline.branches["a"].history.epochs]
    best = int(np.argmax(accuracies))
    assert len(accuracies) == best + 3
    assert timeline.trainer.history.num_epochs == best + 1 and timeline.behind
    own = make_trainer(small, epochs=60)
    own.fit(until=EPOCH * (best + 1))
    assert bits(own.state) == bits(timeline.trainer.state)


def test_what_cannot_be_is_refused_and_changes_nothing(small):
    timeline = trained(small)
    before = bits(timeline.trainer.state), dict(timeline.trainer.mailbox.knobs)
    for act, words in (
        (lambda: timeline.rewind(step=25), "step: must be at most 24, where branch a is, got 25"),
        (lambda: timeline.rewind(step=-1), "step: must be an integer >= 0"),
        (lambda: timeline.rewind(step=1.5), "step: must be an integer"),  # pyright: ignore[reportArgumentType]
        (lambda: timeline.rewind(epoch=4), "epoch: must be at most 3"),
        (lambda: timeline.rewind(), "give either step= or epoch="),
        (lambda: timeline.rewind(step=1, epoch=1), "give either step= or epoch="),
        (lambda: timeline.branch(99), "step: must be at most 24"),
        (lambda: timeline.branch(3, "a"), "name: there is a branch 'a' already"),
        (lambda: timeline.branch(3, "two\nlines"), "name: must be a name in one line"),
        (lambda: timeline.branch(3, hidden=64), "hidden: is no knob but part of .*; hidden=64 needs a new run"),
        (lambda: timeline.branch(3, batch_size=64), "batch_size: is no knob .*; batch_size=64 needs a new run"),
        (lambda: timeline.branch(3, v_th=0.5, neuron="lif"), "neuron: is no knob .*; neuron='lif' needs a new run"),  # pyright: ignore
        (lambda: timeline.branch(3, epochs=9), "epochs: are those of all branches; set `epochs = 9` instead"),
        (lambda: timeline.branch(3, v_th="high"), "hidden.v_th: must be a finite number >= 0, got 'high'"),  # pyright: ignore
        (lambda: timeline.branch(3, cow=1.0), "the knob 'cow' is unknown"),
        (lambda: timeline.branch(3, v_th=-1.0), "v_th: must be a finite number >= 0"),
        (lambda: timeline.switch("cow"), "name: there is no branch 'cow'; there is a"),
        (lambda: timeline.run("a", "cow"), "name: there is no branch 'cow'"),
        (lambda: timeline.run("a", until=25), "until: must be an integer"),
        (lambda: timeline.fit(patience=0), "patience: must be"),
    ):
        with pytest.raises(ArgumentError, match=words):
            act()
    with pytest.raises(StateError, match="best: no epoch"):
        Timeline(make_trainer(small)).best()
    assert (bits(timeline.trainer.state), dict(timeline.trainer.mailbox.knobs)) == before
    assert list(timeline.branches) == ["a"]


@pytest.mark.parametrize("count", [2, pytest.param(10, marks=pytest.mark.endure)])
def test_random_branches_have_the_same_bits_each_time(count):
    """Made twice, once more from disk, and once by the script."""
    outcome = fates(count, seed=count)
    assert outcome.branches == count and outcome.differences == []
    assert len(outcome.steps) >= min(count, 5) and len(outcome.knobs) >= min(count, 4)
