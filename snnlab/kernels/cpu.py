"""Kernels for the CPU, compiled by numba: their cost grows with the number of spikes, not with time times inputs.

One thread each and no state, so that any number of threads may run them at once; sums have a fixed order, so that
the same input gives the same bits.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numba import carray

from snnlab.kernels.ffi import float32_2d, float32_3d, int32_2d, is_query, register, result_2d, result_3d


@register("snnlab_project")
def _project_handler(pointer):
    frame = carray(pointer, 15)
    if is_query(frame):
        return 0
    times, units, kernel, out = int32_2d(frame, 0), int32_2d(frame, 1), float32_2d(frame, 2), result_3d(frame)
    out[:] = np.float32(0.0)
    for b in range(times.shape[0]):
        row = min(b, units.shape[0] - 1)
        for e in range(times.shape[1]):
            t, u = times[b, e], units[row, e]
            if 0 <= t < out.shape[0] and 0 <= u < kernel.shape[0]:
                for n in range(kernel.shape[1]):
                    out[t, b, n] += kernel[u, n]
    return 0


@register("snnlab_project_gradient")
def _project_gradient_handler(pointer):
    frame = carray(pointer, 15)
    if is_query(frame):
        return 0
    times, units, gradient, out = int32_2d(frame, 0), int32_2d(frame, 1), float32_3d(frame, 2), result_2d(frame)
    out[:] = np.float32(0.0)
    for b in range(times.shape[0]):
        row = min(b, units.shape[0] - 1)
        for e in range(times.shape[1]):
            t, u = times[b, e], units[row, e]
            if 0 <= t < gradient.shape[0] and 0 <= u < out.shape[0]:
                for n in range(out.shape[1]):
                    out[u, n] += gradient[t, b, n]
    return 0


def _call(target: str, shape: tuple[int, ...], *arguments) -> Array:
    # vmap runs one call after the other: a batch of batches is rare, and rows of events are quick.
    call = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")
    return call(*arguments)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def project(
    times: Int[Array, "batch events"],
    units: Int[Array, "rows events"],
    kernel: Float[Array, "pre post"],
    num_steps: int,
) -> Float[Array, "time batch post"]:
    """Rows of `kernel` added where and when a unit fires: `out[t, b] = sum_e kernel[units[b, e]] [times[b, e] = t]`.

    Args:
        times: step of each event; outside `0 .. num_steps - 1` it is dropped.
        units: unit of each event, in one row for the whole batch or a row a sample; an unknown one is dropped.
        kernel: weights.
        num_steps: length of the sequence.

    Example:
        >>> out = project(jnp.array([[0, 2, 9]]), jnp.array([[0, 1, 2]]), jnp.eye(3), 3)
        >>> out[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    shape = (num_steps, times.shape[0], kernel.shape[1])
    return _call("snnlab_project", shape, times.astype(jnp.int32), units.astype(jnp.int32), kernel)


def _project_forward(times, units, kernel, num_steps):
    return project(times, units, kernel, num_steps), (times, units, kernel.shape)


def _project_backward(_num_steps, saved, gradient):
    times, units, shape = saved
    out = _call("snnlab_project_gradient", shape, times.astype(jnp.int32), units.astype(jnp.int32), gradient)
    return None, None, out


project.defvjp(_project_forward, _project_backward)
