"""`python -m benchmarks.sources`: what it costs to train from a source of batches in place of a data set in memory.

The reference network on Fashion-MNIST. The same batches come from memory, from a generator function, and from a file
that is mapped; and from a generator that sleeps half a step, or two steps, before each batch. Runs take turns of an
epoch each, so that a change of the machine's speed concerns all of them. Needs the data (`--data`).
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import snnlab
from snnlab.train import Trainer

ROOT = Path(__file__).parents[1]
B = 128


def epoch_of(trainer: Trainer) -> tuple[float, float]:
    """Train an epoch without its test; returns the time of a step, and that of the processor [ms]."""
    start, steps = len(trainer.history), trainer.steps_per_epoch - 1
    began = time.perf_counter(), time.process_time()
    trainer.fit(until=start + steps)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    trainer.fit(until=start + steps + 1)
    return 1e3 * wall / steps, 1e3 * cpu / steps


def generator(images: snnlab.Dataset, sleep: float = 0.0):
    """A function that cuts the batches that a run in memory takes."""

    def batches(epoch: int):
        order = np.random.default_rng([0, epoch]).permutation(len(images.x_train))
        for row in order[: len(order) // B * B].reshape(-1, B):
            time.sleep(sleep)
            yield images.x_train[row], images.y_train[row]

    return batches


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "fashion-mnist")
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = snnlab.load_data(options.data).subset(train=options.samples, test=512)
    test = [(images.x_test, images.y_test)]

    def made(train, **more) -> Trainer:
        net = snnlab.build(snnlab.SnnConfig(), sample_shape=(28, 28), num_classes=10)
        return Trainer(net, train, epochs=100, **more)

    usual = made(images, batch_size=B)
    epoch_of(usual)  # compiles
    step = epoch_of(usual)[0] / 1e3
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", images.x_train)
        mapped = np.load(f"{folder}/x.npy", mmap_mode="r")
        runs = {
            "data set in memory": usual,
            "the same again": made(images, batch_size=B),
            "generator function": made(generator(images), test=test),
            "mapped file": made((mapped, images.y_train), test=test, batch_size=B),
            "generator, half a step each": made(generator(images, step / 2), test=test),
            "generator, two steps each": made(generator(images, 2 * step), test=test),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for number in range(options.rounds + 1):
            for name, trainer in runs.items():
                taken = epoch_of(trainer)
                if number:  # the first one compiles
                    found[name].append(taken)
        for name, times in found.items():
            wall, cpu = (median(column) for column in zip(*times, strict=True))
            print(f"{name:<30} {wall:6.2f} ms a step, {cpu:6.2f} ms of the processor")


if __name__ == "__main__":
    main()
