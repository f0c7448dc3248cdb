"""The same weights and inputs in BrainPy 2.8 and in snnlab: equal spikes, values and gradients to 1e-5.

Each test writes one computation twice, as two functions `arguments -> (scalar, {name: array})`, and `agree`
compares the arrays and the gradients of the scalar, in float32. BrainPy is run as its users run it: modules
in training mode, stepped by its own `for_loop`. They are built inside the function that is differentiated, so
that none of them outlives a test.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiers import needed

from snnlab import losses
from snnlab.config import TUTORIAL_SNN, LstmConfig, SnnConfig
from snnlab.layers import Expon, Leaky, LifRef
from snnlab.models import lstm, snn
from snnlab.surrogate import SURROGATES, make_surrogate

T, B, N = 101, 3, 7
CLOSE = 1e-5


@pytest.fixture
def bp():
    """BrainPy in training mode; its global settings are put back, and those of JAX it must leave alone."""
    settings = dict(jax.config.values)
    brainpy = needed("brainpy", "peers")
    with brainpy.math.training_environment(dt=1.0, batch_size=B):
        yield brainpy
    brainpy.share.save(i=0, t=0.0)  # it keeps what was traced last
    assert dict(jax.config.values) == settings


def run(bp, step, x, dt: float) -> dict:
    """BrainPy's `step(x)` at every time, the results stacked; its modules read the time from `share`."""

    def turn(i, x):
        bp.share.save(i=i, t=i * dt)
        return jax.tree.map(bp.math.as_jax, step(x))

    return bp.math.for_loop(turn, (jnp.arange(len(x)), x))


def agree(ours, theirs, arguments, *, values=CLOSE, gradients=CLOSE):
    """Equal spikes; all else differs by at most `values` or `gradients` of the largest number in its array.

    That is the scale of the rounding: a sum of terms of either sign, taken in another order, is off by a
    share of its terms, however small it is itself.
    """
    found, expected = (jax.jit(jax.grad(f, has_aux=True))(arguments)[::-1] for f in (ours, theirs))
    if "spikes" in expected[0]:
        spikes = expected[0]["spikes"]
        assert 20 < spikes.sum() < 0.9 * spikes.size  # they fire, and they rest
        np.testing.assert_array_equal(found[0]["spikes"], spikes)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, mine), other in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        name, scale = jax.tree_util.keystr(path), np.abs(other).max()
        assert scale > 0, name
        tolerance = (values, gradients)[path[0].idx]
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * scale, err_msg=name)


def functional(record: dict):
    """A random linear functional of all recorded arrays: its gradient depends on each of their entries."""
    rng = np.random.default_rng(1)
    return sum(jnp.vdot(jnp.float32(rng.normal(size=x.shape)), x) for x in record.values()), record


# BrainPy's surrogate, and its peak; ours peak at 1.
SPIKES = {
    "inv_square": lambda peer, slope: (peer.InvSquareGrad(alpha=slope), 1.0),
    "arctan": lambda peer, slope: (peer.Arctan(alpha=2.0 * slope / np.pi), slope / np.pi),
    "sigmoid": lambda peer, slope: (peer.Sigmoid(alpha=slope), slope / 4.0),
    "triangular": lambda peer, slope: (peer.ReluGrad(alpha=0.8 * slope, width=1.0 / slope), 0.8),
    "gaussian": lambda peer, slope: (peer.GaussianGrad(1.0 / slope, alpha=np.sqrt(np.pi / 2.0) / slope), 0.5),
}
RESETS = [
    {"reset": reset, "detach_reset": detach, "tau_ref": tau_ref}
    for reset, detach, tau_ref in itertools.product(("subtract", "value"), (False, True), (0.0, 2.5, 3.0))
]
FINE = [{"surrogate": name, "dt": 0.1, "tau_ref": 0.25} for name in SPIKES]
CONSTANTS = {  # of the first and of the last neuron
    "v_rest": (-0.4, 0.2),
    "v_reset": (-0.6, 0.4),
    "v_th": (0.7, 1.3),
    "r": (1.0, 2.0),
    "tau_mem": (5.0, 20.0),
}


