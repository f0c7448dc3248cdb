"""Compiled programs, kept for the next process, so that its start is quick; and memory that nobody uses any more."""

import contextlib
import ctypes
import functools
import hashlib
import platform

import jax

from snnlab.files import cache_folder, writable

_WORTH_KEEPING = 0.2  # seconds of compiling


@functools.cache
def keep_programs() -> str | None:
    """Let JAX keep what it compiles in the user's cache folder, unless a folder is set already.

    A folder belongs to one kind of processor: programs made for another might not run here.

    Returns:
        The folder, or None if it cannot be written.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return jax.config.jax_compilation_cache_dir
    folder = cache_folder() / "programs" / hashlib.sha256(_processor().encode()).hexdigest()[:16]
    if not writable(folder):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
    return str(folder)


def give_memory_back() -> None:
    """Hand memory that was freed to the system; glibc would keep it. Elsewhere this does nothing. Some milliseconds."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # macOS, musl; Windows
        ctypes.CDLL(None).malloc_trim(0)


def _processor() -> str:
    try:
        from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
    except ImportError:
        return platform.machine()
    return f"{get_host_cpu_name()} {get_host_cpu_features().flatten()}"
