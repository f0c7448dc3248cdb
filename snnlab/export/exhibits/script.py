"""The script of the page: its own modules and those that it shares with the dashboard, joined to one file.

The drawing of both is the same code, `draw.js` with one palette, so that they cannot drift apart. The page carries what
it uses of them, without comments.
"""

from functools import cache
from pathlib import Path

from snnlab.support import palette
from snnlab.support.javascript import in_use, joined

FOLDER = Path(__file__).parent / "js"
# Read as text, not imported: the page needs nothing of the dashboard but these files.
SHARED = Path(__file__).parents[2] / "live" / "widgets" / "js"
FROM_THE_DASHBOARD = ("dom", "draw", "hand", "ink", "numbers", "player")


@cache
def javascript(entry: str = "exhibit") -> str:
    """Return a module of the page and all that it needs, as one file.

    Example:
        >>> code = javascript()
        >>> "import {" in code, "@param" in code
        (False, False)
    """
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}
    sources |= {name: (SHARED / f"{name}.js").read_text(encoding="utf-8") for name in FROM_THE_DASHBOARD}
    sources["style"] = palette.javascript()
    return joined(in_use(sources, entry), entry)


@cache
def css() -> str:
    """Return the style sheet of the page.

    Example:
        >>> "/*" in css()
        False
    """
    text = (FOLDER / "exhibit.css").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("/*"))
