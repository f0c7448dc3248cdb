"""Plotly's figures, drawn without a network: in a live page, and in what nbconvert makes of an executed notebook.

plotly's own choice for notebooks is a MIME type that only live pages can draw: nbconvert leaves such figures out. In a
notebook that nobody watches, each figure therefore gets a second form, HTML that draws it. The first one brings a
copy of plotly.js (2 MB, compressed) for all; nothing is fetched.
"""

import base64
import functools
import gzip
import json
import uuid
from typing import Any

from snnlab.live import frontend
from snnlab.support.plotly_config import NOTHING_SENT

MIME = "application/vnd.plotly.v1+json"
IN_WORDS = "(a plotly figure: a live page draws it, and so does what jupyter nbconvert --execute makes of the notebook)"
HEIGHT = 450  # pixels of a figure that does not say its height; plotly's own default
LIBRARY = """
<script>
window.snnlabPlotly ??= (async () => {
  const packed = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
})();
</script>
"""
FIGURE = """
<div id="%(name)s" style="height: %(height)dpx"></div>
<script>
(async () => {
  const place = document.getElementById("%(name)s");
  if (!window.snnlabPlotly) {
    place.textContent = "This figure is drawn by a copy of plotly.js beside the first figure, which is missing here.";
    return;
  }
  await window.snnlabPlotly;
  const figure = %(figure)s;
  await Plotly.newPlot(place, figure.data, figure.layout, {...figure.config, responsive: true});
})();
</script>
"""


def forms(figure: dict[str, Any]) -> dict[str, Any]:
    """Return the forms of a figure, given as a dictionary, by MIME type.

    Example:
        >>> import plotly.graph_objects as go
        >>> shown = forms(go.Figure(go.Scatter(y=[1, 2])).to_dict())
        >>> sorted(shown), shown[MIME]["config"]["showSendToCloud"]
        (['application/vnd.plotly.v1+json', 'text/html', 'text/plain'], False)
    """
    from plotly.io import to_json

    shown = json.loads(str(to_json({**figure, "config": NOTHING_SENT}, validate=False, remove_uids=False)))
    found = {MIME: shown, "text/plain": IN_WORDS}
    return found | {"text/html": _library() + _html(shown)} if frontend.headless() else found


def offline_figures() -> None:
    """Let plotly show its figures without a network, and without a button that uploads them.

    Call it once, at the top of a notebook; it sets `plotly.io.renderers.default`. In JupyterLab, figures stay as small
    as before. In a notebook that is executed without a browser, the first one brings a copy of plotly.js (2 MB), so
    that `jupyter nbconvert --execute --to html` keeps every figure.

    Example:
        >>> import plotly.io
        >>> before = plotly.io.renderers.default
        >>> offline_figures()
        >>> plotly.io.renderers.default
        'snnlab'
        >>> plotly.io.renderers.default = before
    """
    from plotly.io import renderers
    from plotly.io.base_renderers import MimetypeRenderer

    class OfflineRenderer(MimetypeRenderer):
        """What `plotly.io.renderers` asks for."""

        def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, Any]:
            """Return a figure by MIME type."""
            return forms(fig_dict)

    renderers["snnlab"] = OfflineRenderer()
    renderers.default = "snnlab"


def _html(figure: dict[str, Any]) -> str:
    height = figure["layout"].get("height") or HEIGHT
    written = json.dumps(figure).replace("<", "\\u003c")  # so that no text in it ends the script
    return FIGURE % {"name": f"figure-{uuid.uuid4().hex}", "height": height, "figure": written}


@functools.cache
def _unsent() -> list[str]:
    """plotly.js, compressed, until the first figure takes it along."""
    from plotly.offline import get_plotlyjs

    return [LIBRARY % base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()]


def _library() -> str:
    unsent = _unsent()
    return unsent.pop() if unsent else ""
