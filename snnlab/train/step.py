"""One optimizer step, a chunk of them, and one batch of a test: pure functions of a `State`, to be jitted."""

import functools
import inspect
import textwrap
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from snnlab import kernels
from snnlab.data import EventLists
from snnlab.data.targets import Targets
from snnlab.errors import ArgumentError, StateError
from snnlab.history import column_of, metric_column
from snnlab.kernels.devices import by_sample, whole
from snnlab.losses.terms import measure
from snnlab.record import Record
from snnlab.tasks import Task
from snnlab.train.devices import Devices
from snnlab.train.shorter import Shorter
from snnlab.variables import Live, keep_in_range, short_names

# Event lists on the device; a batch is cut out of them within the compiled step, as one is out of an array of images.
jax.tree_util.register_dataclass(EventLists, ["times", "units", "offsets"], ["sensor", "limit"])
jax.tree_util.register_dataclass(Targets, ["values", "mask", "lengths", "weights"], [])

Metrics = dict[str, Float[Array, "..."]]
Sums = dict[str, Array]  # of a task, see `snnlab.tasks`

ONE_DEVICE = Devices()
_HOMES = {"builtins", "flax", "jax", "numpy", "snnlab"}  # of code that does the same every time


class State(NamedTuple):
    """All arrays that change during a run. Immutable, and its buffers are never donated, so any thread may read a
    state at any time while the next one is computed."""

    params: nnx.State
    live: nnx.State
    rest: nnx.State
    opt_state: optax.OptState
    step: Int[Array, ""]
    key: PRNGKeyArray


def graphdef(module: nnx.Module, *, training: bool) -> nnx.GraphDef:
    """Return the structure of a module in the mode of `train()` or `eval()`; the module itself keeps its mode.

    Example:
        >>> layer = nnx.Dropout(0.5)
        >>> nnx.merge(graphdef(layer, training=False), nnx.state(layer)).deterministic, layer.deterministic
        (True, False)
    """
    copy = nnx.merge(*nnx.split(module))
    copy.train() if training else copy.eval()
    return nnx.graphdef(copy)


def run_model(model: nnx.Module, x: Shaped[Array, "batch *sample"], key: PRNGKeyArray) -> Record:
    """Call a model, with the key if it takes one. A plain readout array becomes a `Record` without layers."""
    takes_key = "key" in inspect.signature(type(model).__call__).parameters
    out = model(x, key=key) if takes_key else model(x)
    return out if isinstance(out, Record) else Record(readout=out, layers={})


def code_key(seed: int) -> PRNGKeyArray:
    """Return the random key of the codes. Weights (`models.build`) and the order of the data (`Runner.batches`) have
    random streams of their own."""
    return jax.random.fold_in(jax.random.key(seed), 1)


