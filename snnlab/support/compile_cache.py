"""JAX's compilation cache: keep compiled programs for the next process, so that it starts quickly."""

import functools
import hashlib
import platform

import jax

from snnlab.support.files import cache_folder, writable

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


def _processor() -> str:
    try:
        from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
    except ImportError:
        return platform.machine()
    return f"{get_host_cpu_name()} {get_host_cpu_features().flatten()}"
