"""Deep networks start neither silent nor saturated, whatever the data, and learn."""

import json
import re
from dataclasses import asdict, replace

import jax
import numpy as np
import pytest
from flax import nnx
from jax.nn import initializers

from snnlab import data, models
from snnlab.balance import balanced, firing_rates, is_deep
from snnlab.config import LATENCY_CONV, ConvConfig, LstmConfig, SnnConfig
from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.layers.fluctuations import HIGHEST, LOWEST, RATE
from snnlab.train import Trainer

SIX = 6
# Images keep their size from convolution to convolution, and neurons have the constants that theory was tried with.
WHOLE = {"window": 3, "stride": 1, "pool": 1, "num_steps": 50, "dt": 2.0, "tau_mem": 10.0, "tau_syn": 10.0}
KINDS = {
    "plain": {},
    "recurrent": {"recurrent": True},
    "adapting": {"neuron": "alif"},
    "other constants": {"tau_mem": 20.0, "tau_syn": 5.0, "v_th": -50.0, "v_rest": -65.0, "v_reset": -65.0},
    "refractory": {"tau_ref": 3.0, "reset": "value"},
}


def load(name, shared):
    return data.load(shared() / "data" / name if "mnist" in name else name)


def build(config, dataset, seed=0):
    return models.build(config, sample_shape=dataset.sample_shape, num_classes=dataset.num_classes, seed=seed)


def config_of(dataset, width, **changes):
    steps = dataset.x_train.steps(1.0) if dataset.has_events else SnnConfig.num_steps
    code = {"code": "events", "num_steps": steps} if dataset.has_events else {}
    return SnnConfig(hidden=(width,) * SIX, **code | changes)


def counted(net, dataset):
    """Mean rates of the hidden layers [Hz], from the record of a whole call on other samples than the balance saw."""
    record = net(dataset.x_test[100:200])
    seconds = len(record.readout) * record.dt / 1000.0
    return {name: float(counts.mean()) / seconds for name, counts in record.counts.items()}


SETS = ["digits", "yinyang", "event_digits"]
EVERY = [(name, kind) for name in [*SETS, "fashion-mnist", "mnist"] for kind in KINDS]
QUICK = [("digits", "plain"), ("yinyang", "plain"), ("event_digits", "adapting"), ("digits", "recurrent")]
MORE = [pytest.param(*case, marks=pytest.mark.endure) for case in EVERY if case not in QUICK]


@pytest.mark.parametrize(("name", "kind"), [*QUICK, *MORE])
def test_six_layers_start_between_5_and_60_hz(name, kind, request):
    """On other samples than those that the factors were found with."""
    dataset = load(name, lambda: request.getfixturevalue("shared"))
    config = balanced(config_of(dataset, 64, **KINDS[kind]), dataset, seed=1)
    rates = counted(build(config, dataset, seed=1), dataset)
    assert len(rates) == SIX and all(LOWEST <= rate <= HIGHEST for rate in rates.values()), rates


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("digits", marks=pytest.mark.endure),
        *(pytest.param(name, marks=pytest.mark.nightly) for name in ("fashion-mnist", "mnist")),
    ],
)
def test_six_convolutions_start_between_5_and_60_hz(name, request):
    dataset = load(name, lambda: request.getfixturevalue("shared"))
    config = balanced(replace(LATENCY_CONV, channels=(8,) * SIX, **WHOLE), dataset)
    rates = counted(build(config, dataset), dataset)
    assert len(rates) == SIX and all(LOWEST <= rate <= HIGHEST for rate in rates.values()), rates


def test_a_network_of_six_layers_learns(digits):
    """As it was before, with He's weights in every layer, nothing reached the last one."""
    config = balanced(SnnConfig(hidden=(64,) * SIX, num_steps=60), digits)
    trainer = Trainer(build(config, digits), digits, epochs=12, batch_size=64)
    last = [report for report in trainer if report.phase == "epoch"][-1].metrics
    assert len(trainer.history) < 300 and last["train_acc"] > 0.7


