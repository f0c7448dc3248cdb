"""`python -m snnlab.kernels.gpu.cuda.build`: compile `lif.cu` to `lif.ptx` with NVIDIA's compiler.

PTX is NVIDIA's portable assembly: the driver of a GPU translates it when a program is first run. So whoever installs
snnlab needs no compiler. nvcc runs without a GPU; it is looked for on the PATH and where CUDA is usually installed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from snnlab.kernels.gpu.cuda import PTX, SOURCE

OLDEST = "compute_75"  # Turing, of 2018; newer GPUs run what was compiled for older ones
# The kernels use nothing newer than this version of PTX, the first for Turing. nvcc writes its own, which older drivers
# refuse.
VERSION = "6.3"
OPTIONS = ["--ptx", "--std=c++17", f"--gpu-architecture={OLDEST}", "--fmad=false"]


def nvcc() -> str | None:
    """Return the path of NVIDIA's compiler, or None if there is none."""
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin:/opt/cuda/bin")


def release(compiler: str) -> str:
    """Return the version of a compiler."""
    told = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\bV(\d+\.\d+)\.\d+", told)
    return found[1] if found else "unknown"


def digest() -> str:
    """Return a digest of the source, which its PTX names."""
    return hashlib.sha256(SOURCE.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]


def compiled(compiler: str) -> str:
    """Compile the kernels; return PTX text, behind two lines that name the compiler and the source.

    Raises:
        subprocess.CalledProcessError: if they do not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lif.ptx"
        subprocess.run([compiler, *OPTIONS, str(SOURCE), "-o", str(out)], check=True)
        text = out.read_text(encoding="ascii")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    code = re.sub(r"^\.version .*$", f".version {VERSION}", code, count=1, flags=re.MULTILINE)
    return f"// compiled by nvcc {release(compiler)}\n// from lif.cu {digest()}\n{code}\n"


def main() -> None:
    """Write `lif.ptx`."""
    compiler = nvcc()
    if compiler is None:
        sys.exit("nvcc: not found; install the CUDA toolkit, or put nvcc on the PATH")
    PTX.write_text(compiled(compiler), encoding="ascii")


if __name__ == "__main__":
    main()