def their_lif(bp, params, current, spike, *, tau_ref, dt=1.0, reset="subtract", detach_reset=False, **_):
    v_rest, v_reset, v_th, r, tau_mem = (params[name][...] for name in CONSTANTS)
    lif = bp.dyn.LifRef(
        N,
        V_rest=v_rest,
        V_reset=v_reset,
        V_th=v_th,
        R=r,
        tau=tau_mem,
        tau_ref=tau_ref,
        V_initializer=lambda shape: jnp.broadcast_to(v_rest, shape),  # by default they start at 0
        spk_fun=spike,
        spk_reset={"subtract": "soft", "value": "hard"}[reset],
        detach_spk=detach_reset,
    )

    def step(current):
        lif.update(current)
        return {"spikes": lif.spike, "v": lif.V}

    return run(bp, step, current, dt)


@pytest.mark.parametrize("options", RESETS + FINE, ids=lambda options: ",".join(map(str, options.values())))
def test_lif(bp, options):
    """Spikes, voltages, and gradients in the current and in all constants, which differ between neurons.

    Equal because both take the exponential Euler step and then hold, spike and reset in this order. Their
    refractory time compares `t - t_last` in float32, so a `tau_ref` that is a multiple of `dt` is well
    defined only where times are exact, as at `dt = 1`.
    """
    dt, surrogate, slope = options.get("dt", 1.0), options.get("surrogate", "inv_square"), 3.0
    bp.math.set_dt(dt)
    spike, peak = SPIKES[surrogate](bp.math.surrogate, slope)
    scaled = make_surrogate(lambda x, k: peak * SURROGATES[surrogate].derivative(x, k), smooth=None)
    constants = {name: nnx.Param(np.linspace(*ends, N)) for name, ends in CONSTANTS.items()}
    layer = LifRef(N, **options | {"surrogate": scaled, "slope": slope, "v_scale": 1.0} | constants)
    graph, params, rest = nnx.split(layer, nnx.Param, ...)

    def ours(arguments):
        params, current = arguments
        trace = nnx.merge(graph, params, rest)(current)
        return functional({"spikes": trace.spikes, "v": trace.state})

    def theirs(arguments):
        params, current = arguments
        return functional(their_lif(bp, params, current, spike, **options))

    current = np.random.default_rng(0).normal(1.5, 3.0, (T, B, N)) / np.sqrt(dt)
    agree(ours, theirs, (params, jnp.float32(current)), **rounding(20.0, dt))


def rounding(tau: float, dt: float) -> dict[str, float]:
    """Tolerances: BrainPy's `1 - e^(-dt/tau)` in float32 is off by up to half a unit in the last place of 1, and a
    gradient is a sum of products with it."""
    off = tau / dt * 2.0**-24
    return {"values": CLOSE + off, "gradients": CLOSE + 5.0 * off}


@pytest.mark.parametrize(
    "voltages",
    [
        {"v_rest": 0.0, "v_reset": -5.0, "v_th": 20.0},  # BrainPy's own defaults [mV]
        {"v_rest": -65.0, "v_reset": -65.0, "v_th": -50.0},
        {"v_rest": -60.0, "v_reset": -60.0, "v_th": -50.0, "r": 0.1, "tau_mem": 20.0},  # COBA and CUBA benchmarks
    ],
)
def test_lif_in_millivolts(bp, voltages):
    """The same spikes, voltages and gradients, with time constants in ms and voltages in mV."""
    bp.math.set_dt(0.1)
    constants = {"r": 1.0, "tau_mem": 10.0} | voltages
    spike = bp.math.surrogate.InvSquareGrad(alpha=3.0)
    layer = LifRef(N, tau_ref=0.25, dt=0.1, reset="value", slope=3.0, v_scale=1.0, detach_reset=True, **constants)
    params = {name: jnp.float32(constants[name]) for name in CONSTANTS}
    gap = (constants["v_th"] - constants["v_rest"]) / constants["r"]
    current = jnp.float32(gap * np.random.default_rng(0).normal(2.0, 10.0, (200, B, N)))

    def ours(current):
        trace = layer(current)
        return functional({"spikes": trace.spikes, "v": trace.state})

    def theirs(current):
        options = {"tau_ref": 0.25, "dt": 0.1, "reset": "value", "detach_reset": True}
        return functional(their_lif(bp, params, current, spike, **options))

    agree(ours, theirs, current, **rounding(constants["tau_mem"], 0.1))


