"""Graphs of layers: the order in which they run, the steps that signals wait, and the gradients through all of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import dynamics
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.layers import IF, LSTM, Delay, Expon, Graph, Leaky, LifRef, Projection, Scale, Threshold
from snnlab.layers.wiring import INPUT, OUTPUT, cycle_without, wire
from snnlab.surrogate import Surrogate, inv_square

T, B, N = 23, 3, 5


def edges_of(*edges):
    return [tuple(edge.split()) for edge in edges]


# ---- order ----


def test_every_cycle_gets_a_step_and_every_layer_its_turn():
    """Random graphs: without the late connections no layer depends on itself, and each runs after what feeds it."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        names = [f"n{k}" for k in range(rng.integers(2, 8))]
        memory = [name for name in names if rng.random() < 0.6]
        held = [name for name in memory if rng.random() < 0.3]
        more = {tuple(rng.choice(names, 2)) for _ in range(rng.integers(0, 9))}
        edges = {(INPUT, names[0]), (names[-1], OUTPUT), *itertools.pairwise(names), *more}
        edges = [(str(a), str(b)) for a, b in edges]
        if cycle_without([name for name in names if name not in memory], edges):
            continue
        wired = wire(edges, memory, held)
        prompt = [edge for edge in edges if edge not in wired.late and edge[1] not in held]
        assert not cycle_without(names, prompt)
        turn = {name: k for k, name in enumerate(name for group in wired.groups for name in group)}
        assert sorted(turn) == sorted(names)
        for a, b in prompt:
            assert a == INPUT or b == OUTPUT or a in held or turn[a] < turn[b]


@pytest.mark.parametrize(
    ("edges", "late"),
    [
        (("input a", "a u", "u a", "a output"), ["a u"]),  # before the weights
        (("input a", "a b", "b c", "c a", "c output"), ["c a"]),  # into the first layer
        (("input a", "input c", "a b", "b c", "c a", "c output"), ["c a"]),  # though the input feeds the last one, too
        (("input u", "a u", "u a", "a output"), ["a u"]),  # what comes from outside does not wait
        (("input a", "input w", "w u", "a u", "u a", "a output"), ["a u"]),
        (("input a", "a u", "u w", "w a", "u output"), ["u w"]),  # nor what leaves the cycle
        (("input a", "a a", "a output"), ["a a"]),
        (("input a", "a b", "a c", "b a", "c b", "c output"), ["b a"]),
    ],
)
def test_where_a_signal_waits(edges, late):
    assert wire(edges_of(*edges), memory=["a", "b", "c"]).late == tuple(edges_of(*late))


# ---- values ----


@pytest.mark.shapes
def test_a_layer_runs_step_by_step_as_over_the_whole_sequence():
    x = jnp.asarray(np.random.default_rng(0).normal(0.5, 1.0, (T, B, N)), jnp.float32)
    neurons = {"tau_mem": np.linspace(5, 20, N), "v_rest": -0.3, "v_reset": -0.5, "r": 1.5}
    for layer in (
        LifRef(N, v_th=0.2, tau_ref=2.0, **neurons),
        LifRef(N, v_th=0.2, beta=0.3, tau_adapt=20.0, **neurons),
        IF(N, v_th=0.8, v_rest=0.1, reset="value"),
        Leaky(N, tau_mem=[0.0, 2.0, 5.0, 9.0, np.inf], v_rest=0.4),
        Expon(N, tau_syn=7.0),
        Delay([0, 1, 2, 30, 3]),
    ):
        out = layer(x)
        trace = jax.lax.scan(layer.step, layer.start(B)[0], x)[1]
        np.testing.assert_allclose(trace.output, getattr(out, "output", out), rtol=1e-5, atol=1e-6)
        if trace.spikes is not None:
            assert trace.spikes.sum() > 10
            np.testing.assert_allclose(trace.state, out.state, rtol=1e-5, atol=1e-6)


def cycle(surrogate):
    """Neurons that feed each other; the first ones get the sum of the input and of what comes back."""
    rngs = nnx.Rngs(1)
    layers = {
        "w": nnx.Linear(N, N, rngs=rngs),
        "a": LifRef(N, tau_mem=8.0, v_th=0.3, surrogate=surrogate),
        "b": IF(N, r=0.5, surrogate=surrogate),
        "back": nnx.Linear(N, N, rngs=rngs),
        "read": Leaky(N, tau_mem=nnx.Param(6.0)),
    }
    edges = edges_of("input w", "w a", "a b", "b back", "back a", "a read", "b read", "read output")
    graph = Graph(layers, edges)
    graph.layers["back"].bias[...] = jnp.linspace(-0.2, 0.3, N, dtype=jnp.float32)
    return graph


def unrolled(p, x, spike):
    """The same network written out with the functions of `dynamics`, one step after the other."""
    lif = dynamics.LifParams(8.0, 0.3, 0.0, 0.0, 1.0, 0.0, 10.0, 0.3)
    zeros = jnp.zeros((B, N), x.dtype)
    state, v, b, read, out = dynamics.lif_init((B, N), jax.tree.map(x.dtype.type, lif)), zeros, zeros, zeros, []
    for x_t in x:
        current = x_t @ p["w"]["kernel"] + p["w"]["bias"] + b @ p["back"]["kernel"] + p["back"]["bias"]
        state, a = dynamics.lif_step(state, current, lif, dt=1.0, spike=spike)
        v, b = dynamics.if_step(v, a, 1.0, 0.0, 0.5, 10.0, dt=1.0, spike=spike)
        read = dynamics.leaky_step(read, a + b, p["read"]["tau_mem"], dt=1.0)
        out.append(read)
    return jnp.stack(out)


