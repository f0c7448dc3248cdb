"""NIR graphs with branches, sums and feedback compute what NIR says, node by node.

The reference is a simulator of NIR's equations in double precision (`simulate`): Euler steps, one node after the other
in an order that each case states, with the connections on which a signal takes one step written down by hand.
"""

import itertools
import re
import warnings

import jax
import jax.numpy as jnp
import nir
import numpy as np
import pytest
from flax import nnx

import snnlab
from snnlab.checkpoint import Checkpoints
from snnlab.encode import Latency
from snnlab.errors import ArgumentError
from snnlab.export.nir.graph import kind
from snnlab.health import Checkup
from snnlab.layers import IF, Delay, Expon, Graph, Leaky, LifRef, Scale, Stack, Threshold
from snnlab.live.look.prober import Prober
from snnlab.models import Network

T, B, P, N, H = 60, 2, 7, 5, 0.001
rng = np.random.default_rng(0)


def full(*values, n=N):
    return np.broadcast_to(np.asarray(values, np.float32), (n,)).copy()


def weights(out, inputs, mean=0.3):
    return rng.normal(mean, 0.5, (out, inputs)).astype(np.float32)


W, U, V = weights(N, P), weights(N, N, -0.1), weights(N, N)
BIAS = np.linspace(-0.2, 0.4, N, dtype=np.float32)
LIF = nir.LIF(full(0.01), full(3, 4, 3, 5, 4), full(0.1, 0, 0.2, 0, 0), full(0.6), full(0.05))
CUBA = nir.CubaLIF(full(0.006), full(0.01), full(3, 4, 5, 6, 7), full(0), full(0.6), full(-0.1), full(2))
IAF = nir.IF(r=full(110, 210, 320, 430, 510), v_threshold=full(0.77), v_reset=full(0.1))
LI = nir.LI(tau=full(0.01), r=full(2, 1, 3, 4, 5), v_leak=full(0.5, 0, 0, -0.1, 0))
X = (rng.random((T, B, P)) < 0.2).astype(np.float32)


def graph_of(edges, out=N, inputs=(P,), **nodes):
    """A graph whose connections are written "a b"."""
    ends = {"input": nir.Input(np.array(inputs)), "output": nir.Output(np.array(out).reshape(-1))}
    return nir.NIRGraph(ends | nodes, [tuple(edge.split()) for edge in edges], type_check=False)


class Stepped:
    """One node: `step(x)` returns its output, `rest` is the output before the first step."""

    def __init__(self, node):
        self.node, self.kind = node, kind(node)
        p = {name: v.astype(np.float64) for name, v in vars(node).items() if isinstance(v, np.ndarray)}
        self.p = {name: v if name == "weight" else v.ravel() for name, v in p.items()}
        self.i, self.past, self.v = 0.0, [], self.p.get("v_leak", 0.0) + np.zeros((B, N))
        self.memory = self.kind in ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Delay")
        self.rest = self.v if self.kind in ("LI", "CubaLI") else np.zeros((B, N))

    def step(self, x):
        p = self.p
        if self.kind in ("Linear", "Affine"):
            return x @ p["weight"].T + p.get("bias", 0.0)
        if self.kind == "Conv1d":  # three taps, padded by one
            wide = np.pad(x.reshape(B, 1, -1), ((0, 0), (0, 0), (1, 1)))
            return sum(wide[:, 0, k : k + x.shape[1]] * p["weight"][0, 0, k] for k in range(3)) + p["bias"]
        if self.kind == "Scale":
            return x * p["scale"]
        if self.kind == "Threshold":
            return (x > p["threshold"]) * 1.0
        if self.kind == "Delay":
            self.past.append(x)
            return self.due(1)
        if "tau_syn" in p:
            x = self.i = self.i + H / p["tau_syn"] * (p["w_in"] * x - self.i)
        tau = p.get("tau_mem", p.get("tau"))
        change = H * p["r"] * x if tau is None else H / tau * (p["v_leak"] - self.v + p["r"] * x)
        self.v = self.v + change
        if "v_threshold" not in p:
            return self.v
        s = self.v > p["v_threshold"]
        self.v = np.where(s, p["v_reset"], self.v)
        return s * 1.0

    def due(self, now):
        """What leaves a delay: before or after it has got the input of this step (`now`)."""
        steps = round(float(self.p["delay"].flat[0]) / H)
        return self.past[-steps - now] if len(self.past) >= steps + now else np.zeros((B, N))


