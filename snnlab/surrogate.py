"""Spike functions: a step forward, a smooth surrogate derivative backward.

A spike is `s = H(x)` with `x = v - v_th` and `H(x) = 1 for x >= 0, else 0`. Its derivative is
zero almost everywhere, so learning replaces it by a bump `h(y)` with `y = slope * x`. All bumps here follow
one convention, so that they can be compared and exchanged: **the value at the threshold is 1**, nowhere is it larger,
and `slope` is the inverse width. Other simulators scale theirs differently: the guide has a table of them all.

`slope` is an ordinary traced value: changing it retraces nothing.

Source: Neftci, Mostafa & Zenke (2019), Surrogate gradient learning in spiking neural networks,
IEEE Signal Processing Magazine 36(6), DOI 10.1109/MSP.2019.2931595.
"""

import functools
import math
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
        derivative: `(x, slope) -> ds/dx`, 1 at `x = 0` and nowhere larger.
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
        >>> one_sided = make_surrogate(
        ...     lambda x, slope: jnp.exp(-slope * jnp.maximum(x, 0.0)),
        ...     lambda x, slope: jnp.where(x < 0.0, x, -jnp.expm1(-slope * jnp.maximum(x, 0.0)) / slope),
        ... )
        >>> jax.grad(one_sided.spike)(-0.1, 5.0).item(), round(jax.grad(one_sided.spike)(0.2, 5.0).item(), 4)
        (1.0, 0.3679)
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


def _exponential(x, slope):
    return jnp.exp(-slope * jnp.abs(x))


def _exponential_smooth(x, slope):
    return -jnp.sign(x) * jnp.expm1(-slope * jnp.abs(x)) / slope


def _or_nan(x, value):
    """A value that is known wherever `x` is a number: what is none must show in the gradient."""
    return jnp.where(x == x, value, x)


def _boxcar(x, slope):
    return _or_nan(x, jnp.where(slope * jnp.abs(x) <= 1.0, 1.0, 0.0))


def _boxcar_smooth(x, slope):
    return jnp.clip(slope * x, -1.0, 1.0) / slope


def _leaky_boxcar(x, slope):
    return _or_nan(x, jnp.where(slope * jnp.abs(x) <= 1.0, 1.0, LEAK_OF_BOX))


def _leaky_boxcar_smooth(x, slope):
    u = jnp.clip(slope * x, -1.0, 1.0)
    return (u + LEAK_OF_BOX * (slope * x - u)) / slope


def _reciprocal(x, slope):
    return 1.0 / (1.0 + slope * jnp.abs(x))


def _reciprocal_smooth(x, slope):
    return jnp.sign(x) * jnp.log1p(slope * jnp.abs(x)) / slope


def _secant(x, slope):
    return 1.0 / jnp.maximum(1.0, slope * jnp.abs(x))


def _secant_smooth(x, slope):
    u = slope * jnp.abs(x)
    return jnp.sign(x) * jnp.where(u > 1.0, 1.0 + jnp.log(jnp.maximum(u, 1.0)), u) / slope


def _circular(x, slope):
    return (1.0 + (slope * x) ** 2) ** -1.5


def _circular_smooth(x, slope):
    return x / jnp.sqrt(1.0 + (slope * x) ** 2)


def _multi_gaussian(x, slope):
    y, side, width = slope * x, SIDE_LOBES, WIDTH_OF_LOBES
    lobes = jnp.exp(-0.5 * ((y - 1.0) / width) ** 2) + jnp.exp(-0.5 * ((y + 1.0) / width) ** 2)
    return ((1.0 + side) * jnp.exp(-0.5 * y**2) - side / width * lobes) / MULTI_PEAK


def _multi_gaussian_smooth(x, slope):
    y, side, width, erf = slope * x, SIDE_LOBES, WIDTH_OF_LOBES * jnp.sqrt(2.0), jax.scipy.special.erf
    lobes = erf((y - 1.0) / width) + erf((y + 1.0) / width)
    whole = (1.0 + side) * erf(y / jnp.sqrt(2.0)) - side * lobes
    return jnp.sqrt(jnp.pi / 2.0) * whole / (MULTI_PEAK * slope)


def _square_wave(x, slope):
    c = jnp.cos(slope * x)
    return (2.0 * c * c - 1.0) * c  # of cos(3y) = 4 cos(y)^3 - 3 cos(y)


def _square_wave_smooth(x, slope):
    return 0.5 * (jnp.sin(slope * x) + jnp.sin(3.0 * slope * x) / 3.0) / slope


def _s2nn(x, slope):
    y = slope * x
    s = jax.nn.sigmoid(4.0 * y)
    return jnp.where(y < 0.0, 4.0 * s * (1.0 - s), 1.0 / (1.0 + jnp.maximum(y, 0.0)))


def _s2nn_smooth(x, slope):
    y = slope * x
    return jnp.where(y < 0.0, jax.nn.sigmoid(4.0 * y) - 0.5, jnp.log1p(jnp.maximum(y, 0.0))) / slope


def _log_tailed(x, slope):
    return jnp.where(x < 0.0, 0.0, _secant(x, slope))


def _log_tailed_smooth(x, slope):
    return jnp.where(x < 0.0, 0.0, _secant_smooth(x, slope))


def _leaky_relu(x, _slope):
    return _or_nan(x, jnp.where(x >= 0.0, 1.0, LEAK))


