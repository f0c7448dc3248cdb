"""Kill a run with SIGKILL while it trains, branches, goes back and switches: is all there that was said to be saved?

python tests/checkpoint/branch_kills.py 50

A process says what it holds each time a call has returned that saves: the step and a digest of every branch. The next
one resumes the run, and looks whether it holds that. A branch may have been trained on meanwhile: then it is taken back
to the step that was said, and has the same bits there.
"""

import hashlib
import json
import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script, and in the processes that are killed
from networks import ENDLESS, SMALL

WARM = ["snnlab.live.run", "snnlab.kernels.cpu.calls", "networks"]
BRANCHES = 12  # of one run; then another one begins
SPURT = 24  # steps at most between two calls
KNOBS = {"v_th": (0.4, 1.2), "learning_rate": (1e-3, 2e-2), "l1": (1e-5, 1e-2)}
PATIENCE = 120.0  # seconds for a process to start, on a busy machine


@dataclass
class Outcome:
    """What became of the runs."""

    kills: int = 0
    runs: int = 0
    said: int = 0  # calls after which something was said to be saved
    branches: int = 0
    saving: int = 0  # kills while a checkpoint was being written
    checked: int = 0  # processes that looked for what was said before
    calls: set[str] = field(default_factory=set)  # what was going on at a kill
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count_kill(self, place: Path) -> None:
        """Note what the process that was just killed had come to."""
        told = _told(place)
        self.kills += 1
        self.saving += bool(list((place / "saved").glob(".checkpoint-*.part")))
        self.calls |= {line["will"] for line in told[-1:] if "will" in line}
        self.lost += [what for line in told for what in line.get("lost", [])]
        self.checked += any("lost" in line for line in told)
        self.said += sum("holds" in line for line in told)


