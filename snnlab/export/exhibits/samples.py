"""The samples of an exhibit: what Python makes of them, in which form they travel, and the checksums of its spikes."""

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from snnlab.data import EventLists
from snnlab.encode import Binned, Delta, Latency, Population, Rows, SpikeTimes
from snnlab.export.exhibits.exact import Single
from snnlab.export.exhibits.replay import Signal
from snnlab.layers import LSTM
from snnlab.losses.terms import READOUTS
from snnlab.models import Network

BYTES = np.arange(256)


class Python(NamedTuple):
    """What the network itself does with the samples.

    Attributes:
        spikes: of every spiking layer, in order, `(time, batch, n)` of True and False.
        outputs: of every LSTM, in order, `(time, batch, n)`.
        readout: `(time, batch, class)`.
        scores: `(batch, class)`, by the rule of the loss.

    Example:
        >>> Python([], [], np.zeros((3, 1, 2)), np.zeros((1, 2))).answers.tolist()
        [0]
    """

    spikes: list[NDArray[np.bool_]]
    outputs: list[Single]
    readout: Single
    scores: Single

    @property
    def answers(self) -> NDArray[np.integer]:
        """The class with the highest score."""
        return self.scores.argmax(-1)

    @property
    def per_sample(self) -> NDArray[np.integer]:
        """Number of spikes of all layers together."""
        return sum((spikes.sum((0, 2)) for spikes in self.spikes), np.zeros(self.readout.shape[1], int))


class Found(NamedTuple):
    """What one run of a program returns.

    Attributes:
        python: what the network does.
        signal: what reached its first layer.
        table: what the encoder makes of each of 256 bytes, or the number that it reads there; None if it reads neither.

    Example:
        >>> Found._fields
        ('python', 'signal', 'table')
    """

    python: Python
    signal: Signal
    table: np.ndarray | None


def run(network: Network, x: Any, rule: str, lengths: NDArray[np.integer] | None = None) -> Found:
    """Let the network run in the mode of `eval()`, with traced values, as in a training.

    Args:
        network: see `snnlab.export.exhibits.plan.shown`.
        x: samples `(batch, *sample_shape)`.
        rule: how the readout becomes scores; a name in `snnlab.losses.terms.READOUTS`.
        lengths: number of steps of every sample, or None.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7, num_steps=20), sample_shape=(4, 4), num_classes=3)
        >>> python, signal, table = run(net, np.full((2, 4, 4), 255, np.uint8), "mean")
        >>> python.scores.shape, signal.who.tolist() == [*range(16), *range(16)], table[[0, 255]].tolist()
        ((2, 3), True, [20, 6])
    """
    graphdef, state = nnx.split(network)
    names, layers = network.stack.names, network.stack.layers
    lstms = [name for name in names if isinstance(layers[name], LSTM)]
    one_each = _each_byte(network, np.asarray(x).dtype)
    table_of = Rows() if isinstance(network.encoder, Delta) else network.encode

    @jax.jit
    def compute(state, x, lengths, key, one_each):
        net = nnx.merge(graphdef, state)
        coded = net.encode(x, key=key)
        record = net.stack(coded)._replace(lengths=lengths)
        outputs = [record.layers[name].state for name in lstms]
        spikes = [s > 0 for s in record.spikes.values()]
        table = None if one_each is None else table_of(one_each)
        return spikes, outputs, record.readout, READOUTS[rule](record), coded, table

    # NumPy's arrays as they are: `jnp.asarray` would compile a program for each of their shapes.
    key = jax.random.key(0, impl="threefry2x32")  # which `js/coding.js` has, too
    found = jax.device_get(compute(state, np.asarray(x), lengths, key, one_each))
    *results, coded, table = found
    return Found(Python(*results), _signal(coded), _table(table))


def _each_byte(network: Network, dtype: np.dtype) -> np.ndarray | None:
    """A sample for each byte, for encoders that read one number by itself."""
    values = BYTES.astype(np.uint8) if dtype == np.uint8 else (BYTES / 255.0).astype(np.float32)
    if isinstance(network.encoder, Latency | Population):
        return values[:, None]
    return values[:, None, None] if isinstance(network.encoder, Rows | Delta) else None


def _table(coded: Any) -> np.ndarray | None:
    if coded is None:
        return None
    table = (
        np.asarray(coded.times).astype(np.uint16) if isinstance(coded, SpikeTimes) else np.asarray(coded, np.float32)
    )
    return table.ravel()


def _signal(coded: Any) -> Signal:
    if not isinstance(coded, SpikeTimes):
        values = np.asarray(coded, np.float32)
        return Signal(len(values), values.shape[1], values=values)
    when = np.asarray(coded.times)
    units = np.arange(coded.num_units) if coded.units is None else np.asarray(coded.units)
    who, batch = np.broadcast_to(units, when.shape), np.broadcast_to(np.arange(len(when))[:, None], when.shape)
    there = (when >= 0) & (when < coded.num_steps) & (who >= 0) & (who < coded.num_units)
    return Signal(coded.num_steps, len(when), when[there], batch[there], who[there])


