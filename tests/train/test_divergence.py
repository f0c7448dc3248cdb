"""A run that stops being finite: what is said, what is kept, and that one can go on. On lines and parabolas whose
weights are known at every step, and on real networks."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from networks import SMALL, make_trainer

from snnlab import losses, models
from snnlab.config import LstmConfig
from snnlab.errors import ArgumentError, DivergenceError, StateError
from snnlab.train import Trainer
from snnlab.variables import Live


class Weight(nnx.Module):
    """One number, whatever the image."""

    def __init__(self, value: float):
        self.w = nnx.Param(jnp.float32(value))

    def __call__(self, x):
        return self.w[...] * jnp.ones((1, len(x), 10))


def sgd(rate: float):
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


def line(small, limit=5.5, rate=1.0, **options) -> Trainer:
    """`loss = -w` from `w = 0`: each step adds the learning rate. Past the limit the wall is not a number."""

    def loss(record, labels):
        w = record.readout.mean()
        return {"slope": -w, "wall": jax.lax.stop_gradient(0.0 * jnp.log(limit - w))}

    return Trainer(Weight(0.0), small, loss=loss, optimizer=sgd(rate), epochs=3, batch_size=32, **options)


def parabola(small, rate) -> Trainer:
    """`loss = w^2` from `w = 1`: each step multiplies `w` by `1 - 2 rate`."""
    loss = lambda record, labels: (record.readout**2).mean()  # noqa: E731
    return Trainer(Weight(1.0), small, loss=loss, optimizer=sgd(rate), epochs=20, batch_size=32)


def diverges(trainer: Trainer) -> DivergenceError:
    with pytest.raises(DivergenceError) as caught:
        trainer.fit()
    values = jax.tree.leaves((trainer.state.params, trainer.state.opt_state))
    assert all(np.isfinite(value).all() for value in values)
    assert all(np.isfinite(column).all() for column in trainer.history.steps().values())
    assert int(trainer.state.step) == len(trainer.history)
    own = jax.tree.leaves(nnx.state(trainer.model, nnx.Param))
    kept = jax.tree.leaves(nnx.state(trainer.snapshot(), nnx.Param))
    assert all(map(np.array_equal, own, kept))
    return caught.value


def w(trainer) -> float:
    return float(trainer.model.w[...])


@pytest.mark.parametrize("chunk", [1, 2, 3, 6, 7, 32])
def test_what_is_kept_is_the_last_state_with_another_way_on(small, chunk):
    """At step 6 `w` is 6, and no learning rate changes that any more: kept is step 5, however the run is cut."""
    trainer = line(small)
    with pytest.raises(DivergenceError) as caught:
        for _ in trainer:
            trainer._steps_in_chunk = chunk
    error = caught.value
    assert (error.step, error.term, error.learning_rate, error.advice, error.back_to) == (6, "wall", 1.0, 0.01, 5)
    assert len(trainer.history) == 5 and w(trainer) == 5.0
    assert str(error) == (
        "step 6: the loss is not finite (wall is nan); the weights kept are those of step 5. Lower the learning rate "
        "from 1 to 0.01 and go on from there."
    )
    trainer.go_back()
    trainer.fit()
    np.testing.assert_allclose(w(trainer), 5.0 + 19 * 0.01, rtol=1e-5)
    assert trainer.history.interventions == [{"step": 5, "knob": "learning_rate", "old": 1.0, "new": 0.01}]
    assert len(trainer.history) == 24 and len(trainer.history.epochs) == 3 and trainer.compilations == 1


def test_one_can_go_back_several_times(small):
    """0.1 reaches the wall too, after four more steps; 0.001 does not within this run."""
    trainer = line(small, limit=5.45)
    diverges(trainer)
    trainer.go_back(0.1)
    error = diverges(trainer)
    assert (error.step, error.back_to, error.advice) == (10, 9, 0.01) and w(trainer) == pytest.approx(5.4)
    trainer.go_back(0.001)
    trainer.fit()
    assert w(trainer) == pytest.approx(5.4 + 15 * 0.001, abs=1e-5)


def test_at_the_first_step_of_an_epoch_the_last_one_ends_anew(small):
    """At step 8, the first of the second epoch, `w` is 8: kept are seven steps, and no result of an epoch."""
    trainer = line(small, limit=7.5)
    assert diverges(trainer).step == 8
    assert len(trainer.history) == 7 and trainer.history.epochs == []
    trainer.go_back()
    trainer.fit()
    assert [row["epoch"] for row in trainer.history.epochs] == [1, 2, 3]


def test_knobs_moved_before_the_failure_stay_moved(small):
    """A move at step 6, which is undone with its step, acts on the step that is taken in its place."""

    class Wall(nnx.Module):
        def __init__(self):
            self.height = Live(jnp.float32(0.0))

        def __call__(self, record, labels):
            w = record.readout.mean()
            return {"slope": -w, "wall": jax.lax.stop_gradient(self.height[...] + 0.0 * jnp.log(5.5 - w))}

    trainer = Trainer(Weight(0.0), small, loss=Wall(), optimizer=sgd(1.0), epochs=2, batch_size=32)
    trainer.plan([(2, "height", 1.0), (6, "height", 3.0)])
    diverges(trainer)
    assert [(row["step"], row["new"]) for row in trainer.history.interventions] == [(2, 1.0)]
    trainer.go_back()
    trainer.fit()
    moves = {(row["step"], row["knob"], row["new"]) for row in trainer.history.interventions}
    assert moves == {(2, "height", 1.0), (5, "height", 3.0), (5, "learning_rate", 0.01)}


def test_from_a_loss_that_had_risen_the_way_back_leads_to_the_end_of_an_epoch(small):
    """`w` shrinks for two epochs; then a rate of 1.5 doubles it every step, long before `w^2` overflows."""
    trainer = parabola(small, 0.1)
    trainer.fit(until=16)
    trainer.set(learning_rate=1.5)
    error = diverges(trainer)
    assert error.step > 70 and error.back_to == 16 and error.advice == 0.01 and "go back to step 16" in str(error)
    assert len(trainer.history) > 70  # the rise stays to be seen until one goes back
    trainer.go_back()
    assert len(trainer.history) == 16 and len(trainer.history.epochs) == 2
    trainer.fit()
    assert trainer.history.interventions == [
        {"step": 16, "knob": "learning_rate", "old": pytest.approx(0.1), "new": 0.01}
    ]
    np.testing.assert_allclose(float(trainer.model.w[...]), 0.8**16 * 0.98**144, rtol=1e-4)


def test_a_loss_that_rose_from_the_start_leads_back_to_it(small):
    trainer = parabola(small, 1.5)
    error = diverges(trainer)
    assert error.back_to == 0 and error.term == "objective" and error.layer in (None, "readout", "w")
    trainer.go_back()
    trainer.fit()
    np.testing.assert_allclose(float(trainer.model.w[...]), 0.98**160, rtol=1e-4)


def test_an_update_that_is_not_finite(small):
    """The loss and its gradient are, at the step before it: that one is kept whole."""
    trainer = make_trainer(small, optimizer=sgd(1e38))
    error = diverges(trainer)
    assert error.layer in ("hidden", "readout") and error.term is None and error.back_to == error.step
    assert "the update of" in str(error) and len(trainer.history) == error.step
    trainer.go_back()
    trainer.fit()
    assert trainer.done


def test_an_infinite_gradient_of_a_finite_loss(small):
    """The root has an infinite slope at 0: the loss is finite, and no learning rate helps."""

    def loss(record, labels):
        far = jnp.maximum(record.peak - 1e9, 0.0)
        return {"ce": losses.cross_entropy(record.peak, labels), "root": jnp.sqrt(far).sum()}

    trainer = make_trainer(small, replace(SMALL, v_th=0.1), loss=loss)  # it fires: the readout is reached
    error = diverges(trainer)
    assert (error.step, error.term, error.layer) == (0, "root", "readout")
    assert error.advice is None and error.back_to is None and "a lower learning rate does not help" in str(error)
    with pytest.raises(StateError, match="go_back: a lower learning rate would not help"):
        trainer.go_back()


def test_the_first_layer_on_the_way_forward_is_named(small):
    """Weights that are finite and too large: what the hidden layer sends on is finite, the readout's sum is not."""
    net = models.build(replace(SMALL, v_th=0.1), sample_shape=(8, 8), num_classes=10)
    kernel = net.stack.layers["readout"].kernel
    kernel.set_value(jnp.full_like(kernel[...], 3e38))
    error = diverges(Trainer(net, small, epochs=1, batch_size=32))
    assert (error.step, error.term, error.layer) == (0, "cross_entropy", "readout")


