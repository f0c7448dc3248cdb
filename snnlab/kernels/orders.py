"""Which derivatives are being taken of an array. The kernels have the first one, in reverse mode; others run on the
reference.

JAX tells by the class of the tracer that stands for the array: a `JVPTracer` means forward mode; two of reverse mode,
one inside the other, a second derivative. Where `jax.jit` comes between, an array no longer shows it.
"""

import functools

import jax
from jax.core import Tracer
from jax.interpreters import ad

from snnlab.errors import StateError


def at_most_gradient(*trees) -> bool:
    """Whether no derivative, or the first one in reverse mode, is being taken of every array.

    Example:
        >>> seen = []
        >>> def square(x):
        ...     seen.append(at_most_gradient(x))
        ...     return x * x
        >>> _ = square(1.0), jax.grad(square)(1.0), jax.jvp(square, (1.0,), (1.0,)), jax.grad(jax.grad(square))(1.0)
        >>> seen
        [True, True, False, False]
    """
    return all(_count(leaf) <= 1 for leaf in jax.tree.leaves(trees))


def _count(array) -> int:
    """The number of derivatives in reverse mode; forward mode counts as two."""
    count = 0
    while isinstance(array, Tracer):
        if isinstance(array, ad.JVPTracer):
            count += 2
        elif type(array).__name__ == "LinearizeTracer":
            count += 1
        array = getattr(array, "primal", getattr(array, "val", None))
    return count


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def no_more(function, *arguments):
    """Call a function that has no derivative, as half of one that has its own.

    Raises:
        StateError: if a derivative is taken of it, because `jax.jit` hid that from `at_most_gradient`.

    Example:
        >>> jax.jvp(lambda x: no_more(jax.numpy.sin, x), (1.0,), (1.0,))
        Traceback (most recent call last):
        snnlab.errors.StateError: the kernels have gradients, in reverse mode, and no other derivatives; ...
    """
    return function(*arguments)


@no_more.defjvp
def _refused(function, primals, tangents):
    raise StateError(
        "the kernels have gradients, in reverse mode, and no other derivatives; inside jax.jit, set the "
        "environment variable SNNLAB_KERNELS=reference before the function is first called"
    )
