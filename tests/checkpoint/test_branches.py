"""Checkpoints hold the tree of branches: after a kill all of them come back, and each stands where it stood."""

import time

import jax
import numpy as np
import pytest
from branch_kills import survive
from networks import SMALL, make_trainer
from safetensors.numpy import load_file

from snnlab import models
from snnlab.checkpoint import Checkpoints
from snnlab.checkpoint.snapshot import Snapshot, put_back, put_back_branches, take
from snnlab.errors import FileFormatError
from snnlab.live.run import Run
from snnlab.timeline import Timeline


def bits(state) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((state.params, state.live))]


def told(timeline: Timeline) -> dict:
    """All that a timeline says of its branches."""
    rows = {}
    for name, branch in timeline.branches.items():
        past = branch.tip.past.to_dict()
        for row in past["epochs"]:  # what took how long is another matter
            del row["seconds"], row["samples_per_second"]
        rows[name] = branch.parent, branch.start, past, bits(branch.tip.state), branch.tip.planned, branch.tip.posted
    return {"here": timeline.here, "behind": timeline.behind, "rows": rows}


@pytest.fixture
def grown(small):
    """A run of three branches; one has a move that has not acted yet."""
    timeline = Timeline(make_trainer(small, epochs=3))
    timeline.trainer.plan([(3, "v_th", 0.8)])
    timeline.fit()
    timeline.branch(10, "b", l1=1e-3)
    for _ in timeline.run("b", until=15):
        pass
    timeline.trainer.set(l1=5e-3)
    timeline.branch(12, "with a name", v_th=0.5)
    for _ in timeline.run("with a name", until=20):
        pass
    return timeline


def read_back(small, folder) -> Timeline:
    """The timeline that was saved in a folder."""
    checkpoints = Checkpoints(make_trainer(small, epochs=3), folder)
    timeline = Timeline(checkpoints.trainer)
    checkpoints.keep_branches(timeline)
    checkpoints.close()
    return timeline


@pytest.mark.parametrize("where", ["with a name", "a", "behind"])
def test_all_branches_come_back(small, grown, tmp_path, where):
    if where == "behind":
        grown.rewind(step=14)
    else:
        grown.switch(where)
    first = Checkpoints(grown.trainer, tmp_path)
    first.keep_branches(grown)
    first.save_now()
    first.close()
    timeline = read_back(small, tmp_path)
    assert told(timeline) == told(grown)
    assert bits(timeline.trainer.state) == bits(grown.trainer.state)
    for each in (timeline, grown):  # and they go on, and back, with the same bits
        each.switch("b")
        each.fit()
        each.rewind(step=11)
    assert told(timeline) == told(grown) and bits(timeline.trainer.state) == bits(grown.trainer.state)


@pytest.mark.parametrize("behind", [False, True])
def test_a_run_without_a_timeline_carries_the_branches_on(small, grown, tmp_path, behind):
    """A plain script continues the one that the run was on; the others have the bits that they had."""
    if behind:
        grown.rewind(step=14)
    first = Checkpoints(grown.trainer, tmp_path)
    first.keep_branches(grown)
    first.save_now()
    first.close()
    for until in (19, 23) if behind else (22, 23):  # twice: what it wrote, it reads
        plain = Checkpoints(make_trainer(small, epochs=3), tmp_path, keep=1)
        plain.trainer.fit(until=until)
        plain.save_now()
        plain.close()
    grown.trainer.mailbox.stop_at = 23
    for report in grown:
        if report.step == 23:
            break
    expected, found = told(grown), told(read_back(small, tmp_path))
    assert list(found["rows"]) == ["a", "b", "with a name", *(["c"] if behind else [])]
    step = len(found["rows"][found["here"]][2]["steps"]["loss"])
    assert step == 23 and found.pop("here") == expected.pop("here")
    assert found == expected


