"""Compiled programs: kept for the next process, so that its start is quick; and what compiling leaves behind."""

import contextlib
import ctypes
import functools
import hashlib
import platform

import jax

from snnlab.files import cache_folder, writable

_WORTH_KEEPING = 0.2  # seconds of compiling
_WORTH_TIDYING = 0.05  # seconds of compiling; tidying up takes a few thousandths


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


@functools.cache
def tidy_after_compiling() -> None:
    """Give memory back after everything that JAX compiles, from now on.

    Of a dashboard's process of 600 MB it is about 60, and a free machine in the cloud has 1000.
    """

    def tidy(event: str, seconds: float, **_) -> None:
        if "compile" in event and seconds > _WORTH_TIDYING:
            give_memory_back()

    give_memory_back()
    jax.monitoring.register_event_duration_secs_listener(tidy)


def _processor() -> str:
    try:
        from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
    except ImportError:
        return platform.machine()
    return f"{get_host_cpu_name()} {get_host_cpu_features().flatten()}"