def simulate(graph, order, late, x=X):
    """Return the output of every node over time."""
    nodes = {name: Stepped(graph.nodes[name]) for name in order.split()}
    edges, late = list(dict.fromkeys(graph.edges)), {tuple(edge.split()) for edge in late}

    def arriving(name, now, before):
        return sum((before if (a, b) in late else now)[a] for a, b in edges if b == name)

    before = {name: node.rest for name, node in nodes.items() if node.memory} | {"input": np.zeros((B, P))}
    for name, node in nodes.items():
        if not node.memory and any(a == name for a, _ in late):
            before[name] = node.step(arriving(name, before, before))
    out = {name: [] for name in nodes}
    for x_t in x.astype(np.float64):
        now = {"input": x_t} | {name: node.due(0) for name, node in nodes.items() if node.kind == "Delay"}
        for name, node in nodes.items():
            now[name] = node.step(arriving(name, now, before))
            out[name].append(now[name])
        before = now
    return {name: np.array(values) for name, values in out.items()}


eye = nir.Scale(full(1))
CASES = {
    "residual": (
        graph_of(["input w", "w a", "a u", "u b", "a b", "b output"], w=nir.Linear(W), a=LIF, u=nir.Linear(U), b=CUBA),
        "w a u b",
        [],
    ),
    "branches": (
        graph_of(
            ["input w", "input x", "w a", "x b", "a output", "b output"],
            w=nir.Linear(W),
            x=nir.Linear(W[::-1]),
            a=LIF,
            b=IAF,
        ),
        "w x a b",
        [],
    ),
    "feedback": (
        graph_of(
            ["input w", "w a", "a v", "v b", "b u", "u a", "b output"],
            w=nir.Linear(W),
            a=CUBA,
            v=nir.Linear(V),
            b=LIF,
            u=nir.Affine(U, BIAS),
        ),
        "w u a v b",
        ["b u"],
    ),
    "recurrent IF": (
        graph_of(["input w", "w a", "a u", "u a", "a output"], w=nir.Affine(W, BIAS), a=IAF, u=nir.Affine(U, BIAS)),
        "w u a",
        ["a u"],
    ),
    "Threshold": (
        graph_of(["input w", "w a", "a b", "b output"], w=nir.Linear(W), a=LI, b=nir.Threshold(full(0.9))),
        "w a b",
        [],
    ),
    "delay in a cycle": (
        graph_of(
            ["input w", "w a", "a d", "d u", "u a", "a output"],
            w=nir.Linear(W),
            a=LIF,
            d=nir.Delay(full(0.003)),
            u=nir.Affine(U, BIAS),
        ),
        "w u a d",
        [],
    ),
}
MORE = {
    "recurrent LI": (
        graph_of(["input w", "w a", "a u", "u a", "a output"], w=nir.Linear(W), a=LI, u=nir.Linear(0.1 * U)),
        "w u a",
        ["a u"],
    ),
    "a neuron that feeds itself": (
        graph_of(["input w", "w a", "a a", "a output"], w=nir.Linear(W), a=LIF),
        "w a",
        ["a a"],
    ),
    "recurrent weights that also read the input": (
        graph_of(["input w", "w u", "a u", "u a", "a output"], w=nir.Linear(W), a=LIF, u=nir.Affine(U, BIAS)),
        "w u a",
        ["a u"],
    ),
    "feedback from what is also the output": (
        graph_of(
            ["input w", "w a", "a v", "v u", "u a", "v output"],
            w=nir.Linear(W),
            a=LIF,
            v=nir.Affine(V, BIAS),
            u=nir.Linear(U),
        ),
        "w u a v",
        ["v u"],
    ),
    "a recurrent convolution": (
        graph_of(
            ["input w", "w a", "a c", "c a", "a output"],
            w=nir.Linear(W),
            a=LIF,
            c=nir.Conv1d(N, weights(1, 3)[None, :, :] * -1.0, 1, 1, 1, 1, np.ones(1, np.float32)),
        ),
        "w c a",
        ["a c"],
    ),
    "two recurrences of one neuron": (
        graph_of(
            ["input w", "w a", "a u", "u a", "a v", "v a", "a output"],
            w=nir.Linear(W),
            a=CUBA,
            u=nir.Linear(U),
            v=nir.Scale(full(-0.3)),
        ),
        "w u v a",
        ["a u", "a v"],
    ),
    "two populations": (
        graph_of(
            ["input w", "input x", "w a", "x b", "a v", "v b", "b u", "u a", "b output"],
            w=nir.Linear(W),
            x=nir.Linear(W[::-1]),
            a=LIF,
            b=LIF,
            v=nir.Linear(V),
            u=nir.Linear(U),
        ),
        "w x u a v b",
        ["b u"],
    ),
}


