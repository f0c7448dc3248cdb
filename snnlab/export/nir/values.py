"""What stands in a NIR node, checked: every function raises a one-line `ArgumentError` that names the field."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.errors import ArgumentError
from snnlab.export.nir.graph import kind
from snnlab.support import arguments

MAX_UNITS = 2**22
"""Of a layer, four times the pixels of an HD event camera: a shape is quickly written into a file, and memory for it
quickly asked for."""


def values(node, name: str, shape: tuple[int, ...], low: float = -math.inf) -> np.ndarray:
    """A parameter, one number per unit."""
    array = arguments.numbers(name, getattr(node, name), low)
    if math.prod(shape) > MAX_UNITS:
        raise ArgumentError(f"{name}: {shape} arrives here, that is more than {MAX_UNITS} units")
    if array.size > 1 and array.shape != shape:
        raise ArgumentError(f"{name}: has shape {array.shape}, but {shape} arrives here")
    return np.broadcast_to(array.ravel(), (math.prod(shape),)).copy()


def matrix(node) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights (in, out) and bias of a Linear or Affine node."""
    weight = arguments.numbers("weight", node.weight)
    bias = arguments.numbers("bias", node.bias) if kind(node) == "Affine" else None
    if weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
        shapes = [weight.shape] if bias is None else [weight.shape, bias.shape]
        raise ArgumentError(f"weight, bias: must be of shapes (out, in) and (out,), got {shapes}")
    return weight.T.astype(np.float32), None if bias is None else bias.astype(np.float32)


def whole(name: str, value, count: int | None = None, low: int = 0) -> tuple[int, ...]:
    """Whole numbers; one stands for all dimensions."""
    array = arguments.numbers(name, value, low).ravel()
    if (array != array.round()).any() or (count is not None and len(array) not in (1, count)):
        raise ArgumentError(f"{name}: must be whole numbers, one or {count}, got {value}")
    return tuple(int(v) for v in np.broadcast_to(array, (count,) if count else array.shape))


def padding(value, reach, stride) -> tuple[tuple[int, int], ...]:
    """(before, after) of each dimension; "same" puts the odd zero after."""
    value = value.decode() if isinstance(value, bytes) else value
    if isinstance(value, str):
        arguments.choice("padding", value, ("same", "valid"))
        if value == "same" and max(stride) > 1:
            raise ArgumentError(f"padding: 'same' needs a stride of 1, got {stride}")
        return tuple((r // 2, r - r // 2) if value == "same" else (0, 0) for r in reach)
    return tuple((k, k) for k in whole("padding", value, len(reach)))


def above(threshold: np.ndarray) -> np.ndarray:
    """The least voltage that is strictly above: the next larger single."""
    return np.nextafter(threshold.astype(np.float32), np.float32(np.inf))


def one(array: np.ndarray | None) -> np.ndarray | float | None:
    """A number, where all are the same: then it is one knob."""
    return array if array is None or (array != array.flat[0]).any() else array.flat[0].item()


def single(array: np.ndarray) -> Float[Array, "..."]:
    """As the layers hold it."""
    return jnp.asarray(array, jnp.float32)
