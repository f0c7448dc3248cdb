"""The notebooks as a person reads them: opened in a real JupyterLab, all cells run at once, watched to the end."""

import re
from pathlib import Path

from lab_driver import ROOT, Notebook, wait_until

MINUTES = 500.0  # seconds: they train side by side, a browser draws, and there may be two cores for all of it


# Notes every text that the status bars show, in the order of the page, however short it stands there.
WATCH = """() => {
  window.shown = [];
  const note = () => {
    const texts = [...document.querySelectorAll(".snnlab-status")].map((bar) => bar.textContent.trim());
    if (String(texts) !== String(window.shown.at(-1))) window.shown.push(texts);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def run_and_watch(notebook: Notebook, dashboards: int) -> list[list[int]]:
    """Run all cells, until each has run and every dashboard says done: the epochs that each showed on the way."""
    notebook.page.evaluate(WATCH)
    notebook.run_all()

    def done() -> bool:
        texts = notebook.page.evaluate("window.shown.at(-1) ?? []")
        trained = len(texts) == dashboards and all(text.startswith("done") for text in texts)
        return trained and all(cell["execution_count"] for cell in notebook.cells())

    wait_until(done, MINUTES, "trained to the end")
    wait_until(notebook.complete, 60, "curves and raster")
    epochs: list[list[int]] = [[] for _ in range(dashboards)]
    for texts in notebook.page.evaluate("window.shown"):
        for text, seen in zip(texts, epochs, strict=False):  # they appear one after the other
            now = re.search(r"epoch (\d+) of", text)
            if now and int(now[1]) not in seen[-1:]:
                seen.append(int(now[1]))
    return epochs


def no_errors(notebook: Notebook) -> None:
    """No cell has failed or warned, nothing was asked from outside, the page itself is well."""
    outputs = [output for cell in notebook.cells() for output in cell["outputs"]]
    assert [out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"] == []
    assert notebook.outside == []
    assert [text for text in notebook.errors if "favicon" not in text] == []


def again(notebook: Notebook, mark: str) -> str:
    """Run the one code cell again in whose source the mark occurs; what it prints."""

    def cell() -> dict:
        (found,) = [cell for cell in notebook.cells() if mark in "".join(cell["source"])]
        return found

    before = cell()
    cells = "window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells"
    notebook.run_cell(notebook.page.evaluate(f"id => {cells}.findIndex(cell => cell.id === id)", before["id"]))
    wait_until(lambda: cell()["execution_count"] not in (before["execution_count"], None), 120, mark)
    notebook.wait_idle()
    return "".join("".join(output.get("text", "")) for output in cell()["outputs"])


def photograph(notebook: Notebook, folder: Path) -> None:
    """The whole notebook as one picture, for people to look at."""
    height = notebook.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    notebook.page.set_viewport_size({"width": 1200, "height": int(height) + 300})
    notebook.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    notebook.page.wait_for_timeout(3000)
    notebook.page.screenshot(path=folder / "whole.png")


def test_02_spiking(page, address, lab_folder):
    notebook = Notebook(page, address, lab_folder, ROOT / "notebooks" / "02-spiking.ipynb")
    (epochs,) = run_and_watch(notebook, 1)
    no_errors(notebook)
    assert len(epochs) >= 3 and epochs == sorted(epochs) and epochs[-1] == 300
    assert "same outputs: True" in again(notebook, "lab.export")
    said = again(notebook, "test accuracy {row")
    assert float(re.search(r"test accuracy (0\.\d+)", said)[1]) > 0.9
    no_errors(notebook)
    photograph(notebook, lab_folder)


def test_03_why_does_it_not_learn(page, address, lab_folder):
    """All cells at once: both networks train side by side, the moves wait for their epoch, the cure works as well."""
    notebook = Notebook(page, address, lab_folder, ROOT / "notebooks" / "03-why-does-it-not-learn.ipynb")
    shown = run_and_watch(notebook, 2)  # two networks, each shown once, where it begins
    assert all(epochs == sorted(epochs) and epochs[-1] == 40 for epochs in shown)
    assert len(set().union(*shown)) >= 2, shown  # all are over within two seconds, and there are two pictures in one
    no_errors(notebook)
    ill = [float(found) for found in re.findall(r"test accuracy (0\.\d+)", again(notebook, "ill.history.epochs[SICK"))]
    assert ill[0] < 0.2 and ill[-1] < 0.5
    moves = re.findall(r"^    \(\d+, '([\w.]+)'", again(notebook, "print(lab.script())"), re.MULTILINE)
    assert sorted(moves) == ["hidden.slope", "hidden.v_th", "l2", "learning_rate"]  # its own, no echo of a slider's
    replayed = again(notebook, "replay.py")
    assert "True" in replayed and "False" not in replayed
    again(notebook, '"with biases": ill')
    no_errors(notebook)
    photograph(notebook, lab_folder)