def test_expon_and_leaky(bp):
    """A synapse that feeds a readout: both decay, then add their input, and the sum is what they put out."""
    dt, tau_syn, tau_mem = 0.5, np.linspace(2.0, 8.0, N), np.linspace(3.0, 30.0, N)
    bp.math.set_dt(dt)

    def ours(x):
        g = Expon(N, tau_syn=tau_syn, dt=dt)(x)
        return functional({"g": g, "v": Leaky(N, tau_mem=tau_mem, dt=dt)(g).state})

    def theirs(x):
        synapse, readout = bp.dyn.Expon(N, tau=tau_syn), bp.dyn.Leaky(N, tau=tau_mem)

        def step(x):
            g = synapse.update(x)
            return {"g": g, "v": readout.update(g)}

        return functional(run(bp, step, x, dt))

    agree(ours, theirs, jnp.float32(np.random.default_rng(2).normal(size=(T, B, N))))


def their_snn(bp, config: SnnConfig, to_hidden, to_readout, x):
    """The tutorial's network, in the tutorial's order: the readout is sent the spikes of the step before.

    `to_hidden` and `to_readout` are weights and bias, or None.
    """
    spike = bp.math.surrogate.InvSquareGrad(alpha=config.slope)
    voltages = {"V_th": config.v_th, "V_reset": config.v_reset, "V_rest": config.v_rest}
    hidden = bp.dyn.LifRef(config.hidden, tau=config.tau_mem, spk_fun=spike, **voltages)
    readout = bp.dyn.Leaky(to_readout[0].shape[1], tau=config.tau_out)

    def project(values, post):
        weights, bias = values
        dense = bp.dnn.Dense(*weights.shape, W_initializer=weights, b_initializer=bias)
        synapse = bp.dyn.Expon.desc(post.num, tau=config.tau_syn)
        return bp.dyn.HalfProjAlignPostMg(comm=dense, syn=synapse, out=bp.dyn.CUBA.desc(), post=post)

    to_hidden, to_readout = project(to_hidden, hidden), project(to_readout, readout)

    def step(x):
        to_hidden(x)
        to_readout(hidden.spike.value)
        hidden()
        readout()
        return {"spikes": hidden.spike, "v": hidden.V, "current": to_hidden.syn.g, "readout": readout.x}

    return run(bp, step, x, config.dt)


def both_classifiers(bp, config: SnnConfig, gain: float, dtype=jnp.float32):
    """784-100-10 on latency-coded images: `ours`, `theirs`, and the weights; `gain` scales the first matrix.

    Their projection hands a spike to the synapse before this decays, so it arrives as `a = e^(-dt/tau_syn)`:
    `g <- a (g + W x)`, ours `g <- a g + W x`. Hence their weights times `a` are ours. Their regularizers sum
    over the batch, ours average.
    """
    bp.math.set_dt(config.dt)
    weight = 2.0**-17  # about the tutorial's 1e-5, and exact in float32
    pixels = np.random.default_rng(3).uniform(-1.0, 1.0, (B, 28, 28))
    images, labels = jnp.float32(pixels.clip(0.0)), jnp.array([0, 3, 9])  # half of an image is dark
    net = snn(config, sample_shape=(28, 28), num_classes=10, rngs=nnx.Rngs(0))
    net.stack.layers["hidden"].kernel[...] *= gain
    for layer in net.stack.layers.values() if config.bias else ():
        layer.bias[...] = 0.002 * jax.random.normal(jax.random.key(layer.features), (layer.features,))
    loss = losses.Classification(l1=weight * B, l2=weight * B**2)
    graph, *states = nnx.split((net, loss), nnx.Param, ...)
    params, rest = jax.tree.map(lambda x: x.astype(dtype), states)

    def ours(params):
        net, loss = nnx.merge(graph, params, rest)
        record = net(images)
        terms, (v, spikes, current, *_) = loss(record, labels), record.layers["hidden"]
        traces = {"spikes": spikes, "v": v, "current": current, "readout": record.readout}
        return sum(terms.values()), traces | terms

    def theirs(params):
        a = np.exp(-config.dt / config.tau_syn)
        layers = (params[0]["stack"]["layers"][name] for name in ("hidden", "readout"))
        arriving = ((p["kernel"][...] / a, p["bias"][...] / a if config.bias else None) for p in layers)
        traces = their_snn(bp, config, *arriving, net.encoder(images).dense().astype(dtype))
        terms = {
            "cross_entropy": bp.losses.cross_entropy_loss(traces["readout"].max(0), labels),
            "l1": weight * traces["spikes"].sum(),
            "l2": weight * (traces["spikes"].sum((0, 1)) ** 2).mean(),
        }
        return sum(terms.values()), traces | terms

    return ours, theirs, params