@pytest.mark.parametrize("case", [*CASES, *(pytest.param(name, marks=pytest.mark.shapes) for name in MORE)])
def test_a_graph_computes_what_its_nodes_say(case):
    graph, order, late = (CASES | MORE)[case]
    if case == "a recurrent convolution":
        graph.nodes["a"] = changed_shape(LIF, (1, N))
    expected = simulate(graph, order, late)
    record = snnlab.from_nir(graph, dt=1.0)(jnp.asarray(X))
    for name, out in expected.items():
        if name in record.layers:
            trace = record.layers[name]
            if trace.spikes is None:
                np.testing.assert_allclose(trace.state, out, rtol=1e-4, atol=1e-4)
            else:
                assert 20 < out.sum() < 0.9 * out.size
                np.testing.assert_array_equal(trace.spikes, out)
    fed = [a for a, b in graph.edges if b == "output"]
    np.testing.assert_allclose(record.readout, sum(expected[a] for a in fed), rtol=1e-4, atol=1e-4)


def changed_shape(node, shape):
    values = {
        name: v.reshape(shape)
        for name, v in vars(node).items()
        if name not in ("input_type", "output_type", "metadata")
    }
    return type(node)(**values)


# ---- what exporters of today write ----


def spikes_of(graph, **options):
    return np.asarray(next(iter(snnlab.from_nir(graph, dt=1.0, **options)(jnp.asarray(X)).spikes.values())))


def test_a_leading_axis_of_length_1_is_a_batch():
    """Norse and snnTorch write the shape of their sample, batch included, and some parameters as scalars."""
    plain = graph_of(["input w", "w a", "a output"], w=nir.Affine(W, BIAS), a=LIF)
    odd = nir.Affine(W[None], BIAS[None])
    batch = graph_of(["input w", "w a", "a output"], (1, N), (1, P), w=odd, a=changed_shape(LIF, (1, N)))
    expected = spikes_of(plain)
    assert expected.sum() > 50
    np.testing.assert_array_equal(spikes_of(batch), expected)
    one = nir.LIF(*(np.float32(value) for value in (0.01, 3.0, 0.0, 0.6, 0.0)))  # shape ()
    same = nir.LIF(*(full(value) for value in (0.01, 3.0, 0.0, 0.6, 0.0)))
    scalar, whole = (graph_of(["input w", "w a", "a output"], w=nir.Linear(W), a=a) for a in (one, same))
    np.testing.assert_array_equal(spikes_of(scalar), spikes_of(whole))
    conv = nir.Conv2d(None, weights(2, 9).reshape(2, 1, 3, 3), 1, 1, 1, 1, np.zeros(2, np.float32))
    for inputs in ((1, 1, 4, 4), (1, 4, 4), (4, 4)):
        image = graph_of(["input c", "c f", "f output"], 32, inputs, c=conv, f=nir.Flatten({"input": None}, 0, -1))
        assert snnlab.from_nir(image, dt=1.0)(jnp.ones((1, 1, 16))).readout.shape == (1, 1, 32)


