"""The JavaScript of the widgets: modules in `js/`, joined to the one file that a front end loads.

`style.js` is made from `snnlab.live.frames.style`; how modules are joined is told in `snnlab.support.javascript`.

    python -m snnlab.live.widgets.bundle FOLDER      writes the modules, style.js and those of the exhibit with them,
                                                     for Node's tools
"""

import shutil
import sys
from functools import cache
from pathlib import Path

from snnlab.live.frames import style
from snnlab.support.javascript import joined

FOLDER = Path(__file__).parent / "js"
EXHIBIT = Path(__file__).parents[2] / "export" / "exhibits" / "js"  # checked together: they share modules


def modules() -> dict[str, str]:
    """Return the source of every module by its file name."""
    written = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}
    return {"style.js": style.javascript(), **written}


@cache
def javascript(entry: str = "cockpit") -> str:
    """Return one module and all that it imports, as one file.

    Example:
        >>> code = javascript()
        >>> "import {" in code, "const $style = " in code, "export default" in code
        (False, True, True)
    """
    return joined({name.removesuffix(".js"): source for name, source in modules().items()}, entry)


def main() -> None:
    """Write every module into a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in modules().items():
        (folder / name).write_text(source, encoding="utf-8")
    for path in sorted(EXHIBIT.glob("*.*s")):
        shutil.copy(path, folder)


if __name__ == "__main__":
    main()
