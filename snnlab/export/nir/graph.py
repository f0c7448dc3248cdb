"""Put the nodes of a NIR graph in order, one after the other; only neurons with recurrent weights may form a cycle."""

from typing import Any, NamedTuple

from snnlab.errors import ArgumentError

WEIGHTS = ("Linear", "Affine")
RECURRENT = ("LIF", "CubaLIF")

Edges = list[tuple[str, str]]


class Step(NamedTuple):
    """A node between input and output.

    Attributes:
        name: of the node.
        node: the node itself.
        loop: the node of its recurrent weights, or None.
    """

    name: str
    node: Any
    loop: Any = None


def kind(node: object) -> str:
    """Return the name of a node's type."""
    return type(node).__name__


def in_order(graph) -> list[Step]:
    """Return the nodes from input to output, with the nodes of subgraphs in place of these.

    Raises:
        ArgumentError: if the graph branches, has cycles or loose nodes; the message names the node.
    """
    nodes = graph.nodes
    edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
    for a, b in edges:
        for end in (a, b):
            if end not in nodes:
                raise ArgumentError(f"edge {a!r} -> {b!r}: the graph has no node {end!r}")
    loops = _loops(nodes, edges)
    edges = [edge for edge in edges if not set(edge) & set(loops.values())]
    row = _row(edges, _only(nodes, "Input"), _only(nodes, "Output"))
    for name in nodes:
        if name not in {*row, *loops.values()}:
            raise ArgumentError(f"node {name!r}: must lie between input and output, but is not connected")
    steps = []
    for name in row:
        loop = nodes[loops[name]] if name in loops else None
        steps += _opened(name, nodes[name]) if kind(nodes[name]) == "NIRGraph" else [Step(name, nodes[name], loop)]
    return steps


def _loops(nodes: dict[str, Any], edges: Edges) -> dict[str, str]:
    """Map each recurrent neuron to its weights, a node with no other edges."""
    loops: dict[str, str] = {}
    for name, node in nodes.items():
        before, after = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
        if kind(node) in WEIGHTS and len(before) == 1 and before == after:
            neuron = before[0]
            if kind(nodes[neuron]) not in RECURRENT or neuron in loops:
                allowed = " or ".join(RECURRENT)
                raise ArgumentError(f"node {name!r}: only {allowed} can be recurrent, by one node; {neuron!r} cannot")
            loops[neuron] = name
    return loops


def _row(edges: Edges, start: str, end: str) -> list[str]:
    """Follow the edges from start to end. This ends, because no node has two neighbours on one side."""
    after = _neighbours(edges, "feeds")
    before = _neighbours([(b, a) for a, b in edges], "is fed by")
    if start in before:
        raise ArgumentError(f"node {start!r}: is the input, but {before[start]!r} feeds it")
    if end in after:
        raise ArgumentError(f"node {end!r}: is the output, but feeds {after[end]!r}")
    row = [start]
    while row[-1] != end:
        if row[-1] not in after:
            raise ArgumentError(f"node {row[-1]!r}: feeds no other node")
        row.append(after[row[-1]])
    return row


def _neighbours(edges: Edges, what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for a, b in edges:
        if found.setdefault(a, b) != b:
            raise ArgumentError(
                f"node {a!r}: {what} both {found[a]!r} and {b!r}; snnlab has no layers for branches, sums, or "
                "cycles other than recurrent weights"
            )
    return found


def _only(nodes: dict[str, Any], wanted: str) -> str:
    names = [name for name, node in nodes.items() if kind(node) == wanted]
    if len(names) != 1:
        raise ArgumentError(f"graph: must have exactly one {wanted} node, got {len(names)}")
    return names[0]


def _opened(name: str, graph) -> list[Step]:
    """Return the nodes of a subgraph; a single node between its input and output takes the subgraph's name."""
    try:
        inner = in_order(graph)
    except ArgumentError as error:
        raise ArgumentError(f"in subgraph {name!r}: {error}") from None
    return [step._replace(name=name if len(inner) == 3 else f"{name}_{step.name}") for step in inner]
