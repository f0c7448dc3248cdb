"""Parameters of neurons and synapses: their range, their unit, and who may change them.

The type of the Variable says who may change it:

- `Live`, the default: the user, while the network trains;
- `nnx.Param`: the optimizer, `tau_mem=nnx.Param(10.0)`;
- `Fixed`: no one, `tau_mem=Fixed(10.0)`.

Each may be one number or one per neuron. All are traced, so changing a value recompiles nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.errors import ArgumentError
from snnlab.support import arguments

# Attributes that only contain others: "hidden.tau_mem" is as clear as the whole path.
CONTAINERS = {"model", "loss", "stack", "layers", "neuron", "synapse"}


class Live(nnx.Variable):
    """A value that the user may change while the network trains.

    Example:
        >>> from snnlab.layers import Leaky
        >>> type(Leaky(3, tau_mem=20.0).tau_mem).__name__
        'Live'
    """


class Fixed(nnx.Variable):
    """A value that stays as it is.

    Example:
        >>> from snnlab.layers import Leaky
        >>> type(Leaky(3, tau_mem=Fixed(20.0)).tau_mem).__name__
        'Fixed'
    """


def setting(
    name: str,
    value,
    features: int,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    default: type[nnx.Variable] = Live,
) -> nnx.Variable:
    """Make a parameter of a neuron or synapse: a Variable that knows its unit and range.

    Args:
        name: name of the parameter in error messages.
        value: a number, an array of `features` numbers, or a Variable with one of these, whose type says who may
            change it.
        features: number of neurons.
        low: lowest value; learned values are kept at or above it, and sliders begin there.
        high: end of a slider, or four times the value if that is more.
        unit: unit of the value.
        default: type of the Variable if `value` is none.

    Raises:
        ArgumentError: if `value` is not finite, lies below `low`, or has another shape.

    Example:
        >>> setting("tau_mem", nnx.Param(10.0), 3, low=1.0, unit="ms").get_metadata()["unit"]
        'ms'
    """
    kind = type(value) if isinstance(value, nnx.Variable) else default
    value = arguments.numbers(name, plain(value), -np.inf if low is None else low, unit=unit)
    if value.ndim and value.shape != (features,):
        raise ArgumentError(f"{name}: must be one number or {features}, one per neuron, got shape {value.shape}")
    if high is not None:
        high = max(high, 4.0 * float(value.max()))
    return kind(jnp.asarray(value, jnp.float32), low=low, high=high, unit=unit)


def plain(value):
    """Return the value of a Variable, and anything else as it is.

    Example:
        >>> plain(Fixed(20.0)), plain(20.0)
        (20.0, 20.0)
    """
    return value.get_value() if isinstance(value, nnx.Variable) else value


def time_constant(name: str, value, features: int, dt: float) -> nnx.Variable:
    """Make a `setting` in ms that is at least one time step long: a step cannot follow a shorter one.

    Example:
        >>> time_constant("tau_mem", 20.0, 3, dt=1.0).get_metadata()["low"]
        1.0
    """
    arguments.time_constant(name, plain(value), dt)
    return setting(name, value, features, low=dt, high=100.0 * dt, unit="ms")


def short_names(state: nnx.State) -> dict[str, tuple]:
    """Map the name of every variable to its path; the name leaves containers out unless it would be ambiguous.

    Example:
        >>> from snnlab.layers import LifRef, Stack
        >>> list(short_names(nnx.state(Stack(hidden=LifRef(3)), Live)))
        ['hidden.slope', 'hidden.tau_mem', 'hidden.v_th']
    """
    paths = [path for path, _ in nnx.to_flat_state(state)]
    short = [".".join(str(part) for part in path if part not in CONTAINERS) for path in paths]
    whole = [".".join(map(str, path)) for path in paths]
    return {s if s and short.count(s) == 1 else w: path for s, w, path in zip(short, whole, paths, strict=True)}


def keep_in_range(params: nnx.State) -> nnx.State:
    """Clip learned parameters to their range after an update (a learned `tau_mem` stays >= dt).

    Clipping after the update, not inside the model, keeps the gradient at the bound. Call this in a training loop of
    your own, too.

    Example:
        >>> from snnlab.layers import Leaky
        >>> params = nnx.state(Leaky(1, tau_mem=nnx.Param(2.0), dt=1.0), nnx.Param)
        >>> moved = jax.tree.map(lambda p: p - 5.0, params)
        >>> keep_in_range(moved)["tau_mem"].get_value().item()
        1.0
    """

    def clip(variable: nnx.Variable) -> nnx.Variable:
        low = variable.get_metadata().get("low")
        return variable if low is None else variable.replace(jnp.maximum(variable.get_value(), low))

    return jax.tree.map(clip, params, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
