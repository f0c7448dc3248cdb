"""Write a trained network as one page that plays it, without Python: `exhibit`."""

import os
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from numpy.typing import NDArray

from snnlab import __version__
from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.export.exhibits import page, picture
from snnlab.export.exhibits.coding import Coding, coding_of, shortest
from snnlab.export.exhibits.exact import Single
from snnlab.export.exhibits.plan import CODE, Layer, Slider, layers_of, shown, sliders_of
from snnlab.export.exhibits.quantize import quantized
from snnlab.export.exhibits.replay import Played, play
from snnlab.export.exhibits.samples import Code, Found, Python, as_array, checks, chosen, code_of, run, stored, text
from snnlab.losses.terms import READOUTS
from snnlab.models import Network
from snnlab.support import arguments
from snnlab.support.files import atomic_path, refuse_existing
from snnlab.support.markup import plain
from snnlab.support.transfers import transfers_allowed

MOST = 25 * 10**6  # bytes of a page
_IN_A_NOTEBOOK, _HEIGHT = 10**6, 820  # bytes of a page that a notebook shows, and pixels of its frame
MOST_STEPS = 2**16  # which is how the page counts them
TOLERANCE = 1e-5  # of the scores, relative to the largest, where they are not compared by a checksum


@dataclass(frozen=True, kw_only=True)
class ExhibitReport:
    """What an exhibit shows, and how far it is what Python computes.

    Attributes:
        path: of the page.
        bytes: its size.
        samples: how many it carries.
        equal: how many of them are played as in Python: every spike, and the same class.
        spikes: of all layers and samples, in Python.
        differing: how many of them the page plays otherwise.
        lost: with weights of 8 bits, how many spikes differ from those of the trained network; None with all bits.
        turned: with weights of 8 bits, for how many samples the answer differs from that of the trained network.

    Example:
        >>> print(ExhibitReport(path=Path("net.html"), bytes=52000, samples=20, equal=20, spikes=1480, differing=0))
        net.html: 52 kB, 20 of 20 samples, all 1,480 spikes as in Python
    """

    path: Path
    bytes: int
    samples: int
    equal: int
    spikes: int
    differing: int
    lost: int | None = None
    turned: int = 0

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 10**6 else f"{self.bytes / 1e3:.0f} kB"
        if self.spikes == 0:
            how = "every class as in Python" if self.equal == self.samples else "other classes than in Python"
        elif self.differing:
            how = f"{self.differing:,} of {self.spikes:,} spikes NOT as in Python"
        else:
            how = f"all {self.spikes:,} spikes as in Python"
        said = f"{self.path}: {size}, {self.equal} of {self.samples} samples, {how}"
        if self.lost is None:
            return said
        return f"{said}\n{loss_in_words(self.lost, self.turned, self.samples)}"

    __repr__ = __str__

    def _repr_html_(self) -> str | None:
        """The page itself in a notebook, in a frame that may run scripts and do nothing else; None for a large one."""
        if self.bytes > _IN_A_NOTEBOOK:
            return None
        text = plain(self.path.read_text(encoding="utf-8"))
        text = text.replace("\n", "&#10;")  # Markdown ends HTML at an empty line
        frame = f'sandbox="allow-scripts" title="A trained network" loading="lazy" width="100%" height="{_HEIGHT}"'
        return f'<iframe {frame} srcdoc="{text}"></iframe>'


def loss_in_words(lost: int, turned: int, samples: int) -> str:
    """Say what weights of 8 bits cost.

    Example:
        >>> loss_in_words(31, 1, 20)
        'WEIGHTS OF 8 BITS: 31 spikes differ from the trained network, and 1 of 20 answers'
    """
    return f"WEIGHTS OF 8 BITS: {lost:,} spikes differ from the trained network, and {turned} of {samples} answers"


