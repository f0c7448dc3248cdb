"""JAX's compilation cache: keep compiled programs for later processes, so that they start quickly.

What builds a network, trains it or looks at it turns it on before it first compiles, not when snnlab is imported.
The programs lie in the user's cache folder (`SNNLAB_CACHE` moves it). The cache stays as it is if
`SNNLAB_COMPILE_CACHE=0` is set in the environment, or if you have given JAX a folder (`jax_compilation_cache_dir`,
`JAX_COMPILATION_CACHE_DIR`).
"""

import functools
import hashlib
import os
import platform

import jax

from snnlab.support.files import cache_folder
from snnlab.support.shelf import Shelf

SWITCH = "SNNLAB_COMPILE_CACHE"  # an environment variable

_OFF = ("0", "off", "false", "no")
_WORTH_KEEPING = 0.2  # seconds of compiling
_NO_LIMIT = -1  # of the size of JAX's cache


@functools.cache
def keep_programs() -> None:
    """Let JAX keep what it compiles from now on, unless the user has decided otherwise.

    A folder belongs to one kind of processor: programs made for another might not run here.
    """
    if os.environ.get(SWITCH, "").strip().lower() in _OFF or jax.config.values["jax_compilation_cache_dir"]:
        return
    folder = cache_folder() / "programs" / hashlib.sha256(_processor().encode()).hexdigest()[:16]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
    if jax.config.values.get("jax_compilation_cache_max_size") == _NO_LIMIT:
        _keep_on(_Programs(folder))


class _Programs(Shelf):
    """What JAX asks of a cache: to get, to put, and where it is."""

    @property
    def _path(self) -> str:
        return str(self.folder)


def _keep_on(programs: _Programs) -> None:
    """Have JAX use a shelf in place of its own cache.

    That one writes in place, takes what it finds for what was written, and never replaces a file: a damaged one would
    cost every process a compilation and a warning. The private names were read from `jax/_src/compilation_cache.py` of
    JAX 0.10; a JAX without them uses its own cache.
    """
    from jax._src import compilation_cache

    if hasattr(compilation_cache, "_cache") and hasattr(compilation_cache, "_cache_initialized"):
        compilation_cache._cache, compilation_cache._cache_initialized = programs, True


def _processor() -> str:
    try:
        from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
    except ImportError:
        return platform.machine()
    return f"{get_host_cpu_name()} {get_host_cpu_features().flatten()}"