def survive(kills: int, folder: Path, seed: int) -> Outcome:
    """Kill `kills` times."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    chance, outcome, started = random.Random(seed), Outcome(), time.monotonic()
    while outcome.kills < kills:
        place = folder / f"run-{outcome.runs}"
        place.mkdir()
        outcome.runs += 1
        said: dict[str, Any] = {}
        while outcome.kills < kills and len(said.get("holds", {})) < BRANCHES:
            _life(context, place, said, chance)
            outcome.count_kill(place)
            said = _said(place) or said
            (place / "log").unlink()
        outcome.branches += len(said.get("holds", {}))
        process = _begin(context, place, said, seed)  # the last one only looks
        _wait(lambda place=place: any("lost" in line for line in _told(place)), process, PATIENCE)
        process.kill()
        process.join()
        looked = [line["lost"] for line in _told(place) if "lost" in line]
        outcome.lost += [what for found in looked or [["nobody could look"]] for what in found]
    outcome.seconds = time.monotonic() - started
    return outcome


def _life(context, place: Path, said: dict[str, Any], chance: random.Random) -> None:
    """A process that is killed: one time in ten while it starts, else some time after it has looked."""
    process = _begin(context, place, said, chance.randrange(10**9))
    if chance.random() < 0.1:
        process.join(chance.uniform(0.0, 2.0))
    else:
        _wait(lambda: any("holds" in line for line in _told(place)), process, PATIENCE)
        process.join(chance.uniform(0.0, 1.5))
    process.kill()
    process.join()


def _begin(context, place: Path, said: dict[str, Any], seed: int):
    (place / "log").touch()
    process = context.Process(target=live, args=(place, said, seed))
    process.start()
    return process


def _wait(condition, process, seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.exitcode is None and time.monotonic() < end and not condition():
        time.sleep(0.02)


def _told(place: Path) -> list[dict[str, Any]]:
    """The lines that a process wrote; the last one may be cut."""
    lines = (place / "log").read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def _said(place: Path) -> dict[str, Any]:
    """What it held last, and what it was about to do then."""
    told = _told(place)
    holds = [line for line in told if "holds" in line]
    return {**holds[-1], "next": told[-1].get("here") if "will" in told[-1] else None} if holds else {}


# ---- in the process that is killed ----


def live(place: Path, said: dict[str, Any], seed: int) -> None:
    """Resume, look whether all is there, and then do one thing after the other until the end comes."""
    from snnlab import data, models
    from snnlab.live.run import Run

    chance = random.Random(seed)
    digits = data.load("digits").subset(train=256, test=64)
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    run = Run(net, digits, epochs=ENDLESS, batch_size=32)
    with (place / "log").open("a", buffering=1) as log:

        def tell(**line: Any) -> None:
            log.write(json.dumps(line) + "\n")

        try:
            run.resume(place / "saved")
            tell(lost=lost(run, said))
            while True:
                tell(holds=holds(run), here=run.timeline.here)
                act(run, chance, tell)
        except BaseException as error:
            tell(lost=[f"{type(error).__name__}: {error}"])
            raise


def act(run, chance: random.Random, tell) -> None:
    """Do something at random, and say so before; when it returns, the run is saved."""
    room, here = len(run.branches) < BRANCHES, run.timeline.here
    what = chance.choice(["train", "switch", *(["branch", "rewind"] if room else [])])
    steps = run.branches[here].tip.steps
    if what == "train":
        name = run.timeline._free_name() if run.timeline.behind else here
        tell(will=what, here=name)
        run.trainer.mailbox.stop_at = end = len(run.history) + chance.randint(1, SPURT)
        run.start()
        while len(run.history) < end:
            time.sleep(0.001)
        run.stop()
        run.wait()
    elif what == "switch":
        name = chance.choice(list(run.branches))
        tell(will=what, here=name)
        run.switch(name)
    elif what == "branch":
        knob = chance.choice(list(KNOBS))
        tell(will=what, here=run.timeline._free_name())
        run.branch(chance.randint(0, steps), **{knob: chance.uniform(*KNOBS[knob])})
    else:
        tell(will=what, here=here)
        run.rewind(step=chance.randint(0, steps))


def holds(run) -> dict[str, list]:
    """Parent, start, step and digest of every branch."""
    run.timeline._keep_tip()
    branches = run.branches.values()
    return {b.name: [b.parent, b.start, b.tip.steps, digest(b.tip)] for b in branches}


def digest(point) -> str:
    """Of weights, knobs, optimizer, and what was measured until then."""
    found = hashlib.sha256(point.losses.tobytes())
    for leaf in jax.tree.leaves((point.state.params, point.state.live, point.state.opt_state)):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()[:16]


def lost(run, said: dict[str, Any]) -> list[str]:
    """What was said and is not there."""
    found, here = [], run.timeline.here
    if said and here not in (said["here"], said["next"]):
        found.append(f"it stood on {said['here']}, and stands on {here}")
    at = run.trainer.at
    for name, (parent, start, steps, then) in said.get("holds", {}).items():
        branch = run.branches.get(name) if name in run.branches else None
        if branch is None or (branch.parent, branch.start) != (parent, start) or branch.tip.steps < steps:
            found.append(f"branch {name} of {steps} steps: {branch}")
            continue
        run.timeline.switch(name)
        if digest(run.timeline.point(steps)) != then:
            found.append(f"branch {name} has other bits at step {steps}")
    run.timeline.switch(here)
    run.timeline.go(at)
    return found


def main(kills: int) -> int:
    """Print what came out."""
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        outcome = survive(kills, Path(folder), seed)
    print(
        f"{outcome.kills} kills in {outcome.runs} runs of {outcome.branches} branches and {outcome.seconds:.0f} s "
        f"(seed {seed}), {outcome.saving} while saving, during {', '.join(sorted(outcome.calls))}; {outcome.said} "
        f"times it was said that all is saved; lost: {outcome.lost or 'nothing'}"
    )
    every_call = kills < 50 or len(outcome.calls) == 4  # was killed in its middle
    return 0 if every_call and not outcome.lost else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
