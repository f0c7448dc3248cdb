"""The compiled steps of a run."""

import time

import numpy as np

from snnlab.errors import StateError
from snnlab.support.compile_cache import keep_programs
from snnlab.support.memory import give_memory_back
from snnlab.train.feed import Feed
from snnlab.train.step import State, Stepper, Structure, compiled


class Runner:
    """The compiled steps of a run, with what it takes its batches from.

    Args:
        stepper: what a step is.
        feed: where the batches come from.

    Attributes:
        feed: see above.
        metric_names: what is measured at every step.
    """

    def __init__(self, stepper: Stepper, feed: Feed):
        self.feed = feed
        self.metric_names = stepper.structure.metric_names(stepper.start, *feed.example)
        self._chunk = compiled(Structure.chunk, stepper.structure, self.metric_names, apart=feed.form)
        self._prepared = False

    @property
    def compilations(self) -> int:
        """Number of programs compiled for the training step."""
        return self._chunk._cache_size()  # pyright: ignore[reportAttributeAccessIssue] (jit has no public count)

    def prepare(self, state: State) -> float:
        """Open the feed and compile, once. Returns the seconds that it took."""
        if self._prepared:
            return 0.0
        started = time.perf_counter()
        keep_programs()
        for samples, index in self.feed.open():
            self._chunk.lower(state, *samples, index, np.int32(0)).compile()
        give_memory_back()  # of the compiler
        self._prepared = True
        return time.perf_counter() - started

    def batches(self, seed: int, epoch: int, *, again: bool = False):
        """Return the batches of an epoch, see `Feed.batches`."""
        return self.feed.batches(seed, epoch, again=again)

    def __call__(self, state: State, batches) -> tuple[State, dict[str, np.ndarray], bool]:
        """Take one step for each of some batches. Returns what `Structure.chunk` does."""
        if not self._prepared:
            raise StateError("runner: is not compiled; call prepare(state) first")
        samples, index = self.feed.take(batches)
        state, log, sound = self._chunk(state, *samples, index, np.int32(len(batches)))
        return state, {name: np.asarray(values)[: len(batches)] for name, values in log.items()}, bool(sound)
