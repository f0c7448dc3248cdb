"""The API reference as web pages, from the docstrings, with the notebooks as its guide.

    python -m pip install -e ".[docs]" && python .github/docs/build.py [FOLDER]

pdoc makes the reference, nbconvert the guide. What they make is not committed; default folder: `build/docs`.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What users import, in the order in which data walk through it.
PUBLIC = (
    "snnlab",
    "snnlab.config",
    "snnlab.data",
    "snnlab.encode",
    "snnlab.surrogate",
    "snnlab.dynamics",
    "snnlab.kernels",
    "snnlab.variables",
    "snnlab.layers",
    "snnlab.record",
    "snnlab.models",
    "snnlab.losses",
    "snnlab.train",
    "snnlab.checkpoint",
    "snnlab.history",
    "snnlab.controls",
    "snnlab.health",
    "snnlab.train.replay",
    "snnlab.live",
    "snnlab.export",
    "snnlab.errors",
)
# Rooms whose names only snnlab itself needs.
INTERNAL = ("check", "checkpoint_folder", "cli", "divergence", "files", "gallery", "interrupt", "naming", "programs")
INTERNAL += ("series", "snapshot", "step", "table")


def build(folder: Path) -> Path:
    """Write the pages.

    Returns:
        The first page.
    """
    import nbformat
    import pdoc
    from nbconvert import HTMLExporter

    import snnlab

    guide = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = folder / "guide" / f"{path.stem}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(HTMLExporter().from_filename(str(path))[0], encoding="utf-8")
        title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
        guide.append((f"guide/{page.name}", title))
    for name in snnlab.__all__:  # pdoc looks for names that are there, these come when they are first used
        vars(snnlab)[name] = getattr(snnlab, name)
    pdoc.render.configure(docformat="google", template_directory=Path(__file__).parent)
    pdoc.render.env.globals["guide"] = guide
    inner = r"!snnlab\.(data|export|kernels|live)\."  # the packages show what they export
    alone = r"!snnlab\.(" + "|".join(INTERNAL) + ")$"
    pdoc.pdoc(*PUBLIC, inner, alone, output_directory=folder)
    return folder / "index.html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"))