@transfers_allowed()
def exhibit(
    model: nnx.Module,
    path: str | os.PathLike,
    samples: Any,
    labels: Sequence[int] | np.ndarray | None = None,
    *,
    count: int = 20,
    class_names: Sequence[str] = (),
    training: Mapping[str, Any] | None = None,
    title: str | None = None,
    licence: str | None = None,
    command: str | None = None,
    bits: int | None = None,
    overwrite: bool = False,
) -> ExhibitReport:
    """Write a network as one page, in which it can be played, changed and tried out without Python and offline.

    The page computes in float32 in the order of snnlab's CPU kernels and checks itself when it opens: it carries the
    checksum of Python's spikes for each sample. What agrees is also measured here, and said.

    It shows spiking networks of `LifRef` and `Leaky`, also recurrent, deep or with delays, and LSTMs with a linear
    readout, that give each sample a class.

    Args:
        model: the network, such as `snnlab.build` makes.
        path: of the page; missing folders are made.
        samples: a `Dataset`, of whose test part the page gets `count` samples, the classes in turn; or the samples
            themselves, as the network takes them.
        labels: of such samples; None if they are in the data set.
        count: number of samples of a data set, 1 to 1000.
        class_names: one per class; default: those of the data set, or "0", "1", ...
        training: how the network was trained, such as `Trainer.provenance`. Its "readout" says how the readout becomes
            a class: its "max", "mean", "sum" over time, or its "last" value; default "max".
        title: of the page; default: the sizes of the network and the name of the data.
        licence: of the network and the samples, shown in the page.
        command: what made the page, shown in it; default: this call.
        bits: 8 for weights of 8 bits, which makes the page four times smaller and changes some spikes; the page and
            the report say how many. Default: the weights as they are.
        overwrite: replace an existing file.

    Returns:
        The report; it prints as text.

    Raises:
        ArgumentError: with the reason, if the network, the task or the size cannot be shown; or if the file exists and
            `overwrite` is False.
        WriteError: if it cannot be written.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig, build, load_data
        >>> digits = load_data("digits")
        >>> net = build(SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
        >>> report = exhibit(net, Path(tempfile.mkdtemp()) / "net.html", digits, count=10)
        >>> report.samples, report.equal, report.differing
        (10, 10, 0)
    """
    path = refuse_existing(path, overwrite)
    arguments.instance("model", model, nnx.Module, "a network, such as what `snnlab.build` returns")
    network, given = shown(nnx.clone(model)), _given(samples, labels, count)
    network.eval()
    rule = arguments.choice("training: its readout", (training or {}).get("readout") or "max", READOUTS)
    arguments.choice("bits", bits, (None, 8))
    _refuse_large(network, bits)
    made = _made(network, given, rule, bits)
    if len(made.python.readout) >= MOST_STEPS:
        raise ArgumentError(f"model: runs for {len(made.python.readout)} steps, a page shows fewer than {MOST_STEPS}")
    names = _class_names(class_names or given.class_names, made.python.readout.shape[-1])
    _refuse_labels(given.labels, names)
    data = _data(network, made, given, rule) | {
        "title": title or _title(made.layers, training, given.name),
        "classes": names,
        "facts": _facts(made.layers, training, given.name, licence, command or _command(path)),
        "words": [] if made.lost is None else [loss_in_words(made.lost, made.turned, len(given.x))],
    }
    drawn = picture.svg(made.layers, made.played, made.python.scores[0], names)
    written = page.html(data | {"seal": _seal(data)}, drawn).encode()
    if len(written) > MOST:
        raise ArgumentError(f"model: its page would have {len(written) / 1e6:.0f} MB, more than 25; pass fewer samples")
    with atomic_path(path) as part:
        part.write_bytes(written)
    return ExhibitReport(
        path=path,
        bytes=len(written),
        samples=len(given.x),
        equal=sum("differs" not in sample for sample in data["samples"]),
        spikes=int(made.python.per_sample.sum()),
        differing=int(made.differing.sum()),
        lost=made.lost,
        turned=made.turned,
    )


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What Python and the page make of the samples, and what weights of 8 bits change."""

    layers: list[Layer]
    sliders: list[Slider]
    coding: Coding
    found: Found
    played: list[Played]
    small: dict[str, Any] | None = None
    lost: int | None = None
    turned: int = 0

    @property
    def python(self) -> Python:
        return self.found.python

    @property
    def differing(self) -> NDArray[np.integer]:
        """Number of spikes of each sample that the page plays otherwise."""
        own = [did.spikes for did in self.played if did.spikes is not None]
        differ = ((a != b).sum((0, 2)) for a, b in zip(self.python.spikes, own, strict=True))
        return sum(differ, np.zeros(self.python.readout.shape[1], int))

    @property
    def outputs(self) -> bool:
        """Whether there are LSTMs whose outputs the page computes bit for bit."""
        own = [did.values for layer, did in zip(self.layers, self.played, strict=True) if layer.kind == "lstm"]
        return bool(own) and all(bool((a == b).all()) for a, b in zip(own, self.python.outputs, strict=True))

    @property
    def exact(self) -> bool:
        """Whether the page computes the readout bit for bit."""
        return bool((self.played[-1].values == self.python.readout).all())


def _made(network: Network, given: "_Given", rule: str, bits: int | None) -> _Made:
    """Run the network, and play it as the page does; with `bits` after its weights were rounded, in place."""
    found, change = run(network, given.x, rule, given.lengths), {}
    if bits is not None:
        before, small = found.python, quantized(network)
        found = run(network, given.x, rule, given.lengths)
        lost = sum(int((a != b).sum()) for a, b in zip(found.python.spikes, before.spikes, strict=True))
        change = {"small": small, "lost": lost, "turned": int((found.python.answers != before.answers).sum())}
    layers = layers_of(network)
    sliders, coding = sliders_of(network), coding_of(network, given.x)
    played = play(layers, found.signal)
    return _Made(layers=layers, sliders=sliders, coding=coding, found=found, played=played, **change)


@dataclass(frozen=True, kw_only=True)
class _Given:
    """The samples of an exhibit."""

    x: np.ndarray
    labels: NDArray[np.integer]
    class_names: Sequence[str] = ()
    lengths: NDArray[np.integer] | None = None
    name: str = ""
    shape: tuple[int, ...] = ()  # of a sample


def _given(samples: Any, labels: Any, count: int) -> _Given:
    count = arguments.count("count", count, 1, 1000)
    if isinstance(samples, Dataset):
        if labels is not None:
            raise ArgumentError("labels: the data set has its own; leave it out")
        if samples.task != "label":
            raise ArgumentError(f"samples: an exhibit shows one class a sample, the data have task={samples.task!r}")
        part = samples.part("test")
        at = chosen(part.targets.values, count)
        lengths = None if part.targets.lengths is None else np.asarray(part.targets.lengths)[at]
        return _Given(
            x=as_array(part.x, at),
            labels=np.asarray(part.targets.values)[at],
            class_names=samples.class_names,
            lengths=lengths,
            name=samples.name,
            shape=tuple(samples.sample_shape),
        )
    if labels is None:
        raise ArgumentError("labels: must be given with samples that are no Dataset")
    x, labels = arguments.array("samples", samples), arguments.array("labels", labels)
    if labels.shape != (len(x),) or not np.issubdtype(labels.dtype, np.integer) or not len(x):
        raise ArgumentError(f"labels: must be one integer per sample, {len(x)}, got {labels.dtype}{labels.shape}")
    return _Given(x=x, labels=labels, shape=x.shape[1:])


def _class_names(names: Sequence[str], count: int) -> list[str]:
    names = [str(name) for name in names] or [str(k) for k in range(count)]
    if len(names) != count:
        raise ArgumentError(f"class_names: must be {count}, one per class of the readout, got {len(names)}")
    return names


def _refuse_labels(labels: NDArray[np.integer], names: Sequence[str]) -> None:
    if labels.min() < 0 or labels.max() >= len(names):
        raise ArgumentError(f"labels: must be in 0..{len(names) - 1}, got {labels.min()}..{labels.max()}")


def _refuse_large(network: nnx.Module, bits: int | None) -> None:
    """Refuse before the work what base64 makes too large."""
    values = sum(np.size(leaf.get_value()) for leaf in _params(network))
    size = values * (1 if bits else 4) * 4 / 3
    if size > MOST:
        cure = "" if bits else "; bits=8 makes it four times smaller"
        raise ArgumentError(
            f"model: its {values:,} weights would make a page of {size / 1e6:.0f} MB, more than 25{cure}"
        )


def _params(network: nnx.Module) -> list[nnx.Variable]:
    return [variable for _, variable in nnx.to_flat_state(nnx.state(network, nnx.Param))]


def _data(network: Network, made: _Made, given: _Given, rule: str) -> dict[str, Any]:
    """What the page computes with: layers, sliders, samples."""
    python, signal, differing, exact = made.python, made.found.signal, made.differing, made.exact
    dt = network.stack.dt or getattr(network.encoder, "dt", None)
    shape = given.shape if network.recipe is None else network.recipe.sample_shape  # of the sensor, for events
    table = made.found.table if made.coding.numbers is None else made.coding.numbers
    code = code_of(network, tuple(shape), table, made.coding.rule)
    bound = TOLERANCE * float(np.abs(python.scores).max() or 1.0)
    scores = _scores(made.played[-1].values, rule, given.lengths)
    alike = (np.abs(scores - python.scores).max(-1) <= bound) & (scores.argmax(-1) == python.answers)
    samples = [  # where the readout is exact, the scores follow from it
        {
            "label": int(given.labels[b]),
            "answer": int(python.answers[b]),
            "checks": checks(python, b, exact=exact, outputs=made.outputs),
            **stored(given.x, signal, code, b),
            **({} if given.lengths is None else {"length": int(given.lengths[b])}),
            **({} if exact else {"scores": text(python.scores[b].astype(np.float32))}),
            **({} if differing[b] == 0 and alike[b] else {"differs": True}),
        }
        for b in range(len(given.x))
    ]
    return {
        "steps": len(python.readout),
        "dt": dt or 1.0,
        "unit": "ms" if dt else "steps",
        "rule": rule,
        "exact": exact,
        "outputs": made.outputs,
        "bound": bound,
        "input": _coded(code, made.coding) | {"dt": getattr(network.encoder, "dt", dt) or 1.0},
        "layers": [_stored(layer, made.small) for layer in made.layers],
        "sliders": [_slider(slider, made.layers) for slider in (*made.coding.sliders, *made.sliders)],
        "samples": samples,
    }


def _scores(readout: np.ndarray, rule: str, lengths: NDArray[np.integer] | None) -> np.ndarray:
    """The scores by the page's own sums."""
    steps = len(readout)
    lengths = np.full(readout.shape[1], steps) if lengths is None else lengths
    found = []
    for b, length in enumerate(lengths):
        own = readout[:length, b].astype(np.float64)
        found.append({"mean": own.mean(0), "sum": own.sum(0), "max": own.max(0), "last": own[-1]}[rule])
    return np.array(found)


