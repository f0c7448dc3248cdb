"""What the canvases draw, as pure functions: bits for spikes, one byte for a pixel, float32 for traces.

A *scene* changes only with the sample and the choice of layers, a *frame* with everything. Time is divided into cells
of `cell` steps, so that at most `MAX_COLUMNS` columns are sent. Nothing here knows a widget; all of it is tested
headless.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snnlab.live.frames import pixels, wording
from snnlab.live.frames.columns import cells, extremes
from snnlab.live.frames.moments import moments_frame
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.frames.targets import EVERY_STEP, scored_steps, target_frame
from snnlab.live.frames.voltages import Spiking, before_reset
from snnlab.support import arguments, numbers

if TYPE_CHECKING:  # frames load no JAX
    from snnlab.health import Health, LayerHealth

MAX_COLUMNS = 400  # of time
MAX_ROWS = 256  # units of a hidden layer
MAX_CLASSES = 10  # readout traces
THUMB = 60  # points of a sample that is drawn as a line beside the raster, about
LINES = 4  # channels of a signal that is drawn as lines
SORTS = ("index", "first spike", "rate")
BINS = 20  # of a histogram of rates
ROUND = (1, 2, 3, 4, 5, 6, 8, 10)  # times a power of ten: where the axis of a histogram may end

Frame = dict[str, Any]


def raster_scene(probe: Probe, class_names: Sequence[str], dt: float | None, layer: str = "all") -> Frame:
    """Describe what does not change while the network learns: the image, its input spikes, the rows.

    Args:
        probe: what the network did with the sample.
        class_names: of the data, or names of the outputs.
        dt: time step [ms] of the axis; None counts steps.
        layer: the hidden layer to show, or "all".

    Raises:
        ArgumentError: if there is no such layer.
    """
    steps = len(probe.readout)
    return {
        "task": probe.task,
        "drawn": probe.drawn,
        "image": pixels.image(_grey(probe.sample)),
        "signal": _signal(probe),
        "length": probe.length,
        "scored": _scored(probe),
        "classes": list(class_names),
        "short": numbers.distinct(class_names),
        "label": probe.label,
        "steps": steps,
        "cell": _cell(steps),
        "dt": dt or 0.0,
        "input": _input(probe),
        "layers": _hidden(probe, layer),
        "readout": next(reversed(probe.states), None),
        "units": {name: state.shape[1] for name, state in probe.states.items()},
    }


def raster_frame(
    probe: Probe,
    class_names: Sequence[str],
    layer: str = "all",
    sort: str = "index",
    neuron: Frame | None = None,
) -> Frame:
    """Describe what changes while the network learns: hidden layers, readout, prediction, selected neuron.

    Args:
        probe: what the network did with the sample.
        class_names: of the data, or names of the outputs.
        layer: the hidden layer to show, or "all".
        sort: order of its units from top to bottom, one of `SORTS`.
        neuron: the selected neuron, see `neuron_frame`.

    Raises:
        ArgumentError: if there is no such layer or order.
    """
    arguments.choice("sort", sort, SORTS)
    spikes = ", ".join(f"{name} {raster.sum():,} spikes" for name, raster in probe.rasters.items())
    shown, cell = shown_outputs(probe), _cell(len(probe.readout))
    target = target_frame(probe, class_names, shown, cell)
    summary = "; ".join(
        [_told(probe, class_names) if target is None else target["words"], *([spikes] if spikes else [])]
    )
    return {
        "layers": {name: _layer(probe, name, sort) for name in _hidden(probe, layer)},
        "readout": extremes(probe.readout[:, shown], cell).tobytes(),
        "moments": moments_frame(probe, shown, cell),
        "shown": shown,
        "prediction": probe.prediction,
        "target": target,
        "neuron": neuron,
        "summary": summary + (f"; selected {neuron['title']}" if neuron else ""),
    }


def neuron_frame(
    probe: Probe, neuron: Neuron, class_names: Sequence[str], dt: float | None, spiking: Spiking | None = None
) -> Frame:
    """Describe one neuron: its voltage or output, its spikes, its constants in words, its weights as an image.

    The "trace" is the voltage before the reset: at a spike it is at the threshold or above. "after" is the voltage
    after the reset, where the trace has a point for every step. With `reset="value"` the voltage that a spike has
    overwritten is unknown, and the trace goes to the threshold.

    Args:
        probe: what the network did with the sample.
        neuron: the neuron.
        class_names: of the data.
        dt: time step [ms] of the axis; None counts steps.
        spiking: what makes the neurons of its layer spike; without it the trace is the voltage after the reset.
    """
    name, unit = neuron.layer, neuron.unit
    cell = _cell(len(probe.readout))
    raster = probe.rasters.get(name)
    title = f"{name} {wording.unit(raster is not None)} {unit}"
    if name == next(reversed(probe.states), None) and unit < len(class_names):
        noun = "" if probe.task in ("values", "traces", "spike_trains") else "class "
        title += f" ({noun}{class_names[unit]})"
    facts = [f"{what} {numbers.quantity(value, measure, 4)}" for what, value, measure in neuron.constants if value]
    if raster is not None:
        facts.append(_rate(raster[:, unit], dt))
    return {
        "layer": name,
        "unit": unit,
        "title": ": ".join([title, *([", ".join(facts)] if facts else [])]),
        **_voltage(probe, neuron, spiking, cell),
        "threshold": neuron.constant("v_th"),
        "spikes": None if raster is None else np.packbits(cells(raster[:, [unit]], cell).any(1)).tobytes(),
        "weights": None if neuron.weights is None else _weights(neuron, neuron.weights, probe),
    }


def _voltage(probe: Probe, neuron: Neuron, spiking: Spiking | None, cell: int) -> Frame:
    if neuron.layer not in probe.states:
        return {"trace": None, "after": None}
    states, raster = probe.states[neuron.layer], probe.rasters.get(neuron.layer)
    after = states[:, [neuron.unit]]
    if raster is None or spiking is None:
        return {"trace": extremes(after, cell).tobytes(), "after": None}
    one = spiking.of(np.array([neuron.unit]), states.shape[1])
    before = before_reset(after, raster[:, [neuron.unit]], one)
    trace = extremes(np.where(np.isnan(before) & ~np.isnan(after), one.v_th, before), cell)
    return {"trace": trace.tobytes(), "after": extremes(after, cell).tobytes() if cell == 1 else None}


def _cell(steps: int) -> int:
    return -(-steps // MAX_COLUMNS)


def _hidden(probe: Probe, layer: str) -> list[str]:
    """The layers that have a row: all but the readout, which has one only if it spikes, and is shown nowhere else."""
    names = [name for name in probe.states or probe.rasters if name != "input"]
    if layer != "all":
        arguments.choice("layer", layer, ("all", *names))
        names = [layer]
    readout = next(reversed(probe.states), None)
    shown = readout in probe.rasters and probe.task != "spike_trains"
    return [name for name in names if name != readout or shown]


def _activity(probe: Probe, name: str) -> np.ndarray:
    return probe.rasters[name] if name in probe.rasters else probe.states[name]


def _told(probe: Probe, class_names: Sequence[str]) -> str:
    """Say the true class and the predicted one; of a drawing for another task, that it has no target."""
    if probe.task != "label":
        return "your drawing"
    truth = "your drawing" if probe.label is None else f"true class {class_names[probe.label]}"
    return f"{truth}, predicted {class_names[probe.prediction]}"


def _scored(probe: Probe) -> bytes | None:
    """Bits: the columns in which a step is scored; None where all of them are, and where a sample has one target."""
    if probe.task not in EVERY_STEP or probe.target is None:
        return None
    scored = scored_steps(probe)
    return None if scored.all() else np.packbits(cells(scored[:, None], _cell(len(scored))).any(1)).tobytes()


def _signal(probe: Probe) -> Frame | None:
    """A sample `(time, channels)` of few channels, to be drawn as lines."""
    sample = probe.sample
    if probe.events or sample.ndim != 2 or sample.shape[1] > LINES or len(sample) < 2 * LINES:
        return None
    values = np.asarray(sample, np.float32)
    return {"channels": values.shape[1], "values": extremes(values, -(-len(values) // THUMB)).tobytes()}


def _input(probe: Probe) -> Frame | None:
    if probe.signal is not None:
        return _numbers_in(probe.signal)
    raster = probe.rasters.get("input")
    if raster is None:
        return None
    columns = cells(raster, _cell(len(raster))).any(1)
    title = f"input: {raster.sum():,} spikes, {raster.shape[1]:,} units"
    return {"units": raster.shape[1], "title": title, "bits": np.packbits(columns).tobytes()}


def _numbers_in(signal: np.ndarray) -> Frame:
    """An input of numbers: few units as lines, many as an image."""
    steps, units = signal.shape
    cell, ends = _cell(steps), f"from {numbers.number(float(signal.min()))} to {numbers.number(float(signal.max()))}"
    frame = {"units": units, "title": f"input: {numbers.count(units, 'unit')}, {ends}"}
    if units <= LINES:
        return frame | {"values": extremes(signal, cell).tobytes()}
    return frame | {"image": _diverging(cells(signal, cell).mean(1).T)}


def _layer(probe: Probe, name: str, sort: str) -> Frame:
    """Spikes as bits (row = time), or outputs as an image (row = unit), and the unit that each row shows."""
    values = _activity(probe, name)
    steps, units = values.shape
    order = _order(values, sort)[np.linspace(0, units - 1, min(units, MAX_ROWS)).round().astype(int)]
    columns = cells(values[:, order], _cell(steps))
    count = f"{units:,}" if len(order) == units else f"{len(order)} of {units:,}"
    frame = {"order": order.astype(np.int32).tobytes()}
    if values.dtype == bool:
        by = "" if sort == "index" else f", sorted by {sort}"
        title = f"{name}: {numbers.count(int(values.sum()), 'spike')}, {count} {wording.unit(True)}s{by}"
        return frame | {"title": title, "bits": np.packbits(columns.any(1)).tobytes()}
    by = {"index": "", "first spike": ", sorted by time of peak", "rate": ", sorted by mean size"}[sort]
    image = _diverging(columns.mean(1).T)
    range_ = f"{numbers.number(-image['scale'], 2)} (blue) to {numbers.number(image['scale'], 2)} (orange)"
    return frame | {"title": f"{name}: output of {count} {wording.unit(False)}s, {range_}{by}", "image": image}


def _order(values: np.ndarray, sort: str) -> np.ndarray:
    """The units from top to bottom. Units that do not spike are sorted by when their output peaks, or by its size."""
    size = np.abs(values.astype(np.float32))
    if sort == "first spike":
        return np.where(size.any(0), size.argmax(0), len(size)).argsort(kind="stable")
    return (-size.mean(0)).argsort(kind="stable") if sort == "rate" else np.arange(size.shape[1])


def shown_outputs(probe: Probe) -> list[int]:
    """Return the classes whose traces are drawn: the highest, the true and the predicted ones; or the first outputs."""
    peaks = probe.readout.max(0).astype(np.float64)
    if probe.task == "label":
        peaks[[probe.prediction, *([] if probe.label is None else [probe.label])]] = np.inf
    elif probe.task in ("values", "traces", "spike_trains"):  # outputs, of which the first are shown
        peaks = np.zeros(len(peaks))
    elif probe.task == "several_labels" and probe.target is not None and probe.said is not None:
        peaks = np.where((probe.target > 0) | (probe.said > 0.0), np.inf, peaks)
    return sorted((-peaks).argsort(kind="stable")[:MAX_CLASSES].tolist())


def _rate(spikes: np.ndarray, dt: float | None) -> str:
    count = int(spikes.sum())
    words = numbers.count(count, "spike")
    return words if dt is None else f"{words} ({numbers.quantity(1000.0 * count / (len(spikes) * dt), 'Hz')})"


def _flat(values: np.ndarray) -> np.ndarray:
    """Reshape to rows and columns."""
    return np.atleast_2d(values) if values.ndim < 3 else values.reshape(-1, values.shape[-1])


def _grey(sample: np.ndarray) -> np.ndarray:
    sample = _flat(np.asarray(sample, np.float32))
    low, high = float(sample.min()), float(sample.max())
    return ((sample - low) * (255.0 / max(high - low, 1e-9))).astype(np.uint8)


def _diverging(values: np.ndarray) -> Frame:
    """Byte 128 means zero, 1 and 255 mean minus and plus `scale`."""
    scale = float(np.abs(values).max())
    return pixels.image(pixels.diverging(values, scale)) | {"scale": scale}


def _weights(neuron: Neuron, weights: np.ndarray, probe: Probe) -> Frame:
    """In the shape of the sample if every value has a weight, otherwise one row (for an LSTM, one for each gate)."""
    shape = np.shape(probe.sample)
    noun = wording.weighted(weights.shape[-1], shape, first=neuron.first, events=probe.events)
    title = f"weights of {numbers.count(weights.shape[-1], noun)}"
    if noun != "input" and weights.ndim == 1:
        return _diverging(_flat(weights.reshape(shape))) | {"title": title}
    return _diverging(_flat(weights)) | {"labels": list("ifgo") if weights.ndim == 2 else [], "title": title}


def health_frame(health: "Health") -> Frame:
    """Describe the health of the layers: histograms of rates, share in the surrogate's window, gradients."""
    layers = [_layer_health(layer) for layer in health.layers]
    words = [f"{layer['name']}: {', '.join(layer['words'])}" for layer in layers]
    when = f"step {health.step:,}, {health.samples:,} {health.part} samples"
    return {"step": health.step, "layers": layers, "when": when, "summary": "; ".join([when, *words])}


