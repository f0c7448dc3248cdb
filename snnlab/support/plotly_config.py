"""Settings of plotly.js with which no figure can send its data anywhere.

plotly.js 4, of plotly 7, has a button "Share chart..." on every figure unless `showSendToCloud` is off. Once its dialog
is confirmed, it opens `plotlyServerURL`, by default https://cloud.plotly.com/newchart, in a window. When somebody has
logged in there, it posts the whole figure to it: data, layout and version. Beyond this, plotly.js 4.1 only fetches, and
only for figures that are maps: their outlines and tiles. (Read from plotly.min.js of plotly 7.1.)
"""

from typing import Any

NOTHING_SENT: dict[str, Any] = {"showSendToCloud": False, "plotlyServerURL": "", "displaylogo": False}
