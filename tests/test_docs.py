"""Every public name is explained with an example, which runs as a doctest, and the reference shows them all."""

import importlib
import inspect
import runpy
from pathlib import Path

import pytest
from tiers import needed

import snnlab

ROOT = Path(snnlab.__file__).parents[1]
DOCS = runpy.run_path(str(ROOT / ".github" / "docs" / "build.py"))


def public_names(module) -> list[str]:
    """What a module exports: its `__all__`, or the functions and classes that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if callable(getattr(module, name))]
    own = inspect.getmembers(module, lambda x: inspect.isclass(x) or inspect.isfunction(x))
    return [name for name, x in own if x.__module__ == module.__name__ and not name.startswith("_")]


@pytest.mark.parametrize("name", DOCS["PUBLIC"])
def test_every_public_name_has_an_example(name):
    module = importlib.import_module(name)
    assert module.__doc__ and public_names(module)
    assert [name for name in public_names(module) if ">>> " not in (getattr(module, name).__doc__ or "")] == []


def test_every_room_is_public_or_internal():
    rooms = {path.stem for path in (ROOT / "snnlab").iterdir() if not path.name.startswith("__")}
    public = {name.partition(".")[2] for name in DOCS["PUBLIC"]} - {""}
    assert public | set(DOCS["INTERNAL"]) == rooms and not public & set(DOCS["INTERNAL"])


def test_the_reference_shows_every_public_name_and_every_notebook(tmp_path):
    needed("pdoc", "docs")
    index = DOCS["build"](tmp_path).read_text(encoding="utf-8")
    for name in DOCS["PUBLIC"]:
        path = f"{name.replace('.', '/')}.html"
        page = (tmp_path / path).read_text(encoding="utf-8")
        assert f'href="{path}"' in index
        module = importlib.import_module(name)
        assert [name for name in public_names(module) if f'id="{name}"' not in page] == []
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f'href="guide/{notebook.stem}.html"' in index and (tmp_path / "guide" / f"{notebook.stem}.html").exists()
    assert not (tmp_path / "snnlab" / "cli.html").exists()
