"""A run as one standalone SVG: the content of the dashboard, for pages without live widgets.

No script, no font, no id, nothing fetched. The picture has its own card, so it is legible on every page; where styles
are allowed, the card is dark for readers who prefer that.
"""

from collections.abc import Sequence

import numpy as np

from snnlab.history import History, metric_names, term_names
from snnlab.history.report import METRIC_PREFIX
from snnlab.history.series import bin_means
from snnlab.live.frames import curves, style
from snnlab.live.frames.probe import Probe
from snnlab.live.frames.scenes import LINES
from snnlab.live.still import answers, svg
from snnlab.live.still.plots import AXIS, BELOW, EDGE, PLOT, WIDTH, Flag, Line, draw_lines, draw_plots, heading, room
from snnlab.live.still.svg import Scale

SIGNAL = 60  # pixels: height of an input of numbers
HEAD, IMAGE = 74, 112  # pixels: where the plots begin, and the sample
CELLS = (400, 140)  # steps and units of a raster; of a larger one neighbours share a cell
CLASSES = 10  # readout traces
LOWEST = -1.0  # of a score that is drawn: an R2 can begin at minus one thousand
TERMS, METRICS = "terms of the loss", "metrics"


def picture(
    history: History,
    *,
    steps_per_epoch: int,
    title: str,
    probe: Probe | None = None,
    class_names: Sequence[str] = (),
    dt: float | None = None,
    max_points: int = 300,
) -> str:
    """Draw a run as a standalone SVG image: its curves, the moves of its knobs, and one sample in the network.

    Args:
        history: of the run.
        steps_per_epoch: places the tests, which are made at the ends of the epochs.
        title: heading of the picture.
        probe: the sample to show below the curves. In a raster of more than 400 steps or 140 units, neighbours share
            a cell; of a readout, the ten highest classes are drawn, and the true one.
        class_names: of the data, or names of the outputs; one without a name is shown by its index.
        dt: time step [ms] of the probe's axis; None counts steps.
        max_points: points of a curve; a longer one is thinned to means.

    Returns:
        The text of the image, of type `image/svg+xml`; equal for equal arguments.

    Example:
        >>> history = History()
        >>> history.add_steps({"loss": np.array([2.3, 1.2, 0.7]), "accuracy": np.array([0.1, 0.5, 0.8])})
        >>> text = picture(history, steps_per_epoch=3, title="three steps")
        >>> text[:4], "loss: train from 2.3 to 0.7" in text, "script" in text
        ('<svg', True, False)
    """
    with np.errstate(all="ignore"):  # values that are not finite are not drawn
        plots = _plots(history, steps_per_epoch, max_points)
        moves = curves.all_marks(history, len(history))
        flags = [Flag(move.step, svg.cut(move.label)) for move in moves]
        body, bottom = draw_plots(plots, flags, HEAD, logs=[TERMS], lows={history.scored.name: LOWEST})
        words = [_summary(history), *(_in_words(*plot) for plot in plots.items())]
        words += [f"at step {move.step:,}: {move.label}" for move in moves[-20:]]
        if probe:
            names = [_class_name(k, class_names) for k in range(max(len(class_names), probe.readout.shape[1]))]
            verdict = _verdict(probe, names)
            said = verdict if probe.task == "label" else [answers.words(probe, names)]
            words += [*(_spikes(*raster) for raster in probe.rasters.items()), *said]
            drawn, bottom = _draw_probe(probe, names, verdict, dt, bottom)
            body += drawn
    head = [svg.text(EDGE, 34, svg.cut(title, 80), size=18, weight=600), svg.text(EDGE, 55, words[0], size=12)]
    return svg.card(head + body, WIDTH, bottom, title=title, words="; ".join(words))


# ---- what is shown ----


def _plots(history: History, steps_per_epoch: int, points: int) -> dict[str, list[Line]]:
    found = curves.test_curves(history, steps_per_epoch)
    found |= {name: (np.arange(1, len(y) + 1), y) for name, y in history.steps().items() if name != "epoch"}
    found = {name: _thin(*curve, points) for name, curve in found.items() if len(curve[0])}

    def line(name: str, curve: str, look: style.Line | None = None) -> list[Line]:
        if curve not in found:
            return []
        label = name if name == curve else f"{name} {svg.number(found[curve][1][-1])}"
        look = look or style.of_metric(curve)
        return [Line(name, svg.cut(label), *found[curve], look, points=name in ("val", "test"))]

    terms, own, scored = term_names(found), metric_names(found), history.scored
    last = "spikes_per_sample" if "spikes_per_sample" in found else "grad_norm"
    plots = {
        "loss": line("train", "loss") + line(scored.part, scored.loss),
        scored.name: line("train", scored.score) + line(scored.part, scored.result),
        TERMS: [one for k, name in enumerate(terms) for one in line(name, name, style.of_term(k))],
        METRICS: [
            one for k, name in enumerate(own) for one in line(name.removeprefix(METRIC_PREFIX), name, style.of_term(k))
        ],
        "gradient norm" if last == "grad_norm" else "spikes per sample": line("train", last),
    }
    return {title: lines for title, lines in plots.items() if lines}


