"""A notebook that nobody watches (nbconvert, papermill, nbval): it is trained to the end, and a picture is left."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    """
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
digits = data.load("digits").subset(train=256, test=64)
net = models.build(SnnConfig(hidden=32, num_steps=40), sample_shape=(8, 8), num_classes=10)
lab = LiveTrainer(net, digits, epochs=3, batch_size=32)
history = lab.fit()
""",
    "print(lab.state, len(history.epochs))\nprint(lab.export('net.safetensors'))",
]


def test_it_blocks_until_trained_and_leaves_a_picture(tmp_path, monkeypatch):
    monkeypatch.delenv("SNNLAB_HEADLESS", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown, said = (cell.outputs for cell in notebook.cells)
    pictures = [output.data for output in shown if output.output_type == "display_data"]
    assert len(pictures) == 1 and set(pictures[0]) == {"image/svg+xml", "text/plain"}
    assert "epoch 3: test accuracy" in pictures[0]["text/plain"]
    assert said[0].text.split() == ["done", "3", "net.safetensors"] and (tmp_path / "net.safetensors").exists()
    path = tmp_path / "ran.ipynb"
    nbformat.write(notebook, path)
    assert path.stat().st_size < 500_000
    assert "widgets" not in notebook.metadata


NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells) and "widgets" not in notebook.metadata
    assert len(notebook.cells) <= 30
