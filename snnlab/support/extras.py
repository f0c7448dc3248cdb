"""How to install what only some users need."""

from snnlab._namesake import DISTRIBUTION


def install_hint(extra: str) -> str:
    """Return the commands that install an optional dependency.

    Args:
        extra: a name from `[project.optional-dependencies]`, such as "nir".

    Example:
        >>> print(install_hint("nir"))
        pip install "snnlab-live[nir]" (in a clone of snnlab: pip install -e ".[nir]")
    """
    return f'pip install "{DISTRIBUTION}[{extra}]" (in a clone of snnlab: pip install -e ".[{extra}]")'
