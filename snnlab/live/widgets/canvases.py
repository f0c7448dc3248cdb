"""The two hand-drawn views: a sample on its way through the network, and the health of the layers.

`snnlab.live.frames.scenes` makes what they draw. A front end loads one file per widget, so each widget gets the style
and the shared helpers with its own code. One thread only may write the traits; what the browser reports goes into a
plain field.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from snnlab.live.frames import style

HERE = Path(__file__).parent


def _code(name: str) -> str:
    parts = [(HERE / "js" / part).read_text(encoding="utf-8") for part in ("draw.js", name)]
    return "\n".join([style.javascript(), *parts])


class RasterCanvas(anywidget.AnyWidget):
    """Draws `scenes.raster_scene` and `scenes.raster_frame`; a click or the Enter key selects a neuron.

    Attributes:
        selected: `(layer, unit)` or None.
    """

    _esm = _code("raster.js")
    scene = traitlets.Dict().tag(sync=True)
    frame = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__()
        self.selected: tuple[str, int] | None = None
        self._units: Mapping[str, int] = {}  # of the layers shown; what a page says of the scene is not asked
        self._callback: Callable[[], None] = lambda: None
        self.on_msg(self._receive)

    def on_select(self, callback: Callable[[], None]) -> None:
        """Call `callback`, in any thread, whenever the user has selected something else."""
        self._callback = callback

    def show(self, scene: Mapping[str, Any], frame: Mapping[str, Any]) -> None:
        """Draw; in one message, because a frame cannot be drawn without its scene. An equal scene is not sent again."""
        with self.hold_sync():
            self.scene, self.frame, self._units = scene, frame, scene["units"]

    def _receive(self, _widget, content: Any, _buffers) -> None:
        match content:
            case {"select": None}:
                chosen = None
            case {"select": {"layer": str(layer), "unit": int(unit)}} if 0 <= unit < self._units.get(layer, 0):
                chosen = (layer, unit)
            case _:
                return
        if chosen != self.selected:
            self.selected = chosen
            self._callback()


class HealthCanvas(anywidget.AnyWidget):
    """Draws `scenes.health_frame`."""

    _esm = _code("health.js")
    frame = traitlets.Dict().tag(sync=True)
