"""`python -m benchmarks.step`: median time of one optimizer step of the reference networks, on random images.

Batch 256, 28x28 pixels, 100 time steps of 784-100-10 (SNN), 28 rows of 100 units (LSTM). The two take turns, so
that what else the machine does falls on both.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from statistics import median

import jax
import numpy as np

import snnlab
from snnlab.train import Trainer


def trainers(batch_size: int) -> dict[str, Trainer]:
    """Both networks on the same images, as dark as Fashion-MNIST: half of the pixels are black."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4 * batch_size, 28, 28), dtype=np.uint8) * rng.integers(0, 2, (1, 28, 28), dtype=np.uint8)
    y = rng.integers(0, 10, 4 * batch_size)
    data = snnlab.Dataset(name="random", x_train=x, y_train=y, x_test=x[:batch_size], y_test=y[:batch_size])
    made = {}
    for name, config in (("snn", snnlab.SnnConfig()), ("lstm", snnlab.LstmConfig())):
        net = snnlab.build(config, sample_shape=(28, 28), num_classes=10)
        made[name] = Trainer(net, data, epochs=10_000, batch_size=batch_size)
    return made


def measure(seconds: float, batch_size: int) -> dict[str, dict[str, float]]:
    """Milliseconds a step: the median over chunks, and how many steps were timed."""
    runs = trainers(batch_size)
    reports = {name: iter(trainer) for name, trainer in runs.items()}
    for report in reports.values():
        next(report)  # compiles
    times: dict[str, list[float]] = {name: [] for name in runs}
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for name, report in reports.items():
            chunk = next(report)
            if chunk.phase == "train":
                times[name].append(1000.0 * batch_size / chunk.samples_per_second)
    return {
        name: {"ms_per_step": median(values), "chunks": len(values), "compile_seconds": runs[name].compile_seconds}
        for name, values in times.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure (default: 30)")
    parser.add_argument("--batch-size", type=int, default=256, help="samples a step (default: 256)")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    result = {"machine": platform.processor() or platform.machine(), "backend": jax.default_backend()}
    result |= {"jax": jax.__version__, "batch_size": options.batch_size}
    result["networks"] = measure(options.seconds, options.batch_size)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
