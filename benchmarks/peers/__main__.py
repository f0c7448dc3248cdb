"""`python -m benchmarks.peers`: spiking networks and the LSTM in snnlab and in its peers, in one run.

A contender computes in a process of its own, and only one at a time: they take turns round by round, so that what else
the machine does falls on all. Needs the extra "bench"; who is not installed is reported and left out. Needs
Fashion-MNIST as a folder with the four idx files. Peers that need another Python have `--python`: its environment needs
snnlab, too.
"""

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.peers import table
from benchmarks.peers.rounds import compete
from benchmarks.peers.tasks import TASKS
from snnlab.data import load
from snnlab.errors import SnnlabError

HERE = Path(__file__).parents[1]
DATA = HERE.parents[1] / "shared" / "data" / "fashion-mnist"
PACKAGES = ("snnlab-live", "jax", "jaxlib", "flax", "optax", "numpy", "numba", "torch", "brainpy")
PACKAGES += ("spyx", "jaxpike", "sparxml", "snntorch", "spikingjelly", "norse")
EPOCH_STEPS = 30  # of 234, for the contenders that take steps of an epoch and scale them
EPOCH_ROUNDS = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [f"{key}/{name}" for key, task in TASKS.items() for name in task.contenders]
    parser.add_argument("--rounds", type=int, default=8, help="timed calls of each contender (default: 8)")
    parser.add_argument(
        "--steps", type=int, default=6, help="steps in a call; more of the LSTM, fewer of large networks (default: 6)"
    )
    parser.add_argument(
        "--only", metavar="NAME,NAME", help=f"contenders, in full or without their task: {', '.join(names)}"
    )
    parser.add_argument("--tasks", metavar="NAME,NAME", help=f"which tables: {', '.join(TASKS)} (default: all)")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PACKAGE=PATH", help="interpreter for the peers of a package"
    )
    parser.add_argument(
        "--patience", type=float, default=3.0, help="seconds to wait before a call until nothing else runs (default: 3)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the tables of the file that are not measured now")
    parser.add_argument("--skip-epoch", action="store_true", help="do not measure epochs")
    parser.add_argument("--full", action="store_true", help=f"whole epochs of BrainPy, not {EPOCH_STEPS} steps scaled")
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of Fashion-MNIST (default: {DATA})")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "peers.json", help="where the result goes")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps must be at least 1")
    wanted = set(options.only.split(",")) if options.only else set(names)
    unknown = wanted - set(names) - {name.partition("/")[2] for name in names}
    if unknown:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    options.wanted = wanted
    options.tasks = options.tasks.split(",") if options.tasks else list(TASKS)
    if unknown := set(options.tasks) - set(TASKS):
        parser.error(f"--tasks: unknown {', '.join(sorted(unknown))}; known: {', '.join(TASKS)}")
    if wrong := [given for given in options.python if "=" not in given]:
        parser.error(f"--python: must be PACKAGE=PATH, got {wrong[0]}")
    options.pythons = dict(given.split("=", 1) for given in options.python)
    return options


def _check_data(folder: Path) -> None:
    try:
        load(folder)
    except SnnlabError as error:
        print(
            f"{error}\nThe benchmark needs the four idx files of Fashion-MNIST (they are no part of snnlab): "
            f"https://github.com/zalandoresearch/fashion-mnist\nSay where they are with --data FOLDER.",
            file=sys.stderr,
        )
        sys.exit(2)


def _measure(key: str, options: argparse.Namespace, tell) -> dict | None:
    """One task: its description and its contenders' records, None if nobody takes part."""
    task = TASKS[key]
    names = [name for name in task.contenders if {name, f"{key}/{name}"} & options.wanted]
    if not names or (task.per_epoch and options.skip_epoch):
        return None
    rounds, steps = options.rounds, max(1, round(options.steps * task.share))
    about = task.about
    if task.per_epoch:
        rounds, steps = min(rounds, EPOCH_ROUNDS), 234 if options.full else EPOCH_STEPS
        about += "" if options.full else f" Of BrainPy's epochs {steps} steps are measured and scaled to 234."
    settings = {"rounds": rounds, "steps": steps, "patience": options.patience, "folder": str(options.data)}
    settings["pythons"] = options.pythons
    records = compete(key, task, names, tell=tell, **settings)
    busy = table.busy(records, disturbed=table.summarize(task, records))
    described = {"title": task.title, "about": about, "unit": task.unit, "rounds": rounds, "steps": steps}
    return described | {"busy": busy, "contenders": records}


def _kept(path: Path) -> dict[str, dict]:
    """The tables of an earlier run on this machine."""
    if not path.exists():
        return {}
    earlier = json.loads(path.read_text(encoding="utf-8"))
    return earlier["tasks"] if earlier["machine"] == machine.describe() else {}


def main() -> None:
    """Measure, print, write."""
    options = _arguments()
    _check_data(options.data)
    started = time.perf_counter()

    def tell(message: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {message}", file=sys.stderr, flush=True)

    measured = {key: result for key in options.tasks if (result := _measure(key, options, tell))}
    tasks = (_kept(options.json) if options.keep else {}) | measured
    result = {
        "machine": machine.describe(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started),
        "packages": {name: machine.version(name) for name in PACKAGES},
        "tasks": {key: tasks[key] for key in TASKS if key in tasks},  # each "as before" is one of these
    }
    print(" | ".join(map(str, result["machine"].values())))
    for key, task in measured.items():
        print(f"\n{table.text(TASKS[key], task['contenders'])}\n{task['busy']}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    tell(f"written: {options.json}")


if __name__ == "__main__":
    main()
