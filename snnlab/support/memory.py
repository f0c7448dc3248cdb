"""Memory that the process no longer uses."""

import contextlib
import ctypes


def give_memory_back() -> None:
    """Hand memory that was freed to the system; glibc would keep it. Elsewhere this does nothing. Some milliseconds."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl; Windows
        ctypes.CDLL(None).malloc_trim(0)
