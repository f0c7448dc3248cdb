"""What a study computes: a space, what a cell of it is made from, the data, and how long. Loads no JAX."""

import difflib
import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from snnlab import config as configs
from snnlab.config import ConvConfig, LstmConfig, SnnConfig, TrainConfig
from snnlab.errors import ArgumentError, FileFormatError, SnnlabError
from snnlab.study.cells import Axis
from snnlab.study.space import SEED, Index, Space, words_of
from snnlab.study.stopping import REDUCTION, gates, has_rule
from snnlab.support import arguments

CONFIGS = (SnnConfig, ConvConfig, LstmConfig)
Config = SnnConfig | ConvConfig | LstmConfig

RULES = ("silent", "halving", "silent+halving")
"""Which cells are given up early, see `snnlab.study.stopping`."""

TRAINING = tuple(one.name for one in fields(TrainConfig) if one.name not in ("epochs", SEED))
"""Settings of the training that may be an axis."""


class Wanted(NamedTuple):
    """What a cell is trained with.

    Attributes:
        config: of its network; None for a model of your own.
        seed: of its weights, of the order of the data, and of codes that are random.
        training: arguments of its trainer.
        knobs: values that are set before its first step.
        options: arguments of the function that makes a model of your own.
    """

    config: Config | None
    seed: int
    training: dict[str, Any]
    knobs: dict[str, float]
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DataId:
    """What the data of a study are, so that a worker can load them, and another study can tell that they differ.

    Attributes:
        name: of the data set.
        crc: checksum of all samples and targets, see `Dataset.crc`.
        samples: numbers of training and of test samples.
        source: what `snnlab.load_data` loads them from; None if they were handed over as arrays.
        validation: share of the training samples that is held out after loading, or None.
    """

    name: str
    crc: int
    samples: tuple[int, int]
    source: str | None = None
    validation: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines a study, and so what stands in its folder.

    Args:
        space: what is varied.
        model: a config; its fields that are axes do not count. Or "module:function" of your own.
        data: what is learned.
        epochs: of every cell.
        batch_size: samples in one step; None for the trainer's default.
        stop: one of `RULES`, or None.
        search: number of cells that are chosen by a search; None for the whole grid.

    Raises:
        ArgumentError: if an axis is not a setting of the model, a value is one that it refuses (with its cell), or
            another argument is out of range.

    Example:
        >>> data = DataId(name="digits", crc=1, samples=(1437, 360), source="digits")
        >>> plan = Plan(space=Space.of({"v_th": [0.5, 1.0], "seed": [3]}), model=SnnConfig(), data=data, epochs=2)
        >>> wanted = plan.wanted((1, 0))
        >>> wanted.config.v_th, wanted.seed
        (1.0, 3)
        >>> Plan.read(plan.to_json()) == plan
        True
    """

    space: Space
    model: Config | str
    data: DataId
    epochs: int
    batch_size: int | None = None
    stop: str | None = None
    search: int | None = None
    knobs: tuple[str, ...] = field(default=())  # axes that are knobs, by their full names

    def __post_init__(self):
        arguments.count("epochs", self.epochs)
        if self.stop is not None:
            arguments.choice("stop", self.stop, RULES)
            if has_rule(self.stop, "halving") and not gates(self.epochs):
                raise ArgumentError(f"stop: {self.stop!r} needs at least {REDUCTION} epochs, got {self.epochs}")
        if self.search is not None:
            arguments.count("search", self.search)
        if self.batch_size is not None:
            arguments.count("batch_size", self.batch_size)
        if not isinstance(self.model, str):
            arguments.instance("model", self.model, CONFIGS, "a config, such as SnnConfig(), or a function")
            unknown = [name for name in self.names if name not in (*self.settings, *self.knobs)]
            if unknown:
                raise unknown_axis(unknown[0], [*self.settings, *self.knobs])
        self._check_cells()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.space.axes)

    @property
    def settings(self) -> tuple[str, ...]:
        """Names that an axis may have without being a knob."""
        return settings_of(self.model)

    def _check_cells(self) -> None:
        """Make the settings of every cell: what one refuses is refused before anything is computed."""
        for index in self.space:
            try:
                wanted = self.wanted(index)
                arguments.seed(SEED, wanted.seed)
                TrainConfig(**wanted.training)
            except SnnlabError as error:
                raise ArgumentError(
                    f"over: the cell ({words_of(self.space.point(index))}) is refused: {error}"
                ) from None

    def wanted(self, index: Index) -> Wanted:
        """Return what a cell is trained with."""
        point = self.space.point(index)
        seed = point.get(SEED, TrainConfig.seed)
        if isinstance(self.model, str):
            return Wanted(None, seed, self._training({}), {}, point)
        own = {one.name for one in fields(self.model)}
        config = replace(self.model, **{name: value for name, value in point.items() if name in own})
        training = {name: value for name, value in point.items() if name in TRAINING and name not in own}
        knobs = {name: point[name] for name in self.knobs}
        return Wanted(config, seed, self._training(training), knobs, {})

    def _training(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return ({} if self.batch_size is None else {"batch_size": self.batch_size}) | dict(given)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same when the study goes on; more epochs, other values and another rule may come."""
        model: Any = self.model
        if not isinstance(model, str):
            model = {name: value for name, value in asdict(model).items() if name not in self.names}
            model = {"network": type(self.model).__name__} | model
        data = {"samples": self.data.samples, "crc": self.data.crc}
        found = {"model": model, "data": data, "batch_size": self.batch_size, "axes": sorted(self.names)}
        return json.loads(json.dumps(found))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON, for `read`."""
        model = self.model
        if not isinstance(model, str):
            model = {"network": type(model).__name__, "settings": asdict(model)}
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found |= {"space": [asdict(axis) for axis in self.space.axes], "model": model, "data": asdict(self.data)}
        return json.loads(json.dumps(found))

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Plan":
        """Return the plan that `to_json` returned.

        Raises:
            FileFormatError: if it is none.
        """
        try:
            model = saved["model"]
            if not isinstance(model, str):
                network = arguments.choice("network", model["network"], [kind.__name__ for kind in CONFIGS])
                model = getattr(configs, network)(**{name: _tuples(v) for name, v in model["settings"].items()})
            data = DataId(**{name: _tuples(value) for name, value in saved["data"].items()})
            axes = tuple(Axis(**{name: _tuples(value) for name, value in axis.items()}) for axis in saved["space"])
            Space.of({axis.name: axis.values for axis in axes})  # checks them
            others = {name: saved[name] for name in ("epochs", "batch_size", "stop", "search")}
            return cls(space=Space(axes), model=model, data=data, knobs=tuple(saved["knobs"]), **others)
        except (AttributeError, KeyError, TypeError, ValueError, SnnlabError) as error:
            raise FileFormatError(f"holds no study of snnlab ({type(error).__name__}: {str(error)[:200]})") from error


def settings_of(model: Config | str) -> tuple[str, ...]:
    """Return the names that a point may have for a model: fields of its config, settings of the training, the seed."""
    own = () if isinstance(model, str) else tuple(one.name for one in fields(model))
    return tuple(dict.fromkeys((*own, *TRAINING, SEED)))


def unknown_axis(name: str, known: Iterable[str]) -> ArgumentError:
    """Return the error for an axis that is none, with the names that are like it."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(known)}"
    return ArgumentError(f"over: {name!r} is no setting and no knob; {hint}")


def reference_of(function: Callable) -> str:
    """Return "module:function", by which a worker imports it.

    Raises:
        ArgumentError: if it has no such name, as a lambda or a function within another.

    Example:
        >>> reference_of(reference_of)
        'snnlab.study.plan:reference_of'
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or not name.isidentifier():
        raise ArgumentError(
            f"model: {name or function!r} cannot be imported by its name; define the function at the top of a module"
        )
    return f"{module}:{name}"


def function_of(reference: str) -> Callable:
    """Import the function that makes models, see `reference_of`.

    Raises:
        ArgumentError: if it cannot be imported.
    """
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"model: {reference} cannot be imported here ({error})") from None
    if not callable(found):
        raise ArgumentError(f"model: {reference} is no function")
    return found


def check_parameters(function: Callable, names: Iterable[str]) -> None:
    """Check that a function of your own takes every axis.

    Raises:
        ArgumentError: if it does not.
    """
    parameters = inspect.signature(function).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise unknown_axis(name, parameters)


def _tuples(value: Any) -> Any:
    """JSON has lists where frozen dataclasses have tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
