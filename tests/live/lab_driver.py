"""A real JupyterLab and a real Chromium, driven by playwright; what happens in the kernel is read from a file."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

from snnlab.support.files import cache_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
FLAGS += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
TOKEN = "test"
ROOT = Path(__file__).parents[2]

# Runs in the kernel: writes what a variable `lab` does to a file, without using the kernel's messages.
SPY = """
import json, threading, time
from pathlib import Path
def _spy():
    part = Path("state.part").absolute()
    while _spies[-1] is threading.current_thread():
        trainer, newest = lab.trainer, lab.trainer.history.interventions[-1:]
        state = {"state": lab.state, "step": len(lab.history), "compilations": trainer.compilations,
                 "moves": trainer.history.interventions, "newest": newest, "time": time.time()}
        state["knobs"] = {name: knob.value for name, knob in trainer.mailbox.knobs.items()}
        if lab._display is not None:
            state |= {"frames": lab._display.board.ping, "lag": lab._display.board.lag}
        state["rss_mb"] = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
        state["points_mb"], state["budget_mb"] = lab.timeline.bytes / 2**20, lab.timeline.budget / 2**20
        part.write_text(json.dumps(state))
        part.replace(part.with_name("state.json"))
        time.sleep(0.02)
_spies = globals().get("_spies", [])
_spies.append(threading.Thread(target=_spy, daemon=True))
_spies[-1].start()
"""

# Whether a page shows the curves of a run (blue: far more of it than in the legends) and its network's answer.
COMPLETE = """() => {
  const all = (panel) => [...document.querySelectorAll(`.snnlab .${panel} canvas`)];
  const blue = (canvas) => {
    if (!canvas.width || !canvas.height) return 0;
    const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen.drawImage(canvas, 0, 0);
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((value, k) => k % 4 === 2 && value - pixels[k - 2] > 80 && pixels[k + 1] > 128).length;
  };
  return all("main").some((canvas) => /^Curves at step [1-9]/.test(canvas.ariaLabel) && blue(canvas) > 300)
    && all("raster").some((canvas) => /predicted/.test(canvas.ariaLabel));
}"""
HANDLE = 14  # pixels, of a slider


def wait_until(condition, timeout: float = 60.0, what: str = "") -> float:
    """Poll until `condition()` is true; the seconds that it took. The longer it takes to ask, the less often."""
    started = asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - started > timeout:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(min(max(0.02, 4 * (now - asked)), 0.2))
        asked = time.monotonic()
    return time.monotonic() - started


SERVERS = {
    "lab": ["jupyterlab", "--LabApp.expose_app_in_browser=True"],
    "notebook": ["notebook", "--JupyterNotebookApp.expose_app_in_browser=True"],
}


@contextmanager
def jupyter(folder: Path, server: str = "lab", kernels: dict[str, str] | None = None) -> Iterator[str]:
    """JupyterLab or Notebook 7 on a free port, serving `folder`; yields its address.

    Args:
        folder: what it serves.
        server: one of `SERVERS`.
        kernels: more kernels to offer: name and the folder with the ipykernel that each uses.
    """
    port = free_port()
    settings = folder / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    settings = folder / ".settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')  # cells out of sight exist too
    for name, path in (kernels or {}).items():
        spec = folder / ".jupyter-data" / "kernels" / name
        spec.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        env = {"PYTHONPATH": os.pathsep.join([path, str(ROOT)])}
        (spec / "kernel.json").write_text(json.dumps({"argv": argv, "env": env, "display_name": name}))
    module, *options = SERVERS[server]
    options += ["--KernelManager.shutdown_wait_time=0.5"]  # seconds, then it is killed; the default is 5
    options += [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"]
    command = [sys.executable, "-m", module, *options, "--no-browser", "--allow-root"]
    with running(command, folder, f"http://127.0.0.1:{port}/api/status?token={TOKEN}"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def lab_page(folder: Path, width: int, height: int) -> Iterator[tuple]:
    """For a script: a page of Chromium and the address of a JupyterLab that serves `folder`, until the block ends."""
    from playwright.sync_api import sync_playwright

    with jupyter(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": width, "height": height}), address
        browser.close()
        end_kernels(address)


@contextmanager
def voila(notebook: Path) -> Iterator[str]:
    """Voila on a free port, which runs a notebook for everybody who comes; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    with running(command, notebook.parent, f"http://127.0.0.1:{port}/static/"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def marimo(notebook: Path, mode: str, *more: str) -> Iterator[str]:
    """marimo on a free port, which lets people edit a notebook ("edit"), or runs it for each who comes ("run")."""
    port = free_port()
    options = ["--headless", "--no-token", "--host=127.0.0.1", f"--port={port}", *more]
    options += ["--skip-update-check"] if mode == "edit" else []
    with running(
        [sys.executable, "-m", "marimo", mode, str(notebook), *options],
        notebook.parent,
        f"http://127.0.0.1:{port}/health",
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], folder: Path, url: str) -> Iterator[None]:
    """A server, from when it answers at `url` to the end of the block; its home is `folder`."""
    places = {
        "HOME": str(folder),
        "SNNLAB_CACHE": str(cache_folder()),  # compiled kernels are not part of the test
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
        "JUPYTER_PATH": str(folder / ".jupyter-data"),
        "IPYTHONDIR": str(folder / ".ipython"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    environment = os.environ | places
    environment.pop("SNNLAB_HEADLESS", None)
    with (folder / ".server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: answers(url), 60, f"{command[2]} answers")
            yield
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:  # a kernel that does not end keeps it waiting
                server.kill()


def end_kernels(address: str) -> None:
    """Shut down every kernel of a server; one that goes on training would disturb the next test."""

    def none_left() -> bool:
        with urllib.request.urlopen(f"{address}/api/kernels?token={TOKEN}", timeout=10) as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            url = f"{address}/api/kernels/{kernel['id']}?token={TOKEN}"
            with contextlib.suppress(urllib.error.HTTPError):  # one that is just being restarted is asked again
                urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=20)
        return not kernels

    wait_until(none_left, 60, "no kernel is left")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url: str) -> bool:
    """A server speaks there."""
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except urllib.error.HTTPError as error:
        return error.code in (403, 404)  # it speaks
    except OSError:
        return False


def write_notebook(path: Path, cells: list[str], kernel: str = "python3") -> None:
    """A notebook of code cells."""
    spec = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=spec)
    nbformat.write(notebook, path)


