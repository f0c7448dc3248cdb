"""The curves: one FigureWidget (each would bring its own 5 MB of JavaScript), all of it sent in one update."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import traitlets
from plotly.subplots import make_subplots

from snnlab.live.frames.curves import BLUE, GREEN, ORANGE, TERM_COLOURS, VERMILION, Curve, Mark, joined, moving_mean

GREY = "#808080"  # read on white and on black
PALE = "rgba(128,128,128,0.55)"
GRID = "rgba(128,128,128,0.25)"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GHOST = "ghost:"  # begins the `meta` of the traces of earlier runs
COLUMNS = 3
ROW_HEIGHT = 200
MARKERS = 40  # tests that are marked one by one
LABELS = 12  # marks that are labelled: the newest ones


class Panel(NamedTuple):
    """One small plot: title, the curves in it, and whether its axis is logarithmic from the start."""

    title: str
    curves: tuple[str, ...]
    log: bool = False


def panels_for(terms: Sequence[str], spiking: bool) -> list[Panel]:
    """The plots that a run needs; a single term of the loss is the loss itself."""
    found = [Panel("loss", ("loss", "test_loss")), Panel("accuracy", ("accuracy", "test_acc"))]
    if len(terms) > 1:
        found.append(Panel("terms of the loss", tuple(terms), log=True))
    if spiking:
        found.append(Panel("spikes per sample", ("spikes_per_sample",)))
    return [*found, Panel("gradient norm", ("grad_norm",), log=True)]


def make_figure(terms: Sequence[str], spiking: bool) -> go.Figure:
    """The empty curves. Every trace is named after the curve that it shows; "ghost:loss" is that of earlier runs."""
    panels = panels_for(terms, spiking)
    rows = -(-len(panels) // COLUMNS)
    titles = [panel.title for panel in panels]
    gaps = {"horizontal_spacing": 0.06, "vertical_spacing": 0.32 / rows}
    figure = make_subplots(rows=rows, cols=COLUMNS, subplot_titles=titles, **gaps)
    for k, panel in enumerate(panels):
        place = {"row": k // COLUMNS + 1, "col": k % COLUMNS + 1}
        ghost = go.Scatter(name="earlier runs", meta=GHOST + panel.curves[0], line={"color": PALE, "width": 1})
        figure.add_trace(ghost.update(mode="lines", showlegend=False, hoverinfo="skip"), **place)
        for name in panel.curves:
            figure.add_trace(_trace(name, panel), **place)
        axis = {"type": "log", "nticks": 4} if panel.log else {"type": "linear"}
        figure.update_yaxes(exponentformat="power", **axis, **place)
    for k in range(len(panels), rows * COLUMNS):  # the legend goes where no plot is
        empty = {"row": k // COLUMNS + 1, "col": k % COLUMNS + 1}
        figure.update_xaxes(visible=False, **empty)
        figure.update_yaxes(visible=False, **empty)
    _style(figure, rows, full=len(panels) == rows * COLUMNS)
    return figure


def _trace(name: str, panel: Panel) -> go.Scatter:
    common = {"x": np.empty(0, np.float32), "y": np.empty(0, np.float32), "meta": name}
    if name.startswith("test_"):
        marker = {"size": 8, "symbol": "diamond", "color": ORANGE, "line": {"width": 1, "color": GREY}}
        line = {"color": ORANGE, "dash": "dash", "width": 1.5}
        return go.Scatter(
            **common, name="test", mode="lines+markers", marker=marker, line=line, showlegend=name == "test_loss"
        )
    if panel.title == "terms of the loss":
        k = panel.curves.index(name)
        line = {"color": TERM_COLOURS[k % len(TERM_COLOURS)], "dash": DASHES[k % len(DASHES)], "width": 1.5}
        return go.Scatter(**common, name=name.replace("_", " "), mode="lines", line=line)
    colour = {"spikes_per_sample": GREEN, "grad_norm": VERMILION}.get(name, BLUE)
    line = {"color": colour, "width": 1.5}
    return go.Scatter(**common, name="train", mode="lines", line=line, showlegend=name == "loss")


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
        uirevision="kept",  # a zoom of the user's stays
    )
    figure.update_annotations(font_size=12)


def mark_shapes(marks: Sequence[Mark], panels: int) -> list[dict[str, Any]]:
    """A vertical line in every plot for every intervention; the first plot says what it was."""
    shapes = []
    for k, mark in enumerate(marks):
        for axis in range(1, panels + 1):
            suffix = "" if axis == 1 else str(axis)
            line = {"color": GREY, "width": 1, "dash": "dot"}
            shape = {"type": "line", "xref": f"x{suffix}", "yref": f"y{suffix} domain", "line": line}
            shape |= {"x0": mark.step, "x1": mark.step, "y0": 0, "y1": 1}
            if axis == 1 and k >= len(marks) - LABELS:
                font = {"size": 10, "color": GREY}
                shape["label"] = {"text": mark.label, "textangle": -90, "textposition": "end", "font": font}
                shape["label"] |= {"xanchor": "right", "yanchor": "bottom", "padding": 2}
            shapes.append(shape)
    return shapes


class Curves(go.FigureWidget):
    """The figure as a widget; one thread only may write it.

    A page that is loaded again gets it as it is, not as it was constructed: plotly refreshes the two private traits
    below only when the figure itself is displayed, not inside a box.
    """

    # After every update the page tells what it filled in by itself, 30 kB of it. Nobody here asks for that: what is not
    # synchronized is neither read nor sent back as an echo.
    _js2py_traceDeltas = traitlets.Dict(allow_none=True)
    _last_trace_edit_id = traitlets.Int(0)
    _last_layout_edit_id = traitlets.Int(0)

    def __init__(self, terms: Sequence[str], spiking: bool):
        super().__init__(make_figure(terms, spiking))
        self._config = self._config | {"responsive": True, "displaylogo": False}  # as wide as the page, also later
        self._marks: list[Mark] = []

    def show_earlier(self, runs: Sequence[dict[str, Curve]]) -> None:
        """Show earlier runs, pale, behind the one that is shown."""
        with self.batch_update():
            for trace in self._ghosts():
                trace.x, trace.y = joined(runs, trace.meta.removeprefix(GHOST))

    def show_run(self, now: dict[str, Curve], marks: list[Mark], *, smoothed: bool, log: bool) -> None:
        """Show a run and its interventions.

        Args:
            now: the curves by name, see `panels.curves`.
            marks: where knobs were moved.
            smoothed: show moving means instead of the steps of the training.
            log: the loss on a logarithmic axis.
        """
        with self.batch_update():  # one message for all traces: cost is per redraw
            for trace in self.data:
                if trace.meta.startswith(GHOST):
                    continue
                test = trace.meta.startswith("test_")
                curve = now.get(trace.meta, (np.empty(0, np.float32),) * 2)
                trace.x, trace.y = moving_mean(curve) if smoothed and not test else curve
                if test:
                    trace.mode = "lines+markers" if len(curve[0]) <= MARKERS else "lines"
            self.layout.yaxis.type = "log" if log else "linear"
            if marks != self._marks:
                self._marks = marks
                self.layout.shapes = mark_shapes(marks, len(self._ghosts()))

    def _ghosts(self) -> list[go.Scatter]:
        """One in every plot."""
        return [trace for trace in self.data if trace.meta.startswith(GHOST)]

    def get_state(self, key=None, drop_defaults=False):
        if key is None and "_layout_obj" in vars(self):  # not yet there while it is being constructed
            values = {
                "_widget_data": deepcopy(self._data),
                "_widget_layout": deepcopy(self._layout_obj._props),
            }
            self._trait_values.update(values)  # silently: whoever asks for the state is being told just now
        return super().get_state(key, drop_defaults)
