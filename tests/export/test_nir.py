"""NIR graphs become networks that compute what NIR says, and networks become graphs that say what they compute.

What is expected comes from the equations, written out here in double precision, or from other simulators' traces.
"""

import itertools

import jax.numpy as jnp
import nir
import numpy as np
import pytest
from flax import nnx
from tiers import needed

import snnlab
from snnlab.config import LstmConfig
from snnlab.encode import Latency
from snnlab.errors import ArgumentError, SnnlabError
from snnlab.export.nir.graph import kind
from snnlab.layers import (
    IF,
    BatchNorm,
    Conv,
    ConvProjection,
    Delay,
    Expon,
    Leaky,
    LifRef,
    Pool,
    Projection,
    Recurrent,
    Scale,
    Stack,
)
from snnlab.models import Network, build

T, B, P, N = 101, 3, 11, 5
METHODS = ("euler", "exponential")


def full(*values, n=N):
    """One number per neuron, or one for all."""
    return np.broadcast_to(np.asarray(values, np.float32), (n,)).copy()


def some_input(n=P, rate=0.2, seed=0):
    return (np.random.default_rng(seed).random((T, B, n)) < rate).astype(np.float32)


def weights(out=N, inputs=P, seed=1, size=1.0):
    return (size * np.random.default_rng(seed).normal(0.3, 0.6, (out, inputs))).astype(np.float32)


def last(net, x):
    return next(reversed(net(jnp.asarray(x)).layers.values()))


# ---- reading ----


def test_a_reference_neuron_fires_when_it_fires_in_norse(shared):
    """The NIR project's file and the trace that Norse made of it, dt = 0.1 ms: columns input, voltage, spike."""
    x, v, spikes = np.loadtxt(shared / "reference" / "lif_norse.csv", delimiter=",", dtype=np.float32).T
    trace = last(snnlab.from_nir(shared / "reference" / "lif_norse.nir", dt=0.1), x[:, None, None])
    assert spikes.sum() == 4
    np.testing.assert_array_equal(trace.spikes[:, 0, 0], spikes)
    np.testing.assert_allclose(trace.state[:, 0, 0], v, rtol=0, atol=1e-6)


NEURONS = {
    "LI": nir.LI(tau=full(0.01, 0.02, 0.03, 0.01, 0.005), r=full(2, 1, 3, 4, 5), v_leak=full(0.5, 0, 0, -1, 0)),
    "LIF": nir.LIF(full(0.01), full(2, 1, 3, 4, 5), full(0.1, 0, 0.2, 0, 0), full(0.6), full(0.05)),
    "CubaLI": nir.CubaLI(full(0.004), full(0.02), full(3), full(0.25), full(1, 2, 3, 4, 5)),
    "CubaLIF": nir.CubaLIF(full(0.006), full(0.01), full(3, 4, 5, 6, 7), full(0), full(0.6), full(-0.1), full(2)),
    "I": nir.I(r=full(20, 30, 40, 50, 60)),
    "IF": nir.IF(r=full(110, 210, 320, 430, 510), v_threshold=full(0.77), v_reset=full(0.1)),
}


