"""The widgets: transport, status, diagnosis, curves, knobs, raster, health. One thread only writes them.

ipywidgets are not safe with two writers, so observers, which the Jupyter kernel may run on any thread, only post to the
mailbox, call the run or set a plain field; `Screen`, on the pump thread, writes.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ipywidgets as w

from snnlab.controls import Knob
from snnlab.errors import SnnlabError
from snnlab.live.frames import words
from snnlab.live.frames.scenes import SORTS
from snnlab.live.frames.status import HZ
from snnlab.live.states import Transport
from snnlab.live.widgets.canvases import HealthCanvas, RasterCanvas
from snnlab.live.widgets.curves_figure import Curves
from snnlab.live.widgets.knob_rows import KnobRow, make_groups
from snnlab.live.widgets.pulse import Pulse
from snnlab.support import arguments
from snnlab.support.markup import plain

LARGEST = 10**6  # of what can change at a restart


class Face(NamedTuple):
    """Label and icon of a button."""

    label: str
    icon: str


TRANSPORT = {
    Transport.START: Face("Start", "play"),
    Transport.PAUSE: Face("Pause", "pause"),
    Transport.RESUME: Face("Resume", "play"),
    Transport.NOTHING: Face("Done", "play"),
}


def _button(label: str, icon: str, tip: str, **options: Any) -> w.Button:
    width = options.pop("width", "84px")
    return w.Button(description=label, icon=icon, tooltip=tip, layout=w.Layout(width=width), **options)


class Dashboard:
    """The widgets and their wiring.

    Args:
        knobs: the knobs that get sliders.
        post: called with `(name, value)` when the user moves a knob.
        actions: what the buttons do: "transport", "step", "chunk", "stop", "reset", "new_seed", "repair", "restart"
            and "export".
        wake: called after every action, so that its effect shows at once.
        terms: names of the terms of the loss.
        spiking: the network has spikes to count.
        layers: names of the layers that the raster can show.
        samples: number of test samples to choose from.
        structure: names and values of what can change only at a restart.
        folder: where Export writes.
        hz: pictures per second.
        show: the panels, see `snnlab.live.frames.status.PANELS`.

    Attributes:
        message: stands beside the status until the next action, as HTML.
    """

    def __init__(
        self,
        knobs: Mapping[str, Knob],
        post: Callable[[str, float], Any],
        actions: Mapping[str, Callable[[], object]],
        wake: Callable[[], None],
        *,
        terms: list[str],
        spiking: bool,
        layers: list[str],
        samples: int,
        structure: Mapping[str, int],
        folder: str,
        hz: float,
        show: tuple[str, ...],
    ):
        self._wake, self._samples = wake, samples
        self.message = ""
        self.pulse = Pulse()
        self.figure = Curves(terms, spiking) if "curves" in show else None
        self.raster = RasterCanvas() if "raster" in show else None
        self.health = HealthCanvas() if "health" in show else None
        self.rows = {
            name: KnobRow(knob, lambda name, value: self._act(lambda: post(name, value)))
            for name, knob in knobs.items()
        }
        self._make_buttons()
        self._make_fields(layers, samples, structure, folder, hz)
        for name, button in self.buttons.items():
            button.on_click(lambda _button, name=name: self._act(actions[name]))
        self._fields = (self.hz, self.sample, self.layer, self.sort, self.smooth, self.log)
        for field in self._fields:
            field.observe(lambda _change: wake(), "value")
        if self.raster:
            self.raster.on_select(wake)
        self.root = w.VBox(self._layout())
        self.root.add_class("snnlab")
        answer_from_any_shell(self.root)

    def _make_buttons(self) -> None:
        self.buttons = {
            "transport": _button(
                *TRANSPORT[Transport.START], "start, pause or resume", button_style="primary", width="96px"
            ),
            "step": _button("Step", "step-forward", "take one optimizer step, then pause"),
            "chunk": _button("Chunk", "forward", "train for about a tenth of a second, then pause"),
            "stop": _button("Stop", "stop", "end the run; Start continues from there", disabled=True),
            "reset": _button("Reset", "fast-backward", "begin again with the same weights; knobs stay"),
            "new_seed": _button("New seed", "random", "begin again with new weights; knobs stay", width="104px"),
            "repair": _button("", "wrench", "do what the diagnosis proposes", width="max-content"),
            "restart": _button("Apply", "refresh", "begin again with these settings; knobs stay", width="96px"),
            "export": _button("Export", "download", "write the weights as a safetensors file"),
        }
        self.buttons["repair"].layout.visibility = "hidden"  # it keeps its place, so that nothing jumps

    def _make_fields(
        self, layers: list[str], samples: int, structure: Mapping[str, int], folder: str, hz: float
    ) -> None:
        narrow = {"style": {"description_width": "initial"}}
        self.status, self.diagnosis = w.HTML("<b>idle</b>"), w.HTML("")
        self.status.add_class("snnlab-status")
        self.progress = w.FloatProgress(max=1.0, layout=w.Layout(width="auto", height="14px"))
        self.hz = w.FloatSlider(
            hz, min=HZ[0], max=HZ[1], step=0.5, description="pictures/s", **narrow, layout=w.Layout(width="230px")
        )
        self.sample = w.BoundedIntText(
            description="test sample", max=samples - 1, **narrow, layout=w.Layout(width="160px")
        )
        wide = w.Layout(width="190px")
        self.layer = w.Dropdown(options=["all", *layers], description="layer", **narrow, layout=wide)
        self.sort = w.Dropdown(options=list(SORTS), description="sorted by", **narrow, layout=wide)
        self.smooth = w.ToggleButton(
            description="smooth", icon="magic", tooltip="show moving averages", layout=_small()
        )
        self.log = w.ToggleButton(
            description="log loss", icon="line-chart", tooltip="show the loss on a logarithmic axis", layout=_small()
        )
        self.structure = {
            name: w.BoundedIntText(
                value, min=1, max=LARGEST, description=name, **narrow, layout=w.Layout(width="170px")
            )
            for name, value in structure.items()
        }
        self.folder = w.Text(folder, description="folder", continuous_update=False, **narrow)
        self.table, self.words = w.HTML(""), w.HTML("")
        self.words.add_class("snnlab-words")

    def _layout(self) -> list[w.Widget]:
        buttons = self.buttons
        transport = [buttons[name] for name in ("transport", "step", "chunk", "stop", "reset", "new_seed")]
        wrap = w.Layout(flex_flow="row wrap", align_items="center")
        repair = w.HBox([self.diagnosis, buttons["repair"]])
        repair.add_class("snnlab-diagnosis")
        rows: list[w.Widget] = [w.HBox(transport, layout=wrap), self.progress, self.status, repair]
        if self.figure:
            rows += [w.HBox([self.log, self.smooth, self.hz], layout=wrap), self.figure]
        rows.append(make_groups(self.rows))
        if self.raster:
            rows += [w.HBox([self.sample, self.layer, self.sort], layout=wrap), self.raster]
        if self.health:
            rows.append(self.health)
        restart = [w.HTML("<i>applies at restart:</i>"), *self.structure.values(), buttons["restart"]]
        export = [self.folder, buttons["export"]]
        return [*rows, w.HBox(restart, layout=wrap), w.HBox(export, layout=wrap), self.words, self.table, self.pulse]

    # A page can send any value for a field, and other bounds as well.

    @property
    def rate(self) -> float:
        """Pictures per second."""
        low, high = HZ
        return min(self.hz.value, high) if self.hz.value >= low else low

    @property
    def shown_sample(self) -> int:
        """Index of the test sample to show."""
        return min(max(self.sample.value, 0), self._samples - 1)

    def choices(self) -> dict[str, int]:
        """What can change only at a restart, as chosen.

        Raises:
            ArgumentError: if a value is out of range.
        """
        return {name: arguments.count(name, field.value, 1, LARGEST) for name, field in self.structure.items()}

    def say(self, text: str, *, warning: bool = False) -> None:
        """Show a message beside the status until the next action."""
        self.message = words.warning(text) if warning else plain(text)

    def _act(self, action: Callable[[], Any]) -> bool:
        """Do what was asked for; returns whether it was possible."""
        self.message = ""
        try:
            action()
            return True
        except (SnnlabError, OSError) as error:
            self.say(str(error), warning=True)
            return False
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}", warning=True)
            raise  # to the log, with its traceback
        finally:
            self._wake()

    def send_everything(self) -> None:
        """Send what every widget shows now.

        A page that is being opened asks for the widgets and then makes them, which takes it seconds. It loses the
        changes that are sent meanwhile, and a value that does not change again would stay wrong there.
        """
        for part in (part for widget in _all(self.root) for part in _parts(widget)):
            if isinstance(part, Curves):
                part.send_everything()
            else:
                part.send_state([name for name in part.keys if not name.startswith("_")])

    def close(self) -> None:
        """Free the widgets; they disappear from every page."""
        for widget in [*_all(self.root), *self._fields]:  # the fields of a panel that is not shown are in no box
            for part in _parts(widget):
                part.close()


def _small() -> w.Layout:
    return w.Layout(width="92px", height="26px")


def _all(widget: w.Widget) -> list[w.Widget]:
    """A widget and everything inside it."""
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in _all(child))]


def _parts(widget: w.Widget) -> list[w.Widget]:
    """Its layout and its style, where it has them, and the widget itself."""
    parts = (getattr(widget, "layout", None), getattr(widget, "style", None), widget)
    return [part for part in parts if isinstance(part, w.Widget)]


def answer_from_any_shell(root: w.Widget) -> None:
    """Let controls work while another cell runs.

    ipykernel 7.4 sends a widget's event to the shell that last spoke on its channel. A button never spoke, so its
    clicks would wait for the main shell. Older versions of ipykernel do not have the attribute.
    """
    for widget in _all(root):
        if hasattr(widget.comm, "_reply_subshell_for"):
            setattr(widget.comm, "_reply_subshell_for", lambda data, default: default)  # noqa: B010 (no public name)
