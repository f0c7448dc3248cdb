"""Long short-term memory: `LSTM`."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.encode.events import as_sequence
from snnlab.layers.projection import check_width
from snnlab.layers.weights import glorot_normal, new_key
from snnlab.record import Trace
from snnlab.support import arguments


class LSTM(nnx.Module):
    """Long short-term memory layer; the equations are those of `dynamics.lstm_step`.

    Args:
        in_features: number of inputs at each step.
        features: number of units.
        forget_bias: initial bias of the forget gate; with 1 the cell remembers at first.
        rngs: random streams; `params` draws the weights (Glorot normal).

    Raises:
        ArgumentError: if a value is out of range, the random streams are none, or the input has another width.

    Example:
        >>> LSTM(5, 3, rngs=nnx.Rngs(0))(jnp.ones((7, 2, 5))).state.shape
        (7, 2, 3)

    Source: Hochreiter & Schmidhuber (1997), DOI 10.1162/neco.1997.9.8.1735.
    """

    def __init__(self, in_features: int, features: int, *, forget_bias: float = 1.0, rngs: nnx.Rngs):
        self.in_features = arguments.count("in_features", in_features)
        self.features = arguments.count("features", features)
        self.w_x = nnx.Param(glorot_normal(new_key(rngs), (in_features, 4 * features)))
        self.w_h = nnx.Param(glorot_normal(new_key(rngs), (features, 4 * features)))
        self.bias = nnx.Param(jnp.asarray(np.repeat([0.0, forget_bias, 0.0, 0.0], features), jnp.float32))

    def __call__(self, x: Float[Array, "time batch pre"]) -> Trace:
        x = as_sequence(x)
        check_width(x, self.in_features)
        return Trace(state=kernels.lstm(x, self.w_x[...], self.w_h[...], self.bias[...]))
