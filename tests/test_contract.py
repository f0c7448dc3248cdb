"""What every task, every kind of network, of sample and of source must keep: one table, the same promises for each.

The compiled programs of a case are shared by its tests, which therefore follow each other.
"""

import copy
import pickle
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import snnlab
from snnlab.checkpoint import Checkpoints
from snnlab.config import LATENCY_CONV
from snnlab.data import Dataset, EventLists, Source
from snnlab.encode import Rows
from snnlab.errors import ArgumentError
from snnlab.health import Checkup
from snnlab.layers import Expon, Graph, Leaky, LifRef, Projection, Stack
from snnlab.live.look.energy import Meter
from snnlab.models import Network
from snnlab.train import Trainer, script
from snnlab.train.step import run_model

N, T, F = 24, 8, 6  # samples, steps and channels; as an image of 8 x 6 pixels, too
RNG = np.random.default_rng(0)
X = (RNG.random((N, T, F)) < 0.4).astype(np.float32)
SUM = X.sum(2)
TARGETS = {
    "label": np.arange(N) % 2,
    "step_labels": (np.cumsum(SUM, 1) > 8.0).astype(int),
    "several_labels": (X[:, :, :2].sum(1) > 3).astype(int),
    "values": 100.0 + 7.0 * SUM.sum(1),
    "traces": np.cumsum(SUM, 1),
    "spike_trains": (np.cumsum(SUM, 1)[..., None] % 5 == 0).astype(int),
}
LENGTHS = np.tile([3, 5, T], N // 3)
MASK = RNG.random((N, T)) < 0.7


def dataset(task: str, **beside) -> Dataset:
    """Two thirds to train, the rest to test; what is beside the targets belongs to both."""
    y, cut = TARGETS[task], 2 * N // 3
    arrays = {"x": X, "y": y, **beside}
    parts = {"train": slice(cut), "test": slice(cut, None)}
    values = {f"{name}_{part}": array[index] for name, array in arrays.items() for part, index in parts.items()}
    return Dataset(name="mine", task=task, **values)


def events() -> Dataset:
    """The samples as events of `F` channels: where a value is 1, one at that step, in the middle of its millisecond."""

    def lists(x):
        return EventLists.from_lists(
            [[(1000 * t + 500, k, 0, 0) for t, k in np.argwhere(s)] for s in x], sensor=(1, 1, F)
        )

    data = dataset("label")
    return Dataset(
        name="mine",
        x_train=lists(data.x_train),
        y_train=data.y_train,
        x_test=lists(data.x_test),
        y_test=data.y_test,
    )


def batches(epoch: int):
    """The training part of `dataset("label")` in batches of 4, in another order in every epoch."""
    data = dataset("label")
    for rows in np.random.default_rng(epoch).permutation(len(data.x_train)).reshape(-1, 4):
        yield data.x_train[rows], data.y_train[rows]


def held_out():
    """Its test part, as `batches`."""
    data = dataset("label")
    for start in range(0, len(data.x_test), 4):
        yield data.x_test[start : start + 4], data.y_test[start : start + 4]


def spiking_readout(data: Dataset, seed: int) -> Network:
    rngs = nnx.Rngs(seed)
    hidden = Projection(F, LifRef(7, v_th=0.5), synapse=Expon(7), rngs=rngs)
    readout = Projection(7, LifRef(1, v_th=0.1), synapse=Expon(1), rngs=rngs)
    return Network(Rows(), Stack(hidden=hidden, readout=readout))


def graph(data: Dataset, seed: int) -> Network:
    """A layer that is fed by the input and by itself, a step later, and another beside it."""
    rngs = nnx.Rngs(seed)
    layers = {
        "in": nnx.Linear(F, 7, rngs=rngs),
        "loop": LifRef(7, v_th=0.1),
        "back": nnx.Linear(7, 7, rngs=rngs),
        "beside": Projection(F, LifRef(7, v_th=0.1), rngs=rngs),
        "readout": Projection(7, Leaky(2), rngs=rngs),
    }
    edges = "input in, in loop, loop back, back loop, input beside, loop readout, beside readout, readout output"
    return Network(Rows(), Graph(layers, [tuple(edge.split()) for edge in edges.split(", ")]))


def built(config):
    def build(data: Dataset, seed: int) -> Network:
        shape, outputs = data.sample_shape, data.num_outputs
        return snnlab.build(config, sample_shape=shape, num_classes=outputs, seed=seed)

    return build


def rows(**changes):
    return built(snnlab.SnnConfig(**{"hidden": 7, "code": "rows", "v_th": 0.5} | changes))


CASES = {
    **{task: (dataset(task), rows()) for task in TARGETS if task != "spike_trains"},
    "spike_trains": (dataset("spike_trains"), spiking_readout),
    "masks and weights": (dataset("step_labels", mask=MASK, weights=1.0 + np.arange(N)), rows()),
    "lengths": (dataset("label", lengths=LENGTHS), rows()),
    "validation": (dataset("label").hold_out(0.25), rows()),
    "deep": (dataset("label"), rows(hidden=(7, 5), gains=(8.0, 8.0))),  # in 8 ms nothing fires at 15 Hz
    "recurrent": (dataset("label"), rows(recurrent=True)),
    "adaptive": (dataset("label"), rows(neuron="alif")),
    "delays": (dataset("label"), rows(most_delay=5)),
    "delta": (dataset("label"), rows(code="delta")),
    "table": (dataset("label"), rows(code="population", num_steps=9)),
    "convolution": (dataset("label"), built(replace(LATENCY_CONV, channels=(3, 4), num_steps=9, v_th=0.3))),
    "currents": (
        dataset("label"),
        built(replace(LATENCY_CONV, channels=(3, 4), stride=(2, 1), code="current", num_steps=9, shift=1)),
    ),
    "augmented": (
        dataset("label"),
        built(replace(LATENCY_CONV, channels=(3, 4), stride=(2, 1), num_steps=9, v_th=0.3, flip=True, shift=1)),
    ),
    "normalized": (dataset("label"), built(snnlab.ConvConfig(channels=(3, 4), pool=(2, 1), dense=(7,)))),
    "normalized events": (dataset("label"), built(replace(LATENCY_CONV, channels=(3, 4), num_steps=9, norm=True))),
    "LSTM": (dataset("traces"), built(snnlab.LstmConfig(hidden=5))),
    "graph": (dataset("label"), graph),
    "events": (events(), rows(code="events", num_steps=T, v_th=0.3)),
    "generator": (Source(train=batches, test=held_out), rows()),
}
REFUSED_BY_NIR = {
    "adaptive": "layer 'hidden': beta: must be left out, as NIR has no threshold that adapts",
    "LSTM": "layer 'hidden': NIR has no node for LSTM",
    "delays": "layer 'hidden': steps: must be whole, as NIR's readers count steps",
}
OWN = ("spike_trains", "graph")  # of which snnlab has no recipe
QUICK = (
    "masks and weights",
    "spike_trains",
    "currents",
    "normalized",
    "lengths",
    "adaptive",
    "LSTM",
    "graph",
    "events",
    "generator",
)  # in the default tier


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[] if name in QUICK else pytest.mark.endure) for name in CASES]
)
def case(request) -> str:
    return request.param