def _coded(code: Code, coding: Coding) -> dict[str, Any]:
    return {
        "kind": code.kind,
        "units": code.units,
        "shape": list(code.shape),
        "table": "" if code.table is None else text(code.table),
        "each": code.each,
        "microseconds": code.microseconds,
        "rule": coding.rule,
        "listed": coding.listed,
        "open": "" if coding.opened is None else text(coding.opened),
        "limits": "" if coding.limits is None else text(coding.limits),
        "chances": "" if coding.chances is None else text(coding.chances),
        "words": coding.words,
    }


def _stored(layer: Layer, small: dict[str, Any] | None) -> dict[str, Any]:
    """A layer as the page reads it."""
    kept = {
        name: getattr(layer, name) for name in ("name", "kind", "inputs", "units", "delay", "value_reset", "adapts")
    }
    own = [kernel for kernel in (layer.weights, layer.recurrent) if kernel is not None]
    pairs = [(text(kernel), None) for kernel in own]
    if small is not None:
        pairs = [(text(whole), text(scale)) for whole, scale in small[layer.name]]
    (weights, scale), (recurrent, other) = [*pairs, (None, None)][:2]
    rows = {name: text(np.atleast_1d(row).astype(np.float32)) for name, row in layer.rows.items()}
    return kept | {"weights": weights, "recurrent": recurrent, "scales": [scale, other], "rows": rows}


