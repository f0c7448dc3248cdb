"""What may give batches: a function, a loader, a list, a data set of samples, a pair of arrays that lies on a disk.

Each is recognized by what it can do, so nothing is imported that you do not use yourself. Nothing here looks at what is
in a batch; that is done in `snnlab.data.source`.
"""

import inspect
import json
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Protocol

import numpy as np

from snnlab.data.dataset import Dataset
from snnlab.data.eventlists import EventLists
from snnlab.data.order import shuffled
from snnlab.errors import ArgumentError
from snnlab.support import arguments
from snnlab.support.thread_settings import noted

MAY_ASK = ("epoch", "seed")  # arguments that a function gets if it names them

ENDLESS = 2**40  # samples: a data set of Grain that is repeated for ever says that it has 2**63

ACCEPTED = (
    "a function that returns batches, an iterable of batches, a data set of samples with __len__ and __getitem__, "
    "or a pair of arrays (x, y)"
)


class Provider(Protocol):
    """What gives batches, again and again.

    Attributes:
        exact: it can begin with any batch of an epoch; others are read from the first batch on.
        batches: number of batches in an epoch, or None if it cannot say.
        what: it is, in words.
    """

    exact: bool
    batches: int | None
    what: str

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch as they are given.

        Args:
            seed: of the run.
            epoch: its number, from 1.
            start: the first batch; 0 if the provider is not exact.
        """
        ...


def place_of(iterator: Iterator) -> str | None:
    """Return where an iterator stands, as text; None if it cannot say it, or cannot be put there again.

    Iterators of Grain can: they have `get_state` and `set_state`.

    Example:
        >>> place_of(iter([1, 2])) is None
        True
    """
    if not all(callable(getattr(iterator, name, None)) for name in ("get_state", "set_state")):
        return None
    try:
        state = iterator.get_state()  # pyright: ignore[reportAttributeAccessIssue]
        return json.dumps({"text": state.decode()} if isinstance(state, bytes) else {"state": state})
    except Exception:  # of other libraries, in whatever form; then an epoch is read from its start
        return None


def put_at(iterator: Any, place: str) -> None:
    """Put an iterator where another one like it stood, see `place_of`. It may raise anything."""
    found = json.loads(place)
    iterator.set_state(found["text"].encode() if "text" in found else found["state"])


class Function:
    """A function that is called anew for every epoch.

    Example:
        >>> given = Function("train", lambda epoch: [epoch, 10 * epoch])
        >>> list(given.read(seed=0, epoch=3))
        [3, 30]
    """

    exact: bool = False
    batches: int | None = None
    what: str = "a function"

    def __init__(self, name: str, function: Callable):
        self._name, self._function = name, function
        self._asked = _asked(name, function)
        self._settle = noted()  # it is called in another thread

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Call the function with what it asks for."""
        self._settle()
        known = {"epoch": epoch, "seed": seed}
        returned = self._function(**{name: known[name] for name in self._asked})
        if not isinstance(returned, Iterable) or isinstance(returned, Mapping | str):
            raise ArgumentError(
                f"{self._name}: the function must return an iterable of batches, such as a generator, got "
                f"{type(returned).__name__}"
            )
        return iter(returned)


class Loader:
    """An iterable that begins anew whenever it is iterated, such as a loader of PyTorch, TensorFlow or Grain."""

    exact: bool = False
    what: str = "a loader"

    def __init__(self, loader: Iterable):
        self._loader = loader
        self.batches: int | None = _length(loader)

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Iterate anew."""
        return iter(self._loader)


class Listed:
    """A list of batches, or a data set whose items are batches; an epoch has them in their order."""

    exact: bool = True
    what: str = "a list of batches"

    def __init__(self, batches: Sequence):
        self._batches = batches
        self.batches: int | None = len(batches)

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Take the batches one by one."""
        return (self._batches[number] for number in range(start, len(self._batches)))


