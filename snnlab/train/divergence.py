"""What happens when a run stops being finite: where it does, what is kept, and from where to continue.

Nothing is looked for before it has happened: then the chunk is repeated step by step, see `locate`. There are three
kinds of faults.

WEIGHTS
    The loss or its gradient is not finite at step `k`. The weights that step `k - 1` made are to blame: with any
    learning rate, step `k` finds the same weights again. So the last good state is the one *before* step `k - 1`; from
    there a smaller step leads elsewhere.
UPDATE
    Loss and gradient are finite, but step `k` makes weights that are not. The last good state is the one before it.
SAMPLES
    The loss of these samples is not finite with the weights of the origin either. No learning rate helps; all steps
    are kept.

Weights can be finite and yet be thrown far out, long before anything overflows. If the loss had risen by then, the way
back leads further, to the end of the last epoch before the rise: see `way_back`.

Which state is kept does not depend on how the run is cut into chunks.
"""

import enum
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from snnlab.controls import Knob, calmer
from snnlab.data.dataset import Part
from snnlab.data.targets import Targets
from snnlab.errors import DivergenceError
from snnlab.history import term_names
from snnlab.history.series import has_risen
from snnlab.train.point import Point
from snnlab.train.step import State, Stepper, not_finite, run_model
from snnlab.variables import short_names

Log = dict[str, np.ndarray]  # metrics of some steps
Run = Callable[[State, Any], tuple[State, Log, bool]]  # see `Runner`


class Kind(enum.Enum):
    """What is to blame: see the three cases above."""

    WEIGHTS = enum.auto()
    UPDATE = enum.auto()
    SAMPLES = enum.auto()


class Fault(NamedTuple):
    """A step that cannot be taken.

    Attributes:
        kind: what is to blame.
        step: its number, counted from 0.
        batch: the only one of its batches, see `Feed`.
        row: its metrics.
        before: the state that it starts from, which is finite.
        after: the state that it leads to.
    """

    kind: Kind
    step: int
    batch: Any
    row: Log
    before: State
    after: State


class Place(NamedTuple):
    """Where something is not finite: in words, the term of the loss, the layer."""

    words: str
    term: str | None = None
    layer: str | None = None


def locate(run: Run, point: Point, batches) -> tuple[list[State], list[Log], Fault | None]:
    """Repeat a chunk step by step, up to the first step that is not finite.

    Args:
        run: takes steps, see `Runner`.
        point: where the chunk began.
        batches: of its steps, see `Feed`.

    Returns:
        The states between the good steps (the first is that of `point`), the metrics of each good step, and the fault;
        None if the chunk is finite this time, which is possible where sums have no fixed order.
    """
    states, rows = [point.state], []
    for k in range(len(batches)):
        before, batch = states[-1], batches[k : k + 1]
        after, row, sound = run(before, batch)
        if not is_well(row, sound):
            kind = _kind(run, point.origin, before, batch, row)
            return states, rows, Fault(kind, point.steps + len(rows), batch, row, before, after)
        states.append(after)
        rows.append(row)
    return states, rows, None


def way_back(fault: Fault, points: Sequence[Point]) -> Point | None:
    """Choose the point from which a smaller step may lead elsewhere; None if none can.

    Args:
        fault: that stopped the run.
        points: to which the run can go back, oldest first; the last one is where it is now.
    """
    if fault.kind is Kind.SAMPLES:
        return None
    here = points[-1]
    finds_the_same_again = fault.kind is Kind.WEIGHTS and here.steps == fault.step
    if not finds_the_same_again and not has_risen(here.losses):
        return here
    return next((point for point in reversed(points) if point.steps < here.steps), None)


def one_step_less(run: Run, point: Point, batches) -> Point:
    """Return the point before the last step of a chunk that began at `point`."""
    state = run(point.state, batches[:-1])[0] if len(batches) > 1 else point.state
    return replace(point, state=state, steps=point.steps + len(batches) - 1)


def is_well(log: Log, sound: bool) -> bool:
    """Whether what `Runner` returned is finite throughout."""
    return sound and _is_finite(log)


def joined(rows: Sequence[Log]) -> Log:
    """The metrics of consecutive steps as one log."""
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]} if rows else {}


def explain(
    fault: Fault, stepper: Stepper, samples: Part, rate: Knob | None, kept: int, goal: Point | None
) -> DivergenceError:
    """Say in one error where the fault is, what was kept, and what to do.

    Args:
        fault: that stopped the run.
        stepper: what a step is.
        samples: of the step, and their targets.
        rate: the knob of the learning rate, if the optimizer has one.
        kept: number of steps that were kept.
        goal: where to continue, see `way_back`.
    """
    place = _place(fault, stepper, samples)
    advice = calmer(rate.value) if rate is not None and goal is not None else None
    if rate is not None and advice is not None and advice < rate.low:
        advice = None
    words = [f"step {fault.step}: {place.words}; the weights kept are those of step {kept}."]
    if goal is not None and goal.steps < kept:
        words.append(f"The loss had risen by then: go back to step {goal.steps}.")
    words.append(_advice(rate, advice, goal))
    return DivergenceError(
        " ".join(words),
        step=fault.step,
        term=place.term,
        layer=place.layer,
        learning_rate=None if rate is None else rate.value,
        advice=advice,
        back_to=None if goal is None else goal.steps,
    )


