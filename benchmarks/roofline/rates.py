"""How fast this machine is at each thing alone, all cores at once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.roofline import micro

SPAN = 0.02  # seconds that one run takes
SHAPES = {"gemm": (768, 768, 768), "gemm of the LSTM": (256, 100, 400)}
LEVELS = {"L2": 3 * 96 * 2**10, "L3": 6 * 2**20, "memory": 96 * 2**20}  # bytes a core, of three arrays together
PASSES = {micro.copy: 8, micro.triad: 12, micro.read: 4}  # bytes an element


class Loop(NamedTuple):
    """A loop to time: `run(scratch, repetitions)`, and how much it does in one repetition."""

    run: Callable
    work: float


def _aligned(count: int) -> np.ndarray:
    raw = np.ones(count + 32, np.float32)
    return raw[(-raw.ctypes.data % 64) // 4 :][:count]


class _Scratch:
    """Memory of one thread: tables of weights, and three arrays for the bandwidth."""

    def __init__(self, units: np.ndarray, num_units: int):
        self.units = np.ascontiguousarray(units, np.int32)
        self.arrays = [_aligned(LEVELS["memory"] // 12) for _ in range(3)]
        self.table = _aligned(num_units * micro.ROW)
        self.out = _aligned(2048)
        self.out[:] = np.linspace(0.4, 0.6, 2048)

    def at(self, name: str) -> int:
        """Address of an array."""
        return getattr(self, name).ctypes.data

    def passes(self, turns: int, kernel, size: int) -> None:
        """Go through arrays of a level of the memory so many times."""
        a, b, c = (array.ctypes.data for array in self.arrays)
        for _ in range(turns):
            kernel(a, b, c, size)

    def rows(self, turns: int, kernel) -> None:
        """Go through the events so many times."""
        for _ in range(turns):
            kernel(self.at("table"), self.at("units"), len(self.units), self.at("out"))


def _product(rows: int, inner: int, columns: int) -> Callable:
    """A matrix product in each thread, on matrices that all read."""
    a, b = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    return lambda _scratch, turns: [a @ b for _ in range(turns)]


def _arithmetic(kernel) -> Callable:
    return lambda scratch, turns: kernel(scratch.at("out"), turns * 1000)


def _loops(num_events: int) -> dict[str, list[Loop]]:
    """All loops by the name of their rate; of several for one thing the fastest counts."""
    loops = {
        "multiply-add": [Loop(_arithmetic(micro.products), 8e3)],
        "vector": [Loop(_arithmetic(micro.mixture), 1e4), Loop(_arithmetic(micro.products), 8e3)],
        "division": [Loop(_arithmetic(micro.quotients), 4e3)],
        "neurons": [Loop(_arithmetic(micro.neurons), 4e3)],
    }
    for name, row, vector in (
        ("load-add", micro.add_rows, micro.add_vectors),
        ("change", micro.change_rows, micro.change_vectors),
    ):
        loops[name] = [
            Loop(partial(_Scratch.rows, kernel=kernel), num_events * vectors)
            for kernel, vectors in ((row, micro.TILES), (vector, 1))
        ]
    for level, size in LEVELS.items():
        count = size // 12 // 64 * 64
        loops[level] = [
            Loop(partial(_Scratch.passes, kernel=kernel, size=count), count * bytes_)
            for kernel, bytes_ in PASSES.items()
        ]
    for name, (rows, inner, columns) in SHAPES.items():
        loops[name] = [Loop(_product(rows, inner, columns), 2.0 * rows * inner * columns)]
    return loops


class Rates:
    """Rates per second of all cores together: the highest of all rounds.

    All cores run the same loop at once. A run is timed by the CPU time of its thread, so that other processes on this
    machine do not make it look slow.

    Args:
        units: input units in the order in which real events arrive.
        num_units: how many there are.
    """

    def __init__(self, units: np.ndarray, num_units: int):
        self.cores = machine.describe()["cores"]
        self.best: dict[str, float] = {}
        self._scratch = [_Scratch(units, num_units) for _ in range(self.cores)]
        self._loops = _loops(len(units))
        self._turns: dict[int, int] = {}

    def round(self) -> None:
        """Measure everything once more."""
        with ThreadPoolExecutor(self.cores) as pool:
            for name, loops in self._loops.items():
                for loop in loops:
                    self.best[name] = max(self._rate(loop, pool), self.best.get(name, 0.0))

    def _rate(self, loop: Loop, pool: ThreadPoolExecutor) -> float:
        if id(loop.run) not in self._turns:
            loop.run(self._scratch[0], 1)  # compiles
            turns = 1
            while (seconds := _seconds(loop, self._scratch[0], turns)) < SPAN / 2:
                turns = max(2 * turns, int(turns * SPAN / max(seconds, 1e-6) / 2))
            self._turns[id(loop.run)] = turns
        turns = self._turns[id(loop.run)]
        taken = pool.map(lambda scratch: _seconds(loop, scratch, turns), self._scratch)
        return sum(loop.work * turns / seconds for seconds in taken)


def _seconds(loop: Loop, scratch: _Scratch, turns: int) -> float:
    started = time.thread_time()
    loop.run(scratch, turns)
    return time.thread_time() - started
