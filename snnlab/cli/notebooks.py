"""`snnlab lab` and `snnlab gallery`."""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import tyro

from snnlab.cli.options import INTERRUPTED, check_folders, default_is, notebooks_folder
from snnlab.errors import ArgumentError, SnnlabError
from snnlab.support.extras import install_hint


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Open JupyterLab on the notebooks: the clone's, or copies in ./snnlab-notebooks."""

    notebook: str = "02-spiking.ipynb"
    """The notebook to open first."""
    browser: bool = True
    """Open a browser window; with --no-browser, only print the address."""

    def run(self) -> int:
        """Start the server; it listens on loopback only, and asks for a token."""
        try:
            metadata.version("jupyterlab")
        except metadata.PackageNotFoundError:
            raise SnnlabError(f"JupyterLab is not installed: {install_hint('lab')}") from None
        folder = notebooks_folder()
        if not (folder / self.notebook).is_file():
            names = ", ".join(sorted(path.name for path in folder.glob("*.ipynb")))
            raise ArgumentError(f"--notebook: must be one of {names}, got {self.notebook}")
        print(f"notebooks: {folder}", flush=True)
        command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1"]
        command += [f"--LabApp.default_url=/lab/tree/{self.notebook}"]
        command += [] if self.browser else ["--no-browser"]
        command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with contextlib.suppress(KeyboardInterrupt):
            return subprocess.call(command)
        return 0


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Run notebooks and write them as static web pages, which need no kernel and fetch nothing."""

    notebooks: Annotated[tuple[Path, ...], tyro.conf.Positional, default_is("PATH", "those of snnlab lab")] = ()
    """Notebooks, in the order of the index."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("gallery")
    """Folder for the pages; an older gallery there is replaced."""

    def run(self) -> int:
        """Run the notebooks and print where the index is."""
        from snnlab import gallery

        check_folders(self.out.parent)
        try:
            index = gallery.build(self.notebooks or sorted(notebooks_folder().glob("*.ipynb")), self.out)
        except KeyboardInterrupt:
            print("interrupted: nothing was written", file=sys.stderr)
            return INTERRUPTED
        print(f"wrote {index}")
        return 0
