"""A checkup against closed forms, hand-written dynamics and the training step itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from snnlab import dynamics, kernels, losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, load
from snnlab.data.targets import Targets
from snnlab.encode import Latency, Rows, SpikeTimes
from snnlab.health import FIRING_SHARE, Checkup, diagnose
from snnlab.history import History
from snnlab.layers import LSTM, ConvProjection, Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.record import Record
from snnlab.surrogate import get_surrogate
from snnlab.tasks import LabelTask
from snnlab.train import Trainer
from snnlab.train.step import Stepper, run_model
from snnlab.variables import Live

T, B, N = 97, 5, 7


@pytest.fixture
def backend(request, monkeypatch):
    monkeypatch.setenv("SNNLAB_KERNELS", request.param)
    assert kernels.backend() == request.param


BACKENDS = ("numba", "reference")
on_both = pytest.mark.parametrize("backend", BACKENDS, indirect=True)


def stepper_of(model, loss=None) -> Stepper:
    return Stepper(model, loss or losses.Classification(), LabelTask(10), optax.sgd(0.1), jax.random.key(0))


def check(model, x, loss=None, samples=256):
    """The health of a model on samples of one's own; labels 0, 1, 0, ..."""
    y = np.arange(len(x)) % 2
    data = Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)
    stepper = stepper_of(model, loss)
    return Checkup(stepper, data, samples)(stepper.start)


@nnx.jit
def counts_of(net, x):
    """How often each hidden neuron fires on each sample."""
    return net(x).counts["hidden"]


def test_the_input_is_looked_at_first():
    """Pixels 0 and 1 of 255: no spike, which no weight and no threshold can cure; the diagnosis names the range."""
    x = np.random.default_rng(0).integers(0, 2, (B, 8, 8)).astype(np.uint8)
    health = check(snn(), x)
    assert health.input_spikes == 0.0
    found = diagnose(health, History(), {})
    assert found.name == "no input" and found.knob is None and not found.new_seed
    assert "0 spikes on 5 samples, because the integers 0..1 are read as pixels" in found.text
    health = check(snn(), 255 * x)
    np.testing.assert_allclose(health.input_spikes, x.sum() / B, rtol=1e-6)
    assert diagnose(health, History(), {}) is None or diagnose(health, History(), {}).name != "no input"


def constant(currents) -> np.ndarray:
    """Samples `(batch, time, n)` that `Rows` turns into constant currents."""
    return np.broadcast_to(np.asarray(currents, np.float32), (B, T, len(currents))).copy()


def snn(**options) -> models.Network:
    return models.build(SnnConfig(**{"hidden": 20, "v_th": 0.4} | options), sample_shape=(8, 8), num_classes=10)


def recurrent_net(synapse=True) -> models.Network:
    rngs = nnx.Rngs(0)
    hidden = Recurrent(64, LifRef(13, v_th=0.4), synapse=Expon(13, tau_syn=6.0) if synapse else None, rngs=rngs)
    return models.Network(Latency(num_steps=50), Stack(hidden=hidden, out=Projection(13, Leaky(10), rngs=rngs)))


NETS = {
    "snn": snn,
    "recurrent": recurrent_net,
    "lstm": lambda: models.build(LstmConfig(hidden=13), sample_shape=(8, 8), num_classes=10),
}
every = pytest.mark.parametrize("name", NETS)


