"""Shared by the commands: options without a default of their own, checks of files, the folder of the notebooks."""

import os
import shutil
from pathlib import Path
from typing import Any

import tyro

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.support.files import try_writing

INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended."""

COPIES = Path("snnlab-notebooks")
"""Where an installed snnlab puts the notebooks, below the current folder."""


def default_is(metavar: str, shown: object) -> Any:
    """Describe an option that is None unless given; the help shows which default applies then."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {shown})")


def devices_of(given: str | None) -> int | str | None:
    """Return `--devices` as Python takes it.

    Example:
        >>> devices_of("4"), devices_of("all"), devices_of(None)
        (4, 'all', None)
    """
    return int(given) if given is not None and given.lstrip("-").isdecimal() else given


def refuse_existing(file: Path, overwrite: bool) -> None:
    """Refuse to replace a file, in the words of the command line.

    Raises:
        ArgumentError: if something exists there (even a dangling symlink) and `overwrite` is False.
    """
    if os.path.lexists(file) and not overwrite:
        raise ArgumentError(f"{file} exists; choose another, or add --overwrite")


def check_folders(*folders: Path | None) -> None:
    """Check before a training, not after it, that its results can be written.

    Raises:
        ArgumentError: for a folder in which no file can be created.
    """
    for folder in filter(None, folders):
        try:
            try_writing(folder)
        except OSError as error:
            raise ArgumentError(f"{folder}: cannot write there ({error.strerror})") from None


def notebooks_folder(package: Path = Path(__file__).parents[1]) -> Path:
    """Return a folder with the notebooks in which they may write.

    In a clone it is the clone's. An installed snnlab carries them inside the package; they are copied to
    `./snnlab-notebooks`, where files that exist already are left alone.

    Raises:
        ArgumentError: if the copies cannot be written.
        SnnlabError: if this installation has no notebooks.
    """
    in_clone, installed = package.parent / "notebooks", package / "notebooks"
    if installed.is_dir():
        return _copy_notebooks(installed, COPIES.absolute())
    if not in_clone.is_dir():
        raise SnnlabError(f"this installation has no notebooks ({in_clone} does not exist); reinstall snnlab")
    return in_clone


def _copy_notebooks(source: Path, target: Path) -> Path:
    check_folders(target)
    for notebook in source.glob("*.ipynb"):
        if not os.path.lexists(target / notebook.name):
            shutil.copyfile(notebook, target / notebook.name)
    return target
