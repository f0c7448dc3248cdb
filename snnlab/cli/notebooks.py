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

from snnlab.cli.options import INTERRUPTED, check_folders, notebooks_folder
from snnlab.errors import SnnlabError
from snnlab.support.extras import install_hint


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Open JupyterLab on the notebooks."""

    notebook: str = "02-spiking.ipynb"
    """Notebook that is opened first."""
    browser: bool = True
    """Open a browser window; --no-browser prints the address only."""

    def run(self) -> int:
        """Start the server; it binds to loopback, with a token."""
        folder = notebooks_folder()
        try:
            metadata.version("jupyterlab")
        except metadata.PackageNotFoundError:
            raise SnnlabError(f"JupyterLab is not installed: {install_hint('lab')}") from None
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            f"--ServerApp.root_dir={folder}",
            "--ServerApp.ip=127.0.0.1",
        ]
        command += [f"--LabApp.default_url=/lab/tree/{self.notebook}"]
        command += [] if self.browser else ["--no-browser"]
        command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with contextlib.suppress(KeyboardInterrupt):
            return subprocess.call(command)
        return 0


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Run notebooks and write them as static pages, for people who only look: no kernel, nothing is fetched."""

    notebooks: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Notebooks, in this order; without any, those of the clone."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("gallery")
    """Folder of the pages; an older gallery there is replaced."""

    def run(self) -> int:
        """Run them, and say where the index is."""
        from snnlab import gallery

        check_folders(self.out.parent)
        try:
            index = gallery.build(self.notebooks or sorted(notebooks_folder().glob("*.ipynb")), self.out)
        except KeyboardInterrupt:
            print("interrupted: nothing was written", file=sys.stderr)
            return INTERRUPTED
        print(f"wrote {index}")
        return 0