@on_both
def test_rates_of_neurons_with_known_periods(backend):
    """A constant current I lifts v to I (1 - a^k) after k steps: it fires every ceil(10 ln(I / (I - 1))) steps, plus
    the refractory ones; never for I < 1. Among 0.85 and 0.95 only the second comes within 1/slope = 0.1 of v_th = 1.
    Of the last two, one may fire at every step and the other at every third, and so they do."""
    currents, tau_ref = np.array([0.0, 0.85, 0.95, 1.5, 3.0, 50.0, 50.0]), np.array([0, 0, 0, 0, 2, 0, 2])
    neurons = LifRef(N, reset="value", tau_ref=tau_ref, slope=10.0)
    net = models.Network(Rows(), Stack(hidden=neurons, out=Projection(N, Leaky(2), rngs=nnx.Rngs(0))))
    health = check(net, constant(currents))
    hidden, readout = health.layers
    fires = currents > 1.0
    k = np.ceil(10.0 * np.log(currents[fires] / (currents[fires] - 1.0)))
    counts = np.zeros(N)
    counts[fires] = np.floor((T - k) / (k + tau_ref[fires])) + 1
    np.testing.assert_allclose(hidden.rates, 1000.0 / T * counts, rtol=1e-5)
    assert hidden.dead == 3 and hidden.saturated == 2
    np.testing.assert_allclose(hidden.max_rate, 1000.0)
    assert hidden.in_window == pytest.approx(5 / 7)
    np.testing.assert_allclose((hidden.v_th, hidden.v_rest, hidden.slope), (1.0, 0.0, 10.0))
    peaks = np.repeat(currents * (1.0 - np.exp(-T / 10.0)), B)
    np.testing.assert_allclose(hidden.peak_voltage, np.quantile(peaks, 1.0 - FIRING_SHARE), rtol=1e-5)
    assert readout.rates is None and readout.max_rate is None and readout.dead == 0 and readout.in_window is None
    assert health.samples == B  # fewer than wanted


@on_both
def test_at_the_peak_voltage_that_share_of_the_pairs_fires(backend, digits):
    rest = {"v_rest": -0.2, "v_reset": -0.1}
    stepper = stepper_of(snn(v_th=3.0, **rest))
    health = Checkup(stepper, digits)(stepper.start)
    net = snn(v_th=health.layers[0].peak_voltage, **rest)
    counts = counts_of(net, digits.x_test[: health.samples])
    assert (counts > 0).mean() == pytest.approx(FIRING_SHARE, abs=1e-3)


@pytest.mark.parametrize(
    ("backend", "synapse"), [("numba", Expon(3, tau_syn=6.0)), ("reference", None)], indirect=["backend"]
)
def test_gradient_over_time_of_a_leaky_readout(backend, synapse):
    """v[T - 1] = sum_t I[t] a^(T - 1 - t), whatever synapse made the current; B samples and 3 neurons are alike."""
    readout = Projection(N, Leaky(3, tau_mem=8.0), synapse=synapse, rngs=nnx.Rngs(0))
    x = constant(np.ones(N))
    layer = check(models.Network(Rows(), Stack(out=readout)), x, lambda record, y: record.readout[-1].sum()).layers[0]
    expected = np.sqrt(B * 3) * np.exp(-np.arange(T)[::-1] / 8.0)
    np.testing.assert_allclose(layer.gradient_over_time, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("readout", "tau"), [("last", 8.0), ("mean", 8.0), ("last", 1e4)])
def test_what_a_leaky_readout_hears(readout, tau):
    """Steps at which a current changes the score by at least a tenth of the most, if the same arrives at all of them.

    On the last of T steps the weight of step t is a^(T - 1 - t); on the mean it is (1 - a^(T - t)) / (T (1 - a)).
    """
    net = models.Network(Rows(), Stack(out=Projection(N, Leaky(3, tau_mem=tau), rngs=nnx.Rngs(0))))

    def loss(record, y):
        return losses.READOUTS[readout](record).sum()

    age, a = np.arange(T)[::-1], np.exp(-1.0 / tau)
    weight = a**age if readout == "last" else 1.0 - a ** (age + 1)
    expected = (weight >= 0.1 * weight.max()).mean()
    health = check(net, constant(np.ones(N)), loss)
    assert health.layers[0].heard == pytest.approx(expected, rel=1e-5)
    assert health.duration == T and health.layers[0].tau_mem == pytest.approx(tau)


def test_what_arrives_early_is_not_heard_at_the_end():
    """Silence from step 20 on, and a readout that remembers for 8 ms: nothing is heard. Without any, it is unknown."""
    out = Projection(N, Leaky(3, tau_mem=8.0), rngs=nnx.Rngs(0))
    x = constant(np.ones(N)) * (np.arange(T) < 20)[:, None]
    for signal, expected in ((x, 0.0), (0.0 * x, None)):
        assert (
            check(models.Network(Rows(), Stack(out=out)), signal, losses.Classification("last")).layers[0].heard
            == expected
        )


