"""What a derivative rule of a kernel is told: which arguments have a gradient, and which results have none."""

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array


def values(tree):
    """Unwrap the arguments of a forward rule that also hears which of them are perturbed."""
    return jax.tree.map(lambda leaf: leaf.value, tree, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))


def any_perturbed(tree) -> bool:
    """Whether any argument of a forward rule has a gradient."""
    return any(leaf.perturbed for leaf in jax.tree.leaves(tree, is_leaf=lambda leaf: hasattr(leaf, "perturbed")))


@jax.tree_util.register_static
class Static(int):
    """A number among the residuals that is known while tracing."""


def is_zero(cotangent) -> bool:
    """Whether a result has no gradient, so that none needs to be read."""
    return isinstance(cotangent, SymbolicZero)


def filled(cotangent) -> Array:
    """Make an array of a gradient that may be a symbolic zero."""
    return jnp.zeros(cotangent.shape, cotangent.dtype) if is_zero(cotangent) else cotangent
