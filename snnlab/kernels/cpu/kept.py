"""Compile kernels, and keep the code for later processes: the only file that uses numba's private names.

numba has a cache of its own, which fails on a damaged file and on a full disk, and runs code that one wrong bit has
changed. Read from `numba/core/ccallback.py` and `numba/core/caching.py` of numba 0.68.
"""

import functools
import hashlib
import pickle
from pathlib import Path

import llvmlite
import numba
from numba import int64
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from snnlab import surrogate
from snnlab.kernels import packed, rows
from snnlab.support.files import cache_folder
from snnlab.support.shelf import Shelf


@functools.cache
def shelf() -> Shelf:
    """Return where compiled kernels are; each version of the source has its own folder, over all files.

    Numbers of other modules are compiled in, too.
    """
    others = [Path(str(module.__file__)) for module in (packed, rows, surrogate)]
    files = [*sorted(Path(__file__).parent.glob("*.py")), *others]
    source = b"".join(path.read_bytes() for path in files)
    return Shelf(cache_folder() / "kernels" / hashlib.sha256(source).hexdigest()[:16])


class _Kept:
    """What a `CFunc` asks of a cache."""

    def __init__(self, kernel):
        self._name = f"{kernel.__module__}.{kernel.__qualname__}"

    def load_overload(self, signature, target):
        """Return the compiled function, or None if it is not there or another machine or version made it.

        `target.refresh()` would first load all that numba needs in order to compile, which takes a second (SciPy's
        linear algebra among it). Of this, compiled code needs only the runtime; compiling calls it by itself.
        """
        rtsys.initialize(target)
        found = shelf().get(self._key(signature, target.codegen()))
        return None if found is None else CompileResult._rebuild(target, *pickle.loads(found))

    def save_overload(self, signature, compiled) -> None:
        """Keep a compiled function; not one with addresses that are those of this process."""
        if not compiled.library.has_dynamic_globals:
            shelf().put(self._key(signature, compiled.codegen), dumps(compiled._reduce()))

    def _key(self, signature, codegen) -> str:
        made = self._name, str(signature), numba.__version__, llvmlite.__version__, codegen.magic_tuple()
        return hashlib.sha256(repr(made).encode()).hexdigest()


def compile_or_load(kernel) -> CFunc:
    """Compile a kernel `int64 -> int64`, or load it compiled."""
    compiled = CFunc(kernel, ((int64,), int64), locals={}, options={})
    setattr(compiled, "_cache", _Kept(kernel))  # noqa: B010 (no public name)
    compiled.compile()
    return compiled
