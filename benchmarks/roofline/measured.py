"""The step as users run it: through `Trainer`, in its chunks, from uint8 images on."""

import time
from collections.abc import Iterator
from statistics import median

import numpy as np

import snnlab
from benchmarks import machine
from benchmarks.machine import DISTURBED
from snnlab.train import Trainer

BATCH = 256
CALL = 0.5  # seconds of steps that are timed together
ENOUGH = 3  # undisturbed calls
ENDLESS = 100_000  # epochs


class Measurement:
    """Times of one network, collected call by call.

    Args:
        config: of the network.
        data: to train on.
    """

    def __init__(self, config, data: snnlab.Dataset):
        self.network = snnlab.build(config, sample_shape=data.sample_shape, num_classes=data.num_classes)
        self.trainer = Trainer(self.network, data, batch_size=BATCH, epochs=ENDLESS, schedule="constant")
        self.calls: list[dict] = []
        self.chunks: list[float] = []
        self._reports: Iterator = iter(self.trainer)
        while len(self.trainer.history) < 10:  # compiles, and finds the length of its chunks
            next(self._reports)

    def call(self) -> None:
        """Steps for half a second. What the trainer says about the test set is taken, but not timed."""
        wall = cpu = others = 0.0
        steps, told = 0, True
        while wall < CALL:
            busy, before = machine.busy_seconds(), len(self.trainer.history)
            used, started = time.process_time(), time.perf_counter()
            report = next(self._reports)
            seconds, used = time.perf_counter() - started, time.process_time() - used
            if report.phase != "train":
                continue
            taken = len(self.trainer.history) - before
            self.chunks.append(1e3 * seconds / taken)
            wall, cpu, steps = wall + seconds, cpu + used, steps + taken
            told = told and busy is not None
            others += max(0.0, machine.busy_seconds() - busy - used) if told else 0.0
        share = others / (wall * machine.describe()["cores"]) if told else None
        self.calls.append({"wall": 1e3 * wall / steps, "cpu": 1e3 * cpu / steps, "others": share, "steps": steps})

    def result(self, cores: int) -> dict:
        """Milliseconds a step: median of the undisturbed calls, least of all chunks, CPU time on all cores."""
        quiet = [call for call in self.calls if (call["others"] or 0.0) <= DISTURBED]
        counted = quiet if len(quiet) >= ENOUGH else self.calls
        return {
            "median": median(call["wall"] for call in counted),
            "min": min(self.chunks),
            "cpu_median": median(call["cpu"] for call in counted) / cores,
            "cpu_min": min(call["cpu"] for call in self.calls) / cores,
            "counted": len(counted),
            "quiet": len(quiet),
            "calls": self.calls,
            "spikes": float(np.mean(self.trainer.history.steps().get("spikes_per_sample", np.zeros(11))[10:])),
        }


def events(network, data: snnlab.Dataset, samples: int = 4096) -> tuple[float, np.ndarray]:
    """Input spikes per sample of the training set, and the units of 64 samples in the order of their arrival."""
    coded = network.encoder(data.x_train[:samples])
    times = np.asarray(coded.times)
    fires = (times >= 0) & (times < coded.num_steps)
    order = [np.argsort(line, kind="stable")[: mask.sum()] for line, mask in zip(times[:64], fires[:64], strict=True)]
    return float(fires.sum() / len(times)), np.concatenate(order)
