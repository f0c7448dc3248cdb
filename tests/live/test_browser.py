"""The dashboard as a person uses it: a real Chromium against a real JupyterLab, on real digits."""

import time

from lab_driver import SPY, Notebook, quickest, wait_until

MAKE = """
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
digits = data.load("digits")
net = models.build(SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = LiveTrainer(net, digits, epochs=1000, batch_size=64)
"""


def test_fit_in_a_cell_returns_while_it_trains(page, address, lab_folder):
    """With somebody watching, `fit` leaves the kernel free: the cell below runs, and training goes on."""
    notebook = Notebook(page, address, lab_folder, [MAKE + SPY, "_ = lab.fit()", "print('free at', lab.state)"])
    notebook.run_all()
    page.wait_for_selector("text=/free at (compiling|training)/")
    wait_until(lambda: notebook.kernel()["step"] > 5, 60, "training")
    notebook.button("Stop").click()
    wait_until(lambda: notebook.kernel()["state"] == "stopped", 10, "stopped")


def test_watch_touch_pause_stop(page, address, lab_folder):
    """Start; a slider moved while it trains reaches the jitted step, without a compilation; pause, reload, stop."""
    notebook = Notebook(page, address, lab_folder, [MAKE + SPY, "lab"])
    kernel = notebook.kernel
    notebook.run_all()
    notebook.button("Start").click()
    wait_until(lambda: kernel()["state"] == "training" and kernel()["step"] > 5, 60, "training")

    assert kernel()["moves"] == []  # showing a slider does not move its knob
    handle = notebook.slider("hidden · v th")
    before = kernel()["knobs"]["hidden.v_th"]
    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_until(lambda: kernel()["newest"] and kernel()["newest"][0]["knob"] == "hidden.v_th", 5, "the move in the step")
    wait_until(
        lambda: kernel()["newest"][0]["new"] == kernel()["knobs"]["hidden.v_th"], 2, "the last value in the step"
    )
    assert kernel()["newest"][0]["new"] > before and kernel()["compilations"] == 1

    notebook.button("Pause").click()
    wait_until(lambda: kernel()["state"] == "paused", 10, "paused")
    step = kernel()["step"]
    time.sleep(1.0)
    assert kernel()["step"] == step

    page.wait_for_selector("canvas[aria-label*='predicted']")
    page.screenshot(path=lab_folder / "paused.png", full_page=True)
    notebook.save()  # the page knows its outputs from the file
    page.reload()
    page.wait_for_selector("canvas[aria-label*='predicted']")
    drawn = (
        "() => Math.max(0, ...[...document.querySelectorAll('.scatterlayer .js-line')].map(p => p.getTotalLength()))"
    )
    wait_until(lambda: page.evaluate(drawn) > 100, 20, "curves are drawn again")

    def train():
        step = kernel()["step"]
        notebook.button("Resume").or_(notebook.button("Start")).click()
        wait_until(lambda: kernel()["step"] > step, 10, "training again")

    assert quickest(train, notebook.button("Pause").click, lambda: kernel()["state"] == "paused") < 1.0
    assert quickest(train, notebook.button("Stop").click, lambda: kernel()["state"] == "stopped") < 1.0
    assert kernel()["compilations"] == 1
    assert notebook.outside == []
    assert [text for text in notebook.errors if "favicon" not in text] == []
