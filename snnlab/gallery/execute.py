"""Running a notebook from top to bottom, with nobody watching."""

import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from snnlab.errors import FileFormatError, SnnlabError

CELL_SECONDS = 600  # before a cell is given up
BAR = "{desc} {bar:24} cell {n_fmt} of {total_fmt}, {elapsed}"


def read(path: Path) -> NotebookNode:
    """The notebook in a file.

    Raises:
        FileFormatError: if the file is missing or no notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises nearly everything on what it cannot read
        raise FileFormatError(f"{path}: cannot be read as a notebook ({error})") from None
    return notebook


def run(path: Path, notebook: NotebookNode, *, progress: bool = True) -> NotebookNode:
    """The notebook with its outputs, from a kernel of this very Python.

    Raises:
        SnnlabError: naming the cell that failed, took too long, or took the kernel down.
    """
    cells = notebook.cells
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        extra_arguments=["--log-level=50"],  # what fails is said here, once
    )
    # Without folders of kernels there is one only, the Python that runs this; another may be called python3 too.
    client.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    quiet = not progress or not sys.stderr.isatty()  # in a log file, only a line when it is done
    # Cell by cell, and not by `client.execute()`, whose own way with Ctrl-C ends in an error of its own.
    with tqdm(cells, path.stem, bar_format=BAR, disable=quiet, leave=False) as bar, client.setup_kernel():
        for number, cell in enumerate(bar):
            try:
                client.execute_cell(cell, number)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                first = next(iter(cell.source.strip().splitlines()), "")
                raise SnnlabError(f"{path}: cell {number + 1} of {len(cells)}, {first!r}: {_reason(error)}") from error
    if progress:
        print(f"{path.stem}: {len(cells)} cells", flush=True)
    return notebook


def _reason(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return f"took more than {CELL_SECONDS} s" if isinstance(error, CellTimeoutError) else "the kernel died"
