"""One test sample on its way through the network, and one neuron: NumPy values that the raster is drawn from.

`snnlab.live.look.prober` makes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Shaped

from snnlab.live.frames.voltages import Spiking


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the network did with one sample.

    Attributes:
        sample: the sample itself; for events, their number in every channel.
        rasters: spikes of the input (if it spikes) and of every spiking layer, by name.
        states: voltage after the reset, or output, of every layer, by name and in order; the last one is the readout.
            Empty for a model that does not expose its layers.
        readout: the readout traces; where targets are numbers, in the unit of the targets.
        label: index of the true class, of a sample that has one; None for a drawing, which has none.
        prediction: index of the class with the highest score, as the loss computes scores; -1 for other tasks.
        rule: the readout that the loss scores with, one of `snnlab.losses.READOUTS`; None if it has scores of its own.
        events: the sample is a list of events.
        task: what the targets are, see `snnlab.data.Dataset`.
        target: the target of another task than "label"; None for a drawing, which has none.
        said: what the task compares with the target: of every step, or of the whole sample.
        mask: which steps are scored `(time,)`, or None for all.
        length: number of steps of the sample, or None if it is as long as the sequence.
        tau: time constant of the filter that spike trains are compared behind [steps].
        signal: the input as numbers `(time, units)`, if it is neither spikes nor many units; or None.
    """

    sample: Shaped[np.ndarray, "..."]
    rasters: dict[str, Bool[np.ndarray, "time n"]]
    states: dict[str, Float[np.ndarray, "time n"]] = field(default_factory=dict)
    readout: Float[np.ndarray, "time cls"]
    label: int | None
    prediction: int
    rule: str | None = "max"
    events: bool = False
    task: str = "label"
    target: Shaped[np.ndarray, "..."] | None = None
    said: Float[np.ndarray, "..."] | None = None
    mask: Bool[np.ndarray, " time"] | None = None
    length: int | None = None
    tau: float = 10.0
    signal: Float[np.ndarray, "time n"] | None = None

    @property
    def drawn(self) -> bool:
        """Whether it is a drawing, which has no target."""
        return self.label is None and self.target is None


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """One unit of a layer.

    Attributes:
        layer: name of its layer.
        unit: its index in the layer.
        constants: `(name, value, unit)` of its time constants and its threshold, as far as it has them.
        weights: of its inputs `(n,)`; for a unit of an LSTM, one row for each of the gates i, f, g, o; None if there
            are none.
        first: its inputs are those of the network.
    """

    layer: str
    unit: int
    constants: tuple[tuple[str, float, str], ...] = ()
    weights: Float[np.ndarray, "..."] | None = None
    first: bool = False

    def constant(self, name: str) -> float | None:
        """Return the value of a constant, or None if the neuron has no such constant."""
        return next((value for known, value, _ in self.constants if known == name), None)


@dataclass(frozen=True, eq=False)
class Look:
    """A probe, and access to the neurons of the network as it was then.

    Attributes:
        probe: the sample on its way through the network.
        class_names: of the data, or names of the outputs.
        dt: time step [ms], or None if the model does not tell.
        neuron: `(layer, unit) -> Neuron`.
        spiking: `layer -> Spiking`: what makes its neurons spike, or None.
        preview: whether a knob has been moved that no training step has used yet.
        drawing: the sample as a drawing, see `snnlab.live.frames.paper`; None if it is no image.
    """

    probe: Probe
    class_names: tuple[str, ...]
    dt: float | None
    neuron: Callable[[str, int], Neuron]
    spiking: Callable[[str], Spiking | None]
    preview: bool = False
    drawing: bytes | None = None
