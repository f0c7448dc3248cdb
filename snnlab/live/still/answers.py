"""What a sample shall say and what the network says of it, as parts of a standalone SVG.

The same is drawn on the screen, see `snnlab.live.frames.targets`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from snnlab.live.frames import style
from snnlab.live.frames.probe import Probe
from snnlab.live.frames.scenes import shown_outputs
from snnlab.live.frames.targets import by_column, scored_steps, target_frame
from snnlab.live.still import svg
from snnlab.live.still.plots import Line
from snnlab.live.still.svg import Scale

STRIP, BETWEEN = 15, 3  # pixels: height of a strip of classes, and between two of them
TRAIN = 11  # pixels: height of a row of spikes
ROOM = 7  # pixels of a letter
DASH = style.DASHES[1]


def lines(probe: Probe, names: Sequence[str], time: np.ndarray) -> list[Line]:
    """The traces of the readout, and their targets, dashed, where they are numbers.

    Args:
        probe: what the network did with the sample.
        names: of the outputs.
        time: of the steps, on the axis.
    """
    found, scored = [], scored_steps(probe)
    if probe.task == "spike_trains":
        return found
    said = set() if probe.task != "several_labels" else set(np.flatnonzero(np.asarray(probe.said) > 0.0).tolist())
    for k in shown_outputs(probe):
        look, label, width = style.of_many(k), svg.cut(names[k], 14), 3.2 if k in said else 1.6
        if probe.task in ("values", "traces"):
            look = look._replace(dash=())
        if probe.task == "several_labels" and probe.target is not None and probe.target[k] > 0:
            label += " (true)"
        found.append(Line(names[k], label, time, np.asarray(probe.readout[:, k], np.float64), look, width))
        if probe.target is None or probe.task not in ("values", "traces"):
            continue
        target = (
            np.full(len(time), probe.target[k])
            if probe.task == "values"
            else np.where(scored, probe.target[:, k], np.nan)
        )
        found.append(Line(f"target of {names[k]}", "target", time, target, look._replace(dash=DASH), 2.2))
    return found


def beside(probe: Probe, names: Sequence[str]) -> list[str]:
    """Short lines to stand beside the sample."""
    frame = target_frame(probe, names, shown_outputs(probe), 1)
    return ["your drawing"] if frame is None else frame["lines"]


def words(probe: Probe, names: Sequence[str]) -> str:
    """The same in a sentence."""
    frame = target_frame(probe, names, shown_outputs(probe), 1)
    return "your drawing" if frame is None else frame["words"]


def after_the_end(probe: Probe, x: Scale, height: float, dt: float) -> list[str]:
    """Shade what comes after the last step of the sample."""
    if probe.length is None or probe.length >= len(probe.readout):
        return []
    return [_rect(float(x(probe.length * dt)), 0, x.size - float(x(probe.length * dt)), height, style.GREY, 0.25)]


def strips(probe: Probe, names: Sequence[str], x: Scale, dt: float) -> tuple[list[str], int]:
    """The true class of every step, and below it the predicted one, where a sample has classes every step.

    Returns:
        The elements, and their height [pixels].
    """
    if probe.task != "step_labels" or probe.target is None or probe.said is None:
        return [], 0
    cell = -(-len(probe.readout) // 400)
    truth = by_column(np.where(scored_steps(probe), probe.target, -1), cell)
    guess = by_column(probe.said.argmax(-1), cell)
    pixel = float(x(cell * dt)) - float(x(0.0))
    parts = []
    for row, (title, classes) in enumerate((("true", truth), ("says", guess))):
        top = row * (STRIP + BETWEEN)
        parts.append(svg.text(-7, top + STRIP - 4, title, anchor="end"))
        parts += _runs(classes, letters(names), pixel, top)
    wrong = (truth >= 0) & (truth != guess)
    top = 2 * (STRIP + BETWEEN)
    parts += [_rect(a * pixel, top, (b - a) * pixel, 3, style.VERMILION, 1.0) for a, b in _true_runs(wrong)]
    return parts, top + 3 + 2 * BETWEEN


def letters(names: Sequence[str]) -> list[str]:
    """One letter for each class, if they differ; else its number.

    Example:
        >>> letters(["none", "P", "QRS"]), letters(["cat", "cow"])
        (['n', 'P', 'Q'], ['0', '1'])
    """
    first = [name[:1] for name in names]
    return first if len(set(first)) == len(first) else [str(k) for k in range(len(names))]


def trains(probe: Probe, x: Scale, dt: float) -> tuple[list[str], int]:
    """Two rows for each output: the spikes that it shall fire, and those that it fires. Returns also their height."""
    if probe.task != "spike_trains" or probe.said is None:
        return [], 0
    parts, top = [], 0
    for k in shown_outputs(probe):
        wanted = None if probe.target is None else probe.target[:, k] > 0
        for title, spikes, colour in (
            (f"{k} wanted", wanted, style.ORANGE),
            ("fired", probe.said[:, k] > 0, style.BLUE),
        ):
            if spikes is None:
                continue
            at = x((np.flatnonzero(spikes) + 0.5) * dt)
            marks = "".join(f"M{svg.px(place)} {top + 1}v{TRAIN - 2}" for place in at)
            parts += [svg.text(-7, top + TRAIN - 1, title, anchor="end")]
            parts += [svg.path(marks, title, stroke=colour, stroke_width=1.6)] if marks else []
            top += TRAIN
        top += BETWEEN
    return parts, top


def _runs(classes: Int[np.ndarray, " columns"], short: Sequence[str], pixel: float, top: float) -> list[str]:
    """A bar for every run of one class, with its letter if there is room; an empty frame where none is scored."""
    ends = np.append(np.flatnonzero(np.diff(classes)) + 1, len(classes))
    parts, begin = [], 0
    for end in ends.tolist():
        k, wide = int(classes[begin]), (end - begin) * pixel
        if k < 0:
            parts.append(_rect(begin * pixel, top, wide, STRIP, style.GREY, 0.12))
        else:
            parts.append(_rect(begin * pixel, top, wide, STRIP, style.of_many(k).colour, 0.45))
            if wide >= ROOM + 3 and k < len(short):
                parts.append(svg.text((begin + end) / 2 * pixel, top + STRIP - 4, short[k], anchor="middle"))
        begin = end
    return parts


def _true_runs(values: Bool[np.ndarray, " columns"]) -> list[tuple[int, int]]:
    edges = np.diff(np.pad(values.astype(np.int8), 1))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _rect(x: float, y: float, width: float, height: float, colour: str, opacity: float) -> str:
    place = f'x="{svg.px(x)}" y="{svg.px(y)}" width="{svg.px(width)}" height="{svg.px(height)}"'
    return f'<rect {place} fill="{colour}" fill-opacity="{opacity:g}"/>'
