"""What the commands have in common: options without a value of their own, checks of files, the notebooks."""

import os
from pathlib import Path
from typing import Any

import tyro

from snnlab.errors import ArgumentError, SnnlabError
from snnlab.support.files import try_writing


def default_is(metavar: str, shown) -> Any:
    """An option that is None unless it is given, whose help shows the default that then holds."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {shown})")


INTERRUPTED = 130  # exit status, as of any program that Ctrl-C ends


def refuse_existing(file: Path, overwrite: bool) -> None:
    """As `files.refuse_existing`, in the words of the command line."""
    if os.path.lexists(file) and not overwrite:
        raise ArgumentError(f"{file} exists; choose another, or add --overwrite")


def check_folders(*folders: Path | None) -> None:
    """Find out before the training, not after it, that its result cannot be written."""
    for folder in filter(None, folders):
        try:
            try_writing(folder)
        except OSError as error:
            raise ArgumentError(f"{folder}: cannot write there ({error.strerror})") from None


def notebooks_folder() -> Path:
    """The folder of the notebooks that come with a clone."""
    folder = Path(__file__).parents[2] / "notebooks"
    if not folder.is_dir():
        raise SnnlabError(f"no notebooks in {folder}; run this from a clone installed with pip install -e")
    return folder
