"""The live values inside a training state: find them and set them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from snnlab.controls import LEARNING_RATE, Knob
from snnlab.variables import short_names

# Parts of a path that tell nothing.
_INSIDE = {"inner_state", "inner_states", "inner_opt_state", "base_optimizer_state"}


def find_knobs(live: nnx.State, opt_state: optax.OptState, *, of_the_user: bool = True) -> list[Knob]:
    """Return every live variable as a knob, and every number that `optax.inject_hyperparams` put into the optimizer.

    Numbers that follow a schedule are no knobs: Optax sets them anew at every step.

    Args:
        live: the live variables.
        opt_state: state of the optimizer.
        of_the_user: whether the optimizer is the user's; of the default one, the learning rate alone is a knob.

    Example:
        >>> from snnlab.layers import Leaky
        >>> from snnlab.variables import Live
        >>> rate = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1).init(jnp.zeros(2))
        >>> [(knob.name, knob.value) for knob in find_knobs(nnx.state(Leaky(1, tau_mem=20.0), Live), rate)]
        [('tau_mem', 20.0), ('learning_rate', 0.10000000149011612)]
    """
    variables = dict(nnx.to_flat_state(live))
    knobs = []
    for name, path in short_names(live).items():
        meta = variables[path].get_metadata()
        value = _mean(variables[path].get_value())
        low, high = _slider(value, meta)
        least, unit = meta.get("low"), meta.get("unit", "")
        bounds = {"low": low, "high": high, "least": -math.inf if least is None else least}
        knobs.append(Knob(name=name, value=value, **bounds, unit=unit, log=unit == "ms" and low > 0))
    numbers = dict(jax.tree_util.tree_leaves_with_path(opt_state))
    for name, path in _injected(live, opt_state).items():
        value = _mean(numbers[path])
        if name.endswith(LEARNING_RATE) and value >= 0.0:
            low = min(1e-6, value)
            knobs.append(Knob(name=name, value=value, low=low, high=max(0.1, value), least=0.0, log=low > 0))
        elif of_the_user:
            low, high = (0.0, 1.0) if 0.0 < value < 1.0 else _slider(value, {})
            knobs.append(Knob(name=name, value=value, low=low, high=high, least=-math.inf))
    return knobs


def _mean(values: Any) -> float:
    """Return the mean over neurons; of one number the number itself, because a dashboard asks often."""
    return float(np.asarray(values).item() if np.size(values) == 1 else jnp.mean(values))


def _injected(live: nnx.State, opt_state: optax.OptState) -> dict[str, tuple]:
    """Map the names of injected numbers to their paths in the state of the optimizer.

    If there are several of one name, as of two transformations in a chain, or a live variable has it, the name begins
    with the place of the transformation: "optimizer.1.learning_rate".
    """
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(opt_state)]
    parts = {
        path: [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path]
        for path in paths
    }
    scheduled = {(*p[:k], p[k + 1]) for p in parts.values() for k, part in enumerate(p) if part == "hyperparams_states"}
    found = {path: p for path, p in parts.items() if p[-2:-1] == ["hyperparams"] and (*p[:-2], p[-1]) not in scheduled}
    names, taken = [p[-1] for p in found.values()], short_names(live)
    places = {path: [part for part in p[:-2] if part not in _INSIDE] for path, p in found.items()}
    alone = {path: names.count(p[-1]) == 1 and p[-1] not in taken for path, p in found.items()}
    return {p[-1] if alone[path] else ".".join(["optimizer", *places[path], p[-1]]): path for path, p in found.items()}


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
    injected = _injected(live, opt_state)
    if name in injected:
        leaves, place = dict(jax.tree_util.tree_leaves_with_path(opt_state)), injected[name]
        old, leaves[place] = leaves[place], jnp.full_like(leaves[place], value)
        return float(jnp.mean(old)), live, jax.tree.unflatten(jax.tree.structure(opt_state), leaves.values())
    target = short_names(live)[name]
    flat = dict(nnx.to_flat_state(live))
    old = flat[target].get_value()
    flat[target] = flat[target].replace(jnp.full_like(old, value))
    return float(old.mean()), nnx.from_flat_state(flat), opt_state