def test_branches_are_carried_on_until_a_timeline_wants_them(small, grown, tmp_path):
    first = Checkpoints(grown.trainer, tmp_path)
    first.keep_branches(grown)
    first.save_now()
    first.close()
    second = Checkpoints(make_trainer(small, epochs=3), tmp_path)
    second.trainer.fit(until=22)
    timeline = Timeline(second.trainer)
    second.keep_branches(timeline)
    second.close()
    assert timeline.here == "with a name" and not timeline.behind
    assert {name: branch.tip.steps for name, branch in timeline.branches.items()} == {
        "a": 24,
        "b": 15,
        timeline.here: 22,
    }


def test_a_reset_ends_the_branches(small, grown, tmp_path):
    first = Checkpoints(grown.trainer, tmp_path)
    first.keep_branches(grown)
    first.save_now()
    first.close()
    second = Checkpoints(make_trainer(small, epochs=3), tmp_path)
    second.trainer.reset()
    second.trainer.fit(until=3)
    second.save_now()
    second.close()
    timeline = read_back(small, tmp_path)
    assert list(timeline.branches) == ["a"] and timeline.branches["a"].tip.steps == 3


def test_checkpoints_without_branches_are_read(small, tmp_path):
    """They were saved by a script that has no timeline."""
    first = Checkpoints(make_trainer(small, epochs=3), tmp_path)
    first.trainer.fit(until=9)
    first.save_now()
    first.close()
    timeline = read_back(small, tmp_path)
    assert list(timeline.branches) == ["a"] and timeline.branches["a"].tip.steps == 9 and not timeline.behind


def test_a_new_branch_is_saved_though_nothing_was_trained(small, tmp_path):
    def make() -> Run:
        net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
        run = Run(net, small, epochs=2, batch_size=32)
        run.resume(tmp_path)
        return run

    run = make()
    run.fit()
    run.branch(4, "b", v_th=0.6)
    run.note("lower")
    expected = told(run.timeline)
    assert load_file(max(tmp_path.glob("checkpoint-*.safetensors")))  # nothing more is written below
    other = make_trainer(small)
    run._checkpoints._folder.close()  # as if the process had been killed
    again = make()
    assert told(again.timeline) == expected and again.history.notes == [{"step": 4, "text": "lower"}]
    again.fit()
    other.plan([(4, "v_th", 0.6)])
    other.fit()
    assert bits(again.trainer.state) == bits(other.state)
    again.reset()
    assert list(again.branches) == ["a"]
    again.close()
    run.close()


@pytest.mark.parametrize("kills", [4, pytest.param(12, marks=pytest.mark.endure)])
def test_kills_while_it_branches(tmp_path, kills):
    """SIGKILL at random moments: every branch that was said to be saved is there, with its bits."""
    outcome = survive(kills, tmp_path, seed=int(time.time()))
    assert outcome.kills == kills and outcome.lost == []
    assert outcome.said > 0
    if kills >= 12:  # on a machine that is busy, four processes may be killed before they have made a branch
        assert outcome.branches > 1 and len(outcome.calls) > 1, "killed in the middle of several calls"


@pytest.mark.parametrize(
    "damage",
    [
        {"here": "cow"},
        {"branches": 3},
        {"branches": [{"name": "a"}]},
        {"branches": [{"name": "a", "parent": "a", "start": 0, "here": True}]},
        {"branches": [{"name": "x\ny", "parent": None, "start": 0, "here": True}], "here": "x\ny"},
        {"branches": [{"name": "a", "parent": None, "start": 99, "here": True}], "here": "a"},
        {"branches": [{"name": "a", "parent": None, "start": 0, "here": True}] * 2, "here": "a"},
        {"branches": [{"name": "a", "parent": None, "start": 0, "here": False}], "here": "a"},
    ],
)
def test_branches_that_are_none_are_refused(small, grown, damage):
    snapshot = take(grown.trainer, grown.trainer.at, None, grown)
    trainer = make_trainer(small, epochs=3)
    damaged = Snapshot(snapshot.arrays, snapshot.facts | damage)
    put_back(trainer, damaged)
    timeline = Timeline(trainer)
    with pytest.raises(FileFormatError, match="does not hold a run"):
        put_back_branches(timeline, damaged)
    assert list(timeline.branches) == ["a"]