def test_a_layer_with_a_memory_of_its_own_may_be_read_late(digits):
    for name, before in (("recurrent", None), ("snn", 1)):
        stepper = stepper_of(NETS[name](), losses.Classification("last"))
        heard = Checkup(stepper, digits, samples=SAMPLES)(stepper.start).layers[-1].heard
        assert (heard is None) == (before is None)


def test_classes_are_counted(digits):
    """What it predicts, what the samples are, and what there is to learn from."""
    data = digits.subset(train=300, test=80)
    stepper = stepper_of(snn())
    health = Checkup(stepper, data, samples=50)(stepper.start)
    scores = jax.jit(lambda x: run_model(stepper.system["model"], x, jax.random.key(0)).peak)(data.x_test[:50])
    for counts, labels in (
        (health.predicted, np.asarray(scores).argmax(1)),
        (health.present, data.y_test[:50]),
        (health.taught, data.y_train),
    ):
        np.testing.assert_array_equal(counts, [(labels == k).sum() for k in range(10)])
    assert health.class_names == data.class_names


def test_a_neuron_that_rests_long_may_fire_once():
    """One spike in T steps of 1 ms, though its refractory time is longer: the highest rate is 1000 / T Hz."""
    neurons = LifRef(N, reset="value", tau_ref=1000.0)
    net = models.Network(Rows(), Stack(hidden=neurons, out=Projection(N, Leaky(2), rngs=nnx.Rngs(0))))
    hidden = check(net, constant(np.full(N, 50.0))).layers[0]
    np.testing.assert_allclose(hidden.rates, 1000.0 / T, rtol=1e-6)
    assert hidden.max_rate == pytest.approx(1000.0 / T) and hidden.saturated == N


def test_how_far_neurons_are_driven_has_all_digits_in_any_unit():
    """A current of 1e-4 thresholds, which 65 mV below zero is hardly a digit of float32."""
    for unit, rest in ((1.0, 0.0), (15.0, -65.0)):
        neurons = LifRef(N, v_th=rest + unit, v_rest=rest, v_reset=rest)
        net = models.Network(Rows(), Stack(hidden=neurons, out=Projection(N, Leaky(2), rngs=nnx.Rngs(0))))
        hidden = check(net, constant(np.full(N, 1e-4 * unit))).layers[0]
        assert hidden.driven == pytest.approx(1e-4 * (1.0 - np.exp(-T / 10.0)), rel=1e-4)


def test_a_layer_that_rests_above_its_threshold_is_not_driven_to_it():
    neurons = LifRef(N, v_th=-0.5, v_rest=0.0, v_reset=-1.0)
    net = models.Network(Rows(), Stack(hidden=neurons, out=Projection(N, Leaky(2), rngs=nnx.Rngs(0))))
    hidden = check(net, constant(np.full(N, 2.0))).layers[0]
    assert hidden.driven is None and hidden.gap is None
    assert hidden.peak_voltage == pytest.approx(2.0 * (1.0 - np.exp(-T / 10.0)), rel=1e-5)


def recurrent_by_hand(layer, into, nudge):
    """Spikes of a recurrent layer, step by step, with something added to the current behind its synapse."""

    def step(carry, now):
        state, g, s = carry
        arriving, extra = now
        g = dynamics.expon_step(g, arriving + s @ layer.recurrent_kernel[...], layer.synapse.tau_syn[...], dt=1.0)
        state, s = dynamics.lif_step(state, g + extra, p, dt=1.0, spike=get_surrogate("inv_square").spike)
        return (state, g, s), s

    p, zeros = layer.neuron.params, jnp.zeros_like(into[0])
    return jax.lax.scan(step, (dynamics.lif_init(zeros.shape, p), zeros, zeros), (into, nudge))[1]


def hidden_by_hand(net, x, nudge):
    """Output of the first layer, with something added to the current behind its synapse, or to the input."""
    layer, code = net.stack.layers["hidden"], net.encoder(x)
    if isinstance(layer, LSTM):
        return layer(code + nudge).output
    into = code.dense() @ layer.kernel[...]
    if isinstance(layer, Recurrent):
        return recurrent_by_hand(layer, into, nudge)
    return layer.neuron(layer.synapse(into) + nudge).spikes


SAMPLES = 50


