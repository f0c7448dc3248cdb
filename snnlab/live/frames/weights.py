"""The weights of a layer: their distribution over the run, and what every neuron looks at.

`snnlab.live.look.weights` reads them.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from snnlab.live.frames import pixels, wording
from snnlab.support import arguments, numbers

HALF = 32  # bins on either side of 0
MAX_COLUMNS = 200  # snapshots of a run that are kept apart
MAX_TILES = 400  # neurons on a sheet
MAX_SIDE = 32  # rows and columns of a tile
MAX_ROW = 400  # weights of a neuron that is drawn as a row
BRIGHTEST = 0.998  # share of the weights that are within the scale of a sheet
SORTS = ("index", "norm", "similarity")

Frame = dict[str, Any]


class _Column(NamedTuple):
    """A histogram of one array: of one snapshot, or the sum of several neighbours.

    Attributes:
        step: of the last snapshot.
        snapshots: how many there are.
        power: the bins go from `-2**power` to `2**power`.
        counts: in each bin.
    """

    step: int
    snapshots: int
    power: int
    counts: np.ndarray

    @classmethod
    def of(cls, step: int, values: np.ndarray) -> "_Column":
        """Count finite values in the narrowest bins that reach the largest of them."""
        power = int(np.ceil(np.log2(max(float(np.abs(values).max(initial=0.0)), 2.0**-99))))
        place = np.floor(values * (HALF / 2.0**power)).astype(np.int64) + HALF
        return cls(step, 1, power, np.bincount(np.clip(place, 0, 2 * HALF - 1), minlength=2 * HALF))

    def widened(self, power: int) -> np.ndarray:
        """Return the counts in wider bins, each made of whole ones."""
        counts = self.counts
        for _ in range(min(power - self.power, int(np.log2(HALF)))):  # then every side has one bin, which stays
            counts = np.pad(counts.reshape(-1, 2).sum(1), HALF // 2)
        return counts

    def plus(self, other: "_Column") -> "_Column":
        """Return the sum, in the wider of both bins."""
        power = max(self.power, other.power)
        counts = self.widened(power) + other.widened(power)
        return _Column(other.step, self.snapshots + other.snapshots, power, counts)


class _Log:
    """The histograms of one array over a run, oldest first."""

    def __init__(self):
        self.columns: list[_Column] = []
        self.merged = 1  # snapshots in a full column
        self.lost = 0  # weights of the newest snapshot that are not finite
        self.size = 0

    def append(self, step: int, values: np.ndarray) -> None:
        """Add a snapshot; neighbours become one column when there are too many."""
        self.columns = [column for column in self.columns if column.step < step]
        values = np.ravel(values)
        finite = values[np.isfinite(values)].astype(np.float64)
        self.lost, self.size = values.size - finite.size, values.size
        new = _Column.of(step, finite)
        if self.columns and self.columns[-1].snapshots < self.merged:
            self.columns[-1] = self.columns[-1].plus(new)
        else:
            self.columns.append(new)
        if len(self.columns) > MAX_COLUMNS:
            pairs = [self.columns[k : k + 2] for k in range(0, len(self.columns), 2)]
            self.columns = [functools.reduce(_Column.plus, pair) for pair in pairs]
            self.merged *= 2


class WeightLog:
    """Histograms of the weights over a run, in memory that does not grow.

    There are as many bins on either side of 0. If weights outgrow them, they become twice as wide; no count is lost.
    Of a long run, neighbouring snapshots are added up.

    Example:
        >>> log = WeightLog()
        >>> log.append(0, {"hidden.kernel": np.array([[-0.5, 0.1], [0.2, 0.9]])})
        >>> log.append(8, {"hidden.kernel": np.array([[-0.5, 0.1], [0.2, 3.0]])})
        >>> frame = log.frame("hidden.kernel")
        >>> frame["low"], frame["high"], frame["steps"], frame["words"]
        (-4.0, 4.0, [0, 8], 'hidden.kernel: 4 weights in 2 snapshots up to step 8, from −4 to 4')
    """

    def __init__(self):
        self._logs: dict[str, _Log] = {}

    @property
    def names(self) -> list[str]:
        """Names of the weights."""
        return list(self._logs)

    def append(self, step: int, weights: Mapping[str, np.ndarray]) -> None:
        """Add a snapshot. If the run was taken back to an earlier step, what came after that is dropped."""
        for name, values in weights.items():
            self._logs.setdefault(name, _Log()).append(step, values)

    def frame(self, name: str) -> Frame:
        """Describe the histograms of one array of weights.

        Args:
            name: one of `names`.

        Returns:
            A frame with "image", one row for each bin, the lowest weights last, and one column for each time, with the
            share of the weights from 0 to 255 = "top"; "low" and "high", the ends of the bins; "steps", the last one
            in each column; "words". If there is no snapshot, its "reason".

        Raises:
            ArgumentError: if there are no such weights.
        """
        if not self._logs:
            return {"reason": "no weights have been noted yet"}
        log = self._logs[arguments.choice("name", name, self.names)]
        power = max(column.power for column in log.columns)
        counts = np.stack([column.widened(power) for column in log.columns], axis=1)
        shares = counts / np.maximum(counts.sum(0), 1)
        top, reach, steps = float(shares.max()), 2.0**power, [column.step for column in log.columns]
        snapshots = numbers.count(sum(column.snapshots for column in log.columns), "snapshot")
        said = f"{name}: {numbers.count(log.size, 'weight')} in {snapshots} up to step {steps[-1]:,}"
        said += f", from {numbers.number(-reach)} to {numbers.number(reach)}"
        said += f"; a column averages {log.merged} snapshots" if log.merged > 1 else ""
        said += f"; {numbers.number(log.lost)} not finite" if log.lost else ""
        return {
            "reason": None,
            "name": name,
            "image": pixels.image(pixels.shares(shares[::-1] / max(top, 1e-30))),
            "top": top,
            "low": -reach,
            "high": reach,
            "steps": steps,
            "words": said,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Fields:
    """What the neurons of a layer look at.

    Attributes:
        tiles: weights of every neuron as an image `(n, rows, columns)`, or as a row.
        pixels: whether each is laid out as an image.
        labels: names of the rows of a tile, such as the gates of an LSTM.
        inputs: what a weight belongs to, see `wording.weighted`; by default a pixel, or an input.
        spiking: whether the layer spikes.

    Example:
        >>> Fields(tiles=np.zeros((20, 8, 8)), pixels=True).tiles.shape
        (20, 8, 8)
    """

    tiles: Float[np.ndarray, "n rows columns"]
    pixels: bool
    labels: tuple[str, ...] = ()
    inputs: str | None = None
    spiking: bool = True


def fields_frame(fields: Fields | None, sort: str = "index") -> Frame:
    """Lay out the weights of all neurons of a layer as a sheet of tiles.

    Args:
        fields: the weights; None if there are none.
        sort: "index"; "norm", the largest weights first; or "similarity": each tile is followed by the one that is most
            like it (cosine), beginning with the largest. Of many neurons, those with the largest weights are shown,
            sorted by index some that are evenly spread.

    Returns:
        A frame with "units", bytes, int32: the neuron of each tile; "tiles": bytes, tile after tile of "rows" times
        "columns" pixels, 128 for 0, 1 and 255 for minus and plus "scale", or more; "pixels" and "labels" as in
        `Fields`; "words". If there are no weights, its "reason".

    Raises:
        ArgumentError: if there is no such order.

    Example:
        >>> tiles = np.array([[[0.0, 1.0]], [[2.0, 0.0]], [[0.0, 3.0]]])
        >>> frame = fields_frame(Fields(tiles=tiles, pixels=False), sort="similarity")
        >>> np.frombuffer(frame["units"], np.int32).tolist(), frame["words"]
        ([2, 0, 1], 'weights of 3 neurons from 2 inputs, sorted by similarity, from −3 (blue) to 3 (orange)')
    """
    arguments.choice("sort", sort, SORTS)
    if fields is None or not fields.tiles.size:
        return {"reason": "this layer has no weights of its own"}
    order, words = _order(fields.tiles, sort)
    tiles, averaged = _small(np.nan_to_num(fields.tiles[order].astype(np.float64)), fields.pixels)
    sizes = np.abs(tiles)
    scale = float(np.quantile(sizes, BRIGHTEST, method="higher"))
    scale = scale if scale > 0.0 else float(sizes.max())
    clipped = float((sizes > scale).mean())
    inputs = fields.inputs or ("pixel" if fields.pixels else "input")
    shown = numbers.part(len(order), len(fields.tiles), wording.unit(fields.spiking))
    per_row = fields.tiles[0].size // max(1, len(fields.labels))
    said = [f"weights of {shown} from {numbers.count(per_row, inputs)}", *words]
    said.append(f"from {numbers.number(-scale)} (blue) to {numbers.number(scale)} (orange)")
    said += [f"{numbers.percent(clipped)} are larger"] if clipped else []
    said += [averaged] if averaged else []
    return {
        "reason": None,
        "units": order.astype(np.int32).tobytes(),
        "tiles": pixels.diverging(tiles, scale).tobytes(),
        "rows": tiles.shape[1],
        "columns": tiles.shape[2],
        "scale": scale,
        "pixels": fields.pixels,
        "labels": list(fields.labels),
        "words": ", ".join(said),
    }


def _order(tiles: np.ndarray, sort: str) -> tuple[np.ndarray, list[str]]:
    """Return the neurons that are shown, in their order, and how they were chosen."""
    count = len(tiles)
    if sort == "index":
        return pixels.thinned(count, MAX_TILES), []
    flat = np.nan_to_num(tiles.reshape(count, -1).astype(np.float64))
    norms = np.linalg.norm(flat, axis=1)
    largest = np.argsort(-norms, kind="stable")[:MAX_TILES]
    words = ["those with the largest weights"] if count > MAX_TILES else []
    if sort == "norm":
        return largest, [*words, "the largest first"]
    return largest[_chain(flat[largest] / np.maximum(norms[largest], 1e-30)[:, None])], [*words, "sorted by similarity"]


def _chain(directions: np.ndarray) -> np.ndarray:
    """Begin with the first, and go on to the one that is most like the last, of those that are left."""
    alike = directions @ directions.T
    left = np.ones(len(alike), bool)
    chain = [0]
    left[0] = False
    while left.any():
        chain.append(int(np.where(left, alike[chain[-1]], -np.inf).argmax()))
        left[chain[-1]] = False
    return np.array(chain)


def _small(tiles: np.ndarray, are_pixels: bool) -> tuple[np.ndarray, str]:
    """Average blocks of large tiles, and neighbours in long rows; return also how it is said."""
    _, rows, columns = tiles.shape
    if are_pixels:
        block = -(-max(rows, columns) // MAX_SIDE)
        tiles, said = pixels.averaged(tiles, block, axis=1), f"a pixel averages {block} {numbers.TIMES} {block} weights"
    else:
        block = -(-columns // MAX_ROW)
        said = f"a pixel averages {block} neighbours"
    return pixels.averaged(tiles, block, axis=2), said if block > 1 else ""
