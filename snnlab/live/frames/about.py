"""What the screen shows and does not change while a run lasts: knobs, layers, fields, panels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from snnlab.controls import Knob
from snnlab.history import Scored
from snnlab.live.frames import wording
from snnlab.live.frames.curves import WINDOWS
from snnlab.live.frames.explained import KNOB, explained_frame, key_of
from snnlab.live.frames.paper import Paper
from snnlab.live.frames.scenes import SORTS
from snnlab.live.frames.status import HZ
from snnlab.live.frames.tour import tour
from snnlab.live.frames.weights import SORTS as WEIGHT_SORTS
from snnlab.support import numbers

PARTS = (
    "head",
    "knobs",
    "raster",
    "curves",
    "voltages",
    "neuron",
    "health",
    "errors",
    "weights",
    "time",
    "run",
    "stage",
)  # that can be shown alone
PACES = (100, 30, 10, 3, 1)  # steps a second that can be chosen, beside as fast as it goes
CODE = "code"  # of the input, before all layers
USUAL = Scored()
TRAINING = "training"  # heading of the knobs that belong to no layer


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a knob into its layer and its name there.

    Example:
        >>> split_name("hidden.v_th"), split_name("l1")
        (('hidden', 'v_th'), ('training', 'l1'))
    """
    layer, _, short = name.rpartition(".")
    return layer or TRAINING, short


def about_frame(
    knobs: Mapping[str, Knob],
    *,
    order: Sequence[str],
    layers: Sequence[str],
    terms: Sequence[str],
    spiking: bool,
    samples: int,
    classes: Sequence[str],
    structure: Mapping[str, int],
    folder: str,
    show: Sequence[str],
    paper: Paper | str,
    metrics: Sequence[str] = (),
    scored: Scored = USUAL,
    task: str = "label",
    devices: int = 1,
) -> dict[str, Any]:
    """Describe the fixed part of the screen.

    Args:
        knobs: the knobs that get sliders, with their first values.
        order: names of all layers from the input to the readout; the groups of knobs follow it.
        layers: names of the layers that the raster can show.
        terms: names of the terms of the loss.
        spiking: the network has spikes to count.
        samples: number of test samples to choose from.
        classes: names of the classes, or of the outputs.
        structure: names and values of what can change only at a restart.
        folder: where Export writes.
        show: the panels, see `snnlab.live.frames.status.PANELS`.
        paper: what can be drawn in place of a test sample, or why nothing can.
        metrics: names of metrics of the user's own.
        scored: how the run is scored: the part of the data that is looked at, and the score.
        task: what the targets are, see `snnlab.data.Dataset`.
        devices: how many share out the samples of each batch.
    """
    described = [_knob(knob) for knob in knobs.values()]
    place = {name: k for k, name in enumerate([CODE, *order])}
    described.sort(key=lambda knob: (knob["group"] == TRAINING, place.get(knob["group"], len(place))))
    stops = tour(described, layers=layers, spikes=spiking, show=show, task=task)
    return {
        "knobs": described,
        "layers": list(layers),
        "terms": list(terms),
        "metrics": list(metrics),
        "part": scored.part,
        "score": _score(scored),
        "task": task,
        "spiking": spiking,
        "nouns": wording.nouns(spiking),
        "samples": samples,
        "structure": dict(structure),
        "devices": devices,
        "folder": folder,
        "show": list(show),
        "sorts": list(SORTS),
        "weight_sorts": list(WEIGHT_SORTS),
        "classes": list(classes),
        "windows": list(WINDOWS),
        "hz": list(HZ),
        "paces": list(PACES),
        "paper": _paper(paper),
        "explained": explained_frame(knobs, terms, task),
        "tour": [stop._asdict() | {"move": stop.move and stop.move._asdict()} for stop in stops],
    }


def _score(scored: Scored) -> dict[str, Any]:
    """The score in words, its two curves, and whether it is a share."""
    curves = [scored.score, scored.result]
    return {"name": scored.name, "words": scored.words, "curves": curves, "share": scored.score == "accuracy"}


def _paper(paper: Paper | str) -> dict[str, Any]:
    if isinstance(paper, str):
        return {"rows": 0, "columns": 0, "frame": None, "reason": paper}
    frame = None if paper.frame is None else list(paper.frame)
    return {"rows": paper.rows, "columns": paper.columns, "frame": frame, "reason": ""}


def _knob(knob: Knob) -> dict[str, Any]:
    group, label = split_name(knob.name)
    bounds = {"low": knob.low, "high": knob.high, "least": None if knob.least == -math.inf else knob.least}
    named = {"name": knob.name, "group": group, "label": label, "unit": knob.unit, "explain": key_of(KNOB, knob.name)}
    return {**named, **bounds, "value": numbers.rounded(knob.value), "log": knob.log}
