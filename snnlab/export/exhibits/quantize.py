"""Weights of 8 bits: whole numbers of -127 to 127, times a scale for each neuron."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.models import Network

_KERNELS = ("kernel", "recurrent_kernel", "w_x", "w_h")


def quantized(network: Network) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Round the weights of a network in place; return whole numbers and scales of each layer's kernels by its name.

        w <- scale round(w / scale),   scale = max |w| / 127 over the weights to a neuron

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> (whole, scale), = quantized(net)["hidden"]
        >>> whole.dtype.name, bool((whole * scale == net.stack.layers["hidden"].kernel[...]).all())
        ('int8', True)
    """
    found: dict[str, Any] = {}
    for name in network.stack.names:
        layer = network.stack.layers[name]
        kernels = [kernel for kernel in _KERNELS if isinstance(getattr(layer, kernel, None), nnx.Variable)]
        found[name] = [_round(getattr(layer, kernel)) for kernel in kernels]
    return found


def _round(variable: nnx.Variable) -> tuple[np.ndarray, np.ndarray]:
    weights = np.asarray(variable[...])
    scale = (np.abs(weights).max(0) / np.float32(127.0)).astype(np.float32)
    whole = np.round(weights / np.where(scale > 0.0, scale, np.float32(1.0))).clip(-127, 127).astype(np.int8)
    variable[...] = jnp.asarray(whole * scale)
    return whole, scale