def by_hand(node, x, dt, method, reset):
    """NIR's equations, stepped in double precision: voltages after the reset and spikes. dt in ms."""
    h = dt / 1000.0
    p = {name: np.asarray(value, np.float64) for name, value in vars(node).items() if isinstance(value, np.ndarray)}

    def toward(state, target, tau):
        return state + (h / tau if method == "euler" else -np.expm1(-h / tau)) * (target - state)

    v, i_syn, voltages, spikes = np.zeros(x.shape[1:]) + p.get("v_leak", 0.0), 0.0, [], []
    for i in x.astype(np.float64):
        if "tau_syn" in p:
            i = i_syn = toward(i_syn, p["w_in"] * i, p["tau_syn"])
        tau = p.get("tau_mem", p.get("tau"))
        v = v + h * p["r"] * i if tau is None else toward(v, p["v_leak"] + p["r"] * i, tau)
        s = v > p.get("v_threshold", np.inf)
        down = v - (p["v_threshold"] - p["v_reset"]) if reset == "subtract" else p.get("v_reset", 0.0)
        v = np.where(s, down, v)
        voltages.append(v)
        spikes.append(s)
    return np.array(voltages), np.array(spikes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("with_weights", [True, False])
@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron_is_stepped_as_nir_says(name, with_weights, method):
    """Every gain, leak and reset is applied, whether the layer or the weights before it have the place for it."""
    node, x, reset = NEURONS[name], some_input(P if with_weights else N), "value"
    w = weights()
    front = [nir.Affine(w, np.linspace(-0.1, 0.2, N, dtype=np.float32))] if with_weights else []
    net = snnlab.from_nir(nir.NIRGraph.from_list(*front, node), dt=1.0, method=method)
    current = x @ w.T.astype(np.float64) + np.linspace(-0.1, 0.2, N) if with_weights else x
    v, spikes = by_hand(node, current, 1.0, method, reset)
    trace = last(net, x)
    np.testing.assert_allclose(trace.state, v, rtol=1e-4, atol=1e-4)
    if name.endswith("F"):
        assert spikes.sum() > 20
        np.testing.assert_array_equal(trace.spikes, spikes)
    else:
        assert trace.spikes is None


def test_reset_by_subtraction_is_a_choice():
    x = some_input(N, 0.6)
    for reset in ("value", "subtract"):
        net = snnlab.from_nir(nir.NIRGraph.from_list(NEURONS["CubaLIF"]), dt=1.0, reset=reset)
        np.testing.assert_array_equal(last(net, x).spikes, by_hand(NEURONS["CubaLIF"], x, 1.0, "euler", reset)[1])


def test_the_threshold_is_strict():
    """r dt I = 1/2: after two steps v is the threshold exactly, and only the third step is above it."""
    node = nir.IF(r=full(1000, n=1), v_threshold=full(1, n=1), v_reset=full(0, n=1))
    net = snnlab.from_nir(nir.NIRGraph.from_list(node), dt=1.0)
    assert last(net, np.full((4, 1, 1), 0.5, np.float32)).spikes.ravel().tolist() == [0, 0, 1, 0]
    # and ours, which fires at it, is written so that a strict reader does too
    graph = snnlab.to_nir(Stack(out=IF(1, v_th=1.0)))
    assert np.float32(1.0) > graph.nodes["out"].v_threshold == np.nextafter(np.float32(1), np.float32(0))


def test_shapes_in_files_of_others():
    """A parameter that is one number stands for all neurons; images need no flat parameters; a delay is in seconds."""
    lif = nir.LIF(full(0.01, n=1), full(2, n=1), full(0, n=1), full(0.6, n=1), full(0, n=1))
    x = some_input()
    graph = nir.NIRGraph.from_list(nir.Input(np.array([P])), nir.Linear(weights()), lif, type_check=False)
    spikes = last(snnlab.from_nir(graph, dt=1.0), x).spikes
    delayed = nir.NIRGraph.from_list(nir.Delay(full(0.003, n=P)), nir.Linear(weights()), NEURONS["LIF"])
    net = snnlab.from_nir(delayed, dt=0.5)
    assert spikes.shape == (T, B, N) and net.layers["lif"].delay == 6
    uneven = nir.NIRGraph.from_list(nir.Delay(np.arange(P) / 1000.0), nir.Linear(weights()))
    shifted = np.stack([np.roll(x[..., k], k, 0) * (np.arange(T) >= k)[:, None] for k in range(P)], -1)
    np.testing.assert_allclose(last(snnlab.from_nir(uneven, dt=1.0), x).state, shifted @ weights().T, atol=1e-5)


@pytest.mark.peers
def test_convolutions_and_pools_are_those_of_torch():
    torch = needed("torch", "peers")
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 1, 3, 2)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    x = rng.normal(size=(T, B, 2, 9, 8)).astype(np.float32)
    conv = nir.Conv2d((9, 8), kernel, (2, 1), (1, 2), (1, 2), 2, bias)
    pools = [nir.AvgPool2d(np.array([2, 3]), np.array([2, 1]), np.array([1, 0]))]
    pools.append(nir.SumPool2d(np.array([2, 2]), np.array([1, 2]), np.array([0, 0])))
    flat = nir.Flatten({"input": None}, 0, -1)
    graph = chain(nir.Input(np.array([2, 9, 8])), conv, *pools, flat)
    found = last(snnlab.from_nir(graph, dt=1.0), x.reshape(T, B, -1)).state
    images = torch.from_numpy(x.reshape(T * B, 2, 9, 8))
    y = torch.nn.functional.conv2d(images, *map(torch.from_numpy, (kernel, bias)), (2, 1), (1, 2), (1, 2), 2)
    y = torch.nn.functional.avg_pool2d(y, (2, 3), (2, 1), (1, 0))
    y = torch.nn.functional.avg_pool2d(y, (2, 2), (1, 2), divisor_override=1)
    np.testing.assert_allclose(found, y.numpy().reshape(T, B, -1), atol=1e-4)
    line = rng.normal(size=(3, 2, 4)).astype(np.float32)
    graph = chain(nir.Input(np.array([2, 7])), nir.Conv1d(7, line, 1, "same", 1, 1, bias[:3]))
    x = x.reshape(T, B, -1)[..., :14]
    y = torch.nn.functional.conv1d(torch.from_numpy(x.reshape(T * B, 2, 7)), torch.from_numpy(line), padding="same")
    y = y.numpy() + bias[:3, None]
    np.testing.assert_allclose(last(snnlab.from_nir(graph, dt=1.0), x).state, y.reshape(T, B, -1), atol=1e-4)


