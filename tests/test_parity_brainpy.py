"""The same weights and inputs in BrainPy 2.8 and in snnlab: the same spikes, values to 1e-5, in float32.

BrainPy is run one step at a time through `lax.scan`, with its variables as the carry. Voltages and currents are
compared absolutely (they are of order one), gradients relative to the largest one.
"""

import brainpy as bp
import brainpy.math as bm
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import losses
from snnlab.config import TUTORIAL_SNN, SnnConfig
from snnlab.encode import Latency
from snnlab.layers import LSTM, Expon, Leaky, LifRef
from snnlab.models import snn

T, B, N = 127, 3, 7
CLOSE = 1e-5


@pytest.fixture(autouse=True)
def training_mode():
    """BrainPy's mode is global; it is put back."""
    mode, dt = bm.get_mode(), bm.get_dt()
    yield
    bm.set_mode(mode)
    bm.set_dt(dt)


def train_mode(dt: float) -> None:
    bm.set_mode(bm.TrainingMode(B))
    bm.set_dt(dt)


def unroll(step, variables, xs, dt: float):
    """`step(x)` at every time, as a pure function of `xs`: the variables are carried, and start as they are."""

    def turn(values, now):
        time, x = now
        for variable, value in zip(variables, values, strict=True):
            variable.value = value
        bp.share.save(t=time, dt=dt)
        out = step(x)
        return tuple(variable.value for variable in variables), out

    start = tuple(variable.value for variable in variables)
    times = jnp.arange(len(xs), dtype=jnp.float32) * dt
    result = jax.lax.scan(turn, start, (times, xs))[1]
    for variable, value in zip(variables, start, strict=True):
        variable.value = value
    return result


def value(x):
    return jnp.asarray(getattr(x, "value", x))


def assert_gradients_agree(found, expected, tolerance=CLOSE):
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


PER_NEURON = {
    "tau_mem": np.linspace(5.0, 20.0, N, dtype=np.float32),
    "v_th": np.linspace(0.7, 1.3, N, dtype=np.float32),
}
NEURONS = {
    "tutorial": {},
    "fine steps": {"dt": 0.1},
    "value reset": {"reset": "value"},
    "value reset, detached": {"reset": "value", "detach_reset": True},
    "detached": {"detach_reset": True},
    "refractory": {"tau_ref": 2.5},
    "refractory, value reset": {"tau_ref": 2.5, "reset": "value"},
    "other constants": {"v_rest": -0.3, "v_reset": -0.5, "v_th": 0.6, "r": 1.7, "tau_mem": 6.0},
    "per neuron": PER_NEURON,
    "sigmoid": {"surrogate": "sigmoid", "slope": 4.0},
    "gaussian": {"surrogate": "gaussian", "slope": 2.0},
    "triangular": {"surrogate": "triangular", "slope": 1.0},
    "arctan": {"surrogate": "arctan", "slope": float(np.pi / 2)},
}

# BrainPy's surrogates with the scale of its backward pass relative to ours (peak 1).
PEERS = {
    "inv_square": lambda slope: (bm.surrogate.InvSquareGrad(alpha=slope), 1.0),
    "sigmoid": lambda slope: (bm.surrogate.Sigmoid(alpha=slope), slope / 4.0),
    "gaussian": lambda slope: (bm.surrogate.GaussianGrad(sigma=1.0 / slope, alpha=1.0), slope / np.sqrt(2 * np.pi)),
    "triangular": lambda slope: (bm.surrogate.ReluGrad(alpha=1.0, width=1.0 / slope), 1.0 / slope),
    "arctan": lambda slope: (bm.surrogate.Arctan(alpha=2 * slope / np.pi), slope / np.pi),
}


def their_lif(dt, surrogate="inv_square", slope=10.0, reset="subtract", detach_reset=False, **constants):
    names = {"v_rest": "V_rest", "v_reset": "V_reset", "v_th": "V_th", "r": "R", "tau_mem": "tau", "tau_ref": "tau_ref"}
    given = {"v_rest": 0.0, "v_reset": 0.0, "v_th": 1.0, "tau_mem": 10.0} | constants
    spike, _ = PEERS[surrogate](slope)
    settings = {"spk_fun": spike, "spk_reset": {"subtract": "soft", "value": "hard"}[reset], "detach_spk": detach_reset}
    at_rest = bp.init.Constant(given["v_rest"])  # their default start is 0
    lif = bp.dyn.LifRef(N, V_initializer=at_rest, **{names[name]: given[name] for name in given}, **settings)
    lif.reset_state(B)

    def run(currents):
        def step(x):
            lif.update(x)
            return value(lif.spike), value(lif.V)

        return unroll(step, [lif.V, lif.spike, lif.t_last_spike], currents, dt)

    return run


