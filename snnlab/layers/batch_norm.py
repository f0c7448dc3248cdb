"""Batch normalization of what arrives at neurons: `BatchNorm`."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.kernels import Drive, Statistics
from snnlab.support import arguments


class BatchNorm(nnx.Module):
    """Normalize what arrives at each neuron, or at each channel of a convolution, before the synapse:

        y = scale (x - mean) / sqrt(var + epsilon) + offset

    In training, `mean` and `var` are those of the batch, over samples, time steps and places, and gradients flow
    through them; in the mode of `eval()` they are running averages. Running averages are multiplied into the weights,
    so that events drive the kernels as ever:

        W <- W scale / sqrt(var + epsilon),  b <- offset - mean scale / sqrt(var + epsilon)

    So it is with the mean and variance of a batch, where spikes of more than a few steps go to a convolution. All else
    that arrives in training is computed densely.

    The averages are those of all batches at first, so that they are of use after a single step, and forget old batches
    exponentially later on. Steps after the end of a short sequence count, too.

        mean <- mean + (mean of the batch - mean) max(1 - momentum, 1 / batches seen)

    Args:
        features: number of neurons, or of channels.
        momentum: share of an average that a batch leaves, 0 to 1.
        epsilon: added to the variance, > 0.
        start: of `scale`: the deviation of what reaches the neurons, in the unit of their voltages. Give their
            threshold above rest, see the source.

    Attributes:
        scale, offset: learned, one per feature.
        mean, var: running averages, 0 and 1 at the start.
        seen: number of batches.
        use_running_average: as `train()` and `eval()` set it; like a network, a new one is in the mode of `eval()`.

    Raises:
        ArgumentError: if a value is out of range.

    Source: Ioffe & Szegedy (2015), arXiv:1502.03167; over time, and with the threshold as the scale: Zheng et al.
    (2021), DOI 10.1609/aaai.v35i12.17320.

    Example:
        >>> from snnlab.layers import LifRef, Projection
        >>> layer = Projection(2, LifRef(3), norm=BatchNorm(3), rngs=nnx.Rngs(0))
        >>> layer.train()
        >>> arriving = layer.drive(jax.random.normal(jax.random.key(0), (5, 8, 2))).arriving()
        >>> jnp.abs(arriving.mean((0, 1))).round(3).tolist(), arriving.std((0, 1)).round(3).tolist()
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    """

    def __init__(self, features: int, *, momentum: float = 0.9, epsilon: float = 1e-5, start: float = 1.0):
        self.features = arguments.count("features", features)
        self.momentum = arguments.number("momentum", momentum, 0.0, 1.0)
        self.epsilon = arguments.number("epsilon", epsilon, 0.0, strict=True)
        start = arguments.number("start", start, 0.0, strict=True)
        self.scale = nnx.Param(jnp.full(features, start, jnp.float32))
        self.offset = nnx.Param(jnp.zeros(features, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros(features, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(features, jnp.float32))
        self.seen = nnx.BatchStat(jnp.int32(0))
        self.use_running_average = True  # NNX's name of the mode

    def __call__(self, drive: Drive) -> Drive:
        """Return what arrives, normalized."""
        if self.use_running_average:
            kernel, bias = self.folded(drive.weights)
            return replace(drive, kernel=kernel, bias=bias)
        drive, statistics = kernels.normalized(drive, self.scale[...], self.offset[...], self.epsilon)
        self._remember(statistics)
        return drive

    def folded(self, kernel: Float[Array, "pre n"]) -> tuple[Float[Array, "pre n"], Float[Array, " n"]]:
        """Return weights with the running averages in them, and biases."""
        averages = Statistics(self.mean[...], self.var[...])
        factor, bias = kernels.folded(self.scale[...], self.offset[...], averages, self.epsilon)
        return kernel * factor, bias

    def _remember(self, statistics: Statistics) -> None:
        """Let a batch move the running averages."""
        self.seen[...] += 1
        rate = jnp.maximum(1.0 - self.momentum, 1.0 / self.seen[...])
        for average, now in zip((self.mean, self.var), statistics, strict=True):
            average[...] += rate * (jax.lax.stop_gradient(now) - average[...])
