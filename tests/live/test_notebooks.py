"""The notebooks as a person reads them: opened in a real JupyterLab, all cells run at once, watched to the end."""

import re
from pathlib import Path

from lab_driver import ROOT, Notebook, wait_until

MINUTES = 500.0  # seconds: they train side by side, a browser draws, and there may be two cores for all of it


# Notes every text that the status bars show, in the order of the page, however short it stands there.
WATCH = """() => {
  window.shown = [];
  const note = () => {
    const texts = [...document.querySelectorAll(".snnlab .facts")].map((bar) => bar.textContent.trim());
    if (String(texts) !== String(window.shown.at(-1))) window.shown.push(texts);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def run_and_watch(notebook: Notebook, dashboards: int) -> list[list[int]]:
    """Run all cells, until each has run and every dashboard has ended: the epochs that each showed on the way."""
    notebook.page.evaluate(WATCH)
    notebook.run_all()

    def done() -> bool:
        texts = notebook.page.evaluate("window.shown.at(-1) ?? []")
        trained = len(texts) == dashboards and all(text.startswith(("done", "stopped")) for text in texts)
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


def followed(notebook: Notebook, mark: str) -> str:
    """What the one cell shows that follows a run and has the mark in what it shows, once it is of the end."""
    cell = notebook.page.locator(".snnlab-follow", has_text=re.compile("at the end|stopped")).filter(has_text=mark)
    cell.wait_for(timeout=120_000)
    return cell.inner_text()


def photograph(notebook: Notebook, folder: Path) -> None:
    """The whole notebook as one picture, for people to look at."""
    height = notebook.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    notebook.page.set_viewport_size({"width": 1200, "height": int(height) + 300})
    notebook.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    notebook.page.wait_for_timeout(300)
    notebook.page.screenshot(path=folder / "whole.png")


def test_02_spiking(page, address, lab_folder):
    notebook = Notebook(page, address, lab_folder, ROOT / "notebooks" / "02-spiking.ipynb")
    (epochs,) = run_and_watch(notebook, 1)
    no_errors(notebook)
    assert len(epochs) >= 3 and epochs == sorted(epochs) and epochs[-1] == 300
    assert "the same outputs: True" in followed(notebook, "the same outputs")
    said = followed(notebook, "epoch 300: test accuracy")
    assert float(re.search(r"test accuracy (0\.\d+)", said)[1]) > 0.9
    assert re.search(r"[\d.]+ spikes a sample", said)[0] in followed(notebook, "neurons never fired")
    no_errors(notebook)
    photograph(notebook, lab_folder)


def test_03_why_does_it_not_learn(page, address, lab_folder):
    """All cells at once: three networks train side by side, the moves wait for their epoch, the cure works as well."""
    notebook = Notebook(page, address, lab_folder, ROOT / "notebooks" / "03-why-does-it-not-learn.ipynb")
    shown = run_and_watch(notebook, 3)  # three networks, each shown once, where it begins
    assert all(epochs == sorted(epochs) for epochs in shown) and [epochs[-1] for epochs in shown] == [10, 40, 40]
    no_errors(notebook)
    ill = followed(notebook, "hidden neurons never fired on")
    assert "stopped after epoch 10 of 40" in ill and float(re.search(r"test accuracy (0\.\d+)", ill)[1]) < 0.2
    treated = followed(notebook, "epoch 40: test accuracy")
    assert "at the end, epoch 40" in treated and "it fires but hardly learns" in treated
    both = followed(notebook, "without biases:")
    assert "at the end, epoch 40; beside it: at the end, epoch 40" in both
    assert "with biases: it fires but hardly learns" in both and "without biases: it fires and learns" in both
    moves = re.findall(r"^    \(\d+, '([\w.]+)'", followed(notebook, "snnlab.load_data"), re.MULTILINE)
    assert sorted(moves) == ["hidden.slope", "hidden.v_th", "l2", "learning_rate"]  # its own, no echo of a slider's
    replayed = followed(notebook, "'hidden.kernel'")
    assert "True" in replayed and "False" not in replayed
    no_errors(notebook)
    photograph(notebook, lab_folder)
