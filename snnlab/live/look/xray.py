"""Runs many test samples through the network as it is now: what its layers do with them, and when it decides."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.layers import IF, LifRef
from snnlab.live.frames.activity import UNDECIDED, Seen
from snnlab.live.frames.firing import Cell
from snnlab.live.frames.pixels import thinned
from snnlab.live.frames.targets import EVERY_STEP
from snnlab.losses import Classification, Regression, SeveralLabels
from snnlab.models import describe
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.tasks import LabelTask
from snnlab.train.step import State, Stepper, Structure, compiled, run_model

BATCH = 100

RUNNING = {
    "max": lambda readout: jax.lax.cummax(readout, axis=0),
    "mean": lambda readout: jnp.cumsum(readout, axis=0),  # its highest class is that of the mean
    "sum": lambda readout: jnp.cumsum(readout, axis=0),
    "last": lambda readout: readout,
}
"""The scores if the sequence ended at each step, up to a factor, for each of `snnlab.losses.READOUTS`."""


class Train(NamedTuple):
    """One neuron in many samples.

    Attributes:
        spikes: when it fired.
        current: its input current, or None if that is unknown.
    """

    spikes: np.ndarray  # (time, samples)
    current: np.ndarray | None


class XRay:
    """Runs a model on test samples from its whole test set; compiled once for all states, and once for each layer.

    Args:
        stepper: model and loss.
        data: its test set has the samples.
        samples: number of samples, at the most.

    Raises:
        ArgumentError: if `samples` is no positive integer.

    Example:
        >>> from snnlab import data, models
        >>> from snnlab.train import Trainer
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, batch_size=64)
        >>> xray = XRay(trainer.stepper, digits, samples=50)
        >>> seen = xray(trainer.state)
        >>> seen.activity["hidden"].shape, seen.decisions.shape, seen.dt
        ((50, 20), (100, 50), 1.0)
        >>> xray.train(trainer.state, "hidden", 3).spikes.shape
        (100, 50)
    """

    @transfers_allowed()
    def __init__(self, stepper: Stepper, data: Dataset, samples: int = 500):
        self._stepper, self._data = stepper, data
        self._index = thinned(len(data.seen.x), arguments.count("samples", samples))
        self._dt = describe(stepper.structure.merge(stepper.start)["model"]).step
        self._layers = _layers(stepper, data.seen.x[self._index[:1]])
        self._see = compiled(_see, stepper.structure)
        self._listen: dict[str, Callable] = {}

    @never_lost()
    @transfers_allowed()
    def __call__(self, state: State) -> Seen:
        """Run the samples in a state; any thread may call this at any time."""
        keep_programs()
        counts, decisions = self._run(self._see, state)
        return Seen(
            step=int(state.step),
            labels=self._data.seen.targets.values[self._index] if self._data.task == "label" else None,
            total=len(self._data.seen.x),
            activity={name: counts[name].T for name in self._layers},
            spiking=tuple(name for name, kind in self._layers.items() if kind.spikes),
            decisions=decisions,
            dt=self._dt,
        )

    @never_lost()
    @transfers_allowed()
    def train(self, state: State, layer: str, unit: int) -> Train | None:
        """Return the spikes of one neuron in the samples; None if its layer does not spike.

        Raises:
            ArgumentError: if there is no such layer or unit.
        """
        keep_programs()
        if not self._layers:
            return None
        kind = self._layers[arguments.choice("layer", layer, tuple(self._layers))]
        arguments.count("unit", unit, 0, kind.features - 1)
        if not kind.spikes:
            return None
        if layer not in self._listen:
            self._listen[layer] = compiled(_listen, self._stepper.structure, layer)
        return Train(*self._run(self._listen[layer], state, np.int32(unit)))

    def _run(self, program: Callable, state: State, *more):
        """Run the samples in batches of one shape, and join what comes back along its last axis: the samples."""
        size = min(BATCH, len(self._index))
        parts = []
        for number, first in enumerate(range(0, len(self._index), size)):
            batch = self._index[first : first + size]
            filled = np.pad(batch, (0, size - len(batch)), mode="edge")
            lengths = self._data.seen.targets[filled].lengths
            found = program(state, self._data.seen.x[filled], lengths, np.int32(number), *more)
            parts.append(jax.tree.map(functools.partial(_first, len(batch)), found))
        return jax.tree.map(lambda *arrays: np.concatenate(arrays, axis=-1), *parts)


class _Kind(NamedTuple):
    """Whether a layer spikes, and its width."""

    spikes: bool
    features: int


def _layers(stepper: Stepper, x) -> dict[str, _Kind]:
    """Trace the model without computing it; returns the layers in their order."""
    found: dict[str, _Kind] = {}  # a traced function would return a sorted dict

    def run(x):
        model = stepper.structure.merge(stepper.start)["model"]
        record = run_model(model, x, jax.random.key(0))
        found.update({name: _Kind(t.spikes is not None, t.state.shape[-1]) for name, t in record.layers.items()})
        return record.readout

    jax.eval_shape(run, x)
    return found


def _first(count: int, array) -> np.ndarray:
    return np.asarray(array)[..., :count]


def _record(structure: Structure, state: State, x, lengths, number) -> tuple[Record, Callable]:
    system = structure.merge(state)
    key = jax.random.fold_in(jax.random.key(0), number)  # a random code is the same every time
    return run_model(system["model"], x, key)._replace(lengths=lengths), system["loss"]


def _see(structure: Structure, state: State, x, lengths, number):
    """Return spike counts or mean outputs of every layer, and the running decisions or None."""
    record, loss = _record(structure, state, x, lengths, number)
    counts = record.counts
    activity = {name: counts.get(name, trace.state.mean(0)).T for name, trace in record.layers.items()}
    rule = running_readout(loss) if isinstance(structure.task, LabelTask) else None
    return activity, None if rule is None else _decide(RUNNING[rule](record.readout))


def _listen(structure: Structure, layer: str, state: State, x, lengths, number, unit):
    """Return the spikes of one neuron, and its current or None."""
    trace = _record(structure, state, x, lengths, number)[0].layers[layer]
    return trace.output[:, :, unit] > 0, None if trace.current is None else trace.current[:, :, unit]


def _decide(scores):
    """Return the class with the highest score, or `UNDECIDED` if there is more than one, or none that is finite."""
    best = scores.max(-1, keepdims=True)
    clear = ((scores == best).sum(-1) == 1) & jnp.isfinite(best[..., 0])
    return jnp.where(clear, scores.argmax(-1), UNDECIDED).astype(jnp.int32)


READING = (Classification, SeveralLabels, Regression)  # losses that read one score an output out of the trace


def running_readout(loss: Callable | None, task: str = "label") -> str | None:
    """Return the name of the readout that a loss scores outputs with; None if the scores are its own.

    A task with a target every step looks at every step, so its readout is the "last" one so far.

    Example:
        >>> running_readout(Classification("mean")), running_readout(lambda record, labels: 0.0)
        ('mean', 'max')
    """
    if task in EVERY_STEP:
        return "last"
    for kind in READING:
        if isinstance(loss, kind):
            return loss.readout if type(loss).scores is kind.scores else None
    if hasattr(loss, "scores"):
        return None
    return "max" if task == "label" else "mean"  # as `losses.class_scores`, and as `compared` of the other tasks


@transfers_allowed()
def cell(model: nnx.Module, layer: str, unit: int) -> Cell | None:
    """Return the constants of one neuron; None if it is neither a `LifRef` nor an `IF`, or the layer is unknown.

    Args:
        model: such as a `Network` or a `Stack`.
        layer: name of the layer.
        unit: index in the layer.

    Raises:
        ArgumentError: if the layer has no such unit.

    Example:
        >>> from snnlab import models
        >>> net = models.build(models.SnnConfig(hidden=20, tau_ref=2.0), sample_shape=(8, 8), num_classes=10)
        >>> one = cell(net, "hidden", 17)
        >>> one.tau_mem, one.held, one.reset
        (10.0, 2, 'subtract')
    """
    known = describe(model).layers.get(layer)
    neuron = None if known is None else known.neuron
    if known is None or not isinstance(neuron, LifRef | IF):
        return None
    features = neuron.features if known.features is None else known.features
    if not 0 <= unit < features:
        raise ArgumentError(f"unit: must be in 0..{features - 1}, the units of {layer}, got {unit}")
    unit = unit * neuron.features // features  # the neurons of a channel share its constants
    names = ["v_th", "v_rest", "v_reset", "r", *(["tau_mem", "tau_ref"] if isinstance(neuron, LifRef) else [])]
    arrays = {name: np.asarray(getattr(neuron, name)[...]) for name in names}
    values = {name: float(array[unit] if array.ndim else array) for name, array in arrays.items()}
    return Cell(leaky=isinstance(neuron, LifRef), reset=neuron.reset, dt=neuron.dt, **values)