def _thin(x: np.ndarray, y: np.ndarray, points: int) -> curves.Curve:
    last, means = bin_means(np.where(np.isfinite(y), y, np.nan), points)
    return x[last.astype(int) - 1], np.where(np.isfinite(means), means, np.nan)


def _traces(probe: Probe, class_names: Sequence[str], dt: float) -> list[Line]:
    """The readout of the highest classes; the winner is last, so that it is on top. For other tasks, with targets."""
    time = (np.arange(len(probe.readout)) + 0.5) * dt
    if probe.task != "label":
        drawn = answers.lines(probe, class_names, time)
        thinned = [_thin(line.x, line.y, CELLS[0]) for line in drawn]
        return [line._replace(x=x, y=y) for line, (x, y) in zip(drawn, thinned, strict=True)]
    readout = np.asarray(probe.readout, np.float64)
    peaks = np.where(np.isfinite(readout), readout, -np.inf).max(axis=0)
    shown = {*np.argsort(-peaks, kind="stable")[:CLASSES].tolist(), probe.prediction}
    shown |= set() if probe.label is None else {probe.label}
    lines = []
    for k in sorted(shown, key=lambda k: (k == probe.prediction, k)):
        name = _class_name(k, class_names)
        look, width = style.of_many(k), 1.2
        if k == probe.prediction:
            look, width = look._replace(dash=()), 3.2
        label = f"{svg.cut(name, 14)} (true)" if k == probe.label != probe.prediction else svg.cut(name)
        lines.append(Line(name, label, *_thin(time, readout[:, k], CELLS[1]), look, width))
    return lines


def _class_name(k: int, class_names: Sequence[str]) -> str:
    return str(class_names[k] if k < len(class_names) else k)


def _verdict(probe: Probe, class_names: Sequence[str]) -> list[str]:
    if probe.task != "label":
        return answers.beside(probe, class_names)
    guess = f"predicted: {_class_name(probe.prediction, class_names)}"
    if probe.label is None:
        return ["your drawing", guess]
    truth = f"true class: {_class_name(probe.label, class_names)}"
    return [truth, guess, "✓ right" if probe.label == probe.prediction else "✗ wrong"]


def _summary(history: History) -> str:
    if not len(history):
        return "not trained yet"
    moves = curves.marks(history.interventions, len(history))
    counts = {"step": len(history), "epoch": history.num_epochs, "knob move": len(moves), "note": history.num_notes}
    parts = [f"{count:,} {what}{'s' * (count > 1)}" for what, count in counts.items() if count]
    scored = history.scored
    for row in history.newest_epochs(1):
        parts += [f"{scored.words} {scored.text(row[scored.result])}"]
        parts += [f"{scored.place} loss {svg.number(row[scored.loss])}"]
    return ", ".join(parts)


def _in_words(title: str, lines: list[Line]) -> str:
    said = [f"{line.name} from {svg.number(line.y[0])} to {svg.number(line.y[-1])}" for line in lines]
    return f"{title}: {', '.join(said)}"


def _spikes(name: str, raster: np.ndarray) -> str:
    return f"{name}: {int(raster.sum()):,} spikes of {raster.shape[1]:,} units"


# ---- how it is drawn ----


def _draw_probe(
    probe: Probe, names: Sequence[str], verdict: list[str], dt: float | None, top: int
) -> tuple[list[str], int]:
    """Draw the sample on the left; on the right its rasters and the readout over one time axis."""
    traces, left = _traces(probe, names, dt or 1.0), EDGE + IMAGE + 44 + AXIS
    wide = WIDTH - EDGE - (room(traces) if traces else 0) - left
    x = Scale(0.0, len(probe.readout) * (dt or 1.0), wide, least=0.0 if dt else 1.0)
    image, height = _image(probe.sample)
    lines = [svg.text(0, height + 20 + 17 * k, svg.cut(said, 23), size=12) for k, said in enumerate(verdict)]
    body = [svg.text(EDGE, top + 10, "one test sample", size=13, weight=600), svg.group(EDGE, top + 22, image + lines)]
    if probe.signal is not None and probe.signal.shape[1] <= LINES:
        drawn = _draw_signal(probe.signal, x, dt or 1.0) + answers.after_the_end(probe, x, SIGNAL, dt or 1.0)
        body.append(svg.group(left, top + 22, drawn))
        top += SIGNAL + BELOW
    for name, raster in probe.rasters.items():
        units = raster.shape[1]
        height = int(np.clip(1.6 * units, min(14 * units, 120), CELLS[1]))
        y = Scale(0.0, float(units), height, least=1.0)  # as in the dashboard, unit 0 is at the top
        rows = [(0.0, "0"), (height, f"{units - 1}")][: min(units, 2)]
        parts = [
            heading(_spikes(svg.cut(name), raster)),
            *svg.axes(x, y, beside=rows),
            _draw_raster(name, raster, x, y),
            *answers.after_the_end(probe, x, height, dt or 1.0),
        ]
        body.append(svg.group(left, top + 22, parts))
        top += height + BELOW
    return _draw_readout(probe, names, traces, x, dt, left, top, body)


