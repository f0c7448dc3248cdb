"""Delays that are learned: closed forms, gradients, bounds, and a task that nothing but delays can solve."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.export import from_nir, to_nir
from snnlab.layers import ConvProjection, Delay, Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.train.knobs import find_knobs
from snnlab.variables import Live, check_values, keep_in_range

T, B, N = 17, 3, 4


def learned(*steps, most=9):
    return Delay(nnx.Param(np.array(steps, np.float32)), most=most)


@pytest.fixture
def x():
    return jnp.asarray(np.float32(np.random.default_rng(0).normal(size=(T, B, N))))


def shifted(x, steps):
    """Every unit by as many whole steps, written out."""
    out = np.zeros_like(x)
    for n, k in enumerate(steps):
        out[k:, :, n] = np.asarray(x)[: len(x) - k, :, n]
    return out


def test_whole_steps_are_those_of_a_fixed_delay(x):
    np.testing.assert_array_equal(learned(0, 1, 5, 9)(x), shifted(x, (0, 1, 5, 9)))
    np.testing.assert_array_equal(Delay([0, 1, 5, 9])(x), shifted(x, (0, 1, 5, 9)))


def test_half_a_step_is_the_mean_of_two(x):
    mean = 0.5 * (shifted(x, (0, 1, 5, 8)) + shifted(x, (1, 2, 6, 9)))
    np.testing.assert_allclose(learned(0.5, 1.5, 5.5, 8.5)(x), mean, atol=1e-6)


def test_a_quarter_of_a_step_leaves_three_quarters_behind():
    spike = jnp.zeros((6, 1, 1)).at[1].set(1.0)
    assert learned(2.25)(spike)[:, 0, 0].tolist() == [0.0, 0.0, 0.0, 0.75, 0.25, 0.0]


def test_the_gradient_is_that_of_finite_differences(x):
    """Of a random projection of the squares, in float64; delays between the steps, where the output is smooth."""
    rng = np.random.default_rng(1)
    mix, steps = rng.normal(size=(T, B, N)), np.array([0.3, 1.7, 4.5, 8.2])
    with jax.enable_x64(True):
        graph, state = nnx.split(Delay(nnx.Param(steps), most=9))
        state, x = jax.tree.map(np.float64, state), jnp.asarray(x, jnp.float64)

        @jax.jit
        @jax.value_and_grad
        def objective(state, x):
            return (mix * nnx.merge(graph, state)(x) ** 2).sum()

        gradient = np.asarray(objective(state, x)[1]["steps"].get_value())
        for n in range(N):
            moved = [jax.tree.map(lambda v, e=e, n=n: v + e * np.eye(N)[n], state) for e in (1e-6, -1e-6)]
            numeric = float(objective(moved[0], x)[0] - objective(moved[1], x)[0]) / 2e-6
            assert gradient[n] == pytest.approx(numeric, rel=1e-6)


def test_step_by_step_as_over_the_whole_sequence(x):
    layer = learned(0.0, 1.25, 8.9, 9.0)
    trace = jax.lax.scan(layer.step, layer.start(B)[0], x)[1]
    np.testing.assert_allclose(trace.output, layer(x), atol=1e-6)


def test_learned_delays_stay_between_0_and_the_most():
    layer = learned(0.0, 3.0, 9.0, 4.0)
    moved = jax.tree.map(lambda p: p + np.array([-5.0, -5.0, 5.0, 5.0], np.float32), nnx.state(layer, nnx.Param))
    assert keep_in_range(moved)["steps"].get_value().tolist() == [0.0, 0.0, 9.0, 9.0]


def test_beyond_its_range_a_delay_is_that_at_the_end_with_a_gradient_that_leads_back(x):
    """In a loop of one's own, which does not keep it in range."""
    far = learned(0.0, 0.0, 9.0, 9.0)
    graph, state = nnx.split(far)
    out = jax.tree.map(lambda p: p + np.array([-2.0, 0.0, 3.0, 0.0], np.float32), state)
    np.testing.assert_array_equal(nnx.merge(graph, out)(x), far(x))
    gradient = jax.grad(lambda state: (nnx.merge(graph, state)(x) ** 2).sum())(out)["steps"].get_value()
    assert np.isfinite(gradient).all() and gradient[0] != 0.0 and gradient[2] != 0.0


