"""What a training step of the reference networks cannot do without, counted from the data.

Operations are vector instructions of 16 float32, on tiles of 16 neurons (100 neurons are 7 tiles, 10 classes one).
Where there are several ways, the cheapest at the rates of this machine counts, whether the kernels take it or not.
"""

from typing import NamedTuple

LANES = 16
BLOCK = 16  # samples whose currents' gradients stay in a cache, where the gradient of the weights is gathered
LOADS = ("load-add", "change")


class Sizes(NamedTuple):
    """What is counted from: `events` and `spikes` (of the hidden layer) are means per sample, from the data."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    classes: int
    events: float
    spikes: float


class Phase(NamedTuple):
    """One part of a step.

    Attributes:
        group: the pass over the data that it belongs to; parts of one pass may run side by side.
        name: what it is.
        work: how much of what: names of rates to operations or bytes.
        how: how it was counted.
    """

    group: str
    name: str
    work: dict[str, float]
    how: str

    def milliseconds(self, rates: dict[str, float]) -> float:
        """The longest of what it has to do, everything else beside it."""
        return max(1e3 * amount / rates[name] for name, amount in self.work.items())


def tiles(neurons: int) -> int:
    """Vectors of 16."""
    return -(-neurons // LANES)


def _cheapest(rates: dict[str, float], *ways: Phase) -> Phase:
    return min(ways, key=lambda way: way.milliseconds(rates))


def snn(n: Sizes, rates: dict[str, float]) -> list[Phase]:
    """The spiking network."""
    return [*_encoding(n), *_forward(n), *_backward(n, rates), *_update(n.inputs * n.hidden + n.hidden * n.classes)]


def _encoding(n: Sizes) -> list[Phase]:
    pixels, events = n.batch * n.inputs, n.batch * n.events
    return [
        Phase("encode", "read pixels", {"memory": pixels}, "1 byte each, from memory"),
        Phase("encode", "events in order", {"L2": 6 * events}, "2 bytes each, written once, read twice; no operation"),
    ]


def _forward(n: Sizes) -> list[Phase]:
    wide, narrow = n.batch * n.steps * tiles(n.hidden), n.batch * n.steps * tiles(n.classes)
    return [
        Phase("forward", "add events", {"load-add": n.batch * n.events * tiles(n.hidden)}, "events x tiles"),
        Phase(
            "forward",
            "LIF updates",
            {"vector": 5 * wide, "L2": 2 * wide},
            "samples x steps x tiles x 5: g, v (multiply-add), compare, reset, count; 16 bits written",
        ),
        Phase(
            "forward",
            "readout",
            {"vector": 4 * narrow + 20 * n.batch, "load-add": n.batch * n.spikes * tiles(n.classes)},
            "two filters, maximum and when it was: samples x steps x 4; hidden spikes; cross-entropy 20 a sample",
        ),
    ]


def _backward(n: Sizes, rates: dict[str, float]) -> list[Phase]:
    wide, narrow = n.batch * n.steps * tiles(n.hidden), n.batch * n.steps * tiles(n.classes)
    adds = n.batch * n.events * tiles(n.hidden)
    scores = n.batch * n.classes * tiles(n.hidden)
    name, group = "know the voltages", "backward"
    voltages = [
        Phase(group, name, {"load-add": adds, "vector": 4 * wide}, "again: events x tiles, updates x 4 beside them"),
        Phase(group, name, {"L3": 2 * 4 * LANES * wide}, "stored: written and read, 64 bytes a tile"),
    ]
    name = "surrogate"
    surrogate = [
        Phase(group, name, {"vector": 4 * wide, "division": wide}, "4 and a division beside them"),
        Phase(group, name, {"vector": 11 * wide}, "4, and 7 for a reciprocal by Newton's method"),
    ]
    name = "gradient of spikes"
    spikes = [
        Phase(group, name, {"vector": 3 * wide + scores}, "the readout's filters, on hidden neurons: 3; classes once"),
        Phase(group, name, {"vector": (n.classes + 1) * wide}, "product with the readout's weights: classes + 1"),
    ]
    name = "gradient of weights"
    gathered = {"load-add": adds, "L2": 4 * LANES * wide, "change": n.batch / BLOCK * n.inputs * tiles(n.hidden)}
    weights = [
        Phase(group, name, {"change": adds}, "events x tiles, each a load, an addition and a store"),
        _sequential(group, name, gathered, rates, f"gathered for {BLOCK} samples at a time"),
    ]
    readout = {"vector": 2 * narrow, "change": n.batch * n.spikes * tiles(n.classes)}
    return [
        Phase(group, "readout", readout, "two filters: samples x steps x 2; hidden spikes"),
        _cheapest(rates, *spikes),
        _cheapest(rates, *voltages),
        _cheapest(rates, *surrogate),
        Phase(group, "adjoint", {"vector": 4 * wide}, "samples x steps x tiles x 4: reset, v, decay, g"),
        _cheapest(rates, *weights),
    ]


def _sequential(group: str, name: str, work: dict[str, float], rates: dict[str, float], how: str) -> Phase:
    """Loads and stores that wait for each other, in units of the first: they share one path to the memory."""
    first = next(iter(work))
    loads = sum(amount / rates[kind] for kind, amount in work.items()) * rates[first]
    return Phase(group, name, {first: loads}, how)


def _update(weights: int) -> list[Phase]:
    vectors = weights / LANES
    adam = {"vector": 10 * vectors, "division": 2 * vectors, "L2": 7 * 4 * weights}
    return [
        Phase("update", "Adam", adam, "weights / 16 x (10, root, division); 4 float32 read, 3 written"),
        Phase("update", "clear and norm of the gradient", {"vector": vectors, "L2": 2 * 4 * weights}, "weights / 16"),
    ]


def lstm(n: Sizes) -> list[Phase]:
    """The LSTM; `inputs` are those of a row."""
    cells = n.batch * n.steps
    gates = 4 * n.hidden
    onward = n.inputs * gates + n.hidden * gates + n.hidden * n.classes
    back = n.inputs * gates + 2 * (n.hidden * gates + n.hidden * n.classes)
    units = cells * n.hidden / LANES
    parameters = onward + gates + n.classes
    return [
        Phase("forward", "matrix products", {"gemm": 2.0 * cells * onward}, "2 flops a weight, row and sample"),
        Phase("forward", "gates", {"vector": 5 * 14 * units, "division": 5 * units}, "5 exponentials of 14 a unit"),
        Phase("backward", "matrix products", {"gemm": 2.0 * cells * back}, "twice, but no gradient of pixels"),
        Phase("backward", "gates", {"vector": 20 * units}, "20 a unit"),
        *_update(parameters),
    ]


def overlapped(phases: list[Phase], rates: dict[str, float]) -> float:
    """Milliseconds if within a pass everything that differs in kind ran side by side, at no cost to each other."""
    total = 0.0
    for group in dict.fromkeys(phase.group for phase in phases):
        sums: dict[str, float] = {}
        for phase in (phase for phase in phases if phase.group == group):
            for name, amount in phase.work.items():
                kind = "loads" if name in LOADS else name
                sums[kind] = sums.get(kind, 0.0) + 1e3 * amount / rates[name]
                if name in LOADS:  # each contains an addition
                    sums["vector"] = sums.get("vector", 0.0) + 1e3 * amount / rates["vector"]
        total += max(sums.values())
    return total


def flops(phases: list[Phase]) -> float:
    """Floating-point operations: a vector instruction counts 16, whatever it does, a flop of a product 1."""
    sizes = {"vector": LANES, "division": LANES, "load-add": LANES, "change": LANES, "gemm": 1.0}
    return sum(sizes.get(name, 0.0) * amount for phase in phases for name, amount in phase.work.items())