def _leaky_relu_smooth(x, _slope):
    return jnp.where(x >= 0.0, x, LEAK * x)


def _straight_through(x, _slope):
    return _or_nan(x, jnp.ones_like(x))


def _straight_through_smooth(x, _slope):
    return x


LEAK = 0.1
"""Derivative of `leaky_relu` below the threshold."""

LEAK_OF_BOX = 0.01
"""Derivative of `leaky_boxcar` outside the box."""

SIDE_LOBES, WIDTH_OF_LOBES = 0.15, 6.0
"""Share of the two negative lobes of `multi_gaussian`, and how much wider they are than its middle."""

MULTI_PEAK = 1.0 + SIDE_LOBES - 2.0 * SIDE_LOBES / WIDTH_OF_LOBES * math.exp(-0.5 / WIDTH_OF_LOBES**2)

inv_square = make_surrogate(_inv_square, _inv_square_smooth)
"""Fast sigmoid: `1 / (1 + |y|)^2`. Zenke & Ganguli (2018), DOI 10.1162/neco_a_01086."""

arctan = make_surrogate(_arctan, _arctan_smooth)
"""`1 / (1 + y^2)`. Fang et al. (2021), DOI 10.1109/ICCV48922.2021.00266."""

sigmoid = make_surrogate(_sigmoid, _sigmoid_smooth)
"""`4 q (1 - q)`, `q = 1 / (1 + e^-y)`; the same as `1 - tanh(y / 2)^2`. Neftci, Mostafa & Zenke (2019),
DOI 10.1109/MSP.2019.2931595."""

triangular = make_surrogate(_triangular, _triangular_smooth)
"""`max(0, 1 - |y|)`. Esser et al. (2016), DOI 10.1073/pnas.1604850113; Bellec et al. (2018) damp it by 0.3."""

gaussian = make_surrogate(_gaussian, _gaussian_smooth)
"""`e^(-y^2 / 2)`. Yin, Corradi & Bohte (2021), DOI 10.1038/s42256-021-00397-w."""

exponential = make_surrogate(_exponential, _exponential_smooth)
"""`e^-|y|`. Shrestha & Orchard (2018), SLAYER, DOI 10.48550/arXiv.1810.08646."""

boxcar = make_surrogate(_boxcar, _boxcar_smooth)
"""1 where `|y| <= 1`, else 0. Wu et al. (2018), DOI 10.3389/fnins.2018.00331."""

reciprocal = make_surrogate(_reciprocal, _reciprocal_smooth)
"""`1 / (1 + |y|)`, with a heavy tail: neurons far from threshold still learn."""

secant = make_surrogate(_secant, _secant_smooth)
"""`min(1, 1 / |y|)`: the slope of the chord from the threshold to the spike, at most 1."""

circular = make_surrogate(_circular, _circular_smooth)
"""`(1 + y^2)^(-3/2)`, the derivative of `y / sqrt(1 + y^2)`."""

multi_gaussian = make_surrogate(_multi_gaussian, _multi_gaussian_smooth)
"""`((1 + p) e^(-y^2/2) - p/w (e^(-((y-1)/w)^2/2) + e^(-((y+1)/w)^2/2))) / peak` with `p = SIDE_LOBES = 0.15` and
`w = WIDTH_OF_LOBES = 6`: negative far from threshold. Yin, Corradi & Bohte (2021), DOI 10.1038/s42256-021-00397-w."""

s2nn = make_surrogate(_s2nn, _s2nn_smooth)
"""`4 q (1 - q)`, `q = 1 / (1 + e^-4y)`, below the threshold, and `1 / (1 + y)` above: high rates still learn.
Suetake et al. (2022), DOI 10.1016/j.neunet.2022.12.008."""

leaky_boxcar = make_surrogate(_leaky_boxcar, _leaky_boxcar_smooth)
"""1 where `|y| <= 1`, else `LEAK_OF_BOX = 0.01`: no neuron is out of reach."""

log_tailed = make_surrogate(_log_tailed, _log_tailed_smooth)
"""0 below the threshold, `min(1, 1 / y)` above: a neuron that never fires learns nothing. Cai et al. (2017),
DOI 10.1109/CVPR.2017.574."""

leaky_relu = make_surrogate(_leaky_relu, _leaky_relu_smooth)
"""`LEAK = 0.1` below the threshold, 1 above, whatever the slope."""

square_wave = make_surrogate(_square_wave, _square_wave_smooth)
"""`(cos y + cos 3y) / 2`, two terms of a square wave's series; it never ends, and is negative in places."""

straight_through = make_surrogate(_straight_through, _straight_through_smooth)
"""1 everywhere, whatever the slope. Bengio, Leonard & Courville (2013), DOI 10.48550/arXiv.1308.3432."""

SURROGATES: dict[str, Surrogate] = {
    "inv_square": inv_square,
    "arctan": arctan,
    "sigmoid": sigmoid,
    "triangular": triangular,
    "gaussian": gaussian,
    "exponential": exponential,
    "boxcar": boxcar,
    "reciprocal": reciprocal,
    "secant": secant,
    "circular": circular,
    "multi_gaussian": multi_gaussian,
    "s2nn": s2nn,
    "leaky_boxcar": leaky_boxcar,
    "log_tailed": log_tailed,
    "leaky_relu": leaky_relu,
    "square_wave": square_wave,
    "straight_through": straight_through,
}
"""Spike functions by name; below, `y = slope x`. How other packages write them: see the guide, "Surrogates"."""


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
