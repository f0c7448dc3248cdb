"""The voltages of neurons that fire and the shape of their surrogate, in any unit, one value or one per neuron."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from snnlab import accepted
from snnlab.errors import ArgumentError
from snnlab.support import arguments
from snnlab.variables import Fixed, plain, setting, time_constant

TAU_ADAPT = 200.0  # ms, as in the tasks of Bellec et al. (2018)


def neuron_voltages(features: int, *, v_th, v_rest, v_reset) -> tuple[nnx.Variable, ...]:
    """Make the Variables `v_th, v_rest, v_reset`.

    Their sliders span distances between these voltages, so they look alike in any unit.

    Args:
        features: number of neurons.
        v_th, v_rest, v_reset: threshold, resting voltage and voltage after a spike.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> v_th, *_ = neuron_voltages(3, v_th=-50.0, v_rest=-65.0, v_reset=-65.0)
        >>> v_th.get_metadata()["begin"], v_th.get_metadata()["high"]
        (-64.85, -5.0)
    """
    named = {"v_th": v_th, "v_rest": v_rest, "v_reset": v_reset}
    # Of the arguments, not of the Variables: those are tracers where a model is built under `nnx.eval_shape`.
    th, rest, reset = (arguments.numbers(name, plain(value)) for name, value in named.items())
    accepted.check_threshold(th, reset)
    scale = accepted.voltage_scale(th, rest, reset)
    far, nearest, kept = float(np.max(scale)), float(reset.max()), reset + 0.01 * (th - reset)
    return (
        setting("v_th", v_th, features, low=reset, begin=nearest + 0.01 * far, high=nearest + 4.0 * far, kept=kept),
        setting("v_rest", v_rest, features, begin=float(rest.min()) - far, high=float(rest.max()) + far, default=Fixed),
        setting("v_reset", v_reset, features, begin=float(reset.min()) - far, high=float(th.min()), default=Fixed),
    )


def adaptation(features: int, *, beta, tau_adapt, dt: float) -> tuple[nnx.Variable | None, nnx.Variable | None]:
    """Make the Variables `beta` and `tau_adapt` of a threshold that adapts; None for one that does not.

    Raises:
        ArgumentError: if a value is out of range, or there is only `tau_adapt`, which then does nothing.

    Example:
        >>> adaptation(3, beta=0.5, tau_adapt=None, dt=1.0)[1][...].item()
        200.0
    """
    if beta is None:
        if tau_adapt is not None:
            raise ArgumentError("tau_adapt: does nothing without beta; leave it out, or say what a spike adds")
        return None, None
    far = 4.0 * max(1e-6, float(np.abs(arguments.numbers("beta", plain(beta))).max()))
    return (
        setting("beta", beta, features, begin=-far, high=far),
        time_constant("tau_adapt", TAU_ADAPT if tau_adapt is None else tau_adapt, features, dt),
    )


def surrogate_shape(features: int, *, slope, v_scale) -> tuple[nnx.Variable, nnx.Variable | None]:
    """Make the Variables `slope` and `v_scale`; without the latter, see `surrogate_scale`.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> surrogate_shape(3, slope=10.0, v_scale=None)[1] is None
        True
    """
    shape = setting("slope", slope, features, low=0.0, begin=0.1, high=100.0)
    return shape, None if v_scale is None else scale_of_voltage(features, v_scale)


def scale_of_voltage(features: int, v_scale) -> nnx.Variable:
    """Make the Variable `v_scale`; it divides, so it is above 0.

    Raises:
        ArgumentError: if it is out of range.

    Example:
        >>> scale_of_voltage(3, 0.0)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: v_scale: must be a finite number > 0.0, got 0.0
    """
    arguments.numbers("v_scale", plain(v_scale), 0.0, strict=True)
    return setting("v_scale", v_scale, features, low=0.0, default=Fixed)


def surrogate_scale(neuron) -> Float[Array, "..."]:
    """Return the voltage in which the surrogate of a neuron is measured: its `v_scale`, or the distance to threshold.

    No gradient flows through it.
    """
    if neuron.v_scale is not None:
        return neuron.v_scale[...]
    voltages = (neuron.v_th, neuron.v_rest, neuron.v_reset)
    return jax.lax.stop_gradient(accepted.voltage_scale(*(value[...] for value in voltages), xp=jnp))
