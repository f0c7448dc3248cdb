"""Who is watching: a notebook with somebody in front of it, or nobody; and which cell is running."""

import os
import sys
import weakref

# By cell: the execution of it that made some LiveTrainers, and these.
_made_in: dict[str, tuple[str, weakref.WeakSet]] = {}


def headless() -> bool:
    """Nobody can answer: no Jupyter kernel, or one whose client says so (nbconvert, nbval, papermill).

    Such clients execute cells with `allow_stdin` off. Voila does too, but there somebody watches.
    `SNNLAB_HEADLESS=1` or `0` decides where this is wrong.
    """
    said = os.environ.get("SNNLAB_HEADLESS")
    if said is not None:
        return said != "0"
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return False
    request = _request()
    return not request.get("content", {}).get("allow_stdin", False)


def in_notebook() -> bool:
    """There is a Jupyter kernel, watched or not: what is displayed is kept in the notebook."""
    return _kernel() is not None


def running_cell() -> tuple[str, str] | None:
    """The cell that is being executed and this execution of it, where the front end says which cell it is."""
    request = _request()
    cell = request.get("metadata", {}).get("cellId")
    return None if cell is None else (cell, request["header"]["msg_id"])


def replace_of_same_cell(lab) -> None:
    """A cell that is run again replaces what it made before; two made by one run of a cell stay both."""
    running = running_cell()
    if running is None:
        return
    cell, execution = running
    made_by, earlier = _made_in.get(cell, (execution, weakref.WeakSet()))
    if made_by != execution:
        for old in list(earlier):
            old.close()
        earlier = weakref.WeakSet()
    earlier.add(lab)
    _made_in[cell] = execution, earlier


def _kernel():
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


def _request() -> dict:
    """The request to execute that this code runs in."""
    kernel = _kernel()
    return {} if kernel is None else kernel.get_parent("shell")


def show_once(lab, shown_in: str | None) -> str | None:
    """Display it, unless another cell has: one is enough.

    Returns:
        The cell in which it is.
    """
    cell = running_cell()
    if shown_in is not None and cell is not None and cell[0] != shown_in:
        return shown_in
    show(lab)
    return cell and cell[0]


def show(lab) -> None:
    """Display it below the cell that is running."""
    from IPython.display import display

    display(lab)
