"""Rows for knobs: a name, a slider, a box for the exact number, the unit, and a button that resets it."""

import math
import time
from collections.abc import Callable, Mapping

import ipywidgets as w
import numpy as np

from snnlab.controls import Knob

ECHO_SECONDS = 3.0  # a busy browser needs up to this long to send back what it was shown
TRAINING = "training"  # heading of the knobs that belong to no layer


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a knob into its layer and its name there.

    Example:
        >>> split_name("hidden.v_th"), split_name("l1")
        (('hidden', 'v_th'), ('training', 'l1'))
    """
    layer, _, short = name.rpartition(".")
    return layer or TRAINING, short


def make_slider(knob: Knob) -> w.FloatSlider | w.FloatLogSlider:
    """Make a slider for a knob, logarithmic where the knob says so.

    Its grid contains the value; otherwise the browser would show the nearest point of the grid instead.
    """
    common = {"description": split_name(knob.name)[1], "value": knob.value, "readout": False}
    common |= {"layout": w.Layout(width="196px"), "style": {"description_width": "92px"}}
    if knob.log:
        low, value, high = (float(np.log10(x)) for x in (knob.low, knob.value, max(knob.high, knob.value)))
        return w.FloatLogSlider(**common, min=_grid_start(low, value, 0.01), max=high, step=0.01)
    high = max(knob.high, knob.value)
    step = (high - knob.low) / 400
    return w.FloatSlider(**common, min=_grid_start(knob.low, knob.value, step), max=high, step=step)


def _grid_start(low: float, value: float, step: float) -> float:
    return max(low, value - step * np.floor((value - low) / step + 1e-6))


class KnobRow:
    """One knob. Its observers only post; `show`, which the pump calls, writes the widgets.

    Args:
        knob: with its first value, to which the button returns.
        post: called with `(name, value)` when the user chose a value.
    """

    def __init__(self, knob: Knob, post: Callable[[str, float], None]):
        self.name = knob.name
        self._value = knob.value
        self._post = post
        self._left = (math.nan, 0.0)  # the slider's position before a program moved it, and when it did
        self.slider = make_slider(knob)
        self.box = w.FloatText(value=shown(knob.value), layout=w.Layout(width="74px"))
        self.box.tooltip = f"{knob.name}: exact value"
        unit = w.Label(knob.unit, layout=w.Layout(width="22px"))
        narrow = w.Layout(width="28px", padding="0")
        back = w.Button(icon="undo", tooltip=f"reset {knob.name} to {knob.value:g}", layout=narrow)
        self.root = w.HBox([self.slider, self.box, unit, back])
        self.root.add_class("snnlab-" + knob.name.replace(".", "-"))
        self.slider.observe(lambda change: self._slid(change["new"]), "value")
        self.box.observe(lambda change: self._chosen(change["new"], 1e-5), "value")  # it shows six digits
        back.on_click(lambda _button, value=knob.value: self._chosen(value, 0.0))

    def follow(self, value: float) -> None:
        """Take over the value of the knob, whoever set it."""
        self._value = value

    def show(self) -> None:
        """Show the value in slider and box, wherever it came from."""
        value, end = self._value, self._position(self._value)
        if not self._is_near(self.slider.value, value):
            self._left = self.slider.value, time.monotonic()
            self.slider.min, self.slider.max = min(self.slider.min, end), max(self.slider.max, end)
            self.slider.value = value
        if not math.isclose(shown(value), self.box.value, rel_tol=1e-6):
            self.box.value = shown(value)

    def _slid(self, value: float) -> None:
        # A browser that shows a slider sends back the nearest point of its grid, perhaps only after a program has moved
        # the knob again. That is no move of the user's.
        left, when = self._left
        late = self._is_near(value, left) and time.monotonic() - when < ECHO_SECONDS
        if not late and not self._is_near(value, self._value):
            self._chosen(value, 1e-6)

    def _chosen(self, value: float, tolerance: float) -> None:
        if not math.isclose(value, self._value, rel_tol=tolerance, abs_tol=1e-12):
            self._post(self.name, value)
            self._value = value

    def _is_near(self, one: float, other: float) -> bool:
        """Whether both values are the same point of the slider's grid."""
        return abs(self._position(one) - self._position(other)) <= 0.5001 * (self.slider.step or 0.0)

    def _position(self, value: float) -> float:
        return float(np.log10(value)) if isinstance(self.slider, w.FloatLogSlider) and value > 0 else value


def shown(value: float) -> float:
    """Round a float32 to the number that people write.

    Example:
        >>> shown(float(np.float32(0.1)))
        0.1
    """
    return float(f"{value:.6g}")


def make_groups(rows: Mapping[str, KnobRow]) -> w.Box:
    """Group the rows under the names of their layers, side by side where there is room."""
    groups: dict[str, list[KnobRow]] = {}
    for name, row in rows.items():
        groups.setdefault(split_name(name)[0], []).append(row)
    order = sorted(groups, key=lambda layer: layer == TRAINING)
    boxes = [w.VBox([w.HTML(f"<b>{layer}</b>"), *(row.root for row in groups[layer])]) for layer in order]
    return w.Box(boxes, layout=w.Layout(flex_flow="row wrap", grid_gap="2px 10px"))
