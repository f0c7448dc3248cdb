"""Knobs and buttons as ipywidgets, for a user's own dashboard: the twins of those on the screen."""

import math
import re
import threading
from collections.abc import Callable

import ipywidgets as w
import numpy as np

from snnlab.controls import Knob
from snnlab.live.frames.about import split_name
from snnlab.support.numbers import rounded

FARTHEST = 10**9  # positions from the first; JavaScript counts exactly as far as this, and a page may send any number


class Grid:
    """The positions of a slider, whole numbers, and the values that they stand for; 0 is the knob's first value.

    A value below the slider's lowest stands at its bottom.

    Position `p` stands for `value + p * step`, or `value * 10**(p * step)` where the knob is logarithmic: 400 steps
    from its lowest value to its highest, or 100 a decade.

    A browser that shows a slider sends its value back as it understands it. With whole numbers that is the same value,
    so whatever arrives from a slider is a move of the user's.

    Args:
        knob: with its first value.

    Example:
        >>> grid = Grid(Knob(name="tau", value=10.0, low=1.0, high=100.0, log=True))
        >>> grid.bottom, grid.position(20.0), grid.value(30), grid.top
        (-100, 30, 19.9526, 100)
    """

    def __init__(self, knob: Knob):
        top = max(knob.high, knob.value)
        self._first, self._low, self._log = knob.value, knob.low, knob.log
        self._step = 0.01 if knob.log else (top - knob.low) / 400
        self.bottom, self.top = self.position(knob.low), self.position(top)

    def position(self, value: float) -> int:
        """Return the position nearest to a value."""
        value = max(value, self._low)
        distance = float(np.log10(value / self._first)) if self._log else value - self._first
        return round(min(max(distance / self._step, -FARTHEST), FARTHEST))

    def value(self, position: int) -> float:
        """Return the value at a position, to the six digits that are shown; at the bottom, the lowest."""
        distance = min(max(position, -FARTHEST), FARTHEST) * self._step
        value = self._first * 10.0 ** min(distance, 300.0) if self._log else self._first + distance
        return self._low if position == self.bottom else max(self._low, rounded(value))


class KnobRow:
    """One knob. Its observers only post; `show`, which the pump calls, writes the widgets.

    Args:
        knob: with its first value, to which the button returns.
        post: called with `(name, value)` when the user chose a value; returns whether that was accepted.
    """

    def __init__(self, knob: Knob, post: Callable[[str, float], bool]):
        self.name = knob.name
        self._value = self._followed = knob.value
        self._post = post
        self._lock = threading.RLock()  # what `show` writes is compared with the value that it writes
        self.grid = Grid(knob)
        self.slider = w.IntSlider(
            description=split_name(knob.name)[1],
            value=0,
            min=self.grid.bottom,
            max=self.grid.top,
            readout=False,
            layout=w.Layout(width="196px"),
            style={"description_width": "92px"},
        )
        self.box = w.FloatText(value=rounded(knob.value), layout=w.Layout(width="74px"))
        self.box.tooltip = f"{knob.name}: exact value"
        unit = w.Label(knob.unit, layout=w.Layout(width="22px"))
        narrow = w.Layout(width="28px", padding="0")
        back = w.Button(icon="undo", tooltip=f"reset {knob.name} to {knob.value:g}", layout=narrow)
        self.root = w.HBox([self.slider, self.box, unit, back])
        self.root.add_class("snnlab-" + re.sub(r"[^\w-]", "-", knob.name))
        self.slider.observe(lambda change: self._slid(change["new"]), "value")
        self.box.observe(lambda change: self._chosen(change["new"], 1e-5), "value")  # it shows six digits
        back.on_click(lambda _button, value=knob.value: self._chosen(value, 0.0))

    def follow(self, value: float) -> None:
        """Show the value of the knob, whoever set it. A row knows the values that it posted itself."""
        with self._lock:
            if value != self._followed:
                self._followed = self._value = value
            self.show()

    def show(self) -> None:
        """Show the value in slider and box, wherever it came from."""
        with self._lock:
            position = self.grid.position(self._value)
            self.slider.min, self.slider.max = min(self.slider.min, position), max(self.slider.max, position)
            self.slider.value = position
            if not math.isclose(rounded(self._value), self.box.value, rel_tol=1e-6):
                self.box.value = rounded(self._value)

    def close(self) -> None:
        """Free the widgets; they disappear from every page."""
        for widget in (*self.root.children, self.root):
            for part in (getattr(widget, "style", None), widget.layout, widget):
                if isinstance(part, w.Widget):
                    part.close()

    def _slid(self, position: int) -> None:
        with self._lock:
            if position != self.grid.position(self._value):
                self._chosen(self.grid.value(position), 1e-6)

    def _chosen(self, value: float, tolerance: float) -> None:
        with self._lock:
            same = math.isclose(value, self._value, rel_tol=tolerance, abs_tol=1e-12)
            if not same and self._post(self.name, value):
                self._value = value
