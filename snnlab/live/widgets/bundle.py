"""The JavaScript of the widgets: modules in `js/`, joined to the one file that a front end loads.

The modules import each other as modules do everywhere, so that they can be checked and tested one by one; `style.js`
is made from `snnlab.live.frames.style`. Joined, each stands in a function of its own, which returns what the module
exports, after those that it imports.

    python -m snnlab.live.widgets.bundle FOLDER      writes the modules, style.js with them, for Node's tools
"""

import re
import sys
from functools import cache
from pathlib import Path

from snnlab.live.frames import style

FOLDER = Path(__file__).parent / "js"
IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w-]+)\.js";[^\n]*\n', re.MULTILINE)
EXPORT = re.compile(r"^export (const|function|class) (\w+|\[[^\]]*\])", re.MULTILINE)


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
    sources = {name.removesuffix(".js"): source for name, source in modules().items()}
    order: list[str] = []

    def add(name: str) -> None:
        for _, needed in IMPORT.findall(sources[name]):
            if needed not in order:
                add(needed)
        order.append(name)

    add(entry)
    return "\n".join([*(_enclosed(name, sources[name]) for name in order[:-1]), _with_imports(sources[entry])])


def _enclosed(name: str, source: str) -> str:
    exported = [word for _, names in EXPORT.findall(source) for word in re.findall(r"\w+", names)]
    body = EXPORT.sub(r"\1 \2", _with_imports(source))
    return f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _with_imports(source: str) -> str:
    return IMPORT.sub(lambda found: f"const {found[1].replace(' as ', ': ')} = ${found[2]};\n", source)


def main() -> None:
    """Write every module into a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in modules().items():
        (folder / name).write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main()
