"""Branch at random steps with random knobs, each four times: twice in a row, once from disk, once by its script.

python tests/timeline/fates.py 200
"""

import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script
from networks import make_trainer

from snnlab import data
from snnlab.checkpoint import Checkpoints
from snnlab.timeline import Timeline
from snnlab.train import Trainer
from snnlab.train.replay import script

EPOCHS = 3
MOVES = [(3, "v_th", 0.8), (9, "learning_rate", 5e-3), (17, "l1", 2e-4)]  # of the trunk


@dataclass
class Outcome:
    """What became of the branches."""

    branches: int = 0
    steps: set[int] = field(default_factory=set)
    knobs: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0


def bits(trainer: Trainer) -> bytes:
    """Parameters, live values and optimizer."""
    state = trainer.state
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((state.params, state.live, state.opt_state)))


def small() -> data.Dataset:
    """What the trunk is trained on."""
    return data.load("digits").subset(train=256, test=64)


def make() -> Trainer:
    """A trainer of 24 steps."""
    return make_trainer(small(), epochs=EPOCHS)


def fates(count: int, seed: int) -> Outcome:
    """Make `count` random branches of one trunk, each four times."""
    started = time.monotonic()
    chance, outcome, timeline = np.random.default_rng(seed), Outcome(), Timeline(make())
    timeline.trainer.plan(MOVES)
    timeline.fit()
    knobs = timeline.trainer.mailbox.knobs
    for _ in range(count):
        step, name = int(chance.integers(0, timeline.trainer.total_steps + 1)), str(chance.choice(list(knobs)))
        value = float(np.float32(chance.uniform(0.5, 2.0) * (knobs[name].value or 1e-4)))
        found = {
            "once": _branched(timeline, step, name, value),
            "again": _branched(timeline, step, name, value),
            "from disk": _from_disk(timeline, step, name, value),
            "by its script": _by_script(script(timeline.trainer)),
        }
        outcome.branches += 1
        outcome.steps.add(step)
        outcome.knobs.add(name)
        outcome.differences += [f"{name} at {step}: {how}" for how in found if found[how] != found["once"]]
        timeline.switch("a")
    outcome.seconds = time.monotonic() - started
    return outcome


def main(count: int) -> int:
    """Print what came out."""
    seed = random.randrange(10**6)
    outcome = fates(count, seed)
    print(
        f"{outcome.branches} branches, each made four times, in {outcome.seconds:.0f} s (seed {seed}): from "
        f"{len(outcome.steps)} different steps, of {len(outcome.knobs)} knobs; with other bits: "
        f"{outcome.differences or 'none'}"
    )
    return 1 if outcome.differences else 0


def _branched(timeline: Timeline, step: int, name: str, value: float) -> bytes:
    timeline.switch("a")
    timeline.branch(step, None, **{name: value})
    timeline.fit()
    return bits(timeline.trainer)


def _from_disk(timeline: Timeline, step: int, name: str, value: float) -> bytes:
    """Save when it has just begun, and train what was read."""
    timeline.switch("a")
    timeline.branch(step, None, **{name: value})
    with tempfile.TemporaryDirectory() as folder:
        saving = Checkpoints(timeline.trainer, folder)
        saving.keep_branches(timeline)
        saving.save_now()
        saving.close()
        reading = Checkpoints(make(), folder)
        read = Timeline(reading.trainer)
        reading.keep_branches(read)
        reading.close()
    read.fit()
    timeline.fit()
    return bits(read.trainer)


def _by_script(text: str) -> bytes:
    names: dict = {}
    exec(compile(text, "script", "exec"), names)
    return bits(names["trainer"])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