@pytest.mark.parametrize("name", ["self", "input", "output", "items", "layers", "cls"])
def test_nodes_have_any_name(name):
    edges = [("in", "w"), ("w", name), (name, "out")]
    ends = {"in": nir.Input(np.array([P])), "out": nir.Output(np.array([N]))}
    graph = nir.NIRGraph(ends | {"w": nir.Linear(W), name: LIF}, edges, type_check=False)
    net = snnlab.from_nir(graph, dt=1.0)
    assert list(net.layers) == [name + "_" * (name in ("input", "output"))]
    plain = graph_of(["input w", "w a", "a output"], w=nir.Linear(W), a=LIF)
    np.testing.assert_array_equal(spikes_of(graph), spikes_of(plain))
    merged = nnx.merge(*nnx.split(net))
    np.testing.assert_array_equal(merged(jnp.asarray(X)).readout, net(jnp.asarray(X)).readout)


def test_what_a_subgraph_passes_on_counts_again():
    """a feeds b, and a subgraph that feeds b what it gets: b reads twice a."""
    ends = {"input": nir.Input(np.array([N])), "output": nir.Output(np.array([N]))}
    wire = nir.NIRGraph(ends, [("input", "output")], type_check=False)
    graph = graph_of(["input a", "a s", "s b", "a b", "b output"], a=nir.Linear(W), s=wire, b=nir.Scale(full(1)))
    readout = snnlab.from_nir(graph, dt=1.0)(jnp.asarray(X)).readout
    np.testing.assert_allclose(readout, 2.0 * X @ W.T, rtol=1e-5)


def test_graphs_made_to_take_long_end_soon():
    """Signals that double from node to node are refused; a row of nodes of any length is no recursion."""
    flat, one = nir.Flatten({"input": None}, 0, -1), nir.Scale(full(1))
    pairs = [("a", "b")] * 40
    doubling = [f"{a}{k - 1} {b}{k}" for k, (x, y) in enumerate(pairs) if k for a in (x, y) for b in (x, y)]
    nodes = {f"{name}{k}": flat for k, pair in enumerate(pairs) for name in pair}
    graph = graph_of(["input a0", "input b0", *doubling, "a39 s", "b39 s", "s output"], inputs=(N,), s=one, **nodes)
    with pytest.raises(ArgumentError, match="at most 1000 signals may add up"):
        snnlab.from_nir(graph, dt=1.0)
    row = ["input", *(f"n{k}" for k in range(1100)), "s", "output"]
    graph = graph_of(
        [f"{a} {b}" for a, b in itertools.pairwise(row)], inputs=(N,), s=one, **dict.fromkeys(row[1:-2], flat)
    )
    assert list(snnlab.from_nir(graph, dt=1.0).layers) == ["s"]
    names = [f"n{k}" for k in range(101)]
    ring = [f"{a} {b}" for a, b in itertools.pairwise([*names, names[0]])]
    graph = graph_of(["input n0", *ring, "n100 output"], inputs=(N,), **dict.fromkeys(names, LIF))
    with pytest.raises(ArgumentError, match="node 'n0': at most 100 nodes may form a cycle, got 101"):
        snnlab.from_nir(graph, dt=1.0)


def test_weights_without_neurons_read_spikes():
    """The code of images is sparse; a layer of Flax reads arrays only."""
    graph = nir.NIRGraph.from_list(nir.Linear(weights(N, 64)), nir.Threshold(full(0.3)))
    net = Network(Latency(num_steps=20), snnlab.from_nir(graph, dt=1.0))
    images = rng.random((3, 8, 8)).astype(np.float32)
    dense = net.stack(net.encode(jnp.asarray(images)).dense()).readout
    assert dense.any()
    np.testing.assert_array_equal(net(jnp.asarray(images)).readout, dense)


# ---- what a graph of layers is good for ----


def feedback():
    """Two layers of neurons, of which the second feeds the first, and a readout that both feed."""
    rngs = nnx.Rngs(3)
    layers = {
        "first": nnx.Linear(64, 20, rngs=rngs),
        "synapse": Expon(20, tau_syn=5.0),
        "a": LifRef(20, tau_mem=8.0, v_th=nnx.Param(0.3), reset="value"),
        "second": nnx.Linear(20, 16, rngs=rngs),
        "b": IF(16, r=0.6, reset="value"),
        "back": nnx.Linear(16, 20, rngs=rngs),
        "late": Delay([1, 2] * 10),
        "seen": Threshold(20, v_th=0.5),
        "skip": nnx.Linear(20, 10, use_bias=False, rngs=rngs),
        "onward": nnx.Linear(16, 10, rngs=rngs),
        "readout": Leaky(10, tau_mem=6.0, v_rest=0.1),
    }
    edges = "input first, first synapse, synapse a, a second, second b, b back, back late, late a, a seen, seen skip, "
    edges += "skip readout, b onward, onward readout, readout output"
    return Graph(layers, [tuple(edge.split()) for edge in edges.split(", ")])


