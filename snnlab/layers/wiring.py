"""The order in which connected layers run, and the connections on which signals wait a step: `wire`.

Pure Python on names; `snnlab.layers.graph` runs the layers.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

INPUT, OUTPUT = "input", "output"
"""The ends of a graph; no layer has these names."""

Edge = tuple[str, str]


class Wiring(NamedTuple):
    """A graph, ready to run.

    Attributes:
        groups: the layers in the order in which they run. Layers in one group depend on each other: several, or one
            that feeds itself, are a cycle. Within a step they run in the order given.
        sources: what feeds each layer, and `OUTPUT`, by name; twice if its signal counts twice.
        late: connections on which a signal takes one step.

    Example:
        >>> wired = wire([("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")], memory=["a", "b"])
        >>> wired.groups, sorted(wired.late)
        ((('a', 'b'),), [('b', 'a')])
    """

    groups: tuple[tuple[str, ...], ...]
    sources: tuple[tuple[str, tuple[str, ...]], ...]
    late: tuple[Edge, ...]

    def cyclic(self, group: Sequence[str]) -> bool:
        """Whether the layers of a group depend on themselves."""
        return len(group) > 1 or group[0] in dict(self.sources)[group[0]]


def wire(edges: Iterable[Edge], memory: Collection[str], held: Collection[str] = ()) -> Wiring:
    """Find the order of the layers, and put a step on every cycle.

    Where several layers depend on each other, a signal takes one step on its way into one of them, the *first*: the
    one that is nearest to the input and farthest from the output, among those that are fed from elsewhere. If only
    layers without memory lie before it, it takes the step before these. This is repeated until no cycle is left.

    Args:
        edges: connections from `INPUT` to `OUTPUT`; every layer must lie on a path between them.
        memory: the layers with a state. Every cycle must contain one, see `cycle_without`.
        held: those of them whose output does not depend on their input in the same step. A cycle through one of them
            needs no further step.

    Example:
        >>> wire([("input", "a"), ("input", "b"), ("a", "b"), ("b", "output")], memory=["a"]).groups
        (('a',), ('b',))
    """
    edges = sorted(edges)
    names = sorted({end for edge in edges for end in edge} - {INPUT, OUTPUT})
    rank = _ranks(edges)
    loops = {edge for edge in edges if edge[0] == edge[1]}
    groups, late = [], set()
    for group in components(names, edges):
        if not _is_cycle(group, loops):
            groups.append(tuple(group))
            continue
        inner = [edge for edge in edges if set(edge) <= set(group)]
        late |= _late(group, edges, held, rank, memory)
        prompt = [edge for edge in inner if edge not in late and edge[1] not in held]
        order = [name for (name,) in components(sorted(group, key=rank.__getitem__), prompt)]
        groups.append(tuple(sorted(order, key=lambda name: name in held)))  # what they hold for later comes last
    sources: dict[str, tuple[str, ...]] = dict.fromkeys([*names, OUTPUT], ())
    for a, b in edges:
        sources[b] += (a,)
    return Wiring(tuple(groups), tuple(sources.items()), tuple(sorted(late)))


def cycle_without(names: Collection[str], edges: Iterable[Edge]) -> list[str]:
    """Return layers that depend on each other although none but these takes part, or nothing.

    Example:
        >>> cycle_without(["w", "u"], [("a", "w"), ("w", "u"), ("u", "w"), ("u", "a")])
        ['u', 'w']
    """
    inner = [edge for edge in edges if set(edge) <= set(names)]
    return next((sorted(group) for group in components(sorted(names), inner) if _is_cycle(group, inner)), [])


def unconnected(names: Iterable[str], edges: Iterable[Edge]) -> str | None:
    """Return the first layer that lies on no path from `INPUT` to `OUTPUT`, or None.

    Example:
        >>> unconnected(["a", "b"], [("input", "a"), ("a", "output"), ("a", "b")])
        'b'
    """
    edges = list(edges)
    there = _distances(INPUT, edges).keys() & _distances(OUTPUT, [(b, a) for a, b in edges]).keys()
    return next((name for name in names if name not in there), None)


def components(names: Sequence[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Return the strongly connected components of a graph, each after those that feed it.

    Example:
        >>> components(["a", "b", "c"], [("c", "a"), ("a", "b"), ("b", "a")])
        [['c'], ['a', 'b']]

    Source: Sharir (1981), DOI 10.1016/0898-1221(81)90008-0.
    """
    after: dict[str, list[str]] = {name: [] for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        if a in after and b in after:
            after[a].append(b)
            before[b].append(a)
    place = {name: k for k, name in enumerate(names)}
    found, seen = [], set()
    for root in reversed(list(_finished(reversed(names), after.__getitem__, set()))):
        if root not in seen:
            found.append(sorted(_finished([root], before.__getitem__, seen), key=place.__getitem__))
    return found


def _finished(roots: Iterable[str], after: Callable[[str], list[str]], seen: set[str]) -> Iterator[str]:
    """Yield every node that can be reached and was not seen, after all that can be reached from it."""
    for root in roots:
        waiting = [(root, False)]
        while waiting:
            name, done = waiting.pop()
            if done:
                yield name
            elif name not in seen:
                seen.add(name)
                waiting += [(name, True), *((other, False) for other in after(name))]


def _is_cycle(group: Sequence[str], edges: Collection[Edge]) -> bool:
    return len(group) > 1 or (group[0], group[0]) in edges


def _late(group: Sequence[str], edges: Sequence[Edge], held: Collection[str], rank, memory) -> set[Edge]:
    """Return connections within a group without which nothing in it depends on itself."""
    late: set[Edge] = set()
    waiting = [(group, [edge for edge in edges if edge[1] in group])]  # layers, and what feeds them
    while waiting:
        layers, around = waiting.pop()
        inner = [(a, b) for a, b in around if a in layers and b not in held and (a, b) not in late]
        for cycle in map(set, components(layers, inner)):
            within = [edge for edge in inner if cycle.issuperset(edge)]
            if within:  # otherwise it is one layer that does not feed itself
                reached = [edge for edge in around if edge[1] in cycle]
                entries = {b for a, b in reached if a not in cycle or (a, b) in late}
                first = min(entries or cycle, key=rank.__getitem__)
                late |= _moved_back({edge for edge in within if edge[1] == first}, within, edges, memory)
                waiting.append((sorted(cycle), reached))
    return late


def _moved_back(late: set[Edge], inner: Sequence[Edge], edges: Sequence[Edge], memory: Collection[str]) -> set[Edge]:
    """Move steps from behind a layer without memory to before it, so that what else it reads does not wait."""
    while True:
        behind = sorted({a for a, _ in late if a not in memory})
        name = next((a for a in behind if all(edge in late for edge in edges if edge[0] == a)), None)
        if name is None:
            return late
        late = {edge for edge in late if edge[0] != name} | {edge for edge in inner if edge[1] == name}


def _ranks(edges: Sequence[Edge]) -> dict[str, tuple]:
    """Return what sorts the layers from input to output."""
    start, end = _distances(INPUT, edges), _distances(OUTPUT, [(b, a) for a, b in edges])
    return {name: (start[name] - end[name], start[name], name) for name in start if name in end}


def _distances(start: str, edges: Iterable[Edge]) -> dict[str, int]:
    """Return the number of connections from one layer to all others that it reaches."""
    after: dict[str, list[str]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
    found, row = {start: 0}, [start]
    for name in row:
        for other in after.get(name, []):
            if other not in found:
                found[other] = found[name] + 1
                row.append(other)
    return found
