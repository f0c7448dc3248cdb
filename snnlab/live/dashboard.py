"""What one sees and touches: status, curves, raster, sliders, buttons. Built once, then written by one thread only.

ipywidgets are not safe with two writers, so observers (which the kernel may run on any thread) only post to
the mailbox, call the session or set a plain field; `refresh`, called by the pump, is the one that writes.
"""

import html
import math
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as w
import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from snnlab.controls import Knob, Mailbox
from snnlab.errors import SnnlabError
from snnlab.live import panels
from snnlab.live.panels import BLUE, ORANGE, TERM_COLOURS
from snnlab.live.widgets import Figure, Pulse, RasterCanvas

GREY = "#808080"  # read on white and on black
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def make_figure(terms: list[str], spiking: bool) -> go.Figure:
    """The empty curves: loss, accuracy, terms of the loss, and spikes per sample (or the gradient norm).

    Every trace is named after the curve of `panels.curves` that it shows.
    """
    last = "spikes_per_sample" if spiking else "grad_norm"
    titles = ("loss", "accuracy", "terms of the loss", last.replace("_", " "))
    figure = make_subplots(rows=1, cols=4, subplot_titles=titles, horizontal_spacing=0.05)
    points = {"size": 9, "symbol": "diamond", "color": ORANGE, "line": {"width": 1, "color": GREY}}

    def add(column: int, curve: str, legend: str, **style: Any) -> None:
        empty = np.empty(0, np.float32)
        figure.add_trace(go.Scatter(x=empty, y=empty, name=legend, meta=curve, **style), row=1, col=column)

    for column, (train, test) in enumerate((("loss", "test_loss"), ("accuracy", "test_acc")), start=1):
        add(column, train, "train", mode="lines", line={"color": BLUE, "width": 1.5}, showlegend=column == 1)
        add(
            column,
            test,
            "test",
            mode="lines+markers",
            marker=points,
            line={"color": ORANGE, "dash": "dash"},
            showlegend=column == 1,
        )
    for k, name in enumerate(terms):
        line = {"color": TERM_COLOURS[k % len(TERM_COLOURS)], "dash": DASHES[k % len(DASHES)], "width": 1.5}
        add(3, name, name, mode="lines", line=line)
    add(4, last, last.replace("_", " "), mode="lines", line={"color": BLUE, "width": 1.5}, showlegend=False)
    figure.update_xaxes(title={"text": "step", "standoff": 4}, gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    figure.update_yaxes(type="log", exponentformat="power", row=1, col=3)
    figure.update_layout(
        template="none",
        autosize=True,
        height=280,
        margin={"l": 40, "r": 10, "t": 30, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 11},
        legend={"orientation": "h", "y": -0.28},
        uirevision="kept",  # a zoom of the user's stays
    )
    figure.update_annotations(font_size=12)
    return figure


def make_slider(knob: Knob) -> w.FloatSlider | w.FloatLogSlider:
    """A slider for a knob; logarithmic for time constants and the learning rate.

    Its grid goes through the value, otherwise the browser would show the nearest point of the grid instead.
    """
    name = knob.name.replace("_", " ").replace(".", " \u00b7 ") + (f" [{knob.unit}]" if knob.unit else "")
    common = {"description": name, "value": knob.value, "readout_format": ".3g"}
    common |= {"layout": w.Layout(width="340px"), "style": {"description_width": "165px"}}
    if knob.log:
        low, value, high = (float(np.log10(x)) for x in (knob.low, knob.value, max(knob.high, knob.value)))
        return w.FloatLogSlider(**common, min=_grid_start(low, value, 0.01), max=high, step=0.01)
    high = max(knob.high, knob.value)
    step = (high - knob.low) / 400
    return w.FloatSlider(**common, min=_grid_start(knob.low, knob.value, step), max=high, step=step)


def _grid_start(low: float, value: float, step: float) -> float:
    return max(low, value - step * np.floor((value - low) / step + 1e-6))


class Dashboard:
    """The widgets, their wiring, and `refresh`.

    Args:
        mailbox: where sliders post.
        actions: what the buttons "run", "stop" and "export" call.
        terms: names of the terms of the loss.
        spiking: the network has spikes to count.
        samples: number of test samples to choose the probe from.
        wake: called after every action, so that its effect shows at once.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        actions: Mapping[str, Callable[[], None]],
        *,
        terms: list[str],
        spiking: bool,
        samples: int,
        wake: Callable[[], None],
    ):
        self._mailbox = mailbox
        self._wake = wake
        self.message = ""
        self.pulse = Pulse()
        self.figure = Figure(make_figure(terms, spiking))
        self.figure._config = self.figure._config | {"responsive": True}  # as wide as the page, also when that changes
        self.canvas = RasterCanvas()
        self.sliders = {name: make_slider(knob) for name, knob in mailbox.knobs.items()}
        self.buttons = {
            "run": w.Button(description="Start", icon="play", button_style="primary"),
            "stop": w.Button(description="Stop", icon="stop", disabled=True),
            "export": w.Button(description="Export", icon="download", tooltip="write the weights as safetensors"),
        }
        self.sample = w.BoundedIntText(description="test sample", max=samples - 1, layout=w.Layout(width="180px"))
        self.progress = w.FloatProgress(max=1.0, layout=w.Layout(width="300px"))
        self.status = w.HTML("<b>idle</b>")
        for name, slider in self.sliders.items():
            slider.observe(lambda change, name=name: self._moved(name, change["new"]), "value")
        for name, button in self.buttons.items():
            button.on_click(lambda _button, name=name: self._act(actions[name]))
        self.sample.observe(lambda _change: wake(), "value")
        top = w.HBox([*self.buttons.values(), self.sample, self.progress])
        knobs = w.Box(list(self.sliders.values()), layout=w.Layout(flex_flow="row wrap"))
        self.root = w.VBox([top, self.status, self.figure, knobs, self.canvas, self.pulse])

    def refresh(
        self,
        *,
        run_label: str,
        stoppable: bool,
        status: str,
        progress: float,
        curves: dict[str, panels.Curve],
    ) -> None:
        """Show a state: buttons, status line, progress and curves."""
        self.buttons["run"].description = run_label
        self.buttons["run"].icon = "pause" if run_label == "Pause" else "play"
        self.buttons["run"].disabled = run_label == "Done"
        self.buttons["stop"].disabled = not stoppable
        self.status.value = status + (f" &nbsp; {self.message}" if self.message else "")
        self.progress.value = progress
        with self.figure.batch_update():  # one message for all traces: cost is per redraw
            for trace in self.figure.data:
                if trace.meta in curves:
                    trace.x, trace.y = curves[trace.meta]

    def follow(self, names: set[str]) -> None:
        """Move the sliders of knobs that were set by a program."""
        knobs = self._mailbox.knobs
        for name in names:
            slider, value = self.sliders[name], knobs[name].value
            ends = np.log10(value) if isinstance(slider, w.FloatLogSlider) and value > 0 else value
            slider.min, slider.max = min(slider.min, float(ends)), max(slider.max, float(ends))
            slider.value = value

    def _moved(self, name: str, value: float) -> None:
        # A browser that shows a slider sends its value back, rounded; that is no move.
        if not math.isclose(value, self._mailbox.knobs[name].value, rel_tol=1e-6, abs_tol=1e-12):
            self._act(lambda: self._mailbox.post(name, value))

    def _act(self, action: Callable[[], Any]) -> None:
        try:
            self.message = ""
            action()
        except (SnnlabError, OSError) as error:
            self.message = f"<span style='color:#D55E00'>&#9888; {html.escape(str(error))}</span>"
        self._wake()
