"""Settings that BrainPy keeps for each thread by itself, carried over to a thread that runs the user's code.

A generator or a loss that was written in the main thread finds there its `float_`, `mode` and `dt`; in another thread
BrainPy knows none of them. snnlab does not import BrainPy: without it, there is nothing to carry.
"""

import sys
from collections.abc import Callable
from typing import Any

# Names of modules and of their `threading.local`, read from BrainPy 2.8 and brainstate 0.3. Others have nothing here.
PLACES = (("brainpy.math.defaults", "env"), ("brainstate.environ", "_ENV_STATE"))


def noted() -> Callable[[], None]:
    """Note the settings of this thread; the function that is returned gives them to the thread that calls it.

    What that thread has already stays.

    Example:
        >>> noted()() is None
        True
    """
    found = [(place, _copied(place)) for place in _there()]

    def give() -> None:
        for place, kept in found:
            for name, values in kept.items():
                own = getattr(place, name, None)
                for key, value in values.items():
                    if isinstance(own, dict) and not own.get(key):
                        own[key] = value

    return give


def _there() -> list[Any]:
    modules = ((sys.modules.get(module), name) for module, name in PLACES)
    return [place for module, name in modules if (place := getattr(module, name, None)) is not None]


def _copied(place: Any) -> dict[str, dict]:
    values = {name: getattr(place, name, None) for name in ("settings", "contexts")}
    return {
        name: {key: list(value) if isinstance(value, list) else value for key, value in mapping.items()}
        for name, mapping in values.items()
        if isinstance(mapping, dict)
    }
