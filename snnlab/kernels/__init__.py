"""The dynamics over whole sequences: what the layers call.

There are two backends. "reference" is `lax.scan` over `snnlab.dynamics`, wherever XLA runs. "numba" has event-driven
kernels for the CPU; what it has no kernel for, the reference does. The choice is automatic; the environment variable
`SNNLAB_KERNELS` forces it.
"""

import functools
import os
import warnings

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab import check
from snnlab.encode import Events
from snnlab.kernels import reference
from snnlab.kernels.reference import expon, leaky, lif, lstm

__all__ = ["backend", "expon", "leaky", "lif", "lstm", "project"]

BACKENDS = ("auto", "numba", "reference")


def backend() -> str:
    """The backend in use: "numba" or "reference".

    Raises:
        ArgumentError: if `SNNLAB_KERNELS` is none of "auto", "numba", "reference".

    Example:
        >>> backend() in ("numba", "reference")
        True
    """
    wanted = check.choice("SNNLAB_KERNELS", os.environ.get("SNNLAB_KERNELS", "auto"), BACKENDS)
    on_cpu = jax.default_backend() == "cpu"
    return "numba" if wanted != "reference" and on_cpu and _numba_works() else "reference"


@functools.cache
def _numba_works() -> bool:
    """Compile the kernels and run one; where that fails, say so once."""
    try:
        from snnlab.kernels import cpu

        with jax.ensure_compile_time_eval():  # it may be asked for in the middle of a trace
            zero, one = jnp.zeros((1, 1), jnp.int32), jnp.ones((1, 1), jnp.float32)
            return cpu.project(zero, zero, one, 1).item() == 1.0
    except Exception as error:  # numba and the FFI fail in many ways, none of which may stop a training
        warnings.warn(f"numba kernels do not work here ({error!r}); the slower reference runs", stacklevel=3)
        return False


def project(
    x: Events | Float[Array, "time batch pre"], kernel: Float[Array, "pre post"]
) -> Float[Array, "time batch post"]:
    """Weighted sum of the input at every step, `I[t] = x[t] W`; for `Events` the dense input is never formed.

    Args:
        x: spikes, as `Events` or dense.
        kernel: weights.

    Example:
        >>> project(jnp.ones((3, 2, 4)), jnp.ones((4, 5))).shape
        (3, 2, 5)
    """
    if not isinstance(x, Events) or kernel.dtype != jnp.float32 or backend() == "reference":
        return reference.project(x, kernel)
    from snnlab.kernels import cpu

    units = jnp.arange(x.num_units, dtype=jnp.int32)[None] if x.units is None else x.units
    return cpu.project(x.times, units, kernel, x.num_steps)