@pytest.mark.parametrize("options", NEURONS.values(), ids=NEURONS.keys())
def test_lif(options):
    """Spikes, voltages, and the gradient of a random linear functional of the voltages in the currents."""
    options = {"dt": 1.0} | options
    dt = options["dt"]
    train_mode(dt)
    rng = np.random.default_rng(0)
    currents = jnp.asarray(rng.normal(1.0, 3.0, (T, B, N)) / np.sqrt(dt), jnp.float32)
    theirs, ours = their_lif(**options), LifRef(N, **{"slope": 10.0} | options)
    spikes, v = theirs(currents)
    trace = ours(currents)
    assert 50 < spikes.sum() < 0.9 * spikes.size
    np.testing.assert_array_equal(trace.spikes, spikes)
    np.testing.assert_allclose(trace.state, v, rtol=0, atol=CLOSE)

    if options.get("surrogate", "inv_square") != "inv_square":
        return  # their scale enters every step of the product differently; compared for one spike below
    weights = jnp.asarray(rng.normal(size=(2, T, B, N)), jnp.float32)

    def functional(run):
        return jax.grad(lambda x: sum((w * y).sum() for w, y in zip(weights, run(x), strict=True)))(currents)

    found = functional(lambda x: (ours(x).spikes, ours(x).state))
    assert_gradients_agree(found, functional(theirs))


@pytest.mark.parametrize("name", PEERS)
def test_surrogates_are_theirs_up_to_a_known_factor(name):
    x = jnp.linspace(-0.9, 0.9, 57)
    slope = 2.0
    from snnlab.surrogate import SURROGATES

    spike, factor = PEERS[name](slope)
    theirs = jax.vmap(jax.grad(lambda x: value(spike(x))))(x)
    np.testing.assert_allclose(theirs, factor * SURROGATES[name].derivative(x, slope), rtol=1e-5)


def test_expon_and_leaky():
    train_mode(0.5)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(T, B, N)), jnp.float32)
    synapse, readout = bp.dyn.Expon(N, tau=8.0), bp.dyn.Leaky(N, tau=5.0)
    synapse.reset_state(B), readout.reset_state(B)
    g = unroll(lambda x: value(synapse.update(x)), [synapse.g], x, 0.5)
    np.testing.assert_allclose(Expon(N, tau_syn=8.0, dt=0.5)(x), g, rtol=0, atol=CLOSE)
    trace = unroll(lambda x: value(readout.update(x)), [readout.x], x, 0.5)
    np.testing.assert_allclose(Leaky(N, tau_mem=5.0, dt=0.5)(x).state, trace, rtol=0, atol=CLOSE)


def their_network(config: SnnConfig, w_in, w_out):
    """The tutorial's network, updated in the tutorial's order: the readout sees the spikes of the step before."""
    spike = bm.surrogate.InvSquareGrad(alpha=config.slope)
    r = bp.dyn.LifRef(config.hidden, tau=config.tau_mem, V_reset=0.0, V_rest=0.0, V_th=config.v_th, spk_fun=spike)
    o = bp.dyn.Leaky(w_out.shape[1], tau=config.tau_out)

    def project(weights, post):
        comm = bp.dnn.Dense(*weights.shape, W_initializer=weights, b_initializer=None)
        syn = bp.dyn.Expon.desc(post.num, tau=config.tau_syn)
        return bp.dyn.HalfProjAlignPostMg(comm=comm, syn=syn, out=bp.dyn.CUBA.desc(), post=post)

    i2r, r2o = project(w_in, r), project(w_out, o)
    for part in (r, o, i2r, r2o, i2r.refs["syn"], r2o.refs["syn"]):
        part.reset_state(B)
    carried = [r.V, r.spike, r.t_last_spike, o.x, i2r.refs["syn"].g, r2o.refs["syn"].g]

    def run(weights, dense):
        i2r.comm.W.value, r2o.comm.W.value = weights

        def step(x):
            i2r(x)
            r2o(r.spike.value)
            r()
            o()
            return value(r.spike), value(r.V), value(o.x), value(i2r.refs["syn"].g)

        return unroll(step, carried, dense, config.dt)

    return run


def tutorial_loss(readout, spikes, labels):
    """Cross-entropy of the maximum over time, plus the tutorial's two regularizers, which sum over the batch."""
    l1 = 1e-5 * spikes.sum()
    l2 = 1e-5 * (spikes.sum((0, 1)) ** 2).mean()
    return value(bp.losses.cross_entropy_loss(readout.max(0), labels)) + l1 + l2


