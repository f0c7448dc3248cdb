"""What a sample costs, in the terms of NeuroBench: synaptic operations, and how sparse activity and connections are.

`snnlab.live.look.energy` counts.

Source: Yik et al. (2025), The NeuroBench framework, Nature Communications 16, DOI 10.1038/s41467-025-56739-4.
"""

from dataclasses import dataclass
from typing import Any

from snnlab.support import numbers

Frame = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The synaptic operations of one layer, for a sample on average.

    An operation is the effect of one input on one neuron at one step of the sample, through one weight. It is
    *effective* if input and weight are not 0. With an input of spikes (0, 1, or -1) it is an accumulate, otherwise a
    multiply-accumulate. Biases and the neurons themselves are not counted.

    Attributes:
        layer: name of the layer.
        acs: effective accumulates.
        macs: effective multiply-accumulates.
        dense: all operations, whether input and weight are 0 or not.
        weights: number of weights.
        zeros: number of weights that are 0.

    Example:
        >>> Operations(layer="hidden", acs=120.0, macs=0.0, dense=4000.0, weights=40, zeros=0).acs
        120.0
    """

    layer: str
    acs: float
    macs: float
    dense: float
    weights: int
    zeros: int


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What a sample costs a network.

    Attributes:
        step: number of optimizer steps taken.
        samples: number of samples that it was measured on.
        layers: the layers with weights, in order.
        silent: share of the outputs of all neurons, at all steps, that are 0 (activation sparsity); of layers that
            spike, and of LSTMs. None if there are none.
        uncounted: names of layers whose operations are unknown.

    Example:
        >>> one = Operations(layer="hidden", acs=120.0, macs=0.0, dense=4000.0, weights=40, zeros=10)
        >>> energy = Energy(step=9, samples=128, layers=(one,), silent=0.97)
        >>> energy.effective, energy.dense, energy.missing
        (120.0, 4000.0, 0.25)
    """

    step: int
    samples: int
    layers: tuple[Operations, ...]
    silent: float | None = None
    uncounted: tuple[str, ...] = ()

    @property
    def effective(self) -> float:
        """Effective operations of all layers."""
        return sum(layer.acs + layer.macs for layer in self.layers)

    @property
    def dense(self) -> float:
        """Operations of all layers."""
        return sum(layer.dense for layer in self.layers)

    @property
    def missing(self) -> float:
        """Share of the weights that are 0 (connection sparsity)."""
        return sum(layer.zeros for layer in self.layers) / max(1, sum(layer.weights for layer in self.layers))


def energy_frame(energy: Energy | None) -> Frame:
    """Describe what a sample costs.

    Args:
        energy: what was counted; None if it could not be.

    Returns:
        A frame with "layers", each of them `{"name", "acs", "macs", "dense", "words"}`; "acs", "macs" and "dense" of
        all of them; "silent" and "missing", the sparsity of activity (or None) and of connections; "words". If nothing
        was counted, its "reason".

    Example:
        >>> one = Operations(layer="hidden", acs=120.5, macs=0.0, dense=40000.0, weights=400, zeros=0)
        >>> frame = energy_frame(Energy(step=9, samples=128, layers=(one,), silent=0.97))
        >>> frame["layers"][0]["words"]
        'hidden: 120 accumulates'
        >>> frame["words"].partition("; ")[0]
        '120 synaptic operations for a sample (120 accumulates), 0.3% of 40,000 dense ones'
    """
    if energy is None:
        return {"reason": "the model does not show its layers, as a Network does, so its operations are unknown"}
    if not energy.layers:
        return {"reason": "no layer has weights that are known"}
    acs, macs = (sum(getattr(layer, kind) for layer in energy.layers) for kind in ("acs", "macs"))
    share = numbers.percent(energy.effective / energy.dense) if energy.dense else "0%"
    said = [f"{numbers.number(energy.effective)} synaptic operations for a sample ({_kinds(acs, macs)})"]
    said[0] += f", {share} of {numbers.number(energy.dense)} dense ones"
    outputs = [] if energy.silent is None else [f"{numbers.percent(energy.silent)} of the outputs are 0"]
    said.append(", ".join([*outputs, f"{numbers.percent(energy.missing)} of the weights"]))
    said[-1] += "" if outputs else " are 0"
    said.append(f"mean of {numbers.count(energy.samples, 'test sample')}")
    said += [f"not counted: {', '.join(energy.uncounted)}"] if energy.uncounted else []
    layers = [
        {
            "name": layer.layer,
            "acs": layer.acs,
            "macs": layer.macs,
            "dense": layer.dense,
            "words": f"{layer.layer}: {_kinds(layer.acs, layer.macs)}",
        }
        for layer in energy.layers
    ]
    return {
        "reason": None,
        "step": energy.step,
        "layers": layers,
        "acs": acs,
        "macs": macs,
        "dense": energy.dense,
        "silent": energy.silent,
        "missing": energy.missing,
        "words": "; ".join(said),
    }


def _kinds(acs: float, macs: float) -> str:
    both = ((acs, "accumulates"), (macs, "multiply-accumulates"))
    return " and ".join(f"{numbers.number(n)} {name}" for n, name in both if n) or "no operation"
