"""The dashboard in marimo, which runs cells anew by itself, and shows anywidgets only: a real browser, real digits."""

import re
import time
from pathlib import Path

import pytest
from lab_driver import Page, marimo, wait_until
from tiers import needed

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import snnlab
    import spy

    digits = snnlab.load_data("digits")
    net = snnlab.build(snnlab.SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
    lab = snnlab.LiveTrainer(net, digits, epochs=100_000, batch_size=64)
    spy.watch(lab)
    return (lab,)


@app.cell
def _(lab):
    SHOWN
    return


@app.cell
def _(lab):
    lab.panel("raster")
    return


@app.cell
def _(lab):
    @lab.follow
    def _():
        return [f"{len(lab.history.epochs)} rows", lab.figure()]

    return


if __name__ == "__main__":
    app.run()
"""
# A module of its own: marimo clears the variables of a notebook that has ended.
SPY = """
import collections, json, pathlib, threading, time

seen = []

def spy():
    part = pathlib.Path("state.part").absolute()
    while True:
        lab = seen[-1]
        threads = collections.Counter(thread.name for thread in threading.enumerate())
        state = {"state": lab.state, "step": len(lab.history), "moves": lab.history.interventions, "runs": len(seen)}
        state["threads"] = {name: count for name, count in threads.items() if name.startswith("snnlab")}
        part.write_text(json.dumps(state))
        part.replace(part.with_name("state.json"))
        time.sleep(0.05)

def watch(lab):
    seen.append(lab)
    if len(seen) == 1:
        threading.Thread(target=spy, name="spy", daemon=True).start()
"""
BUTTONS = "[...document.querySelectorAll('[data-testid=run-button]:enabled')]"
PRESS, IDLE = f"(k) => {BUTTONS}[k].click()", f"{BUTTONS}.length"
PAINTED = """(canvas) => {
  canvas.scrollIntoView({block: "center"});  // nothing is painted out of sight
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.some((value, k) => k % 4 === 3 && value > 0);
}"""


@pytest.fixture(autouse=True)
def installed():
    """marimo."""
    return needed("marimo", "browser")


def opened(page, address: str, folder: Path) -> Page:
    """The notebook in a browser."""
    notebook = Page(page, address, folder)
    page.goto(address)
    page.locator(".snnlab [data-do=transport]").wait_for()
    return notebook


def write(folder: Path, shown: str) -> Path:
    """The notebook, with this as the cell that shows the dashboard."""
    (folder / "spy.py").write_text(SPY)
    path = folder / "live.py"
    path.write_text(NOTEBOOK.replace("SHOWN", shown))
    return path


def complete(notebook: Page) -> bool:
    """Curves and a raster are painted; marimo keeps a widget in a shadow root, which locators see into."""
    main, raster = (notebook.page.locator(f".snnlab .{part} canvas").first for part in ("main", "raster"))
    said = [canvas.get_attribute("aria-label") or "" for canvas in (main, raster)]
    if not (re.match(r"Curves at step [1-9]", said[0]) and "predicted" in said[1]):
        return False
    return main.evaluate(PAINTED) and raster.evaluate(PAINTED)


def test_it_trains_moves_and_is_followed(browser, tmp_path):
    """With `marimo run`: `lab` as the last value of a cell is the dashboard; a move acts; cells follow the run."""
    with marimo(write(tmp_path, "lab"), "run") as address:
        notebook = opened(browser.new_page(viewport={"width": 1200, "height": 1600}), address, tmp_path)
        notebook.button("Start").first.click()
        notebook.wait_for("training", 5)
        wait_until(lambda: complete(notebook), 60, "curves and raster")
        notebook.slider("hidden.v_th").first.focus()
        for _ in range(5):
            notebook.page.keyboard.press("ArrowRight")
        notebook.wait_kernel(lambda kernel: kernel["moves"], "the move in the step")
        assert {move["knob"] for move in notebook.kernel()["moves"]} == {"hidden.v_th"}
        assert notebook.page.locator(".snnlab .alone.raster canvas").count() == 1
        notebook.page.locator("text=/after epoch \\d+ of 100000/").wait_for()
        notebook.page.locator("text=/^\\d+ rows$/").wait_for()
        notebook.page.locator(".js-plotly-plot").first.wait_for()
        notebook.button("Pause").first.click()
        notebook.wait_for("paused")
        notebook.page.locator("text=/paused at step|paused after epoch/").first.wait_for()


def test_cells_that_run_again_leave_one_run(browser, tmp_path):
    """With `marimo edit`: whatever cell runs again, one run is left, with its threads; a new page shows it."""
    with marimo(write(tmp_path, "_ = lab.fit()"), "edit") as address:
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        notebook = Page(page, address, tmp_path)
        page.goto(address)
        while notebook.kernel()["state"] is None:  # until it is connected, it hears no key
            page.keyboard.press("Control+Shift+r")  # run every cell
            page.wait_for_timeout(2000)
        notebook.wait_for("training", 5, 120)
        expected = {"snnlab-train": 1, "snnlab-watch": 1, "snnlab-pump": 2, "snnlab-follow": 1}
        notebook.wait_kernel(lambda kernel: kernel["threads"] == expected, "the threads of one run")
        for cell in (0, 1, 2, 3, 0):
            wait_until(lambda: page.evaluate(IDLE) > 4, 60, "the cells are over")  # and the empty one below them
            before, pressed = notebook.kernel()["runs"], time.monotonic()
            page.evaluate(PRESS, cell)
            while cell == 0 and notebook.kernel()["runs"] == before:
                page.wait_for_timeout(100)
                if time.monotonic() - pressed > 10:  # a page that is being updated may lose a click
                    page.evaluate(PRESS, cell)
                    pressed = time.monotonic()
            time.sleep(1.0)
            notebook.wait_for("training", 5)
            notebook.wait_kernel(lambda kernel: kernel["threads"] == expected, f"one run after cell {cell}")
        page.reload()
        wait_until(lambda: complete(notebook), 60, "a page that is loaded again")


def test_a_run_ends_with_its_visitor(browser, tmp_path):
    """`marimo run` serves every visitor from one process: a run without a visitor does not train forever."""
    path = write(tmp_path, "_ = lab.fit()")
    with marimo(path, "run", "--session-ttl=1") as address:
        page = browser.new_page()
        notebook = Page(page, address, tmp_path)
        page.goto(address)
        notebook.wait_for("training", 5, 120)
        page.close()
        notebook.wait_kernel(lambda kernel: not kernel["threads"], "the run is over", 120)