@functools.cache
def health_of(name: str, backend: str):
    """A checkup of one of `NETS`, and what it was made with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNLAB_KERNELS", backend)
        spiking = {} if name == "lstm" else {"l1": 1e-3, "l2": 1e-3}
        stepper = stepper_of(NETS[name](), losses.Classification(**spiking))
        return Checkup(stepper, load("digits"), samples=SAMPLES)(stepper.start), stepper


@every
def test_gradient_over_time_of_a_hidden_layer_is_that_in_its_current(name, digits):
    net, x, y = NETS[name](), jnp.asarray(digits.x_test[:SAMPLES]), jnp.asarray(digits.y_test[:SAMPLES])
    *_, readout = net.stack.layers.values()

    def loss(nudge):
        sent = hidden_by_hand(net, x, nudge)
        out = readout(sent)
        scores = (out.state if hasattr(out, "state") else out).max(0)
        counts = sent.sum(0)
        spiking = 0.0 if name == "lstm" else 1e-3 * (losses.spike_l1(counts) + losses.spike_l2(counts))
        return losses.cross_entropy(scores, y) + spiking

    width = 8 if name == "lstm" else net.stack.layers["hidden"].features
    steps = len(jax.eval_shape(net, x).readout)
    gradient = jax.jit(jax.grad(loss))(jnp.zeros((steps, SAMPLES, width)))
    expected = np.sqrt((gradient**2).sum((1, 2)))
    assert expected.max() > 0.0
    found = health_of(name, "numba")[0].layers[0].gradient_over_time
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * expected.max())


@every
def test_it_measures_what_the_training_step_sees(name, digits):
    """Loss, accuracy and gradient are those of a step on the same samples: the walk changes nothing."""
    health, stepper = health_of(name, "numba")
    x, targets = jax.tree.map(jnp.asarray, (digits.x_test[:SAMPLES], Targets(digits.y_test[:SAMPLES])))
    metrics = jax.jit(stepper.structure.step)(stepper.start, x, targets)[1]
    total = np.sqrt(sum(layer.gradient**2 for layer in health.layers))
    expected = [metrics[name] for name in ("loss", "accuracy", "grad_norm")]
    np.testing.assert_allclose((health.loss, health.accuracy, total), expected, rtol=1e-4)
    scores = jax.jit(lambda x: run_model(stepper.system["model"], x, jax.random.key(0)).peak)(x)
    np.testing.assert_allclose(health.readout_spread, np.asarray(scores).std(0).mean(), rtol=1e-4)
    assert health.step == 0 and health.samples == SAMPLES and health.finite


@every
def test_both_backends_agree(name):
    for a, b in zip(*(health_of(name, backend)[0].layers for backend in BACKENDS), strict=True):
        assert (a.name, a.dead, a.saturated, a.in_window) == (b.name, b.dead, b.saturated, b.in_window)
        np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-3)
        close = {"rtol": 1e-3, "atol": 1e-4 * a.gradient_over_time.max()}
        np.testing.assert_allclose(a.gradient_over_time, b.gradient_over_time, **close)
        if a.rates is not None:
            np.testing.assert_array_equal(a.rates, b.rates)
            np.testing.assert_allclose(a.peak_voltage, b.peak_voltage, rtol=1e-4)


def test_it_is_compiled_once_and_follows_the_knobs(digits):
    trainer = Trainer(snn(num_steps=30), digits.subset(train=64), epochs=3, batch_size=32, learning_rate=1e-2)
    checkup = Checkup(trainer.stepper, digits, samples=32)
    before = checkup(trainer.state)
    knobs = dict(trainer.mailbox.knobs)
    for until, factor in ((2, 1.5), (4, 2.0)):
        for name, knob in knobs.items():
            trainer.set({name: factor * knob.value + 1e-6})
        trainer.fit(until)
        after = checkup(trainer.state)
    assert checkup._measure._cache_size() == 1
    assert after.step == 4 and after.layers[0].v_th == pytest.approx(0.8, rel=1e-4)
    assert after.loss != before.loss


def test_layers_come_in_their_order_and_may_be_plain_functions(digits):
    """Spikes to neurons to an array to neurons; `tanh` has no parameters, and so no gradient of its own."""
    rngs = nnx.Rngs(0)
    stack = Stack(
        zeta=Projection(64, LifRef(11, v_th=0.3), synapse=Expon(11), rngs=rngs),
        mid=Projection(11, LifRef(9, v_th=0.3, tau_ref=3.0), delay=1, use_bias=True, rngs=rngs),
        beta=jnp.tanh,
        alpha=nnx.Linear(9, 10, rngs=rngs),
    )
    stepper = stepper_of(models.Network(Latency(num_steps=40), stack))
    layers = Checkup(stepper, digits, samples=20)(stepper.start).layers
    assert [layer.name for layer in layers] == ["zeta", "mid", "beta", "alpha"]
    assert [layer.gradient > 0.0 for layer in layers] == [True, True, False, True]
    assert all(layer.gradient_over_time.shape == (40,) and layer.gradient_over_time.any() for layer in layers)
    assert layers[1].max_rate == 250.0 and layers[2].rates is None


class ReadsEvents(nnx.Module):
    """A first layer of one's own that takes spikes as events."""

    def __call__(self, x: SpikeTimes):
        return x.dense()[..., :10]


