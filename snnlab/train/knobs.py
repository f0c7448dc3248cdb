"""The live values inside a training state: find them and set them."""

import math
from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from snnlab.controls import LEARNING_RATE, Knob
from snnlab.variables import short_names


def find_knobs(live: nnx.State, opt_state: optax.OptState) -> list[Knob]:
    """Return every live variable as a knob, and the learning rate if `optax.inject_hyperparams` made the optimizer.

    Example:
        >>> from snnlab.layers import Leaky
        >>> from snnlab.variables import Live
        >>> rate = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1).init({})
        >>> [(knob.name, knob.value) for knob in find_knobs(nnx.state(Leaky(1, tau_mem=20.0), Live), rate)]
        [('tau_mem', 20.0), ('learning_rate', 0.10000000149011612)]
    """
    variables = dict(nnx.to_flat_state(live))
    knobs = []
    for name, path in short_names(live).items():
        meta = variables[path].get_metadata()
        value = float(jnp.mean(variables[path].get_value()))
        low, high = _slider(value, meta)
        least, unit = meta.get("low"), meta.get("unit", "")
        bounds = {"low": low, "high": high, "least": -math.inf if least is None else least}
        knobs.append(Knob(name=name, value=value, **bounds, unit=unit, log=unit == "ms" and low > 0))
    rate = optax.tree_utils.tree_get(opt_state, LEARNING_RATE)
    if rate is not None:
        low = min(1e-6, float(rate))
        knobs.append(Knob(name=LEARNING_RATE, value=float(rate), low=low, high=0.1, least=0.0, log=low > 0))
    return knobs


def _slider(value: float, meta: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of a slider: those of the Variable, or four times the value in both directions."""
    low, begin, high = (meta.get(name) for name in ("low", "begin", "high"))
    far = max(1.0, 4.0 * abs(value))
    low = next((end for end in (begin, low) if end is not None), 0.0 if value > 0.0 else -far)
    high = far if high is None else high
    low = min(low, value)
    return low, high if high > low else low + far


def set_knob(live: nnx.State, opt_state: optax.OptState, name: str, value: float):
    """Set a knob to a new value; a parameter with one value per neuron gets it everywhere.

    Returns:
        The old value (the mean over neurons), and the new `live` and `opt_state`. Shapes and types stay as
        they are: float32, strongly typed, so that nothing is compiled anew.

    Example:
        >>> from snnlab.layers import Leaky
        >>> from snnlab.variables import Live
        >>> old, live, _ = set_knob(nnx.state(Leaky(1, tau_mem=20.0), Live), (), "tau_mem", 5.0)
        >>> old, live["tau_mem"].get_value().item()
        (20.0, 5.0)
    """
    if name == LEARNING_RATE:
        old = optax.tree_utils.tree_get(opt_state, LEARNING_RATE)
        new = jnp.full_like(old, value)
        return float(old), live, optax.tree_utils.tree_set(opt_state, **{LEARNING_RATE: new})
    target = short_names(live)[name]
    flat = dict(nnx.to_flat_state(live))
    old = flat[target].get_value()
    flat[target] = flat[target].replace(jnp.full_like(old, value))
    return float(old.mean()), nnx.from_flat_state(flat), opt_state
