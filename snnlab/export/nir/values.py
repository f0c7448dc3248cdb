"""Read and check the fields of NIR nodes: every function raises a one-line `ArgumentError` that names the field."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.accepted import MAX_UNITS
from snnlab.errors import ArgumentError
from snnlab.export.nir.graph import kind
from snnlab.support import arguments


def values(node, name: str, shape: tuple[int, ...], low: float = -math.inf, *, infinite: bool = False) -> np.ndarray:
    """Return a parameter, one number per unit."""
    array = arguments.numbers(name, getattr(node, name), low, infinite=infinite)
    if math.prod(shape) > MAX_UNITS:
        raise ArgumentError(f"{name}: a layer must have at most {MAX_UNITS} units, got {shape}")
    if array.size > 1 and array.shape != shape:
        raise ArgumentError(f"{name}: must have shape {shape}, as the node before returns, got {array.shape}")
    return np.broadcast_to(array.ravel(), (math.prod(shape),)).copy()


def matrix(node) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the weights (in, out) and the bias of a Linear or Affine node."""
    weight = arguments.numbers("weight", node.weight)
    bias = arguments.numbers("bias", node.bias) if kind(node) == "Affine" else None
    if weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
        shapes = [weight.shape] if bias is None else [weight.shape, bias.shape]
        raise ArgumentError(f"weight, bias: must have shapes (out, in) and (out,), got {shapes}")
    return weight.T.astype(np.float32), None if bias is None else bias.astype(np.float32)


def whole(name: str, value, count: int | None = None, low: int = 0) -> tuple[int, ...]:
    """Return integers; one number stands for all dimensions."""
    array = arguments.numbers(name, value, low, MAX_UNITS).ravel()
    if (array != array.round()).any() or (count is not None and len(array) not in (1, count)):
        raise ArgumentError(f"{name}: must be integers, one or {count}, got {value}")
    return tuple(int(v) for v in np.broadcast_to(array, (count,) if count else array.shape))


def padding(value: Any, reach: Sequence[int], stride: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each dimension; "same" puts an odd zero after."""
    value = value.decode() if isinstance(value, bytes) else value
    if isinstance(value, str):
        arguments.choice("padding", value, ("same", "valid"))
        if value == "same" and max(stride) > 1:
            raise ArgumentError(f"padding: 'same' needs stride = 1, got {stride}")
        return tuple((r // 2, r - r // 2) if value == "same" else (0, 0) for r in reach)
    return tuple((k, k) for k in whole("padding", value, len(reach)))


def above(threshold: np.ndarray) -> np.ndarray:
    """Return the lowest voltage that is strictly above the threshold: the next larger float32."""
    return np.nextafter(threshold.astype(np.float32), np.float32(np.inf))


def one(array: np.ndarray | None) -> Any:
    """Return one number if all are the same, so that it becomes one knob; otherwise the array. None stays None."""
    return array if array is None or (array != array.flat[0]).any() else array.flat[0].item()


def single(array: np.ndarray) -> Float[Array, "..."]:
    """Convert to single precision, as layers do."""
    return jnp.asarray(array, jnp.float32)