def _layer_health(layer: "LayerHealth") -> Frame:
    rates = None if layer.rates is None else _histogram(layer, layer.rates)
    words = [] if rates is None else [rates["words"]]
    if layer.in_window is not None:
        words.append(f"{layer.in_window:.0%} in the surrogate window")
    if layer.driven is not None:
        words.append(f"driven to {numbers.number(layer.driven, 2)} thresholds")
    known, trace = np.isfinite(layer.gradient), layer.gradient_over_time
    gradient = numbers.number(layer.gradient, 2) if known else "not finite"
    return {
        "name": layer.name,
        "rates": rates,
        "in_window": layer.in_window,
        "gradient": float(layer.gradient) if known else None,  # JSON knows no NaN
        "gradient_words": gradient,
        "steps": 0 if trace is None else len(trace),
        "over_time": None if trace is None else extremes(np.asarray(trace)[:, None], _cell(len(trace))).tobytes(),
        "words": [*words, f"gradient norm {gradient}"],
    }


def _histogram(layer: "LayerHealth", rates: np.ndarray) -> Frame:
    """Count the neurons that are neither dead nor saturated in `BINS` bins from 0 to `top` Hz, a round number."""
    total = len(rates)
    healthy = np.sort(rates)[layer.dead : total - layer.saturated]
    high = float(healthy.max()) if healthy.size else 10.0
    power = 10.0 ** np.floor(np.log10(high))
    top = float(next(k for k in ROUND if k * power >= high * (1 - 1e-9)) * power)
    counts = np.histogram(healthy, BINS, (0.0, top))[0]
    counted = ((layer.dead, "dead"), (healthy.size, "healthy"), (layer.saturated, "saturated"))
    return {
        "counts": counts.tolist(),
        "top": top,
        "dead": layer.dead,
        "saturated": layer.saturated,
        "words": ", ".join(f"{numbers.number(n)} {what}" for n, what in counted) + f" of {numbers.number(total)}",
    }
