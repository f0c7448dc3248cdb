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
    cells, at = notebook.cells, 0
    quiet = not progress or not sys.stderr.isatty()  # in a log file, only a line when it is done
    with tqdm(total=len(cells), desc=path.stem, bar_format=BAR, disable=quiet, leave=False) as bar:

        def note(cell, cell_index):
            nonlocal at
            at = cell_index
            bar.update(at + 1 - bar.n)

        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(path.resolve().parent)}},
            store_widget_state=False,
            extra_arguments=["--log-level=40"],  # errors only
            on_cell_start=note,
        )
        # Without folders of kernels there is one only, the Python that runs this; another may be called python3 too.
        client.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            first = next(iter(cells[at].source.strip().splitlines()), "")
            raise SnnlabError(f"{path}: cell {at + 1} of {len(cells)}, {first!r}: {_reason(error)}") from error
    if progress:
        print(f"{path.stem}: {len(cells)} cells", flush=True)
    return notebook


def _reason(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return f"took more than {CELL_SECONDS} s" if isinstance(error, CellTimeoutError) else "the kernel died"