def test_a_gradient_whose_norm_overflows(small):
    """Every entry is a float32, the root of the sum of their squares is not."""
    trainer = make_trainer(small, loss=lambda record, labels: {"big": 1e30 * losses.cross_entropy(record.peak, labels)})
    error = diverges(trainer)
    assert error.step == 0 and error.term == "big" and "the norm of the gradient" in str(error)


def test_a_knob_can_be_to_blame(small):
    trainer = make_trainer(small)
    trainer.fit(until=5)
    trainer.set(l1=3e38)
    trainer.set(v_th=0.2)
    error = diverges(trainer)
    assert (error.step, error.term, error.back_to) == (5, "l1", None) and len(trainer.history) == 5
    trainer.set(l1=0.0)
    trainer.fit()
    assert trainer.done


def test_gradients_that_underflow_are_no_divergence(small):
    trainer = make_trainer(small, loss=lambda record, labels: 1e-44 * losses.cross_entropy(record.peak, labels))
    trainer.fit()
    assert trainer.done


def test_an_optimizer_may_begin_with_infinity(small):
    """The best value so far, before there is one."""
    plateau = optax.chain(optax.adam(1e-3), optax.contrib.reduce_on_plateau())
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    state = plateau.init(nnx.state(net, nnx.Param))
    assert not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))

    def update(grads, state, params):
        return plateau.update(grads, state, params, value=1.0)

    trainer = Trainer(net, small, optimizer=optax.GradientTransformation(plateau.init, update), epochs=1, batch_size=32)
    trainer.fit()
    assert trainer.done


