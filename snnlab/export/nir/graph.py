"""A NIR graph as the row of nodes that it must be: one after the other, some neurons with weights to themselves."""

from typing import Any, NamedTuple

from snnlab.errors import ArgumentError

WEIGHTS = ("Linear", "Affine")
RECURRENT = ("LIF", "CubaLIF")

Edges = list[tuple[str, str]]


class Step(NamedTuple):
    """A node on the way from input to output.

    Attributes:
        name: of the node.
        node: the node itself.
        loop: the weights by which its spikes come back to it, or None.
    """

    name: str
    node: Any
    loop: Any = None


def kind(node) -> str:
    """Name of the type of a node."""
    return type(node).__name__


def in_order(graph) -> list[Step]:
    """The nodes from input to output; subgraphs are opened.

    Raises:
        ArgumentError: naming the node, for anything but such a row.
    """
    nodes = graph.nodes
    edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
    for a, b in edges:
        for end in (a, b):
            if end not in nodes:
                raise ArgumentError(f"edge {a!r} -> {b!r}: there is no node {end!r}")
    loops = _loops(nodes, edges)
    edges = [edge for edge in edges if not set(edge) & set(loops.values())]
    row = _row(edges, _only(nodes, "Input"), _only(nodes, "Output"))
    for name in nodes:
        if name not in {*row, *loops.values()}:
            raise ArgumentError(f"node {name!r}: does not lie between input and output")
    steps = []
    for name in row:
        loop = nodes[loops[name]] if name in loops else None
        steps += _opened(name, nodes[name]) if kind(nodes[name]) == "NIRGraph" else [Step(name, nodes[name], loop)]
    return steps


def _loops(nodes: dict[str, Any], edges: Edges) -> dict[str, str]:
    """Neuron -> the weights that lead from it to itself and nowhere else."""
    loops: dict[str, str] = {}
    for name, node in nodes.items():
        before, after = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
        if kind(node) in WEIGHTS and len(before) == 1 and before == after:
            neuron = before[0]
            if kind(nodes[neuron]) not in RECURRENT or neuron in loops:
                allowed = " or ".join(RECURRENT)
                raise ArgumentError(f"node {name!r}: only {allowed} can be recurrent, by one node; {neuron!r} is not")
            loops[neuron] = name
    return loops


def _row(edges: Edges, start: str, end: str) -> list[str]:
    """From start to end. Where nobody has two neighbours on a side, this cannot go round."""
    after = _neighbours(edges, "feeds")
    before = _neighbours([(b, a) for a, b in edges], "is fed by")
    if start in before:
        raise ArgumentError(f"node {start!r}: is the input, but {before[start]!r} leads there")
    if end in after:
        raise ArgumentError(f"node {end!r}: is the output, but leads to {after[end]!r}")
    row = [start]
    while row[-1] != end:
        if row[-1] not in after:
            raise ArgumentError(f"node {row[-1]!r}: leads nowhere")
        row.append(after[row[-1]])
    return row


def _neighbours(edges: Edges, what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for a, b in edges:
        if found.setdefault(a, b) != b:
            raise ArgumentError(
                f"node {a!r}: {what} both {found[a]!r} and {b!r}; there are no layers for branches, sums, or "
                "cycles other than a neuron with weights to itself"
            )
    return found


def _only(nodes: dict[str, Any], wanted: str) -> str:
    names = [name for name, node in nodes.items() if kind(node) == wanted]
    if len(names) != 1:
        raise ArgumentError(f"graph: must have exactly one {wanted} node, got {len(names)}")
    return names[0]


def _opened(name: str, graph) -> list[Step]:
    """What is in a subgraph; a single node between its input and output takes its name."""
    try:
        inner = in_order(graph)
    except ArgumentError as error:
        raise ArgumentError(f"in subgraph {name!r}: {error}") from None
    return [step._replace(name=name if len(inner) == 3 else f"{name}_{step.name}") for step in inner]
