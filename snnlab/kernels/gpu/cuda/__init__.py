"""The CUDA C of the fused kernels, and the PTX text that `build` makes of it."""

from pathlib import Path

SOURCE, PTX = Path(__file__).with_name("lif.cu"), Path(__file__).with_name("lif.ptx")
