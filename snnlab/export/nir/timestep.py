"""What a time step means for the neurons of a NIR graph: `remarks`.

NIR has no time step, and an input spike counts 1 for one step. So the step decides how far a spike moves a neuron: by
`dt r / tau` times its weight, or `dt r` without a leak. Simulators write constants that suit their own step.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from snnlab.export.nir.constants import fade, tau_from_nir
from snnlab.export.nir.graph import NEURONS, Node, fires, kind

WEAK = 0.01
"""A spike that moves a neuron by less of the way to its threshold is probably not meant like this ..."""
WEAK_TOGETHER = 0.5
"""... if all its inputs together, in one step, do not move it this far either."""
STRONG = 1.5
"""A spike adds more than its weight: the step is longer than that for which the file was written."""
PASSING = ("Flatten", "Delay", "SumPool2d", "AvgPool2d")
"""Nodes that pass on spikes, at most in other numbers."""
SECONDS = 0.02
"""A shorter step [ms] is probably one in seconds, if time constants are a thousand times as long."""


def remarks(nodes: Mapping[str, Node], dt: float, method: str, readable: Callable[[float], bool]) -> Iterator[str]:
    """Yield what the reader of a graph should know about a time step, if it is probably not the right one.

    Args:
        nodes: from `graph.opened`; they have been read with this step.
        dt: time step [ms].
        method: "euler" or "exponential".
        readable: whether the graph can be read with a time step [ms], so that no other is proposed.
    """
    neurons = {name: _Neurons(node.node, method) for name, node in nodes.items() if fires(node.node)}
    shortest = min((tau for one in neurons.values() for tau in one.taus), default=np.inf)
    if dt < SECONDS and shortest >= 1000.0 * dt and readable(1000.0 * dt):
        constants = f"time constants from {shortest:g} ms" if np.isfinite(shortest) else "no time constants"
        yield f"dt: is in milliseconds; {dt:g} ms is short for {constants}; if it is {dt:g} s, pass dt={1000.0 * dt:g}"
        return
    weights = {name: _weights(nodes, name) for name in neurons}
    yield from _weak(neurons, weights, dt, readable)
    written = written_for(nodes, method)
    if written is None or dt < STRONG * written or not readable(written):
        return
    name = next((name for name, one in neurons.items() if 1.0 < one.moved(dt) * weights[name][0] < np.inf), None)
    if name is not None:
        yield (
            f"node {name!r}: with dt = {dt:g} ms, one input spike adds {dt / written:.3g} times its weight; all gains "
            f"of this graph are 1 with dt={written:.4g}, for which it was probably written"
        )


def written_for(nodes: Mapping[str, Node], method: str) -> float | None:
    """Return the time step [ms] with which all gains of a graph are 1, or None if there is none, or only one gain."""
    steps = [step for node in nodes.values() if fires(node.node) for step in _Neurons(node.node, method).unit_steps()]
    return float(np.median(steps)) if len(steps) > 1 and np.ptp(steps) < 1e-3 * max(steps) else None


def _weak(neurons: Mapping[str, "_Neurons"], weights: Mapping[str, tuple[float, float]], dt: float, readable):
    """Yield the remark that spikes hardly move the neurons of a node."""
    weak = []
    for name, one in neurons.items():
        alone, together = (one.moved(dt) * weight for weight in weights[name])
        if alone < WEAK and together < WEAK_TOGETHER:
            weak.append((name, one))
    if not weak:
        return
    (name, one), *others = weak
    alone = weights[name][0]
    cure = "scale its r, or the weights before it" if one.moved(dt) else "a tau of infinity lets nothing in; use an IF"
    for step in one.steps():
        if dt < step and one.moved(step) * alone >= WEAK and readable(step):
            cure = f"with dt={step:.4g}, one moves them by up to {one.moved(step) * alone:.2g} of it"
            break
    more = f", and those of {len(others)} more nodes hardly farther" if others else ""
    yield (
        f"node {name!r}: with dt = {dt:g} ms, one input spike moves its neurons by at most {one.moved(dt) * alone:.2g} "
        f"of the way to their threshold{more}; {cure}"
    )


class _Neurons:
    """The neurons of a node: how far a spike of weight 1 moves them, as a share of the way to their threshold."""

    def __init__(self, node: Any, method: str):
        self.method = method
        self._p = {
            name: np.asarray(getattr(node, name), np.float64).ravel()
            for name in ("tau", "tau_mem", "tau_syn", "r", "w_in", "v_leak", "v_threshold")
            if hasattr(node, name)
        }
        self._leaks = kind(node) != "IF"
        self._tau = self._p.get("tau_mem", self._p.get("tau", np.array([np.inf])))

    @property
    def taus(self) -> list[float]:
        """The shortest time constant of each kind [ms]."""
        return [1000.0 * float(self._p[name].min()) for name in ("tau", "tau_mem", "tau_syn") if name in self._p]

    def moved(self, dt: float) -> float:
        """Return the largest share of the way to the threshold that a spike of weight 1 moves a neuron."""
        r, way = self._p["r"], self._p["v_threshold"] - self._p.get("v_leak", 0.0)
        gain = np.abs(r) * (self._lost(self._tau, dt) if self._leaks else dt / 1000.0)
        if "tau_syn" in self._p:
            kept = 1.0 - self._lost(self._tau, dt), 1.0 - self._lost(self._p["tau_syn"], dt)
            gain = gain * np.abs(self._p["w_in"]) * (1.0 - kept[1]) * _highest(*kept)
        with np.errstate(divide="ignore"):
            return float(np.max(gain / np.abs(way)))

    def steps(self) -> list[float]:
        """Return time steps [ms] that suit the constants: with gains of 1, or else a tenth of a time constant."""
        fine = [tau for tau in self.taus if np.isfinite(tau)]
        short = min(fine, default=np.inf)
        return [
            *(step for step in sorted(self.unit_steps()) if step <= short / 5.0),
            *(tau / 10.0 for tau in sorted(fine)),
        ]

    def unit_steps(self) -> list[float]:
        """Return the time steps [ms] with which each of the gains is 1: `dt r / tau`, `dt w_in / tau_syn` or `dt r`."""
        if not self._leaks:
            return [1000.0 / float(r) for r in np.unique(self._p["r"]) if r > 0.0]
        pairs = [(self._tau, self._p["r"])]
        if "tau_syn" in self._p:
            pairs.append((self._p["tau_syn"], self._p["w_in"]))
        found = []
        for tau, gain in pairs:
            tau, gain = np.broadcast_arrays(1000.0 * tau, gain)
            useful = (gain > 1.0) & np.isfinite(tau)  # a gain of 1 says nothing of a step
            tau, gain = tau[useful], gain[useful]
            found += np.unique(tau / gain if self.method == "euler" else -tau * np.log1p(-1.0 / gain)).tolist()
        return found

    def _lost(self, tau: np.ndarray, dt: float) -> np.ndarray:
        """Return the share of a state that decays in a step."""
        seconds = np.maximum(tau, dt / 1000.0) if self.method == "euler" else tau
        return fade(tau_from_nir(seconds, dt=dt, method=self.method), dt)


def _highest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the maximum over k of the sum over j of a^j b^(k-j): how a synapse that decays by b drives v, by a."""
    a, b = (np.clip(x, 1e-12, 1.0 - 1e-12) for x in np.broadcast_arrays(a, b))
    b = np.where(np.abs(a - b) < 1e-9, b * (1.0 - 1e-6), b)
    k = np.unique(np.geomspace(1, 1e8, 500).round())[:, None]
    return ((a**k - b**k) / (a - b)).max(0)


def _weights(nodes: Mapping[str, Node], name: str) -> tuple[float, float]:
    """Return the largest weight of an input spike of these neurons, and of all inputs of one neuron together.

    They are infinite if the inputs are no spikes.
    """
    alone, together = 0.0, 0.0
    waiting, seen = list(nodes[name].sources), set()
    while waiting:
        source = waiting.pop()
        node = nodes[source].node
        if source not in seen and kind(node) in PASSING:
            waiting += nodes[source].sources
        elif source not in seen:
            weight = np.abs(np.asarray(getattr(node, "weight", getattr(node, "scale", 1.0)), np.float64))
            rows = weight.reshape(len(weight), -1).sum(1) if weight.ndim > 1 else weight
            alone, together = max(alone, weight.max()), together + rows.max()
            before = nodes[source].sources if hasattr(node, "weight") or hasattr(node, "scale") else (source,)
            if any(kind(nodes[a].node) in NEURONS and not fires(nodes[a].node) for a in before):
                return np.inf, np.inf
        seen.add(source)
    return float(alone), float(together)
