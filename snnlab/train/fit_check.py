"""Check that the model and the data fit together, before anything is computed."""

import jax
import numpy as np
from flax import nnx

from snnlab.data import Dataset, EventLists
from snnlab.data.source import Head
from snnlab.data.targets import KINDS, UNLABELLED
from snnlab.encode import Binned
from snnlab.encode.ranges import unfit
from snnlab.errors import ArgumentError
from snnlab.models import describe
from snnlab.record import Record
from snnlab.support.warn import warn
from snnlab.train.step import run_model

EARLY = 20  # times shorter than the sequence: such a recording has another unit of time


def check_fit(model: nnx.Module, data: Dataset, batch_size: int) -> Record:
    """Trace the model without computing it.

    Raises:
        ArgumentError: if its readout is not `(time, batch, output)`, has another number of outputs than the targets or
            fewer than there are classes, or another number of steps than a target every step or samples with lengths,
            or if it reads events of another sensor.

    Warns:
        UserWarning: if the encoder cannot express the samples, because they have another scale, another unit of time,
            or come after the last time step; if a class that is tested is never trained.
    """
    _check_events(model, data)
    _check_range(model, data)
    if not isinstance(data, Head):  # its first samples may lack a class by chance
        _check_labels(data)
    x = data.x_train[:1]
    x = jax.ShapeDtypeStruct((batch_size, *x.shape[1:]), x.dtype)
    structure, state = nnx.split(model)
    record = jax.eval_shape(lambda s, x: run_model(nnx.merge(structure, s), x, jax.random.key(0)), state, x)
    shape = record.readout.shape
    if len(shape) != 3 or shape[1] != batch_size:
        raise ArgumentError(f"model: its readout must be (time, batch, class), got {shape} for a batch of {batch_size}")
    if data.num_classes and shape[2] < data.num_classes:
        raise ArgumentError(f"model: has {shape[2]} outputs, the data has {data.num_classes} classes")
    if (not data.num_classes or data.task == "several_labels") and shape[2] != data.num_outputs:
        raise ArgumentError(f"model: has {shape[2]} outputs, a target of the data has {data.num_outputs}")
    _check_steps(data, shape[0])
    return record


def _check_steps(data: Dataset, steps: int) -> None:
    """Check that the sequence of the network is as long as that of the targets, and of samples with lengths."""
    if KINDS[data.task].every_step and data.y_train.shape[1] != steps:
        raise ArgumentError(f"model: takes {steps} steps, the data has targets for {data.y_train.shape[1]}")
    timed = any(data.part(part).targets.lengths is not None for part in data.parts)
    if timed and data.x_train.shape[1] != steps:
        raise ArgumentError(
            f"model: takes {steps} steps, samples with lengths have {data.x_train.shape[1]}; let it read one frame a "
            'step, such as with SnnConfig(code="rows")'
        )


def _check_range(model: nnx.Module, data: Dataset) -> None:
    """Compare the range of the samples with what the encoder can express."""
    code = describe(model).encoder
    reason = None if isinstance(data.x_train, EventLists) else unfit(code, data.x_train)
    if reason is not None:
        warn(f"x_train: {type(code).__name__} cannot express these samples: {reason}")


def _check_labels(data: Dataset) -> None:
    """Check that every class that is tested is also trained."""
    if data.task not in ("label", "step_labels"):
        return
    missing = np.setdiff1d(data.y_test, [*np.unique(data.y_train), UNLABELLED])
    if missing.size:
        some = ", ".join(data.class_names[label] for label in missing[:5]) + (", ..." if missing.size > 5 else "")
        warn(
            f"y_train: has no sample of {missing.size} of the classes that y_test has ({some}); shuffle the samples "
            "before they are divided",
        )


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
    parts = [x for part in data.parts if isinstance(x := data.part(part).x, EventLists)]
    steps = max(part.steps(code.dt) for part in parts)
    if steps * EARLY <= code.num_steps:
        warn(
            f"all events come within the first {steps} of {code.num_steps} steps of {code.dt:g} ms; their times are "
            f"microseconds, so multiply milliseconds by 1000; or choose a smaller dt",
        )
    late = sum(part.late(code.num_steps, code.dt) for part in parts)
    if late:
        total = sum(len(part.times) for part in parts)
        warn(
            f"{late:,} of {total:,} events come after num_steps * dt = {code.num_steps * code.dt:g} ms and are not "
            f"seen; num_steps={steps} sees them all",
        )
