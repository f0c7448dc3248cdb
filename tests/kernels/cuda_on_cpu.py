"""The fused kernels for a GPU, compiled by a C++ compiler and run on the CPU, in place of XLA's launch of PTX."""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np
from tiers import Needs

from snnlab.kernels.gpu import fused
from snnlab.kernels.gpu.cuda import SOURCE

KERNELS = ("snnlab_lif", "snnlab_lif_back", "snnlab_weights_back")
KERNELS += ("snnlab_recurrent", "snnlab_recurrent_back", "snnlab_peers_back")


@functools.cache
def library() -> ctypes.CDLL:
    """Compile the source, as it is, behind what CUDA C has and C++ has not."""
    compiler = shutil.which("g++")
    if compiler is None:
        Needs.missing("gpu", "there is no g++, which compiles the CUDA C for the CPU")
    folder = Path(tempfile.mkdtemp(prefix="snnlab-cuda-"))
    shim, program = Path(__file__).with_suffix(".h"), folder / "kernels.cpp"
    launches = "".join(f"LAUNCH({kernel})\n" for kernel in KERNELS)
    program.write_text(f'#include "{shim}"\n#include "{SOURCE}"\n{launches}')
    # As nvcc with --fmad=false: every operation is rounded by itself.
    options = ["-std=c++20", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, str(program), "-o", str(folder / "kernels.so")], check=True)
    loaded = ctypes.CDLL(str(folder / "kernels.so"))
    shutil.rmtree(folder)
    return loaded


def launch(name, results, rows, neurons, shared, *arguments, most=128):
    """As `launch.launch`, on the CPU. What a kernel does not write is NaN, or 255."""
    threads = min(most, -(-neurons // 32) * 32)
    grid = rows, -(-neurons // threads), threads, shared
    kernel = getattr(library(), f"run_{name}")

    def run(*arrays):
        arrays = [np.ascontiguousarray(array) for array in arrays]
        found = [np.full(r.shape, 255 if r.dtype == np.uint8 else np.nan, r.dtype) for r in results]
        pointers = [array.ctypes.data for array in (*arrays, *found)]
        kernel(*grid, (ctypes.c_void_p * len(pointers))(*pointers))
        return found

    return jax.pure_callback(run, list(results), *arguments, vmap_method="sequential")


def use(monkeypatch) -> None:
    """Let the kernels run on this CPU."""
    library()
    monkeypatch.setattr(fused, "PLATFORM", "cpu")
    monkeypatch.setattr(fused, "launch", launch)
