"""Neurons that hear each other one step later: the kernel computes what the reference does, and a layer learns."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import assume, example
from hypothesis import strategies as st
from networks import check_learning, priced_entropy
from test_kernels import (
    PATTERNS,
    by_hand,
    close,
    f32,
    flags,
    make_drive,
    make_input,
    make_params,
    outputs_and_gradient,
    same_in_three_threads,
)
from tiers import UNOPTIMIZED, drawn

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive
from snnlab.layers import Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.surrogate import SURROGATES, Surrogate

T, B, P, N = 23, 3, 11, 7
BOTH = ("numba", "reference")
SIGMOID = {"surrogate": SURROGATES["sigmoid"]}


@pytest.fixture(autouse=True)
def numba_backend():
    assert kernels.backend() == "numba"


def make_w_rec(rng, n=N):
    return f32(rng.normal(0.1, 1.0 / np.sqrt(n), (n, n)))


def run_recurrent(backend, drive, w_rec, params, **options):
    out = kernels.recurrent_lif(drive, w_rec, params, dt=1.0, backend=backend, **options)
    return {"spikes": out.spikes, "v": out.v, "counts": out.counts}


sizes = st.integers(1, 40)
EDGE = {"seed": 1, "pattern": "streams", "refractory": True, "synapse": True, "bias": True, "delay": 1}
EDGE |= {"reset": "value", "detach_reset": False, "name": "sigmoid", "adapts": True}


@drawn(
    9,
    seed=st.integers(0, 2**31),
    shape=st.tuples(sizes, st.integers(1, 7), sizes, sizes),
    pattern=st.sampled_from(PATTERNS),
    refractory=flags,
    adapts=flags,
    synapse=flags,
    bias=flags,
    delay=st.integers(0, 3),
    reset=st.sampled_from(["subtract", "value"]),
    detach_reset=flags,
    name=st.sampled_from(list(SURROGATES)),
)
@example(shape=(1, 1, 1, 1), **EDGE)
@example(shape=(29, 1, 5, 1), **(EDGE | {"reset": "subtract"}))
@example(shape=(19, 2, 7, 53), **(EDGE | {"pattern": "burst"}))
def test_kernel_is_the_reference(
    seed, shape, pattern, refractory, adapts, synapse, bias, delay, reset, detach_reset, name
):
    """Spikes (also those of the equations written out in NumPy), voltages, counts, and the gradient of all of them in
    the weights from outside and inside, the input, and every constant."""
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    x = make_input(rng, pattern, num_steps, batch, pre)
    drive = make_drive(rng, x, post, synapse=synapse, bias=bias, delay=delay)
    w_rec = make_w_rec(rng, post)
    params = make_params(rng, post, adapts=adapts, **({} if refractory else {"tau_ref": 0.0}))
    expected_spikes, closest = by_hand(drive, params, reset, w_rec)
    assume(closest > 1e-5)  # otherwise rounding decides whether it is a spike
    options = {"reset": reset, "detach_reset": detach_reset, "surrogate": SURROGATES[name]}

    def run(backend, drive, arrays):
        return run_recurrent(backend, drive, *arrays, **options)

    (found, df), (expected, de) = (outputs_and_gradient(run, b, drive, (w_rec, params), seed) for b in BOTH)
    np.testing.assert_array_equal(found["spikes"], expected_spikes)
    np.testing.assert_array_equal(expected["spikes"], expected_spikes)
    close(found, expected)
    close(df, de, 1e-4)


@pytest.mark.parametrize("backend", BOTH)
def test_a_spike_arrives_exactly_one_step_later(backend):
    """Neuron 0 is pushed over its threshold at step 2. Neuron 1 hears it at step 3, through the synapse: with
    a = e^(-1/tau_mem) its voltage is (1 - a) w, then a (1 - a) w + (1 - a) w e^(-1/tau_syn)."""
    x = np.zeros((6, 1, 2))
    x[2, 0, 0] = 11.0
    params = LifParams(*map(f32, (10.0, 1.0, 0.0, 0.0, 1.0, 9.0, 10.0)))  # refractory: neuron 0 fires once
    drive, w_rec = Drive(x=f32(x), tau_syn=f32(5.0)), f32([[0.0, 4.0], [0.0, 0.0]])
    run = jax.jit(lambda w_rec: run_recurrent(backend, drive, w_rec, params, surrogate=SURROGATES["arctan"]))
    out = jax.tree.map(np.asarray, run(w_rec))
    assert out["spikes"][:, 0, 0].tolist() == [0, 0, 1, 0, 0, 0] and out["counts"].tolist() == [[1.0, 0.0]]
    a, a_syn = np.exp(-1 / 10), np.exp(-1 / 5)
    first = (1 - a) * 4.0
    second = a * first + (1 - a) * 4.0 * a_syn
    np.testing.assert_allclose(out["v"][:5, 0, 1], [0.0, 0.0, 0.0, first, second], rtol=1e-6)


def test_without_recurrent_weights_it_is_the_feed_forward_layer():
    rng = np.random.default_rng(0)
    drive, params, w_rec = (
        make_drive(rng, make_input(rng, "streams"), 37),
        make_params(rng, 37),
        f32(np.zeros((37, 37))),
    )
    options = {"surrogate": SURROGATES["triangular"], "dt": 1.0}

    def both(run):
        def objective(kernel, params):
            out = run(dataclasses.replace(drive, kernel=kernel), params)
            return (out.counts**2).sum() + (out.v**2).sum() + (out.spikes.mean(0) ** 3).sum(), (out.spikes, out.v)

        return jax.jit(jax.grad(objective, (0, 1), has_aux=True))(drive.kernel, params)

    found, (spikes, v) = both(lambda drive, params: kernels.recurrent_lif(drive, w_rec, params, **options))
    # The gradient in the recurrent weights is not zero there, but that in all the others is that of no such weights.
    expected, (expected_spikes, expected_v) = both(lambda drive, params: kernels.lif(drive, params, **options))
    np.testing.assert_array_equal(spikes, expected_spikes)
    close((v, found), (expected_v, expected), 1e-5)


def test_no_event_is_taken_for_a_neuron():
    """Units and times of any 32-bit value: the recurrent weights lie behind the others, out of the reach of events."""
    rng = np.random.default_rng(0)
    wrong = [P, P + 1, P + 15, P + 16, P + 31, P + 32, 2**31 - 1, -1, -(2**31), 0, 0]
    late = [0] * 9 + [2**31 - 1, -(2**31)]
    units, times = (jnp.asarray(np.int32([values] * B)) for values in (wrong, late))
    drive = make_drive(rng, SpikeTimes(times=times, units=units, num_steps=T, num_units=P), 17, bias=False)
    params, w_rec = make_params(rng, 17, v_rest=0.0), f32(9 + np.asarray(make_w_rec(rng, 17)))

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient_and_v(arrays):
        out = run_recurrent("numba", dataclasses.replace(drive, kernel=arrays[0]), arrays[1], params, **SIGMOID)
        return (out["v"] ** 2).sum() + out["v"].sum() + out["spikes"].sum(), out["v"]

    assert not any(map(np.any, jax.tree.leaves(jax.tree.map(np.asarray, gradient_and_v((drive.kernel, w_rec))))))


@pytest.mark.parametrize("name", ["inv_square", "gaussian"])
def test_bptt_against_finite_differences(name):
    """Float64, with the antiderivative in place of the step: the gradient in every weight and constant, measured."""
    smooth = SURROGATES[name].smooth
    surrogate = Surrogate(spike=smooth, derivative=SURROGATES[name].derivative, smooth=smooth)
    neuron = LifRef(N, tau_mem=np.linspace(5, 20, N), v_th=0.3, slope=4.0, v_scale=0.3, surrogate=surrogate)
    layer = Recurrent(P, neuron, synapse=Expon(N), use_bias=True, delay=1, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        graphdef, state = nnx.split(layer)
        state = jax.tree.map(np.float64, state)
        direction = jax.tree.map(lambda v: rng.normal(size=v.shape), state)
        direction["neuron"]["v_scale"][...] = 0.0  # no gradient flows through it
        x = jnp.asarray(rng.normal(0.3, 1.0, (T, B, P)))

        def objective(state):
            trace = nnx.merge(graphdef, state)(x)
            return (trace.spikes.max(0) ** 2).sum() + (trace.state**2).mean() + (trace.current**2).mean()

        value_and_gradient = jax.jit(jax.value_and_grad(objective))

        def moved(eps):
            return float(value_and_gradient(jax.tree.map(lambda v, d: v + eps * d, state, direction))[0])

        numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
        slopes = jax.tree.map(lambda g, d: (np.asarray(g) * d).sum(), value_and_gradient(state)[1], direction)
        np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), numeric, rtol=1e-5)


def test_same_input_same_bits_however_many_threads():
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "streams", batch=301), 50), make_params(rng, 50)

    @jax.jit
    @jax.value_and_grad
    def run(arrays):
        out = run_recurrent("numba", dataclasses.replace(drive, kernel=arrays[0]), *arrays[1:], **options)
        return out["counts"].sum()

    options = {"surrogate": SURROGATES["arctan"]}
    arrays = drive.kernel, make_w_rec(rng, 50), params
    same_in_three_threads(lambda: run(arrays), 20)


def test_under_vmap():
    rng = np.random.default_rng(0)
    drive, params, w_rec = make_drive(rng, make_input(rng, "random")), make_params(rng), make_w_rec(rng)

    @jax.value_and_grad
    def run(w_rec):
        out = run_recurrent("numba", drive, w_rec, params, surrogate=SURROGATES["gaussian"])
        return out["v"].sum() + out["counts"].sum()

    both = np.stack([w_rec, -np.asarray(w_rec)])
    mapped, alone = jax.tree.map(np.asarray, jax.jit(jax.vmap(run))(both)), jax.jit(run)
    for k, one in enumerate(both):
        close([part[k] for part in mapped], alone(one), 1e-6)


def test_what_nobody_reads_is_not_computed():
    """A step that uses counts only holds no array of a value for every neuron and step."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random", 503, 31, 13), 17), make_params(rng, 17)

    def objective(w_rec):
        return (run_recurrent("numba", drive, w_rec, params, **SIGMOID)["counts"] ** 2).sum()

    compiled = jax.jit(jax.grad(objective)).lower(make_w_rec(rng, 17)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 503 * 31 * 17


def make_net():
    """Every way in and out: events in, packed spikes to and from the recurrent layer, gradients through all of them."""
    rngs = nnx.Rngs(0)
    return Stack(
        a=Projection(P, LifRef(19, v_th=0.3), synapse=Expon(19), rngs=rngs),
        b=Recurrent(19, LifRef(N, v_th=0.3), synapse=Expon(N), delay=1, use_bias=True, rngs=rngs),
        c=Recurrent(N, LifRef(37, v_th=0.3, reset="value", tau_ref=2.0), rngs=rngs),
        d=Projection(37, Leaky(2), synapse=Expon(2), rngs=rngs),
    )


def task():
    """Two classes of spike trains, early in one half of the units or in the other."""
    labels = np.arange(16) % 2
    times = np.random.default_rng(0).integers(0, T // 2, (16, P)) + (np.arange(P) % 2 != labels[:, None]) * (T // 2)
    return SpikeTimes(times=jnp.asarray(np.int32(times)), num_steps=T, num_units=P), jnp.asarray(np.int32(labels))


def test_in_a_stack_both_backends_have_the_same_gradient(monkeypatch):
    graphdef, state = nnx.split(make_net())
    (x, y), found = task(), []
    for backend in BOTH:
        monkeypatch.setenv("SNNLAB_KERNELS", backend)
        value_and_gradient = jax.value_and_grad(lambda state: priced_entropy(nnx.merge(graphdef, state), x, y))
        found.append(
            jax.jit(value_and_gradient, compiler_options=UNOPTIMIZED if backend == "reference" else None)(state)
        )
    close(*found, 1e-4)
    gradient = found[0][1]
    assert np.any(gradient["layers"]["b"]["recurrent_kernel"].get_value())


def test_a_stack_learns_and_is_traced_once():
    check_learning(make_net(), *task())


def test_a_layer_outside_jit():
    """`nnx.value_and_grad` as users write it; the recorded current is the one that the neurons saw."""
    layer = Recurrent(P, LifRef(N, v_th=0.3), synapse=Expon(N), rngs=nnx.Rngs(0))
    x, _ = task()
    value, gradient = nnx.value_and_grad(lambda layer: (layer(x).counts ** 2).sum())(layer)
    assert value > 0 and all(map(np.any, map(np.asarray, jax.tree.leaves(gradient))))
    trace = jax.tree.map(np.asarray, layer(x))
    alone, dense, one_by_one = jax.jit(
        lambda current, x, singles: (
            layer.neuron(current).state,
            layer(x.dense()).spikes,
            [layer(dataclasses.replace(x, times=times)).spikes for times in singles],
        )
    )(trace.current, x, [np.asarray(x.times)[b : b + 1] for b in (0, 5)])
    np.testing.assert_allclose(alone, trace.state, atol=1e-5)
    np.testing.assert_array_equal(dense, trace.spikes)
    for b, spikes in zip((0, 5), one_by_one, strict=True):
        np.testing.assert_array_equal(np.asarray(spikes)[:, 0], trace.spikes[:, b])


def test_default_weights_have_their_deviation():
    layer = Recurrent(3, LifRef(400), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(np.asarray(layer.recurrent_kernel[...]).std(), 1 / np.sqrt(400), rtol=0.02)
    shapes = nnx.eval_shape(lambda: Recurrent(P, LifRef(N), rngs=nnx.Rngs(0)))
    assert shapes.recurrent_kernel.shape == (N, N) and shapes.kernel.shape == (P, N)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent(3, Leaky(4), rngs=nnx.Rngs(0)), "neuron: must be LifRef, got Leaky"),
        (
            lambda: Recurrent(3, LifRef(4), synapse=Leaky(4), rngs=nnx.Rngs(0)),
            "synapse: must be Expon, DoubleExpon or None, got Leaky",
        ),
        (
            lambda: Recurrent(3, LifRef(4), synapse=Expon(4, dt=0.5), rngs=nnx.Rngs(0)),
            "synapse: has dt = 0.5 ms, the neuron has 1.0 ms",
        ),
        (
            lambda: Recurrent(3, LifRef(4), synapse=Expon(5), rngs=nnx.Rngs(0)),
            "synapse: has 5 features, the neuron has 4",
        ),
        (lambda: Recurrent(3, LifRef(4), rngs=nnx.Rngs(0))(jnp.zeros((T, B, 2))), "x: has 2 units, .* in_features=3"),
        (
            lambda: run_recurrent(
                None, Drive(x=jnp.zeros((T, B, 3))), jnp.zeros((3, 4)), make_params(np.random, 3), **SIGMOID
            ),
            r"w_rec: must have shape \(3, 3\), got \(3, 4\)",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
