"""`python -m benchmarks.live`: what watching costs.

Kernel CPU of an epoch of Fashion-MNIST with the dashboard open in a real JupyterLab and Chromium, against the same
without; CPU of browser and server, messages, bytes, pictures.

Conditions take turns in one kernel and one page, round by round. Needs the extra "test", a Chromium, and the data
(`--data`). Takes some minutes.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.tables import show, write
from tests.live import lab_driver
from tests.live.lab_driver import Notebook

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")

# Name of a condition: panels of the dashboard, or None for no dashboard at all.
CONDITIONS = {
    "no dashboard": None,
    "controls only": (),
    "curves": ("curves",),
    "raster": ("raster",),
    "health": ("health",),
    "all": ("curves", "raster", "health"),
}

SETUP = """
import json, os, threading, time
from pathlib import Path
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
images = data.load({data!r})
here = Path("epochs.json").absolute()

def clock():
    \"\"\"CPU time of the kernel at the end of every epoch, and how many pictures were sent by then.\"\"\"
    marks = []
    while True:
        state, count = lab.state, lab.history.num_epochs  # in this order: no epoch comes after the end
        while len(marks) <= count:
            marks.append([time.process_time(), time.monotonic(), lab._display.board.pulse.ping if lab._display else 0])
        here.write_text(json.dumps({{"pid": os.getpid(), "marks": marks}}))
        if state in ("done", "error"):
            return
        time.sleep(0.05)
"""

RUN = """
net = models.build(SnnConfig(), sample_shape=images.sample_shape, num_classes=images.num_classes)
lab = LiveTrainer(net, images, epochs={epochs}, show={show!r})
lab.start()
threading.Thread(target=clock, daemon=True).start()
{last}
"""


def cpu_seconds(pids: set[int]) -> float:
    """CPU time of processes so far."""
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def processes(name: str) -> set[int]:
    """Processes whose command line has a name in it."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and name in (entry / "cmdline").read_text(errors="replace"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


class Traffic:
    """Messages and bytes that the page gets from its kernel."""

    def __init__(self, page):
        self.messages = self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, payload) -> None:
        self.messages += 1
        self.bytes += len(payload)


@contextmanager
def notebook(data: str) -> Iterator[tuple[Notebook, Traffic]]:
    """A page with a notebook whose kernel has loaded the data."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "live"
        folder.mkdir()
        with lab_driver.jupyter(Path(place)) as address:
            browser = playwright.chromium.launch(executable_path=lab_driver.CHROMIUM, args=lab_driver.FLAGS)
            page = browser.new_page(viewport={"width": 1200, "height": 2200})
            traffic = Traffic(page)
            book = Notebook(page, address, folder, [SETUP.format(data=data), "0"])
            book.run_cell(0)
            book.wait_idle()
            yield book, traffic
            browser.close()


def measure(book: Notebook, traffic: Traffic, panels: tuple[str, ...] | None, epochs: int) -> dict:
    """One run, watched in one way: a record for every epoch, once it is compiled and what watches it is on show."""
    state = book.folder / "epochs.json"
    state.unlink(missing_ok=True)
    last = "0" if panels is None else "lab"
    code = RUN.format(epochs=epochs, show=panels or (), last=last)
    book.page.evaluate(
        f"window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource({json.dumps(code)})"
    )
    book.run_cell(1)

    def marks() -> list:
        try:
            return json.loads(state.read_text())["marks"]
        except (OSError, ValueError):
            return []

    pictures = 0 if panels is None else 3
    while len(found := marks()) <= 2 or found[-1][2] < pictures:
        book.page.wait_for_timeout(50)  # lets playwright count messages
    settled = len(found) - 1
    browsers, servers = processes("chromium"), processes("jupyterlab")
    before = (cpu_seconds(browsers), cpu_seconds(servers), traffic.messages, traffic.bytes, time.monotonic())
    while len(marks()) <= epochs:
        book.page.wait_for_timeout(50)
    after = (cpu_seconds(browsers), cpu_seconds(servers), traffic.messages, traffic.bytes, time.monotonic())
    seconds = after[4] - before[4]
    rates = [(b - a) / seconds for a, b in zip(before[:4], after[:4], strict=True)]
    found = marks()[settled:]
    pairs = list(pairwise(found))
    return {
        "kernel_cpu": [b[0] - a[0] for a, b in pairs],
        "epoch_seconds": [b[1] - a[1] for a, b in pairs],
        "pictures": (found[-1][2] - found[0][2]) / (found[-1][1] - found[0][1]),
        "browser": rates[0],
        "server": rates[1],
        "messages": rates[2],
        "kilobytes": rates[3] / 1000.0,
    }


def table(runs: dict[str, list[dict]]) -> dict:
    """Medians over all epochs and rounds."""
    bare = median(value for run in runs["no dashboard"] for value in run["kernel_cpu"])
    rows = []
    for name, found in runs.items():
        cpu = median(value for run in found for value in run["kernel_cpu"])
        seconds = median(value for run in found for value in run["epoch_seconds"])
        means = {key: median(run[key] for run in found) for key in ("browser", "server", "messages", "kilobytes")}
        pictures = median(run["pictures"] for run in found)
        rows.append([
            name, f"{cpu:.2f}", f"{100 * (cpu / bare - 1):+.1f} %", f"{seconds:.2f}", f"{pictures:.1f}",
            f"{100 * means['browser']:.0f}", f"{100 * means['server']:.0f}", f"{means['messages']:.0f}",
            f"{means['kilobytes']:.0f}",
        ])  # fmt: skip
    return {
        "title": "An epoch of Fashion-MNIST, watched in different ways",
        "about": "Kernel CPU is that of all threads of the kernel; browser and server in per cent of one core "
        "(Chromium renders in software here). Where the browser has to share the cores, the clock shows more than the "
        "kernel's CPU.",
        "columns": [
            "dashboard", "kernel CPU [s]", "more", "epoch [s]", "pictures/s", "browser [%]", "server [%]", "messages/s",
            "kB/s",
        ],
        "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data" / "fashion-mnist"
    parser.add_argument("--data", default=str(default), help=f"name or folder of a data set (default: {default})")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of a run, 4 or more (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each condition (default: 3)")
    path = ROOT / "benchmarks" / "results" / "live.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    runs: dict[str, list[dict]] = {name: [] for name in CONDITIONS}
    with notebook(options.data) as (book, traffic):
        for number in range(1, options.rounds + 1):
            for name, panels in CONDITIONS.items():
                print(f"round {number} of {options.rounds}: {name}", flush=True)
                runs[name].append(measure(book, traffic, panels, options.epochs))
    result = table(runs)
    show(result)
    write(options.json, [result], runs=runs)


if __name__ == "__main__":
    main()
