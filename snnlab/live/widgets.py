"""The three widgets that ipywidgets does not have: a pulse, a canvas, and a FigureWidget that survives a reload."""

import time
from copy import deepcopy
from pathlib import Path

import anywidget
import plotly.graph_objects as go
import traitlets

HERE = Path(__file__).parent


class Pulse(anywidget.AnyWidget):
    """Back-pressure: `beat` with every frame, `ready` again once a browser has drawn it.

    Without an answer (a hidden tab, a closed one, a busy kernel) it is ready again after `timeout` [s].
    """

    _esm = HERE / "pulse.js"
    ping = traitlets.Int(0).tag(sync=True)

    def __init__(self, timeout: float = 3.0):
        super().__init__()
        self.pong = 0
        self.hellos = 0  # times that a page was opened or loaded again
        self._timeout = timeout
        self._sent = 0.0
        self.on_msg(self._receive)

    @property
    def ready(self) -> bool:
        """The last frame was drawn, or is given up."""
        return self.pong >= self.ping or time.monotonic() - self._sent > self._timeout

    def beat(self) -> None:
        """Say that a frame was sent."""
        self._sent = time.monotonic()
        self.ping += 1

    def _receive(self, _widget, content, _buffers) -> None:
        self.hellos += "hello" in content
        self.pong = max(self.pong, int(content.get("pong", 0)))


class RasterCanvas(anywidget.AnyWidget):
    """Draws the frames of `snnlab.live.panels.canvas_frame`, one message each."""

    _esm = HERE / "raster.js"
    frame = traitlets.Dict().tag(sync=True)


class Figure(go.FigureWidget):
    """A FigureWidget that a page loaded again shows as it is, not as it was constructed.

    plotly refreshes the two private traits below only when the figure itself is displayed, not inside a box.
    """

    def get_state(self, key=None, drop_defaults=False):
        if key is None and "_layout_obj" in vars(self):  # not yet there while it is being constructed
            values = {
                "_widget_data": deepcopy(self._data),
                "_widget_layout": deepcopy(self._layout_obj._props),
            }
            self._trait_values.update(values)  # silently: whoever asks for the state is being told just now
        return super().get_state(key, drop_defaults)
