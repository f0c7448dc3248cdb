"""What a notebook of marimo's changes, with marimo's part played by the test; test_marimo.py has the real one."""

import sys
import threading
from types import SimpleNamespace

import pytest
from lab_driver import wait_until

from snnlab.errors import StateError
from snnlab.live import frontend, reactive
from snnlab.live.widgets.cockpit import Cockpit


class Registry(list):
    """What marimo tells that a cell runs again."""

    add = list.append

    def run_again(self) -> None:
        """The cell that made these runs again."""
        assert all(item.dispose(None, deletion=False) for item in self)
        self.clear()


@pytest.fixture
def registry(monkeypatch) -> Registry:
    """The code runs in a cell of marimo's."""
    registry = Registry()
    monkeypatch.setitem(
        sys.modules,
        "marimo",
        SimpleNamespace(running_in_notebook=lambda: True, Thread=threading.Thread, Html=lambda text: ("html", text)),
    )
    context = SimpleNamespace(cell_id="cell", cell_lifecycle_registry=registry)
    monkeypatch.setattr(reactive, "_context", lambda: context)
    monkeypatch.delenv("SNNLAB_HEADLESS", raising=False)
    return registry


def threads() -> list[str]:
    """The threads that show runs."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name in ("snnlab-pump", "snnlab-watch"))


def test_a_run_shows_itself_and_ends_with_its_cell(make, registry):
    before = threads()
    lab = make()
    assert isinstance(lab._display_(), Cockpit) and not frontend.headless()
    assert frontend.running_cell() == ("cell", "")
    assert threads() == sorted([*before, "snnlab-pump", "snnlab-watch"])
    registry.run_again()
    wait_until(lambda: threads() == before, 60, "the threads have ended")


def test_nobody_watches_when_it_is_said_so(make, registry, monkeypatch):
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    kind, text = make()._display_()
    assert kind == "html" and text.startswith("<svg")


def test_sliders_that_marimo_cannot_show_say_so(make, registry):
    with pytest.raises(StateError, match="marimo shows no ipywidgets"):
        _ = make().widgets


def test_a_panel_that_is_closed_ends_its_thread(make):
    lab = make()
    _ = lab.display
    before = threads()
    panel = lab.panel("raster")
    assert len(threads()) == len(before) + 1
    panel.close()
    assert threads() == before
    panel.close()  # again, as Python's end does
