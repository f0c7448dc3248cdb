"""The backend for GPUs computes what the reference computes, here on the CPU; and has two loops where that has more."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import assume
from hypothesis import strategies as st
from test_kernels import (
    PATTERNS,
    by_hand,
    close,
    f32,
    flags,
    in_every_neuron,
    make_drive,
    make_input,
    make_params,
    outputs_and_gradient,
    run_lif,
)
from test_recurrent import make_w_rec, run_recurrent
from tiers import UNOPTIMIZED, drawn

from snnlab import kernels, models
from snnlab.config import LATENCY_CONV, ConvConfig, LstmConfig, SnnConfig
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.errors import StateError
from snnlab.kernels import Drive
from snnlab.kernels.gpu import exact, filters, sequences, trial
from snnlab.surrogate import SURROGATES

BOTH = ("gpu", "reference")
sizes, seeds = st.integers(1, 40), st.integers(0, 2**31)


@pytest.mark.parametrize("num_steps", [1, 15, 16, 128, 129, 300])
@pytest.mark.parametrize("per_neuron", [False, True])
def test_a_filter_is_its_recursion(num_steps, per_neuron):
    """y[t] = a y[t-1] + x[t], in float64; and the gradient in tau: with a = e^(-dt/tau), a^k changes by
    k a^k dt / tau^2. Whole and in blocks, and with time constants of 0 and infinity."""
    rng, dt = np.random.default_rng(num_steps), 0.5
    x, weights = rng.normal(size=(2, num_steps, 3, 5)).astype(np.float32)
    tau = np.array([0.0, 0.3, 4.0, 90.0, np.inf] if per_neuron else 7.0, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, change = np.exp(-dt / tau.astype(float)), dt / tau.astype(float) ** 2
    y = moved = np.zeros((3, 5))
    expected, slopes = [], []
    for x_t in x:
        moved = a * (moved + y)  # the sum of k a^k x, as `y` is that of a^k x
        y = a * y + x_t
        expected.append(y)
        slopes.append(moved)
    gradient = np.where(tau > 0, np.nan_to_num(change) * (weights * slopes).sum((0, 1)), 0.0)

    def run(tau, x):
        y = filters.expon(x, tau, dt=dt)
        return (y * weights).sum(), y

    (by_tau, by_x), y = jax.jit(jax.grad(run, (0, 1), has_aux=True))(f32(tau), f32(x))
    close(y, np.array(expected), 1e-5)  # a is rounded, and so is what is left of it after 180 steps
    close(by_tau, gradient, 1e-5)
    backwards = [np.zeros((3, 5))]
    for weights_t in weights[::-1]:
        backwards.append(a * backwards[-1] + weights_t)
    close(by_x, np.array(backwards[:0:-1]), 1e-5)


def test_spikes_are_weighed_without_a_rounding():
    """Every unit fires at a step of its own, so each current is one weight, and each gradient one number: the same
    bits, over all of the range of float32 that matters."""
    rng = np.random.default_rng(0)
    pre, post = 50, 7
    times = rng.permutation(pre)[None]
    w, pulled = (f32(rng.normal(size=(pre, post)) * 10.0 ** rng.uniform(-20, 20, (pre, post))) for _ in range(2))
    x = SpikeTimes(times=jnp.asarray(times, jnp.int32), num_steps=pre, num_units=pre)
    y, pull = jax.vjp(jax.jit(functools.partial(exact.weigh, x)), w)
    np.testing.assert_array_equal(np.asarray(y)[times[0], 0], w)
    np.testing.assert_array_equal(pull(pulled[:, None])[0], np.asarray(pulled)[times[0]])


@drawn(
    12,
    seed=seeds,
    shape=st.tuples(sizes, sizes, sizes, sizes),
    pattern=st.sampled_from(PATTERNS),
    per_neuron=flags,
    adapts=flags,
    synapse=st.sampled_from(["none", "expon", "double"]),
    delay=st.integers(0, 3),
    options=st.fixed_dictionaries(
        {
            "reset": st.sampled_from(["subtract", "value"]),
            "detach_reset": flags,
            "surrogate": st.sampled_from(list(SURROGATES.values())),
        }
    ),
)
def test_lif_is_the_reference(seed, shape, pattern, per_neuron, adapts, synapse, delay, options):
    """Spikes, voltages, counts, and the gradient of all of them in weights, input and every constant."""
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    x = make_input(rng, pattern, num_steps, batch, pre)
    drive = make_drive(rng, x, post, synapse=synapse != "none", delay=delay)
    if synapse == "double":
        drive = dataclasses.replace(drive, tau_rise=f32(rng.uniform(1.0, 5.0, post)))
    params = make_params(rng, post, per_neuron, adapts)
    run = functools.partial(run_lif, **options)
    found, df = outputs_and_gradient(run, "gpu", drive, params, seed)
    expected, de = outputs_and_gradient(run, "reference", drive, in_every_neuron(params, post), seed)
    if synapse != "double":
        spikes, closest = by_hand(drive, params, options["reset"])
        assume(closest > 1e-5)  # otherwise rounding decides whether it is a spike
        np.testing.assert_array_equal(found["spikes"], spikes)
    np.testing.assert_array_equal(found["spikes"], expected["spikes"])
    close(found, expected)
    close(df, de, 1e-4)


@drawn(
    6,
    seed=seeds,
    shape=st.tuples(sizes, st.integers(1, 7), sizes, sizes),
    pattern=st.sampled_from(PATTERNS),
    synapse=flags,
    delay=st.integers(0, 3),
    reset=st.sampled_from(["subtract", "value"]),
)
def test_recurrent_lif_is_the_reference(seed, shape, pattern, synapse, delay, reset):
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    x = make_input(rng, pattern, num_steps, batch, pre)
    drive = make_drive(rng, x, post, synapse=synapse, delay=delay)
    w_rec, params = make_w_rec(rng, post), make_params(rng, post)
    spikes, closest = by_hand(drive, params, reset, w_rec)
    assume(closest > 1e-5)

    def run(backend, drive, arrays):
        return run_recurrent(backend, drive, *arrays, reset=reset, surrogate=SURROGATES["sigmoid"])

    (found, df), (expected, de) = (outputs_and_gradient(run, b, drive, (w_rec, params), seed) for b in BOTH)
    np.testing.assert_array_equal(found["spikes"], spikes)
    close(found, expected)
    close(df, de, 1e-4)


@pytest.mark.parametrize("backend", BOTH)
def test_spikes_and_gradients_are_as_exact_as_float32_allows(backend):
    spikes_and_gradients_against_double_precision(backend)


def spikes_and_gradients_against_double_precision(backend):
    """Two layers of a hundred steps and mean readout, against the reference in double precision: the same spikes, and
    the gradient in weights and time constants to 1e-6 of the largest."""
    rng = np.random.default_rng(0)
    batch, pre, num_steps, hidden, out = 32, 300, 100, 50, 10
    times = SpikeTimes(
        times=jnp.asarray(rng.integers(0, 220, (batch, pre)), jnp.int32), num_steps=num_steps, num_units=pre
    )
    arrays = {"w": rng.normal(size=(pre, hidden)) * 0.6, "w_out": rng.normal(size=(hidden, out)) * 0.2}
    arrays |= {"tau_syn": 10.0, "tau_mem": np.full(hidden, 10.0), "tau_out": 5.0}
    arrays, labels = {name: np.float32(value) for name, value in arrays.items()}, rng.integers(0, out, batch)

    def objective(arrays, backend):
        def drive(x, kernel):
            return Drive(x=x, kernel=kernel, tau_syn=arrays["tau_syn"])

        others = [arrays["w"].dtype.type(value) for value in (1.0, 0.0, 0.0, 1.0, 0.0, 10.0)]
        params, options = LifParams(arrays["tau_mem"], *others), {"dt": 1.0, "backend": backend}
        layer = kernels.lif(drive(times, arrays["w"]), params, surrogate=SURROGATES["inv_square"], **options)
        trace, _ = kernels.leaky(drive(layer.spikes, arrays["w_out"]), arrays["tau_out"], **options)
        right = jax.nn.log_softmax(trace.mean(0))[jnp.arange(batch), labels]
        return 1e-4 * (layer.counts**2).sum() - right.mean(), layer.spikes

    def run(arrays, backend):
        gradient = jax.jit(jax.grad(objective, has_aux=True), static_argnums=1)
        return jax.tree.map(np.asarray, gradient(jax.tree.map(jnp.asarray, arrays), backend))

    found, spikes = run(arrays, backend)
    with jax.enable_x64(True):
        expected, expected_spikes = run(jax.tree.map(np.float64, arrays), "reference")
    assert expected_spikes.dtype == np.float64 and expected_spikes.sum() > 1000
    np.testing.assert_array_equal(spikes, expected_spikes)
    close(found, expected, 1e-6)


NETWORKS = {
    "reference": SnnConfig(hidden=20, num_steps=30, v_th=0.3),
    "deep": SnnConfig(hidden=(20, 13), num_steps=30, v_th=0.3, tau_rise=2.0),
    "recurrent": SnnConfig(hidden=20, num_steps=30, v_th=0.3, recurrent=True),
    "conv": dataclasses.replace(LATENCY_CONV, channels=(3,)),
    "normalized": ConvConfig(channels=(3,), dense=(5,)),
    "lstm": LstmConfig(hidden=9),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_spike_alike_and_learn_alike(name, monkeypatch):
    """A whole network under `SNNLAB_KERNELS`: the same spikes, and the same gradient in all that it learns."""
    network = models.build(NETWORKS[name], sample_shape=(8, 8), num_classes=3)
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    x = f32(np.random.default_rng(0).uniform(size=(6, 8, 8)))

    def objective(params):
        record = nnx.merge(graph, params, rest)(x)
        return (record.readout**2).mean() + record.peak.sum(), record.spikes

    results = []
    for backend in BOTH:
        monkeypatch.setenv("SNNLAB_KERNELS", backend)
        run = jax.jit(jax.grad(objective, has_aux=True), compiler_options=UNOPTIMIZED)
        results.append(run(params))
    (found, spikes), (expected, expected_spikes) = results
    assert name == "lstm" or all(train.sum() > 0 for train in expected_spikes.values())
    jax.tree.map(np.testing.assert_array_equal, spikes, expected_spikes)
    close(found, expected, 1e-5)


def loops(function, *arguments) -> int:
    """The loops of a function before XLA compiles it."""
    return len(re.findall(r"stablehlo\.while", jax.jit(function).lower(*arguments).as_text()))


@pytest.mark.parametrize(("num_steps", "recurrent"), [(100, False), (1000, False), (256, True)])
def test_one_loop_is_left_for_the_neurons_and_one_for_their_gradient(num_steps, recurrent, monkeypatch):
    """Whatever the length; the reference has more, for the synapses and the readout."""
    config = SnnConfig(hidden=5, num_steps=num_steps, recurrent=recurrent)
    network = models.build(config, sample_shape=(4, 4), num_classes=3)
    graph, params, rest = nnx.split(network, nnx.Param, ...)
    x, found = f32(np.ones((2, 4, 4))), {}
    for backend in BOTH:
        monkeypatch.setenv("SNNLAB_KERNELS", backend)
        found[backend] = loops(jax.grad(lambda p: nnx.merge(graph, p, rest)(x).readout.sum()), params)
    assert found["gpu"] == 2 < found["reference"]


def test_a_turn_has_ten_to_twenty_five_steps():
    for num_steps in range(1, 3000):
        steps = sequences.turn(num_steps)
        assert steps == num_steps if num_steps <= 25 else 10 <= steps <= 25


def test_moving_a_constant_compiles_nothing():
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    traced = []

    @jax.jit
    def run(drive_tau, params):
        traced.append(1)
        moved = dataclasses.replace(drive, tau_syn=drive_tau)
        return run_lif("gpu", moved, params, surrogate=SURROGATES["arctan"])["v"]

    before = run(drive.tau_syn, params)
    after = run(2 * drive.tau_syn, params._replace(tau_mem=3 * params.tau_mem, v_th=2 * params.v_th))
    assert len(traced) == 1 and not np.array_equal(before, after)


def test_what_it_does_not_have_the_reference_has():
    """Double precision and forward mode; where `jit` hides that, an error names the switch."""
    rng = np.random.default_rng(0)
    drive = make_drive(rng, make_input(rng, "random"))

    def current(kernel, backend="gpu"):
        return kernels.current(dataclasses.replace(drive, kernel=kernel), dt=1.0, backend=backend)

    direction = f32(rng.normal(size=drive.kernel.shape))
    _, along = jax.jvp(current, (drive.kernel,), (direction,))
    np.testing.assert_allclose(along, current(direction) - current(0 * direction), atol=1e-5)
    with pytest.raises(StateError, match="set the environment variable SNNLAB_KERNELS=reference"):
        jax.jvp(jax.jit(jax.grad(lambda kernel: (current(kernel) ** 2).sum())), (drive.kernel,), (direction,))
    with jax.enable_x64(True):
        double = current(jnp.asarray(np.float64(drive.kernel)))
        assert double.dtype == jnp.float64


def test_on_a_cpu_it_runs_only_when_asked_for(monkeypatch):
    monkeypatch.delenv("SNNLAB_KERNELS", raising=False)
    assert kernels.backend() == "numba" and kernels.backend("gpu") == "gpu"
    monkeypatch.setenv("SNNLAB_KERNELS", "gpu")
    assert kernels.backend() == "gpu" and kernels.backend("numba") == "numba"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(trial, "works", lambda: False)
    assert {wanted: kernels.backend(wanted) for wanted in kernels.dispatch.BACKENDS} == {
        "auto": "gpu",
        "numba": "reference",
        "cuda": "cuda",
        "gpu": "gpu",
        "reference": "reference",
    }