def _advice(rate: Knob | None, advice: float | None, goal: Point | None) -> str:
    if goal is None:
        return (
            "It is not finite with the weights of the start either, so a lower learning rate does not help. "
            "Look at the loss, at the data, and at the knobs that were moved."
        )
    if rate is None:
        return "Give the optimizer a lower learning rate (with optax.inject_hyperparams it becomes a knob)."
    if advice is None:
        return "The learning rate is low already: clip the gradient, or draw smaller weights."
    return f"Lower the learning rate from {rate.value:.2g} to {advice:g} and go on from there."


def _kind(run: Run, origin: State, before: State, batch, row: Log) -> Kind:
    """Judge a step that is not finite, also by the loss of its samples with the weights of the origin."""
    if _is_finite(row):
        return Kind.UPDATE
    at_origin = run(before._replace(params=origin.params, rest=origin.rest), batch)[1]
    return Kind.WEIGHTS if _is_finite(at_origin) else Kind.SAMPLES


def _is_finite(log: Log) -> bool:
    """Whether loss and gradient of the steps are finite."""
    return bool(np.isfinite(log["loss"]).all() and np.isfinite(log["grad_norm"]).all())


def _place(fault: Fault, stepper: Stepper, samples: Part) -> Place:
    x, targets = samples
    row, names = fault.row, term_names(fault.row)
    if not np.isfinite(row["loss"][0]):
        bad = [name for name in names if not np.isfinite(row[name][0])]
        values = ", ".join(f"{name} is {row[name][0]:g}" for name in bad) or "the sum of its terms"
        words, layer = _in_the_forward_pass(stepper, fault.before, x)
        return Place(f"the loss is not finite ({values}){words}", bad[0] if bad else None, layer)
    if not np.isfinite(row["grad_norm"][0]):
        return _in_the_gradient(stepper, fault.before, x, targets, names)
    bad = not_finite(fault.after.params)
    if not bad:
        return Place("the state of the optimizer is not finite")
    return Place(f"the update of {bad[0]} is not finite", None, _layer(bad[0]))


def _layer(parameter: str) -> str:
    """ "hidden.kernel" belongs to "hidden"."""
    return parameter.rpartition(".")[0] or parameter


def _in_the_forward_pass(stepper: Stepper, state: State, x) -> tuple[str, str | None]:
    """Find the first parameter or else the first layer that is not finite: in words, and its name."""
    bad = not_finite(state.params)
    if bad:
        return f", as {bad[0]} is not", _layer(bad[0])
    key = jax.random.fold_in(state.key, state.step)
    order: list[str] = []

    @jax.jit
    def finite(state, x):
        record = run_model(stepper.structure.merge(state, training=True)["model"], x, key)
        outputs = {name: trace.state for name, trace in record.layers.items()} or {"readout": record.readout}
        order[:] = outputs  # a jitted dict comes back sorted
        return {name: jnp.isfinite(output).all() for name, output in outputs.items()}

    found = finite(state, jax.tree.map(jnp.asarray, x))
    layer = next((name for name in order if not found[name]), None)
    return ("" if layer is None else f", nor is what {layer} puts out"), layer


def _in_the_gradient(stepper: Stepper, state: State, x, targets: Targets, names: list[str]) -> Place:
    """Find the term whose gradient is not finite, and the first layer with such a gradient on the way back."""
    x, targets = jax.tree.map(jnp.asarray, (x, targets))
    key = jax.random.fold_in(state.key, state.step)
    order: list[str] = []

    @functools.partial(jax.jit, static_argnums=1)
    @jax.grad
    def gradient_of(params, name):
        system = stepper.structure.merge(state._replace(params=params), training=True)
        order[:] = run_model(system["model"], x, key).layers
        return stepper.structure.forward(system, x, targets, key)[0][name]

    gradients = ((name, gradient_of(state.params, name)) for name in (*names, "loss"))
    name, gradient = next((pair for pair in gradients if not math.isfinite(optax.tree.norm(pair[1]))), ("", None))
    if gradient is None:  # finite this time
        return Place("the gradient is not finite")
    bad = not_finite(gradient)
    if bad:
        last = max(bad, key=lambda parameter: order.index(_layer(parameter)) if _layer(parameter) in order else -1)
        words = f"the gradient of {last} is not finite"
    else:
        flat, paths = dict(nnx.to_flat_state(gradient)), short_names(gradient)
        last = max(paths, key=lambda parameter: float(jnp.abs(flat[paths[parameter]].get_value()).max()))
        words = f"the norm of the gradient is not finite, largest is that of {last}"
    blamed = None if name == "loss" else name
    return Place(words + (f", by {blamed}" if blamed else ""), blamed, _layer(last))
