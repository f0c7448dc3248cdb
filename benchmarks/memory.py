"""`python -m benchmarks.memory`: what a network remembers whose thresholds adapt.

Two tasks, each learned by neurons whose thresholds adapt (ALIF) and by neurons whose thresholds do not (LIF), with the
same sizes and the same training:

- store-recall: a bit that was shown 150 to 300 ms ago has to be said, after membranes of 10 ms have forgotten it
  (`snnlab.data.store_recall`);
- MNIST, row by row: 28 steps of 28 pixels, as currents.

A tenth of the training samples is held out, and all settings were chosen by it. The test samples are looked at once, at
the end. A recall is right if the mean of the readout over its 50 steps is higher for the bit that was stored.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.tables import show, write
from snnlab import SnnConfig, build, data
from snnlab.data import Dataset
from snnlab.losses import Classification
from snnlab.train import Trainer

ROOT = Path(__file__).parents[1]
BATCH = 128  # samples in a batch that is only looked at


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        data: name of a data set, or of a folder of them.
        config: of the network.
        epochs: of the training, whose learning rate falls along a cosine.
        learning_rate: at the start.
        batch_size: samples in a step.
        readout: what is scored of it, where a sample has one label.
        aim: what shall be reached, None for a comparison.
    """

    data: str
    config: SnnConfig
    epochs: int
    learning_rate: float
    batch_size: int
    readout: str = "mean"
    aim: float | None = None


def _recall(**neuron) -> SnnConfig:
    return SnnConfig(hidden=60, recurrent=True, code="events", num_steps=800, **neuron)


def _rows(**neuron) -> SnnConfig:
    """A row lasts 1 ms: synapses and membranes tell it from the next, connections and thresholds remember."""
    quick = {"tau_syn": 2.0, "tau_mem": 5.0, "tau_out": 20.0}
    return SnnConfig(hidden=256, recurrent=True, code="rows", input_dropout=0.0, **quick, **neuron)


ROWS = {
    "store-recall, ALIF": Row(
        data="store_recall",
        config=_recall(neuron="alif", beta=1.0, tau_adapt=400.0),
        epochs=20,
        learning_rate=1e-2,
        batch_size=64,
        aim=0.95,
    ),
    "store-recall, LIF": Row(data="store_recall", config=_recall(), epochs=20, learning_rate=1e-2, batch_size=64),
    "MNIST by rows, ALIF": Row(
        data="mnist",
        config=_rows(neuron="alif"),
        epochs=16,
        learning_rate=5e-3,
        batch_size=128,
        readout="last",
        aim=0.97,
    ),
    "MNIST by rows, LIF": Row(
        data="mnist", config=_rows(), epochs=16, learning_rate=5e-3, batch_size=128, readout="last"
    ),
}


def recalls(readout: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Count the recalls that are right, and all of them.

    A recall is a run of steps with a label, and is answered by the mean of the readout over it.

    Args:
        readout: (time, sample, class).
        labels: (sample, time), -1 where there is none.
    """
    right = total = 0
    for sample, row in enumerate(labels):
        asked = np.concatenate([[False], row >= 0, [False]])
        begins, ends = np.flatnonzero(asked[1:] & ~asked[:-1]), np.flatnonzero(asked[:-1] & ~asked[1:])
        for begin, end in zip(begins, ends, strict=True):
            right += int(readout[begin:end, sample].mean(0).argmax() == row[begin])
            total += 1
    return right, total


def share_of_recalls(model: Callable, dataset: Dataset, part: str) -> float:
    """Share of the recalls of a part of the data that are right."""
    x, targets = dataset.part(part)
    counts = []
    for begin in range(0, len(targets), BATCH):
        batch = slice(begin, begin + BATCH)
        counts.append(recalls(np.asarray(model(x[batch]).readout), targets[batch].values))
    right, total = np.sum(counts, axis=0)
    return float(right / total)


def train(row: Row, folder: Path, seed: int, tell: Callable[[str], None]) -> dict:
    """One run; its result."""
    path = folder / row.data
    dataset = data.load(path if path.is_dir() else row.data).hold_out(0.1)
    model = build(row.config, sample_shape=dataset.sample_shape, num_classes=dataset.num_classes, seed=seed)
    settings = {"epochs": row.epochs, "learning_rate": row.learning_rate, "batch_size": row.batch_size, "seed": seed}
    if dataset.task == "label":
        settings["loss"] = Classification(row.readout, l1=1e-5, l2=1e-5)
    trainer, started = Trainer(model, dataset, **settings), time.perf_counter()
    for report in trainer:
        if report.phase == "epoch":
            last = trainer.history.epochs[-1]
            tell(
                f"epoch {report.epoch}, " + ", ".join(f"{name} {last[name]:.4f}" for name in ("train_loss", "val_acc"))
            )
    minutes = (time.perf_counter() - started) / 60.0
    found = trainer.evaluate()
    result = {"seed": seed, "minutes": minutes, "spikes": found["spikes_per_sample"], "loss": found["loss"]}
    if dataset.task == "step_labels":
        parts = {part: share_of_recalls(model, dataset, part) for part in ("val", "test")}
    else:
        parts = {"val": trainer.history.epochs[-1]["val_acc"], "test": found["accuracy"]}
    return result | parts


def _cells(name: str, results: list[dict]) -> list[str]:
    row = ROWS[name]
    test, held_out, minutes, spikes = (
        mean(result[key] for result in results) for key in ("test", "val", "minutes", "spikes")
    )
    each = ", ".join(f"{result['test']:.4f}" for result in results)
    aim = "" if row.aim is None else f"{row.aim:.2f}"
    return [name, f"{test:.4f}", each, aim, f"{held_out:.4f}", f"{spikes:.0f}", f"{minutes:.1f}"]


def _table(results: dict[str, list[dict]]) -> dict:
    return {
        "title": "What adapting thresholds remember",
        "about": "Share of the recalls, or of the images, that are right: of the test samples, as a mean over the "
        "seeds, and of those held out; spikes of the hidden layer per sample; minutes of training.",
        "columns": ["network", "test", "each", "aim", "held out", "spikes", "minutes"],
        "rows": [_cells(name, results[name]) for name in ROWS if name in results],
    }


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help=f"folder of the data sets (default: {default})")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each row (default: 1)")
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), help="which (default: all)")
    path = ROOT / "benchmarks" / "results" / "memory.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    results = json.loads(options.json.read_text(encoding="utf-8"))["results"] if options.json.exists() else {}
    for name in options.rows:
        results[name] = []
        for seed in range(options.seeds):
            tell = lambda text, place=f"{name}, seed {seed}": print(f"{place}: {text}", flush=True)  # noqa: E731
            results[name].append(train(ROWS[name], options.data, seed, tell))
        write(options.json, [_table(results)], results=results)
    show(_table(results))


if __name__ == "__main__":
    main()
