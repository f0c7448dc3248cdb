"""Vectors of 16 float32 as values in numba code.

A kernel then reads like its equations and keeps its state in registers; LLVM translates the vectors to what the
processor has (AVX-512, AVX2, NEON).

    v = load(address, i); v = v * a + g; s = v >= v_th; v = select(s, v_reset, v); store(address, i, v)
"""

import operator

from llvmlite import ir
from numba import float32, int64, njit, types, uint16
from numba.core.cgutils import get_or_insert_function
from numba.core.datamodel import models, register_default
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from snnlab.kernels.cpu.memory import accessors
from snnlab.kernels.packed import LANES

FLOAT, _INT = ir.FloatType(), ir.IntType(32)
FLOATS, _INTS, _BITS = (ir.VectorType(kind, LANES) for kind in (FLOAT, _INT, ir.IntType(1)))


class Vector(types.Type):
    """Type of 16 float32."""


class Mask(types.Type):
    """Type of 16 truth values."""


vector, mask = Vector("vector"), Mask("mask")


@register_default(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, FLOATS)


@register_default(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _BITS)


def _operator(symbol, result, generate):
    infer_global(symbol)(
        type(f"_{symbol.__name__}", (ConcreteTemplate,), {"cases": [signature(result, vector, vector)]})
    )
    lower_builtin(symbol, vector, vector)(
        lambda _context, builder, _signature, arguments: generate(builder, *arguments)
    )


# A product and a sum become one instruction where the processor has it; nothing else is reordered.
_TOGETHER = ["contract"]
_operator(operator.add, vector, lambda builder, a, b: builder.fadd(a, b, flags=_TOGETHER))
_operator(operator.sub, vector, lambda builder, a, b: builder.fsub(a, b, flags=_TOGETHER))
_operator(operator.mul, vector, lambda builder, a, b: builder.fmul(a, b, flags=_TOGETHER))
_operator(operator.truediv, vector, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.ge, mask, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))
_operator(operator.le, mask, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))


def multiply_add(builder, a, b, c):
    """Generate `a * b + c`."""
    return builder.fadd(builder.fmul(a, b, flags=_TOGETHER), c, flags=_TOGETHER)


def splat(builder, scalar, kind=FLOATS):
    """Generate a vector with the same number in all lanes."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))


load, store = accessors(vector, FLOAT, FLOATS, align=4)  # 16 values from an address and index on


@intrinsic
def fill(_context, _value):
    """Return a vector with the same number in all lanes."""
    return vector(float32), lambda _context, builder, _sig, arguments: splat(builder, arguments[0])


@intrinsic
def select(_context, _where, _yes, _no):
    """Take `yes` in the lanes where the mask is set and `no` in the others."""
    return vector(mask, vector, vector), lambda _context, builder, _sig, arguments: builder.select(*arguments)


@intrinsic
def pack(_context, _mask):
    """Convert a mask to 16 bits, lane 0 lowest."""
    return uint16(mask), lambda _context, builder, _sig, arguments: builder.bitcast(arguments[0], ir.IntType(16))


@intrinsic
def unpack(_context, _bits):
    """Convert 16 bits to a mask."""
    return mask(uint16), lambda _context, builder, _sig, arguments: builder.bitcast(arguments[0], _BITS)


@intrinsic
def trailing_zeros(_context, _bits):
    """Return the index of the lowest set bit."""

    def generate(_context, builder, _sig, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return int64(int64), generate


@intrinsic
def _power_of_two(_context, _x):
    """`2^x` for whole numbers in -126..127: the exponent field of a float."""

    def generate(_context, builder, _sig, arguments):
        whole = builder.fptosi(arguments[0], _INTS)
        biased = builder.add(whole, splat(builder, ir.Constant(_INT, 127), _INTS))
        return builder.bitcast(builder.shl(biased, splat(builder, ir.Constant(_INT, 23), _INTS)), FLOATS)

    return vector(vector), generate


@intrinsic
def square_root(_context, _x):
    """`sqrt(x)`."""

    def generate(_context, builder, _sig, arguments):
        kind = ir.FunctionType(FLOATS, [FLOATS])
        return builder.call(get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32"), arguments)

    return vector(vector), generate


@intrinsic
def count_ones(_context, _bits):
    """Count the set bits."""
    return int64(int64), lambda _context, builder, _sig, arguments: builder.ctpop(arguments[0])


@njit
def clear(address, count):
    """Write `count` vectors of zeros."""
    for k in range(count):
        store(address, k * LANES, fill(float32(0.0)))


@njit
def accumulate(address, index, value):
    """Add to 16 values in memory."""
    store(address, index, load(address, index) + value)


@njit
def absolute(x):
    """`|x|`."""
    zero = fill(float32(0.0))
    return select(x >= zero, x, zero - x)


@njit
def exp(x):
    """`e^x` to 2e-7 relative, for `x` in -87..88 (clipped to that): Cody and Waite's reduction, Taylor polynomial.

    Source: Cody & Waite (1980), Software Manual for the Elementary Functions, chapter 6.
    """
    low, high = fill(float32(-87.0)), fill(float32(88.0))
    x = select(low >= x, low, select(x >= high, high, x))  # NaN stays NaN
    magic = fill(float32(12582912.0))  # 1.5 * 2^23: adding it rounds to whole numbers
    k = x * fill(float32(1.4426950408889634)) + magic - magic
    r = x - k * fill(float32(0.693359375)) + k * fill(float32(2.12194440e-4))
    p = fill(float32(1.0 / 5040.0))
    p = p * r + fill(float32(1.0 / 720.0))
    p = p * r + fill(float32(1.0 / 120.0))
    p = p * r + fill(float32(1.0 / 24.0))
    p = p * r + fill(float32(1.0 / 6.0))
    p = p * r + fill(float32(0.5))
    p = p * r + fill(float32(1.0))
    p = p * r + fill(float32(1.0))
    return p * _power_of_two(k)


@njit
def cosine(x):
    """`cos x` to 2e-6, for `|x|` up to 1e4: `1 - 2 sin^2(r / 2)` with `r` in -pi..pi, and a Taylor polynomial.

    Source: Cody & Waite (1980), Software Manual for the Elementary Functions, chapter 8.
    """
    magic = fill(float32(12582912.0))  # as for `exp`
    k = x * fill(float32(0.15915494309189535)) + magic - magic  # whole turns
    h = fill(float32(0.5)) * (x - k * fill(float32(6.28125)) - k * fill(float32(0.0019353071795864769)))
    q = h * h
    p = fill(float32(-1.0 / 39916800.0))
    p = p * q + fill(float32(1.0 / 362880.0))
    p = p * q + fill(float32(-1.0 / 5040.0))
    p = p * q + fill(float32(1.0 / 120.0))
    p = p * q + fill(float32(-1.0 / 6.0))
    sine = h + h * q * p
    return fill(float32(1.0)) - (sine + sine) * sine