@dataclass(frozen=True)
class Structure:
    """Model, loss and optimizer without their values: one step, a chunk of them and a test as pure functions of a
    `State`.

    Args:
        training: graph of model and loss in the mode of `train()`.
        testing: the same in the mode of `eval()`.
        optimizer: any Optax transformation.
        task: how the targets are scored.
        identity: decides what is computed: structures with equal ones compile the same programs. None if the user's own
            code takes part, because that may read a global that has another value next time.
        shorter: how batches of short sequences are cut.
    """

    training: nnx.GraphDef = field(compare=False)
    testing: nnx.GraphDef = field(compare=False)
    optimizer: optax.GradientTransformation = field(compare=False)
    task: Task = field(compare=False)
    identity: Hashable | None
    shorter: Shorter

    def merge(self, state: State, *, training: bool = False) -> nnx.Dict:
        """Return model and loss as new modules with the values of a state, in the mode of `train()` or `eval()`."""
        values = jax.tree.map(lambda leaf: leaf, (state.params, state.live, state.rest))
        graph = self.training if training else self.testing
        return nnx.merge(graph, *values)  # of new Variables, that belong to the trace we are in

    def forward(self, system: nnx.Dict, x, targets: Targets, key: PRNGKeyArray) -> tuple[Metrics, Sums]:
        """Return the metrics of one batch (the loss, its terms, the score and the others), and the sums of the task.

        Names are those of the history, see `history.column_of` and `history.metric_column`.
        """
        record, loss = run_model(system["model"], x, key), system["loss"]
        record = record if targets.lengths is None else record._replace(lengths=targets.lengths)
        terms, own = measure(loss, record, targets)
        sums = self.task.measure(self.task.compared(loss, record), targets)
        metrics = {"loss": sum(terms.values()), **{column_of(name): value for name, value in terms.items()}}
        metrics |= {metric_column(name): value for name, value in own.items()}
        metrics[self.task.score] = self.task.score_of(sums)
        if record.counts:
            metrics["spikes_per_sample"] = sum(c.sum() for c in record.counts.values()) / len(targets)
        return metrics, sums

    def step(self, state: State, x, targets: Targets) -> tuple[State, Metrics]:
        """Take one optimizer step on one batch."""

        def objective(params):
            system = self.merge(state._replace(params=params), training=True)
            metrics, _ = self.forward(system, x, targets, jax.random.fold_in(state.key, state.step))
            rest = nnx.split(system, nnx.Param, Live, ...)[3]  # running statistics, random counters
            return metrics["loss"], (metrics, rest)

        grads, (metrics, rest) = jax.grad(objective, has_aux=True)(state.params)
        # What follows is compiled by itself, the same on any number of devices: fused otherwise, it rounds otherwise.
        grads = jax.lax.optimization_barrier(grads)
        metrics["grad_norm"] = optax.tree.norm(grads)
        value_of = partial(_first, objective)
        updates, opt_state = self.update(grads, state.opt_state, state.params, metrics["loss"], value_of)
        params = keep_in_range(cast(nnx.State, optax.apply_updates(state.params, updates)))
        return State(params, state.live, rest, opt_state, state.step + 1, state.key), metrics

    def update(self, grads, opt_state: Any, params, value: Float[Array, ""], value_of: Callable):
        """Let the optimizer compute an update. One that asks for more gets the loss, its gradient, and the loss of this
        batch as a function of the parameters (`value`, `grad`, `value_fn`), as Optax's line searches do."""
        more = {"value": value, "grad": grads, "value_fn": value_of}
        asked = inspect.signature(self.optimizer.update).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in asked):
            more = {name: more[name] for name in more if name in {parameter.name for parameter in asked}}
        return self.optimizer.update(grads, opt_state, params, **more)

    def metric_names(self, state: State, x, targets: Targets) -> tuple[str, ...]:
        """Return the names of the metrics of a step: "loss", its terms, and the others."""
        measured = jax.eval_shape(compiled(Structure.measure, self), state, x, targets)
        return (*measured, "grad_norm")

    def measure(self, state: State, x, targets: Targets) -> Metrics:
        """Return the metrics of one batch without a step."""
        return self.forward(self.merge(state), x, targets, state.key)[0]

    def chunk(
        self,
        names: tuple[str, ...],
        state: State,
        x,
        targets: Targets,
        index: Int[Array, "chunk batch"],
        count: Int[Array, ""],
    ) -> tuple[State, Metrics, Bool[Array, ""]]:
        """Take `count` steps, on the samples `index[0]`, `index[1]`, ...

        The count is traced, so one compiled program serves every count, and how a run is cut into chunks does not
        change its bits.

        Args:
            names: what `metric_names` returns.

        Returns:
            The new state, the metrics of each step, and whether every value that was finite still is.
        """

        def turn(i, carry):
            state, log = carry
            place = whole if kernels.backend() == "numba" else by_sample  # without kernels XLA shares out all it can
            samples, wanted = place(x[index[i]]), whole(targets[index[i]])
            state, metrics = self.shorter(partial(self.step, state), samples, wanted)
            return state, {name: log[name].at[i].set(jnp.asarray(metrics[name], jnp.float32)) for name in log}

        log = {name: jnp.zeros(len(index), jnp.float32) for name in names}
        after, log = jax.lax.fori_loop(0, count, turn, (state, log))
        return after, log, _stayed_finite(state, after)

    def test(self, state: State, x, targets: Targets, number: Int[Array, ""]) -> tuple[Metrics, Sums]:
        """Return the metrics and the sums of batch `number` of the part that is looked at."""

        def forward(x, targets: Targets):
            return self.forward(self.merge(state), x, targets, jax.random.fold_in(state.key, ~number))

        return self.shorter(forward, x, targets)


def _strong(leaf) -> Array:
    """An array with a type that is no longer weak, as of Python's numbers: a step makes it so, and compiles again."""
    leaf = jnp.asarray(leaf)
    return leaf.astype(leaf.dtype) if leaf.weak_type else leaf


def _first(function: Callable, *arguments):
    return function(*arguments)[0]


