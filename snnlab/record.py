"""The results of layers and networks over the sequence: `Trace` and `Record`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

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

    Attributes:
        readout: readout traces.
        layers: the traces of the layers by name, in order; the last one is the readout.
        lengths: number of steps of every sample, or None if all have the length of the sequence. What comes after the
            last step of a sample is in the traces, but not in anything that is computed of them here.

    Example:
        >>> import jax.numpy as jnp
        >>> hidden = Trace(state=jnp.zeros((5, 2, 3)), spikes=jnp.ones((5, 2, 3)))
        >>> readout = Trace(state=jnp.zeros((5, 2, 10)))
        >>> record = Record(readout=readout.state, layers={"hidden": hidden, "readout": readout})
        >>> record.peak.shape, {name: counts[0].tolist() for name, counts in record.counts.items()}
        ((2, 10), {'hidden': [5.0, 5.0, 5.0]})
        >>> record._replace(lengths=jnp.array([5, 2])).counts["hidden"][:, 0].tolist()
        [5.0, 2.0]
    """

    readout: Float[Array, "time batch cls"]
    layers: dict[str, Trace]
    lengths: Int[Array, " batch"] | None = None

    @property
    def dt(self) -> float | None:
        """Length of a time step [ms], or None if no layer has one."""
        return next((trace.dt for trace in self.layers.values() if trace.dt is not None), None)

    @property
    def within(self) -> Bool[Array, "time batch 1"] | None:
        """Whether a step belongs to the sample; None if all do."""
        if self.lengths is None:
            return None
        return (jnp.arange(len(self.readout))[:, None] < self.lengths)[..., None]

    @property
    def peak(self) -> Float[Array, "batch cls"]:
        """Maximum of the readout over time; its gradient is shared evenly between ties."""
        within, last = self.within, next(reversed(self.layers.values()), None)
        if within is not None:
            return jnp.where(within, self.readout, -jnp.inf).max(0)
        return self.readout.max(0) if last is None or last.peak is None else last.peak

    @property
    def total(self) -> Float[Array, "batch cls"]:
        """Sum of the readout over time."""
        within = self.within
        return self.readout.sum(0) if within is None else jnp.where(within, self.readout, 0.0).sum(0)

    @property
    def mean(self) -> Float[Array, "batch cls"]:
        """Mean of the readout over time."""
        return self.readout.mean(0) if self.lengths is None else self.total / self.lengths[:, None]

    @property
    def last(self) -> Float[Array, "batch cls"]:
        """The readout at the last step of the sample."""
        if self.lengths is None:
            return self.readout[-1]
        return jnp.take_along_axis(self.readout, (self.lengths - 1)[None, :, None], axis=0)[0]

    @property
    def spikes(self) -> dict[str, Float[Array, "time batch n"]]:
        """The spike trains of the spiking layers, by name."""
        return {name: trace.spikes for name, trace in self.layers.items() if trace.spikes is not None}

    @property
    def counts(self) -> dict[str, Float[Array, "batch n"]]:
        """Number of spikes of each neuron in the spiking layers, by name; much cheaper than summing `spikes`."""
        within = self.within
        if within is not None:
            return {name: jnp.where(within, spikes, 0.0).sum(0) for name, spikes in self.spikes.items()}
        return {
            name: trace.spikes.sum(0) if trace.counts is None else trace.counts
            for name, trace in self.layers.items()
            if trace.spikes is not None
        }
