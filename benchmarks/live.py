"""`python -m benchmarks.live`: what watching costs.

Kernel CPU of an epoch of Fashion-MNIST with the dashboard open in a real JupyterLab and Chromium, against the same
without; CPU of browser and server, messages, bytes, pictures.

One kernel, one page, the same network once for every way of watching it. They take turns of some epochs, forwards and
backwards through the list, and each is compared with the unwatched one of its own round: a machine that becomes slower
for a minute then slows both. Needs the extra "test", a Chromium, and the data (`--data`). Takes some minutes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from benchmarks.machine import cpu_seconds
from benchmarks.tables import show, write
from tests.live import lab_driver
from tests.live.lab_driver import Notebook

ROOT = Path(__file__).parents[1]

# Name of a condition: panels of the dashboard, or None for no dashboard at all.
CONDITIONS = {
    "no dashboard": None,
    "controls only": (),
    "curves": ("curves",),
    "raster": ("raster",),
    "health": ("health",),
    "all": ("curves", "raster", "health"),
}
BARE = next(iter(CONDITIONS))

SETUP = """
import json, threading, time
from contextlib import suppress
from pathlib import Path
from benchmarks.machine import cpu_seconds
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer

images, labs = data.load({data!r}), {{}}
here = Path("turn.json").absolute()

def make(name, show):
    net = models.build(SnnConfig(), sample_shape=images.sample_shape, num_classes=images.num_classes)
    labs[name] = LiveTrainer(net, images, epochs={epochs}, show=show)
    return labs[name]

def tell(**facts):
    part = here.with_suffix(".part")
    part.write_text(json.dumps(facts))
    part.replace(here)

def own_threads():
    \"\"\"CPU seconds so far of each thread of Python's that does not train: kernel, messages, dashboards.\"\"\"
    found = {{}}
    for thread in threading.enumerate():
        if thread.name != "snnlab-train":
            with suppress(OSError):  # one that has just ended
                found[thread.native_id] = cpu_seconds(f"/proc/self/task/{{thread.native_id}}/stat")
    return found

def turn(name, epochs):
    \"\"\"Some epochs of one of them; what they took goes into a file, so that no message is needed.\"\"\"
    def pictures():
        return lab._display.board.ping if lab._display else 0

    def run():
        time.sleep(0.5)  # the page has come to rest
        tell(over=False)
        began = time.process_time(), time.monotonic(), pictures()
        threads = own_threads()
        try:
            lab._session.train(lab.history.num_epochs + epochs)
            lab.wait()
        except Exception as error:
            tell(over=True, error=repr(error))
            raise
        ended = time.process_time(), time.monotonic(), pictures()
        cpu, seconds, shown = (b - a for a, b in zip(began, ended))
        own = sum(cpu - threads.get(number, 0.0) for number, cpu in own_threads().items())
        facts = dict(kernel_cpu=cpu / epochs, own_threads=own / epochs, epoch_seconds=seconds / epochs)
        tell(over=True, **facts, pictures=shown / seconds)

    lab = labs[name]
    threading.Thread(target=run, daemon=True).start()
