"""Runs one sample through the network as it is now, and reads one of its neurons: for the raster."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Shaped

from snnlab.data import Dataset
from snnlab.data.targets import Targets
from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.layers import LSTM
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.frames.targets import EVERY_STEP
from snnlab.live.look.xray import running_readout
from snnlab.losses import Regression, SpikeTrains, TraceRegression
from snnlab.models import LayerDescription, Network, describe
from snnlab.record import Record
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.tasks import task_of
from snnlab.tasks.spike_trains import NEAR
from snnlab.train.step import graphdef, run_model

CONSTANTS = ("tau_mem", "tau_rise", "tau_syn", "tau_ref", "v_th")


class Prober:
    """Runs a model on single samples; compiled once for all samples and all weights.

    Args:
        model: its structure; the values come with every call.
        data: the part that is looked at has the samples; any other sample must be of the same shape and type.
        loss: its scores are what the network says, see `snnlab.tasks.Task.compared`; None takes the highest trace.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> probe = Prober(net, digits)(net, 3)
        >>> probe.readout.shape, {name: raster.shape for name, raster in probe.rasters.items()}
        ((100, 10), {'input': (100, 64), 'hidden': (100, 20)})
    """

    def __init__(self, model: nnx.Module, data: Dataset, loss: Callable | None = None):
        self._data = data
        self._names: tuple[str, ...] = ()
        self._rule = running_readout(loss, data.task)
        self._loss = loss
        structure, task = graphdef(model, training=False), task_of(data)

        @jax.jit
        def run(state, x, lengths):
            model = nnx.merge(structure, state)
            record = run_model(model, x, jax.random.key(0))._replace(lengths=lengths)
            self._names = tuple(record.layers)  # in order, known while tracing: a jitted function returns sorted dicts
            rasters = {name: spikes[:, 0] > 0 for name, spikes in record.spikes.items()}
            states = {name: trace.state[:, 0] for name, trace in record.layers.items()}
            encode = model.encode if isinstance(model, Network) else describe(model).encoder
            code = encode(x, key=jax.random.key(0)) if encode is not None and rasters else None
            if code is not None:
                dense = code.dense() if isinstance(code, SpikeTimes | Steady) else code
                rasters = {"input": dense[:, 0], **rasters}
            said, readout = task.compared(loss, record)[0], _readout(loss, record)
            if data.task in EVERY_STEP and said.shape == readout.shape:
                readout = said  # in the unit of the targets, whoever wrote the loss
            return rasters, states, readout, said

        self._run = run
        lengths = data.seen.targets.lengths  # a drawing is as long as the sequence; one shape, so one program
        self._whole = None if lengths is None else np.full(1, data.seen.x.shape[1], lengths.dtype)

    def __call__(self, model: nnx.Module, index: int, loss: Callable | None = None) -> Probe:
        """Run sample `index` of the part that is looked at.

        Args:
            model: with the values of now.
            index: of the sample.
            loss: with the values of now, as its time constant may have been moved; default: as the prober got it.
        """
        x, targets = self._data.seen
        probe = self._look(model, x[index], self._data.image(index), targets[index : index + 1])
        return dataclasses.replace(probe, tau=_filter_of(loss or self._loss, describe(model).step))

    def own(self, model: nnx.Module, sample: Shaped[np.ndarray, "..."]) -> Probe:
        """Run a sample that is none of the data's, and has no label.

        Raises:
            ArgumentError: if it has another shape or type than the samples of the data, or these are events.
        """
        wanted = self._data.x_train
        if self._data.has_events or sample.shape != wanted.shape[1:] or sample.dtype != wanted.dtype:
            kind = "events" if self._data.has_events else f"{wanted.dtype}{wanted.shape[1:]}"
            raise ArgumentError(f"sample: must be {kind}, as those of the data, got {sample.dtype}{sample.shape}")
        return self._look(model, sample, sample, None)

    @never_lost()
    @transfers_allowed()
    def _look(self, model: nnx.Module, sample: np.ndarray, image: np.ndarray, targets: Targets | None) -> Probe:
        keep_programs()  # a dashboard shows a sample before it trains
        lengths = self._whole if targets is None else targets.lengths
        rasters, states, readout, said = self._run(nnx.state(model), sample[None], lengths)
        labelled = self._data.task == "label"
        known: dict[str, Any] = (
            {"label": None} if targets is None or not labelled else {"label": int(targets.values[0])}
        )
        if targets is not None and not labelled:
            known["target"] = np.asarray(targets.values[0])
            known |= {"mask": None if targets.mask is None else targets.mask[0]}
        if targets is not None and targets.lengths is not None:
            known["length"] = int(targets.lengths[0])
        found = {name: np.asarray(rasters[name]) for name in ("input", *self._names) if name in rasters}
        return Probe(
            sample=image,
            **_input_of(found),
            states={name: np.asarray(states[name]) for name in self._names},
            readout=np.asarray(readout),
            prediction=int(np.argmax(said)) if labelled else -1,
            rule=self._rule,
            events=self._data.has_events,
            task=self._data.task,
            said=np.asarray(said),
            **known,
        )


def _readout(loss: Callable | None, record: Record) -> jax.Array:
    """The readout traces of the sample, in the unit of the targets if the loss knows it."""
    readout = record.readout[:, 0]
    return loss.in_units(readout) if isinstance(loss, Regression | TraceRegression) else readout


@transfers_allowed()
def _filter_of(loss: Callable | None, dt: float | None) -> float:
    """The time constant of the filter that spike trains are compared behind [steps]."""
    if not isinstance(loss, SpikeTrains):
        return NEAR
    return float(loss.tau[...]) / (dt or loss.dt or 1.0)


def _input_of(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """What goes into the network and what its layers fire; an input of other numbers than 0 and 1 is no spikes."""
    code = found.pop("input", None)
    rasters = {name: values > 0 for name, values in found.items()}
    if code is None:
        return {"rasters": rasters}
    if ((code == 0) | (code == 1)).all():
        return {"rasters": {"input": code > 0, **rasters}}
    return {"rasters": rasters, "signal": code}


def neuron(model: nnx.Module, layer: str, unit: int) -> Neuron:
    """Read the constants and incoming weights of one unit; of a model that does not expose its layers, only the name.

    Args:
        model: such as a `Network` or a `Stack`.
        layer: name of the layer.
        unit: index in the layer.

    Raises:
        ArgumentError: if the layer has no such unit.

    Example:
        >>> from snnlab import models
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> one = neuron(net, "hidden", 17)
        >>> one.constants, one.weights.shape
        ((('tau_mem', 10.0, 'ms'), ('tau_syn', 10.0, 'ms'), ('tau_ref', 0.0, 'ms'), ('v_th', 1.0, '')), (64,))
    """
    layers = describe(model).layers
    if layer not in layers:
        return Neuron(layer=layer, unit=unit)
    known = layers[layer]
    if known.features is not None and not 0 <= unit < known.features:
        raise ArgumentError(f"unit: must be in 0..{known.features - 1}, the units of {layer}, got {unit}")
    constants, weights = _constants(known, unit), _weights(known.module, unit)
    return Neuron(layer=layer, unit=unit, constants=constants, weights=weights, first=layer == next(iter(layers)))


def _constants(layer: LayerDescription, unit: int) -> tuple[tuple[str, float, str], ...]:
    parts = (layer.module, layer.neuron, layer.synapse)
    found = {name: getattr(part, name) for part in parts for name in CONSTANTS if hasattr(part, name)}
    values = {name: np.asarray(found[name][...]) for name in CONSTANTS if name in found}
    units = {name: found[name].get_metadata().get("unit", "") for name in values}
    return tuple((name, float(v[unit] if v.ndim else v), units[name]) for name, v in values.items())


def _weights(module: Callable, unit: int) -> np.ndarray | None:
    if isinstance(module, LSTM):  # its gates are side by side, `features` columns each
        return np.asarray(module.w_x[...])[:, unit :: module.features].T
    kernel = getattr(module, "kernel", None)
    return None if kernel is None else np.asarray(kernel[...])[:, unit]