@pytest.mark.shapes
def test_a_graph_is_certified_and_comes_back(tmp_path):
    net = feedback()
    x = (np.random.default_rng(0).random((40, 8, 64)) < 0.3).astype(np.float32)
    certificate = snnlab.save_nir(net, tmp_path / "net.nir", samples=x)
    found = certificate.measured["as assumed"]
    assert sorted(found.spikes) == ["a", "b", "seen"] and found.readout_error < 1e-3
    for both, own, read in found.spikes.values():
        assert both == own == read > 50
    again = snnlab.from_nir(tmp_path / "net.nir", dt=1.0)
    assert isinstance(again, Graph) and again.late == net.late == ()


def test_a_graph_is_certified(tmp_path):
    """What it waits for is said, and measured by reading the file again."""
    neurons, edges = LifRef(N, v_th=0.1, reset="value"), ["input a", "a w", "w a", "a output"]
    net = Graph({"a": neurons, "w": Scale(full(-0.5))}, [tuple(edge.split()) for edge in edges])
    certificate = snnlab.save_nir(net, tmp_path / "loop.nir", samples=X[..., :N])
    assert "from a to w a signal takes one step, because a cycle closes there" in str(certificate)
    both, own, read = certificate.measured["as assumed"].spikes["a"]
    assert both == own == read > 20