def chain(*nodes):
    """A graph of nodes in a row, unchecked; the output's shape is left to whoever reads it."""
    names = [f"n{k}" for k in range(len(nodes))]
    out = {"out": nir.Output({"output": None})}
    return nir.NIRGraph(
        dict(zip(names, nodes, strict=True)) | out, list(zip(names, [*names[1:], "out"], strict=True)), type_check=False
    )


@pytest.mark.parametrize("method", METHODS)
def test_time_constants_from_forgetting_at_once_to_never(method):
    """1 - dt/tau is 0 for tau = dt, and 1 for tau = inf: a leaky integrator forgets at once, or never moves."""
    quick = 0.001 if method == "euler" else 0.0
    tau, r = full(quick, quick, 0.01, np.inf, np.inf), full(0.7, 2, 3, 1, 4)
    lif = nir.LIF(tau, r, full(0.1), full(0.6), full(0.05))
    cuba = nir.CubaLIF(full(quick, quick, 0.005, np.inf, 0.01), tau, r, full(0), full(0.6), full(0), full(1))
    x = some_input(N, 0.6)
    for node in (lif, cuba):
        trace = last(snnlab.from_nir(nir.NIRGraph.from_list(node), dt=1.0, method=method), x)
        with np.errstate(divide="ignore", invalid="ignore"):
            v, spikes = by_hand(node, x, 1.0, method, "value")
        np.testing.assert_allclose(trace.state, v, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(trace.spikes, spikes)
        assert spikes[..., 1].sum() > 100 and not spikes[..., 3:].any()
    graph = snnlab.to_nir(Stack(a=LifRef(2, tau_mem=[0.0, np.inf])), method=method)
    again = snnlab.from_nir(graph, dt=1.0, method=method)
    np.testing.assert_array_equal(again.layers["a"].tau_mem[...], [0.0, np.inf])


@pytest.mark.parametrize("nested", [True, False])
def test_recurrent_neurons_hear_each_other_one_step_later(nested):
    """As a subgraph, and as a cycle: I[t] = x[t] W + s[t-1] W_rec + b_rec, written out."""
    lif, w_rec = NEURONS["LIF"], nir.Affine(weights(N, N, 5), full(0.05))
    loop = [("lif", "w_rec"), ("w_rec", "lif")]
    if nested:
        ends = {"input": nir.Input(np.array([N])), "output": nir.Output(np.array([N]))}
        edges = [("input", "lif"), *loop, ("lif", "output")]
        inner = {"lif": nir.NIRGraph({**ends, "lif": lif, "w_rec": w_rec}, edges, type_check=False)}
        loop = []
    else:
        inner = {"lif": lif, "w_rec": w_rec}
    ends = {"input": nir.Input(np.array([P])), "output": nir.Output(np.array([N]))}
    edges = [("input", "w"), ("w", "lif"), *loop, ("lif", "output")]
    graph = nir.NIRGraph({**ends, "w": nir.Linear(weights()), **inner}, edges, type_check=False)
    x = some_input()
    net = snnlab.from_nir(graph, dt=1.0)
    assert isinstance(net.layers["lif"], Recurrent)
    p, v, s, expected = lif, np.zeros((B, N)) + lif.v_leak, np.zeros((B, N)), []
    for x_t in x:
        current = x_t @ weights().T + s @ w_rec.weight.T + w_rec.bias
        v = v + 0.001 / p.tau * (p.v_leak - v + p.r * current)
        s = (v > p.v_threshold) * 1.0
        v = np.where(s > 0, p.v_reset, v)
        expected.append(s)
    assert np.sum(expected) > 100
    np.testing.assert_array_equal(last(net, x).spikes, expected)


def test_an_imported_network_trains(digits):
    """Its weights are learned, its constants are knobs, and it is exported again."""
    rng = np.random.default_rng(0)
    lif = nir.LIF(*(full(x, n=32) for x in (0.01, 8.0, 0.0, 1.0, 0.0)))
    li = nir.LI(*(full(x, n=10) for x in (0.005, 5.0, 0.0)))
    w = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in ((32, 64), (10, 32))]
    stack = snnlab.from_nir(nir.NIRGraph.from_list(nir.Linear(w[0]), lif, nir.Linear(w[1]), li), dt=1.0)
    trainer = snnlab.Trainer(Network(Latency(num_steps=40), stack), digits.subset(train=1024), epochs=4, batch_size=32)
    assert {"lif.tau_mem", "lif.v_th", "li.tau_mem"} <= set(trainer.mailbox.knobs)
    history = trainer.fit()
    assert history.epochs[-1]["test_acc"] > 0.5 and trainer.compilations == 1
    assert kind(snnlab.to_nir(trainer.model).nodes["lif"]) == "LIF"