def _slider(slider: Slider, layers: Sequence[Layer]) -> dict[str, Any]:
    where = "code" if slider.layer == CODE else layers[slider.layer].name
    return {
        "layer": slider.layer,
        "name": slider.name,
        "label": f"{where}.{slider.name}",
        "unit": slider.unit,
        "home": slider.home,
        "values": shortest(slider.values).tolist(),
        "rows": {name: _row(row, slider.values) for name, row in slider.rows.items()},
        **({} if slider.own is None else {"own": slider.own}),
    }


def _row(row: Single, values: Single) -> str:
    """What follows from the values of a slider; nothing where it is these values."""
    row = np.asarray(row, np.float32)
    return "" if np.array_equal(row, values) else text(row)


def _seal(data: dict[str, Any]) -> int:
    """CRC-32 of weights, constants and samples as they are written; `js/checks.js` computes it, too."""
    parts: list[str] = []
    for layer in data["layers"]:
        parts += [layer["weights"], layer["recurrent"] or "", *layer["rows"].values()]
    for sample in data["samples"]:
        parts += [sample.get(name, "") for name in ("bytes", "when", "who", "values")]
    return zlib.crc32("".join(parts).encode())


def _title(layers: Sequence[Layer], training: Mapping[str, Any] | None, name: str) -> str:
    sizes = "-".join(str(size) for size in (layers[0].inputs, *(layer.units for layer in layers)))
    kind = "An LSTM" if layers[0].kind == "lstm" else "A spiking network"
    data = (training or {}).get("data") or name
    return f"{kind}, {sizes}" + (f", trained on {data}" if data else "")


def _command(path: Path) -> str:
    return f'snnlab.exhibit(net, "{path.name}", data)'


def _facts(
    layers: Sequence[Layer], training: Mapping[str, Any] | None, name: str, licence: str | None, command: str
) -> list[list[str]]:
    """What the page tells of the network: pairs of a word and a value."""
    values = sum(layer.weights.size + (0 if layer.recurrent is None else layer.recurrent.size) for layer in layers)
    rows = [["Layers", ", ".join(f"{layer.name} ({layer.kind}, {layer.units})" for layer in layers)]]
    rows.append(["Weights", f"{values:,}"])
    for key, value in (training or {}).items():
        if value is not None and not isinstance(value, Mapping | list | tuple):
            said = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append([key.replace("_", " "), textwrap.shorten(said, 200)])
    if name and not (training or {}).get("data"):
        rows.append(["data", name])
    rows += [["Licence", licence or "not stated"], ["Made by", f"snnlab {__version__}"], ["Command", command]]
    return rows
