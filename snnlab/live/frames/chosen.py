"""What the fields of the screen are set to, shared by all its parts, and how a page looks; both come from the page.

A page can send any value, so each is checked.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snnlab.errors import ArgumentError
from snnlab.live.frames.curves import WINDOWS
from snnlab.live.frames.scenes import SORTS
from snnlab.live.frames.status import HZ
from snnlab.live.frames.weights import SORTS as WEIGHT_SORTS
from snnlab.support import arguments

LONGEST = 100  # characters of a name that a page sends


@dataclass
class Chosen:
    """What the user has chosen to see.

    Attributes:
        hz: pictures per second.
        sample: index of the test sample.
        drawing: what is looked at in its place, see `snnlab.live.frames.paper`; or None.
        layer: the layer in the raster, or "all".
        sort: order of its neurons.
        window: steps in the curves.
        weights_layer: the layer whose weights are shown; the first one if there is none of this name.
        weights_sort: order of their tiles.
        selected: `(layer, unit)` of the selected neuron, or None.
        cell: `(true class, predicted class)` of the samples that are listed, or None; of several labels, a class and
            one of `snnlab.live.frames.mistakes.KINDS`; where targets are numbers, the output that is drawn, and 0.
        tab: the tab that is seen.

    Example:
        >>> Chosen(hz=2.0).fields()["window"]
        'all steps'
    """

    hz: float
    sample: int = 0
    drawing: bytes | None = None
    layer: str = "all"
    sort: str = SORTS[0]
    window: str = WINDOWS[0]
    weights_layer: str = ""
    weights_sort: str = WEIGHT_SORTS[0]
    selected: tuple[str, int] | None = None
    cell: tuple[int, int] | None = None
    tab: str = ""

    def of_tab(self) -> tuple:
        """Return what the content of the tab depends on."""
        return self.tab, self.selected, self.cell, self.weights_layer, self.weights_sort

    def fields(self) -> dict[str, Any]:
        """Return what the fields show."""
        fields = {name: value for name, value in vars(self).items() if name not in ("selected", "tab", "drawing")}
        return fields | {"drawn": self.drawing is not None}


def checked_fields(values: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that are fields of the screen, checked.

    Args:
        values: by the names of the attributes of `Chosen`.
        about: the fixed part of the screen, see `about_frame`.

    Raises:
        ArgumentError: if a field cannot have its value.

    Example:
        >>> checked_fields({"sample": 1000, "unknown": 1}, {"samples": 64})
        {'sample': 63}
    """
    last = len(about.get("classes", ())) - 1
    checks: dict[str, Callable[[Any], Any]] = {
        "sample": lambda value: min(max(arguments.count("sample", value, -(10**12)), 0), about["samples"] - 1),
        "layer": lambda value: arguments.choice("layer", value, ("all", *about["layers"])),
        "sort": lambda value: arguments.choice("sort", value, SORTS),
        "window": lambda value: arguments.choice("window", value, WINDOWS),
        "weights_layer": lambda value: str(value)[:LONGEST],
        "weights_sort": lambda value: arguments.choice("weights_sort", value, WEIGHT_SORTS),
        "cell": lambda value: _cell(value, last, 2 if about.get("task") == "several_labels" else last),
        "hz": lambda value: arguments.number("hz", value, *HZ),
    }
    return {name: checks[name](value) for name, value in values.items() if name in checks}


def _cell(value: Any, last: int, last_guess: int) -> tuple[int, int] | None:
    """A true and a predicted class, see `Chosen.cell`; None for no samples."""
    if value is None:
        return None
    match value:
        case [truth, prediction]:
            return arguments.count("cell", truth, 0, last), arguments.count("cell", prediction, 0, last_guess)
    raise ArgumentError(f"cell: must be a true and a predicted class, got {value!r:.100}")


def checked_ui(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a page may choose of its own look; the rest is left out.

    Example:
        >>> checked_ui({"large": 1, "ranges": {"v_th": [0.1, 2.0, 0.05], "l1": [3, 1, 1]}, "unknown": 1})
        {'large': True, 'ranges': {'v_th': [0.1, 2.0, 0.05]}}
    """
    known: dict[str, Callable[[Any], Any]] = {
        "tab": lambda value: str(value)[:LONGEST],
        "large": bool,
        "alert": bool,
        "smooth": bool,
        "log": bool,
        "stage": bool,
        "tour": lambda value: str(value)[:LONGEST],
        "ranges": _ranges,
    }
    return {name: understood(sent[name]) for name, understood in known.items() if sent.get(name) is not None}


def _ranges(value: Any) -> dict[str, list[float]]:
    """Ranges of sliders that the user chose: lowest, highest, and the step between two values."""
    found: dict[str, list[float]] = {}
    for name, numbers in value.items() if isinstance(value, dict) else ():
        match numbers:
            case [int() | float() as low, int() | float() as high, int() | float() as step]:
                if math.isfinite(low) and math.isfinite(high) and low < high and 0 < step < math.inf:
                    found[str(name)[:LONGEST]] = [low, high, step]
    return found
