"""LSTM over whole sequences on the CPU, forward and backward; `snnlab.kernels.cpu.calls_lstm` makes it a JAX function.

A block of samples runs through all steps on one core, which keeps the weights in its cache. With the rows
`r[t] = [1, x[t], h[t-1]]` and the weights `W = [bias; W_x; W_h]`, nearly all the work is three products:

    a[t]  = r[t] W                        forward
    dr[t] = da[t] W^T                     backward; the bias's column is left out, that of x unless it is wanted
    dW    = sum over t of r[t]^T da[t]    backward

The way back needs i, f, g, o, c of every step, which take 20 bytes a step and unit (units rounded up to 16), and h,
4 bytes.
"""

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import ffi
from snnlab.kernels.cpu.calls_lstm import stride_of, up
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data
from snnlab.kernels.cpu.memory import after_floats, get_float, get_int, named_word, set_float
from snnlab.kernels.cpu.product import Matrix, add_product
from snnlab.kernels.cpu.simd import clear, exp, fill, load, select, store
from snnlab.kernels.packed import LANES

_OPTIONS, _X, _WEIGHTS, _H, _SAVED, _D_H = range(6)  # arguments; the last three backward only
_BLOCKS, _ROOM, _UNITS, _BACK = range(4)  # entries of the options: blocks, samples in each, units, 1 for backward
_OUT, _MORE, _SCRATCH = range(3)  # results: h, or dW of every block; the saved gates, or dx; scratch memory
_SAVED_ROWS = 5  # saved values per unit and step: i, f, g, o, c

_up, _stride = njit(up), njit(stride_of)

# tanh(x) = x p(x^2) / q(x^2) on -8..8: rational fit with the least maximum relative error (Lawson's iteration).
_P = np.float32([1.0, 1.3446797511664424e-1, 3.5743159503715096e-3, 2.193916843474553e-5, 1.5292524320323525e-8])
_Q = np.float32([1.0, 4.6780126823399826e-1, 2.6174813748394737e-2, 3.415722942466639e-4, 8.547719848492315e-7])


@njit
def _tanh(x):
    """`tanh(x)` to 3e-7 relative; NaN stays NaN, without which a diverging training would go unnoticed."""
    x = select(x >= fill(float32(8.0)), fill(float32(8.0)), x)
    x = select(fill(float32(-8.0)) >= x, fill(float32(-8.0)), x)
    y, p, q = x * x, fill(_P[4]), fill(_Q[4])
    for k in range(3, -1, -1):
        p, q = p * y + fill(_P[k]), q * y + fill(_Q[k])
    return x * p / q


@njit
def _sigmoid(x):
    """`1 / (1 + e^-x)` to 2e-7 relative; NaN stays NaN."""
    one = fill(float32(1.0))
    return select(x >= x, one / (one + exp(fill(float32(0.0)) - x)), x)


@njit
def _copy(source, to, count):
    """Copy `count` floats, or write zeros if the source is 0."""
    for k in range(count):
        set_float(to, k, get_float(source, k) if source else float32(0.0))


@njit
def _gates(a, n, width, c, h, saved):
    """Compute the rest of `dynamics.lstm_step` for one sample, from its product `a`."""
    for k in range(0, width, LANES):
        i, f = _sigmoid(load(a, k)), _sigmoid(load(a, n + k))
        g, o = _tanh(load(a, 2 * n + k)), _sigmoid(load(a, 3 * n + k))
        new = f * load(c, k) + i * g
        store(c, k, new)
        store(h, k, o * _tanh(new))
        if saved:
            place = _SAVED_ROWS * k
            store(saved, place, i)
            store(saved, place + LANES, f)
            store(saved, place + 2 * LANES, g)
            store(saved, place + 3 * LANES, o)
            store(saved, place + 4 * LANES, new)


@njit
def _gates_back(saved, before, n, width, dh, dc, da):
    """Go back through one step of one sample: compute `da` from `dh`, and take `dc` from c[t] to c[t-1].

    Tiles are visited last to first: what the last one writes beyond its gate, the next gate's first tile overwrites.
    """
    one = fill(float32(1.0))
    for k in range(width - LANES, -1, -LANES):
        place = _SAVED_ROWS * k
        i, f, g = load(saved, place), load(saved, place + LANES), load(saved, place + 2 * LANES)
        o, tanh_c = load(saved, place + 3 * LANES), _tanh(load(saved, place + 4 * LANES))
        c_before = load(before, place + 4 * LANES) if before else fill(float32(0.0))
        d_o = load(dh, k) * tanh_c
        d = load(dc, k) + load(dh, k) * o * (one - tanh_c * tanh_c)
        store(dc, k, d * f)
        store(da, k, d * g * i * (one - i))
        store(da, n + k, d * c_before * f * (one - f))
        store(da, 2 * n + k, d * i * (one - g * g))
        store(da, 3 * n + k, d_o * o * (one - o))