def values_of(state):
    return {name: {key: v.get_value() for key, v in state["layers"][name].items()} for name in ("w", "back", "read")}


@pytest.mark.shapes
def test_gradients_are_those_of_the_unrolled_network():
    graph, x = cycle(inv_square), jnp.asarray(np.random.default_rng(0).normal(0.6, 1.0, (T, B, N)), jnp.float32)
    structure, params, rest = nnx.split(graph, nnx.Param, ...)

    def own(params):
        return nnx.merge(structure, params, rest)(x).readout

    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(own(params), unrolled(values_of(params), x, inv_square.spike), **close)
    found = jax.grad(lambda p: (own(p) ** 2).mean())(params)
    expected = jax.grad(lambda p: (unrolled(p, x, inv_square.spike) ** 2).mean())(values_of(params))
    for one, other in zip(*map(jax.tree.leaves, (values_of(found), expected)), strict=True):
        assert np.abs(other).max() > 0.0
        np.testing.assert_allclose(one, other, **close)


def test_gradients_are_finite_differences_of_the_smooth_network():
    """With the antiderivative in place of the step, the surrogate gradient is the true one; in double precision."""
    with jax.enable_x64(True):
        smooth = Surrogate(inv_square.smooth, inv_square.derivative, inv_square.smooth)
        structure, params, rest = nnx.split(cycle(smooth), nnx.Param, ...)
        params, rest = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), (params, rest))
        x = jnp.asarray(np.random.default_rng(0).normal(0.6, 1.0, (T, B, N)))
        rng = np.random.default_rng(1)
        way = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)

        @jax.jit
        @jax.value_and_grad
        def loss(h):
            moved = jax.tree.map(lambda p, d: p + h * d, params, way)
            return (nnx.merge(structure, moved, rest)(x).readout ** 2).mean()

        expected = (loss(1e-5)[0] - loss(-1e-5)[0]) / 2e-5
        np.testing.assert_allclose(loss(0.0)[1], expected, rtol=1e-5)


@pytest.mark.shapes
def test_a_graph_reads_sparse_spikes_and_records_all_layers():
    """A projection reads them as they are; whatever else they feed gets an array."""
    spikes = SpikeTimes.from_lists([([0, 2, 2], [1, 0, 1]), ([1], [4])], num_steps=T, num_units=N)
    layers = {"p": Projection(N, LifRef(4, v_th=0.1), rngs=nnx.Rngs(0)), "s": Scale([2.0] * N), "t": Threshold(N)}
    layers |= {"out": nnx.Linear(N, 4, rngs=nnx.Rngs(1))}
    graph = Graph(layers, edges_of("input p", "input s", "s t", "t out", "p output", "out output"))
    record, dense = graph(spikes), graph(spikes.dense())
    np.testing.assert_allclose(record.readout, dense.readout, rtol=1e-6)
    np.testing.assert_allclose(record.readout, record.layers["p"].spikes + record.layers["out"].state, rtol=1e-6)
    assert list(record.layers)[-1] == "output" and set(record.spikes) == {"p", "t"}
    assert [name for name, _ in graph.parts()][:5] == list(graph.names)


# ---- what is refused ----


class Own(nnx.Module):
    """Neurons of the user's."""

    def __call__(self, x):
        return x


RNGS = nnx.Rngs(0)
LOOP = ("input a", "a b", "b a", "b output")
REFUSED = {
    "no layer": ({}, (), "layers: a Graph needs at least one"),
    "ends": ({"input": Leaky(N)}, ("input input",), "layers: 'input' is the name of an end"),
    "unknown": ({"a": Leaky(N)}, ("input a", "a c"), "edges: 'a' -> 'c': there is no layer 'c'"),
    "apart": ({"a": Leaky(N), "b": Leaky(N)}, ("input a", "a output"), "layer 'b': must lie on a path"),
    "no memory": ({"a": Scale([1.0]), "b": Scale([1.0])}, LOOP, r"layer 'a': feeds itself through \['a', 'b'\], none"),
    "no wait": ({"a": Scale([1.0]), "b": Delay([0, 1])}, LOOP, r"layer 'a': feeds itself through"),
    "LSTM": ({"a": LSTM(N, N, rngs=RNGS), "b": Leaky(N)}, LOOP, "layer 'a': a LSTM cannot be part of a cycle"),
    "own": ({"a": Own(), "b": Leaky(N)}, LOOP, "layer 'a': a Own cannot be part of a cycle, as it has no method step"),
    "projection": ({"a": Projection(N, Leaky(N), rngs=RNGS), "b": Leaky(N)}, LOOP, "layer 'a': .* use an nnx.Linear"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_graph_is_refused_with_the_layer(case):
    layers, edges, message = REFUSED[case]
    with pytest.raises(ArgumentError, match=message):
        Graph(layers, edges_of(*edges))


def test_widths_that_do_not_fit_are_not_broadcast():
    """One unit and five could be added up by broadcasting, which nobody asked for."""
    layers = {"a": nnx.Linear(N, 1, rngs=nnx.Rngs(0)), "b": Leaky(N)}
    graph = Graph(layers, edges_of("input a", "input b", "a output", "b output"))
    with pytest.raises(ArgumentError, match=r"layer 'output': is fed by outputs of different widths, \[1, 5\]"):
        graph(jnp.ones((T, B, N)))
