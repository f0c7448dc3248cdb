"""What users pickle and copy comes back as it was: for a process pool, for Dask, for a second run from the same point.

snnlab itself unpickles nothing: see the contract in pyproject.toml.
"""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import jax
import numpy as np
import pytest
from networks import make_trainer

from snnlab import data, models
from snnlab.config import LstmConfig, SnnConfig, TrainConfig
from snnlab.errors import DivergenceError, StateError
from snnlab.live.run import Run
from snnlab.losses import Classification
from snnlab.surrogate import SURROGATES, arctan, make_surrogate

WAYS = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_are_values(way, name):
    """Equal wherever they come from, so that the kernels know them; another derivative is another surrogate."""
    again = way(SURROGATES[name])
    assert again == SURROGATES[name] and hash(again) == hash(SURROGATES[name])
    assert list(SURROGATES.values()).index(again) == list(SURROGATES).index(name)
    assert make_surrogate(arctan.derivative, arctan.smooth) == arctan
    assert make_surrogate(lambda x, slope: x, arctan.smooth) != arctan


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_networks_losses_and_settings(way):
    net = way(models.build(SnnConfig(hidden=9, num_steps=10), sample_shape=(4, 4), num_classes=3))
    assert net.stack.layers["hidden"].neuron.surrogate == SURROGATES["inv_square"]
    kernel = models.build(SnnConfig(hidden=9), sample_shape=(4, 4), num_classes=3).stack.layers["hidden"].kernel[...]
    np.testing.assert_array_equal(net.stack.layers["hidden"].kernel[...], kernel)
    assert way(net.recipe) == net.recipe and way(TrainConfig(epochs=3)) == TrainConfig(epochs=3)
    assert way(Classification("mean", l1=0.5)).l1[...] == 0.5
    assert (
        way(data.load("event_digits").subset(train=5, test=5)).crc
        == data.load("event_digits").subset(train=5, test=5).crc
    )
    error = way(DivergenceError("step 3", step=3, advice=0.1))
    assert (str(error), error.step, error.advice) == ("step 3", 3, 0.1)


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_a_trainer_continues_bit_for_bit(small, way):
    """And it is one of its own: what it does leaves the first one where it is."""
    first = make_trainer(small, LstmConfig(hidden=8), epochs=1)
    first.fit(until=3)
    first.set(learning_rate=0.005)
    first.fit(until=4)
    first.plan([(6, "learning_rate", 0.001)])
    second = WAYS[way](first)
    second.fit()
    assert len(first.history) == 4 and len(second.history) == 8
    first.fit()
    for one, other in zip(jax.tree.leaves(first.state.params), jax.tree.leaves(second.state.params), strict=True):
        np.testing.assert_array_equal(one, other)
    assert second.history.interventions == first.history.interventions and len(second.history.interventions) == 2


def test_a_live_run_says_what_to_pickle(small):
    run = Run(models.build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10), small, batch_size=64)
    with pytest.raises(StateError, match="use its trainer instead"):
        pickle.dumps(run)


def finished(trainer) -> list[float]:
    """Runs in another process."""
    return trainer.fit().steps()["loss"].tolist()


@pytest.mark.endure
def test_a_process_pool_trains(small):
    trainers = [make_trainer(small, seed=seed) for seed in (1, 2)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        losses = list(pool.map(finished, trainers))
    for trainer, found in zip(trainers, losses, strict=True):
        assert len(found) == 16
        np.testing.assert_allclose(found, finished(trainer), rtol=1e-4)
