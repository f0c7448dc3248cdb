"""A real JupyterLab and a real Chromium, driven by playwright; what happens in the kernel is read from a file."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

from snnlab.files import cache_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
FLAGS += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
TOKEN = "test"

# Runs in the kernel: writes what a variable `lab` does to a file, without using the kernel's messages.
SPY = """
import json, threading, time
from pathlib import Path
def _spy():
    part = Path("state.part")
    while True:
        trainer, newest = lab.trainer, lab.trainer.history.interventions[-1:]
        state = {"state": lab.state, "step": len(lab.history), "compilations": trainer.compilations,
                 "moves": trainer.history.interventions, "newest": newest, "time": time.time()}
        live = {name: knob.value for name, knob in trainer.mailbox.knobs.items()}
        part.write_text(json.dumps(state | {"knobs": live}))
        part.replace("state.json")
        time.sleep(0.02)
threading.Thread(target=_spy, daemon=True).start()
"""


def wait_until(condition, timeout: float = 30.0, what: str = "") -> float:
    """Poll until `condition()` is true; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - started


def quickest(prepare, act, condition, times: int = 3) -> float:
    """The shortest of some reaction times [s]: what else the machine does makes them longer, never shorter."""
    found = []
    for _ in range(times):
        prepare()
        act()
        found.append(wait_until(condition))
    return min(found)


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """A server on a free port that serves `folder`; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    options = [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"]
    options += ["--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True"]
    places = {
        "HOME": str(folder),
        "SNNLAB_CACHE": str(cache_folder()),  # compiled kernels are not part of the test
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
        "IPYTHONDIR": str(folder / ".ipython"),
    }
    root = Path(__file__).parents[2]
    environment = os.environ | places | {"PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    environment.pop("SNNLAB_HEADLESS", None)
    with (folder / ".server.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: answers(f"{address}/api/status?token={TOKEN}"), 60, "JupyterLab answers")
            yield address
        finally:
            server.terminate()
            server.wait(20)


def answers(url: str) -> bool:
    """Something says 200 there."""
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


class Notebook:
    """A notebook in a browser page, and the state of the `lab` in its kernel."""

    def __init__(self, page, address: str, folder: Path, cells: list[str]):
        self.page = page
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._state = folder / "state.json"
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=spec)
        nbformat.write(notebook, folder / "live.ipynb")
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.route("**/*", lambda route: self._filter(route, address))
        page.goto(f"{address}/lab/tree/live.ipynb?token={TOKEN}&reset")
        self.wait_idle()

    def _filter(self, route, address: str) -> None:
        url = route.request.url
        if url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def wait_idle(self) -> None:
        """Until the kernel has nothing to do."""
        kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        self.page.wait_for_function(f"{kernel}?.connectionStatus === 'connected' && {kernel}.status === 'idle'")

    def run_all(self) -> None:
        """Run every cell; does not wait."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def button(self, label: str):
        """A button of the dashboard by its label."""
        return self.page.locator("button.widget-button", has_text=label)

    def slider(self, knob: str):
        """The handle of a slider by the description of its knob."""
        row = self.page.locator(".widget-slider", has=self.page.get_by_text(knob, exact=True))
        return row.locator(".noUi-handle")

    def kernel(self) -> dict:
        """What the kernel last wrote about `lab`."""
        return json.loads(self._state.read_text()) if self._state.exists() else {"state": None, "step": 0, "moves": []}
