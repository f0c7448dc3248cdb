"""The LSTM kernel as a JAX function with its own gradient: products of weights and rows.

A row is `r[t] = [1, x[t], h[t-1]]` and the weights are `W = [bias; W_x; W_h]`, so `a[t] = r[t] W`. The backward pass
needs i, f, g, o and c of every step (20 bytes a step and unit, with units rounded up to 16), and h (4 bytes).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.kernels.axes import alike
from snnlab.kernels.cpu.calls import added, check_shared, foreign, power_of_two
from snnlab.kernels.devices import SUMMED, share_out, whole
from snnlab.kernels.packed import LANES
from snnlab.kernels.perturbed import filled

_MAX_BLOCKS, _MIN_ROOM = 16, 8  # each block has its own dW, which costs memory, and time if it has few samples
_MAX_BYTES = 2**21  # of weights


def up(count: int, multiple: int) -> int:
    """Round up to a multiple."""
    return (count + multiple - 1) // multiple * multiple


def stride_of(count: int) -> int:
    """Width of a matrix: an odd number of tiles, because rows a power of two apart share few lines of the cache."""
    tiles = (count + LANES - 1) // LANES
    return (tiles | 1) * LANES


def _room(batch: int) -> int:
    """Return the number of samples of a block; the blocks are a power of two, where the batch comes out even."""
    blocks = power_of_two(min(_MAX_BLOCKS, -(-batch // _MIN_ROOM)))
    return max(_MIN_ROOM, up(-(-batch // blocks), 4))


def _call(x, n: int, words: int, out, more, devices: int, *arguments, back: bool) -> Sequence[Array]:
    """Run the kernel on one of some devices.

    The results have the shapes `out` and `more`; a sample needs `words` of memory to work in.
    """
    from snnlab.kernels.cpu import lstm  # noqa: F401 (here, because it imports this file)

    batch = x.shape[1]
    room = _room(batch * devices)
    blocks = -(-batch // room)
    shapes = ((blocks, *out) if back else out, more, (blocks, up(room * words, LANES)))
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return foreign("snnlab_lstm", results, np.array([blocks, room, n, back], np.int32), x, *arguments)


def _tiled(w: Float[Array, "row column"]) -> Float[Array, "tile row 16"]:
    return jnp.pad(w, ((0, 0), (0, -w.shape[1] % LANES))).reshape(len(w), -1, LANES).swapaxes(0, 1)


def _run(x, w_x, w_h, bias, save: bool) -> Sequence[Array]:
    """Return h and, with `save`, the gates and cells for the backward pass."""
    n, width = len(w_h), up(len(w_h), LANES)

    def call(devices: int, x, weights):
        steps, batch, pre = x.shape
        words = stride_of(3 * n + width) + 2 * width + 1 + pre
        saved = (batch if save else 0, steps, 5 * width)
        return _call(x, n, words, (steps, batch, n), saved, devices, weights, back=False)[:2]

    weights = _tiled(jnp.concatenate([bias[None], w_x, w_h]))
    h, saved = share_out(call, x.shape[1], (whole(x), weights), axes=(1, None), out=(1, 0), add=added)
    return whole(h), saved


@jax.custom_vjp
def _lstm(x, w_x, w_h, bias):
    return _run(x, w_x, w_h, bias, save=False)[0]


def _lstm_forward(x, w_x, w_h, bias):
    h, saved = _run(x.value, w_x.value, w_h.value, bias.value, save=True)
    return h, (x.value, w_x.value if x.perturbed else None, w_h.value, h, saved)


def _lstm_backward(residuals, d_h):
    x, w_x, w_h, h, saved = residuals
    d_h = filled(d_h)
    pre, batch, n = x.shape[2], x.shape[1], len(w_h)
    depth, width = 1 + pre + n, up(n, LANES)
    weights = _tiled(w_h.T) if w_x is None else jnp.concatenate([_tiled(w_h.T), _tiled(w_x.T)])
    out = (up(depth, 4), stride_of(4 * n))
    words = stride_of(3 * n + width) + width + len(weights) * LANES + out[0]

    def call(devices: int, x, weights, h, saved, d_h):
        dx = (0, 0, 0) if w_x is None else x.shape
        dw, dx, _ = _call(x, n, words, out, dx, devices, weights, h, saved, d_h, back=True)
        return added(dw), dx

    room = _room(batch)
    check_shared(batch, -(-batch // room) if batch % room == 0 else 1)
    arguments, axes = (whole(x), weights, whole(h), saved, whole(d_h)), (1, None, 1, 0, 1)
    dw, dx = share_out(call, batch, arguments, axes, (SUMMED, 1), added)
    dw = dw[:depth, : 4 * n]
    return None if w_x is None else whole(dx), dw[1 : 1 + pre], dw[1 + pre :], dw[0]


_lstm.defvjp(_lstm_forward, _lstm_backward, symbolic_zeros=True)


def fits(w_x: Float[Array, "pre gates"], w_h: Float[Array, "n gates"]) -> bool:
    """Tell whether the weights fit the cache (2 MB); XLA's products are quicker for larger ones."""
    return 4 * (1 + len(w_x) + len(w_h)) * w_h.shape[1] <= _MAX_BYTES


def lstm(
    x: Float[Array, "time batch pre"],
    w_x: Float[Array, "pre gates"],
    w_h: Float[Array, "n gates"],
    bias: Float[Array, " gates"],
) -> Float[Array, "time batch n"]:
    """Long short-term memory over the sequence, from `h = c = 0`.

        i, f, g, o = split(x[t] W_x + h[t-1] W_h + bias, 4)
        c[t] = sigmoid(f) c[t-1] + sigmoid(i) tanh(g)
        h[t] = sigmoid(o) tanh(c[t])

    All arrays are float32, and the weights fit the cache; see `fits`. Only first derivatives in reverse mode exist; for
    others the reference runs.

    Args:
        x: input.
        w_x: weights of the input, gates in the order i, f, g, o.
        w_h: weights of the previous output.
        bias: bias of the gates.

    Returns:
        h at every step.

    Example:
        >>> h = lstm(jnp.ones((7, 2, 5)), jnp.zeros((5, 12)), jnp.zeros((3, 12)), jnp.ones(12))
        >>> h.shape, round(float(h[0, 0, 0]), 4)  # sigmoid(1) tanh(sigmoid(1) tanh(1))
        ((7, 2, 3), 0.3696)

    Source: Hochreiter & Schmidhuber (1997), DOI 10.1162/neco.1997.9.8.1735; backward: Greff et al. (2017), section
    II-B, DOI 10.1109/TNNLS.2016.2582924.
    """
    return _lstm(*alike(x, w_x, w_h, bias))
