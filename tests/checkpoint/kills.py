"""Kill `snnlab train` with SIGKILL at random moments and resume it each time: does it end like the run never killed?

python tests/checkpoint/kills.py 100

The processes are forked from one that has imported everything, so that a life is short; what they run is the command.
"""

import functools
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

COMMAND = ("train", "snn", "--hidden", "40", "--num-steps", "50", "--batch-size", "32", "--seed", "7")
COMMAND += ("--overwrite",)
WARM = ["snnlab.cli", "snnlab.train.trainer", "snnlab.export", "snnlab.checkpoint.checkpoints"]
WARM += ["snnlab.kernels.cpu.calls"]
WENT_ON = "continuing from step "  # says a run that was resumed
EARLY = 0.2  # of the kills come while a process starts
SAVES = 0.5  # of the others after it has saved anew: on a busy machine, too, the run comes to its end
CLOCKS = ("seconds", "samples_per_second")  # what differs between two runs that are the same


@dataclass
class Outcome:
    """What became of a run that was killed again and again."""

    kills: int = 0
    runs: int = 0
    early: int = 0  # kills before it said that it goes on, or had trained an epoch
    saving: int = 0  # kills while a checkpoint was being written
    steps: list[int] = field(default_factory=list)  # where it went on
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count_kill(self, place: Path) -> None:
        """Note what the process that was just killed had come to."""
        log = (place / "log").read_text()
        went_on = [line for line in log.splitlines() if WENT_ON in line]
        self.kills += 1
        self.early += not went_on and "epoch" not in log
        self.saving += bool(list((place / "saved").glob(".checkpoint-*.part")))
        self.steps += [int(line.split(WENT_ON)[1].split()[0]) for line in went_on]
        (place / "log").unlink()


def command(arguments: tuple[str, ...], log: Path) -> None:
    """The command line, in a process of its own; what it prints goes to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    from snnlab.cli import main

    sys.exit(main(list(arguments)))


def survive(kills: int, folder: Path, seed: int, epochs: int = 200) -> Outcome:
    """Kill `kills` times; a run that ends before is compared, and another one begun.

    With many epochs there are many saves, also on a slow disk.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    chance = random.Random(seed)
    started = time.monotonic()
    begin = functools.partial(_begin, context, epochs)
    start_up, training = _never_killed(begin, folder / "whole")
    longest = start_up / 2 + 1.2 * training / kills  # it loads its program first; then all lives train half a run
    outcome = Outcome()
    while outcome.kills < kills:
        outcome.runs += 1
        place = folder / f"killed-{outcome.runs}"
        status = None
        while status is None:
            early, last = chance.random() < EARLY, outcome.kills == kills
            after_start = chance.uniform(0.0, start_up) if early and not last else math.inf
            after_going_on = None if last else 0.0 if early else chance.uniform(0.0, longest)
            status = _live(begin, place, after_start, after_going_on, saves=chance.random() < SAVES)
            if status is None:
                outcome.count_kill(place)
        outcome.differences += _differences(folder / "whole", place, status)
    outcome.seconds = time.monotonic() - started
    return outcome


def _live(begin: Callable, place: Path, start_up: float, training: float | None, saves: bool) -> int | None:
    """One process, killed so many seconds after its start, or `training` seconds after it went on (or, if it `saves`,
    after it saved), if that is sooner; its exit status if it ended by itself."""
    before = _complete(place)
    process = begin(place, "--resume", str(place / "saved"), "--save-every", "0.05")
    end = time.monotonic() + start_up
    while process.exitcode is None and time.monotonic() < end:
        if _complete(place) != before if saves or not before else WENT_ON in (place / "log").read_text():
            process.join(training)
            break
        time.sleep(0.005)
    process.kill()
    process.join()
    return None if process.exitcode == -signal.SIGKILL else process.exitcode


def _complete(place: Path) -> set[Path]:
    return set((place / "saved").glob("checkpoint-*.safetensors"))


def _begin(context, epochs: int, place: Path, *more: str):
    place.mkdir(parents=True, exist_ok=True)
    (place / "log").touch()
    arguments = (*COMMAND, "--epochs", str(epochs), "--out", str(place / "out"), *more)
    process = context.Process(target=command, args=(arguments, place / "log"))
    process.start()
    return process


def _never_killed(begin: Callable, place: Path) -> tuple[float, float]:
    """Seconds until the first epoch was trained, and from then to the end."""
    begin(place).join()  # compiles for all
    (place / "log").unlink()
    started = time.monotonic()
    process = begin(place)
    while "epoch   1" not in (place / "log").read_text():
        time.sleep(0.01)
        if process.exitcode:
            raise RuntimeError((place / "log").read_text())
    first = time.monotonic()
    process.join()
    return first - started, time.monotonic() - first


def _differences(whole: Path, killed: Path, exitcode: int) -> list[str]:
    if exitcode:
        return [f"exit status {exitcode}: {(killed / 'log').read_text()[-500:]}"]
    one, two = (load_file(place / "out" / "net.safetensors") for place in (whole, killed))
    found = [name for name in one.keys() | two.keys() if not np.array_equal(one.get(name), two.get(name))]
    one, two = (json.loads((place / "out" / "history.json").read_text()) for place in (whole, killed))
    found += ["steps"] if one["steps"] != two["steps"] else []
    one, two = ([row | dict.fromkeys(CLOCKS) for row in history["epochs"]] for history in (one, two))
    found += ["epochs"] if one != two else []
    return found + [path.name for path in (killed / "saved").glob("*.damaged")]


def main(kills: int) -> int:
    """Print what came out."""
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        outcome = survive(kills, Path(folder), seed)
    print(
        f"{outcome.kills} kills in {outcome.runs} runs and {outcome.seconds:.0f} s (seed {seed}), {outcome.early} "
        f"before it trained, {outcome.saving} while saving; went on from {len(set(outcome.steps))} different steps; "
        f"differences from the run never killed: {outcome.differences or 'none'}"
    )
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