class Page:
    """A browser page with a dashboard, and the state of the `lab` in its kernel, which it writes into `folder`."""

    def __init__(self, page, address: str, folder: Path):
        self.page, self.address, self.folder = page, address, folder
        self.errors: list[str] = []
        self.outside: list[str] = []
        page.set_default_timeout(60_000)
        self.listen(page)

    def listen(self, page) -> None:
        """Note errors of a page, and let nothing out."""
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.route(lambda url: not url.startswith((self.address, "data:", "blob:")), self._refuse)

    def _refuse(self, route) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def button(self, label: str):
        """A button of the dashboard by its label."""
        return self.page.locator(".snnlab button", has_text=re.compile(rf"^\s*{label}$"))

    def tab(self, name: str) -> None:
        """Show one of the parts that stand behind tabs."""
        self.page.locator(".snnlab [role=tab]", has_text=name).first.click()

    def slider(self, knob: str):
        """The slider of a knob."""
        return self.page.locator(f".snnlab [data-knob='{knob}'] input[type=range]")

    def field(self, knob: str):
        """The box with the exact value of a knob."""
        return self.page.locator(f".snnlab [data-knob='{knob}'] input[type=number]")

    def grab(self, knob: str) -> tuple[float, float]:
        """Press the mouse on the handle of a slider; where that is."""
        slider = self.slider(knob)
        slider.scroll_into_view_if_needed()
        box, share = slider.bounding_box(), slider.evaluate("(s) => (s.value - s.min) / (s.max - s.min)")
        at = box["x"] + HANDLE / 2 + share * (box["width"] - HANDLE), box["y"] + box["height"] / 2
        self.page.mouse.move(*at)
        self.page.mouse.down()
        return at

    @property
    def status(self):
        """The head of the dashboard: where the run stands, and what there is to say."""
        return self.page.locator(".snnlab header")

    def complete(self) -> bool:
        """Curves are drawn, and the raster is."""
        return self.page.evaluate(COMPLETE)

    def kernel(self) -> dict:
        """What the kernel last wrote about `lab`."""
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else {"state": None, "step": 0, "moves": [], "newest": []}

    def wait_for(self, state: str, step: int = 0, timeout: float = 60.0) -> float:
        """Until the run is in a state and at a step; the seconds that it took."""
        return self.wait_kernel(lambda kernel: kernel["state"] == state and kernel["step"] >= step, state, timeout)

    def wait_kernel(self, condition, what: str, timeout: float = 60.0) -> float:
        """Until `condition` holds for what the kernel wrote about `lab`, which a failure tells; the seconds it took."""
        try:
            return wait_until(lambda: condition(self.kernel()), timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the kernel: {self.kernel()}") from None


class Notebook(Page):
    """A notebook in JupyterLab or Notebook 7: of some cells, or a copy of a file."""

    def __init__(
        self, page, address: str, folder: Path, cells: list[str] | Path, kernel: str = "python3", at: str = "lab"
    ):
        super().__init__(page, address, folder)
        if isinstance(cells, Path):
            shutil.copy(cells, folder / "live.ipynb")
        else:
            write_notebook(folder / "live.ipynb", cells, kernel)
        tree = {"lab": "lab/tree", "notebook": "notebooks"}[at]
        self.url = f"{address}/{tree}/{folder.name}/live.ipynb?token={TOKEN}"
        page.goto(f"{self.url}&reset")
        self.wait_idle()

    def wait_idle(self) -> None:
        """Until the kernel has nothing to do."""
        kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        self.page.wait_for_function(f"{kernel}?.connectionStatus === 'connected' && {kernel}.status === 'idle'")

    def command(self, name: str, **arguments) -> None:
        """Execute a command of the application; does not wait."""
        self.page.evaluate(f"void window.jupyterapp.commands.execute('{name}', {json.dumps(arguments)})")

    def run_all(self) -> None:
        """Run every cell; does not wait."""
        self.command("notebook:run-all-cells")

    def run_cell(self, number: int) -> None:
        """Run one cell; does not wait."""
        self.page.evaluate(f"window.jupyterapp.shell.currentWidget.content.activeCellIndex = {number}")
        self.command("notebook:run-cell")

    def cells(self) -> list[dict]:
        """The code cells as they are now, with their outputs."""
        found = self.page.evaluate("window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells")
        return [cell for cell in found if cell["cell_type"] == "code"]

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