# ---- what is refused when reading ----

LIF, W = NEURONS["LIF"], nir.Linear(weights())


def graph_of(*, edges=None, **nodes):
    ends = {"input": nir.Input(np.array([P])), "output": nir.Output(np.array([N]))}
    if edges is None:
        row = ["input", *nodes, "output"]
        edges = list(itertools.pairwise(row))
    return nir.NIRGraph(ends | nodes, edges, type_check=False)


def changed(node, **fields):
    values = {name: value for name, value in vars(node).items() if name not in ("input_type", "output_type")}
    return type(node)(**(values | fields))


class Novel(nir.NIRNode):
    """A node of a later version of NIR."""

    def __init__(self):
        pass


REFUSED = {
    "cycles without a state": (
        graph_of(
            a=W,
            b=nir.Linear(np.eye(N)),
            c=nir.Scale(full(1)),
            edges=[("input", "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("b", "output")],
        ),
        "node 'b': feeds itself through 'b' -> 'c', which have no state",
    ),
    "sums of two widths": (
        graph_of(
            a=W, b=nir.Linear(weights(4)), edges=[("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
        ),
        r"node 'output': must be fed by nodes of one shape, got {'a': \(5,\), 'b': \(4,\)}",
    ),
    "nodes apart": (
        graph_of(a=W, b=LIF, edges=[("input", "a"), ("a", "output")]),
        "node 'b': feeds no other node",
    ),
    "nodes without input": (
        graph_of(a=W, b=LIF, edges=[("input", "a"), ("a", "output"), ("b", "output")]),
        "node 'b': is fed by no other node",
    ),
    "islands": (
        graph_of(a=W, b=LIF, c=LIF, edges=[("input", "a"), ("a", "output"), ("b", "c"), ("c", "b")]),
        "node 'b': must lie between input and output",
    ),
    "dead ends": (
        graph_of(a=W, b=LIF, edges=[("input", "a"), ("a", "b"), ("a", "output")]),
        "node 'b': feeds no other node",
    ),
    "signals into the input": (
        graph_of(a=W, edges=[("input", "a"), ("a", "output"), ("a", "input")]),
        "node 'input': is the input",
    ),
    "subgraphs": (
        graph_of(a=W, b=graph_of(c=LIF, edges=[("input", "c"), ("c", "d")])),
        "in subgraph 'b': edge 'c' -> 'd'",
    ),
    "unknown ends": (
        graph_of(a=W, edges=[("input", "a"), ("a", "c")]),
        "edge 'a' -> 'c': the graph has no node 'c'",
    ),
    "no input": (nir.NIRGraph({"o": nir.Output(np.array([1]))}, [], type_check=False), "exactly one Input node, got 0"),
    "nothing": (
        nir.NIRGraph({"i": nir.Input([1]), "o": nir.Output([1])}, [("i", "o")], type_check=False),
        "graph: must have nodes between its input and its output",
    ),
    "no layer": (graph_of(a=W, t=Novel()), "node 't': snnlab has no layer for Novel"),
    "widths": (graph_of(a=nir.Linear(weights(N, 7))), r"node 'a': weight: takes 7 units, .*11"),
    "neurons": (graph_of(a=W, b=nir.I(full(1, n=3))), r"node 'b': r: must have shape \(5,\), .* got \(3,\)"),
    "output": (graph_of(a=nir.Linear(weights(4))), r"node 'output': shape: must be \(4,\), .* got \(5,\)"),
    "size": (
        nir.NIRGraph(
            {"i": nir.Input([2**40]), "a": nir.I(full(1, n=1)), "o": nir.Output([2**40])},
            [("i", "a"), ("a", "o")],
            type_check=False,
        ),
        "node 'i': shape: must be .* <= 4194304, got 1099511627776",
    ),
    "nan": (graph_of(a=nir.Linear(weights() * np.nan)), "node 'a': weight: must be a finite number, got nan"),
    "negative tau": (
        graph_of(a=W, b=changed(LIF, tau=full(-0.01))),
        "node 'b': tau: must be a number > 0.0 s",
    ),
    "quick tau": (
        graph_of(a=W, b=changed(LIF, tau=full(0.0009))),
        r"node 'b': tau: must be >= 0.001 s for dt = 1.0 ms and method='euler', got 0.0009 s; use a smaller dt",
    ),
    "quick synapse": (
        graph_of(a=W, b=changed(NEURONS["CubaLIF"], tau_syn=full(1e-4))),
        "node 'b': tau_syn: must be",
    ),
    "low threshold": (
        graph_of(a=W, b=changed(LIF, v_threshold=full(-1))),
        "node 'b': v_th: must be",
    ),
    "gains without a value": (
        graph_of(a=W, b=changed(LIF, tau=full(np.inf), r=full(np.inf))),
        "node 'b': r: is infinite, so the gain r / tau is unknown",
    ),
    "odd delay": (graph_of(d=nir.Delay(full(0.0015, n=P)), a=W), "node 'd': delay: must be whole steps of dt = 1.0 ms"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_node(case):
    graph, message = REFUSED[case]
    with pytest.raises(ArgumentError, match=message):
        snnlab.from_nir(graph, dt=1.0)


def test_arguments_are_checked():
    graph = nir.NIRGraph.from_list(LIF)
    for options, message in [
        ({"dt": 0.0}, "dt: must be a finite number >= 1e-06 .* ms, got 0.0"),
        ({"dt": 1.0, "method": "heun"}, "method: must be one of 'euler', 'exponential', got 'heun'"),
        ({"dt": 1.0, "reset": "zero"}, "reset: must be one of"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            snnlab.from_nir(graph, **options)
    with pytest.raises(ArgumentError, match=r"source: must be a path or a nir.NIRGraph, got dict"):
        snnlab.from_nir({}, dt=1.0)
    with pytest.raises(TypeError, match="dt"):
        snnlab.from_nir(graph)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    for call in (lambda: snnlab.from_nir("net.nir", dt=1.0), lambda: snnlab.to_nir(Stack(a=LifRef(1)))):
        with pytest.raises(SnnlabError, match=r'pip install "snnlab-live\[nir\]"'):
            call()


# ---- writing ----


@pytest.mark.parametrize("reader_dt", [1.0, 0.1])
def test_an_euler_reader_decays_exactly_as_we_do(reader_dt):
    """1 - h/tau = e^(-dt/tau_mem) with h the reader's step, and its gains are ours: 1 - a for a LIF, 1 for the rest."""
    tau_mem, tau_syn, dt = np.array([5.0, 10.0, 20.0]), 7.0, 1.0
    lif = Projection(2, LifRef(3, tau_mem=tau_mem, r=2.0), synapse=Expon(3, tau_syn=tau_syn), rngs=nnx.Rngs(0))
    out = Projection(3, Leaky(4, tau_mem=6.0), rngs=nnx.Rngs(1))
    nodes, h = snnlab.to_nir(Stack(hidden=lif, readout=out), reader_dt=reader_dt).nodes, reader_dt / 1000.0
    cuba, li = nodes["hidden"], nodes["readout"]
    assert (kind(cuba), kind(li)) == ("CubaLIF", "LI")
    close = {"rtol": 3e-7}
    np.testing.assert_allclose(1 - h / cuba.tau_mem.astype(np.float64), np.exp(-dt / tau_mem), **close)
    np.testing.assert_allclose(1 - h / cuba.tau_syn.astype(np.float64), np.exp(-dt / tau_syn), **close)
    np.testing.assert_allclose(h / cuba.tau_syn * cuba.w_in, 1.0, **close)
    np.testing.assert_allclose(h / cuba.tau_mem * cuba.r, 2.0 * (1 - np.exp(-dt / tau_mem)), **close)
    np.testing.assert_allclose(h / li.tau * li.r, 1.0, **close)
    np.testing.assert_array_equal(nodes["hidden_weights"].weight, lif.kernel[...].T)


def test_an_exact_reader_gets_the_true_constants():
    node = snnlab.to_nir(Stack(a=LifRef(1, tau_mem=10.0, dt=0.5)), method="exponential").nodes["a"]
    np.testing.assert_allclose(node.tau, 0.010, rtol=1e-6)


def zoo():
    """A network with nearly everything; spikes in the middle of it are an image too."""
    rngs, n = nnx.Rngs(7), 12
    neurons = LifRef(n, tau_mem=np.linspace(5.0, 20.0, n), v_rest=0.05, v_reset=-0.1, r=1.5)
    return Stack(
        late=Delay([0, 1] * 24),
        image=Conv(np.random.default_rng(0).normal(0.3, 1, (3, 1, 3, 3)), np.zeros(3), shape=(1, 8, 6)),
        seen=LifRef(72, tau_mem=6.0, v_th=0.4),
        pool=Pool("average", shape=(3, 6, 4), window=(2, 2), stride=(2, 2)),
        scale=Scale(np.linspace(2.0, 6.0, 18)),
        first=Projection(18, neurons, synapse=Expon(n, tau_syn=5.0), delay=2, use_bias=True, rngs=rngs),
        loop=Recurrent(n, LifRef(9, tau_mem=8.0), synapse=Expon(9, tau_syn=4.0), rngs=rngs),
        sums=Projection(9, IF(n, r=0.3, v_th=0.8), rngs=rngs),
        mix=nnx.Linear(n, 9, rngs=rngs),
        syn=Expon(9, tau_syn=3.0),
        alone=LifRef(9, tau_mem=9.0, v_th=0.1),
        readout=Projection(9, Leaky(4, tau_mem=6.0, v_rest=0.5), synapse=Expon(4), rngs=rngs),
    )


@pytest.mark.parametrize(
    ("method", "reader_dt", "unit_gain"),
    [
        ("euler", None, False),
        ("exponential", 0.1, True),
        pytest.param("euler", 0.1, True, marks=pytest.mark.shapes),
        pytest.param("exponential", None, False, marks=pytest.mark.shapes),
    ],
)
def test_a_network_comes_back(tmp_path, method, reader_dt, unit_gain):
    net = zoo()
    x = some_input(48, 0.3)
    options = {"method": method, "reader_dt": reader_dt, "unit_gain": unit_gain}
    certificate = snnlab.save_nir(net, tmp_path / "net.nir", samples=x, **options)
    found = certificate.measured["as assumed"]
    assert list(found.spikes) == ["seen", "first", "loop", "sums", "alone"]
    for both, own, read in found.spikes.values():
        assert own > 30 and both >= 0.99 * max(own, read)
    assert found.classes[0] == B and found.readout_error < 0.1
    again = snnlab.from_nir(tmp_path / "net.nir", dt=reader_dt or 1.0, method=method)
    assert isinstance(again.layers["loop"], Recurrent) and again.layers["first"].delay == 2


@pytest.mark.endure
def test_convolutions_of_spiking_neurons_come_back(tmp_path):
    """Pooled, padded and strided, with a synapse or without, with a value per channel: the same spikes come back, from
    nodes that every reader of NIR knows."""
    rngs = nnx.Rngs(0)
    a = ConvProjection(
        (2, 7, 6), LifRef(3, v_th=[0.2, 0.3, 0.4], reset="value"), window=3, padding=1, use_bias=True, rngs=rngs
    )
    neuron, synapse = LifRef(4, v_th=0.2, tau_mem=[5.0, 8.0, 13.0, 20.0], reset="value"), Expon(4)
    b = ConvProjection(a.out_shape, neuron, synapse=synapse, window=2, stride=(1, 2), pool=2, delay=1, rngs=rngs)
    c = ConvProjection(b.out_shape, Leaky(5), synapse=Expon(5), window=b.out_shape[1:], rngs=rngs)
    net, x = Stack(a=a, b=b, c=c), jnp.asarray(some_input(84))
    snnlab.save_nir(net, tmp_path / "net.nir", method="exponential")
    kinds = {kind(node) for node in nir.read(tmp_path / "net.nir").nodes.values()}
    assert {"Conv2d", "SumPool2d", "LIF", "CubaLIF", "Delay"} <= kinds
    own, again = net(x), snnlab.from_nir(tmp_path / "net.nir", dt=1.0, method="exponential")(x)
    assert min(own.counts[name].sum() for name in ("a", "b")) > 20
    for name in ("a", "b"):
        np.testing.assert_array_equal(own.spikes[name], again.spikes[name])
    np.testing.assert_allclose(own.readout, again.readout, atol=1e-4)


@pytest.mark.endure
def test_what_a_norm_learned_is_in_the_weights(tmp_path):
    """NIR has no normalization: the file is of a network with other weights and biases, and the same spikes."""
    rngs = nnx.Rngs(0)
    a = ConvProjection((2, 7, 6), LifRef(3, v_th=0.2, reset="value"), window=3, norm=BatchNorm(3), rngs=rngs)
    b = ConvProjection(a.out_shape, LifRef(8, v_th=0.2, reset="value"), window=(5, 4), norm=BatchNorm(8), rngs=rngs)
    c = Projection(8, Leaky(5), norm=BatchNorm(5), rngs=rngs)
    net, x = Stack(a=a, b=b, c=c), jnp.asarray(some_input(84))
    net.train()
    for _ in range(3):
        net(x)
    net.eval()
    assert all(layer.norm.seen[...] == 3 for layer in (a, b, c))
    snnlab.save_nir(net, tmp_path / "net.nir", method="exponential")
    own, again = net(x), snnlab.from_nir(tmp_path / "net.nir", dt=1.0, method="exponential")(x)
    for name in ("a", "b"):
        assert own.counts[name].sum() > 20
        np.testing.assert_array_equal(own.spikes[name], again.spikes[name])
    np.testing.assert_allclose(own.readout, again.readout, atol=1e-4)


def test_a_neuron_that_never_leaks_is_an_integrator():
    graph = snnlab.to_nir(Stack(a=Leaky(2, tau_mem=1e12)), reader_dt=0.1)
    assert kind(graph.nodes["a"]) == "I" and graph.nodes["a"].r.tolist() == [10000.0] * 2  # 1 in a step of 0.1 ms
    x = np.ones((5, 1, 2), np.float32)
    assert last(snnlab.from_nir(graph, dt=0.1), x).state[:, 0, 0].tolist() == [1, 2, 3, 4, 5]


class Own(nnx.Module):
    """A layer of the user's."""

    def __call__(self, x):
        return x


UNSAYABLE = {
    "lstm": (
        build(LstmConfig(), sample_shape=(8, 8), num_classes=2),
        "layer 'hidden': NIR has no node for LSTM",
    ),
    "own": (Stack(mine=Own()), "layer 'mine': NIR has no node for Own"),
    "no layer": (Own(), "model: must be a Network, a Stack or a layer of snnlab, got Own"),
    "refractory": (Stack(a=LifRef(2, tau_ref=2.0)), "layer 'a': tau_ref: must be 0, .* train with"),
    "nan": (Stack(a=Scale([1.0])), "layer 'a': scale: must be a finite number, got nan"),
}


@pytest.mark.parametrize("case", UNSAYABLE)
def test_what_nir_cannot_say_is_refused_with_the_layer(case):
    model, message = UNSAYABLE[case]
    if case == "nan":
        model.layers["a"].scale[...] = jnp.full(1, jnp.nan)
    with pytest.raises(ArgumentError, match=message):
        snnlab.to_nir(model)
    snnlab.to_nir(LifRef(2, tau_ref=0.5))  # shorter than a step it does nothing


def test_the_certificate_says_what_nir_leaves_out(tmp_path):
    net = build(snnlab.SnnConfig(hidden=20, num_steps=60, v_th=0.3), sample_shape=(8, 8), num_classes=10)
    images = np.random.default_rng(0).random((40, 8, 8), np.float32)
    certificate = snnlab.save_nir(net, tmp_path / "net.nir", samples=images, readout="lif")
    text = str(certificate)
    for part in (
        "h = 0.001 s, for 1 ms of the network; v <- v + (h / tau)",
        "v <- v - (v_threshold - v_reset); NIR cannot express this",
        "the encoder, Latency(num_steps=60",
        "v_threshold = 1e+30",
        "as assumed: hidden",
        "with NIR's own reset, v <- v_reset: hidden",
    ):
        assert part in text
    both, own, read = certificate.measured["as assumed"].spikes["hidden"]
    assert both == own == read > 50 and certificate.measured["as assumed"].classes == (40, 40)
    assert certificate.measured["with NIR's own reset, v <- v_reset"].spikes["hidden"][0] < own