@pytest.mark.endure
def test_a_graph_trains_and_is_looked_at(small, tmp_path):
    def start():
        return snnlab.Trainer(Network(Latency(num_steps=30), feedback()), small, epochs=2, batch_size=32)

    trainer = start()
    assert {"a.tau_mem", "b.v_th", "seen.v_th"} <= set(trainer.mailbox.knobs)
    folder = Checkpoints(trainer, tmp_path / "run")
    history = folder.trainer.fit()
    folder.save_now()
    folder.close()
    again = Checkpoints(start(), tmp_path / "run")
    assert again.resumed
    again.close()
    for mine, theirs in zip(*(jax.tree.leaves(one.state.params) for one in (trainer, again.trainer)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    losses = history.steps()["loss"]
    assert losses[-4:].mean() < losses[:4].mean() and trainer.compilations == 1
    health = Checkup(trainer.stepper, small, samples=32)(trainer.state)
    known = {layer.name: layer for layer in health.layers}
    assert known["skip"].feeds_next and not known["late"].feeds_next  # the next one is of the other branch
    assert health.finite and health.layers[-1].name == "readout"
    assert known["a"].gradient_over_time.any() and known["back"].gradient > 0.0 and known["first"].gradient > 0.0
    probe = Prober(trainer.model, small)(trainer.model, 3)
    assert {"input", "a", "b", "seen"} == set(probe.rasters) and probe.rasters["b"].any()
    about = snnlab.export.load_metadata(snnlab.save(trainer.model, tmp_path / "net.safetensors"))
    assert {"a", "b", "readout"} <= {layer["name"] for layer in about["layers"]}


# ---- what a time step means ----


def weighted(neurons, size=0.5):
    return graph_of(["input w", "w n", "n output"], w=nir.Linear(np.full((N, P), size, np.float32)), n=neurons)


def iaf(r=1.0):
    return nir.IF(r=full(r), v_threshold=full(1), v_reset=full(0))


WITHOUT_A_REMARK = {
    "spikes that count": (weighted(LIF), 1.0),
    "one step a gain of 1": (weighted(nir.LIF(full(0.01), full(100), full(0), full(1), full(0))), 0.1),
    "IF in steps": (weighted(iaf(1000.0)), 1.0),
    "many weak inputs": (
        graph_of(["input w", "w n", "n output"], inputs=(500,), w=nir.Linear(weights(N, 500) * 0.05), n=LIF),
        1.0,
    ),
    "chips a thousand times as fast": (weighted(nir.LIF(full(1e-5), full(3), full(0), full(0.6), full(0))), 1e-3),
    "currents, not spikes": (
        graph_of(["input l", "l n", "n output"], inputs=(N,), l=nir.LI(full(0.01), full(1), full(0)), n=iaf()),
        1.0,
    ),
    "no neurons": (graph_of(["input w", "w n", "n output"], w=nir.Linear(W), n=nir.I(full(1))), 1.0),
}


@pytest.mark.parametrize("case", WITHOUT_A_REMARK)
@pytest.mark.filterwarnings("error")
def test_a_time_step_that_suits_the_graph_needs_no_remark(case):
    graph, dt = WITHOUT_A_REMARK[case]
    snnlab.from_nir(graph, dt=dt)


REMARKS = {
    # dt r w = 0.001 * 1 * 0.5 of a threshold of 1
    "weak IF": (
        weighted(iaf()),
        1.0,
        r"node 'n': with dt = 1 ms, one input spike moves .* at most 0.0005 of",
    ),
    # dt r / tau w = 0.0005 * 3 * 0.5 / 10 / 0.6
    "weak LIF": (
        weighted(nir.LIF(full(0.01), full(3), full(0), full(0.6), full(0))),
        0.02,
        r"moves .* at most 0.005 of .* dt=1,",
    ),
    # gains 1 at 0.1 ms, so 10 at 1 ms
    "strong": (
        weighted(nir.CubaLIF(full(0.005), full(0.01), full(100), full(0), full(1), full(0), full(50))),
        1.0,
        r"node 'n': .* one input spike adds 10 times its weight; all gains of this graph are 1 with dt=0.1,",
    ),
    "seconds": (weighted(LIF), 1e-3, r"dt: is in milliseconds; 0.001 ms is short for .* if it is 0.001 s, pass dt=1$"),
    "seconds without time constants": (weighted(iaf(1e4)), 1e-4, r"no time constants; if it is 0.0001 s, pass dt=0.1$"),
    "never": (
        weighted(nir.LIF(full(np.inf), full(1), full(0), full(1), full(0))),
        1.0,
        "a tau of infinity lets nothing in; use an IF",
    ),
}


@pytest.mark.parametrize("case", REMARKS)
def test_a_time_step_that_does_not_suit_is_said_with_another(case):
    """What the remark proposes is followed, and is then not remarked upon."""
    graph, dt, message = REMARKS[case]
    with pytest.warns(UserWarning, match=message) as caught:
        snnlab.from_nir(graph, dt=dt)
    assert len(caught) == 1 and caught[0].filename == __file__
    proposed = re.search(r"dt=([0-9.e+]+)", str(caught[0].message))
    if proposed:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net = snnlab.from_nir(graph, dt=float(proposed[1]))
        assert net(jnp.ones((40, 1, P))).spikes["n"].any()


def test_a_step_that_cannot_be_read_is_not_proposed():
    """IF would need dt = 1000 ms, which the LIF behind it does not allow."""
    graph = graph_of(["input w", "w n", "n b", "b output"], w=nir.Linear(W), n=iaf(), b=LIF)
    with pytest.warns(UserWarning, match="scale its r, or the weights before it$"):
        snnlab.from_nir(graph, dt=1.0)
    quick = graph_of(
        ["input w", "w n", "n b", "b output"],
        w=nir.Linear(W),
        n=nir.LIF(full(0.0005), full(5), full(0), full(1), full(0)),
        b=nir.LIF(full(0.001), full(10), full(0), full(1), full(0)),
    )
    with pytest.raises(ArgumentError, match=r"node 'n': tau: must be >= 0.001 s .* such as 0.1, with which all"):
        snnlab.from_nir(quick, dt=1.0)


def test_a_readers_step_in_seconds():
    with pytest.warns(UserWarning, match=r"reader_dt: is in milliseconds; if it is 0.0001 s, pass reader_dt=0.1"):
        snnlab.to_nir(Stack(a=LifRef(2)), reader_dt=1e-4)
