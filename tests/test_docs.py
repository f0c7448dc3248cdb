"""Every public name is explained with an example, which runs as a doctest, and the documentation shows them all."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from tiers import needed

import snnlab

ROOT = Path(snnlab.__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
front, house = importlib.import_module("front"), importlib.import_module("house")
MODULES = house.public_modules()


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_an_example(name):
    module = importlib.import_module(name)
    names = house.public_names(module)
    assert module.__doc__ and names
    assert [name for name in names if ">>> " not in (getattr(module, name).__doc__ or "")] == []


def test_what_users_import_is_public():
    """The rule that finds public modules must not lose one."""
    assert {f"snnlab.{home}" for home in snnlab._HOMES.values()} <= set(MODULES)
    assert not {"snnlab.cli", "snnlab.gallery", "snnlab.support"} & set(MODULES)


def test_the_map_shows_every_module():
    """With a line on each, which its docstring begins with."""
    found = dict(house.house())
    assert {str(path.relative_to(ROOT / "snnlab")) for path in (ROOT / "snnlab").rglob("*.py")} == {
        f"{path}__init__.py" if path.endswith("/") else path for path in found
    } | {"__init__.py"}
    assert [path for path, line in found.items() if not line] == []


def test_the_front_page_has_a_network_that_plays():
    """Trained, small, and with every spike as in Python: else `page` raises."""
    page = front.page()
    assert len(page.encode()) <= 80_000 and "<title>A spiking network that reads digits</title>" in page
    assert "Here is a picture of it" in page


@pytest.mark.browser
def test_the_documentation_shows_every_public_name_and_every_notebook(tmp_path, monkeypatch):
    """Built without a warning; here the notebooks are not run."""
    for package in ("material", "mkdocstrings_handlers", "nbclient", "ziamath"):
        needed(package, "browser")
    import nbformat
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    monkeypatch.setattr(config.hooks["docs/hooks.py"], "executed", lambda path: nbformat.read(path, as_version=4))
    build(config)
    for name in MODULES:
        page = (tmp_path / "reference" / f"{name}.html").read_text(encoding="utf-8")
        names = house.public_names(importlib.import_module(name))
        assert [public for public in names if f'id="{name}.{public}"' not in page] == []
    index = (tmp_path / "notebooks" / "index.html").read_text(encoding="utf-8")
    front = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<iframe[^>]* src="exhibit.html" sandbox="allow-scripts"', front)
    assert "default-src 'none'" in (tmp_path / "exhibit.html").read_text(encoding="utf-8")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f'href="{notebook.stem}.html"' in index
        assert (tmp_path / "notebooks" / f"{notebook.stem}.html").exists()