def test_spiking_classifier(bp):
    """A network that fires: traces, every term of the loss, and the gradients of both matrices; also with biases."""
    agree(*both_classifiers(bp, SnnConfig(slope=5.0, delay=1), gain=10.0))
    agree(*both_classifiers(bp, SnnConfig(slope=5.0, delay=1, bias=True), gain=10.0))


def test_tutorial_classifier(bp):
    """The tutorial's own constants: in its 10 ms hardly a neuron fires, and its surrogate is steep.

    Rounding a voltage changes the surrogate by up to `2 slope` times as much, so float32 does not give these
    gradients to 1e-5 (4.4e-5 in the worst of 8 draws). Float64 gives them to 1e-13: the equations are equal.
    """
    agree(*both_classifiers(bp, TUTORIAL_SNN, gain=3.0), gradients=1e-4)
    with bp.math.environment(x64=True, float_=jnp.float64):
        agree(*both_classifiers(bp, TUTORIAL_SNN, 3.0, jnp.float64), values=1e-11, gradients=1e-11)


def regate(w):
    """Gates i, f, g, o (ours) to i, g, f, o (theirs)."""
    i, f, g, o = jnp.split(w, 4, axis=-1)
    return jnp.concatenate([i, g, f, o], axis=-1)


def test_lstm_classifier(bp):
    """LSTM(11) >> Dense(10), read at its maximum over time: outputs, loss, gradients of all five weights.

    They order the gates i, g, f, o and add 1 to the forget gate in the equation; ours has it in the bias.
    """
    units, classes = 11, 10
    rng = np.random.default_rng(4)
    x, labels = jnp.float32(rng.normal(size=(B, T, N))), jnp.array([0, 3, 9])
    net = lstm(LstmConfig(hidden=units), sample_shape=(T, N), num_classes=classes, rngs=nnx.Rngs(0))
    graph, params, rest = nnx.split(net, nnx.Param, ...)

    def ours(params):
        record = nnx.merge(graph, params, rest)(x)
        loss = losses.Classification()(record, labels)["cross_entropy"]
        return loss, {"h": record.layers["hidden"].state, "readout": record.readout, "loss": loss}

    def theirs(params):
        weights = params["stack"]["layers"]
        w_x, w_h, bias = (weights["hidden"][name][...] for name in ("w_x", "w_h", "bias"))
        w_x, w_h, bias = map(regate, (w_x, w_h, bias.at[units : 2 * units].add(-1.0)))
        cell = bp.dyn.LSTMCell(N, units, Wi_initializer=w_x, Wh_initializer=w_h, b_initializer=bias)
        w_out, b_out = weights["readout"]["kernel"][...], weights["readout"]["bias"][...]
        dense = bp.dnn.Dense(units, classes, W_initializer=w_out, b_initializer=b_out)

        def step(x):
            h = cell.update(x)
            return {"h": h, "readout": dense.update(h)}

        record = run(bp, step, x.swapaxes(0, 1), 1.0)
        loss = bp.losses.cross_entropy_loss(record["readout"].max(0), labels)
        return loss, record | {"loss": loss}

    agree(ours, theirs, jax.tree.map(lambda w: jnp.float32(rng.normal(0.0, 0.4, w.shape)), params))


def test_cross_entropy(bp):
    """Mean over the batch of `-log softmax(scores)[label]`, also where the exponential overflows."""
    rng = np.random.default_rng(5)
    scores, labels = jnp.float32(rng.normal(0.0, 50.0, (101, 10))), jnp.asarray(rng.integers(0, 10, 101))

    def recorded(loss):
        return lambda scores: (loss(scores, labels), {"loss": loss(scores, labels)})

    agree(recorded(losses.cross_entropy), recorded(bp.losses.cross_entropy_loss), scores)
