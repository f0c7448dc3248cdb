"""Make a data set of the arrays in files of your own: find out what the targets are, divide and scale, and say so."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnlab.data.dataset import MORE, PARTS, Dataset
from snnlab.data.deduce import deduced, numbered
from snnlab.data.parts import SEED, divide
from snnlab.data.targets import KINDS
from snnlab.errors import ArgumentError, DataError
from snnlab.support import arguments

NAMES = ("x", "y", *MORE)
"""Arrays that a set in one piece has; those of a part have its name behind theirs, as `x_train`."""

WORDS = {"train": "to train", "val": "to validate", "test": "to test"}


def dataset_of(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    *,
    task: str | None = None,
    class_names: tuple[str, ...] = (),
    source: str = "",
    timed: bool = False,
) -> Dataset:
    """Make a data set of arrays that were read.

    Samples in one piece, `x` and `y`, are divided by `snnlab.data.parts.divide`, and so are `x_train` and `y_train`
    where there is no `x_test`. Tables, which are real numbers in one axis, are scaled: each column to 0..1, by its
    lowest and highest value in the training part.

    Args:
        path: where they come from.
        arrays: by the names of `NAMES`, or by these with a part behind.
        task: what the targets are; None: `deduced`.
        class_names: of the file, if it has them; then labels are integers from 0.
        source: where the targets stood, such as "in column 'species'".
        timed: whether the first axis of a sample is time.

    Raises:
        DataError: if they are no data set; the message names the file.
    """
    try:
        return _dataset(path, dict(arrays), task, class_names, source, timed)
    except ArgumentError as error:
        raise DataError(f"{path}: {error}") from error


def _dataset(path: Path, arrays: dict[str, Any], task: str | None, class_names, source: str, timed: bool) -> Dataset:
    whole = "x" in arrays
    parts = ["whole"] if whole else [part for part in PARTS if f"x_{part}" in arrays]
    sets: dict[str, dict[str, Any]] = {
        part: {name: arrays.get(name if whole else f"{name}_{part}") for name in NAMES} for part in parts
    }
    for part, one in sets.items():
        _check_counts(one, "" if whole else f"_{part}")
    first = sets[parts[0]]
    task = deduced(first["y"], first["x"]) if task is None else arguments.choice("task", task, KINDS)
    if task == "label" and class_names:
        sets = {part: one | {"y": KINDS[task].check("y", one["y"])} for part, one in sets.items()}
    elif task == "label":
        labels, class_names = numbered({part: one["y"] for part, one in sets.items()})
        sets = {part: one | {"y": labels[part]} for part, one in sets.items()}
    said = []
    if "test" not in sets:
        sets = _divided(sets, task == "label", class_names)
        sizes = ", ".join(f"{len(sets[part]['x']):,} {WORDS[part]}" for part in PARTS if part in sets)
        rule = f"seed {SEED}{', every class in proportion' if task == 'label' else ''}"
        said.append(f"divided into {sizes} ({rule})")
    if first["x"].ndim == 2 and first["x"].dtype.kind == "f" and first["x"].size:
        sets = _scaled(sets)
        said.append("each column scaled to 0..1 by its lowest and highest value in training")
    values: dict[str, Any] = {f"{name}_{part}": array for part, one in sets.items() for name, array in one.items()}
    found = Dataset(name=path.resolve().name, task=task, class_names=class_names, timed=timed, **values)
    return replace(found, understood="; ".join([_words(found, source), *said]))


def _check_counts(one: Mapping[str, Any], ending: str) -> None:
    for name in NAMES[1:]:
        if one[name] is not None and len(one[name]) != len(one["x"]):
            raise ArgumentError(f"{name}{ending}: has {len(one[name])} rows, x{ending} has {len(one['x'])} samples")


def _divided(sets: dict[str, dict], has_labels: bool, class_names: tuple[str, ...]) -> dict[str, dict]:
    """The parts of what is whole, or of the training part where there is none to test with."""
    (_, one), *others = sets.items()
    labels = one["y"] if has_labels else None
    places = divide(len(one["x"]), labels, validation="val" not in sets, names=class_names)
    made = {
        part: {name: None if array is None else array[index] for name, array in one.items()}
        for part, index in places.items()
    }
    return made | dict(others)


def _scaled(sets: dict[str, dict]) -> dict[str, dict]:
    x = np.asarray(sets["train"]["x"], np.float64)
    low, high = x.min(0), x.max(0)
    spread = np.where(high > low, high - low, 1.0)
    return {part: one | {"x": ((one["x"] - low) / spread).astype(np.float32)} for part, one in sets.items()}


def _words(found: Dataset, source: str) -> str:
    """Say what was understood: how many samples of what, and what their targets are."""
    samples = sum(len(found.part(part).x) for part in found.parts)
    shape = found.sample_shape
    if found.timed:
        uneven = any(found.part(part).targets.lengths is not None for part in found.parts)
        channels = " x ".join(map(str, shape[1:]))
        what = f"{'up to ' if uneven else ''}{shape[0]:,} steps of {channels} channel{'' if channels == '1' else 's'}"
    else:
        what = f"{shape[0]:,} number{'' if shape[0] == 1 else 's'}" if len(shape) == 1 else f"shape {shape}"
    return f"{samples:,} samples of {what}, {found.targets_in_words}{' ' if source else ''}{source}"
