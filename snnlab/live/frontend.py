"""The notebook around us: whether somebody watches, and which cell is running."""

import os
import sys
import weakref
from typing import Any

from snnlab.live import reactive
from snnlab.live.reactive import Closable

# For every cell: the execution of it that made some objects, and these.
_made_in: dict[str, tuple[str, weakref.WeakSet]] = {}


def headless() -> bool:
    """Whether nobody can answer: there is no Jupyter kernel, or its client says so (nbconvert, nbval, papermill).

    Such clients execute cells with `allow_stdin` off. So does Voila, although somebody watches there. marimo does not
    tell whether it only exports a notebook.
    Set `SNNLAB_HEADLESS=1` or `0` where this guess is wrong.
    """
    said = os.environ.get("SNNLAB_HEADLESS")
    if said is not None:
        return said != "0"
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return False
    if reactive.marimo() is not None:
        return False
    return not _request().get("content", {}).get("allow_stdin", False)


def in_notebook() -> bool:
    """Whether there is a notebook, watched or not: it then keeps what is displayed."""
    return _jupyter_kernel() is not None or reactive.marimo() is not None


def running_cell() -> tuple[str, str] | None:
    """Return the running cell and this execution of it; None if the front end does not identify cells."""
    if (cell := reactive.running_cell()) is not None:
        return cell, ""
    request = _request()
    cell = request.get("metadata", {}).get("cellId")
    return None if cell is None else (cell, request["header"]["msg_id"])


def replace_of_same_cell(new: Closable) -> None:
    """Close what an earlier execution of this cell made; objects of one execution stay side by side."""
    if reactive.marimo() is not None:
        reactive.close_with_cell(new)
        return
    running = running_cell()
    if running is None:
        return
    cell, execution = running
    made_by, earlier = _made_in.get(cell, (execution, weakref.WeakSet()))
    if made_by != execution:
        for old in list(earlier):
            old.close()
        earlier = weakref.WeakSet()
    earlier.add(new)
    _made_in[cell] = execution, earlier


def show_once(shown: object, shown_in: str | None) -> str | None:
    """Display an object, unless another cell has displayed it.

    Returns:
        The cell that displays it.
    """
    cell = running_cell()
    if shown_in is not None and cell is not None and cell[0] != shown_in:
        return shown_in
    show(shown)
    return cell and cell[0]


def show(shown: object, *, raw: bool = False) -> None:
    """Display an object below the running cell; if `raw`, it is given by MIME type."""
    from IPython.display import display

    display(shown, raw=raw)


def _jupyter_kernel() -> Any:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


def _request() -> dict[str, Any]:
    """The execution request that runs this code."""
    kernel = _jupyter_kernel()
    return {} if kernel is None else kernel.get_parent("shell")