class Samples:
    """Single samples, put together to batches here.

    Args:
        name: of the part, in errors.
        take: returns the samples with some indices, as a batch.
        samples: number of samples.
        batch_size: samples in a batch.
        order: "shuffled" for an order of its own in every epoch, which leaves out the samples that fill no batch, or
            "as they are", where the last batch may be smaller.
        what: it is, in words.

    Example:
        >>> given = Samples("test", lambda index: index.tolist(), 5, 2, "as they are", "samples")
        >>> list(given.read(0, 1)), list(given.read(0, 1, start=2))
        ([[0, 1], [2, 3], [4]], [[4]])
    """

    exact: bool = True

    def __init__(
        self, name: str, take: Callable[[np.ndarray], Any], samples: int, batch_size: int, order: str, what: str
    ):
        if samples < 1:
            raise ArgumentError(f"{name}: has no samples")
        self._shuffled = order == "shuffled"
        if self._shuffled and batch_size > samples:
            raise ArgumentError(f"batch_size: must be at most the {samples} training samples, got {batch_size}")
        self._take, self._samples, self._size, self.what = take, samples, batch_size, what
        self.batches: int | None = samples // batch_size if self._shuffled else -(-samples // batch_size)

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Take the samples of one batch after the other."""
        if self._shuffled:
            for index in shuffled(self._samples, self._size, seed=seed, epoch=epoch)[start:]:
                yield self._take(index)
        else:
            for first in range(start * self._size, self._samples, self._size):
                yield self._take(np.arange(first, min(first + self._size, self._samples)))


def understood(name: str, given: Any, batch_size: int, *, order: str, task: str) -> Provider:
    """Return what gives the batches of a part.

    Args:
        name: of the part, in errors.
        given: see `snnlab.data.source.Source`.
        batch_size: of batches that are put together here.
        order: of samples, see `Samples`.
        task: what the targets are, see `snnlab.data.Dataset`.

    Raises:
        ArgumentError: if it is nothing that gives batches again and again.
    """
    _refuse(name, given)
    if _is_pair(given):
        return _of_arrays(name, given, batch_size, order)
    if isinstance(given, list | tuple):
        return Listed(given)
    if hasattr(given, "__getitem__") and _length(given) is not None:
        if task == "label" and _gives_batches(name, given):
            return Listed(given)
        return Samples(name, lambda index: _together(name, given, index), len(given), batch_size, order, "a data set")
    if isinstance(given, Iterable):
        return Loader(given)
    if callable(given):
        return Function(name, given)
    raise ArgumentError(f"{name}: must be {ACCEPTED}, got {type(given).__name__}")


def _refuse(name: str, given: Any) -> None:
    """Say what to pass in place of something that looks like a source and is none."""
    if isinstance(given, Iterator):
        raise ArgumentError(
            f"{name}: this {type(given).__name__} can be read only once, a run reads its data in every epoch; pass the "
            "function that made it, not what it returned: test=batches, not test=batches()"
        )
    if isinstance(given, type):
        raise ArgumentError(f"{name}: must be {ACCEPTED}, got the class {given.__name__}; pass an object of it")
    if isinstance(given, Dataset):
        raise ArgumentError(f"{name}: is a Dataset, which has parts of its own; pass a pair (data.x_test, data.y_test)")
    if isinstance(given, str | bytes | Mapping | np.ndarray | EventLists):
        hint = "; x and y must come as a pair (x, y)" if isinstance(given, Mapping | np.ndarray | EventLists) else ""
        raise ArgumentError(f"{name}: must be {ACCEPTED}, got {type(given).__name__}{hint}")
    if getattr(given, "persistent_workers", False):  # its iterators are one and the same
        raise ArgumentError(f"{name}: may be read twice at a time; make the loader with persistent_workers=False")
    if isinstance(given, Sized) and _length(given) == 0:
        raise ArgumentError(f"{name}: is empty")
    if (_length(given) or 0) >= ENDLESS:
        raise ArgumentError(f"{name}: is repeated for ever; leave repeat() out, each epoch reads it once")


def _asked(name: str, function: Callable) -> list[str]:
    """Return which of `MAY_ASK` a function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions
        return []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    others = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    others += [p.name for p in named if p.default is p.empty and p.name not in MAY_ASK]
    if others:
        raise ArgumentError(
            f"{name}: the function must not need the argument {others[0]!r}; it is given {' and '.join(MAY_ASK)} if it "
            f"names them. For others, write lambda: batches({others[0]}=...)"
        )
    return [p.name for p in named if p.name in MAY_ASK]


def _length(given: Any) -> int | None:
    """Length of something, or None if it cannot say; data sets of TensorFlow raise a TypeError then."""
    try:
        return len(given)
    except Exception:  # of other libraries, in whatever form
        return None


# ---- pairs of arrays ----


def _is_pair(given: Any) -> bool:
    """Whether this is `(x, y)`, perhaps with a dict of arrays, and no list of batches."""
    return isinstance(given, tuple) and len(given) in (2, 3) and all(map(_is_array, given[:2]))