def times(x):
    """Spikes at the first step at which each input is above 1, as times."""
    above = np.asarray(x) > 1.0
    first = np.where(above.any(0), above.argmax(0), -1).astype(np.int32)
    dense = np.zeros(above.shape, np.float32)
    np.put_along_axis(dense, first.clip(0)[None], (first >= 0)[None].astype(np.float32), 0)
    return SpikeTimes(times=jnp.asarray(first), num_steps=T, num_units=N), dense


KINDS = {
    "Projection": lambda delay: Projection(N, LifRef(7, v_th=0.2), synapse=Expon(7), delay=delay, rngs=nnx.Rngs(0)),
    "Recurrent": lambda delay: Recurrent(N, LifRef(7, v_th=0.2), synapse=Expon(7), delay=delay, rngs=nnx.Rngs(0)),
    "ConvProjection": lambda delay: ConvProjection(
        (1, N), LifRef(3, v_th=0.1), window=(1, 2), synapse=Expon(3), delay=delay, rngs=nnx.Rngs(0)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_with_weights_delays_its_input(x, kind):
    """As if its input were shifted before it came, whether it comes as an array or as times of spikes."""
    delayed, plain = KINDS[kind](Delay([0, 1, 5, 9])), KINDS[kind](0)
    spikes, dense = times(x)
    assert plain(jnp.asarray(dense)).spikes.sum() > 0
    for given, known in ((x, x), (spikes, dense)):
        expected = plain(jnp.asarray(shifted(known, (0, 1, 5, 9)))).spikes
        np.testing.assert_array_equal(delayed(given).spikes, expected)


def test_spikes_of_the_layer_before_are_delayed(x):
    """In a stack, where a kernel passes them on at one bit each."""
    rngs = nnx.Rngs(0)
    first = Projection(N, LifRef(7, v_th=0.2), synapse=Expon(7), rngs=rngs)
    second = Projection(7, LifRef(5, v_th=0.2), synapse=Expon(5), delay=Delay(range(7)), rngs=rngs)
    found = nnx.jit(lambda net, x: net(x))(Stack(first=first, second=second), x)
    fired, second.delay = np.asarray(found.spikes["first"]), 0
    expected = second(jnp.asarray(shifted(fired, range(7)))).spikes
    assert fired.sum() > 20 and found.spikes["second"].sum() > 0
    np.testing.assert_array_equal(found.spikes["second"], expected)


def test_delays_of_the_user_are_a_knob():
    layer = Delay(Live(np.full(N, 4.0)), most=9)
    [knob] = find_knobs(nnx.state(layer, Live), ())
    assert (knob.name, knob.value, knob.low, knob.high, knob.unit) == ("steps", 4.0, 0.0, 9.0, "steps")


LEAD = 5  # steps by which one spike comes before the other


def pairs(count):
    """Two spikes `LEAD` steps apart; the class says which of two inputs comes first."""
    rng = np.random.default_rng(0)
    labels, first = rng.integers(0, 2, count), rng.integers(2, 6, count)
    x = np.zeros((24, count, 2), np.float32)
    for b, (label, t) in enumerate(zip(labels, first, strict=True)):
        x[t, b, label], x[t + LEAD, b, 1 - label] = 1.0, 1.0
    return jnp.asarray(x), labels


def detector(delay):
    """A neuron that two spikes together make fire, and neither alone, nor two that come apart."""
    neuron = LifRef(1, tau_mem=2.0, detach_reset=True)
    one = Projection(
        2,
        neuron,
        synapse=Expon(1, tau_syn=2.0),
        kernel_init=lambda key, shape: jnp.full(shape, 1.47),  # a spike lifts the voltage to 2 w (1 - a) a = 0.7
        rngs=nnx.Rngs(0),
    )
    return Stack(delay=delay, fires=one)


def test_only_delays_tell_which_of_two_spikes_came_first():
    """The weights are equal and fixed, so without delays both classes look alike; learned ones let the spikes meet."""
    x, labels = pairs(64)

    def fired(net):
        return np.asarray(net(x).layers["fires"].spikes.sum((0, 2))) > 0

    alike = fired(detector(learned(0.0, 0.0)))
    assert not alike.any()
    net = detector(learned(1.5, 0.5))
    graph, delays, rest = nnx.split(net, lambda path, _: path[-1] == "steps", ...)
    sign = jnp.asarray(np.where(labels == 0, 1.0, -1.0), jnp.float32)  # fire if input 0 came first: it must wait

    def loss(delays):
        trace = nnx.merge(graph, delays, rest)(x).layers["fires"]
        before = trace.state + jax.lax.stop_gradient(trace.spikes)  # the reset, which subtracts 1
        highest = before[..., 0].max(0)
        return jax.nn.softplus(-4.0 * sign * (highest - 1.0)).mean()

    optimizer = optax.adam(0.1)

    @jax.jit
    def step(delays, state):
        updates, state = optimizer.update(jax.grad(loss)(delays), state)
        return keep_in_range(optax.apply_updates(delays, updates)), state

    state = optimizer.init(delays)
    for _ in range(200):
        delays, state = step(delays, state)
    net = nnx.merge(graph, delays, rest)
    found = np.asarray(net.layers["delay"].steps[...])
    np.testing.assert_array_equal(fired(net), labels == 0)
    assert found[0] - found[1] == pytest.approx(LEAD, abs=1.0)


def test_nir_takes_whole_steps_only():
    net = Stack(late=learned(0.0, 2.5), out=Leaky(2))
    with pytest.raises(ArgumentError, match=r"layer 'late': steps: must be whole"):
        to_nir(net)
    assert to_nir(Stack(late=learned(0.0, 2.0), out=Leaky(2))).nodes["late"].delay.tolist() == [0.0, 0.002]


def test_nir_has_the_whole_steps_of_each_unit(x):
    """In front of the weights; read again, the network fires the same spikes."""
    late = Projection(N, LifRef(7, v_th=0.2), delay=Delay([0, 1, 5, 9]), rngs=nnx.Rngs(0))
    graph = to_nir(Stack(late=late, out=Projection(7, Leaky(2), rngs=nnx.Rngs(1))))
    assert graph.nodes["late_delay"].delay.tolist() == pytest.approx([0.0, 0.001, 0.005, 0.009])
    again = from_nir(graph, dt=1.0, reset="subtract")
    spikes = list(again(x).spikes.values())
    assert late(x).spikes.sum() > 0
    np.testing.assert_array_equal(spikes[0], late(x).spikes)
    late.delay = learned(0.5, 1.0, 5.0, 9.0)
    with pytest.raises(ArgumentError, match=r"layer 'late': steps: must be whole"):
        to_nir(Stack(late=late))


def test_a_file_has_delays_within_the_range():
    steps = learned(1.0, 2.0).steps
    check_values("late.steps", steps, np.float32([0.0, 9.0]))
    with pytest.raises(ArgumentError, match=r"late.steps: must be <= 9"):
        check_values("late.steps", steps, np.float32([0.0, 9.5]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delay(nnx.Param([1.0])), "most: must be the largest number of steps"),
        (lambda: Delay([1], most=3), "most: does nothing for delays that stay"),
        (lambda: Delay(nnx.Param([4.0]), most=3), "steps: must be at most 3, got 4"),
        (lambda: Delay(nnx.Param([-1.0]), most=3), "steps: "),
        (lambda: Delay(nnx.Param(1.0), most=3), "steps: must be one number per unit"),
        (lambda: Delay([1.5]), "steps: "),
        (lambda: KINDS["Projection"](Delay([1, 2])), "delay: has 2 units, this layer was built with in_features=4"),
        (lambda: KINDS["Recurrent"](-1), "delay: must be an integer >= 0"),
        (lambda: learned(1.0)(jnp.zeros((3, 1, 2))), "x: has 2 units, this layer was built for 1"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