@njit
def _sizes(frame, block):
    """Return the numbers of steps, samples, inputs and units; then the block's room for samples, its first sample, and
    how many it has."""
    options, batch = data(frame, ARGUMENTS, _OPTIONS), ffi.size(frame, ARGUMENTS, _X, 1)
    n, room = get_int(options, _UNITS), get_int(options, _ROOM)
    steps, pre = ffi.size(frame, ARGUMENTS, _X, 0), ffi.size(frame, ARGUMENTS, _X, 2)
    return steps, batch, pre, n, room, block * room, min(room, batch - block * room)


@njit
def _forward(frame, block):
    steps, batch, pre, n, room, first, samples = _sizes(frame, block)
    x, weights, tiles = data(frame, ARGUMENTS, _X), data(frame, ARGUMENTS, _WEIGHTS), _up(4 * n, LANES) // LANES
    h, saved, saves = data(frame, RESULTS, _OUT), data(frame, RESULTS, _MORE), ffi.size(frame, RESULTS, _MORE, 0)
    width, scratch = _up(n, LANES), ffi.size(frame, RESULTS, _SCRATCH, 1)
    stride, depth, row = _stride(3 * n + width), 1 + pre + n, 1 + pre + width
    a = after_floats(data(frame, RESULTS, _SCRATCH), block * scratch)
    c = after_floats(a, room * stride)
    r = after_floats(c, room * width)
    clear(a, scratch // LANES)
    for t in range(steps):
        for s in range(samples):
            set_float(r, s * row, float32(1.0))
            _copy(after_floats(x, (t * batch + first + s) * pre), after_floats(r, s * row + 1), pre)
        clear(a, room * stride // LANES)
        rows, w = Matrix(r, row, 1), Matrix(weights, LANES, depth * LANES)
        add_product(Matrix(a, stride, LANES), rows, w, depth, 0, samples, tiles)
        for s in range(samples):
            now = after_floats(r, s * row + 1 + pre)
            place = after_floats(saved, _SAVED_ROWS * ((first + s) * steps + t) * width)
            _gates(after_floats(a, s * stride), n, width, after_floats(c, s * width), now, place if saves else 0)
            _copy(now, after_floats(h, (t * batch + first + s) * n), n)


@njit
def _backward(frame, block):
    steps, batch, pre, n, room, first, samples = _sizes(frame, block)
    x, h, d_h = data(frame, ARGUMENTS, _X), data(frame, ARGUMENTS, _H), data(frame, ARGUMENTS, _D_H)
    weights, tiles = data(frame, ARGUMENTS, _WEIGHTS), ffi.size(frame, ARGUMENTS, _WEIGHTS, 0)
    width, back, stride = _up(n, LANES), tiles * LANES, _stride(3 * n + _up(n, LANES))
    depth, columns = ffi.size(frame, RESULTS, _OUT, 1), ffi.size(frame, RESULTS, _OUT, 2)
    d_weights = after_floats(data(frame, RESULTS, _OUT), block * depth * columns)
    scratch = ffi.size(frame, RESULTS, _SCRATCH, 1)
    da = after_floats(data(frame, RESULTS, _SCRATCH), block * scratch)
    dc = after_floats(da, room * stride)
    dr = after_floats(dc, room * width)  # that of h[t-1], and behind it that of x[t] if it is wanted
    r = after_floats(dr, room * back)
    clear(da, scratch // LANES)
    clear(d_weights, depth * columns // LANES)
    for t in range(steps - 1, -1, -1):
        for s in range(samples):
            at, dh = t * batch + first + s, after_floats(dr, s * back)
            set_float(r, s * depth, float32(1.0))
            _copy(after_floats(x, at * pre), after_floats(r, s * depth + 1), pre)
            _copy(after_floats(h, (at - batch) * n) if t > 0 else 0, after_floats(r, s * depth + 1 + pre), n)
            for k in range(n):
                set_float(dh, k, get_float(dh, k) + get_float(d_h, at * n + k))
            place = after_floats(data(frame, ARGUMENTS, _SAVED), _SAVED_ROWS * ((first + s) * steps + t) * width)
            before = after_floats(place, -_SAVED_ROWS * width) if t > 0 else 0
            _gates_back(place, before, n, width, dh, after_floats(dc, s * width), after_floats(da, s * stride))
        of_weights, d_a = Matrix(d_weights, columns, LANES), Matrix(da, stride, LANES)
        add_product(of_weights, Matrix(r, 1, depth), d_a, samples, 0, depth, _up(4 * n, LANES) // LANES)
        clear(dr, room * tiles)
        d_gates, w = Matrix(da, stride, 1), Matrix(weights, LANES, 4 * n * LANES)
        add_product(Matrix(dr, back, LANES), d_gates, w, 4 * n, 0, samples, tiles)
        for s in range(samples if back > width else 0):
            dx = after_floats(data(frame, RESULTS, _MORE), (t * batch + first + s) * pre)
            _copy(after_floats(dr, s * back + width), dx, pre)


@ffi.over_blocks
def _compute(frame, block):
    if get_int(data(frame, ARGUMENTS, _OPTIONS), _BACK) == 1:
        _backward(frame, block)
    else:
        _forward(frame, block)


@ffi.register("snnlab_lstm")
def _kernel(pointer):
    _compute(pointer, named_word("snnlab_lstm"))
    return 0