@pytest.mark.parametrize("depth", [3, pytest.param(SIX, marks=pytest.mark.endure)])
def test_convolutions_of_any_depth_learn(digits, depth):
    """At the default settings, in 54 steps; with the surrogate of shallow networks, six fall silent."""
    some = digits.subset(train=1200, test=360)
    config = balanced(replace(LATENCY_CONV, channels=(8,) * depth, **WHOLE), some)
    trainer = Trainer(build(config, some), some, epochs=3, batch_size=64)
    last = [report for report in trainer if report.phase == "epoch"][-1].metrics
    assert len(trainer.history) == 54 and last["train_acc"] > 0.8
    assert all(rate > 1.0 for rate in firing_rates(trainer.model, some).values())


def test_the_factors_are_all_that_is_needed_to_build_the_network_again(digits):
    config = balanced(SnnConfig(hidden=(12, 10), recurrent=True, num_steps=30), digits)
    read = SnnConfig(**json.loads(json.dumps(asdict(config))))
    assert read == config and len(config.gains) == 2 and balanced(config, digits) == config
    plain = build(replace(config, gains=None), digits)
    for (name, layer), gain in zip(list(build(config, digits).stack.layers.items())[:2], config.gains, strict=True):
        for weights in ("kernel", "recurrent_kernel"):
            first = getattr(plain.stack.layers[name], weights)[...]
            np.testing.assert_allclose(getattr(layer, weights)[...], gain * first, rtol=1e-6)


def test_rates_are_those_of_the_record(digits):
    net = build(SnnConfig(hidden=(30, 20), num_steps=40), digits)
    record = nnx.jit(lambda net, x: net(x))(net, digits.x_test[:50])
    expected = {name: float(record.counts[name].mean()) / 0.040 for name in ("hidden1", "hidden2")}
    assert firing_rates(net, digits, 50) == pytest.approx(expected, rel=1e-5)
    assert all(rate > 0.0 for rate in expected.values())


def test_one_hidden_layer_has_the_weights_of_he():
    net = models.build(SnnConfig(hidden=20, recurrent=True), sample_shape=(8, 8), num_classes=10, seed=3)
    rngs, hidden = nnx.Rngs(params=3), net.stack.layers["hidden"]
    np.testing.assert_allclose(hidden.kernel[...], initializers.he_normal()(rngs.params(), (64, 20)), rtol=1e-6)
    own = initializers.variance_scaling(1.0, "fan_in", "normal")(rngs.params(), (20, 20))
    np.testing.assert_allclose(hidden.recurrent_kernel[...], own, rtol=1e-6)


def test_what_is_deep():
    deep = [SnnConfig(hidden=(3, 3)), ConvConfig(channels=(3, 3), dense=(3,), norm=False)]
    flat = [SnnConfig(), SnnConfig(hidden=(9,)), ConvConfig(), LATENCY_CONV, LstmConfig()]
    assert all(map(is_deep, deep)) and not any(map(is_deep, flat))


def test_a_layer_that_nothing_reaches_is_said(digits):
    dark = Dataset(
        name="dark", x_train=0 * digits.x_train, y_train=digits.y_train, x_test=digits.x_test, y_test=digits.y_test
    )
    with pytest.warns(UserWarning) as warned:
        config = balanced(SnnConfig(hidden=(5, 5), num_steps=20), dark)
    for name, warning in zip(("hidden1", "hidden2"), warned, strict=True):
        assert re.match(f"{name}: no weights make it fire at 15 Hz .* starts at 0 Hz", str(warning.message))
    assert config.gains == (1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda digits: SnnConfig(hidden=(5, 5), gains=(1.0,)), r"gains: must be a factor .* each of 2 hidden layers"),
        (lambda digits: ConvConfig(gains=2.0), "gains: must be a factor .* each of 3 hidden layers, got 2.0"),
        (lambda digits: ConvConfig(gains=(1.0, 2.0, 1.0)), "gains: does nothing with norm"),
        (lambda digits: balanced(ConvConfig(), digits), "config: has norm, which balances its layers"),
        (lambda digits: SnnConfig(gains=(0.0,)), r"gains\[0\]: must be .*> 0"),
        (lambda digits: balanced(LstmConfig(), digits), "config: "),
        (lambda digits: firing_rates(jax.numpy.tanh, digits), "net: "),
    ],
)
def test_mistakes_are_named(digits, make, message):
    with pytest.raises(ArgumentError, match=message):
        make(digits)


def test_the_wanted_rate_is_a_good_start():
    assert LOWEST < RATE < HIGHEST
