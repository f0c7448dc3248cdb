"""`python -m benchmarks.accuracy`: what the networks reach on the real data sets, and with how many spikes.

Every row is `snnlab train` with the options that it names, once for each seed, in a process of its own; the reports
that the command writes are kept beside the table. Test images are looked at after each epoch, never learned from.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

from benchmarks.tables import show, write

ROOT = Path(__file__).parents[1]
ROWS = {  # data set, options of `snnlab train`, and the accuracy that is aimed at
    "SNN, defaults": ("fashion-mnist", ["snn"], 0.880),
    "SNN, few spikes": ("fashion-mnist", ["snn", "--l1", "1e-3"], 0.870),
    "LSTM, defaults": ("fashion-mnist", ["lstm"], 0.890),
    "SNN, defaults, MNIST": ("mnist", ["snn"], 0.975),
    "SNN, 1000 neurons": ("fashion-mnist", ["snn", "--hidden", "1000"], 0.895),
}
KEPT = ("config", "versions", "backend", "epochs")


def train(data: Path, options: list[str], epochs: int, seed: int) -> dict:
    """One run; its report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "snnlab.cli", "train", *options, "--data", str(data)]
        command += ["--epochs", str(epochs), "--seed", str(seed), "--json", str(report)]
        subprocess.run(command, check=True, cwd=ROOT)
        found = json.loads(report.read_text(encoding="utf-8"))
    return {name: found[name] for name in KEPT}


def earlier(path: Path, epochs: int, seeds: int) -> dict[str, list[dict]]:
    """What was measured before, so that single rows can be measured anew."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))["reports"]
    alike = {(len(reports), *{report["config"]["epochs"] for report in reports}) for reports in found.values()}
    return found if alike == {(seeds, epochs)} else {}


def row(name: str, reports: list[dict]) -> list[str]:
    """A row of the table: means over the seeds."""
    data, options, aim = ROWS[name]
    last = [report["epochs"][-1] for report in reports]
    spikes = [epoch["spikes_per_sample"] for epoch in last if epoch["spikes_per_sample"] is not None]
    each = ", ".join(f"{epoch['test_acc']:.4f}" for epoch in last)
    test, learned = (mean(epoch[key] for epoch in last) for key in ("test_acc", "train_acc"))
    command, counted = f"`snnlab train {' '.join(options)}`", f"{mean(spikes):.1f}" if spikes else ""
    return [name, data, command, f"{test:.4f}", each, f"{aim:.3f}", f"{learned:.3f}", counted]


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help=f"folder of the data sets (default: {default})")
    parser.add_argument("--epochs", type=int, default=10, help="of each run (default: 10)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row (default: 3)")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), help="which (default: all)")
    path = ROOT / "benchmarks" / "results" / "accuracy.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    reports = earlier(options.json, options.epochs, options.seeds)
    for name in options.rows:
        reports[name] = []
        data, arguments, _ = ROWS[name]
        for seed in range(options.seeds):
            print(f"{name}, seed {seed}", flush=True)
            reports[name].append(train(options.data / data, arguments, options.epochs, seed))
        table = {
            "title": "What the networks reach",
            "about": f"Test accuracy after {options.epochs} epochs: mean over seeds 0 to {options.seeds - 1}; "
            "spikes are those of the hidden layer per test sample.",
            "columns": ["network", "data", "command", "test", "each", "aim", "train", "spikes"],
            "rows": [row(name, reports[name]) for name in ROWS if name in reports],
        }
        write(options.json, [table], reports=reports)
    show(table)


if __name__ == "__main__":
    main()
