"""plotly's FigureWidget with less traffic and with its state in order: the only file that uses plotly's private names.

Read from `plotly/basewidget.py` of plotly 7.1; pyproject.toml allows no later minor version. To raise that bound,
compare these names with the new source, then run tests/live/test_dashboard.py and the tests with a browser.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import plotly.graph_objects as go
import traitlets


class LeanFigure(go.FigureWidget):
    """A FigureWidget that one thread may update several times a second."""

    # After every update the page reports what it filled in by itself, 30 kB of it. Nothing here reads that: a trait
    # that is not synchronized is neither read nor sent back as an echo.
    _js2py_traceDeltas = traitlets.Dict(allow_none=True)
    _last_trace_edit_id = traitlets.Int(0)
    _last_layout_edit_id = traitlets.Int(0)

    def __init__(self, figure: go.Figure):
        super().__init__(figure)
        self._config = self._config | {"responsive": True, "displaylogo": False}  # as wide as the page, also later

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> Any:
        """Return the figure as it is now, also for a page that was loaded again.

        plotly refreshes these two traits only when the figure itself is displayed, not when it is in a box.
        """
        if key is None and "_layout_obj" in vars(self):  # does not exist yet during construction
            values = {"_widget_data": deepcopy(self._data), "_widget_layout": deepcopy(self._layout_obj._props)}
            self._trait_values.update(values)  # without a notification: the caller is just being told
        return super().get_state(key, drop_defaults)

    def send_values(self, of_traces: Sequence[str], layout: Mapping[str, Any]) -> None:
        """Send these attributes of all traces, and this part of the layout, whether or not they have changed."""
        self._send_update_msg({name: [trace.get(name) for trace in self._data] for name in of_traces}, dict(layout))
