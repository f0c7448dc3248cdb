"""A picture of one sample, for a reader without scripts: its spikes, layer by layer, and the scores of the classes."""

from collections.abc import Sequence

import numpy as np

from snnlab.export.exhibits.exact import Single
from snnlab.export.exhibits.plan import Layer
from snnlab.export.exhibits.replay import Played
from snnlab.support.markup import plain
from snnlab.support.palette import BLUE, GREY, ORANGE

_WIDTH, _LEFT, _BAND, _GAP = 720, 110, 150, 26  # pixels
_MARKS = 4000  # at most, of one layer


def svg(layers: Sequence[Layer], played: Sequence[Played], scores: Single, names: Sequence[str], b: int = 0) -> str:
    """Draw sample `b`. No attribute is a style, which the policy of the page forbids.

    Example:
        >>> from snnlab.export.exhibits.replay import Played
        >>> layer = Layer(name="<hidden>", kind="lif", inputs=1, units=2, weights=np.zeros((1, 2), np.float32))
        >>> spikes = Played(np.ones((3, 1, 2), bool), np.zeros((3, 1, 2), np.float32))
        >>> picture = svg([layer], [spikes], np.float32([0.1, 0.9]), ["a", "b"])
        >>> "&lt;hidden&gt;" in picture, picture.count("h2")
        (True, 6)
    """
    parts, y = [], 0
    for layer, did in zip(layers, played, strict=True):
        if did.spikes is not None:
            parts.append(_label(layer.name, y + _BAND / 2) + _raster(did.spikes[:, b], y))
            y += _BAND + _GAP
    parts.append(_bars(scores, names, y))
    height = y + _BAND
    said = f"The spikes of one sample; the network says {names[int(scores.argmax())]}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'aria-label="{plain(said)}" font-family="system-ui, sans-serif" font-size="12" fill="{GREY}">'
        + "".join(parts)
        + "</svg>"
    )


def _label(words: str, y: float) -> str:
    return f'<text x="{_LEFT - 8}" y="{y:.0f}" text-anchor="end">{plain(words)}</text>'


def _raster(spikes: np.ndarray, y: int) -> str:
    steps, units = spikes.shape
    when, who = (found[:_MARKS] for found in np.nonzero(spikes))
    x, across = _LEFT + (_WIDTH - _LEFT) * (when + 0.5) / steps, y + _BAND * (who + 0.5) / units
    path = "".join(f"M{a:.0f} {b:.0f}h2" for a, b in zip(x, across, strict=True))
    return f'<path d="{path}" stroke="{BLUE}" stroke-width="2" fill="none"/>'


def _bars(scores: Single, names: Sequence[str], y: int) -> str:
    high, low = max(float(scores.max()), 0.0), min(float(scores.min()), 0.0)
    room, each = _BAND - 24, (_WIDTH - _LEFT) / len(scores)
    parts, zero = [], y + room * high / ((high - low) or 1.0)
    for k, score in enumerate(scores):
        size, x = room * float(score) / ((high - low) or 1.0), _LEFT + k * each
        colour = f' fill="{ORANGE}"' if k == int(scores.argmax()) else ""
        parts.append(
            f'<rect x="{x + 2:.1f}" y="{zero - max(size, 0.0):.1f}" width="{max(each - 4, 1):.1f}" '
            f'height="{abs(size):.1f}"{colour}/>'
            f'<text x="{x + each / 2:.1f}" y="{y + _BAND - 6}">{plain(names[k])}</text>'
        )
    return _label("scores", y + room / 2) + f'<g text-anchor="middle">{"".join(parts)}</g>'
