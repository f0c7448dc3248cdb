"""Write a run as a Python script that repeats it: same data, same initial weights, same moves at the same steps."""

import dataclasses
import inspect
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab import data, losses
from snnlab.controls import EPOCHS
from snnlab.models import build, describe
from snnlab.support.numbers import count
from snnlab.support.transfers import transfers_allowed
from snnlab.train.optimizer import length_of
from snnlab.train.trainer import Trainer


@transfers_allowed()
def script(trainer: Trainer) -> str:
    """Return a Python script that repeats what a trainer did so far. On one machine it ends with the same bits.

    What snnlab cannot write down (your own arrays, model, loss or optimizer) is left open, marked `...`.

    Example:
        >>> from snnlab.config import LstmConfig
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
        >>> trainer.set(learning_rate=0.005)
        >>> _ = trainer.fit(until=2)
        >>> print(script(trainer))  # doctest: +ELLIPSIS
        import zlib
        <BLANKLINE>
        import snnlab
        <BLANKLINE>
        data = snnlab.load_data('digits').subset(train=256, test=64)
        assert zlib.crc32(data.x_train) == ..., "these are not the data of the run"
        net = snnlab.build(snnlab.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10, seed=0)
        loss = snnlab.Classification()
        trainer = snnlab.Trainer(net, data, loss=loss, epochs=2, batch_size=64)
        moves = [
            (0, 'learning_rate', 0.005),
        ]
        trainer.plan(moves)
        trainer.fit(until=2)
    """
    longer = [(row["step"], int(row["new"])) for row in trainer.history.interventions if row["knob"] == EPOCHS]
    settings = _changed(dataclasses.replace(trainer.config, epochs=_first_epochs(trainer)))
    options = ["loss=loss", *(["optimizer=optimizer"] if trainer.own_optimizer else []), *settings]
    lines = _source(trainer) if trainer.source is not None else _dataset(trainer.data)
    lines += [_model(trainer), _loss(trainer)]
    lines += ["optimizer = ...  # your Optax transformation"] if trainer.own_optimizer else []
    lines.append(f"trainer = snnlab.Trainer(net, data, {', '.join(options)})")
    lines += [f"# step {note['step']}: {note['text']}" for note in trainer.history.notes]
    moves = [(row["step"], row["knob"], row["new"]) for row in trainer.history.interventions if row["knob"] != EPOCHS]
    if moves:
        lines += ["moves = [", *(f"    {move!r}," for move in moves), "]", "trainer.plan(moves)"]
    for step, epochs in longer:
        lines += [f"trainer.fit(until={step})", f"trainer.epochs = {epochs}"]
    lines.append(f"trainer.fit(until={len(trainer.history)})")
    return "\n".join(lines)


def _first_epochs(trainer: Trainer) -> int:
    """The number of epochs that the schedule was made for at the start; without a schedule, that of now."""
    return length_of(trainer.origin.opt_state) // trainer.steps_per_epoch if trainer.scheduled else trainer.epochs


def _source(trainer: Trainer) -> list[str]:
    """Say what the source was; a function or a loader cannot be written down."""
    steps, size = trainer.steps_per_epoch, trainer.config.batch_size
    epoch = count(steps, f"batch of {size}", f"batches of {size}")
    return [
        "import snnlab",
        "",
        f"data = ...  # your {trainer.source}, {epoch} an epoch; the run repeats if its batches do",
    ]


def _dataset(dataset: data.Dataset) -> list[str]:
    """Load the data and check them."""
    x, values = dataset.x_train, "data.x_train"
    if isinstance(x, data.EventLists):
        x, values = x.times, "data.x_train.times"
    crc = zlib.crc32(np.ascontiguousarray(x).data)
    check = f'assert zlib.crc32({values}) == {crc}, "these are not the data of the run"'
    return ["import zlib", "", "import snnlab", "", _data(dataset), check]


def _data(dataset: data.Dataset) -> str:
    if dataset.name not in data.names():
        return f"data = ...  # your data set {dataset.name!r}"
    parts = [dataset.part(part).x for part in dataset.parts]
    sizes = len(dataset.x_train), len(dataset.x_test)
    kept = [] if sizes == data.sizes(dataset.name) else [f"train={sizes[0]}", f"test={sizes[1]}"]
    events = [part for part in parts if isinstance(part, data.EventLists)]
    if any(part.dropped for part in events):
        kept.append(f"events={max(part.limit for part in events)}")
    return f"data = snnlab.load_data({dataset.name!r})" + (f".subset({', '.join(kept)})" if kept else "")


def _model(trainer: Trainer) -> str:
    recipe = describe(trainer.model).recipe
    seed = None if recipe is None else _seed_of(trainer, recipe)
    if recipe is None or seed is None:
        return "net = ...  # your model, as it was before the run"
    config = recipe.config
    made = f"snnlab.{type(config).__name__}({', '.join(_changed(config))})"
    rest = f"sample_shape={recipe.sample_shape!r}, num_classes={recipe.num_classes}, seed={seed}"
    return f"net = snnlab.build({made}, {rest})"


def _seed_of(trainer: Trainer, recipe) -> int | None:
    """Return the seed of the weights that the run began with, or None if they come from elsewhere."""
    for seed in dict.fromkeys((trainer.config.seed, 0)):
        net = build(recipe.config, sample_shape=recipe.sample_shape, num_classes=recipe.num_classes, seed=seed)
        params = trainer.stepper.first_state(net, trainer.origin.key).params
        if jax.tree.all(jax.tree.map(jnp.array_equal, params, trainer.origin.params)):
            return seed
    return None


def _loss(trainer: Trainer) -> str:
    kind = type(trainer.stepper.system["loss"])
    if getattr(losses, kind.__name__, None) is not kind:  # a subclass is a loss of your own
        return "loss = ...  # your loss"
    loss = trainer.stepper.structure.merge(trainer.origin)["loss"]
    own = [p for p in inspect.signature(kind.__init__).parameters.values() if p.default is not p.empty]
    defaults = {parameter.name: parameter.default for parameter in own}
    values = {name: _plain(getattr(loss, name)) for name in defaults}
    given = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
    place = "snnlab" if kind is losses.Classification else "snnlab.losses"
    return f"loss = {place}.{kind.__name__}({', '.join(given)})"


def _plain(value):
    """An argument of a loss as it is written: each number as the shortest decimal that rounds to its float32."""
    if not isinstance(value, nnx.Variable):
        return value
    array = np.asarray(value[...], np.float32)
    return _short(array) if array.ndim == 0 else [_short(number) for number in array]


def _changed(config) -> list[str]:
    """Return the fields of a config that differ from their defaults, as arguments."""
    values = [(field.name, getattr(config, field.name), field.default) for field in dataclasses.fields(config)]
    return [f"{name}={value!r}" for name, value, default in values if value not in (default, None)]


def _short(value) -> float:
    """Return the shortest decimal that rounds to this float32."""
    return float(str(np.float32(value)))
