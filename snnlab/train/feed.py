"""What a run takes its batches from: a data set that lies on the device, or a stream that is read meanwhile."""

from collections.abc import Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from snnlab.data import Dataset
from snnlab.data.buckets import bucket_of
from snnlab.data.dataset import Part
from snnlab.data.order import shuffled
from snnlab.data.source import Place

MAX_CHUNK = 32  # steps in one call at the most


class Feed(Protocol):
    """What a run takes its batches from.

    The batches of an epoch are a sequence that is cut with slices; only the feed knows what is in it.

    Attributes:
        steps: optimizer steps in one epoch.
        samples: training samples that one epoch uses.
        example: one batch, which says what samples and targets are like.
        form: what tells the compiled programs of two feeds apart.
    """

    steps: int
    samples: int

    @property
    def example(self) -> Part: ...

    @property
    def form(self) -> tuple: ...

    @property
    def identity(self) -> dict[str, Any]:
        """What the data of a run are, as JSON, to tell two runs apart."""
        ...

    @property
    def used(self) -> "Used":
        """What is known of the batches that were used, where the data may be others when they are read again."""
        ...

    @property
    def places(self) -> "Places":
        """Where the reading of an epoch stands, if the data can say it."""
        ...

    def open(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Get ready; return samples and indices of every shape that `take` returns, to compile for."""
        ...

    def batches(self, seed: int, epoch: int, *, again: bool = False) -> Any:
        """Return the batches of an epoch.

        Args:
            seed: of the run.
            epoch: its number, from 1.
            again: whether steps that were taken are repeated with them; else the run continues with them.
        """
        ...

    def ready(self, batches: Any, position: int) -> int:
        """Wait for the batch at a position of an epoch; return how many batches from there one chunk may have."""
        ...

    def take(self, batches: Any) -> tuple[Part, np.ndarray]:
        """Return samples on the device, and which of them are in the first, the second, ... of some batches."""
        ...

    def size(self, batches: Any) -> int:
        """Return the number of samples in some batches."""
        ...

    def look(self, batches: Any) -> Part:
        """Return samples and targets of a single batch."""
        ...

    def part(self, name: str) -> Iterator[Part]:
        """Go once through a part of the data, batch by batch, always in the same order."""
        ...


Used = dict[tuple[int, int], np.ndarray]  # CRCs of the batches of an epoch, by seed and epoch
Places = dict[tuple[int, int], Place]  # before the last batch that was used, by seed and epoch


class Loaded:
    """A data set in memory, which is put on the device as a whole.

    Args:
        data: the data set.
        batch_size: samples in one step.

    Example:
        >>> from snnlab.data import load
        >>> feed = Loaded(load("digits").subset(train=70, test=40), 32)
        >>> feed.steps, feed.samples, [len(batch.targets) for batch in feed.part("test")]
        (2, 64, [32, 8])
    """

    def __init__(self, data: Dataset, batch_size: int):
        self._data, self._batch_size = data, batch_size
        self.steps = len(data.x_train) // batch_size
        self.samples = self.steps * batch_size
        self.used: Used = {}  # a data set does not change
        self.places: Places = {}
        self._groups: np.ndarray | None = None
        self._on_device: Part | None = None

    def group(self, steps: tuple[int, ...]) -> None:
        """Let the samples of a batch have similar lengths, up to the same one of these numbers of steps."""
        if len(steps) > 1:
            self._groups = bucket_of(self._data.part("train").targets.lengths, steps)

    @property
    def example(self) -> Part:
        """The first samples."""
        x, targets = self._data.part("train")
        return Part(x[: self._batch_size], targets[: self._batch_size])

    @property
    def form(self) -> tuple:
        """Shapes of the whole training part."""
        leaves, tree = jax.tree.flatten(self._data.part("train"))
        return (self._batch_size, tree, *((leaf.shape, leaf.dtype) for leaf in leaves))

    @property
    def identity(self) -> dict[str, Any]:
        """Numbers of samples, and the CRC of all of them."""
        return {"samples": [len(self._data.x_train), len(self._data.x_test)], "crc": self._data.crc}

    def open(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Put the data on the device."""
        self._on_device = jax.tree.map(jnp.asarray, self._data.part("train"))
        assert self._on_device is not None
        yield self._on_device, self._index()

    def batches(self, seed: int, epoch: int, *, again: bool = False) -> Int[np.ndarray, "step batch"]:
        """Return the indices of the samples. They depend on seed and epoch alone, so a resumed epoch is the same."""
        return shuffled(len(self._data.x_train), self._batch_size, seed=seed, epoch=epoch, groups=self._groups)

    def ready(self, batches: np.ndarray, position: int) -> int:
        """All are."""
        return min(MAX_CHUNK, len(batches) - position)

    def take(self, batches: np.ndarray) -> tuple[Part, np.ndarray]:
        """Return all samples, and the indices, filled up to one length."""
        assert self._on_device is not None
        index = self._index()
        index[: len(batches)] = batches
        return self._on_device, index

    def _index(self) -> Int[np.ndarray, "chunk batch"]:
        return np.zeros((MAX_CHUNK, self._batch_size), np.int32)

    def size(self, batches: np.ndarray) -> int:
        """Return the number of indices."""
        return batches.size

    def look(self, batches: np.ndarray) -> Part:
        """Cut the batch out of the data set."""
        x, targets = self._data.part("train")
        return Part(x[batches[0]], targets[batches[0]])

    def part(self, name: str) -> Iterator[Part]:
        """Cut a part into batches, in its order; where samples have lengths, the shortest first, in shorter batches."""
        x, targets = self._data.part(name)
        order = None if targets.lengths is None else np.argsort(targets.lengths, kind="stable")
        for start in range(0, len(targets), self._batch_size):
            batch: Any = slice(start, start + self._batch_size)
            batch = batch if order is None else order[batch]
            yield Part(x[batch], targets[batch])
