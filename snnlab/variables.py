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
from snnlab.support.warn import warn

# Attributes that only contain others: "hidden.tau_mem" is as clear as the whole path.
CONTAINERS = {"model", "loss", "stack", "layers", "neuron", "synapse"}

FORGOTTEN = 0.1  # steps: a shorter time constant, which leaves less than e^-10, is rather one in seconds


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
    low: np.ndarray | float | None = None,
    begin: float | None = None,
    high: float | None = None,
    kept: np.ndarray | float | None = None,
    most: float | None = None,
    infinite: bool = False,
    unit: str = "",
    default: type[nnx.Variable] = Live,
) -> nnx.Variable:
    """Make a parameter of a neuron or synapse: a Variable that knows its unit and range.

    Args:
        name: name of the parameter in error messages.
        value: a number, an array of `features` numbers, or a Variable with one of these, whose type says who may
            change it.
        features: number of neurons.
        low: lowest value that is accepted, one number or one per neuron, or None.
        begin: lower end of a slider; default `low`.
        high: upper end of a slider, or four times as far from `low`, if there is one, as the value if that is more.
        kept: learned values are kept at or above it, one number or one per neuron; default `low`.
        most: highest value that is accepted, and at or below which learned values are kept, or None.
        infinite: whether the value may be infinite; then it is `Fixed`, because it has no place on a slider.
        unit: unit of the value.
        default: type of the Variable if `value` is none.

    Raises:
        ArgumentError: if `value` is not finite, lies below `low` or above `most`, or has another shape.

    Example:
        >>> setting("tau_mem", nnx.Param(10.0), 3, low=1.0, unit="ms").get_metadata()["unit"]
        'ms'
    """
    given = type(value) if isinstance(value, nnx.Variable) else None
    value = arguments.numbers(name, plain(value), -np.inf if low is None else low, infinite=infinite, unit=unit)
    low = None if low is None else float(np.max(low))  # for a value that all neurons share
    if value.ndim and value.shape != (features,):
        raise ArgumentError(f"{name}: must be one number or {features}, one per neuron, got shape {value.shape}")
    if most is not None and (value > most).any():
        raise ArgumentError(f"{name}: must be at most {most:g}, got {value.max():g}")
    finite = np.isfinite(value)
    if not finite.all() and given not in (None, Fixed):
        raise ArgumentError(f"{name}: an infinite value cannot be changed; pass {name}=Fixed(...)")
    if high is not None and low is not None and most is None and finite.any():
        high = max(high, low + 4.0 * (float(value[finite].max()) - low))
    kind = (given or default) if finite.all() else Fixed
    ends = {"low": low, "begin": begin, "high": high, "kept": _hashable(kept)}
    ends |= {} if most is None else {"most": most}
    return kind(jnp.asarray(value, jnp.float32), **ends, unit=unit)


def _hashable(values: np.ndarray | float | None) -> float | tuple[float, ...] | None:
    """Metadata must have a hash: make one number of equal numbers, and a tuple of others."""
    if values is None:
        return None
    different = np.unique(values)
    return float(different[0]) if len(different) == 1 else tuple(np.ravel(values).tolist())


def plain(value):
    """Return the value of a Variable, and anything else as it is.

    Example:
        >>> plain(Fixed(20.0)), plain(20.0)
        (20.0, 20.0)
    """
    return value.get_value() if isinstance(value, nnx.Variable) else value


def time_constant(name: str, value, features: int, dt: float) -> nnx.Variable:
    """Make a `setting` in ms from 0, which forgets in one step, to infinity, which never does.

    If it is learned, it is kept at one time step, or at its first value if that is shorter: near 0 it has no gradient.

    Warns:
        UserWarning: if hardly anything is left after one step, though it is not 0.

    Example:
        >>> tau = time_constant("tau_mem", 20.0, 3, dt=1.0)
        >>> [tau.get_metadata()[name] for name in ("low", "begin", "high", "kept")]
        [0.0, 1.0, 100.0, 1.0]
    """
    values = arguments.time_constant(name, plain(value))
    short = values[(values > 0.0) & (values < FORGOTTEN * dt)]
    if short.size:
        warn(
            f"{name}: after {short.min():g} ms nothing is left, and a step lasts dt = {dt:g} ms; time constants are in "
            f"milliseconds ({short.min():g} s would be {name}={1000.0 * short.min():g}), and 0 says that it forgets",
        )
    least = min(dt, float(values.min()))
    high = 100.0 * dt
    return setting(name, value, features, low=0.0, begin=least, high=high, kept=least, infinite=True, unit="ms")


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


def check_values(name: str, variable: nnx.Variable, found: np.ndarray) -> None:
    """Check values that a file has for a Variable: finite where its own are, and within its range.

    Raises:
        ArgumentError: if they are not.

    Example:
        >>> check_values("hidden.tau_mem", Live(10.0, low=0.0), np.float32(-1.0))
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: hidden.tau_mem: must be >= 0.0, got -1.0
    """
    own, low = np.asarray(variable.get_value()), variable.get_metadata().get("low")
    if not np.issubdtype(own.dtype, np.inexact) and own.dtype.name != "bfloat16":
        return
    if (np.isfinite(own) & ~np.isfinite(found)).any():
        raise ArgumentError(f"{name}: has values that are not finite")
    most = variable.get_metadata().get("most")
    if low is not None and (found < low).any():
        raise ArgumentError(f"{name}: must be >= {low}, got {np.min(found)}")
    if most is not None and (found > most).any():
        raise ArgumentError(f"{name}: must be <= {most}, got {np.max(found)}")


def keep_in_range(params: nnx.State) -> nnx.State:
    """Clip learned parameters to the range in which they are kept after an update (a learned `tau_mem` stays >= dt).

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
        meta = variable.get_metadata()
        low = meta.get("low") if meta.get("kept") is None else meta["kept"]
        most, value = meta.get("most"), variable.get_value()
        if low is not None:
            value = jnp.maximum(value, jnp.asarray(low, value.dtype))
        if most is not None:
            value = jnp.minimum(value, jnp.asarray(most, value.dtype))
        return variable if low is None and most is None else variable.replace(value)

    return jax.tree.map(clip, params, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