def _is_array(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__")) and len(value.shape) > 0


def _of_arrays(name: str, given: tuple, batch_size: int, order: str) -> Samples:
    x, y, *more = given
    beside = _beside(name, *more)
    arrays = {"x": x, "y": y, **beside}
    lengths = {what: len(array) for what, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{what} has {length}" for what, length in lengths.items())
        raise ArgumentError(f"{name}: its arrays must have one entry per sample; {words}")

    def take(index: np.ndarray) -> tuple:
        return _taken(x, index), _taken(y, index), {what: _taken(array, index) for what, array in beside.items()}

    return Samples(name, take, len(x), batch_size, order, "a pair of arrays")


def _beside(name: str, more: Any = None) -> Mapping[str, Any]:
    """Return what a batch or a sample has beside `x` and `y`."""
    if more is None:
        return {}
    if not isinstance(more, Mapping):
        raise ArgumentError(f"{name}: the third of (x, y, more) must be a dict, got {type(more).__name__}")
    return more


def _taken(array: Any, index: np.ndarray) -> Any:
    """Read some samples; from a file in the order in which they lie there."""
    if isinstance(array, EventLists):
        return array.take(index)
    if type(array) is np.ndarray:
        return array[index]
    order = np.argsort(index)
    found = np.asarray(array[index[order]])
    back = np.empty_like(found)
    back[order] = found
    _let_go(array)
    return back


def _let_go(array: Any) -> None:
    """Give back the pages of a mapped file that were read: they would fill the memory as far as the file is read.

    They stay in the cache of the system. With mode "c", changes lie in the pages, so these are kept.
    """
    mapped = getattr(array, "_mmap", None)
    if not isinstance(mapped, mmap.mmap) or getattr(array, "mode", None) not in ("r", "r+", "w+"):
        return
    if hasattr(mapped, "madvise"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


# ---- data sets of samples ----


def _gives_batches(name: str, given: Any) -> bool:
    """Whether the items of a data set are batches: then an item has a list of labels."""
    item = fields(name, _item(name, given, 0))
    shape, samples = np.shape(item["y"]), _length(item["x"])
    return len(shape) == 1 and shape[0] == samples and shape[0] > 1 and np.ndim(item["x"]) > 1


def _item(name: str, given: Any, k: int) -> Any:
    try:
        return given[k]
    except Exception as error:  # of the user's code, in whatever form
        raise ArgumentError(f"{name}: sample {k} cannot be read ({type(error).__name__}: {error})") from error


def fields(name: str, item: Any) -> dict[str, Any]:
    """Return what a sample or a batch has by name: "x", "y", and what is beside them."""
    if isinstance(item, Mapping):
        keys = next((pair for pair in (("x", "y"), ("image", "label")) if {*pair} <= item.keys()), None)
        if keys is None:
            raise ArgumentError(
                f"{name}: a dict must have the entries x and y, or image and label, got {', '.join(map(str, item))}"
            )
        return {"x": item[keys[0]], "y": item[keys[1]]} | {k: v for k, v in item.items() if k not in keys}
    if not isinstance(item, list | tuple) or len(item) not in (2, 3):
        what = type(item).__name__
        what += f" of {len(item)}" if isinstance(item, list | tuple) else ""
        raise ArgumentError(f"{name}: must be (x, y), (x, y, more) or a dict, got {what}")
    return {"x": item[0], "y": item[1], **_beside(name, *item[2:])}


def _together(name: str, given: Any, index: np.ndarray) -> dict[str, Any]:
    """Put samples together to a batch."""
    rows = [fields(f"{name}: sample {k}", given[int(k)]) for k in index]
    names = rows[0].keys()
    for k, row in zip(index, rows, strict=True):
        if row.keys() != names:
            raise ArgumentError(f"{name}: sample {k} has {', '.join(row)}, sample {index[0]} has {', '.join(names)}")
    return {what: _stacked(f"{name}: {what}", [row[what] for row in rows], index) for what in names}


def _stacked(name: str, values: list, index: np.ndarray) -> Any:
    """Stack the values of samples; recordings of events stay a list."""
    arrays = [plain(name, value) for value in values]
    if arrays[0].dtype.names is not None:
        return arrays
    for k, array in zip(index, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise ArgumentError(
                f"{name} of sample {k} has shape {array.shape}, that of sample {index[0]} {arrays[0].shape}; a batch "
                "needs one shape"
            )
    return np.stack(arrays)


def plain(name: str, value: Any) -> np.ndarray:
    """Return an array of NumPy, JAX, PyTorch or TensorFlow, or nested lists, as a NumPy array.

    Raises:
        ArgumentError: if it is none.
    """
    numpy = getattr(value, "numpy", None)
    if callable(numpy) and not isinstance(value, type):
        try:
            value = numpy()
        except Exception as error:  # such as a tensor on a GPU
            raise ArgumentError(f"{name}: cannot become a NumPy array ({error})") from None
    return arguments.array(name, value)
