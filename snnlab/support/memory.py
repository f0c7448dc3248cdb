"""Return memory that the process no longer uses."""

import contextlib
import ctypes


def give_memory_back() -> None:
    """Return freed memory to the system, which glibc would keep. Takes some milliseconds; elsewhere does nothing."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl; Windows
        ctypes.CDLL(None).malloc_trim(0)
