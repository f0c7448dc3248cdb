"""The screen as one widget: what the kernel shows stands in its traits, what the user does arrives as messages.

The page draws all of it (`js/`). A message may come on any thread, so it only posts to the mailbox, calls the run or
sets a plain field; `Screen`, on the pump thread, writes the traits.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import traitlets

from snnlab.errors import ArgumentError
from snnlab.live.frames import style
from snnlab.live.frames.chosen import Chosen, checked_fields, checked_ui
from snnlab.live.widgets import bundle
from snnlab.live.widgets.paced import Paced
from snnlab.support import arguments

PAGES = 7  # whose moves are remembered, beside the newest one
SETUP = {"snnlab": "setup", "version": 1}  # what a file says that it is
LARGEST = 10**6  # of what can change at a restart


class Deeds(NamedTuple):
    """What the screen asks for.

    Attributes:
        move: `(name, value)` of a knob.
        try_out: the same for a value that is only shown; None shows the knobs as they are.
        moved: called after a move, in place of `wake`.
        set: move knobs, all or none.
        press: what each button does: "transport", "step", "chunk", "stop", "reset", "new_seed", "repair", "undo",
            "redo", "go_on" and "now".
        pace: take at most so many steps a second; None for as fast as it goes.
        restart: begin again with these settings.
        export: write the weights into this folder; with `page=True` the page that plays the network.
        note: keep a sentence with the run.
        time: what each wish for the time machine does: "glance", "rewind", "switch", "run_both" and "budget".
    """

    move: Callable[[str, float], object]
    try_out: Callable[[Sequence[Any] | None], object]
    moved: Callable[[], object]
    set: Callable[[Mapping[str, float]], object]
    press: Mapping[str, Callable[[], object]]
    pace: Callable[[float | None], object]
    restart: Callable[[dict[str, int]], object]
    export: Callable[..., object]
    note: Callable[[str], object]
    time: Mapping[str, Callable[[Any], object]] = MappingProxyType({})


class Cockpit(Paced):
    """Shows a run, and hears what the user does with it.

    Args:
        about: what does not change while the run lasts, see `snnlab.live.frames.about`.
        deeds: what the screen asks for.
        chosen: what the fields are set to.
        wake: called after everything that the user did, so that its effect shows at once.
        timeout: see `Paced`.

    Attributes:
        chosen: what the fields are set to.
        heard: the last move of every page.
        wanted_ui: how a setup wants the screen to look, until it does.
        on_close: called when the widget is closed.
    """

    _esm = bundle.javascript()
    _css = style.css() + (Path(__file__).parent / "cockpit.css").read_text(encoding="utf-8")
    about = traitlets.Dict().tag(sync=True)
    run = traitlets.Dict().tag(sync=True)
    results = traitlets.Dict().tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)
    earlier = traitlets.List().tag(sync=True)
    times = traitlets.Dict().tag(sync=True)
    ghosts = traitlets.List().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)
    frame = traitlets.Dict().tag(sync=True)
    health = traitlets.Dict().tag(sync=True)
    tab = traitlets.Dict().tag(sync=True)
    ui = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        about: dict[str, Any],
        deeds: Deeds,
        chosen: Chosen,
        wake: Callable[[], None],
        timeout: float = 3.0,
    ):
        super().__init__(wake, timeout, about=about)
        self._deeds = deeds
        self._asks: dict[str, Callable[[Any], object]] = {
            "pace": deeds.pace,
            "restart": lambda values: deeds.restart(self._settings(values)),
            "export": lambda folder: deeds.export(arguments.instance("folder", folder, str, "a folder")),
            "page": lambda folder: deeds.export(arguments.instance("folder", folder, str, "a folder"), page=True),
            "note": deeds.note,
            "setup": self.use_setup,
            **deeds.time,
        }
        self.chosen = chosen
        self.heard: dict[str, int] = {}
        self.wanted_ui: dict[str, Any] | None = None  # by a setup; the pump gives it to the page
        self.on_close: Callable[[], object] = lambda: None
        self._units: Mapping[str, int] = {}  # of the layers shown; what a page says of the scene is not asked

    def close(self) -> None:
        """Free the widget; it disappears from every page."""
        on_close, self.on_close = self.on_close, lambda: None
        on_close()
        self.layout.close()
        super().close()

    @traitlets.validate("ui")
    def _known_ui(self, proposal) -> dict[str, Any]:
        """A page can send any value."""
        return checked_ui(proposal["value"])

    @traitlets.observe("ui")
    def _seen(self, _change) -> None:
        self.chosen.tab = "" if self.ui.get("stage") else self.ui.get("tab", "")  # no tab is seen from the stage
        self._wake()

    # ---- what is shown ----

    def show_sample(self, scene: Mapping[str, Any], frame: Mapping[str, Any]) -> None:
        """Draw one sample; in one message, because a frame cannot be drawn without its scene."""
        with self.hold_sync():
            self.scene, self.frame, self._units = scene, frame, scene["units"]

    # ---- what the user does; a page can send anything ----

    def _hear_page(self, content: Any, buffers: Sequence[Any]) -> None:
        match content:
            case {"select": None}:
                self._select(None)
            case {"select": {"layer": str(layer), "unit": int(unit)}} if 0 <= unit < self._units.get(layer, 0):
                self._select((layer, unit))
            case _:
                self._act(content, buffers)

    def _act(self, content: Any, buffers: Sequence[Any]) -> None:
        """Do what was asked for, or say why not."""
        deeds = self._deeds
        match content:
            case {"move": [str(name), int() | float() as value]}:
                self.do(lambda: self._move(name, value), deeds.moved)
                self._hear(content.get("stamp"))
            case {"try": ([str(), int() | float()] | None) as move}:
                self.do(lambda: deeds.try_out(move), deeds.moved)
                self._hear(content.get("stamp"))
            case {"draw": _}:
                self.do(lambda: self._draw(buffers), deeds.moved)
            case {"do": str(name)} if name in deeds.press:
                self.do(deeds.press[name])
            case {"set": dict(values)}:
                self.do(lambda: self._set(values))
            case {"ask": [str(name), value]} if name in self._asks:
                self.do(lambda: self._asks[name](value))

    def _hear(self, stamp: Any) -> None:
        """Note the last move of a page, so that it knows from when on the values shown are newer than its own."""
        match stamp:
            case [str(page), int(move)]:
                others = [(name, heard) for name, heard in self.heard.items() if name != page[:20]]
                self.heard = dict([*others[-PAGES:], (page[:20], move)])

    def _move(self, name: str, value: float) -> None:
        self._deeds.move(name, value)
        knob = next((knob for knob in self.about["knobs"] if knob["name"] == name), None)
        if knob and value > 10 * max(knob["high"], knob["value"]):
            said = f"{name} = {value:g} {knob['unit']}".rstrip()
            self.say(f"{said} is far above the end of its slider, {knob['high']:g}.", warning=True)

    def _draw(self, buffers: Sequence[Any]) -> None:
        """Look at a drawing in place of the test sample."""
        paper = self.about["paper"]
        if paper["reason"]:
            raise ArgumentError(f"drawing: {paper['reason']}")
        sizes = [memoryview(buffer).nbytes for buffer in buffers]
        if sizes != [paper["rows"] * paper["columns"]]:
            raise ArgumentError(f"drawing: must be {paper['rows']} x {paper['columns']} bytes, got {sizes!r:.50}")
        self.chosen.drawing = bytes(buffers[0])

    @property
    def setup(self) -> dict[str, Any]:
        """The knobs and how the screen looks, as JSON: what `use_setup` takes."""
        run, ui = self.run, {name: look for name, look in self.ui.items() if name != "tour"}
        return SETUP | {"knobs": run["knobs"], "pace": run["pace"], "view": run["view"], "ui": ui}

    def use_setup(self, setup: Any) -> None:
        """Put the knobs where they were and let the screen look as it did.

        Raises:
            ArgumentError: if it is no setup, or does not fit this run. Then nothing is changed.
        """
        if not isinstance(setup, dict) or any(setup.get(name) != value for name, value in SETUP.items()):
            raise ArgumentError(f"setup: must be what save_setup wrote ({SETUP}), got {setup!r:.100}")
        parts = {name: setup.get(name) for name in ("knobs", "view", "ui")}
        knobs, view, ui = (
            arguments.instance(f"setup: {name}", part, dict, "an object") for name, part in parts.items()
        )
        fields = checked_fields(view, self.about)
        pace = setup.get("pace")
        if pace is not None:
            arguments.number("setup: pace", pace, 0.0, strict=True)
        self._deeds.set(knobs)
        self._deeds.pace(pace)
        self._choose(fields)
        self.wanted_ui = ui

    def _set(self, values: Mapping[str, Any]) -> None:
        self._choose(checked_fields(values, self.about))

    def _choose(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self.chosen, name, value)
        if "sample" in values:
            self.chosen.drawing = None

    def _settings(self, values: Any) -> dict[str, int]:
        """Check settings that a restart can change."""
        for name in arguments.instance("restart", values, dict, "settings by name"):
            arguments.choice("restart", name, tuple(self.about["structure"]))
        return {name: arguments.count(name, value, 1, LARGEST) for name, value in values.items()}

    def _select(self, chosen: tuple[str, int] | None) -> None:
        if chosen != self.chosen.selected:
            self.chosen.selected = chosen
            self._wake()
