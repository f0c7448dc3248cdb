"""Event data through the whole house: the step of an event, the network, the engine, the dashboard's views, replay."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from snnlab import data, export, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.encode import Binned
from snnlab.errors import ArgumentError
from snnlab.health import Checkup
from snnlab.losses import Classification
from snnlab.train import Trainer

SENSOR, T = (2, 3, 5), 13


@pytest.fixture(scope="module")
def event_digits():
    return data.load("event_digits")


def random_lists(rng, sizes, end=13_000) -> EventLists:
    samples = [sorted(zip(*(rng.integers(0, n, size).tolist() for n in (end, 5, 3, 2)), strict=True)) for size in sizes]
    return EventLists.from_lists(samples, sensor=SENSOR)


def network(**changes):
    config = SnnConfig(**{"hidden": 7, "num_steps": T, "code": "events"} | changes)
    return models.build(config, sample_shape=SENSOR, num_classes=3)


@pytest.mark.parametrize("dt", [0.1, 0.3, 1.0, 2.5])
def test_an_event_lands_in_the_step_of_its_time(dt):
    """t lies in step floor(t / dt): counted in whole microseconds by hand, at the edges of steps too."""
    dt_us = round(1000 * dt)
    times = np.unique(np.concatenate([np.arange(20) * dt_us + shift for shift in (-1, 0, 1)]))
    times = times[times >= 0]
    lists = EventLists.from_lists([[(t, 0, 0, 0) for t in times.tolist()]], sensor=(1, 1, 1))
    events = np.full((1, 2, 60), -1, np.int32)  # of one shape for all dt
    events[..., : len(times)] = lists[:]
    dense = np.asarray(Binned(num_steps=T, dt=dt, units=1)(jax.device_put(events)).dense())
    expected = [sum(k * dt_us <= t < (k + 1) * dt_us for t in times) for k in range(T)]
    assert dense[:, 0, 0].tolist() == expected


def test_every_event_is_a_spike_of_its_unit():
    """Also two of one pixel in one step, and none for what pads."""
    rng = np.random.default_rng(0)
    lists = random_lists(rng, (40, 0, 1, 300))
    dense = np.zeros((T, 4, 30))
    for k in range(4):
        for t, x, y, p in lists.structured()[lists.offsets[k] : lists.offsets[k + 1]].tolist():
            dense[t // 1000, k, (p * 3 + y) * 5 + x] += 1
    assert dense.max() > 1 and dense.sum() == 341
    found = jax.jit(lambda x: Binned(num_steps=T, units=30)(x).dense())(lists[:])
    np.testing.assert_array_equal(found, dense)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_event_by_event_and_dense_are_the_same(backend, monkeypatch):
    """The network on events, and its stack on the dense counts of spikes: the same readout and the same gradients."""
    monkeypatch.setenv("SNNLAB_KERNELS", backend)
    lists = random_lists(np.random.default_rng(1), (200, 0, 11, 150, 400))
    x, net = lists[:], network()
    weights = np.float32(np.random.default_rng(0).normal(size=(T, 5, 3)))

    def value(net, x):
        return (net(x).readout * weights).sum() if x.shape[1] == 2 else (net.stack(x).readout * weights).sum()

    dense, counts = nnx.jit(lambda net, x: (dense := net.encoder(x).dense(), net.stack(dense).counts["hidden"]))(net, x)
    assert np.any(counts)
    value_and_gradient = nnx.jit(nnx.value_and_grad(value))
    sparse, full = (jax.tree.map(np.asarray, value_and_gradient(net, x)) for x in (x, dense))
    np.testing.assert_allclose(sparse[0], full[0], rtol=1e-5)
    for one, other in zip(jax.tree.leaves(sparse[1]), jax.tree.leaves(full[1]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())
        assert np.abs(other).max() > 0


def test_the_dense_input_never_exists(monkeypatch):
    """With the event-driven kernels no array of a step, forward and back, is as large as time x batch x units."""
    monkeypatch.setenv("SNNLAB_KERNELS", "numba")
    lists = random_lists(np.random.default_rng(2), [17] * 50)
    lists = dataclasses.replace(lists, sensor=(2, 30, 500))  # 30,000 units
    mine = Dataset(name="mine", x_train=lists, y_train=np.arange(50) % 3, x_test=lists, y_test=np.arange(50) % 3)
    net = models.build(SnnConfig(hidden=2, num_steps=T, code="events"), sample_shape=(2, 30, 500), num_classes=3)
    trainer = Trainer(net, mine, batch_size=7)
    images = jax.tree.map(jnp.asarray, tuple(mine.part("train")))
    index = np.zeros((2, 7), np.int32)
    chunk = functools.partial(trainer.stepper.structure.chunk, trainer.metric_names)
    jaxpr = jax.make_jaxpr(chunk)(trainer.state, *images, index, np.int32(2))
    sizes = [var.aval.size for eqn in _equations(jaxpr.jaxpr) for var in eqn.outvars]
    assert max(sizes) < T * 7 * 30_000, "the largest are the gradients of the weights, apart for four blocks"


def _equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
            elif hasattr(inner, "jaxpr"):
                yield from _equations(inner.jaxpr)


def test_it_learns(event_digits):
    """Far above the chance of 10 per cent; one program for all steps."""
    net = models.build(SnnConfig(code="events"), sample_shape=event_digits.sample_shape, num_classes=10)
    trainer = Trainer(net, event_digits, epochs=4, batch_size=64)
    history = trainer.fit()
    assert history.epochs[-1]["test_acc"] > 0.9
    assert trainer.compilations == 1


def test_the_engine_trains_as_a_loop_by_hand_does():
    """Cut out of the lists on the device, a batch is the batch that is cut out on the host."""
    rng = np.random.default_rng(3)
    x, y = random_lists(rng, rng.integers(0, 40, 24)), np.arange(24) % 3
    mine = Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)
    loss, optimizer = Classification(), optax.sgd(0.1)
    trainer = Trainer(network(), mine, loss=loss, optimizer=optimizer, epochs=2, batch_size=8)
    trainer.fit()
    net = network()
    by_hand = nnx.Optimizer(net, optimizer, wrt=nnx.Param)

    @nnx.jit
    def step(net, by_hand, x, y):
        by_hand.update(net, nnx.grad(lambda net: sum(loss(net(x), y).values()))(net))

    for epoch in (1, 2):
        for batch in trainer.runner.batches(trainer.config.seed, epoch):
            step(net, by_hand, x[batch], y[batch])
    for one, other in zip(*(jax.tree.leaves(nnx.state(n, nnx.Param)) for n in (net, trainer.model)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_events_that_would_not_be_seen_are_told():
    lists = EventLists.from_lists([[(0, 0, 0, 0), (13_000, 0, 0, 0)]], sensor=SENSOR)
    mine = Dataset(name="mine", x_train=lists, y_train=[0], x_test=lists, y_test=[0], class_names=("a", "b"))
    told = r"2 of 4 events come after num_steps \* dt = 13 ms and are not seen; num_steps=14 sees them all"
    with pytest.warns(UserWarning, match=told) as warned:
        Trainer(network(), mine, batch_size=1)
    assert warned[0].filename == __file__
    Trainer(network(num_steps=14), mine, batch_size=1)  # warnings are errors here


def test_what_does_not_fit_is_said(event_digits, digits):
    shape = {"sample_shape": (2, 12, 12), "num_classes": 10}
    with pytest.raises(ArgumentError, match=r"model: reads events of 30 units, the sensor of the data has .* = 288"):
        Trainer(network(), event_digits)
    with pytest.raises(ArgumentError, match=r"got int32.*SnnConfig\(code='events'\)"):
        Trainer(models.build(SnnConfig(), **shape), event_digits)
    with pytest.raises(ArgumentError, match=r"sample_shape: .*SnnConfig\(code='events'\)"):
        models.build(LstmConfig(), **shape)
    with pytest.raises(ArgumentError, match=r"must be events, int32 .* got uint8.*SnnConfig\(code='latency'\)"):
        Trainer(models.build(SnnConfig(code="events"), sample_shape=(8, 8), num_classes=10), digits)
    with pytest.raises(ArgumentError, match=r"dt: must be a whole number of microseconds .* got 0\.9995 ms"):
        network(dt=0.9995)
    with pytest.raises(ArgumentError, match=r"code: must be one of 'latency', .*, 'events', got 'rate'"):
        SnnConfig(code="rate")


def test_a_checkup_and_a_saved_network(event_digits, tmp_path):
    part = event_digits.subset(train=128, test=32)
    net = models.build(SnnConfig(code="events", hidden=11), sample_shape=part.sample_shape, num_classes=10)
    trainer = Trainer(net, part, epochs=1, batch_size=64)
    health = Checkup(trainer.stepper, part)(trainer.state)
    rates = health.layers[0].rates
    record = net(part.x_test[:])
    np.testing.assert_allclose(rates, np.asarray(record.counts["hidden"]).mean(0) * 10.0, rtol=1e-5)  # 100 ms
    again = export.load(export.save(net, tmp_path / "net.safetensors"))
    assert again.recipe == net.recipe
    np.testing.assert_array_equal(again(part.x_test[:]).readout, record.readout)
