"""Batches of short sequences are computed no longer than they are: with the same results, in one program."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import snnlab
from snnlab import losses
from snnlab.data import Dataset
from snnlab.data.targets import KINDS
from snnlab.errors import ArgumentError
from snnlab.models import Network
from snnlab.train import Trainer
from snnlab.train.shorter import Shorter
from snnlab.train.step import run_model

N, T, F = 60, 40, 5
RNG = np.random.default_rng(0)
LENGTHS = np.r_[RNG.integers(3, 9, 30), RNG.integers(14, 20, 20), RNG.integers(30, T + 1, 9), T]
X = np.zeros((N, T, F), np.float32)
for row, length in zip(X, LENGTHS, strict=True):
    row[:length] = RNG.random((length, F)) < 0.4
SUM = X.sum(2)
TARGETS = {
    "label": np.arange(N) % 2,
    "step_labels": (np.cumsum(SUM, 1) > 9.0).astype(int),
    "several_labels": (X[:, :, :2].sum(1) > 3).astype(int),
    "values": SUM.sum(1),
    "traces": np.cumsum(SUM, 1),
}
NETWORKS = {
    "lif": snnlab.SnnConfig(hidden=9, code="rows", v_th=0.4),
    "recurrent and adaptive": snnlab.SnnConfig(hidden=(9, 5), code="rows", v_th=0.4, recurrent=True, neuron="alif"),
    "delta": snnlab.SnnConfig(hidden=9, code="delta", v_th=0.4, delay=2),
    "lstm": snnlab.LstmConfig(hidden=6),
}
CASES = [*((task, "lif") for task in TARGETS), *(("step_labels", name) for name in NETWORKS if name != "lif")]


def make(task="label", name="lif", **options) -> Trainer:
    y = TARGETS[task]
    train, test = {"x": X, "y": y, "lengths": LENGTHS}, {"x": X[::9], "y": y[::9], "lengths": LENGTHS[::9]}
    parts = {f"{name}_train": array for name, array in train.items()}
    parts |= {f"{name}_test": array for name, array in test.items()}
    data = Dataset(name="mine", task=task, **parts)
    net = snnlab.build(NETWORKS[name], sample_shape=(T, F), num_classes=data.num_outputs)
    return Trainer(net, data, **{"epochs": 2, "batch_size": 5} | options)


@pytest.mark.parametrize(
    ("task", "name"), [*CASES[:2], *(pytest.param(*case, marks=pytest.mark.endure) for case in CASES[2:])]
)
def test_a_step_of_every_length_is_the_same_as_with_the_whole_padding(task, name):
    trainer = make(task, name)
    structure, (x, targets) = trainer.stepper.structure, trainer.data.part("train")
    steps, lengths = structure.shorter.steps, targets.lengths
    assert 2 <= len(steps) <= 5 and steps[-1] == T and structure.shorter.every_step == KINDS[task].every_step
    padded = jax.jit(structure.step)
    cut = jax.jit(lambda state, x, targets: structure.shorter(partial(structure.step, state), x, targets))
    shortest = 0
    for longest in steps:
        index = np.flatnonzero((lengths > shortest) & (lengths <= longest))[:5]
        batch = jax.tree.map(jnp.asarray, (x[index], targets[index]))
        expected, found = (step(trainer.state, *batch) for step in (padded, cut))
        for a, b in zip(jax.tree.leaves(expected[0].params), jax.tree.leaves(found[0].params), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=2e-5)
        for metric, value in expected[1].items():
            np.testing.assert_allclose(found[1][metric], value, rtol=2e-4, atol=1e-6, err_msg=metric)
        shortest = longest


def test_a_whole_run_compiles_one_program_and_measures_each_sample_as_if_it_ran_alone():
    trainer = make(loss=losses.Classification("mean"))
    trainer.fit()
    few = slice(None, None, 9)
    assert trainer.compilations == 1 and len(trainer.history) == 24
    alone = [
        float(
            losses.cross_entropy(
                run_model(trainer.model, jnp.asarray(x[None, :n]), jax.random.key(0)).mean, jnp.array([y])
            )
        )
        for x, n, y in zip(X[few], LENGTHS[few], TARGETS["label"][few], strict=True)
    ]
    assert trainer.evaluate()["loss"] == pytest.approx(np.mean(alone), rel=1e-5)


def test_batches_have_similar_lengths_and_any_order():
    trainer = make()
    steps = np.asarray(trainer.stepper.structure.shorter.steps)
    first, again, later = (trainer.runner.batches(0, epoch) for epoch in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert sorted(first.ravel().tolist()) == list(range(N)) and (first != later).any()
    longest = np.searchsorted(steps, LENGTHS[first].max(1))
    shortest = np.searchsorted(steps, LENGTHS[first].min(1))
    assert (longest != shortest).sum() < len(steps), "only where one group ends and the next begins"
    assert (np.diff(longest) < 0).any() and (np.diff(longest) > 0).any()


def test_a_batch_is_as_short_as_it_may_be():
    shorter = Shorter((3, 9), every_step=True)
    shapes = []

    def look(x, targets):
        shapes.append((x.shape, targets.values.shape, targets.mask.shape))
        return x.sum(), targets.mask.sum()

    trainer = make("step_labels")
    x, targets = (jax.tree.map(jnp.asarray, part) for part in trainer.data.part("train"))
    nine = np.flatnonzero((LENGTHS > 3) & (LENGTHS < 9))[:4]
    total, counted = shorter(look, x[nine], targets[nine])
    assert shapes == [((4, 3, F), (4, 3), (4, 3)), ((4, 9, F), (4, 9), (4, 9))]
    assert float(total) == X[nine].sum() and int(counted) == LENGTHS[nine].sum()


def test_code_of_your_own_sees_the_whole_padding():
    """It may depend on the length: a loss may weigh the steps, a layer may look at the end."""
    trainer = make(loss=lambda record, labels: (record.mean**2).sum())
    assert trainer.stepper.structure.shorter == Shorter()

    class Mine(Network):
        def __call__(self, x, *, key=None):
            return super().__call__(x[:, ::-1], key=key)

    net = make().model
    own = Mine(net.encoder, nnx.clone(net.stack))
    assert Trainer(own, make().data, batch_size=5).stepper.structure.shorter == Shorter()


@pytest.mark.parametrize("task", ["step_labels", "traces"])
def test_samples_that_are_masked_altogether_teach_nothing_and_hurt_nothing(task):
    """A batch of them leaves the weights to the price of spikes; whatever their targets are, the run is the same."""
    mask = np.ones((N, T), bool)
    mask[:20] = False
    runs = []
    for changed in (0, 1):
        y = TARGETS[task].copy()
        y[:20] += changed
        parts = {"x_train": X, "y_train": y, "mask_train": mask, "x_test": X[20:], "y_test": y[20:]}
        data = Dataset(
            name="mine", task=task, lengths_train=LENGTHS, class_names=("a", "b", "c")[: 3 * (task[0] == "s")], **parts
        )
        net = snnlab.build(NETWORKS["lif"], sample_shape=(T, F), num_classes=data.num_outputs)
        loss = losses.StepClassification() if task == "step_labels" else losses.TraceRegression()
        trainer = Trainer(net, data, loss=loss, epochs=1, batch_size=5)
        trainer.runner.prepare(trainer.state)
        _, log, sound = trainer.runner(trainer.state, np.arange(5, dtype=np.int32)[None])
        assert sound and log["loss"][0] == 0.0 and log["grad_norm"][0] == 0.0
        runs.append(trainer.fit().steps()["loss"])
    np.testing.assert_array_equal(*runs)
    assert np.isfinite(runs[0]).all()
    with pytest.raises(ArgumentError, match="mask_train: masks every step of every sample"):
        Dataset(name="mine", task=task, **parts | {"mask_train": np.zeros((N, T), bool)})