CONFIGS = {"tutorial": TUTORIAL_SNN, "that fires": SnnConfig(delay=1)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_whole_network(config, digits):
    """Currents, voltages, spikes, readout, loss, and the gradients of both weight matrices, on real digits."""
    train_mode(config.dt)
    images, labels = jnp.asarray(digits.x_train[:B]), jnp.asarray(digits.y_train[:B])
    net = snn(config, sample_shape=(8, 8), num_classes=10, rngs=nnx.Rngs(0))
    hidden, readout = (net.stack.layers[name] for name in ("hidden", "readout"))
    start = (4.0 * hidden.kernel[...], readout.kernel[...])  # strong, so that digits of 64 pixels make it fire
    dense = Latency(num_steps=config.num_steps, dt=config.dt, tau=config.tau_latency)(images).dense()
    assert config.num_steps >= 100
    theirs = their_network(config, *start)
    loss = losses.Classification(l1=1e-5 * B, l2=1e-5 * B**2)
    graphdef, params, rest = nnx.split(net, nnx.Param, ...)

    # Their projection adds a spike to the synapse before the synapse decays, ours after: g = a (g + W x) is
    # g = a g + (a W) x, so the weights of one are those of the other times a.
    a = jnp.exp(-config.dt / config.tau_syn)

    def our_record(weights):
        flat = dict(nnx.to_flat_state(params))
        for path, variable in flat.items():
            flat[path] = variable.replace(a * weights["readout" in path])
        return nnx.merge(graphdef, nnx.from_flat_state(flat), rest)(images)

    record = our_record(start)
    spikes, v, trace, current = theirs(start, dense)
    assert spikes.sum() > 20
    np.testing.assert_array_equal(record.spikes["hidden"], spikes)
    np.testing.assert_allclose(record.layers["hidden"].current, current, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(record.layers["hidden"].state, v, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(record.readout, trace, rtol=CLOSE, atol=CLOSE)

    def their_loss(weights):
        spikes, _, trace, _ = theirs(weights, dense)
        return tutorial_loss(trace, spikes, labels)

    expected, their_gradients = jax.value_and_grad(their_loss)(start)
    found, gradients = jax.value_and_grad(lambda w: sum(loss(our_record(w), labels).values()))(start)
    np.testing.assert_allclose(found, expected, rtol=CLOSE)
    # A surrogate as steep as the tutorial's magnifies the rounding of the voltages, at most 2 slope times.
    rounding = 2 * config.slope * np.abs(record.layers["hidden"].state - v).max()
    assert_gradients_agree(gradients, their_gradients, max(CLOSE, float(rounding)))


def regate(w):
    """Gates i, g, f, o (BrainPy) to i, f, g, o (ours)."""
    i, g, f, o = jnp.split(w, 4, axis=-1)
    return jnp.concatenate([i, f, g, o], axis=-1)


def test_lstm_classifier():
    """Outputs over 127 steps, the tutorial's loss, and the gradients of all weights, readout included."""
    train_mode(1.0)
    rng = np.random.default_rng(2)
    x, labels = jnp.asarray(rng.normal(size=(T, B, N)), jnp.float32), jnp.array([0, 3, 9])
    units, classes = 11, 10
    cell = bp.dyn.LSTMCell(N, units)
    cell.reset_state(B)
    shapes = [(N, 4 * units), (units, 4 * units), (4 * units,), (units, classes)]
    weights = tuple(jnp.asarray(rng.normal(0, 0.3, shape), jnp.float32) for shape in shapes)

    def theirs(weights):
        cell.Wi.value, cell.Wh.value, cell.b.value = weights[:3]
        h = unroll(lambda x: value(cell.update(x)), [cell.state], x, 1.0)
        return h, value(bp.losses.cross_entropy_loss((h @ weights[3]).max(0), labels))

    def ours(weights):
        layer = LSTM(N, units, rngs=nnx.Rngs(0))
        w_x, w_h, bias = (regate(w) for w in weights[:3])
        bias = bias.at[units : 2 * units].add(1.0)  # they add 1 to the forget gate inside the equation
        nnx.update(layer, {"w_x": w_x, "w_h": w_h, "bias": bias})
        h = layer(x).state
        return h, losses.cross_entropy((h @ weights[3]).max(0), labels)

    np.testing.assert_allclose(ours(weights)[0], theirs(weights)[0], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours(weights)[1], theirs(weights)[1], rtol=CLOSE)
    assert_gradients_agree(jax.grad(lambda w: ours(w)[1])(weights), jax.grad(lambda w: theirs(w)[1])(weights))
