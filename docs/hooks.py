"""Pages that follow from the tree: for each notebook as it ran, for each public module, and a network that plays."""

import importlib
import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import front
from executed import NOTEBOOKS, executed
from house import house, public_modules
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import snnlab
from snnlab.gallery import pages

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / ".github"  # those of the README
WORKERS = 2  # notebooks at a time: compilation takes one thread
TEXT = "The notebooks as they ran, with nobody watching. In JupyterLab (`snnlab lab`) they are alive."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and name them in the navigation."""
    with ThreadPoolExecutor(WORKERS) as pool:
        ran = dict(zip(NOTEBOOKS, pool.map(executed, NOTEBOOKS.values()), strict=True))
    made = {f"notebooks/{name}": text for name, text in pages.make(ran, title="Notebooks", text=TEXT).items()}
    modules = public_modules()
    made |= {f"reference/{name}.md": _reference(name) for name in modules}
    made["reference/index.md"] = _overview(modules)
    made["reference/house.md"] = _map()
    made[front.NAME] = front.page()
    for path, content in (made | pages.assets()).items():
        files.append(File.generated(config, path, content=content))
    for picture in sorted(PICTURES.glob("*.png")) + sorted(PICTURES.glob("*.webp")):
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    for folder, names in (("notebooks", NOTEBOOKS), ("reference", modules)):
        config["nav"].append({folder.title(): [f"{folder}/{name}.md" for name in ("index", *names)]})
    config["nav"][-1]["Reference"].append("reference/house.md")
    return files


def _reference(name: str) -> str:
    return f"# {name}\n\n::: {name}\n"


def _overview(modules: list[str]) -> str:
    """Write the list of the modules, and of the names that `snnlab` itself offers."""
    lines = [
        "# Reference",
        "",
        "From the bottom of the package to the top; a module imports only from those above it.",
        "",
    ]
    lines += ["| module | |", "|---|---|"]
    lines += [f"| [`{name}`]({name}.md) | {_summary(importlib.import_module(name))} |" for name in modules]
    lines += ["", "These names are imported from `snnlab` itself:", "", "| name | |", "|---|---|"]
    for name in snnlab.__all__:
        value = getattr(snnlab, name)
        if callable(value):
            home = next(m for m in modules if getattr(importlib.import_module(m), value.__name__, None) is value)
            lines.append(f"| [`snnlab.{name}`][{home}.{value.__name__}] | {_summary(value)} |")
    return "\n".join(lines) + "\n"


def _map() -> str:
    lines = ["# Every module", "", "From the bottom to the top: a module imports only from those above it."]
    lines += ["", "| module | |", "|---|---|", *(f"| `{path}` | {line} |" for path, line in house())]
    return "\n".join(lines) + "\n"


def _summary(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
