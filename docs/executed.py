"""The notebooks as they ran, kept until one of them, the package or anything that is installed changes."""

import hashlib
import sys
from importlib.metadata import distributions
from pathlib import Path

import nbformat
from filelock import FileLock

from snnlab.gallery import execute
from snnlab.support.files import atomic_path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
CACHE = ROOT / "build" / "notebooks"


def executed(path: Path) -> nbformat.NotebookNode:
    """Run a notebook, unless it was run before as it is now; another process that runs it is waited for.

    Raises:
        SnnlabError: naming the cell that failed.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / f"{path.stem}-{_digest(path)}.ipynb"
    with FileLock(CACHE / f"{path.stem}.lock"):
        if not kept.exists():
            notebook = execute.run(path, execute.read(path))
            for old in CACHE.glob(f"{path.stem}-*.ipynb"):
                old.unlink()
            with atomic_path(kept, durable=False) as part:
                nbformat.write(notebook, part)
        return nbformat.read(kept, as_version=4)


def _digest(path: Path) -> str:
    """Of all that decides what comes out."""
    found = hashlib.sha256(sys.version.encode())
    found.update(repr(sorted({(each.name, each.version) for each in distributions()})).encode())
    for source in (path, *sorted((ROOT / "snnlab").rglob("*.py"))):
        found.update(source.read_bytes())
    return found.hexdigest()[:16]
