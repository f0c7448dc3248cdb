"""The face of the house: an import is quick and quiet, every public name is there.

The arrows between rooms are contracts of import-linter, in pyproject.toml.
"""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import snnlab


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


def test_editors_are_offered_what_there_is():
    """The stub of the package names what the package gives out, from the same modules."""
    stub = ast.parse(Path(snnlab.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.asname: (node.module, alias.name) for alias in node.names}
    assert set(homes) == set(snnlab.__all__) - {"__version__"}
    for name, (module, inside) in homes.items():
        assert getattr(importlib.import_module(module), inside) is getattr(snnlab, name)
