"""A marimo notebook around us, if there is one: it runs cells anew by itself, and shows no ipywidgets, but anywidgets.

marimo frees a widget when the cell in which it was made runs again or is deleted; what is made here ends with it.
"""

import importlib
import sys
import threading
from collections.abc import Sequence
from typing import Any, Protocol


class Closable(Protocol):
    """Something that ends."""

    def close(self) -> None:
        """End it."""
        ...


def marimo() -> Any:
    """Return the module `marimo` if a notebook of marimo's runs this code, in the thread of its cells; otherwise None.

    Example:
        >>> marimo() is None
        True
    """
    module = sys.modules.get("marimo")
    return module if module is not None and module.running_in_notebook() else None


def running_cell() -> str | None:
    """Return the cell of a marimo notebook that runs; None if there is none."""
    return None if marimo() is None else _context().cell_id


def close_with_cell(thing: Closable) -> None:
    """Close something when the running cell runs again or is deleted, and when the notebook ends."""
    _context().cell_lifecycle_registry.add(_Life(thing))
    kernel = threading.current_thread()

    def wait() -> None:
        kernel.join()  # with `marimo run`, every visitor has a thread in one process, and it ends without a word
        thing.close()

    if kernel is not threading.main_thread():
        threading.Thread(target=wait, name="snnlab-visitor", daemon=True).start()


class Page:
    """The output of the running cell, which one thread keeps writing.

    Attributes:
        Thread: what makes this thread; marimo knows by it which cell it writes.
    """

    def __init__(self):
        self._marimo = marimo()
        self.Thread = self._marimo.Thread

    def form(self, part: object) -> Any:
        """Return a thing as marimo shows it."""
        return self._marimo.as_html(part)

    def show(self, bundles: Sequence[Any]) -> None:
        """Show these in place of what was shown before, from the thread: what `form` returned, or texts by type."""
        parts = [
            self._marimo.Html(bundle.get("text/html", bundle["text/plain"])) if isinstance(bundle, dict) else bundle
            for bundle in bundles
        ]
        self._marimo.output.replace(self._marimo.vstack(parts))

    def close(self) -> None:
        """marimo takes the output away when the cell runs again."""


class _Life:
    """Told by marimo when its cell runs again or is deleted."""

    def __init__(self, thing: Closable):
        self._thing = thing

    def create(self, context: object) -> None:
        """Nothing is to be made."""

    def dispose(self, context: object, deletion: bool) -> bool:
        """Close the thing; returns that this was the last time."""
        self._thing.close()
        return True


def _context() -> Any:
    return importlib.import_module("marimo._runtime.context").get_context()  # it has no public name
