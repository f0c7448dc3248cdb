"""Arithmetic in float32 as the CPU kernels do it: a product and a sum are one operation, rounded once.

`js/exact.js` is the same for the page.
"""

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]

TINY = np.float32(2.0**-126)  # what is nearer to 0 becomes 0, as in programs of XLA
_CLOSE = np.array(12582912.0, np.float32)  # 1.5 * 2^23: adding it rounds to whole numbers
_LOG2E, _HIGH, _LOW = np.array([1.4426950408889634, 0.693359375, 2.12194440e-4], np.float32)
_TAYLOR = np.array([1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0], np.float32)
_P = np.array(
    [1.5292524320323525e-8, 2.193916843474553e-5, 3.5743159503715096e-3, 1.3446797511664424e-1, 1.0], np.float32
)
_Q = np.array(
    [8.547719848492315e-7, 3.415722942466639e-4, 2.6174813748394737e-2, 4.6780126823399826e-1, 1.0], np.float32
)


def flushed(x: Single) -> Single:
    """Set what is too small for a normal float32 to 0.

    Example:
        >>> flushed(np.float32([1e-40, 1e-30])).tolist()[0]
        0.0
    """
    return np.where(np.abs(x) < TINY, np.float32(0.0), x)


def fused(a: Single, b: Single, c: Single) -> Single:
    """`a b + c`, rounded once.

    The product of two float32 is exact in float64. The sum need not be: where it lies in the middle between two
    float32, what float64 has lost decides.

    Example:
        >>> a = np.float32(1.0 + 2.0**-12)
        >>> float(fused(a, a, np.float32(-1.0))), float(a * a - np.float32(1.0))  # 2^-11 + 2^-24
        (0.0004883408546447754, 0.00048828125)

    Source: Knuth (1997), The Art of Computer Programming, volume 2, section 4.2.2, for the sum.
    """
    product, addend = np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)
    total = product + addend
    near = total.astype(np.float32).astype(np.float64)
    rest = total - near
    other, back = near + 2.0 * rest, total - product
    lost = (product - (total - back)) + (addend - back)
    beyond = (rest != 0.0) & (other.astype(np.float32) == other) & (lost != 0.0) & ((lost > 0.0) == (rest > 0.0))
    return flushed(np.where(beyond, other, near).astype(np.float32))


def times(a: Single, b: Single) -> Single:
    """`a b`.

    Example:
        >>> float(times(np.float32(1e-30), np.float32(1e-30)))
        0.0
    """
    return flushed(np.asarray(a * b))


def _polynomial(coefficients: Single, x: Single) -> Single:
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value = fused(value, x, c)
    return value


def exp(x: Single) -> Single:
    """`e^x`, by the steps of `snnlab.kernels.cpu.simd.exp`.

    Example:
        >>> round(float(exp(np.float32(1.0))), 5)
        2.71828
    """
    x = np.clip(x, np.float32(-87.0), np.float32(88.0))
    k = fused(x, _LOG2E, _CLOSE) - _CLOSE
    r = fused(k, _LOW, fused(-k, _HIGH, x))
    return times(_polynomial(_TAYLOR, r), np.exp2(k))


def tanh(x: Single) -> Single:
    """By the steps of `snnlab.kernels.cpu.lstm`.

    Example:
        >>> round(float(tanh(np.float32(0.5))), 5)
        0.46212
    """
    x = np.clip(x, np.float32(-8.0), np.float32(8.0))
    y = times(x, x)
    return flushed(times(x, _polynomial(_P, y)) / _polynomial(_Q, y))


def sigmoid(x: Single) -> Single:
    """`1 / (1 + e^-x)`, by the steps of `snnlab.kernels.cpu.lstm`.

    Example:
        >>> float(sigmoid(np.float32(0.0)))
        0.5
    """
    one = np.float32(1.0)
    return flushed(one / (one + exp(-x)))
