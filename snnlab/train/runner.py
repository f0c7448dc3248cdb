"""The compiled steps of a run."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from snnlab.errors import StateError
from snnlab.support.compile_cache import keep_programs
from snnlab.support.memory import give_memory_back
from snnlab.train.devices import Devices, without_keys
from snnlab.train.feed import Feed
from snnlab.train.processes import END, Line, broadcast, forms_of, leads, packed, together, unpacked
from snnlab.train.step import ONE_DEVICE, State, Stepper, Structure, compiled

CHUNK, TEST = "chunk", "test"  # the programs of a run


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
        self._line = Line() if devices.of_others else None
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
        programs = []
        for samples, index in self.feed.open():
            given = self._state(state), *self._samples(samples), *self._put((index, np.int32(0)))
            lowered = self._chunk.lower(*given)
            if self._line is not None:
                programs.append(lowered.as_text())
            lowered.compile()
        give_memory_back()  # of the compiler
        if self._line is not None:
            alike = repr((self.feed.identity, programs))  # in all processes
            self._line.meet(hashlib.sha256(alike.encode()).hexdigest())
            self._state.keep(None, None)  # the others do not know this one
        self._prepared = True
        return time.perf_counter() - started

    def batches(self, seed: int, epoch: int, *, again: bool = False):
        """Return the batches of an epoch, see `Feed.batches`."""
        return self.feed.batches(seed, epoch, again=again)

    def __call__(self, state: State, batches) -> tuple[State, dict[str, np.ndarray], bool]:
        """Take one step for each of some batches. Returns what `Structure.chunk` does.

        Raises:
            StateError: if a process that computes with this one has ended.
        """
        if not self._prepared:
            raise StateError("runner: is not compiled; call prepare(state) first")
        with self._devices.alone():
            return self._take(state, batches)

    @together
    def _take(self, state: State, batches) -> tuple[State, dict[str, np.ndarray], bool]:
        samples, index = self.feed.take(batches)
        before, (index, count) = self._bring(CHUNK, state, (index, np.int32(len(batches))))
        after, log, sound = self._chunk(before, *self._samples(samples), index, count)
        rows = {name: np.asarray(values)[: len(batches)] for name, values in log.items()}
        state = self._devices.home(after)
        self._state.keep(state, after)
        return state, rows, bool(sound)

    @together
    def test(self, state: State, x, targets, number: np.int32) -> tuple[dict, dict]:
        """Measure one batch, see `Structure.test`."""
        with self._devices.alone():
            before, given = self._bring(TEST, state, (x, targets, number))
            return self._devices.home(jax.block_until_ready(self._test(before, *given)))

    @together
    def follow(self, state: State) -> None:
        """In a process that does not lead: run the programs that process 0 runs, until it ends the run.

        Args:
            state: the first one.

        Raises:
            StateError: if another process has ended.
        """
        self.prepare(state)
        assert self._line is not None
        numbers, kinds = jax.tree.flatten(without_keys(state))
        samples, chunk = self.feed.take(self.feed.batches(0, 1)[:0])
        forms = {CHUNK: (chunk, np.int32(0)), TEST: (*self.feed.example, np.int32(0))}
        there = None
        while (heard := self._line.hear())[0]["program"] != END:
            word, content = heard
            if word["state"]:
                told = broadcast(None, len(packed(numbers)))
                there = self._put(jax.tree.unflatten(kinds, unpacked(told, forms_of(numbers))))
            given = jax.tree.unflatten(jax.tree.structure(forms[word["program"]]), unpacked(content, word["forms"]))
            if word["program"] == CHUNK:
                there, *_ = jax.block_until_ready(self._chunk(there, *self._samples(samples), *self._put(given)))
            else:
                jax.block_until_ready(self._test(there, *self._put(given)))

    def _bring(self, program: str, state: State, given: tuple) -> tuple[Any, tuple]:
        """Bring a state and the other arguments of a program to the devices, and say it to the other processes."""
        if self._line is not None:
            if not leads():
                raise StateError("this process follows process 0, which has the run; call trainer.follow()")
            arrays, fresh = [np.asarray(leaf) for leaf in jax.tree.leaves(given)], not self._state.has(state)
            self._line.say({"program": program, "state": fresh, "forms": forms_of(arrays)}, packed(arrays))
            if fresh:
                told = packed(jax.tree.leaves(without_keys(state)))
                broadcast(told, len(told))
        return self._state(state), self._put(given)


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
        if not self.has(given):
            self.keep(given, self._put(given))
        return self._last[1]

    def has(self, given: Any) -> bool:
        """Whether it was the last."""
        return self._last[0] is given

    def keep(self, given: Any, there: Any) -> None:
        """Remember where it is."""
        self._last = given, there
