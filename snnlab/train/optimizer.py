"""The default optimizer: Adam, with per-parameter options from the Variable's metadata.

The length of its schedule is a number in its state, not a constant of the program: a run that gets more epochs compiles
nothing anew, and every point of it knows the length that holds there.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Int

from snnlab.config import TrainConfig


def default_optimizer(config: TrainConfig, total_steps: int) -> optax.GradientTransformation:
    """Return Adam with a live learning rate, a schedule, and per-parameter options: see `centralized` and
    `at_their_pace`.

    Example:
        >>> params = nnx.state(nnx.Dict(w=nnx.Param(1.0)))
        >>> optimizer = default_optimizer(TrainConfig(learning_rate=0.1), total_steps=2)
        >>> step, _ = optimizer.update(params, optimizer.init(params), params)
        >>> round(step["w"].get_value().item(), 4)  # the first step of Adam is the learning rate
        -0.1

    Source: Kingma & Ba (2015), arXiv:1412.6980; cosine decay: Loshchilov & Hutter (2017), arXiv:1608.03983.
    """
    return _adam(config.learning_rate, total_steps if config.schedule == "cosine" else None)


@functools.lru_cache(maxsize=24)  # one object for equal arguments: its functions are part of what is compiled
def _adam(learning_rate: float, decay_steps: int | None) -> optax.GradientTransformation:
    adam = optax.inject_hyperparams(optax.adam)(learning_rate=jnp.float32(learning_rate))
    cosine = [] if decay_steps is None else [scale_by_cosine(decay_steps)]
    return _in_single(optax.chain(centralized(), adam, *cosine, at_their_pace()))


def _in_single(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Compute as float32 with parameters of fewer bits: of bfloat16, Adam would round its decay of 0.999 to 1."""

    def single(values):
        return jax.tree.map(lambda x: x if jnp.finfo(jnp.result_type(x)).bits >= 32 else x.astype(jnp.float32), values)

    def update(updates, state, params=None):
        with jax.numpy_dtype_promotion("standard"):  # Adam raises a real number to the power of a count
            return inner.update(single(updates), state, single(params))

    return optax.GradientTransformation(lambda params: inner.init(single(params)), update)


class CosineState(NamedTuple):
    """Where a schedule stands.

    Attributes:
        taken: number of steps.
        length: of the schedule, in steps.
    """

    taken: Int[Array, ""]
    length: Int[Array, ""]


def scale_by_cosine(length: int) -> optax.GradientTransformation:
    """Multiply step `k`, counted from 0, by a factor that falls from 1 to 0 in `length` steps:

        (1 + cos(pi min(k, length) / length)) / 2

    Example:
        >>> halves = scale_by_cosine(2)
        >>> first, state = halves.update(jnp.float32(1.0), halves.init(None))
        >>> second, _ = halves.update(jnp.float32(1.0), state)
        >>> round(first.item(), 4), round(second.item(), 4)
        (1.0, 0.5)

    Source: Loshchilov & Hutter (2017), arXiv:1608.03983.
    """

    def update(updates, state, params=None):
        done = jnp.minimum(jnp.float32(state.taken), jnp.float32(state.length)) / jnp.float32(state.length)
        factor = 0.5 * (1.0 + jnp.cos(jnp.float32(jnp.pi) * done))
        return jax.tree.map(lambda u: factor * u, updates), state._replace(taken=state.taken + 1)

    return optax.GradientTransformation(lambda params: CosineState(jnp.int32(0), jnp.int32(length)), update)


def length_of(opt_state: optax.OptState) -> int:
    """Return the length of the schedule in the state of the default optimizer, in steps."""
    parts = jax.tree.leaves(opt_state, is_leaf=_is_cosine)
    return next(int(part.length) for part in parts if _is_cosine(part))


def with_length(opt_state: optax.OptState, length: int) -> optax.OptState:
    """Return a state of the default optimizer with another length of its schedule, in steps.

    Example:
        >>> state = default_optimizer(TrainConfig(), total_steps=2).init(nnx.state(nnx.Dict(w=nnx.Param(1.0))))
        >>> length_of(state), length_of(with_length(state, 4))
        (2, 4)
    """

    def changed(part):
        return part._replace(length=jnp.full_like(part.length, length)) if _is_cosine(part) else part

    return jax.tree.map(changed, opt_state, is_leaf=_is_cosine)


def _is_cosine(part) -> bool:
    return isinstance(part, CosineState)


def centralized() -> optax.GradientTransformation:
    """Subtract the mean over the inputs from the gradient of the weights `(in, out)` whose `nnx.Param` has the
    metadata `centralize`:

        g <- g - mean_in g

    Spikes are never negative, so whatever the input, they also push all weights of a neuron in the same direction.
    This part of the gradient is the largest, and Adam scales its steps by it. Without it, the differences between
    inputs count.

    Example:
        >>> params = nnx.state(nnx.Dict(one=nnx.Param(jnp.ones((2, 1)), centralize=True), other=nnx.Param(jnp.ones(2))))
        >>> grads = jax.tree.map(lambda p: jnp.array([1.0, 4.0]).reshape(p.shape), params)
        >>> updates, _ = centralized().update(grads, optax.EmptyState(), params)
        >>> updates["one"].get_value().ravel().tolist(), updates["other"].get_value().tolist()
        ([-1.5, 1.5], [1.0, 4.0])

    Source: Yong et al. (2020), Gradient Centralization, arXiv:2004.01461.
    """

    def change(update: Array, wanted: bool) -> Array:
        return update - update.mean(0, keepdims=True) if wanted else update

    return _by_metadata("centralize", False, change)


def at_their_pace() -> optax.GradientTransformation:
    """Multiply the step of each parameter whose `nnx.Param` has the metadata `pace` by that number.

    Example:
        >>> params = nnx.state(nnx.Dict(slow=nnx.Param(1.0, pace=0.5), other=nnx.Param(1.0)))
        >>> step, _ = at_their_pace().update(params, optax.EmptyState(), params)
        >>> step["slow"].get_value(), step["other"].get_value()
        (0.5, 1.0)
    """
    return _by_metadata("pace", 1.0, lambda update, pace: pace * update)


def _by_metadata(name: str, default: Any, change: Callable) -> optax.GradientTransformation:
    """Apply `change(update, value)` to every parameter, with the value from its Variable's metadata."""

    def one(variable: nnx.Variable, update: nnx.Variable) -> nnx.Variable:
        value = variable.get_metadata().get(name, default)
        return jax.tree.map(lambda values: change(values, value), update)

    def all_of_them(updates, params):
        return jax.tree.map(one, params, updates, is_leaf=lambda node: isinstance(node, nnx.Variable))

    return optax.stateless(all_of_them)