def _draw_readout(
    probe: Probe, names: Sequence[str], traces: list[Line], x: Scale, dt: float | None, left: int, top: int, body
) -> tuple[list[str], int]:
    """Draw the readout under the rasters, with what it shall say."""
    unit, step = ("ms", dt) if dt else ("step", 1.0)
    if not traces:  # spike trains
        rows, height = answers.trains(probe, x, step)
        axes = svg.axes(x, Scale(0.0, 1.0, height), unit, beside=[])
        shade = answers.after_the_end(probe, x, height, step)
        return [*body, svg.group(left, top + 22, [heading("readout"), *axes, *rows, *shade])], top + 22 + height + BELOW
    strips, height = answers.strips(probe, names, x, step)
    y = Scale.around(np.concatenate([line.y for line in traces]), PLOT)
    drawn = [*svg.axes(x, y, unit), *draw_lines(traces, x, y), *answers.after_the_end(probe, x, PLOT, step)]
    below = [*strips, svg.group(0, height, drawn)] if strips else drawn
    return [*body, svg.group(left, top + 22, [heading("readout"), *below])], top + 22 + height + PLOT + BELOW


def _draw_signal(signal: np.ndarray, x: Scale, dt: float) -> list[str]:
    """Draw an input of numbers as lines."""
    time = (np.arange(len(signal)) + 0.5) * dt
    y = Scale.around(signal, SIGNAL)
    curves_ = [
        svg.path(svg.polyline(x(time), y(signal[:, k])), f"input {k}", stroke=style.of_many(k).colour)
        for k in range(signal.shape[1])
    ]
    return [heading(f"input: {signal.shape[1]} unit{'s' * (signal.shape[1] > 1)}"), *svg.axes(x, y), *curves_]


def _draw_raster(name: str, raster: np.ndarray, x: Scale, y: Scale) -> str:
    size = [x.size / raster.shape[0], y.size / raster.shape[1]]
    for axis, most in enumerate(CELLS):
        every = -(-raster.shape[axis] // most)
        size[axis] *= every
        raster = np.logical_or.reduceat(raster, np.arange(0, raster.shape[axis], every), axis=axis)
    place = f"translate({svg.px(size[0] / 2)} 0) scale({size[0]:.5g} {size[1]:.5g})"
    return svg.path(svg.cells(raster), name, transform=place, stroke_width=f"{min(0.9, 2.4 / size[0]):.2g}")


def _image(sample: np.ndarray) -> tuple[list[str], int]:
    """Draw the sample in 16 greys, one path each; returns it and its height."""
    sample = np.nan_to_num(np.atleast_2d(np.asarray(sample, np.float64)))
    if sample.ndim == 2 and sample.shape[1] <= LINES and len(sample) > 2 * LINES:  # a signal
        x, y = Scale(0.0, len(sample) - 1.0, IMAGE), Scale.around(sample, IMAGE // 2)
        drawn = [
            svg.path(svg.polyline(x(np.arange(len(sample))), y(sample[:, k])), stroke=style.of_many(k).colour)
            for k in range(sample.shape[1])
        ]
        return drawn, IMAGE // 2
    sample = sample.reshape(len(sample), -1)
    sample = sample[:: 1 + (len(sample) - 1) // 56, :: 1 + (sample.shape[1] - 1) // 56]
    grey = np.round((sample - sample.min()) * (15 / max(np.ptp(sample), 1e-9))).astype(int).T
    size = IMAGE // max(grey.shape)
    frame = f'<rect width="{size * len(grey)}" height="{size * grey.shape[1]}" fill="#000" stroke="{style.GREY}"/>'
    place = {"transform": f"translate({size / 2:g} 0) scale({size})", "shape_rendering": "crispEdges"}
    levels = [svg.path(svg.cells(grey == k), stroke=f"#{3 * f'{k:x}'}", **place) for k in np.unique(grey[grey > 0])]
    return [frame, *levels], size * grey.shape[1]
