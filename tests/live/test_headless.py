"""A notebook that nobody watches (nbconvert, papermill, nbval): it is trained to the end, and a picture is left."""

import ast
import builtins
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
    """
import plotly.graph_objects as go
@lab.follow
def _():
    return f"{len(lab.history)} steps", go.Figure(go.Scatter(y=[1, 2]))
""",
]


def test_it_blocks_until_trained_and_leaves_a_picture(tmp_path, monkeypatch):
    monkeypatch.delenv("SNNLAB_HEADLESS", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown, said, followed = (cell.outputs for cell in notebook.cells)
    pictures = [output.data for output in shown if output.output_type == "display_data"]
    assert len(pictures) == 1 and set(pictures[0]) == {"image/svg+xml", "text/plain", "text/html"}
    assert "epoch 3: test accuracy" in pictures[0]["text/plain"]
    assert said[0].text.split() == ["done", "3", "net.safetensors"] and (tmp_path / "net.safetensors").exists()
    line, text, figure = (output.data for output in followed)
    assert line["text/plain"] == "at the end, epoch 3" and text["text/plain"] == "24 steps"
    assert set(figure) == {
        "application/vnd.plotly.v1+json",
        "text/html",
        "text/plain",
    }  # a live page draws one, nbconvert the other
    path = tmp_path / "ran.ipynb"
    nbformat.write(notebook, path)
    assert path.stat().st_size < 2_500_000  # plotly.js, compressed, is the most of it
    assert "widgets" not in notebook.metadata


NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells) and "widgets" not in notebook.metadata
    assert len(notebook.cells) <= 30


def globals_of(function: ast.FunctionDef) -> set[str]:
    """The names that a function reads and does not set."""
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {
        a.arg for a in ast.walk(function) if isinstance(a, ast.arg)
    }
    return {node.id for node in names if isinstance(node.ctx, ast.Load)} - own - set(dir(builtins))


def set_by(cell: ast.Module) -> set[str]:
    """The names that a cell gives to something, outside of functions."""
    found = set()
    for statement in cell.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found.add(statement.name)
        else:
            stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
            found |= {node.id for node in stored if isinstance(node.ctx, ast.Store)}
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_follows_a_run_reads_nothing_that_a_later_cell_changes(path):
    """It is called when all cells have run, and then a name means what the last of them gave it to."""
    cells = [ast.parse(cell.source) for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells):
        for function in (node for node in cell.body if isinstance(node, ast.FunctionDef) and node.decorator_list):
            later = set().union(*map(set_by, cells[number + 1 :])) if number + 1 < len(cells) else set()
            assert not globals_of(function) & (later - {"_"}), f"cell {number + 1}"
