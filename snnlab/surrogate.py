"""Spike functions: a step forward, a smooth surrogate derivative backward.

A spike is `s = H(x)` with `x = v - v_th` and `H(x) = 1 for x >= 0, else 0`. Its derivative is
zero almost everywhere, so learning replaces it by a bump `h(slope * x)`. All bumps here follow
one convention, so that they can be compared and exchanged: **the peak is 1** and `slope` is
the inverse width. Other simulators scale theirs differently; each docstring gives the conversion.

`slope` is an ordinary traced value: changing it retraces nothing.

Source: Neftci, Mostafa & Zenke (2019), Surrogate gradient learning in spiking neural networks,
IEEE Signal Processing Magazine 36(6), DOI 10.1109/MSP.2019.2931595.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab import accepted
from snnlab.support import arguments


class Surrogate(NamedTuple):
    """A spike function in three parts.

    Attributes:
        spike: `(x, slope) -> s`: the step `x >= 0`, differentiable through `derivative`.
        derivative: `(x, slope) -> ds/dx`, peak 1 at `x = 0`.
        smooth: `(x, slope)`: the antiderivative of `derivative`, zero at `x = 0`. With it in place of
            the step, the true gradient of the network is the surrogate gradient.

    Example:
        >>> x = jnp.array([-0.1, 0.0, 0.1])
        >>> arctan.spike(x, 10.0).tolist(), arctan.derivative(x, 10.0).tolist()
        ([0.0, 1.0, 1.0], [0.5, 1.0, 0.5])
    """

    spike: Callable
    derivative: Callable
    smooth: Callable


def make_surrogate(derivative: Callable, smooth: Callable) -> Surrogate:
    """Build a spike function from its surrogate derivative.

    Args:
        derivative: `(x, slope) -> ds/dx`, elementwise.
        smooth: its antiderivative in `x`, elementwise.

    Returns:
        The `Surrogate`; pass it to a layer as `surrogate=`.

    Example:
        >>> boxcar = make_surrogate(
        ...     lambda x, slope: (abs(slope * x) < 1.0) * 1.0,
        ...     lambda x, slope: jnp.clip(x, -1.0 / slope, 1.0 / slope),
        ... )
        >>> jax.grad(boxcar.spike)(0.1, 5.0).item(), jax.grad(boxcar.spike)(0.3, 5.0).item()
        (1.0, 0.0)
    """
    return Surrogate(Step(derivative), derivative, smooth)


@dataclass(frozen=True)
class Step:
    """The step `x >= 0` as a spike function: equal to another one with the same derivative, so it can be pickled.

    Args:
        derivative: that stands in for its own.

    Example:
        >>> Step(arctan.derivative) == arctan.spike, Step(arctan.derivative)(jnp.float32(0.1), 10.0).item()
        (True, 1.0)
    """

    derivative: Callable

    def __call__(self, x: Float[Array, "..."], slope) -> Float[Array, "..."]:
        return _step(self.derivative, x, slope)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _step(derivative: Callable, x, slope):
    return jnp.where(x >= 0, 1.0, 0.0).astype(jnp.result_type(x, jnp.float32))


@_step.defjvp
def _step_jvp(derivative: Callable, primals, tangents):
    # The step does not depend on the slope, so neither does its derivative in the slope.
    x, slope = primals
    return _step(derivative, x, slope), derivative(x, slope) * tangents[0]


def _inv_square(x: Float[Array, "..."], slope) -> Float[Array, "..."]:
    return 1.0 / (1.0 + slope * jnp.abs(x)) ** 2


def _inv_square_smooth(x, slope):
    return x / (1.0 + slope * jnp.abs(x))


def _arctan(x, slope):
    return 1.0 / (1.0 + (slope * x) ** 2)


def _arctan_smooth(x, slope):
    return jnp.arctan(slope * x) / slope


def _sigmoid(x, slope):
    s = jax.nn.sigmoid(slope * x)
    return 4.0 * s * (1.0 - s)


def _sigmoid_smooth(x, slope):
    return 4.0 * (jax.nn.sigmoid(slope * x) - 0.5) / slope


def _triangular(x, slope):
    return jnp.maximum(0.0, 1.0 - slope * jnp.abs(x))


def _triangular_smooth(x, slope):
    u = jnp.clip(slope * x, -1.0, 1.0)
    return (u - 0.5 * u * jnp.abs(u)) / slope


def _gaussian(x, slope):
    return jnp.exp(-0.5 * (slope * x) ** 2)


def _gaussian_smooth(x, slope):
    return jnp.sqrt(jnp.pi / 2.0) * jax.scipy.special.erf(slope * x / jnp.sqrt(2.0)) / slope


inv_square = make_surrogate(_inv_square, _inv_square_smooth)
"""Fast sigmoid: `1 / (1 + slope |x|)^2`. BrainPy's `InvSquareGrad(alpha=slope)`, SpyTorch's SuperSpike,
snnTorch's `fast_sigmoid(slope)`. Zenke & Ganguli (2018), DOI 10.1162/neco_a_01086."""

arctan = make_surrogate(_arctan, _arctan_smooth)
"""`1 / (1 + (slope x)^2)`. snnTorch's `atan(alpha)` is this with `slope = pi alpha / 2`, times `alpha / 2`.
Fang et al. (2021), DOI 10.1109/ICCV48922.2021.00266."""

sigmoid = make_surrogate(_sigmoid, _sigmoid_smooth)
"""`4 q (1 - q)`, `q = 1 / (1 + e^(-slope x))`. BrainPy's and SpikingJelly's `Sigmoid(alpha)` is this times `alpha / 4`.
Neftci, Mostafa & Zenke (2019), DOI 10.1109/MSP.2019.2931595."""

triangular = make_surrogate(_triangular, _triangular_smooth)
"""`max(0, 1 - slope |x|)`. Esser et al. (2016), DOI 10.1073/pnas.1604850113; Bellec et al. (2018) damp it by 0.3."""

gaussian = make_surrogate(_gaussian, _gaussian_smooth)
"""`e^(-(slope x)^2 / 2)`. Yin, Corradi & Bohte (2021), DOI 10.1038/s42256-021-00397-w."""

SURROGATES: dict[str, Surrogate] = {
    "inv_square": inv_square,
    "arctan": arctan,
    "sigmoid": sigmoid,
    "triangular": triangular,
    "gaussian": gaussian,
}


def get_surrogate(surrogate: str | Surrogate) -> Surrogate:
    """Look a surrogate up by name; a `Surrogate` passes through.

    Raises:
        ArgumentError: if the name is unknown.

    Example:
        >>> float(get_surrogate("inv_square").derivative(jnp.float32(0.1), 10.0))
        0.25
    """
    if isinstance(surrogate, Surrogate):
        return surrogate
    return SURROGATES[arguments.choice("surrogate", surrogate, accepted.SURROGATES)]
