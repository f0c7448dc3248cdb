"""Read and write memory by its address in numba code, because a call from C passes addresses.

`get_x(address, index)` reads, `set_x(address, index, value)` writes, and `after_xs(address, count)` is the address
behind `count` elements. An element x is a word of 8 bytes, an int or a float of 4, or a half of 2. Nothing is checked
here: a kernel checks every number that came from outside before it uses it as an index.

Why addresses and not arrays: the elements of numba's arrays are scalars, while a kernel moves vectors of 16
(`snnlab.kernels.cpu.simd`); and a row of an array has a length and a reference count, with which adding to it takes a
tenth longer.
"""

import numpy as np
from llvmlite import ir
from numba import float32, int32, int64, types, uint16, void
from numba.extending import intrinsic

WORD = ir.IntType(64)
NOWHERE = np.int64(0)  # the address of what is absent; no literal, for which numba would compile a function anew


def accessors(value: types.Type, element: ir.Type, whole: ir.Type | None = None, align: int | None = None):
    """Make getter and setter of a numba type that is stored as `whole`; the index counts its `element`s."""

    def place(builder, address, index):
        first = builder.gep(builder.inttoptr(address, element.as_pointer()), [index])
        return builder.bitcast(first, (whole or element).as_pointer())

    def get(_typing, _address, _index):
        def generate(_context, builder, _signature, arguments):
            return builder.load(place(builder, *arguments), align=align)

        return value(int64, int64), generate

    def put(_typing, _address, _index, _value):
        def generate(context, builder, _signature, arguments):
            builder.store(arguments[2], place(builder, *arguments[:2]), align=align)
            return context.get_dummy_value()

        return void(int64, int64, value), generate

    return intrinsic(get), intrinsic(put)


get_word, set_word = accessors(int64, WORD)
get_int, set_int = accessors(int32, ir.IntType(32))
get_half, set_half = accessors(uint16, ir.IntType(16))
get_float, set_float = accessors(float32, ir.FloatType())


def _after(size: int):
    def after(_typing, _address, _count):
        def generate(_context, builder, _signature, arguments):
            return builder.add(arguments[0], builder.mul(arguments[1], WORD(size)))

        return int64(int64, int64), generate

    return intrinsic(after)


after_words, after_floats, after_ints, after_halves = _after(8), _after(4), _after(4), _after(2)


def follow(builder, place, *offsets):
    """Generate code that follows pointers: at each offset (in words) it reads the next address."""
    for offset in offsets:
        index = WORD(offset) if isinstance(offset, int) else offset
        place = builder.load(builder.gep(builder.inttoptr(place, WORD.as_pointer()), [index]))
    return place


@intrinsic
def address_of(_typing, array):
    """Return the address of an array's data.

    numba frees an array after its last use by name: take the address again inside the loop that uses it.
    """

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, WORD)

    return int64(array), generate


@intrinsic
def atomic_add(_typing, _address, _number):
    """Add to a word that several threads change; return the value before."""

    def generate(_context, builder, _signature, arguments):
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], WORD.as_pointer()), arguments[1], "seq_cst")

    return int64(int64, int64), generate


@intrinsic
def call(_typing, _function, _argument):
    """Call the C function at an address with one word; return its result."""

    def generate(_context, builder, _signature, arguments):
        kind = ir.FunctionType(WORD, [WORD]).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], kind), [arguments[1]])

    return int64(int64, int64), generate


@intrinsic(prefer_literal=True)
def named_word(_typing, name):
    """Read the word behind a symbol of the process at run time, so that a cached program works in any process."""

    def generate(_context, builder, signature, _arguments):
        symbol = signature.args[0].literal_value
        cell = builder.module.globals.get(symbol) or ir.GlobalVariable(builder.module, WORD, symbol)
        return builder.load(cell)

    return int64(name), generate


malloc = types.ExternalFunction("malloc", int64(int64))
free = types.ExternalFunction("free", void(int64))
