"""Names of earlier runs: what they say is true of the run, and tells it from the others."""

import numpy as np

from snnlab.history import History
from snnlab.live.figure import figure
from snnlab.live.frames.compared import names
from snnlab.live.frames.status import Recorded


def run(steps: int, moves=(), **settings) -> Recorded:
    """A run of some steps, whose knobs were moved; `v_th` and `tau` stand for those of layers."""
    history = History()
    history.add_steps({"loss": np.linspace(2.0, 1.0, steps), "accuracy": np.zeros(steps)})
    for step, knob, old, new in moves:
        history.add_intervention(step=step, knob=knob, old=old, new=new)
    return Recorded(history, 8, settings)


def test_only_what_differs_is_said():
    both = {"hidden": 100, "hidden.v_th": 1.0, "l1": 1e-4}
    earlier = [run(412, seed=0, **both), run(1, seed=1, **both)]
    assert names(earlier, run(5, seed=2, **both)) == ["run 1: seed 0, 412 steps", "run 2: seed 1, 1 step"]
    assert names(earlier[:1], run(5, seed=0, **both)) == ["run 1: 412 steps"]


def test_a_knob_that_was_moved_says_from_where():
    moves = [(3, "hidden.v_th", 1.0, 0.9), (4, "hidden.v_th", 0.9, 0.8)]
    earlier = [run(9, moves, **{"hidden.v_th": 0.8, "readout.tau": 5.0})]
    now = run(2, **{"hidden.v_th": 0.8, "readout.tau": 5.0})
    assert names(earlier, now) == ["run 1: v_th 1 → 0.8, 9 steps"]


def test_knobs_of_the_same_name_say_their_layer():
    earlier = [run(9, **{"hidden.tau_mem": 5.0, "readout.tau_mem": 5.0})]
    now = run(2, **{"hidden.tau_mem": 7.0, "readout.tau_mem": 6.0})
    assert names(earlier, now) == ["run 1: hidden.tau_mem 5, readout.tau_mem 5, 9 steps"]


def test_the_newest_keep_their_numbers():
    earlier = [run(steps, seed=steps) for steps in (1, 2, 3, 4, 5)]
    assert [name.partition(":")[0] for name in names(earlier, run(9, seed=9), most=3)] == ["run 3", "run 4", "run 5"]


def test_plotly_names_each_run_once_and_tells_them_apart():
    earlier = [run(10 * k, seed=k) for k in (1, 2, 3)]
    drawn = figure(run(5, seed=9), terms=("loss",), spiking=False, earlier=earlier, total_steps=50)
    old = [trace for trace in drawn.data if trace.name.startswith("run ")]
    assert [trace.name for trace in old if trace.showlegend] == [
        f"run {k}: seed {k}, {10 * k} steps" for k in (1, 2, 3)
    ]
    assert len({trace.line.dash for trace in old}) == 3 and all(trace.hoverinfo != "skip" for trace in old)


def test_a_restarted_run_is_told_by_what_changed(make):
    """Knobs stay at a restart, and a move that came after the last step was not part of the run."""
    lab = make(epochs=2)

    def named() -> list[str]:
        return names(lab.status.earlier, lab.status.recorded)

    lab.fit()
    lab.reset(seed=5)
    assert named() == ["run 1: seed 0, 16 steps"]
    lab.set(v_th=0.8)
    lab.fit()
    lab.set(v_th=0.5)
    lab.reset(hidden=7)
    assert named() == [
        "run 1: seed 0, hidden 32, v_th 1, 16 steps",
        "run 2: seed 5, hidden 32, v_th 0.8, 16 steps",
    ]
