"""The curves of a run, or of several, as a figure of plotly's: to zoom, to hover over, to compare with earlier runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from snnlab.history import Scored, metric_names
from snnlab.history.report import METRIC_PREFIX
from snnlab.live.frames import compared, side_by_side, style
from snnlab.live.frames import curves as curves_of
from snnlab.live.frames.curves import Curve, Mark
from snnlab.live.frames.side_by_side import Side
from snnlab.live.frames.status import Recorded
from snnlab.live.frames.style import GREY
from snnlab.support.markup import plain

PALE = "rgba(128,128,128,0.55)"  # grey
GRID = "rgba(128,128,128,0.25)"
NO_CURVE: Curve = (np.empty(0, np.float32), np.empty(0, np.float32))
TERMS, METRICS = "terms of the loss", "metrics"
COLUMNS = 3
ROW_HEIGHT = 200
LOWEST = -1.0  # of the axis of a score: an R2 can begin at minus one thousand
MARKERS = 40  # tests that are marked one by one
LABELS = 12  # marks that have a label: the newest ones


class Panel(NamedTuple):
    """One small plot: its title, its curves, and whether its axis is logarithmic from the start."""

    title: str
    curves: tuple[str, ...]
    log: bool = False


def panels_for(terms: Sequence[str], spiking: bool, scored: Scored, own: Sequence[str] = ()) -> list[Panel]:
    """Return the plots that a run needs; a loss of one term has no plot of its terms."""
    found = [Panel("loss", ("loss", scored.loss)), Panel(scored.name, (scored.score, scored.result))]
    if own:
        found.append(Panel(METRICS, tuple(own)))
    if len(terms) > 1:
        found.append(Panel(TERMS, tuple(terms), log=True))
    if spiking:
        found.append(Panel("spikes per sample", ("spikes_per_sample",)))
    return [*found, Panel("gradient norm", ("grad_norm",), log=True)]


def figure(
    recorded: Recorded,
    *,
    terms: Sequence[str],
    spiking: bool,
    earlier: Sequence[Recorded] = (),
    total_steps: int,
) -> go.Figure:
    """Draw all curves of a run, its moves, and pale behind them those of earlier runs.

    Args:
        recorded: what the run recorded.
        terms: names of the terms of the loss.
        spiking: the network has spikes to count.
        earlier: what earlier runs recorded.
        total_steps: of the run.

    Returns:
        The figure; the `meta` of a trace is the name of its curve.
    """
    history = recorded.history
    panels = panels_for(terms, spiking, history.scored, metric_names(history.steps()))
    rows = -(-len(panels) // COLUMNS)
    titles, above = [panel.title for panel in panels], 0.32 / rows
    drawn = make_subplots(rows, COLUMNS, subplot_titles=titles, horizontal_spacing=0.06, vertical_spacing=above)
    now = curves_of.curves(recorded.history, recorded.steps_per_epoch)
    before = [curves_of.curves(run.history, run.steps_per_epoch) for run in earlier]
    names = compared.names(earlier, recorded)
    for k, panel in enumerate(panels):
        row, col = k // COLUMNS + 1, k % COLUMNS + 1
        for number, curves in enumerate(before):
            look = style.EARLIER[(len(before) - 1 - number) % len(style.EARLIER)]
            drawn.add_trace(_earlier(curves, panel, names[number], look, first=k == 0), row=row, col=col)
        for name in panel.curves:
            drawn.add_trace(_trace(name, panel, now.get(name, NO_CURVE)), row=row, col=col)
        axis: dict[str, Any] = {"type": "log", "nticks": 4} if panel.log else {"type": "linear"}
        if panel.title == history.scored.name and _begins_far_below(panel, now):
            axis["range"] = [LOWEST, 1.05]
        drawn.update_yaxes(axis | {"exponentformat": "power"}, row=row, col=col)
    for k in range(len(panels), rows * COLUMNS):  # the legend goes where no plot is
        row, col = k // COLUMNS + 1, k % COLUMNS + 1
        drawn.update_xaxes(visible=False, row=row, col=col)
        drawn.update_yaxes(visible=False, row=row, col=col)
    _style(drawn, rows, full=len(panels) == rows * COLUMNS)
    drawn.update_layout(shapes=mark_shapes(curves_of.all_marks(recorded.history, total_steps), len(panels)))
    return drawn


def _begins_far_below(panel: Panel, now: Mapping[str, Curve]) -> bool:
    """Whether a score begins below `LOWEST` and does not stay there: the axis then begins at `LOWEST`."""
    values = np.concatenate([now.get(name, NO_CURVE)[1] for name in panel.curves])
    return bool((values < LOWEST).any() and (values >= LOWEST).any())


def _earlier(curves: Mapping[str, Curve], panel: Panel, name: str, look: style.Line, *, first: bool) -> go.Scatter:
    x, y = curves.get(panel.curves[0], NO_CURVE)
    line = _line(look) | {"color": PALE, "width": 1}
    name = plain(name)
    return go.Scatter(x=x, y=y, name=name, legendgroup=name, mode="lines", line=line, showlegend=first)


def _trace(name: str, panel: Panel, curve: Curve) -> go.Scatter:
    common = {"x": curve[0], "y": curve[1], "meta": name}
    if panel.title == TERMS:
        line = _line(style.of_term(panel.curves.index(name)))
        return go.Scatter(**common, name=plain(name.replace("_", " ")), mode="lines", line=line)
    if panel.title == METRICS:
        line = _line(style.of_term(panel.curves.index(name)))
        return go.Scatter(**common, name=plain(name.removeprefix(METRIC_PREFIX)), mode="lines", line=line)
    look, part = style.of_metric(name), name.partition("_")[0]
    if part not in ("val", "test"):
        return go.Scatter(**common, name="train", mode="lines", line=_line(look), showlegend=name == "loss")
    marker = {"size": 8, "symbol": "diamond", "color": look.colour, "line": {"width": 1, "color": GREY}}
    mode = "lines+markers" if len(curve[0]) <= MARKERS else "lines"
    common |= {"name": part, "mode": mode, "showlegend": name.endswith("_loss")}
    return go.Scatter(**common, marker=marker, line=_line(look))


def _line(look: style.Line) -> dict[str, Any]:
    dash = ",".join(f"{length}px" for length in look.dash) or "solid"
    return {"color": look.colour, "dash": dash, "width": 1.5}


def _style(figure: go.Figure, rows: int, *, full: bool) -> None:
    figure.update_xaxes(gridcolor=GRID, zeroline=False, title={"text": "step", "standoff": 2})
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    below = {"orientation": "h", "x": 0, "y": -0.22 / rows, "yanchor": "top"}
    beside = {"orientation": "v", "x": 0.72, "y": 0.5 / rows, "yanchor": "middle"}
    figure.update_layout(
        template="none",
        autosize=True,
        height=ROW_HEIGHT * rows + (50 if full else 20),
        margin={"l": 44, "r": 12, "t": 26, "b": 70 if full else 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 11},
        legend=below if full else beside,
        uirevision="kept",  # the user's zoom stays
    )
    figure.update_annotations(font_size=12)


def mark_shapes(marks: Sequence[Mark], panels: int) -> list[dict[str, Any]]:
    """Return a vertical line in every plot for every intervention, with a label in the first plot."""
    shapes = []
    for k, mark in enumerate(marks):
        for axis in range(1, panels + 1):
            suffix = "" if axis == 1 else str(axis)
            line = _line(style.Line(GREY, style.DASHES[2])) | {"width": 1}
            shape = {"type": "line", "xref": f"x{suffix}", "yref": f"y{suffix} domain", "line": line}
            shape |= {"x0": mark.step, "x1": mark.step, "y0": 0, "y1": 1}
            if axis == 1 and k >= len(marks) - LABELS:
                font = {"size": 10, "color": GREY}
                shape["label"] = {"text": plain(mark.label), "textangle": -90, "textposition": "end", "font": font}
                shape["label"] |= {"xanchor": "right", "yanchor": "bottom", "padding": 2}
            shapes.append(shape)
    return shapes


def figure_of_many(sides: Sequence[Side], x: str) -> go.Figure:
    """Draw the curves of several runs, and their moves.

    Args:
        sides: the runs, with their letters.
        x: of the curves, "steps" or "epochs".
    """
    found = side_by_side.plots(sides, x)
    rows = max(1, -(-len(found) // 2))
    drawn = make_subplots(rows, 2, subplot_titles=list(found), horizontal_spacing=0.08, vertical_spacing=0.32 / rows)
    named: set[int] = set()
    for k, (title, curves) in enumerate(found.items()):
        row, col = k // 2 + 1, k % 2 + 1
        for number, (side, curve) in enumerate(zip(sides, curves, strict=True)):
            if curve is not None:
                line, shown = _line(side_by_side.look(number)), number not in named
                common = {"name": plain(side.label()), "legendgroup": side.letter, "showlegend": shown}
                drawn.add_trace(go.Scatter(x=curve[0], y=curve[1], line=line, mode="lines", **common), row=row, col=col)
                named.add(number)
        kind = "log" if side_by_side.is_logarithmic(title, curves) else "linear"
        drawn.update_yaxes(type=kind, exponentformat="power", row=row, col=col)
    for k in range(len(found), rows * 2):
        drawn.update_xaxes(visible=False, row=k // 2 + 1, col=k % 2 + 1)
        drawn.update_yaxes(visible=False, row=k // 2 + 1, col=k % 2 + 1)
    _style(drawn, rows, full=True)
    drawn.update_xaxes(title={"text": x.removesuffix("s"), "standoff": 2})
    shapes: list[dict[str, Any]] = []
    for number, (side, moved) in enumerate(zip(sides, side_by_side.marks(sides), strict=True)):
        unit = side.steps_per_epoch if x == "epochs" else 1
        marks = [mark._replace(label=f"{side.letter}: {mark.label}") for mark in moved]
        for shape in mark_shapes(marks, len(found)):
            shape["line"]["color"] = side_by_side.look(number).colour
            shapes.append(shape | {"x0": shape["x0"] / unit, "x1": shape["x1"] / unit})
    return drawn.update_layout(shapes=shapes)
