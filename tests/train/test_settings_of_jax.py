"""What a user sets in JAX for code of his own changes nothing: neither the bits, nor that it works."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from networks import SMALL, make_trainer

from snnlab import kernels, models
from snnlab.checkpoint import Checkpoints
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, load
from snnlab.data.targets import Targets
from snnlab.encode import Delta, Latency, Population, Rate
from snnlab.export import load as load_network
from snnlab.export import save
from snnlab.health import Checkup
from snnlab.layers import IF, Conv, Delay, Expon, Leaky, LifRef, Pool, Projection, Recurrent, Scale, Stack
from snnlab.losses import Classification
from snnlab.surrogate import inv_square
from snnlab.train import Trainer
from snnlab.train.step import _compiled

SLOW = functools.partial(pytest.param, marks=pytest.mark.endure)
SETTINGS = {
    "x64": lambda: jax.enable_x64(True),
    "rank": lambda: jax.numpy_rank_promotion("raise"),
    "dtype": lambda: jax.numpy_dtype_promotion("strict"),
    "transfers": lambda: jax.transfer_guard("disallow"),
    "nans": lambda: jax.debug_nans(True),
}


@pytest.fixture(autouse=True)
def programs_of_its_own():
    """What is compiled with a setting is not counted among the programs of other tests."""
    yield
    _compiled.cache_clear()


def arrays(trainer) -> list[np.ndarray]:
    plain = [leaf for leaf in jax.tree.leaves(trainer.state) if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]
    return [np.asarray(leaf) for leaf in plain]


def assert_same(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.endure
@pytest.mark.parametrize("setting", ["x64", "transfers"])
def test_the_same_bits_whatever_is_set(small, setting):
    usual = make_trainer(small)
    usual.fit(until=3)
    with SETTINGS[setting]():
        trainer = make_trainer(small)
        trainer.fit(until=3)
    assert_same(usual, trainer)


@pytest.mark.parametrize("setting", [SLOW("rank"), "dtype"])
@pytest.mark.parametrize("backend", ["numba", SLOW("reference")])
def test_no_array_is_promoted(small, setting, backend, monkeypatch):
    """Neither in rank nor in type. Only traced: nothing is computed."""
    monkeypatch.setenv("SNNLAB_KERNELS", backend)
    per_neuron = LifRef(9, tau_mem=nnx.Param(np.linspace(5, 9, 9)), v_rest=np.linspace(-0.1, 0, 9), tau_ref=np.ones(9))
    with SETTINGS[setting]():
        synapse = Expon(9, tau_syn=np.linspace(5, 9, 9))
        hidden = Recurrent(64, per_neuron, synapse=synapse, use_bias=True, rngs=nnx.Rngs(0))
        out = Projection(9, Leaky(10, tau_mem=np.full(10, 5.0), v_rest=np.zeros(10)), delay=1, rngs=nnx.Rngs(0))
        net = models.Network(Rate(num_steps=5), Stack(hidden=hidden, out=out))
        for model in (net, models.build(SMALL, sample_shape=(8, 8), num_classes=10)):
            trainer = Trainer(model, small, loss=Classification(l1=1e-3, l2=1e-3, max_rate=9.0), batch_size=32)
            x, targets = jax.tree.map(jnp.asarray, (small.x_train[:32], Targets(small.y_train[:32])))
            jax.eval_shape(trainer.stepper.structure.step, trainer.state, x, targets)


@pytest.mark.parametrize("backend", ["numba", SLOW("reference")])
def test_numbers_of_other_types_are_computed_with_as_float32(backend):
    """And their gradients have their type: those of float32, rounded."""
    rng = np.random.default_rng(0)
    x, w = jnp.asarray(rng.poisson(1.0, (9, 2, 5))), jnp.asarray(rng.normal(size=(5, 3)), jnp.bfloat16)
    params = kernels.dispatch.LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 3.0, 0.0, 10.0)))

    def loss(w, x):
        drive = kernels.Drive(x=x, kernel=w, tau_syn=jnp.bfloat16(5.0))
        out = kernels.lif(drive, params, dt=1.0, surrogate=inv_square, backend=backend)
        return (out.v**2).sum() + out.counts.sum()

    found, expected = jax.grad(loss)(w, x), jax.grad(loss)(w.astype(jnp.float32), x.astype(jnp.float32))
    assert found.dtype == jnp.bfloat16 and jnp.abs(expected).max() > 0.1
    np.testing.assert_array_equal(found, expected.astype(jnp.bfloat16))


@pytest.mark.endure
@pytest.mark.parametrize("optimizer", [None, optax.sgd(0.1)], ids=["default", "sgd"])
def test_weights_of_bfloat16_learn_and_travel(small, optimizer, tmp_path):
    def halved(module):
        nnx.update(module, jax.tree.map(lambda p: p.astype(jnp.bfloat16), nnx.state(module, nnx.Param)))
        return module

    net = halved(models.build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10))
    before = np.asarray(net.stack.layers["readout"].kernel[...])
    trainer = Trainer(net, small, optimizer=optimizer, epochs=1, batch_size=32)
    trainer.fit()
    after = net.stack.layers["readout"].kernel[...]
    assert after.dtype == jnp.bfloat16 and np.isfinite(after).all() and not np.array_equal(before, after)
    again = load_network(save(net, tmp_path / "net.safetensors"))
    np.testing.assert_array_equal(again.stack.layers["readout"].kernel[...], after)


def networks() -> dict:
    """Networks of every layer and code, and the data that they read."""
    digits, events = load("digits").subset(train=64, test=32), load("event_digits").subset(train=64, test=32)
    x = [part.astype(np.float32) / 255.0 for part in (digits.x_train, digits.x_test)]
    floats = Dataset(name="x", x_train=x[0], y_train=digits.y_train, x_test=x[1], y_test=digits.y_test)

    def built(config, data):
        return models.build(config, sample_shape=data.sample_shape, num_classes=10), data

    def recurrent(code, width, data):
        neurons = LifRef(20, tau_mem=nnx.Param(8.0), v_th=nnx.Param(0.5), tau_ref=2.0, reset="value")
        hidden = Recurrent(width, neurons, synapse=Expon(20), rngs=nnx.Rngs(0))
        out = Projection(20, Leaky(10, tau_mem=nnx.Param(5.0)), rngs=nnx.Rngs(1))
        return models.Network(code, Stack(hidden=hidden, out=out)), data

    def graph():
        conv = Conv(np.random.default_rng(0).normal(size=(2, 1, 3, 3)), np.zeros(2), shape=(1, 8, 8))
        pool = Pool("sum", shape=(2, 6, 6), window=(2, 2), stride=(2, 2))
        out = Projection(18, IF(10, v_th=nnx.Param(1.0)), rngs=nnx.Rngs(0))
        layers = {
            "conv": conv,
            "neurons": LifRef(72),
            "pool": pool,
            "scale": Scale(np.ones(18)),
            "delay": Delay([1] * 18),
        }
        return models.Network(Latency(num_steps=20), Stack(**layers, out=out)), digits

    return {
        "snn": lambda: built(SnnConfig(hidden=20, num_steps=20, bias=True, input_dropout=0.1), digits),
        "floats": lambda: built(SnnConfig(hidden=20, num_steps=20, delay=1), floats),
        "events": lambda: built(SnnConfig(hidden=20, code="events"), events),
        "lstm": lambda: built(LstmConfig(hidden=20), digits),
        "rate": lambda: recurrent(Rate(num_steps=20, max_rate=300.0), 64, digits),
        "delta": lambda: recurrent(Delta(threshold=0.2), 16, floats),
        "population": lambda: recurrent(Population(num_steps=20, fields=5), 320, floats),
        "graph": graph,
    }


def one(name: str) -> Trainer:
    return Trainer(*networks()[name](), epochs=2, batch_size=16)


def trained(name: str) -> Trainer:
    run = one(name)
    run.fit(until=3)
    run.set({knob.name: 1.01 * knob.value + 1e-6 for knob in run.mailbox.knobs.values()})
    run.fit()
    return run


usual = functools.cache(trained)  # a network is trained in all settings one after the other


def tier_of(name: str, setting: str) -> pytest.MarkDecorator:
    """The spiking network in every setting, every other network in that which changes most; the rest at night."""
    return pytest.mark.endure if name == "snn" or setting == "x64" else pytest.mark.nightly


@pytest.mark.parametrize(
    ("name", "setting"),
    [pytest.param(*case, marks=tier_of(*case)) for case in itertools.product(networks(), SETTINGS)],
)
def test_everything_works_whatever_is_set(name, setting, tmp_path):
    """Train, move every knob, look, save, resume: the same bits as without."""
    if setting == "transfers" and name not in ("snn", "floats", "events", "lstm"):
        pytest.skip("nnx.Rngs makes no key under this guard")
    expected = usual(name)
    with SETTINGS[setting]():
        run = trained(name)
        Checkup(run.stepper, run.data)(run.state)
        save(run.model, tmp_path / "net.safetensors")
        first = Checkpoints(one(name), tmp_path / "runs")
        next(iter(first))
        first.close()
        second = Checkpoints(one(name), tmp_path / "runs")
        list(second)
        second.close()
        assert second.resumed
    assert_same(expected, run)
