"""Loops that do one thing only, at the highest rate that this processor has for it, on vectors of 16, by numba.

Each takes addresses and a number of repetitions, releases the interpreter lock, and leaves its result where the
compiler cannot do without it. Several independent chains run side by side: a rate is a throughput and no latency.
"""

from numba import float32, njit

from snnlab.kernels.cpu.memory import get_int, set_half
from snnlab.kernels.cpu.simd import accumulate, fill, load, pack, select, store
from snnlab.kernels.packed import LANES

TILES = 7  # of 16 neurons: 100 and padding
ROW = TILES * LANES


@njit(nogil=True)
def products(out, count):
    """Eight chains of multiply-add; 8 operations a turn."""
    a, b = load(out, 0), load(out, LANES)
    p = q = r = s = t = u = v = w = load(out, 2 * LANES)
    for _ in range(count):
        p, q, r, s = p * a + b, q * b + a, r * a + a, s * b + b
        t, u, v, w = t * a - b, u * b - a, v * a - a, w * b - b
    store(out, 0, p + q + r + s + t + u + v + w)


@njit(nogil=True)
def mixture(out, count):
    """Five chains of multiply-add and five of additions, which may use other units; 10 operations a turn."""
    a, b = load(out, 0), load(out, LANES)
    p = q = r = s = x = t = u = v = w = y = load(out, 2 * LANES)
    for _ in range(count):
        p, q, r, s, x = p * a + b, q * b + a, r * a + a, s * b + b, x * a - b
        t, u, v, w, y = t + a, u + b, v - a, w - b, y + p
    store(out, 0, p + q + r + s + x + t + u + v + w + y)


@njit(nogil=True)
def quotients(out, count):
    """Four chains of divisions; 4 operations a turn."""
    a, p, q, r, s = load(out, 0), load(out, 16), load(out, 32), load(out, 48), load(out, 64)
    for _ in range(count):
        p, q, r, s = a / p, a / q, a / r, a / s
    store(out, 0, p + q + r + s)


@njit(nogil=True)
def add_rows(table, units, count, out):
    """Sum whole rows of 7 vectors, each of another unit."""
    p = q = r = s = t = u = v = fill(float32(0.0))
    for e in range(count):
        at = get_int(units, e) * ROW
        p, q = p + load(table, at), q + load(table, at + LANES)
        r, s = r + load(table, at + 2 * LANES), s + load(table, at + 3 * LANES)
        t, u = t + load(table, at + 4 * LANES), u + load(table, at + 5 * LANES)
        v = v + load(table, at + 6 * LANES)
    store(out, 0, p + q + r + s + t + u + v)


@njit(nogil=True)
def add_vectors(table, units, count, out):
    """Sum vectors of one tile, each of another unit; eight sums side by side."""
    p = q = r = s = t = u = v = w = fill(float32(0.0))
    for e in range(0, count - 7, 8):
        p, q = p + load(table, get_int(units, e) * LANES), q + load(table, get_int(units, e + 1) * LANES)
        r, s = r + load(table, get_int(units, e + 2) * LANES), s + load(table, get_int(units, e + 3) * LANES)
        t, u = t + load(table, get_int(units, e + 4) * LANES), u + load(table, get_int(units, e + 5) * LANES)
        v, w = v + load(table, get_int(units, e + 6) * LANES), w + load(table, get_int(units, e + 7) * LANES)
    store(out, 0, p + q + r + s + t + u + v + w)


@njit(nogil=True)
def change_rows(table, units, count, out):
    """Add to whole rows of 7 vectors in memory."""
    p, q, r, s = load(out, 0), load(out, 16), load(out, 32), load(out, 48)
    t, u, v = load(out, 64), load(out, 80), load(out, 96)
    for e in range(count):
        at = get_int(units, e) * ROW
        accumulate(table, at, p)
        accumulate(table, at + LANES, q)
        accumulate(table, at + 2 * LANES, r)
        accumulate(table, at + 3 * LANES, s)
        accumulate(table, at + 4 * LANES, t)
        accumulate(table, at + 5 * LANES, u)
        accumulate(table, at + 6 * LANES, v)


@njit(nogil=True)
def change_vectors(table, units, count, out):
    """Add to vectors of one tile in memory."""
    p = load(out, 0)
    for e in range(count):
        accumulate(table, get_int(units, e) * LANES, p)


@njit(nogil=True)
def neurons(out, steps):
    """LIF updates of four tiles side by side, with a constant input; 4 tile steps a turn."""
    a, b, x, gap = load(out, 0), load(out, 16), load(out, 32), load(out, 48)
    one, zero = fill(float32(1.0)), fill(float32(0.0))
    v, g, n = zero, x, zero
    w, h, m = zero, x + x, zero
    y, i, k = zero, x + b, zero
    z, j, o = zero, x + a, zero
    for t in range(steps):
        g, h, i, j = g * a + x, h * a + x, i * a + x, j * a + x
        v, w, y, z = v * b + g, w * b + h, y * b + i, z * b + j
        fv, fw, fy, fz = v >= gap, w >= gap, y >= gap, z >= gap
        v, w, y, z = select(fv, v - gap, v), select(fw, w - gap, w), select(fy, y - gap, y), select(fz, z - gap, z)
        n, m, k, o = (
            n + select(fv, one, zero),
            m + select(fw, one, zero),
            k + select(fy, one, zero),
            o + select(fz, one, zero),
        )
        place = 1024 + 4 * (t & 255)  # in halves: behind the vectors
        set_half(out, place, pack(fv))
        set_half(out, place + 1, pack(fw))
        set_half(out, place + 2, pack(fy))
        set_half(out, place + 3, pack(fz))
    store(out, 0, v + w + y + z + n + m + k + o)


@njit(nogil=True)
def copy(a, b, _c, count):
    """`a = b`: 8 bytes an element."""
    for k in range(0, count, 2 * LANES):
        store(a, k, load(b, k))
        store(a, k + LANES, load(b, k + LANES))


@njit(nogil=True)
def triad(a, b, c, count):
    """`a = b + s c`: 12 bytes an element."""
    scale = fill(float32(0.5))
    for k in range(0, count, 2 * LANES):
        store(a, k, load(b, k) + scale * load(c, k))
        store(a, k + LANES, load(b, k + LANES) + scale * load(c, k + LANES))


@njit(nogil=True)
def read(a, b, _c, count):
    """Sum: 4 bytes an element."""
    p = q = r = s = fill(float32(0.0))
    for k in range(0, count, 4 * LANES):
        p, q = p + load(b, k), q + load(b, k + LANES)
        r, s = r + load(b, k + 2 * LANES), s + load(b, k + 3 * LANES)
    store(a, 0, p + q + r + s)