def seen(case: str) -> Dataset:
    """The data set, or the first samples of a source."""
    data = CASES[case][0]
    return data.open(4).head if isinstance(data, Source) else data


def network(case: str, seed: int) -> Network:
    return CASES[case][1](seen(case), seed)


def made(case: str, seed: int = 3) -> Trainer:
    return Trainer(network(case, seed), CASES[case][0], epochs=3, batch_size=4, learning_rate=0.02, seed=seed)


def halfway(case: str) -> Trainer:
    """Within an epoch, after a knob was moved."""
    trainer = made(case)
    trainer.fit(until=3)
    trainer.set(learning_rate=0.013)
    trainer.fit(until=5)
    return trainer


def bits(trainer: Trainer) -> list[bytes]:
    state = trainer.state
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((state.params, state.live, state.opt_state))]


@pytest.fixture(scope="module")
def finished(case) -> Trainer:
    trainer = halfway(case)
    trainer.fit()
    assert trainer.compilations == 1 and np.isfinite(trainer.history.steps()["loss"]).all()
    return trainer


@pytest.mark.parametrize("way", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_copy_continues_with_the_same_bits(case, finished, way):
    again = way(halfway(case))
    again.fit()
    assert bits(again) == bits(finished) and again.evaluate() == finished.evaluate()


def test_a_checkpoint_continues_with_the_same_bits(case, finished, tmp_path):
    first = Checkpoints(halfway(case), tmp_path)
    first.save_now()
    first.close()
    again = made(case)
    second = Checkpoints(again, tmp_path)
    assert second.resumed and len(again.history) == 5
    again.fit()
    second.close()
    assert bits(again) == bits(finished)
    assert again.history.interventions == finished.history.interventions


def test_a_script_repeats_it(case, finished):
    """What is the user's own is left open in the script, and given here."""
    names = {"own_data": CASES[case][0], "own_net": lambda: network(case, 3)}
    text = script(finished).replace("data = ...", "data = own_data").replace("net = ...", "net = own_net()")
    assert ("own_net()" in text) == (case in OWN) and "= ..." not in text
    exec(compile(text, "script", "exec"), names)
    assert bits(names["trainer"]) == bits(finished)


def test_weights_come_back_from_their_file(case, finished, tmp_path):
    path = snnlab.save(finished.model, tmp_path / "net.safetensors")
    again = snnlab.load(path, into=network(case, 0) if case in OWN else None)
    x, key = jnp.asarray(seen(case).x_test[:]), jax.random.key(0)
    np.testing.assert_array_equal(run_model(again, x, key).readout, run_model(finished.model, x, key).readout)


def test_nir_says_the_same_or_why_it_cannot(case, finished, tmp_path):
    pytest.importorskip("nir")
    if case in REFUSED_BY_NIR:
        with pytest.raises(ArgumentError, match=REFUSED_BY_NIR[case]):
            snnlab.export.save_nir(finished.model, tmp_path / "net.nir")
        return
    x = jnp.asarray(seen(case).x_test[:])
    found = snnlab.export.save_nir(finished.model, tmp_path / "net.nir", samples=x).measured["as assumed"]
    assert sum(own for _, own, _ in found.spikes.values()) > 0
    assert all(both == own == read for both, own, read in found.spikes.values())
    assert found.readout_error < 1e-4 and found.classes[0] == found.classes[1]


def test_its_health_and_its_operations_are_measured(case, finished):
    data, state = seen(case), finished.state
    health = Checkup(finished.stepper, data)(state)
    names = list(finished.model.stack.names)
    assert health.finite and [layer.name for layer in health.layers] == names
    energy = Meter(finished.stepper, data)(state)
    assert energy.uncounted == () and sum(layer.dense for layer in energy.layers) > 0
    assert all(0.0 <= layer.acs + layer.macs <= layer.dense for layer in energy.layers)
