"""A run that stops being finite: where it does, what is kept, and how to go on. Looked for only once it has happened.

A loss or gradient that is not finite at step `k` comes from the weights that step `k - 1` made: whatever the learning
rate is now, step `k` finds the same weights again. So the last good state is the one *before* step `k - 1`, from where
a smaller step leads elsewhere. Two cases are different. Where step `k` itself makes weights that are not finite, the
last good state is the one before it. And where the loss of these samples is not finite with the weights that the run
began with either, no learning rate helps; then all steps are kept.

Weights can be finite and yet be thrown far out, steps before anything overflows. Where the loss had risen by then, the
way back leads further, to the end of the last epoch before it rose.

Which state is kept does not depend on how the run is cut into chunks.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from snnlab.controls import LEARNING_RATE, calmer
from snnlab.errors import DivergenceError, StateError
from snnlab.history import term_names
from snnlab.history.series import RISE
from snnlab.support.interrupt import uninterrupted
from snnlab.train.knobs import find_knobs
from snnlab.train.step import State, Stepper, not_finite, run_model
from snnlab.variables import short_names


class Mark(NamedTuple):
    """A place in a run to which it can go back: the state, and how much of the history was there then."""

    state: State
    steps: int
    epochs: int
    moves: int


class Place(NamedTuple):
    """Where something is not finite: in words, the term of the loss, the layer."""

    words: str
    term: str | None = None
    layer: str | None = None


class Guard:
    """Remembers where a `Trainer` could go back to, and finds out why it has to.

    Args:
        trainer: that is guarded.
    """

    def __init__(self, trainer):
        self._trainer = trainer
        self._before: tuple[Mark, np.ndarray] | None = None  # the last chunk that went well, and where it began
        self._ends: list[Mark] = [Mark(trainer.start, 0, 0, 0)]  # of epochs, oldest first: the start and the last one
        self._error: DivergenceError | None = None
        self._goal: Mark | None = None

    def mark(self) -> Mark:
        """Where the run is now."""
        history = self._trainer.history
        return Mark(self._trainer.state, len(history), history.num_epochs, len(history.interventions))

    @staticmethod
    def is_well(log: dict[str, np.ndarray], sound: bool) -> bool:
        """What `Trainer.run` returned is finite throughout."""
        return sound and _is_finite(log)

    def chunk_went_well(self, began: Mark, batches: np.ndarray) -> None:
        """Note a chunk that is in the history."""
        self._before, self._error = (began, batches), None

    def epoch_ended(self) -> None:
        """Note a place to which to go back from afar."""
        if not _has_risen(self._losses()):
            self._ends = [self._ends[0], self.mark()]

    def replay(self, began: Mark, batches: np.ndarray) -> tuple[State, dict[str, np.ndarray]]:
        """A chunk that is not finite somewhere, again, step by step; keeps what is good of it.

        Args:
            began: where the chunk began.
            batches: of the chunk.

        Returns:
            State and metrics of the chunk if it is finite this time, as can be where sums have no fixed order.

        Raises:
            DivergenceError: if it is not.
        """
        run, state, log = self._trainer.run, began.state, {}
        for number, batch in enumerate(batches):  # noqa: B007 (used after the loop)
            after, row, sound = run(state, batch[None])
            finite = _is_finite(row)
            if not (finite and sound):
                break
            before, state = state, after
            log = {name: np.concatenate([log.get(name, values[:0]), values]) for name, values in row.items()}
        else:
            return state, log
        place = self._place(state, after, batch, row)
        to_blame = finite or self._is_finite_at_the_start(state, batch)
        less = not finite and to_blame  # one step less
        stuck = less and not number and self._before is None
        step = began.steps + number
        earlier = self._one_step_less() if less and not number and not stuck else None
        if earlier is not None:
            self._return_to(earlier)
        elif less and number:
            self._keep(before, {name: values[:-1] for name, values in log.items()}, began, batches)
        else:
            self._keep(state, log, began, batches)
        self._goal = self._way_back(stuck) if to_blame else None
        self._error = self._explain(step, place)
        raise self._error

    def _keep(self, state: State, log: dict[str, np.ndarray], began: Mark, batches: np.ndarray) -> None:
        """The first steps of a chunk."""
        self._trainer.commit(state, log)
        count = len(self._trainer.history) - began.steps
        if count:
            self._before = began, batches[:count]

    def go_back(self, learning_rate: float | None) -> None:
        """See `Trainer.go_back`."""
        error = self._error
        if error is None or self._goal is None:
            why = "nothing has diverged" if error is None else "a lower learning rate would not help"
            raise StateError(f"go_back: {why}")
        rate = error.advice if learning_rate is None else learning_rate
        if rate is not None:
            self._trainer.mailbox.check(LEARNING_RATE, rate)
        with uninterrupted():
            self._return_to(self._goal)
            self._error = None
            if rate is not None:
                self._trainer.set(LEARNING_RATE, rate)

    def _return_to(self, mark: Mark) -> None:
        """Knobs that were moved after it stay where they are: they act on the next chunk."""
        trainer, moves = self._trainer, self._trainer.history.interventions[mark.moves :]
        if (mark.steps, mark.moves) != (len(trainer.history), len(trainer.history.interventions)):
            trainer.history = trainer.history.until(mark.steps, epochs=mark.epochs, moves=mark.moves)
            self._before = None
            self._ends = [end for end in self._ends if end.steps <= mark.steps]
        trainer.state = mark.state
        for move in moves:
            trainer.set(move["knob"], trainer.mailbox.knobs[move["knob"]].value)

    def _one_step_less(self) -> Mark:
        began, batches = self._before
        state = self._trainer.run(began.state, batches[:-1])[0] if len(batches) > 1 else began.state
        return began._replace(state=state, steps=began.steps + len(batches) - 1)

    def _way_back(self, stuck: bool) -> Mark | None:
        """What is kept, unless the loss had risen by then or the next step finds the same weights again."""
        here = self.mark()
        if not stuck and not _has_risen(self._losses()):
            return here
        return next((end for end in reversed(self._ends) if end.steps < here.steps), None)

    def _losses(self) -> np.ndarray:
        return self._trainer.history.steps().get("loss", np.empty(0))

    def _is_finite_at_the_start(self, state: State, batch: np.ndarray) -> bool:
        """These samples, the knobs as they are, the weights that the run began with."""
        start = self._trainer.start
        return _is_finite(self._trainer.run(state._replace(params=start.params, rest=start.rest), batch[None])[1])

    def _place(self, state: State, after: State, batch: np.ndarray, row: dict[str, np.ndarray]) -> Place:
        """Of the step that leads from `state` to `after`."""
        x, y = self._trainer.data.x_train[batch], self._trainer.data.y_train[batch]
        names = term_names(self._trainer.metric_names)
        if not np.isfinite(row["loss"][0]):
            bad = [name for name in names if not np.isfinite(row[name][0])]
            values = ", ".join(f"{name} is {row[name][0]:g}" for name in bad) or "the sum of its terms"
            words, layer = _in_the_forward_pass(self._trainer.stepper, state, x)
            return Place(f"the loss is not finite ({values}){words}", bad[0] if bad else None, layer)
        if not np.isfinite(row["grad_norm"][0]):
            return _in_the_gradient(self._trainer.stepper, state, x, y, names)
        bad = not_finite(after.params)
        if not bad:
            return Place("what the optimizer keeps is not finite")
        return Place(f"the update of {bad[0]} is not finite", None, _layer(bad[0]))

    def _explain(self, step: int, place: Place) -> DivergenceError:
        trainer, goal = self._trainer, self._goal
        knobs = {knob.name: knob for knob in find_knobs(trainer.state.live, trainer.state.opt_state)}
        knob, advice = knobs.get(LEARNING_RATE), None
        if goal is not None and knob is not None:
            advice = calmer(knob.value)
            advice = advice if advice >= knob.low else None
        kept = len(trainer.history)
        words = [f"step {step}: {place.words}; the weights kept are those of step {kept}."]
        if goal is not None and goal.steps < kept:
            words.append(f"The loss had risen by then: go back to step {goal.steps}.")
        if goal is None:
            words.append(
                "It is not finite with the weights of the start either, so a lower learning rate does not help."
            )
            words.append("Look at the loss, at the data, and at the knobs that were moved.")
        elif advice is not None:
            words.append(f"Lower the learning rate from {knob.value:.2g} to {advice:g} and go on from there.")
        elif knob is None:
            words.append("Give the optimizer a lower learning rate (with optax.inject_hyperparams it becomes a knob).")
        else:
            words.append("The learning rate is low already: clip the gradient, or draw smaller weights.")
        rate = None if knob is None else knob.value
        found = {"step": step, "term": place.term, "layer": place.layer, "learning_rate": rate, "advice": advice}
        return DivergenceError(" ".join(words), **found, back_to=None if goal is None else goal.steps)


def _is_finite(row: dict[str, np.ndarray]) -> bool:
    """Loss and gradient of the steps."""
    return bool(np.isfinite(row["loss"]).all() and np.isfinite(row["grad_norm"]).all())


def _has_risen(losses: np.ndarray) -> bool:
    """The newest loss is far above the first."""
    return len(losses) > 0 and losses[-1] - losses[0] > RISE * max(abs(losses[0]), 1.0)


def _layer(parameter: str) -> str:
    """ "hidden.kernel" belongs to "hidden"."""
    return parameter.rpartition(".")[0] or parameter


def _in_the_forward_pass(stepper: Stepper, state: State, x) -> tuple[str, str | None]:
    """The first parameter or else the first layer that is not finite: in words, and its name."""
    bad = not_finite(state.params)
    if bad:
        return f", as {bad[0]} is not", _layer(bad[0])
    key = jax.random.fold_in(state.key, state.step)
    order: list[str] = []

    @jax.jit
    def finite(state, x):
        record = run_model(stepper.merge(state, training=True)["model"], x, key)
        outputs = {name: trace.state for name, trace in record.layers.items()} or {"readout": record.readout}
        order[:] = outputs  # a jitted dict comes back sorted
        return {name: jnp.isfinite(output).all() for name, output in outputs.items()}

    found = finite(state, jax.tree.map(jnp.asarray, x))
    layer = next((name for name in order if not found[name]), None)
    return ("" if layer is None else f", nor is what {layer} puts out"), layer


def _in_the_gradient(stepper: Stepper, state: State, x, y, names: list[str]) -> Place:
    """The term whose gradient it is, and the layer where that shows first on the way back from the readout."""
    x, y, key = jax.tree.map(jnp.asarray, x), jnp.asarray(y), jax.random.fold_in(state.key, state.step)
    order: list[str] = []

    @functools.partial(jax.jit, static_argnums=1)
    @jax.grad
    def gradient_of(params, name):
        system = stepper.merge(state._replace(params=params), training=True)
        order[:] = run_model(system["model"], x, key).layers
        return stepper.forward(system, x, y, key)[name]

    for name in (*names, "loss"):
        gradient = gradient_of(state.params, name)
        bad = not_finite(gradient)
        if bad or not math.isfinite(optax.tree.norm(gradient)):
            break
    if bad:
        last = max(bad, key=lambda parameter: order.index(_layer(parameter)) if _layer(parameter) in order else -1)
        words = f"the gradient of {last} is not finite"
    else:
        flat, paths = dict(nnx.to_flat_state(gradient)), short_names(gradient)
        last = max(paths, key=lambda parameter: float(jnp.abs(flat[paths[parameter]].get_value()).max()))
        words = f"the norm of the gradient is not finite, largest is that of {last}"
    blamed = None if name == "loss" else name
    return Place(words + (f", by {blamed}" if blamed else ""), blamed, _layer(last))
