"""The results of layers and networks over the sequence: `Trace` and `Record`."""

from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from snnlab.kernels import Packed


@jax.tree_util.register_static
class TimeStep(float):
    """Length of a time step [ms]; no array, so it stays a number inside compiled programs.

    Example:
        >>> jax.jit(lambda step: 2.0 * step)(TimeStep(0.5)).item()
        1.0
    """


class Trace(NamedTuple):
    """Results of one layer over the sequence; or of one step, without the axis of time.

    Attributes:
        state: membrane voltage after the reset; the output of an LSTM, or the trace of a readout.
        spikes: spikes as 0.0 or 1.0, or None for a layer that does not spike.
        current: input current, or None.
        counts: number of spikes of every neuron over the sequence, or None.
        packed: the spikes at one bit each, for the kernel of the next layer, or None.
        peak: maximum of `state` over time, if a kernel computes it at less cost, or None.
        dt: length of a time step [ms], or None if the layer has none. A `Stack` notes it.

    Example:
        >>> import jax.numpy as jnp
        >>> trace = Trace(state=jnp.full((5, 2, 3), 0.5))
        >>> trace.output is trace.state  # it does not spike
        True
    """

    state: Float[Array, "time batch n"]
    spikes: Float[Array, "time batch n"] | None = None
    current: Float[Array, "time batch n"] | None = None
    counts: Float[Array, "batch n"] | None = None
    packed: Packed | None = None
    peak: Float[Array, "batch n"] | None = None
    dt: TimeStep | None = None

    @property
    def output(self) -> Float[Array, "*time batch n"]:
        """Output of the layer: the spikes if it has any, otherwise the state."""
        return self.state if self.spikes is None else self.spikes


class Record(NamedTuple):
    """Results of a network over the sequence: its readout traces, and the `Trace` of every layer by name.

    Example:
        >>> import jax.numpy as jnp
        >>> hidden = Trace(state=jnp.zeros((5, 2, 3)), spikes=jnp.ones((5, 2, 3)))
        >>> readout = Trace(state=jnp.zeros((5, 2, 10)))
        >>> record = Record(readout=readout.state, layers={"hidden": hidden, "readout": readout})
        >>> record.peak.shape, {name: counts[0].tolist() for name, counts in record.counts.items()}
        ((2, 10), {'hidden': [5.0, 5.0, 5.0]})
    """

    readout: Float[Array, "time batch cls"]
    layers: dict[str, Trace]

    @property
    def dt(self) -> float | None:
        """Length of a time step [ms], or None if no layer has one."""
        return next((trace.dt for trace in self.layers.values() if trace.dt is not None), None)

    @property
    def peak(self) -> Float[Array, "batch cls"]:
        """Maximum of the readout over time; its gradient is shared evenly between ties."""
        last = next(reversed(self.layers.values()), None)
        return self.readout.max(0) if last is None or last.peak is None else last.peak

    @property
    def spikes(self) -> dict[str, Float[Array, "time batch n"]]:
        """The spike trains of the spiking layers, by name."""
        return {name: trace.spikes for name, trace in self.layers.items() if trace.spikes is not None}

    @property
    def counts(self) -> dict[str, Float[Array, "batch n"]]:
        """Number of spikes of each neuron in the spiking layers, by name; much cheaper than summing `spikes`."""
        return {
            name: trace.spikes.sum(0) if trace.counts is None else trace.counts
            for name, trace in self.layers.items()
            if trace.spikes is not None
        }
