"""Synapses that rise: closed forms, the kernels against the reference, and what cannot be said in NIR."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import kernels, models
from snnlab.config import SnnConfig
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.export import to_nir
from snnlab.health import Checkup
from snnlab.kernels import Drive
from snnlab.layers import ConvProjection, DoubleExpon, Expon, Graph, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.surrogate import SURROGATES, Surrogate
from snnlab.train import Trainer

T, B, N, M = 23, 3, 5, 7


def response(tau_rise, tau_syn, dt=1.0, steps=200, weight=1.0):
    """What a layer answers to one spike at the first step."""
    spike = jnp.zeros((steps, 1, 1)).at[0].set(weight)
    return np.asarray(DoubleExpon(1, tau_rise=tau_rise, tau_syn=tau_syn, dt=dt)(spike))[:, 0, 0]


@pytest.mark.parametrize(("tau_rise", "tau_syn"), [(2.0, 10.0), (10.0, 2.0), (0.5, 30.0)])
def test_the_response_is_a_difference_of_two_exponentials(tau_rise, tau_syn):
    rise, decay, k = np.exp(-1 / tau_rise), np.exp(-1 / tau_syn), np.arange(200)
    expected = (1 - rise) * (decay ** (k + 1) - rise ** (k + 1)) / (decay - rise)
    np.testing.assert_allclose(response(tau_rise, tau_syn), expected, rtol=1e-4, atol=1e-6)


def test_with_equal_time_constants_it_is_an_alpha_function():
    a, k = np.exp(-1 / 10), np.arange(200)
    np.testing.assert_allclose(response(10.0, 10.0), (1 - a) * (k + 1) * a**k, rtol=1e-4, atol=1e-6)


def test_without_a_rise_it_is_an_exponential_synapse():
    x = jnp.asarray(np.float32(np.random.default_rng(0).normal(size=(T, B, N))))
    np.testing.assert_allclose(
        DoubleExpon(N, tau_rise=0.0, tau_syn=8.0)(x), Expon(N, tau_syn=8.0)(x), rtol=1e-5, atol=1e-5
    )


def test_a_spike_brings_as_much_as_through_an_exponential_synapse():
    """The sum over all steps is 1 / (1 - e^(-dt/tau_syn)), whatever the rise."""
    for tau_rise in (0.0, 2.0, 10.0):
        assert response(tau_rise, 10.0, steps=400).sum() == pytest.approx(1 / (1 - np.exp(-0.1)), rel=1e-4)


def test_smaller_steps_come_nearer_to_continuous_time():
    """tau_syn / (tau_syn - tau_rise) (e^(-t/tau_syn) - e^(-t/tau_rise)), at the ends of the steps; of first order."""
    errors = []
    for dt in (1.0, 0.5, 0.25):
        t = dt * np.arange(1, 40 / dt + 1)
        exact = 10 / 8 * (np.exp(-t / 10) - np.exp(-t / 2))
        errors.append(np.abs(response(2.0, 10.0, dt, len(t)) - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 0.1 and (orders > 0.8).all()


def drives(rng):
    """What arrives in each of the forms that the kernels read."""
    number = lambda low, high, *shape: jnp.asarray(np.float32(rng.uniform(low, high, shape)))  # noqa: E731
    own = {"bias": number(-0.1, 0.1, M), "tau_syn": number(3, 20, M), "tau_rise": number(1, 9, M), "delay": 2}
    times = SpikeTimes(times=jnp.asarray(rng.integers(0, T + 3, (B, N)), jnp.int32), num_steps=T, num_units=N)
    spikes = kernels.lif(number(0, 30, T, B, N), PARAMS, dt=1.0, surrogate=SURROGATES["inv_square"])
    return {
        "events": Drive(x=times, kernel=number(-1, 3, N, M), **own),
        "bits": Drive(x=spikes.packed, kernel=number(-1, 3, N, M), **own),
        "numbers": Drive(x=number(-1, 1, T, B, N), kernel=number(-1, 3, N, M), **own),
        "one constant": Drive(x=times, kernel=number(-1, 3, N, M), tau_syn=jnp.float32(9.0), tau_rise=jnp.float32(2.0)),
    }


PARAMS = LifParams(*map(jnp.float32, (10.0, 0.5, 0.0, 0.0, 1.0, 1.0, 5.0)))


@pytest.mark.parametrize("form", ["events", "bits", "numbers", "one constant"])
@pytest.mark.parametrize("neurons", ["lif", "leaky", "none", "recurrent"])
def test_the_kernels_agree_with_the_reference(form, neurons):
    """Values, and the gradient of a random projection of them in weights and time constants."""
    rng = np.random.default_rng(3)
    drive, mix = drives(rng)[form], jnp.asarray(np.float32(rng.normal(size=(T, B, M))))
    w_rec = jnp.asarray(np.float32(rng.normal(0.0, 0.4, (M, M))))

    def run(backend):
        def objective(numbers):
            now = dataclasses.replace(drive, **numbers)
            options = {"dt": 1.0, "surrogate": SURROGATES["inv_square"], "backend": backend}
            if neurons == "lif":
                out = kernels.lif(now, PARAMS, **options).v
            elif neurons == "recurrent":
                out = kernels.recurrent_lif(now, w_rec, PARAMS, **options).v
            elif neurons == "leaky":
                out = kernels.leaky(now, jnp.float32(5.0), dt=1.0, backend=backend)[0]
            else:
                out = kernels.current(now, dt=1.0, backend=backend)
            return (mix * out).sum(), out

        numbers = {name: getattr(drive, name) for name in ("kernel", "tau_syn", "tau_rise")}
        return jax.jit(jax.value_and_grad(objective, has_aux=True))(numbers)

    (_, found), gradient = run("numba")
    (_, expected), expected_gradient = run("reference")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for name, value in expected_gradient.items():
        scale = float(np.abs(value).max())
        assert scale > 0.0
        np.testing.assert_allclose(gradient[name], value, atol=1e-4 * scale, err_msg=name)


def test_gradients_against_finite_differences():
    """Float64, with the antiderivative in place of the step: a network that is smooth, with a recurrent layer."""
    smooth = SURROGATES["inv_square"].smooth
    surrogate = Surrogate(spike=smooth, derivative=SURROGATES["inv_square"].derivative, smooth=smooth)
    lif, rngs = {"v_th": 0.3, "slope": 4.0, "v_scale": 0.3, "surrogate": surrogate}, nnx.Rngs(0)
    net = Stack(
        a=Projection(N, LifRef(M, **lif), synapse=DoubleExpon(M, tau_rise=np.linspace(1, 4, M)), rngs=rngs),
        b=Recurrent(M, LifRef(M, **lif), synapse=DoubleExpon(M, tau_rise=5.0, tau_syn=5.0), rngs=rngs),
        c=Projection(M, Leaky(2), synapse=DoubleExpon(2), rngs=rngs),
    )
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        graphdef, state = nnx.split(net)
        state = jax.tree.map(np.float64, state)
        direction = jax.tree.map(lambda v: rng.normal(size=v.shape), state)
        for layer in ("a", "b"):
            direction["layers"][layer]["neuron"]["v_scale"][...] = 0.0  # no gradient flows through it
        x = jnp.asarray(rng.normal(0.3, 1.0, (T, B, N)))
        value_and_gradient = jax.jit(
            jax.value_and_grad(lambda state: (nnx.merge(graphdef, state)(x).readout.max(0) ** 2).sum())
        )
        moved = [
            float(value_and_gradient(jax.tree.map(lambda v, d: v + e * d, state, direction))[0])  # noqa: B023
            for e in (1e-6, -1e-6)
        ]
        gradient = value_and_gradient(state)[1]
        slopes = jax.tree.map(lambda g, d: (np.asarray(g) * d).sum(), gradient, direction)
        np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), (moved[0] - moved[1]) / 2e-6, rtol=1e-5)


def test_pixels_of_a_convolution_share_their_time_constants():
    """The same network with the weights written out, one by one."""
    conv = ConvProjection(
        (1, N),
        LifRef(2, v_th=0.2),
        window=(1, 2),
        synapse=DoubleExpon(2, tau_rise=np.array([1.0, 6.0])),
        rngs=nnx.Rngs(0),
    )
    columns, weights = N - 1, np.asarray(conv.kernel[...])
    dense = np.zeros((N, 2 * columns), np.float32)
    for channel in range(2):
        for place in range(columns):
            dense[place : place + 2, channel * columns + place] = weights[:, channel]
    rises = np.repeat([1.0, 6.0], columns)
    plain = Projection(
        N,
        LifRef(2 * columns, v_th=0.2),
        synapse=DoubleExpon(2 * columns, tau_rise=rises),
        kernel_init=lambda key, shape: jnp.asarray(dense),
        rngs=nnx.Rngs(0),
    )
    x = SpikeTimes(
        times=jnp.asarray(np.random.default_rng(0).integers(0, T, (B, N)), jnp.int32), num_steps=T, num_units=N
    )
    assert plain(x).spikes.sum() > 0
    np.testing.assert_allclose(conv(x).state, plain(x).state, atol=1e-5)


def test_in_a_cycle_it_takes_one_step_at_a_time():
    """A synapse that feeds itself with a weight of 0, as in a stack."""
    layers = {
        "g": DoubleExpon(N, tau_rise=3.0),
        "w": nnx.Linear(N, N, kernel_init=nnx.initializers.zeros, rngs=nnx.Rngs(0)),
    }
    net = Graph(layers, [("input", "g"), ("g", "w"), ("w", "g"), ("g", "output")])
    x = jnp.asarray(np.float32(np.random.default_rng(0).normal(size=(T, B, N))))
    np.testing.assert_allclose(net(x).readout, DoubleExpon(N, tau_rise=3.0)(x), rtol=1e-5, atol=1e-5)


def test_a_network_of_such_synapses_is_built_and_has_the_knobs(digits):
    config = SnnConfig(hidden=24, num_steps=40, synapse="double_exponential", tau_rise=3.0, v_th=0.5)
    net = models.build(config, sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, digits.subset(train=512, test=128), epochs=4, batch_size=32)
    assert trainer.mailbox.knobs["hidden.tau_rise"].value == 3.0 and "readout.tau_rise" in trainer.mailbox.knobs
    last = [report for report in trainer if report.phase == "epoch"][-1].metrics
    assert last["test_acc"] > 0.4


def test_the_gradient_over_time_is_that_of_the_current(digits):
    """The checkup solves for the gradient in the current behind the synapse; here it is taken there."""
    config = SnnConfig(hidden=12, num_steps=30, synapse="double_exponential", v_th=0.5)
    small = digits.subset(train=64, test=32)
    trainer = Trainer(models.build(config, sample_shape=(8, 8), num_classes=10), small, batch_size=32)
    found = Checkup(trainer.stepper, small)(trainer.state).layers[0].gradient_over_time
    system = trainer.stepper.structure.merge(trainer.state)
    net, loss, x, y = system["model"], system["loss"], net_input(small), jnp.asarray(small.y_test)
    hidden, readout = net.stack.layers["hidden"], net.stack.layers["readout"]
    code = net.encode(x)

    def objective(nudge):
        current = kernels.current(hidden.synapse.behind(hidden.drive(code)), dt=1.0)
        fired = hidden.neuron(current + nudge)
        out = readout(fired.spikes)
        from snnlab.record import Record

        record = Record(readout=out.output, layers={"hidden": fired._replace(dt=1.0), "readout": out._replace(dt=1.0)})
        return sum(loss(record, y).values())

    gradient = jax.grad(objective)(jnp.zeros((30, 32, 12)))
    expected = np.sqrt((np.asarray(gradient) ** 2).sum((1, 2)))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * expected.max())


def net_input(data):
    return jnp.asarray(data.x_test)


def test_nir_has_no_such_synapse():
    layer = Projection(N, LifRef(M), synapse=DoubleExpon(M), rngs=nnx.Rngs(0))
    with pytest.raises(ArgumentError, match="layer 'a': NIR has no LifRef behind a DoubleExpon"):
        to_nir(Stack(a=layer))
    with pytest.raises(ArgumentError, match="NIR has no node for DoubleExpon"):
        to_nir(Stack(a=DoubleExpon(N), b=Leaky(N)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"synapse": "alpha"}, "synapse: must be one of"),
        ({"tau_rise": 5.0}, "tau_rise: does nothing with synapse='exponential'; pass synapse=\"double_exponential\""),
        ({"synapse": "double_exponential", "tau_rise": -1.0}, "tau_rise: "),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ArgumentError, match=message):
        SnnConfig(**settings)
