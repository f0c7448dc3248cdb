"""Memory that the process has freed: kept for what comes next, or returned to the system."""

import contextlib
import ctypes
import os

KEPT = 1 << 29  # bytes
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # parameters of glibc's mallopt


def keep_memory() -> bool:
    """Let glibc keep blocks of up to 512 MB that were freed. Return whether it does; elsewhere nothing changes.

    By default, glibc returns large blocks to the system at once. XLA frees the arrays of a training step when the step
    ends, so every step would get its memory anew, page by page: a quarter of the time of a convolutional network.

    Takes effect in threads that begin afterwards, so `import snnlab` calls it. It changes nothing where an environment
    variable sets up glibc's memory (`MALLOC_ARENA_MAX`, `GLIBC_TUNABLES`, ...; see `man mallopt`).
    """
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if tuned or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl; Windows
        settings = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, KEPT), (_TRIM_THRESHOLD, KEPT))
        return all(ctypes.CDLL(None).mallopt(name, value) for name, value in settings)
    return False


def give_memory_back() -> None:
    """Return freed memory to the system, which glibc would keep. Takes some milliseconds; elsewhere does nothing."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl; Windows
        ctypes.CDLL(None).malloc_trim(0)
