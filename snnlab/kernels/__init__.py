"""The dynamics over whole sequences, as functions that the layers call.

There are four backends. "reference" is `lax.scan` over `snnlab.dynamics` and runs wherever XLA does. "numba" has
event-driven kernels for the CPU. "gpu" computes what the reference does in few launches, for a GPU. "cuda" is the same
with layers of LIF neurons in kernels of our own, for NVIDIA's GPUs. Anything that they do not have runs on the
reference. The choice is automatic; the environment variable `SNNLAB_KERNELS` or the argument `backend` forces it.

The kernels have gradients in reverse mode. Forward mode (`jax.jvp`, `jax.jacfwd`) and second derivatives run on the
reference; so does the outer one of two derivatives. With a `jax.jit` between derivative and layers
(`jax.jvp(jax.jit(f), ...)`) JAX raises an error: put the `jit` outside, or set `SNNLAB_KERNELS=reference`.
"""

from snnlab.kernels.dispatch import (
    Lif,
    arriving,
    backend,
    current,
    double_expon,
    expon,
    from_rest,
    leaky,
    lif,
    lstm,
    project,
    recurrent_lif,
)
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import Packed
from snnlab.kernels.statistics import Statistics, folded, normalized
from snnlab.kernels.window import Window

__all__ = [
    "Drive",
    "Lif",
    "Packed",
    "Statistics",
    "Window",
    "arriving",
    "backend",
    "current",
    "double_expon",
    "expon",
    "folded",
    "from_rest",
    "leaky",
    "lif",
    "lstm",
    "normalized",
    "project",
    "recurrent_lif",
]
