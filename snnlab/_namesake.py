"""The other package called `snnlab`: pip installs it into the same folder as this one.

On PyPI this package is `snnlab-live`, and `snnlab` is another project with the same import name. The two share one
file, `snnlab/__init__.py`, which belongs to whichever was installed last and vanishes when either is uninstalled.
"""

# pathlib and collections.abc are not imported: either would take longer than all of `import snnlab`.
# ruff: noqa: PTH118, PTH123, PTH208

import os
import sys

DISTRIBUTION = "snnlab-live"
"""This package's name on PyPI."""

REPAIR = (
    f"run `pip uninstall snnlab`, then `pip install --force-reinstall --no-deps {DISTRIBUTION}` "
    "(in a clone: `pip install --no-deps -e .`)"
)


def warn_of_other_package(path: list[str]) -> None:
    """Warn if the other package is installed in a folder of `path`.

    It reads folders itself, because importing `importlib.metadata` would take longer than `import snnlab`.
    """
    found = _other_package(path)
    if found is None:
        return
    import warnings

    message = f"{found} belongs to another package called snnlab, which shares files with {DISTRIBUTION}: {REPAIR}"
    warnings.warn(message, stacklevel=3)


def refuse_foreign_init() -> None:
    """Stop if `snnlab/__init__.py` is the other package's, or was removed with it.

    Raises:
        ImportError: if the package in `sys.modules` lacks the names that ours has.
    """
    if not hasattr(sys.modules["snnlab"], "_HOMES"):
        raise ImportError(f"another package called snnlab replaced or removed snnlab/__init__.py: {REPAIR}")


def _other_package(path: list[str]) -> str | None:
    """Return the other package's `.dist-info` folder, if there is one that has files in `snnlab/`."""
    for folder in path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:  # a zip file, or a folder that does not exist
            continue
        for name in names:
            if name.startswith("snnlab-") and name.endswith(".dist-info"):
                found = os.path.join(folder, name)
                if _owns_init(found):
                    return found
    return None


def _owns_init(dist_info: str) -> bool:
    try:
        with open(os.path.join(dist_info, "RECORD"), encoding="utf-8") as record:
            return any(line.startswith("snnlab/__init__.py,") for line in record)
    except OSError:
        return False
