"""Check that the model and the data fit together, before anything is computed."""

import warnings

import jax
from flax import nnx

from snnlab.data import Dataset, EventLists
from snnlab.encode import Binned
from snnlab.errors import ArgumentError
from snnlab.models import describe
from snnlab.record import Record
from snnlab.train.step import run_model


def check_fit(model: nnx.Module, data: Dataset, batch_size: int) -> Record:
    """Trace the model without computing it.

    Raises:
        ArgumentError: if its readout is not `(time, batch, class)` or has fewer classes than the data, or if it reads
            events of another sensor.

    Warns:
        UserWarning: if the data has events after the last time step.
    """
    _check_events(model, data)
    x = data.x_train[:1]
    x = jax.ShapeDtypeStruct((batch_size, *x.shape[1:]), x.dtype)
    structure, state = nnx.split(model)
    record = jax.eval_shape(lambda s, x: run_model(nnx.merge(structure, s), x, jax.random.key(0)), state, x)
    shape = record.readout.shape
    if len(shape) != 3 or shape[1] != batch_size:
        raise ArgumentError(f"model: its readout must be (time, batch, class), got {shape} for a batch of {batch_size}")
    if shape[2] < data.num_classes:
        raise ArgumentError(f"model: has {shape[2]} outputs, the data has {data.num_classes} classes")
    return record


def _check_events(model: nnx.Module, data: Dataset) -> None:
    """Check that the network sees all events of the data. No shape error would tell."""
    code = describe(model).encoder
    if not isinstance(code, Binned) or not data.has_events:
        return
    if code.units != data.num_features:
        raise ArgumentError(
            f"model: reads events of {code.units} units, the sensor of the data has {data.sample_shape} = "
            f"{data.num_features}; build it with sample_shape=data.sample_shape"
        )
    parts = [part for part in (data.x_train, data.x_test) if isinstance(part, EventLists)]
    late = sum(part.late(code.num_steps, code.dt) for part in parts)
    if late:
        total, steps = sum(len(part.times) for part in parts), max(part.steps(code.dt) for part in parts)
        warnings.warn(
            f"{late:,} of {total:,} events come after num_steps * dt = {code.num_steps * code.dt:g} ms and are not "
            f"seen; num_steps={steps} sees them all",
            stacklevel=4,
        )
