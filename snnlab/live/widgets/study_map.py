"""The map of a study as a widget: the kernel says what is shown, the page draws it (`js/map.js`) and sends wishes.

The places and the epochs of all cells are sent whole to a page that opens; after that, only what has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import traitlets

from snnlab.live.frames import style
from snnlab.live.frames.map_grid import checked_view, first_view
from snnlab.live.frames.map_sent import News, Sent
from snnlab.live.frames.map_words import Standing, about_map
from snnlab.live.widgets import bundle
from snnlab.live.widgets.paced import Paced
from snnlab.support import arguments

TOKEN = 40  # characters of what a page calls itself


class MapDeeds(NamedTuple):
    """What the map asks for.

    Attributes:
        press: what each button does: "transport", "stop" and "table".
        open: show the run of a cell, by its number in the order of all cells.
        close: close what is open below, by its place in the list.
        csv: return all networks as lines of text.
    """

    press: Mapping[str, Callable[[], object]]
    open: Callable[[int], object]
    close: Callable[[int], object]
    csv: Callable[[], str]


class StudyMap(Paced):
    """Shows a study, and hears what the user does with it.

    Args:
        standing: the study as it is now.
        deeds: what the map asks for.
        wake: called after everything that the user did, so that its effect shows at once.
        timeout: see `Paced`.

    Attributes:
        view: what is shown.
        sent: what the pages know.
    """

    _esm = bundle.javascript("map")
    _css = style.css() + "".join(
        (Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("cockpit.css", "map.css")
    )
    about = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    drawn = traitlets.Dict().tag(sync=True)
    # Made when a page asks: of what is kept here, a page that is open has been told the changes.
    places = traitlets.Bool(True).tag(sync=True, to_json=lambda _, widget: widget.sent.places())
    cells = traitlets.Bool(True).tag(sync=True, to_json=lambda _, widget: widget.sent.cells())

    def __init__(self, standing: Standing, deeds: MapDeeds, wake: Callable[[], None], timeout: float = 3.0):
        self._axes = standing.axes
        self._count = 1
        for axis in standing.axes:
            self._count *= len(axis.values)
        self.view = first_view(standing.axes)
        self.sent = Sent(standing, self.view)
        self._deeds = deeds
        super().__init__(wake, timeout, about=about_map(standing), drawn=self.sent.drawn)

    def close(self) -> None:
        """Free the widget; it disappears from every page."""
        self.layout.close()
        super().close()

    def tell(self, news: News) -> None:
        """Send a change."""
        if len(news.places) or len(news.cells):
            content, parts = news.message()
            self.send(content, parts)
        if news.view:
            self.send_state(["places"])

    def _hear_page(self, content: Any, buffers: Sequence[Any]) -> None:
        """Do what was asked for, or say why not."""
        deeds = self._deeds
        match content:
            case {"do": str(name)} if name in deeds.press:
                self.do(deeds.press[name])
            case {"view": dict(changes)}:
                self.do(lambda: self._show(changes))
            case {"open": number}:
                self.do(lambda: deeds.open(arguments.count("open", number, 0, self._count - 1)))
            case {"close": number}:
                self.do(lambda: deeds.close(arguments.count("close", number, 0)))
            case {"csv": str(page)}:
                self.do(lambda: self.send({"csv": page[:TOKEN], "text": deeds.csv()}))

    def _show(self, changes: Mapping[str, Any]) -> None:
        self.view = checked_view(self.view, changes, self._axes)
