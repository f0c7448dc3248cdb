"""The nodes of a NIR graph and what feeds them: without subgraphs, recurrent weights beside their neurons."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from snnlab.errors import ArgumentError
from snnlab.export.nir.constants import NO_SPIKE_THRESHOLD
from snnlab.layers.wiring import INPUT, OUTPUT, components, cycle_without, unconnected

WEIGHTS = ("Linear", "Affine")
RECURRENT = ("LIF", "CubaLIF")
NEURONS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
}
"""NIR's neurons and their parameters: one number per neuron, or one for all."""
AXES = {"Linear": 2, "Affine": 2, "Conv1d": 3, "Conv2d": 4}
"""Axes of the weights."""
MOST_IN_CYCLE = 100
"""Nodes that may depend on each other: finding the order of more of them takes long, and files are not trusted."""

Edges = list[tuple[str, str]]


class Node(NamedTuple):
    """A node and its surroundings.

    Attributes:
        node: the node itself.
        label: its name in messages.
        sources: the nodes that feed it; twice if a signal arrives twice.
        targets: the nodes that it feeds.
        loop: the node of its recurrent weights, or None.
        cyclic: whether it depends on itself, other than through `loop`.
    """

    node: Any
    label: str
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    loop: Any = None
    cyclic: bool = False


def kind(node: object) -> str:
    """Return the name of a node's type."""
    return type(node).__name__


def fires(node: object) -> bool:
    """Whether a node is a neuron with a threshold that it can reach."""
    return "v_threshold" in NEURONS.get(kind(node), ()) and bool(
        (_array(node, "v_threshold") < NO_SPIKE_THRESHOLD).any()
    )


def opened(graph) -> dict[str, Node]:
    """Return the nodes, with those of subgraphs in place of these; the ends are called "input" and "output".

    Each comes after at least one of its sources.

    Raises:
        ArgumentError: if nodes are not connected, or depend on each other without a memory; the message names them.
    """
    nodes, edges = _flat(graph)
    nodes, edges, loops = _without_loops(nodes, edges)
    labels = {INPUT: _only(graph.nodes, "Input"), OUTPUT: _only(graph.nodes, "Output")}
    _check_connections(nodes, edges, labels)
    cyclic = _cyclic(nodes, edges)
    sources, targets = neighbours([(b, a) for a, b in edges]), neighbours(edges)
    found = {}
    for name in _reached(targets):
        around = tuple(sources.get(name, ())), tuple(targets.get(name, ()))
        found[name] = Node(nodes[name], labels.get(name, name), *around, loops.get(name), name in cyclic)
    return found


def neighbours(edges: Edges) -> dict[str, list[str]]:
    """Return what each node feeds."""
    found: dict[str, list[str]] = {}
    for a, b in edges:
        found.setdefault(a, []).append(b)
    return found


def _check_connections(nodes: dict[str, Any], edges: Edges, labels: dict[str, str]) -> None:
    """Raise unless every node lies on a path from input to output."""
    before, after = ({edge[k] for edge in edges} for k in (1, 0))
    for name in nodes:
        if (name in before) == (name == INPUT) or (name in after) == (name == OUTPUT):
            what = "feeds no other node" if name not in after else "is fed by no other node"
            if name in (INPUT, OUTPUT) and name in before and name in after:
                what = f"is the {name}, and cannot lie within the graph"
            raise ArgumentError(
                f"node {labels.get(name, name)!r}: {what}; every node must lie between input and output"
            )
    lonely = unconnected(nodes, edges)
    if lonely is not None:
        raise ArgumentError(
            f"node {labels.get(lonely, lonely)!r}: must lie between input and output, but no path leads there"
        )


def _cyclic(nodes: dict[str, Any], edges: Edges) -> set[str]:
    """Return the nodes that depend on themselves; raise if no time passes on the way."""
    loop = cycle_without([name for name, node in nodes.items() if not _has_memory(node)], edges)
    if loop:
        through = " -> ".join(map(repr, loop))
        raise ArgumentError(
            f"node {loop[0]!r}: feeds itself through {through}, which have no state, so that no time passes on the "
            "way and its value is not defined; a neuron or a Delay must lie in between"
        )
    found: set[str] = set()
    for group in components(list(nodes), edges):
        if len(group) > 1 or (group[0], group[0]) in edges:
            found.update(group)
            if len(group) > MOST_IN_CYCLE:
                raise ArgumentError(
                    f"node {group[0]!r}: at most {MOST_IN_CYCLE} nodes may form a cycle, got {len(group)}"
                )
    return found


