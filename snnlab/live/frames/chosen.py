"""What the fields of the screen are set to; shared by all its parts."""

from dataclasses import dataclass
from typing import Any

from snnlab.live.frames.curves import WINDOWS
from snnlab.live.frames.scenes import SORTS
from snnlab.live.frames.weights import SORTS as WEIGHT_SORTS


@dataclass
class Chosen:
    """What the user has chosen to see.

    Attributes:
        hz: pictures per second.
        sample: index of the test sample.
        layer: the layer in the raster, or "all".
        sort: order of its neurons.
        window: steps in the curves.
        weights_layer: the layer whose weights are shown; the first one if there is none of this name.
        weights_sort: order of their tiles.
        selected: `(layer, unit)` of the selected neuron, or None.
        cell: `(true class, predicted class)` of the samples that are listed, or None.
        tab: the tab that is seen.

    Example:
        >>> Chosen(hz=2.0).fields()["window"]
        'all steps'
    """

    hz: float
    sample: int = 0
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
        return {name: value for name, value in vars(self).items() if name not in ("selected", "tab")}
