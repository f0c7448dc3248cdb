"""The compiled steps of a run, with its training data on the device."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from snnlab.data import Dataset
from snnlab.errors import StateError
from snnlab.support.compile_cache import keep_programs
from snnlab.support.memory import give_memory_back
from snnlab.train.step import State, Stepper, Structure, compiled

MAX_CHUNK = 32  # steps in one call at the most


class Runner:
    """The compiled steps of a run, with its training data on the device.

    Args:
        stepper: what a step is.
        data: where the samples are.
        batch_size: samples in a step.

    Attributes:
        metric_names: what is measured at every step.
    """

    def __init__(self, stepper: Stepper, data: Dataset, batch_size: int):
        x, targets = data.part("train")
        self.metric_names = stepper.structure.metric_names(stepper.start, x[:batch_size], targets[:batch_size])
        leaves, tree = jax.tree.flatten((x, targets))
        shapes = (batch_size, tree, *((leaf.shape, leaf.dtype) for leaf in leaves))
        self._chunk = compiled(Structure.chunk, stepper.structure, self.metric_names, apart=shapes)
        self._data, self._batch_size = data, batch_size
        self._on_device: tuple[Any, Any] | None = None  # images or events, and targets

    @property
    def compilations(self) -> int:
        """Number of programs compiled for the training step."""
        return self._chunk._cache_size()  # pyright: ignore[reportAttributeAccessIssue] (jit has no public count)

    def prepare(self, state: State) -> float:
        """Put the data on the device and compile, once. Returns the seconds that it took."""
        if self._on_device is not None:
            return 0.0
        started = time.perf_counter()
        keep_programs()
        samples = jax.tree.map(jnp.asarray, tuple(self._data.part("train")))
        index = np.zeros((MAX_CHUNK, self._batch_size), np.int32)
        self._chunk.lower(state, *samples, index, np.int32(0)).compile()
        give_memory_back()  # of the compiler
        self._on_device = samples
        return time.perf_counter() - started

    def batches(self, seed: int, epoch: int) -> Int[np.ndarray, "step batch"]:
        """Return the indices of the samples. They depend on seed and epoch alone, so a resumed epoch is the same."""
        samples, size = len(self._data.x_train), self._batch_size
        order = np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int32)
        return order[: samples // size * size].reshape(-1, size)

    def __call__(self, state: State, batches: np.ndarray) -> tuple[State, dict[str, np.ndarray], bool]:
        """Take one step for each row of `batches`, the indices of its samples. Returns what `Structure.chunk` does."""
        if self._on_device is None:
            raise StateError("runner: is not compiled; call prepare(state) first")
        index = np.zeros((MAX_CHUNK, self._batch_size), np.int32)
        index[: len(batches)] = batches
        state, log, sound = self._chunk(state, *self._on_device, index, np.int32(len(batches)))
        return state, {name: np.asarray(values)[: len(batches)] for name, values in log.items()}, bool(sound)
