"""Take batches from a stream, which is read in a thread of its own while the network learns.

What was read is put together to blocks of one shape, so that one compiled program serves all of them, as it does the
samples of a data set.

Nobody can read what a loader gave a second time; it can only be started again. So the CRC of every batch that was used
is kept, and where batches are read again, to rewind a run or to continue it in the middle of an epoch, they are
compared. An iterator that can be put to a place, as those of Grain, is put before the last batch that was used, so that
this one is compared, and no other is read again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from snnlab.data.dataset import Part
from snnlab.data.source import Opened, Place, Stream, crc_of
from snnlab.errors import StateError
from snnlab.support.ahead import Ahead
from snnlab.train.feed import MAX_CHUNK, Places, Used

ALIGNED = 64  # bytes
BLOCK_BYTES = 16e6  # of the samples of a block; there are up to seven of them


@dataclass(frozen=True)
class Window:
    """Some consecutive batches of an epoch, which are not read yet. Slices are windows, too.

    Attributes:
        seed: of the run.
        epoch: its number, from 1.
        start: position of the first one in the epoch.
        stop: position after the last one.
        again: whether steps that were taken are repeated.

    Example:
        >>> len(Window(0, 1, 0, 8)[2:5]), Window(0, 1, 0, 8)[2:5][:-1]
        (3, Window(seed=0, epoch=1, start=2, stop=4, again=False))
    """

    seed: int
    epoch: int
    start: int
    stop: int
    again: bool = False

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: slice) -> "Window":
        chosen = range(self.start, self.stop)[index]
        return Window(self.seed, self.epoch, chosen.start, chosen.stop, self.again)


class Block:
    """Consecutive batches in one set of arrays, which are never written again.

    Args:
        first: position of the first batch in the epoch.
        batches: one or more, of one size.
        room: for so many batches; what is not there is 0.
        crcs: of the batches.
        before: where the iterator stood before each batch, or None.
    """

    def __init__(
        self,
        first: int,
        batches: Sequence[Part],
        room: int,
        crcs: Sequence[int] = (),
        before: Sequence[Place | None] = (),
    ):
        self.first, self.room, self.size = first, room, len(batches[0].targets)
        self.crcs, self.before = np.array(crcs, np.uint32), before
        self._samples: Part = jax.tree.map(lambda *arrays: _put_together(arrays, room), *batches)
        self._sent = False  # to the device

    def __contains__(self, position: int) -> bool:
        return self.first <= position < self.end

    @property
    def end(self) -> int:
        """Position after the last batch."""
        return self.first + len(self.crcs)

    @property
    def samples(self) -> Part:
        """All samples, on the device."""
        if not self._sent:
            self._samples, self._sent = jax.tree.map(jnp.asarray, self._samples), True
        return self._samples

    def index(self, window: Window) -> np.ndarray:
        """Return where the samples of some batches are, in as many rows as there is room for."""
        rows = np.arange(self.room * self.size, dtype=np.int32).reshape(self.room, self.size)
        return np.roll(rows, self.first - window.start, axis=0)


def _put_together(arrays: Sequence[np.ndarray], room: int) -> np.ndarray:
    """Put arrays one after the other, at an address that XLA takes as it is on a CPU, so that nothing is sent."""
    size, like = len(arrays[0]), arrays[0]
    shape = (room * size, *like.shape[1:])
    count = int(np.prod(shape)) * like.itemsize
    memory = np.zeros(count + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    found = memory[start : start + count].view(like.dtype).reshape(shape)
    for k, array in enumerate(arrays):
        found[k * size : (k + 1) * size] = array
    return found


class Reading:
    """One pass through an epoch, with the blocks that were read last.

    Args:
        stream: of the training part.
        window: the batches that are read.
        room: batches in a block; as many are read ahead.
        used: the CRCs of batches of this epoch that were used before; those that are skipped are compared.
        place: where an iterator may begin, before the window.
    """

    def __init__(self, stream: Stream, window: Window, room: int, used: np.ndarray, place: Place | None = None):
        self.key, self.next = (window.seed, window.epoch), window.start
        self.blocks: deque[Block] = deque(maxlen=2)
        self._size, self._room = stream.size, room
        self._ahead = Ahead(lambda: _read(stream, window, used, place), "snnlab-read", room)
        self._spare: list[tuple[Part, int, Place | None]] = []  # a last batch that is smaller than the others

    def has(self, window: Window) -> bool:
        """Whether the batch at the start of a window is here, or comes next."""
        return self.key == (window.seed, window.epoch) and (
            self.next == window.start or any(window.start in block for block in self.blocks)
        )

    def block(self, position: int) -> Block:
        """Return the block with this batch; if it comes next, wait for it, and take what is there with it."""
        found = next((block for block in self.blocks if position in block), None)
        if found is None:
            found = self._next()
            self.blocks.append(found)
            self.next = found.end
        return found

    def _next(self) -> Block:
        items = self._spare or self._ahead.take(self._room)
        whole = [len(batch.targets) == self._size for batch, *_ in items]
        cut = sum(whole) or 1  # a smaller one has a block of its own
        items, self._spare = items[:cut], items[cut:]
        batches, crcs, before = zip(*items, strict=True)
        return Block(self.next, batches, self._room if whole[0] else 1, crcs, before)

    def close(self) -> None:
        """Read no further."""
        self._ahead.close()


def _read(
    stream: Stream, window: Window, used: np.ndarray, place: Place | None
) -> Iterator[tuple[Part, int, Place | None]]:
    """Yield the batches of an epoch from a position on, with their CRCs, and where the iterator stood before each."""
    for position, batch, before in stream.readings(window.seed, window.epoch, window.start, place):
        crc = crc_of(batch)
        if position < window.start:
            _check_skipped(position, crc, used, window)
        else:
            yield batch, crc, before


def _check_skipped(position: int, crc: int, used: np.ndarray, window: Window) -> None:
    """Raise a StateError if a batch on the way is not the one that was used."""
    if position >= len(used):
        raise StateError(
            f"{_where(window, position)} was used, but it was not noted what it was, so the run cannot continue from "
            f"the middle of this epoch; {WAYS}"
        )
    if used[position] != crc:
        raise StateError(
            f"{_where(window, position)} is another one than when it was used, so the run cannot continue from the "
            f"middle of this epoch; {WAYS}"
        )


def _where(window: Window, position: int) -> str:
    return f"train: batch {position + 1} of epoch {window.epoch}"


WAYS = (
    "let the batches depend on nothing but the arguments `epoch` and `seed`, or pass a data set with __getitem__. The "
    "run can go on from the end of an epoch"
)


class Streamed:
    """A source that is read while the network learns.

    Args:
        opened: the source.

    Attributes:
        used: CRCs of the batches that were used, by seed and epoch.
        places: where the iterator stood before the last batch that was used, by seed and epoch, if it can say it.

    Example:
        >>> from snnlab.data.source import Source
        >>> batches = [(np.full((4, 2), k, np.uint8), np.arange(4) % 2) for k in range(3)]
        >>> feed = Streamed(Source(train=batches, test=batches).open())
        >>> epoch = feed.batches(seed=0, epoch=1)
        >>> feed.ready(epoch, 0) > 0, feed.look(epoch[:1]).x[:, 0].tolist(), feed.steps
        (True, [0, 0, 0, 0], 3)
        >>> feed.close()
    """

    def __init__(self, opened: Opened):
        self.used: Used = {}
        self.places: Places = {}
        self._opened, self._stream = opened, opened.streams["train"]
        self.steps = self._stream.batches
        self.samples = self.steps * self._stream.size
        if self._stream.last is not None:
            self.samples += self._stream.last - self._stream.size
        self._now: Reading | None = None  # what the run continues with
        self._before: Reading | None = None  # what it had before that: a fault may be found in it
        self._past: Reading | None = None  # steps that are repeated

    @property
    def example(self) -> Part:
        """The first batch, read when the source was opened."""
        return self._stream.first

    @property
    def form(self) -> tuple:
        """Shapes of a block."""
        leaves, tree = jax.tree.flatten(self.example)
        return ("stream", self._room, self._stream.last, tree, *((leaf.shape, leaf.dtype) for leaf in leaves))

    @property
    def _room(self) -> int:
        """Batches in a block."""
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.example))
        return int(np.clip(BLOCK_BYTES // max(1, size), 1, min(MAX_CHUNK, self.steps)))

    @property
    def identity(self) -> dict[str, Any]:
        """Shapes, numbers of batches, and the CRC of the first batch, unless that is another one every time."""
        return {
            "batches": {part: stream.batches for part, stream in self._opened.streams.items()},
            "batch": [f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(self.example)],
            "crc": self._stream.crc,
        }

    def open(self) -> Iterator[tuple[Part, np.ndarray]]:
        """Return empty blocks, full ones and that of a smaller last batch."""
        window, last = Window(0, 1, 0, 1), self._stream.last
        full = Block(0, [self.example], self._room)
        yield full.samples, full.index(window)
        if last not in (None, self._stream.size):
            small = Block(0, [Part(self.example.x[:last], self.example.targets[:last])], 1)
            yield small.samples, small.index(window)

    def batches(self, seed: int, epoch: int, *, again: bool = False) -> Window:
        """Return the whole epoch."""
        return Window(seed, epoch, 0, self.steps, again)

    def ready(self, batches: Window, position: int) -> int:
        """Wait until the batch is read; return how many there are from there in its block.

        Raises:
            DataError: if a batch cannot be read, or is not like the others.
            StateError: if the run would continue with other batches than those that it had.
        """
        window = batches[position:]
        block = self._block(window)
        return block.end - window.start

    def take(self, batches: Window) -> tuple[Part, np.ndarray]:
        """Return the block that the batches are in, and their places.

        Raises:
            StateError: if they shall be those of steps that were taken, and are others.
        """
        block = self._block(batches)
        first = batches.start - block.first
        self._note(batches, block.crcs[first : first + len(batches)])
        if not batches.again:
            self._note_place(batches, block.before[first + len(batches) - 1])
        return block.samples, block.index(batches)

    def size(self, batches: Window) -> int:
        """Return the number of samples; the last batch of an epoch may be smaller."""
        return len(batches) * self._block(batches).size

    def look(self, batches: Window) -> Part:
        """Return the samples of a batch."""
        block = self._block(batches)
        (x, targets), index = block.samples, block.index(batches)[0]
        return Part(x[index], targets[index])

    def part(self, name: str) -> Iterator[Part]:
        """Go through a part; the next batch is read while one is measured."""
        stream = self._opened.streams[name]
        reading = Ahead(lambda: (batch for _, batch in stream.read(0, 1)), "snnlab-read")
        try:
            yield from reading
        finally:
            reading.close()

    def close(self) -> None:
        """Read no further."""
        for reading in (self._now, self._before, self._past):
            if reading is not None:
                reading.close()
        self._now = self._before = self._past = None

    def _block(self, window: Window) -> Block:
        """Return the block that has the batch at the start of a window."""
        reading = self._reading(window)
        try:
            return reading.block(window.start)
        except Exception:
            if reading is self._now:
                self._now = None  # what was wrong may be mended: begin anew
            if reading is self._past:
                self._past = None
            raise

    def _reading(self, window: Window) -> Reading:
        known = (self._past,) if window.again else (self._now, self._before)
        found = next((reading for reading in known if reading is not None and reading.has(window)), None)
        if found is not None:
            return found
        if window.again:
            if self._past is not None:
                self._past.close()
            self._past = self._begin(window)
            return self._past
        past, self._past = self._past, None
        if past is not None and past.has(window):  # a run that was rewound continues where its steps were repeated
            begun = past
        else:
            begun = self._begin(window)
            if past is not None:
                past.close()
        if self._before is not None:
            self._before.close()
        if self._now is not None:
            self._now.close()
        self._before, self._now = self._now, begun
        if self._before is not None and self._before.key == begun.key:
            self._before = None  # its batches may be others
        return begun

    def _begin(self, window: Window) -> Reading:
        key = (window.seed, window.epoch)
        used, place = self.used.get(key, np.empty(0, np.uint32)), self.places.get(key)
        if place is not None and place.number >= window.start:
            place = None
        return Reading(self._stream, window, self._room, used, place)

    def _note_place(self, window: Window, place: Place | None) -> None:
        """Remember where the iterator stood before the last batch that is used, unless the epoch is at its end."""
        key = (window.seed, window.epoch)
        if place is None or window.stop == self.steps:
            self.places.pop(key, None)
        else:
            self.places[key] = place

    def _note(self, window: Window, crcs: np.ndarray) -> None:
        """Remember which batches are used; where steps are repeated, compare them."""
        key = (window.seed, window.epoch)
        used = self.used.get(key, np.empty(0, np.uint32))
        if window.again:
            known = used[window.start : window.stop]
            differ = np.flatnonzero(known != crcs[: len(known)])
            if differ.size:
                where = _where(window, window.start + differ[0])
                raise StateError(f"{where} is another one than when it was used, so it cannot be repeated; {WAYS}")
            return
        if len(used) < window.stop:
            used = np.concatenate([used, np.zeros(window.stop - len(used), np.uint32)])
        used[window.start : window.stop] = crcs
        self.used[key] = used