def test_a_layer_that_reads_events_has_no_gradient_over_time(digits):
    net = models.Network(Latency(num_steps=10), Stack(first=ReadsEvents(), out=nnx.Linear(10, 10, rngs=nnx.Rngs(0))))
    stepper = stepper_of(net)
    first, out = Checkup(stepper, digits, samples=20)(stepper.start).layers
    assert first.gradient_over_time is None and out.gradient_over_time.shape == (10,)


class Mine(nnx.Module):
    """A module of one's own; it may tell its layers."""

    def __init__(self, tells: bool):
        rngs = nnx.Rngs(0)
        self.tells = tells
        self.hidden = Projection(64, LifRef(9, v_th=0.3), rngs=rngs)
        self.out = nnx.Linear(9, 10, rngs=rngs)
        self.weight = Live(jnp.float32(1.0))

    def __call__(self, x):
        trace = self.hidden(Latency(num_steps=20)(x))
        readout = self.weight[...] * self.out(trace.spikes)
        return Record(readout=readout, layers={"hidden": trace}) if self.tells else readout


@pytest.mark.parametrize("tells", [True, False])
def test_any_module_will_do(tells, digits):
    stepper = stepper_of(Mine(tells), lambda record, y: {"ce": losses.cross_entropy(record.readout.mean(0), y)})
    health = Checkup(stepper, digits, samples=30)(stepper.start)
    x, targets = jax.tree.map(jnp.asarray, (digits.x_test[:30], Targets(digits.y_test[:30])))
    metrics, _ = jax.jit(stepper.structure.test)(stepper.start, x, targets, np.int32(0))
    np.testing.assert_allclose((health.loss, health.accuracy), (metrics["loss"], metrics["accuracy"]), rtol=1e-5)
    assert len(health.layers) == tells
    for layer in health.layers:
        counts = counts_of(Mine(True), digits.x_test[:30])
        np.testing.assert_allclose(layer.rates, counts.mean(0) * 1000.0 / 20, rtol=1e-5)
        assert layer.gradient > 0.0 and layer.gradient_over_time is None and layer.peak_voltage is None


def test_what_is_not_finite_is_said(digits):
    stepper = stepper_of(snn(num_steps=10))
    nothing = jax.tree.map(lambda weights: jnp.full_like(weights, jnp.nan), stepper.start.params)
    assert not Checkup(stepper, digits, samples=20)(stepper.start._replace(params=nothing)).finite


def test_a_convolution_has_its_health(digits):
    """Its constants are one per channel, its neurons many; what passes from layer to layer stays packed."""
    rngs = nnx.Rngs(0)
    first = ConvProjection((8, 8), LifRef(3, v_th=[0.2, 0.3, 9.0]), window=3, synapse=Expon(3), rngs=rngs)
    net = models.Network(
        Latency(num_steps=40),
        Stack(first=first, out=ConvProjection(first.out_shape, Leaky(10), window=3, pool=2, rngs=rngs)),
    )
    stepper = stepper_of(net)
    first, out = Checkup(stepper, digits, samples=20)(stepper.start).layers
    assert first.rates.shape == (108,) and out.rates is None and min(first.gradient, out.gradient) > 0.0
    assert not first.rates.reshape(3, 36)[2].any() and first.rates.reshape(3, 36)[:2].any()
    assert first.gradient_over_time is None and 0.0 < first.peak_voltage < 9.0
