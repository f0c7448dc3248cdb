"""Print the map of the package: every module with the first line of its docstring, from the bottom to the top.

python docs/house.py
"""

import ast
import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def rooms() -> list[str]:
    """List the modules and packages that lie directly in `snnlab`, each after those that it imports.

    The order is that of the contract "Rooms import downwards" in `pyproject.toml`, which names them all.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    return [room.strip() for floor in reversed(floors) for room in floor.split("|")]


def house() -> Iterator[tuple[str, str]]:
    """Yield the path of every module in `snnlab` and the first line of its docstring."""
    package = ROOT / "snnlab"
    for room in rooms():
        for path in [package / f"{room}.py"] if (package / f"{room}.py").exists() else _modules(package / room):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield str(path.relative_to(package)).removesuffix("__init__.py"), docstring.partition("\n")[0]


def _modules(folder: Path) -> list[Path]:
    """List the modules of a package, the package itself first."""
    return sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name))


def public_modules() -> list[str]:
    """List what users import, from the bottom of the package to the top.

    Public are packages that say what they export (`__all__`), and modules directly in `snnlab` without an underscore.
    """
    return [f"snnlab.{room}" for room in rooms() if not room.startswith("_") and _is_public(f"snnlab.{room}")]


def _is_public(name: str) -> bool:
    module = importlib.import_module(name)
    return hasattr(module, "__all__") or not hasattr(module, "__path__")


def public_names(module: ModuleType) -> list[str]:
    """List the public functions and classes of a module: from its `__all__`, or else those that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if callable(getattr(module, name))]
    members = inspect.getmembers(module, lambda x: inspect.isclass(x) or inspect.isfunction(x))
    return [name for name, x in members if x.__module__ == module.__name__ and not name.startswith("_")]


if __name__ == "__main__":
    for module, line in house():
        indent = "  " * module.rstrip("/").count("/")
        print(f"{indent + module.rstrip('/').rpartition('/')[2] + '/' * module.endswith('/'):28} {line}")