def _flat(graph) -> tuple[dict[str, Any], Edges]:
    """Return nodes and edges without subgraphs; the ends of these stay, as nodes that pass on what they get."""
    given = {str(name): node for name, node in graph.nodes.items()}
    edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
    for a, b in edges:
        for end in (a, b):
            if end not in given:
                raise ArgumentError(f"edge {a!r} -> {b!r}: the graph has no node {end!r}")
    nodes: dict[str, Any] = {}
    ends = {_only(given, "Input"): INPUT, _only(given, "Output"): OUTPUT}
    names = {name: (ends.get(name, name), ends.get(name, name)) for name in given}  # where edges enter and leave
    more: Edges = []
    for name, node in given.items():
        if kind(node) == "NIRGraph":
            names[name], inside, inner = _placed(name, node, {*given, *nodes, *ends.values()})
            nodes |= inside
            more += inner
        else:
            new = ends.get(name) or _free(name, {*nodes, *(given.keys() - {name})})
            names[name], nodes[new] = (new, new), _trimmed(node)
    return nodes, [(names[a][1], names[b][0]) for a, b in edges] + more


def _placed(name: str, graph, taken: set[str]) -> tuple[tuple[str, str], dict[str, Any], Edges]:
    """Return where edges enter and leave a subgraph, its nodes under names of their own, and its edges."""
    try:
        nodes, edges = _flat(graph)
    except ArgumentError as error:
        raise ArgumentError(f"in subgraph {name!r}: {error}") from None
    loops = _without_loops(nodes, edges)[2]
    main = [
        inner for inner in nodes if inner not in (INPUT, OUTPUT) and all(nodes[inner] is not w for w in loops.values())
    ]
    new: dict[str, str] = {}
    for inner in nodes:
        wanted = name if main == [inner] else f"{name}_{inner}"
        new[inner] = _free(wanted, taken - {name} | set(new.values()))
    inside = {new[inner]: node for inner, node in nodes.items()}
    return (new[INPUT], new[OUTPUT]), inside, [(new[a], new[b]) for a, b in edges]


def _without_loops(nodes: dict[str, Any], edges: Edges) -> tuple[dict[str, Any], Edges, dict[str, Any]]:
    """Take out the recurrent weights of neurons that depend on nothing else; return these by the neuron's name."""
    loops: dict[str, str] = {}
    for group in components(list(nodes), edges):
        if len(group) != 2:
            continue
        around = [edge for edge in edges if set(edge) & set(group)]
        for neuron, weights in (group, group[::-1]):
            own = [edge for edge in around if weights in edge]
            alone = sorted(own) == sorted([(neuron, weights), (weights, neuron)]) and (neuron, neuron) not in around
            if alone and kind(nodes[weights]) in WEIGHTS and kind(nodes[neuron]) in RECURRENT and fires(nodes[neuron]):
                loops[neuron] = weights
    gone = set(loops.values())
    left = {name: node for name, node in nodes.items() if name not in gone}
    return left, [edge for edge in edges if not gone & set(edge)], {a: nodes[w] for a, w in loops.items()}


def _has_memory(node: object) -> bool:
    return kind(node) in NEURONS or (kind(node) == "Delay" and bool((_array(node, "delay") > 0.0).all()))


def _array(node: object, name: str) -> np.ndarray:
    """Return a parameter; NaN if it is missing or no numbers, which is reported where it is read."""
    try:
        return np.asarray(getattr(node, name, np.nan), np.float64)
    except (TypeError, ValueError):
        return np.asarray(np.nan)


def _trimmed(node):
    """Return the node with parameters that have no leading axes of length 1: exporters of today write a batch axis."""
    new = copy.copy(node)
    for name, value in vars(node).items():
        shape = getattr(value, "shape", ())
        axes = AXES.get(kind(node), 1) if name == "weight" else 1
        extra = len(shape) - axes
        if extra > 0 and 1 in shape[:1]:
            setattr(new, name, np.asarray(value).reshape(trimmed(tuple(shape), axes)))
    return new


def trimmed(shape: tuple[int, ...], axes: int = 1) -> tuple[int, ...]:
    """Leave leading axes of length 1 out, as long as there are more axes than needed.

    Example:
        >>> trimmed((1, 1, 11)), trimmed((1, 1, 3, 3), axes=3)
        ((11,), (1, 3, 3))
    """
    while len(shape) > axes and shape[0] == 1:
        shape = shape[1:]
    return shape


def _reached(targets: Mapping[str, list[str]]) -> list[str]:
    """Return the nodes in the order in which a signal from the input reaches them."""
    row = {INPUT: None}
    waiting = [INPUT]
    for name in waiting:
        new = dict.fromkeys(b for b in targets.get(name, ()) if b not in row)
        row |= new
        waiting += new
    return list(row)


def _only(nodes: Mapping[str, Any], wanted: str) -> str:
    names = [str(name) for name, node in nodes.items() if kind(node) == wanted]
    if len(names) != 1:
        raise ArgumentError(f"graph: must have exactly one {wanted} node, got {len(names)}")
    return names[0]


def _free(name: str, taken: set[str]) -> str:
    while name in taken or name in (INPUT, OUTPUT):
        name += "_"
    return name
