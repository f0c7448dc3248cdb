"""Read runs from a folder of checkpoints without their model: what each began with, and what it recorded."""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnlab.checkpoint.folder import newest_in
from snnlab.checkpoint.snapshot import NO_RUN, Snapshot, about, check, part
from snnlab.controls import LEARNING_RATE
from snnlab.errors import FileFormatError, SnnlabError
from snnlab.history import History
from snnlab.support import arguments
from snnlab.timeline.timeline import TRUNK
from snnlab.train import Trainer

Setting = str | float | bool | None

LARGEST = 2**63  # of the integers of a file
# Fields of a config with one number a layer.
OF_LAYERS = ("hidden", "channels", "window", "stride", "pool", "dense", "gains")
# Fields of a config that only give a knob its first value: the knob tells more. With several hidden layers, or in a
# convolutional network, there is one in each: "hidden2.tau_mem", "conv1.tau_mem".
KNOB_OF = {
    "tau_mem": "hidden.tau_mem",
    "tau_syn": "hidden.tau_syn",
    "tau_out": "readout.tau_mem",
    "v_th": "hidden.v_th",
    "slope": "hidden.slope",
    "beta": "hidden.beta",
    "tau_adapt": "hidden.tau_adapt",
    "tau_latency": "code.tau",
    "threshold_latency": "code.threshold",
    LEARNING_RATE: LEARNING_RATE,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedRun:
    """One branch of a saved run.

    Attributes:
        branch: its name.
        history: everything that happened in it.
        steps_per_epoch: optimizer steps in an epoch.
        began: what it began with, by name: network, data, settings of the training, and knobs.
        waiting: new values of knobs that had not acted yet.

    Example:
        >>> import tempfile
        >>> from snnlab import checkpoint, data, models, train
        >>> folder, digits = tempfile.mkdtemp(), data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> checkpoints = checkpoint.Checkpoints(train.Trainer(net, digits, epochs=2, batch_size=64), folder)
        >>> _ = [report for report in checkpoints]
        >>> checkpoints.close()
        >>> (run,) = read_runs(folder)
        >>> run.history.num_epochs, run.steps_per_epoch, run.began["hidden"], run.began["batch_size"]
        (2, 4, 8, 64)
    """

    branch: str
    history: History
    steps_per_epoch: int
    began: Mapping[str, Setting]
    waiting: Mapping[str, float]


def read_runs(folder: str | os.PathLike) -> list[SavedRun]:
    """Read all branches of the run that was saved in a folder, from its newest checkpoint; nothing there is changed.

    Raises:
        ArgumentError: if the folder does not exist, or has no checkpoint.
        FileFormatError: if a checkpoint is damaged, of another version of snnlab, or does not hold a run.
    """
    snapshot = newest_in(folder)
    try:
        check(snapshot)
        began = _flat(snapshot.facts)
        steps = _steps_per_epoch(snapshot.facts["identity"])
        return list(_branches(snapshot, began, steps))
    except FileFormatError as error:
        raise FileFormatError(f"{folder}: {error}") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, SnnlabError) as error:
        raise FileFormatError(f"{folder}: {NO_RUN} ({type(error).__name__}: {str(error)[:200]})") from error


def began_with(trainer: Trainer) -> dict[str, Setting]:
    """Return what a run began with, by name, as `SavedRun.began` has it."""
    return _flat(about(trainer))


def _branches(snapshot: Snapshot, began: Mapping[str, Setting], steps_per_epoch: int) -> Iterator[SavedRun]:
    """The branches of a run; one that a script saved without a timeline has one."""
    for number, row in enumerate(snapshot.facts.get("branches", [{"name": TRUNK, "here": True}])):
        name = arguments.name("branch", row["name"])
        facts, arrays = (
            (snapshot.facts, snapshot.arrays) if row["here"] else (row, part(snapshot.arrays, f"branch {number}/"))
        )
        history = History.read(
            part(arrays, "history/"), facts["epochs"], facts["interventions"], facts.get("notes", [])
        )
        waiting = {
            arguments.name("knob", knob): arguments.number(knob, value) for knob, value in facts["posted"].items()
        }
        yield SavedRun(branch=name, history=history, steps_per_epoch=steps_per_epoch, began=began, waiting=waiting)


def _steps_per_epoch(identity: Mapping[str, Any]) -> int:
    samples = arguments.count("samples", identity["data"]["samples"][0])
    return samples // arguments.count("batch_size", identity["settings"]["batch_size"], 1, samples)


def _flat(facts: Mapping[str, Any]) -> dict[str, Setting]:
    """Everything by one name each. A checkpoint of an earlier version tells no knobs: then the config does."""
    identity = facts["identity"]
    model, data, knobs = identity["model"], identity["data"], facts.get("knobs", {})
    samples = [arguments.count("samples", count) for count in data["samples"]]
    found = {"network": facts.get("network", ""), "data": facts.get("data", "")}
    found |= {"data crc32": f"{arguments.count('crc', data['crc'], 0):08x}"}
    found |= {"training samples": samples[0], "test samples": samples[1]}
    if isinstance(model, dict):
        found |= model
    else:  # of your own
        found |= {"network": model, "parameters": _parameters(identity["arrays"])}
    found |= {"loss": ", ".join(identity["loss"]["terms"])}
    found |= {name: value for name, value in identity["loss"].items() if name != "terms"}
    found |= identity["settings"] | {LEARNING_RATE: facts[LEARNING_RATE]}
    found = {name: value for name, value in found.items() if not _is_told(name, knobs)}
    knobs = {name: arguments.number(name, value) for name, value in knobs.items()}
    return {arguments.name("setting", name): _plain(name, value) for name, value in (found | knobs).items()}


def _is_told(field: str, knobs: Mapping[str, Any]) -> bool:
    """Whether knobs tell what a field of a config gives them."""
    layer, dot, name = KNOB_OF.get(field, "").rpartition(".")
    if not dot:
        return name in knobs
    layers = r"(hidden|conv)\d*" if layer == "hidden" else layer
    return any(re.fullmatch(rf"{layers}\.{name}", knob) for knob in knobs)


def _parameters(arrays: Mapping[str, str]) -> int:
    """Count the parameters by the shapes in an identity, such as "float32[64, 20]"."""
    shapes = (kind.partition("[")[2] for name, kind in arrays.items() if name.startswith(".params"))
    return sum(math.prod(int(size) for size in re.findall(r"\d+", shape)) for shape in shapes)


def _plain(name: str, value: Any) -> Setting:
    """Check and return one value that a file gives."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return arguments.count(name, value, -LARGEST, LARGEST)
    if isinstance(value, str):
        return value and arguments.name(name, value)
    if isinstance(value, list) and name in OF_LAYERS:
        return ", ".join(f"{arguments.number(name, number, 0.0):.10g}" for number in value)
    return arguments.one(name, arguments.numbers(name, value, infinite=True))