@dataclass(frozen=True, kw_only=True)
class Code:
    """How the page makes input of bytes, events or numbers.

    Attributes:
        kind: "table" for one spike of every byte and unit; "numbers", "rate", "delta" for a number of every byte, and
            what these codes make of it; "events"; or "none".
        units: number of units of the input.
        shape: of a sample.
        table: what each of the 256 bytes becomes: its steps, or its number; None if samples are no bytes.
        each: units for every byte.
        microseconds: length of a step of events, or 0.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> code_of(net, (4, 4), np.arange(256), "latency").kind
        'table'
    """

    kind: str
    units: int
    shape: tuple[int, ...]
    table: np.ndarray | None = None
    each: int = 1
    microseconds: int = 0


def code_of(network: Network, shape: tuple[int, ...], table: np.ndarray | None, rule: str) -> Code:
    """Return how the page codes input of its own, from a table that the encoder itself has filled in.

    Args:
        network: whose code it is.
        shape: of a sample.
        table: see `Found`.
        rule: see `snnlab.export.exhibits.coding.Coding`.
    """
    encoder, first = network.encoder, network.stack.layers[network.stack.names[0]]
    units = int(vars(first)["in_features"])  # every layer that is shown has it
    if table is not None and (isinstance(encoder, Rows) or rule in ("rate", "delta")):
        return Code(kind=rule or "numbers", units=units, shape=shape, table=table)
    if table is not None and isinstance(encoder, Latency | Population):
        return Code(kind="table", units=units, shape=shape, table=table, each=len(table) // 256)
    if isinstance(encoder, Binned):
        return Code(kind="events", units=units, shape=shape, microseconds=round(1000.0 * encoder.dt))
    return Code(kind="none", units=units, shape=shape)


def text(array: np.ndarray) -> str:
    """Base64 of an array, little-endian.

    Example:
        >>> text(np.uint8([1, 2, 3]))
        'AQID'
    """
    return base64.b64encode(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()).decode()


def checks(python: Python, b: int, *, exact: bool, outputs: bool) -> list[int]:
    """CRC-32 of what sample `b` makes every layer do, as far as the page compares it bit for bit.

    Of the spikes, a byte each, of every spiking layer; of the outputs of every LSTM, if `outputs`; of the readout, if
    `exact`.

    Example:
        >>> python = Python([np.zeros((1, 1, 4), bool)], [], np.zeros((1, 1, 1)), np.zeros((1, 1)))
        >>> checks(python, 0, exact=True, outputs=False)
        [558161692, 558161692]
    """
    parts = [spikes[:, b].astype(np.uint8) for spikes in python.spikes]
    parts += [values[:, b].astype("<f4") for values in python.outputs if outputs]
    parts += [python.readout[:, b].astype("<f4")] if exact else []
    return [zlib.crc32(np.ascontiguousarray(part).tobytes()) for part in parts]


def stored(x: Any, signal: Signal, code: Code, b: int) -> dict[str, Any]:
    """Sample `b` in the form in which it travels: as it is where the page codes it, else what the encoder made."""
    sample = np.asarray(x[b])
    if code.table is not None and sample.dtype == np.uint8:
        return {"bytes": text(sample)}
    if code.kind in ("numbers", "rate", "delta"):
        return {"values": text(sample.astype(np.float32))}
    found: dict[str, Any] = {"picture": _picture(sample, code)}
    if signal.values is not None:
        return found | {"values": text(signal.values[:, b])}
    assert signal.when is not None and signal.batch is not None and signal.who is not None
    mine = signal.batch == b
    return found | {"when": text(signal.when[mine].astype(np.uint16)), "who": text(signal.who[mine].astype(np.uint32))}


def _picture(sample: np.ndarray, code: Code) -> list[Any]:
    """Rows, columns and bytes of a picture of a sample: its numbers from the lowest to the highest; events, counted."""
    if code.kind == "events":
        units = sample[1][sample[1] >= 0]
        polarities, rows, columns = code.shape
        counts = np.bincount(units, minlength=math.prod(code.shape)).reshape(polarities, rows, columns).sum(0)
        image = counts / max(1, counts.max())
    else:
        image = sample.astype(np.float64).reshape(-1, sample.shape[-1])
        low, high = float(image.min()), float(image.max())
        image = (image - low) / ((high - low) or 1.0)
    return [*image.shape, text(np.round(255.0 * image).astype(np.uint8))]


def chosen(labels: Sequence[int] | np.ndarray, count: int) -> NDArray[np.integer]:
    """The indices of `count` samples, the classes in turn, each in the order of its samples.

    Example:
        >>> chosen([0, 0, 0, 1, 2, 1], 5).tolist()
        [0, 3, 4, 1, 5]
    """
    labels = np.asarray(labels)
    turn = np.empty(len(labels), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((np.arange(len(labels)), labels, turn))[:count]


def as_array(samples: Any, at: NDArray[np.integer]) -> np.ndarray:
    """The samples at some indices, as the network takes them.

    Example:
        >>> as_array(np.arange(6).reshape(3, 2), np.array([2, 0])).tolist()
        [[4, 5], [0, 1]]
    """
    found = samples[at]
    if isinstance(samples, EventLists):
        longest = int((found[:, 0] >= 0).sum(-1).max())
        return found[..., : max(1, longest)]
    return np.asarray(found)