def test_weights_that_are_not_finite_are_refused(small):
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    kernel = net.stack.layers["hidden"].kernel
    kernel.set_value(kernel[...].at[3, 4].set(jnp.nan))
    with pytest.raises(ArgumentError, match=r"model: its parameters must be finite, got NaN or infinity in hidden\.k"):
        Trainer(net, small)


def test_an_optimizer_without_a_knob_is_told_so(small):
    error = diverges(make_trainer(small, optimizer=optax.sgd(1e38)))
    assert error.advice is None and error.learning_rate is None and "Give the optimizer a lower" in str(error)


def test_there_must_be_something_to_go_back_from(small):
    trainer = line(small)
    with pytest.raises(StateError, match="go_back: nothing has diverged"):
        trainer.go_back()
    diverges(trainer)
    with pytest.raises(ArgumentError, match="learning_rate: must be"):
        trainer.go_back(float("nan"))
    trainer.go_back()
    with pytest.raises(StateError, match="go_back: nothing has diverged"):
        trainer.go_back()


@pytest.mark.parametrize("config", [SMALL, LstmConfig(hidden=8)], ids=["update", "gradient"])
def test_a_run_that_went_back_replays_to_the_same_bits(small, config):
    """From its moves alone, in one go: what was undone leaves no trace in what follows."""
    trainer = make_trainer(small, config, optimizer=sgd(0.1))
    trainer.fit(until=6)
    trainer.set(learning_rate=1e38)
    diverges(trainer)
    trainer.go_back()
    trainer.fit()
    again = make_trainer(small, config, optimizer=sgd(0.1))
    again.plan((row["step"], row["knob"], row["new"]) for row in trainer.history.interventions)
    again.fit()
    mine, theirs = (jax.tree.leaves(one.state.params) for one in (trainer, again))
    assert all(map(np.array_equal, mine, theirs)) and len(trainer.history) == len(again.history) == 16
    np.testing.assert_array_equal(trainer.history.steps()["loss"], again.history.steps()["loss"])
