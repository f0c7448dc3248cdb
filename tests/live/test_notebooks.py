"""The notebooks as a person reads them: opened in a real JupyterLab, all cells run at once, watched to the end."""

import re
from pathlib import Path

from lab_driver import ROOT, Notebook, wait_until

FOLDER = ROOT / "notebooks"
MINUTES = 600.0  # seconds: they train side by side, a browser draws, and there may be two cores for all of it


def open_and_run(page, address: str, folder: Path, name: str) -> Notebook:
    """Every cell has run once and none has failed, although the training still goes on."""
    notebook = Notebook(page, address, folder, FOLDER / f"{name}.ipynb")
    notebook.run_all()
    wait_until(lambda: all(cell["execution_count"] for cell in notebook.cells()), MINUTES, "every cell has run")
    no_errors(notebook)
    return notebook


def no_errors(notebook: Notebook) -> None:
    """No cell has failed or warned, nothing was asked from outside, the page itself is well."""
    outputs = [output for cell in notebook.cells() for output in cell["outputs"]]
    assert [out for out in outputs if out["output_type"] == "error" or out.get("name") == "stderr"] == []
    assert notebook.outside == []
    assert [text for text in notebook.errors if "favicon" not in text] == []


def watch(notebook: Notebook) -> list[list[int]]:
    """Until every dashboard says done: the epochs that each of them showed on the way."""
    shown = notebook.page.locator(".snnlab-status")
    epochs: list[list[int]] = [[] for _ in range(shown.count())]

    def done() -> bool:
        texts = shown.all_inner_texts()
        for text, seen in zip(texts, epochs, strict=True):
            now = re.search(r"epoch (\d+) of", text)
            if now and int(now[1]) not in seen[-1:]:
                seen.append(int(now[1]))
        return all(text.startswith("done") for text in texts)

    wait_until(done, MINUTES, "trained to the end")
    wait_until(notebook.complete, 60, "curves and raster")
    return epochs


def again(notebook: Notebook, *marks: str) -> list[str]:
    """Run those cells again in whose source the marks occur; what they print."""
    said = []
    for mark in marks:
        (number,) = notebook.page.evaluate(
            "mark => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells"
            ".flatMap((cell, k) => cell.cell_type === 'code' && cell.source.includes(mark) ? [k] : [])",
            mark,
        )
        find = "number => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells[number].toJSON()"
        before = notebook.page.evaluate(find, number)["execution_count"]
        notebook.run_cell(number)
        wait_until(lambda n=number, b=before: notebook.page.evaluate(find, n)["execution_count"] not in (b, None), 120)
        notebook.wait_idle()
        said.append("".join(out.get("text", "") for out in notebook.page.evaluate(find, number)["outputs"]))
    return said


def photograph(notebook: Notebook, folder: Path) -> None:
    """The whole notebook as one picture, for people to look at."""
    height = notebook.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    notebook.page.set_viewport_size({"width": 1200, "height": int(height) + 300})
    notebook.page.wait_for_timeout(3000)
    notebook.page.screenshot(path=folder / "whole.png")


def test_02_spiking(page, address, lab_folder):
    notebook = open_and_run(page, address, lab_folder, "02-spiking")
    (epochs,) = watch(notebook)
    assert len(epochs) >= 4 and epochs == sorted(epochs) and epochs[-1] == 15
    (said,) = again(notebook, "test accuracy {row")
    assert float(re.search(r"test accuracy (0\.\d+)", said)[1]) > 0.9
    no_errors(notebook)
    photograph(notebook, lab_folder)


def test_03_why_does_it_not_learn(page, address, lab_folder):
    """All cells at once: both patients train side by side, the moves wait for their epoch, the cure works live as well."""
    notebook = open_and_run(page, address, lab_folder, "03-why-does-it-not-learn")
    for epochs in watch(notebook):
        assert len(epochs) >= 4 and epochs == sorted(epochs) and epochs[-1] == 40
    ill, replayed = again(notebook, "ill.history.epochs[SICK", "replay.py")
    accuracy = [float(found) for found in re.findall(r"test accuracy (0\.\d+)", ill)]
    assert accuracy[0] < 0.2 and accuracy[-1] < 0.5
    assert "True" in replayed and "False" not in replayed
    again(notebook, '"with biases": ill')
    no_errors(notebook)
    photograph(notebook, lab_folder)
