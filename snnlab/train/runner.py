"""The compiled steps of a run."""

import time
from collections.abc import Callable
from typing import Any

import jax

import numpy as np

from snnlab.errors import StateError
from snnlab.support.compile_cache import keep_programs
from snnlab.support.memory import give_memory_back
from snnlab.train.devices import Devices
from snnlab.train.feed import Feed
from snnlab.train.step import ONE_DEVICE, State, Stepper, Structure, compiled


class Runner:
    """The compiled steps of a run, with what it takes its batches from.

    Args:
        stepper: what a step is.
        feed: where the batches come from.
        devices: that share out the samples of a batch.

    Raises:
        ArgumentError: if the devices cannot share them evenly.

    Attributes:
        feed: see above.
        metric_names: what is measured at every step.
    """

    def __init__(self, stepper: Stepper, feed: Feed, devices: Devices = ONE_DEVICE):
        self.feed = feed
        self.metric_names = stepper.structure.metric_names(stepper.start, *feed.example)
        self._devices = devices
        options: dict[str, Any] = {"apart": feed.form, "devices": devices}
        self._chunk = compiled(Structure.chunk, stepper.structure, self.metric_names, **options)
        self._test = compiled(Structure.test, stepper.structure, devices=devices)
        self._prepared = False
        self._put = devices.put
        self._state, self._samples = Kept(devices.put), Kept(devices.put)
        if devices.count > 1:  # a kernel says if it cannot share
            jax.eval_shape(compiled(Structure.step, stepper.structure, devices=devices), stepper.start, *feed.example)

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
            self._chunk.lower(self._state(state), *self._samples(samples), *self._put((index, np.int32(0)))).compile()
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
        index, count = self._put((index, np.int32(len(batches))))
        after, log, sound = self._chunk(self._state(state), *self._samples(samples), index, count)
        state = self._devices.home(after)
        self._state.keep(state, after)
        return state, {name: np.asarray(values)[: len(batches)] for name, values in log.items()}, bool(sound)

    def test(self, state: State, x, targets, number: np.int32) -> tuple[dict, dict]:
        """Measure one batch, see `Structure.test`."""
        return self._devices.home(self._test(self._state(state), *self._put((x, targets, number))))


class Kept:
    """Bring something to the devices, and know it if it comes again.

    Args:
        put: brings it there.

    Example:
        >>> bring, one = Kept(list), (1, 2)
        >>> bring(one), bring(one) is bring(one), bring((1, 2)) is bring(one)
        ([1, 2], True, False)
    """

    def __init__(self, put: Callable):
        self._put = put
        self._last: tuple[Any, Any] = None, None

    def __call__(self, given: Any) -> Any:
        if self._last[0] is not given:
            self.keep(given, self._put(given))
        return self._last[1]

    def keep(self, given: Any, there: Any) -> None:
        """Remember where it is."""
        self._last = given, there