class Stepper:
    """A model and a loss with their values: the structure of their steps, and the state before the first one.

    Args:
        model: see `snnlab.train.Trainer`.
        loss: see `snnlab.train.Trainer`.
        task: how the targets are scored.
        optimizer: any Optax transformation.
        key: random key of the first state, folded with the step for encoders that draw at random.
        own_optimizer: whether the optimizer is the user's.
        shorter: how batches of short sequences are cut, unless the user's own code takes part: that may depend on the
            length.

    Attributes:
        system: model and loss.
        structure: see `Structure`.
        start: the state before the first step.
    """

    def __init__(
        self,
        model: nnx.Module,
        loss: Callable,
        task: Task,
        optimizer: optax.GradientTransformation,
        key: PRNGKeyArray,
        own_optimizer: bool = True,
        shorter: Shorter | None = None,
    ):
        # A dict of NNX takes both modules and plain functions; only modules have a state.
        self.system = nnx.Dict(model=model, loss=loss)
        training, testing = (graphdef(self.system, training=mode) for mode in (True, False))
        known = not own_optimizer and _is_known(self.system)
        shorter = shorter if shorter is not None and _is_known(self.system) else Shorter()
        identity = _hashable(training, testing, optimizer, task) if known else None
        self.structure = Structure(training, testing, optimizer, task, identity, shorter)
        self.start = self.first_state(model, key)

    def first_state(self, model: nnx.Module, key: PRNGKeyArray) -> State:
        """Return the state before the first step, with the values of a model of the same structure.

        Raises:
            ArgumentError: if a parameter is not finite.
        """
        system = nnx.Dict(model=model, loss=self.system["loss"])
        bad = not_finite(nnx.state(system, nnx.Param))
        if bad:
            raise ArgumentError(f"model: its parameters must be finite, got NaN or infinity in {', '.join(bad)}")
        values = nnx.split(system, nnx.Param, Live, ...)[1:]
        params, live, rest = jax.tree.map(lambda leaf: leaf, values)  # of new Variables: `write_back` changes the old
        return State(params, live, rest, self._begin(params), jnp.int32(0), key)

    def _begin(self, params: nnx.State) -> Any:
        """Return the first state of the optimizer.

        Raises:
            ArgumentError: if it needs what a trainer does not give, or its state changes its structure.
        """

        def update(opt_state):
            return self.structure.update(params, opt_state, params, jnp.float32(0.0), lambda params: jnp.float32(0.0))

        try:
            first = jax.tree.map(_strong, self.structure.optimizer.init(params))
            updates, second = jax.eval_shape(update, first)
        except Exception as error:  # of the user's code, in whatever form
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
            raise ArgumentError(
                f"optimizer: cannot take a step ({reason}); it is given updates, params, value, grad and value_fn"
            ) from error
        for what, given, returned in (("updates", params, updates), ("state", first, second)):
            if jax.tree.map(jnp.shape, given) != jax.tree.map(jnp.shape, returned):
                raise ArgumentError(f"optimizer: its {what} must keep their structure from step to step")
        return first

    def write_back(self, state: State) -> None:
        """Copy the values of a state into the modules that were passed in."""
        nnx.update(self.system, state.params, state.live, state.rest)


def _is_known(module: nnx.Module) -> bool:
    """Whether a module runs only code of snnlab and of what it is made with."""
    used = [value for _, value in nnx.iter_graph(module)]
    used += [extra for value in used if isinstance(value, nnx.Variable) for extra in value.get_metadata().values()]
    return all(str(getattr(value, "__module__", type(value).__module__)).partition(".")[0] in _HOMES for value in used)


def _hashable(*parts) -> Hashable | None:
    """Return the parts, or None if one of them, such as the graph of a module that has a list, has no hash."""
    try:
        hash(parts)
    except TypeError:
        return None
    return parts


def compiled(
    function: Callable,
    structure: Structure,
    *fixed: Hashable,
    apart: Hashable = None,
    devices: Devices = ONE_DEVICE,
) -> jax.stages.Wrapped:
    """Return `jax.jit` of a function with its first arguments fixed; the same one for equal structures.

    So one program serves all runs of one structure. The programs used last are kept, but not the user's own code. A
    program raises a `StateError` if another backend is in use when it is traced.

    Args:
        function: of the fixed arguments and those of the program.
        structure: the first of them.
        *fixed: the others.
        apart: tells programs apart; the function does not get it.
        devices: that it runs on, see `Devices.jit`.
    """
    make = _compiled.__wrapped__ if structure.identity is None else _compiled
    return make(function, structure, *fixed, backend=kernels.backend(), apart=apart, devices=devices)


@functools.lru_cache(maxsize=32)
def _compiled(
    function: Callable, *fixed: Hashable, backend: str, apart: Hashable, devices: Devices
) -> jax.stages.Wrapped:
    def program(*arguments):
        if kernels.backend() != backend:
            raise StateError(f"SNNLAB_KERNELS: the backend was {backend!r} when this run was made; make it again")
        return function(*fixed, *arguments)

    program.__name__ = function.__name__  # in profiles
    return devices.jit(program)


def not_finite(values: nnx.State) -> list[str]:
    """Return the names of the variables that hold NaN or infinity."""
    flat, names = dict(nnx.to_flat_state(values)), short_names(values)
    return [name for name, path in names.items() if not np.isfinite(flat[path].get_value()).all()]


def _stayed_finite(before: State, after: State) -> Bool[Array, ""]:
    """Whether no array became NaN or infinite. Some optimizers begin with infinity; that may stay."""

    def numbers(state: State) -> list[Array]:
        leaves = jax.tree.leaves((state.params, state.rest, state.opt_state))
        return [leaf for leaf in map(jnp.asarray, leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    pairs = zip(numbers(before), numbers(after), strict=True)
    return jnp.all(jnp.array([~jnp.isfinite(old).all() | jnp.isfinite(new).all() for old, new in pairs]))
