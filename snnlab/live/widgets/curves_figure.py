"""The curves: one figure widget for all plots, because each one brings 5 MB of JavaScript, sent in one update."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from snnlab.live.frames import style
from snnlab.live.frames.curves import Curve, Mark, joined, moving_mean
from snnlab.live.frames.style import GREY
from snnlab.live.widgets.lean_figure import LeanFigure
from snnlab.support.markup import plain

PALE = "rgba(128,128,128,0.55)"  # grey
GRID = "rgba(128,128,128,0.25)"
GHOST = "ghost:"  # begins the `meta` of the traces of earlier runs
NO_CURVE: Curve = (np.empty(0, np.float32), np.empty(0, np.float32))
TERMS = "terms of the loss"
COLUMNS = 3
ROW_HEIGHT = 200
MARKERS = 40  # tests that are marked one by one
LABELS = 12  # marks that have a label: the newest ones


class Panel(NamedTuple):
    """One small plot: its title, its curves, and whether its axis is logarithmic from the start."""

    title: str
    curves: tuple[str, ...]
    log: bool = False


def panels_for(terms: Sequence[str], spiking: bool) -> list[Panel]:
    """Return the plots that a run needs; a loss of one term has no plot of its terms."""
    found = [Panel("loss", ("loss", "test_loss")), Panel("accuracy", ("accuracy", "test_acc"))]
    if len(terms) > 1:
        found.append(Panel(TERMS, tuple(terms), log=True))
    if spiking:
        found.append(Panel("spikes per sample", ("spikes_per_sample",)))
    return [*found, Panel("gradient norm", ("grad_norm",), log=True)]


def make_figure(terms: Sequence[str], spiking: bool) -> go.Figure:
    """Make the empty figure. The `meta` of a trace is the name of its curve; "ghost:loss" is that of earlier runs."""
    panels = panels_for(terms, spiking)
    rows = -(-len(panels) // COLUMNS)
    titles, above = [panel.title for panel in panels], 0.32 / rows
    figure = make_subplots(rows, COLUMNS, subplot_titles=titles, horizontal_spacing=0.06, vertical_spacing=above)
    for k, panel in enumerate(panels):
        row, col = k // COLUMNS + 1, k % COLUMNS + 1
        ghost = go.Scatter(name="earlier runs", meta=GHOST + panel.curves[0], line={"color": PALE, "width": 1})
        figure.add_trace(ghost.update(mode="lines", showlegend=False, hoverinfo="skip"), row=row, col=col)
        for name in panel.curves:
            figure.add_trace(_trace(name, panel), row=row, col=col)
        axis = {"type": "log", "nticks": 4} if panel.log else {"type": "linear"}
        figure.update_yaxes(axis | {"exponentformat": "power"}, row=row, col=col)
    for k in range(len(panels), rows * COLUMNS):  # the legend goes where no plot is
        row, col = k // COLUMNS + 1, k % COLUMNS + 1
        figure.update_xaxes(visible=False, row=row, col=col)
        figure.update_yaxes(visible=False, row=row, col=col)
    _style(figure, rows, full=len(panels) == rows * COLUMNS)
    return figure


def _trace(name: str, panel: Panel) -> go.Scatter:
    common = {"x": np.empty(0, np.float32), "y": np.empty(0, np.float32), "meta": name}
    if panel.title == TERMS:
        line = _line(style.of_term(panel.curves.index(name)))
        return go.Scatter(**common, name=plain(name.replace("_", " ")), mode="lines", line=line)
    look = style.of_metric(name)
    if not name.startswith("test_"):
        return go.Scatter(**common, name="train", mode="lines", line=_line(look), showlegend=name == "loss")
    marker = {"size": 8, "symbol": "diamond", "color": look.colour, "line": {"width": 1, "color": GREY}}
    common |= {"name": "test", "mode": "lines+markers", "showlegend": name == "test_loss"}
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


class Curves(LeanFigure):
    """The figure as a widget; only one thread may write it."""

    def __init__(self, terms: Sequence[str], spiking: bool):
        super().__init__(make_figure(terms, spiking))
        traces: Any = self.data
        self._curve_names: list[str] = [trace.meta for trace in traces]  # here, where no page can change them
        self._marks: list[Mark] = []

    def show_earlier(self, runs: Sequence[dict[str, Curve]]) -> None:
        """Show earlier runs, pale, behind the current one."""
        with self.batch_update():
            for ghost, name in self._ghosts():
                ghost.x, ghost.y = joined(runs, name)

    def show_run(self, now: Mapping[str, Curve], marks: list[Mark], *, smoothed: bool, log: bool) -> None:
        """Show a run and its interventions.

        Args:
            now: the curves by name, see `snnlab.live.frames.curves.curves`.
            marks: where knobs were moved.
            smoothed: show moving averages of the training curves.
            log: the loss on a logarithmic axis.
        """
        with self.batch_update():  # one message for all traces: the cost is per redraw
            for trace, name in self._traces():
                if name.startswith(GHOST):
                    continue
                test = name.startswith("test_")
                curve = now.get(name, NO_CURVE)
                trace.x, trace.y = moving_mean(curve) if smoothed and not test else curve
                if test:
                    trace.mode = "lines+markers" if len(curve[0]) <= MARKERS else "lines"
            layout: Any = self.layout
            layout.yaxis.type = "log" if log else "linear"
            if marks != self._marks:
                self._marks = marks
                layout.shapes = mark_shapes(marks, len(self._ghosts()))

    def send_everything(self) -> None:
        """Send all that `show_earlier` and `show_run` have changed."""
        layout: Any = self.layout
        shapes = [shape.to_plotly_json() for shape in layout.shapes]
        self.send_values(("x", "y", "mode"), {"yaxis.type": layout.yaxis.type, "shapes": shapes})

    def _traces(self) -> list[tuple[Any, str]]:
        """All traces and the names of their curves; plotly makes attributes at run time, so no type describes them."""
        return list(zip(self.data, self._curve_names, strict=True))

    def _ghosts(self) -> list[tuple[Any, str]]:
        """The traces of earlier runs, one in every plot, and the names of their curves."""
        return [(trace, name.removeprefix(GHOST)) for trace, name in self._traces() if name.startswith(GHOST)]
