"""A gallery of notebooks: run from top to bottom and written as static pages, for people who only look.

The pages open from a folder, without a kernel and without a network. nbclient runs the notebooks, nbconvert writes them
as Markdown, and MkDocs makes the site, as it makes the documentation of snnlab. A `LiveTrainer` leaves its picture in
them, plotly's figures are drawn by the copy of plotly.js that lies beside the pages, and ziamath draws the formulas.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from snnlab.errors import ArgumentError, SnnlabError, WriteError
from snnlab.support import arguments
from snnlab.support.extras import install_hint

MARK = ".snnlab-gallery"
"""A file of this name marks a folder as a gallery, which may be replaced."""
TEXT = "These are notebooks as they ran, with nobody watching. In JupyterLab (`snnlab lab`) they are alive."


def build(notebooks: Sequence[str | os.PathLike], out: str | os.PathLike = "gallery", *, progress: bool = True) -> Path:
    """Run notebooks and write a page for each, and an index with a picture, a title and the question of each.

    The picture is the dashboard of a notebook, or else its first figure, or that of the cell with the tag "thumbnail".
    The title is the heading of its first cell, the question the paragraph below.

    Args:
        notebooks: the files, in the order of the index; each runs in its own folder, none is changed.
        out: folder of the pages; made where it is missing.
        progress: show a bar, and a line for each notebook.

    Returns:
        The index page.

    Raises:
        ArgumentError: without notebooks, for two of one name, or if `out` holds other things than a gallery.
        FileFormatError: if a file is missing or is not a notebook.
        SnnlabError: naming notebook and cell, if one fails; naming notebook and formula, if one cannot be set; if the
            extra `docs` is not installed.
        WriteError: if the pages cannot be written.
    """
    try:
        from snnlab.gallery import execute, pages
    except ImportError as error:
        raise SnnlabError(f"the gallery needs MkDocs and JupyterLab ({error}): {install_hint('docs')}") from None
    paths, out = [arguments.path("notebooks", path) for path in notebooks], arguments.path("out", out)
    names = [path.stem for path in paths]
    if not names or len(set(names)) < len(names) or "index" in names:
        raise ArgumentError(f"notebooks: must be one or more of different names, none of them index, got {names}")
    _check_folder(out)
    read = [execute.read(path) for path in paths]  # so that mistakes are found before anything runs
    executed = {
        path.stem: execute.run(path, notebook, progress=progress) for path, notebook in zip(paths, read, strict=True)
    }
    with tempfile.TemporaryDirectory() as work:
        files = pages.make(executed, title="Notebooks", text=TEXT)
        site = _site(Path(work), files | pages.assets(), names)
        _copy(site, out)
    return out / "index.html"


def _copy(site: Path, out: Path) -> None:
    try:
        shutil.copytree(site, out, dirs_exist_ok=True)
    except shutil.Error as error:  # a list of files and reasons
        raise WriteError(None, str(error.args[0][0][2]), str(out)) from error
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(out)) from error


def _check_folder(out: Path) -> None:
    """Refuse to write over anything but an older gallery."""
    if out.exists() and not out.is_dir():
        raise ArgumentError(f"out: {out} is not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise ArgumentError(f"out: {out} holds other things than a gallery; name a new folder")


def _site(work: Path, files: Mapping[str, str | bytes], names: Sequence[str]) -> Path:
    """Let MkDocs make a site of Markdown pages and the files beside them; returns its folder."""
    from mkdocs.commands.build import build as make
    from mkdocs.config import load_config

    source, site = work / "pages", work / "site"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content.encode() if isinstance(content, str) else content)
    logging.getLogger("mkdocs").setLevel(logging.ERROR)
    settings = str(Path(__file__).parent / "mkdocs.yml")
    nav = ["index.md", *(f"{name}.md" for name in names)]
    make(load_config(settings, docs_dir=str(source), site_dir=str(site), nav=nav))
    (site / MARK).touch()
    return site
