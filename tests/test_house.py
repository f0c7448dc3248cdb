"""The arrows of the house: who may import whom, and how quick and quiet an import is. Read with `ast`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import snnlab

ROOT = Path(snnlab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Rooms from the front door to the roof; a room may import only rooms of earlier rows (or of its own).
STOREYS = [
    {"errors"},
    {"check", "files", "table", "series", "interrupt"},
    {"events"},
    {"surrogate", "encode", "controls", "history", "config", "data", "naming", "programs", "report"},
    {"dynamics", "optimizer"},
    {"kernels"},
    {"variables", "record"},
    {"layers"},
    {"losses", "knobs", "recurrent", "operators", "integrate"},
    {"models"},
    {"step"},
    {"divergence"},
    {"train", "export", "health"},
    {"diagnosis"},
    {"script", "snapshot"},
    {"checkpoint_folder"},
    {"checkpoint"},
    {"live", "gallery"},
    {"cli"},
]
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """Modules that a file imports; at its top level only, if not everywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if everywhere else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_used(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(path) if name.startswith("snnlab.")}
    return {name for name in names if name != "__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    if room(path) == "__init__":
        assert not imports(path, everywhere=False) - {"importlib"}
        return
    for used in rooms_used(path):
        assert used == room(path) or STOREY[used] < STOREY[room(path)], f"{room(path)} imports {used}"


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [
        ({"history", "table", "series", "controls", "config", "data"}, {"jax", "flax", "optax"}),
        (set(STOREY) - {"live", "gallery"}, {"plotly", "ipywidgets", "anywidget", "IPython"}),
        ({"controls"}, {"numpy"}),
        (set(STOREY), {"tensorflow", "torch", "brainpy", "pickle"}),
    ],
)
def test_who_stays_clear_of_what(rooms, forbidden):
    for path in FILES:
        if room(path) in rooms:
            assert not {name.split(".")[0] for name in imports(path)} & forbidden, path


def test_import_is_quiet():
    """`import snnlab` loads neither jax nor plotting; the engine no widgets."""
    heavy = "{'jax', 'numpy', 'plotly', 'ipywidgets', 'sklearn', 'tensorflow_datasets', 'orbax'}"
    check = f"import sys, snnlab; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "[]"
    check = f"import sys, snnlab; snnlab.Trainer; print(sorted(({heavy} - {{'jax', 'numpy'}}) & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "[]"


def test_every_public_name_is_there_and_explained():
    for name in snnlab.__all__:
        assert getattr(snnlab, name).__doc__
    with pytest.raises(AttributeError, match="module 'snnlab' has no attribute 'nothing'"):
        _ = snnlab.nothing


def test_files_stay_readable():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path.name: length for path, length in lengths.items() if length > 320} == {}