"""


def cpu_seconds_of(pids: set[int]) -> float:
    """CPU time of processes so far; of those that have ended, none."""
    total = 0.0
    for pid in pids:
        with suppress(OSError):
            total += cpu_seconds(f"/proc/{pid}/stat")
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
def notebook(data: str, epochs: int) -> Iterator[tuple[Notebook, Traffic]]:
    """A page with a notebook that has loaded the data and shows every dashboard, each below its own cell."""
    cells = [SETUP.format(data=data, epochs=epochs)]
    for name, panels in CONDITIONS.items():
        cells.append(f"make({name!r}, {panels or ()!r})" + ("; None" if panels is None else ""))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "live"
        folder.mkdir()
        with lab_driver.lab_page(Path(place), 1200, 2200) as (page, address):
            traffic = Traffic(page)
            book = Notebook(page, address, folder, cells)
            for number in range(len(cells)):
                book.run_cell(number)
                book.wait_idle()
            yield book, traffic


def take_turn(book: Notebook, traffic: Traffic, name: str, epochs: int) -> dict:
    """Some epochs of one condition, with its dashboard in sight."""
    path = book.folder / "turn.json"
    path.unlink(missing_ok=True)

    def wait_until(over: bool) -> dict:
        while not path.exists() or json.loads(path.read_text())["over"] < over:
            book.page.wait_for_timeout(20)  # lets playwright count messages
        return json.loads(path.read_text())

    def so_far() -> tuple[float, ...]:
        used = (cpu_seconds_of(processes(name)) for name in ("chromium", "jupyterlab"))
        return *used, traffic.messages, traffic.bytes / 1000.0, time.monotonic()

    widget = "window.jupyterapp.shell.currentWidget"
    cell = list(CONDITIONS).index(name) + 1
    book.page.evaluate(f"{widget}.content.widgets[{cell}].node.scrollIntoView()")
    code = json.dumps({"code": f"turn({name!r}, {epochs})"})
    book.page.evaluate(f"void {widget}.sessionContext.session.kernel.requestExecute({code})")
    wait_until(False)
    before = so_far()
    found = wait_until(True)
    if "error" in found:
        raise SystemExit(f"the training failed: {found['error']}")
    *parts, seconds = (b - a for a, b in zip(before, so_far(), strict=True))
    rates = [part / seconds for part in parts]
    return found | dict(zip(("browser", "server", "messages", "kilobytes"), rates, strict=True))


def table(runs: dict[str, list[dict]]) -> dict:
    """Medians over all rounds; what watching adds is compared within each round."""
    rows = []
    alone = median(turn["kernel_cpu"] for turn in runs[BARE])
    for name, turns in runs.items():
        pairs = zip(turns, runs[BARE], strict=True)
        more = [100.0 * (turn["kernel_cpu"] / bare["kernel_cpu"] - 1.0) for turn, bare in pairs]
        low, middle, high = quantiles(more, n=4, method="inclusive")
        found = {key: median(turn[key] for turn in turns) for key in turns[0]}
        percent = (f"{100.0 * found[part]:.0f}" for part in ("browser", "server"))
        rows.append([
            name, f"{found['kernel_cpu']:.2f}", f"{middle:+.1f} %", f"{low:+.1f} to {high:+.1f}",
            f"{100.0 * found['own_threads'] / alone:.1f} %", f"{found['epoch_seconds']:.2f}",
            f"{found['pictures']:.1f}", *percent, f"{found['messages']:.0f}", f"{found['kilobytes']:.0f}",
        ])  # fmt: skip
    return {
        "title": "An epoch of Fashion-MNIST, watched in different ways",
        "about": "Kernel CPU is that of all threads of the kernel; what watching adds to it is the median (and the "
        "middle half) over the rounds. Its threads are the kernel's Python threads that do not train: their CPU in per "
        "cent of an epoch without a dashboard. What XLA computes for a picture in its own threads is not in it; what "
        "else the machine does is not either. Browser and server in per cent of one core (Chromium renders in software "
        "here). Where the browser has to share the cores, the clock shows more than the kernel's CPU.",
        "columns": [
            "dashboard", "kernel CPU [s]", "more", "middle half [%]", "its threads", "epoch [s]", "pictures/s",
            "browser [%]", "server [%]", "messages/s", "kB/s",
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
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a turn (default: 3)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each condition, 2 or more (default: 10)")
    path = ROOT / "benchmarks" / "results" / "live.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    runs: dict[str, list[dict]] = {name: [] for name in CONDITIONS}
    with notebook(options.data, options.epochs * (options.rounds + 1)) as (book, traffic):
        for name in CONDITIONS:
            take_turn(book, traffic, name, options.epochs)  # compiles; every panel has its first picture
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}", flush=True)
            for name in list(CONDITIONS)[:: 1 if number % 2 else -1]:
                runs[name].append(take_turn(book, traffic, name, options.epochs))
    result = table(runs)
    show(result)
    write(options.json, [result], runs=runs)


if __name__ == "__main__":
    main()
