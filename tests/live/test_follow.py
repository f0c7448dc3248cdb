"""Cells that follow a run, in a real JupyterLab: all cells run at once, and what stands below them in the end is true.

When the kernel is shut down, too: it is the last thing that `page.png` shows of each test.
"""

import functools
import re
import time

import pytest
from lab_driver import ROOT, SPY, Notebook, wait_until

nightly = functools.partial(pytest.param, marks=pytest.mark.nightly)

MAKE = """
import numpy as np, plotly.graph_objects as go, snnlab
digits = snnlab.load_data("digits")
net = snnlab.build(snnlab.SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = snnlab.LiveTrainer(net, digits, epochs=EPOCHS, batch_size=64)
"""
FOLLOW = """
@lab.follow
def _():
    rows = lab.history.epochs
    line = go.Scatter(x=[row["epoch"] for row in rows], y=[row["test_acc"] for row in rows])
    return f"{len(lab.history)} steps", go.Figure(line, {"title": f"{len(rows)} epochs", "height": 300})
"""

# Notes every text that a cell which follows shows, however shortly.
WATCH = """() => {
  window.said = [];
  const note = () => {
    for (const cell of document.querySelectorAll(".snnlab-follow")) {
      if (cell.innerText.trim() && cell.innerText !== window.said.at(-1)) window.said.push(cell.innerText);
    }
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def followed(notebook: Notebook, number: int = 0) -> str:
    """What a cell that follows shows, as text."""
    return notebook.page.locator(".snnlab-follow").nth(number).inner_text()


def begin(page, address, folder, *cells: str, epochs: int) -> Notebook:
    """Run all cells of a notebook: the first makes a run, the second begins it."""
    make = MAKE.replace("EPOCHS", str(epochs)) + SPY
    notebook = Notebook(page, address, folder, [make, "_ = lab.fit()", *cells])
    page.evaluate(WATCH)
    notebook.run_all()
    return notebook


def quiet(notebook: Notebook) -> None:
    """Nothing was asked from outside, no error was written to the console, no figure offers to upload itself."""
    assert notebook.outside == [] and [text for text in notebook.errors if "favicon" not in text] == []
    buttons = notebook.page.locator(".snnlab-follow .modebar-btn")
    titles = [button.get_attribute("data-title") or "" for button in buttons.all()]
    assert not [title for title in titles if re.search("share|cloud|send", title, re.IGNORECASE)]
    assert titles or not notebook.page.locator(".snnlab-follow .main-svg").count()


def test_run_all_ends_with_the_final_state(page, address, lab_folder):
    """The cells run while nothing is trained; at the end they show the trained network, without being run again."""
    notebook = begin(page, address, lab_folder, FOLLOW, "print('free at', lab.state)", epochs=40)
    page.wait_for_selector("text=/free at (compiling|training)/")
    notebook.wait_for("done")
    page.wait_for_selector(".snnlab-follow >> text=at the end, epoch 40")
    wait_until(lambda: "880 steps" in followed(notebook) and "40 epochs" in followed(notebook), 60, "the end")
    assert notebook.kernel()["step"] == 880
    for said in page.evaluate("window.said"):  # on the way: nothing, or what belongs to the epoch in the line
        epoch = re.search(r"after epoch (\d+) of 40|at the end, epoch (40)|(not over yet|not trained yet)", said)
        assert (
            (said.count("steps") == 0)
            if epoch[3]
            else re.search(r"(\d+) steps|$", said)[1] in (None, str(22 * int(epoch[1] or 40)))
        )
    dots = page.locator(".snnlab-follow .scatterlayer .points path")
    assert dots.count() == 40 or page.locator(".snnlab-follow .js-line").count() == 1
    page.locator(".snnlab-follow .main-svg").first.hover()
    page.set_viewport_size({"width": 1000, "height": 2000})
    page.wait_for_timeout(1000)
    assert page.locator(".snnlab-follow .jp-RenderedPlotly").bounding_box()["height"] == 300  # it has not collapsed
    quiet(notebook)


def test_stopped_half_way_it_says_at_which_step(page, address, lab_folder):
    notebook = begin(page, address, lab_folder, FOLLOW, epochs=100_000)
    page.wait_for_selector(".snnlab-follow >> text=/after epoch \\d+ of 100000/")
    notebook.button("Stop").click()
    notebook.wait_for("stopped")
    page.wait_for_selector(".snnlab-follow >> text=/stopped (at step|after epoch)/")
    step = notebook.kernel()["step"]
    wait_until(lambda: f"{step} steps" in followed(notebook), 60, "its drawing")
    if step % 22:
        assert f"stopped at step {step:,} of 2,200,000, in epoch {step // 22 + 1} of 100000" in followed(notebook)
    notebook.button("Start").click()
    page.wait_for_selector(".snnlab-follow >> text=/^after epoch/")
    notebook.button("Stop").click()
    notebook.wait_for("stopped", step + 1)
    quiet(notebook)


def test_an_error_is_unfolded_and_the_cell_run_again_replaces_it(page, address, lab_folder):
    bad = "@lab.follow\ndef _():\n    return missing"
    notebook = begin(page, address, lab_folder, bad, epochs=2)
    notebook.wait_for("done")
    summary = page.locator(".snnlab-follow summary")
    summary.click()
    assert "NameError: name 'missing' is not defined" in followed(notebook) and "return missing" in followed(notebook)
    notebook.run_cell(0)
    notebook.wait_idle()
    wait_until(lambda: page.locator(".snnlab-follow").count() == 0, 60, "the old one is gone with its run")
    notebook.run_cell(2)
    page.wait_for_selector(".snnlab-follow >> text=step 0 of 44: not trained yet")
    assert page.locator(".snnlab-follow").count() == 1 and "missing" not in followed(notebook)
    time.sleep(0.5)
    assert re.fullmatch(r"step 0 of 44: not trained yet", followed(notebook).strip())
    quiet(notebook)


@pytest.mark.parametrize(
    ("name", "cells", "epochs", "said"),
    [
        nightly("01-lstm", 2, 15, ["right after 4 of 8 rows", "epoch 15: test accuracy"]),
        ("04-your-own-loop", 1, 10, ["beta = 50:"]),
        nightly("05-events", 3, 15, ["epoch 15: test accuracy", "all three moves", "shuffled costs"]),
        nightly("08-what-if", 1, 15, ["only the threshold"]),
        nightly("09-which-tau", 1, 30, ["it was only slow"]),
    ],
)
def test_run_all_of_a_notebook(page, address, lab_folder, name, cells, epochs, said):
    """Every followed cell ends with the trained network, and no cell has failed."""
    notebook = Notebook(page, address, lab_folder, ROOT / "notebooks" / f"{name}.ipynb")
    page.evaluate(WATCH)
    notebook.run_all()
    ended = page.locator(".snnlab-follow", has_text=f"at the end, epoch {epochs}")
    wait_until(lambda: ended.count() == cells, 120, f"{cells} cells at the end")
    for text in said:
        ended.filter(has_text=text).wait_for(timeout=60_000)
    wait_until(lambda: all(cell["execution_count"] for cell in notebook.cells()), 120, "all cells have run")
    untrained = [shown for shown in page.evaluate("window.said") if re.search("not trained yet|not over yet", shown)]
    assert all(len(shown.strip().splitlines()) == 1 for shown in untrained), "nothing is below such a line"
    outputs = [output for cell in notebook.cells() for output in cell["outputs"]]
    assert [out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"] == []
    assert not page.locator(".snnlab-follow details").count(), "no drawing has failed"
    quiet(notebook)
