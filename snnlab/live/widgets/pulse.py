"""The pulse: tells the pump whether a browser keeps up, and whether a page was opened again."""

import time
from pathlib import Path

import anywidget
import traitlets

from snnlab.live.frames import style

HERE = Path(__file__).parent


class Pulse(anywidget.AnyWidget):
    """Back-pressure: `beat` with every picture, `ready` again once a browser has drawn it.

    Without an answer (a hidden tab, a closed one, a busy Jupyter kernel) it is ready again after `timeout` [s].
    """

    _esm = HERE / "js" / "pulse.js"
    _css = style.css() + (HERE / "dashboard.css").read_text(encoding="utf-8")
    ping = traitlets.Int(0).tag(sync=True)

    def __init__(self, timeout: float = 3.0):
        super().__init__()
        self.pong = 0
        self.hellos = 0  # times that a page was opened or loaded again
        self.lag = 0.0  # seconds from sending the last picture until it was drawn
        self._timeout = timeout
        self._sent = 0.0
        self.on_msg(self._receive)

    @property
    def ready(self) -> bool:
        """The last picture was drawn, or took too long."""
        return self.pong >= self.ping or time.monotonic() - self._sent > self._timeout

    def beat(self) -> None:
        """Announce that a picture was sent."""
        self._sent = time.monotonic()
        self.ping += 1

    def _receive(self, _widget, content: object, _buffers) -> None:
        match content:
            case {"hello": _}:
                self.hellos += 1
            case {"pong": int(pong)} if self.pong < pong <= self.ping:
                self.pong = pong
                self.lag = time.monotonic() - self._sent
