"""Do the parts of some work side by side, in threads."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")


def cores() -> int:
    """Return how many cores this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(work: Callable[[Part], object], parts: Sequence[Part]) -> None:
    """Call `work` with every part, the first one in this thread, each other in one of its own; wait for all.

    Raises:
        Exception: the first error of a part, when all have ended.

    Example:
        >>> done = []
        >>> side_by_side(done.append, ["a", "b"])
        >>> sorted(done)
        ['a', 'b']
    """
    errors: list[BaseException] = []

    def do(part: Part) -> None:
        try:
            work(part)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=do, args=(part,), name="snnlab-beside", daemon=True) for part in parts[1:]]
    for thread in threads:
        thread.start()
    for part in parts[:1]:
        do(part)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
