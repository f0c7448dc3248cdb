"""Any Optax transformation trains: it gets what it asks for, and every number injected into it is a knob."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import make_trainer

from snnlab.checkpoint import Checkpoints
from snnlab.config import LstmConfig
from snnlab.errors import ArgumentError

LSTM = LstmConfig(hidden=8)


def listening(*, strict: bool = False) -> optax.GradientTransformation:
    """Plain gradient descent that keeps what it is told of the last step."""

    def init(params):
        return dict.fromkeys(("value", "again", "norm"), jnp.float32(0.0))

    def some(updates, state, params=None, *, value, value_fn):
        told = {"value": value, "again": value_fn(params), "norm": state["norm"]}
        return jax.tree.map(lambda u: -0.1 * u, updates), told

    def everything(updates, state, params=None, *, grad, **more):
        updates, told = some(updates, state, params, value=more["value"], value_fn=more["value_fn"])
        return updates, told | {"norm": optax.tree.norm(grad)}

    return optax.GradientTransformationExtraArgs(init, some if strict else everything)


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=pytest.mark.endure)])
def test_an_optimizer_that_asks_is_told(small, strict):
    """The loss of the step, the same again as a function of the parameters, and the gradient; to the bit."""
    trainer = make_trainer(small, LSTM, optimizer=listening(strict=strict))
    trainer.fit(until=1)
    told, steps = trainer.state.opt_state, trainer.history.steps()
    assert told["value"] == steps["loss"][0]
    np.testing.assert_allclose(told["again"], told["value"], rtol=1e-6)
    np.testing.assert_allclose(told["norm"], 0.0 if strict else steps["grad_norm"][0], rtol=1e-6)


def twice():
    rates = [optax.inject_hyperparams(optax.sgd)(learning_rate=rate) for rate in (0.5, -1.0)]
    return optax.chain(optax.inject_hyperparams(optax.clip_by_global_norm)(max_norm=2.0), *rates)


def test_every_injected_number_is_a_knob_under_its_own_name(small):
    trainer = make_trainer(small, LSTM, optimizer=twice())
    names = ["max_norm", "optimizer.1.learning_rate", "optimizer.2.learning_rate"]
    assert list(trainer.mailbox.knobs) == names
    assert [knob.value for knob in trainer.mailbox.knobs.values()] == [2.0, 0.5, -1.0]
    trainer.set({"max_norm": 1e-3, "optimizer.1.learning_rate": 0.25})
    before = trainer.state.params
    trainer.fit(until=1)
    moved = jax.tree.map(jnp.subtract, trainer.state.params, before)
    # clipped, then times -0.25, then times +1
    np.testing.assert_allclose(optax.tree.norm(moved), 0.25e-3, rtol=1e-4)
    assert [(move["knob"], move["old"]) for move in trainer.history.interventions] == [(names[0], 2.0), (names[1], 0.5)]
    with pytest.raises(ArgumentError, match=r"'learning_rate' is ambiguous, it could be optimizer\.1\."):
        trainer.set(learning_rate=0.1)


def test_what_follows_a_schedule_is_no_knob(small):
    scheduled = optax.inject_hyperparams(optax.sgd)(learning_rate=optax.linear_schedule(0.1, 0.0, 4), momentum=0.9)
    trainer = make_trainer(small, LSTM, optimizer=scheduled)
    assert list(trainer.mailbox.knobs) == ["momentum"]


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (optax.lookahead(optax.sgd(0.1), 5, 0.5), "optimizer: cannot take a step .*'fast'"),
        (optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1), opaque_mode=True), "grad_fn must be provided"),
        (optax.stateless(lambda updates, params: {"odd": 1.0}), "optimizer: its updates must keep their structure"),
    ],
    ids=["lookahead", "sam", "stateless"],
)
def test_what_cannot_work_is_refused_with_the_reason(small, optimizer, said):
    with pytest.raises(ArgumentError, match=said):
        make_trainer(small, LSTM, optimizer=optimizer)


OPTIMIZERS = {
    "lbfgs": optax.lbfgs,
    "polyak": optax.polyak_sgd,
    "backtracking": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5)),
    "plateau": lambda: optax.chain(optax.adam(0.01), optax.contrib.reduce_on_plateau(patience=2)),
    "schedule-free": lambda: optax.contrib.schedule_free_adamw(0.01),
    "momo": lambda: optax.contrib.momo(0.1),
    "muon": lambda: optax.contrib.muon(0.01),
    "sam": lambda: optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.01), opaque_mode=False),
    "several steps": lambda: optax.MultiSteps(optax.adam(0.01), 2),
    "twice": twice,
    "parts": lambda: optax.partition(
        {True: optax.adam(0.01), False: optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)},
        lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
    ),
}


@pytest.mark.endure
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_trains_compiles_once_and_resumes(small, name, tmp_path):
    def trainer():
        return make_trainer(small, optimizer=OPTIMIZERS[name]())

    whole = trainer()
    whole.fit()
    first = Checkpoints(trainer(), tmp_path)
    next(iter(first))
    first.close()
    second = Checkpoints(trainer(), tmp_path)
    list(second)
    second.close()
    losses = [np.asarray(run.history.steps()["loss"]) for run in (whole, second.trainer)]
    assert second.resumed and whole.compilations == 1 and np.isfinite(losses[0]).all()
    np.testing.assert_array_equal(*losses)
