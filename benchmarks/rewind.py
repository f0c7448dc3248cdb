"""`python -m benchmarks.rewind`: what it costs to keep points of a run, and how long it takes to go back to any step.

The reference network on Fashion-MNIST. Runs take turns of an epoch each: one has a `Timeline`, two have none and show
how much runs differ that are the same. CPU time is that of the process. Then some random steps of the run with a
timeline are reached from the points that were kept. Needs the data (`--data`). Takes some minutes.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles

import numpy as np

import snnlab
from benchmarks.tables import show, write
from snnlab.timeline import Timeline
from snnlab.train import Trainer

ROOT = Path(__file__).parents[1]
PLAIN, KEPT, AGAIN = "without", "with a timeline", "without, once more"


def make(images: snnlab.Dataset, epochs: int) -> Trainer:
    """A run of the reference network."""
    net = snnlab.build(snnlab.SnnConfig(), sample_shape=images.sample_shape, num_classes=images.num_classes)
    return Trainer(net, images, epochs=epochs)


class Counting(Timeline):
    """A timeline that knows the CPU seconds that its keeping took in its own thread."""

    spent = 0.0

    def keep(self) -> None:
        began = time.thread_time()
        super().keep()
        self.spent += time.thread_time() - began


def epoch_of(reports: Iterable) -> float:
    """Train an epoch; returns the CPU seconds of the process."""
    began = time.process_time()
    for report in reports:
        if report.phase == "epoch":
            break
    return time.process_time() - began


def keeping(runs: dict[str, Trainer | Timeline], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each epoch; the runs take turns, forwards and backwards."""
    for run in runs.values():
        epoch_of(run)  # compiles
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            found[name].append(epoch_of(runs[name]))
        print(f"round {number + 1} of {rounds}", flush=True)
    return found


def going_back(timeline: Timeline, count: int) -> list[tuple[int, int, float]]:
    """Reach random steps: each with how many steps were trained again, and the seconds that it took."""
    found = []
    for step in np.random.default_rng(0).integers(0, timeline.trainer.total_steps + 1, count).tolist():
        again = step - timeline._nearest(step).steps
        began = time.perf_counter()
        timeline.rewind(step=step)
        found.append((step, again, time.perf_counter() - began))
        timeline.switch(timeline.here)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rewind", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data" / "fashion-mnist"
    parser.add_argument("--data", default=str(default), help=f"name or folder of a data set (default: {default})")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of each run (default: 10)")
    parser.add_argument("--steps", type=int, default=20, help="random steps to go back to (default: 20)")
    path = ROOT / "benchmarks" / "results" / "rewind.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    images = snnlab.load_data(options.data)
    timeline = Counting(make(images, options.epochs))
    runs = {PLAIN: make(images, options.epochs), KEPT: timeline, AGAIN: make(images, options.epochs)}
    found = keeping(runs, options.epochs - 1)
    back = going_back(timeline, options.steps)
    tables = [keeping_table(found, timeline, options.epochs), going_back_table(timeline, back)]
    for result in tables:
        show(result)
    write(options.json, tables, epochs=found, back=back)


def keeping_table(found: dict[str, list[float]], timeline: Counting, epochs: int) -> dict:
    """Medians; what a timeline adds is compared within each round."""
    rows = []
    for name, seconds in found.items():
        more = [100.0 * (one / plain - 1.0) for one, plain in zip(seconds, found[PLAIN], strict=True)]
        low, middle, high = quantiles(more, n=4, method="inclusive")
        own = f"{100.0 * timeline.spent / epochs / median(seconds):.3f} %" if name == KEPT else ""
        rows.append([name, f"{median(seconds):.2f}", f"{middle:+.1f} %", f"{low:+.1f} to {high:+.1f}", own])
    return {
        "title": "An epoch of Fashion-MNIST while points of the run are kept",
        "about": "CPU of the process; what is more than without a timeline is the median (and the middle half) over "
        "the rounds. The last column is the CPU time inside of `Timeline.keep`.",
        "columns": ["run", "CPU [s]", "more", "middle half [%]", "in keep"],
        "rows": rows,
    }


def going_back_table(timeline: Timeline, back: list[tuple[int, int, float]]) -> dict:
    """Median and worst of all random steps."""
    again, seconds = [row[1] for row in back], [row[2] for row in back]
    points, size = len(timeline.points), timeline.bytes / 1e6
    return {
        "title": "Going back to any step of a run",
        "about": f"{len(back)} random steps of {timeline.trainer.total_steps:,}, reached from {points} points that "
        f"were kept ({size:.0f} MB). Seconds by the clock.",
        "columns": ["", "steps trained again", "seconds"],
        "rows": [
            ["median", f"{median(again):.0f}", f"{median(seconds):.2f}"],
            ["worst", f"{max(again)}", f"{max(seconds):.2f}"],
        ],
    }


if __name__ == "__main__":
    main()
