"""A gallery of notebooks: run from top to bottom and written as static pages, for people who only look.

The pages open from a folder, without a kernel and without a network. Jupyter's own nbclient runs the notebooks and
nbconvert makes the pages; a `LiveTrainer` has left its picture in them, figures of plotly are drawn by the one copy of
plotly.js that lies beside the pages, and ziamath draws the formulas.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.support.extras import install_hint

MARK = '<meta name="generator" content="snnlab gallery">'
"""By this an index page is known to be ours, and may be replaced."""


def build(notebooks: Sequence[str | os.PathLike], out: str | os.PathLike = "gallery", *, progress: bool = True) -> Path:
    """Run notebooks and write a page for each, and an index with a picture, a title and the question of each.

    The picture is the dashboard of a notebook, or else its first figure, or that of the cell with the tag "thumbnail".
    The title is the heading of its first cell, the question the paragraph below.

    Args:
        notebooks: the files, in the order of the index; each is run in its own folder, none is changed.
        out: folder of the pages; made where it is missing.
        progress: show a bar, and a line for each notebook.

    Returns:
        The index page.

    Raises:
        ArgumentError: without notebooks, for two of one name, or if `out` holds other things than a gallery.
        FileFormatError: if a file is missing or no notebook.
        SnnlabError: naming notebook and cell, if one fails; or if the extra `lab` is not installed.
    """
    try:
        from snnlab.gallery import execute, pages
    except ImportError as error:
        raise SnnlabError(f"the gallery needs JupyterLab ({error}): {install_hint('lab')}") from None
    paths, out = [Path(path) for path in notebooks], Path(out)
    names = [path.stem for path in paths]
    if not names or len(set(names)) < len(names) or "index" in names:
        raise ArgumentError(f"notebooks: must be one or more of different names, none of them index, got {names}")
    _check_folder(out)
    read = [execute.read(path) for path in paths]  # mistakes are said before anything runs
    site = pages.Site(names)
    for path, notebook in zip(paths, read, strict=True):
        site.add(path, execute.run(path, notebook, progress=progress))
    return site.write(out)  # all of it or nothing


def _check_folder(out: Path) -> None:
    """Nothing but an older gallery is written over."""
    if out.exists() and not out.is_dir():
        raise ArgumentError(f"out: {out} is not a folder")
    index = out / "index.html"
    ours = index.is_file() and MARK in index.read_text(encoding="utf-8", errors="replace")
    if out.is_dir() and any(out.iterdir()) and not ours:
        raise ArgumentError(f"out: {out} holds other things than a gallery; name a new folder")
