"""Run notebooks from top to bottom, with nobody watching."""

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
from snnlab.support.files import read_whole

CELL_SECONDS = 600  # limit for one cell
BAR = "{desc} {bar:24} cell {n_fmt} of {total_fmt}, {elapsed}"


def read(path: Path) -> NotebookNode:
    """Read a notebook from a file.

    Raises:
        FileFormatError: if the file is missing or is not a notebook.
    """
    try:
        notebook = nbformat.reads(read_whole(path).decode(), as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises nearly everything on what it cannot read
        raise FileFormatError(f"{path}: cannot be read as a notebook ({error})") from None
    return notebook


def run(path: Path, notebook: NotebookNode, *, progress: bool = True) -> NotebookNode:
    """Run a notebook in a kernel of this Python; returns it with its outputs.

    Raises:
        SnnlabError: naming the cell that failed, took too long, or killed the kernel.
    """
    cells = notebook.cells
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        extra_arguments=["--log-level=50"],  # errors are reported here, once
    )
    # Without kernel folders, only the Python that runs this is a kernel; another one may be called python3, too.
    client.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    quiet = not progress or not sys.stderr.isatty()  # in a log file, only a line when it is done
    # Cell by cell, because `client.execute()` answers Ctrl-C with an error of its own.
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
