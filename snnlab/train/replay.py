"""A run as Python that replays it: same data, same weights at the start, the same moves at the same steps."""

import dataclasses
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from snnlab import data
from snnlab.data.published import SAMPLES, SOURCES
from snnlab.data.tonic_sets import SETS
from snnlab.losses import Classification
from snnlab.models import build, describe
from snnlab.train.knobs import find_knobs
from snnlab.train.trainer import Trainer

WEIGHTS = ("l1", "l2", "min_rate", "max_rate", "rate_weight")  # of `Classification`


def script(trainer: Trainer) -> str:
    """Python that does again what a trainer did so far; on one machine it ends with the same bits.

    What snnlab cannot write down (arrays, a model, a loss or an optimizer of your own) is left open, marked `...`.

    Example:
        >>> from snnlab.config import LstmConfig
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=1, batch_size=64)
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
        trainer = snnlab.Trainer(net, data, loss=loss, epochs=1, batch_size=64)
        moves = [
            (0, 'learning_rate', 0.005),
        ]
        trainer.plan(moves)
        trainer.fit(until=2)
    """
    settings = _changed(trainer.config)
    options = ["loss=loss", *(["optimizer=optimizer"] if trainer.own_optimizer else []), *settings]
    lines = ["import zlib", "", "import snnlab", "", _data(trainer.data)]
    x, values = trainer.data.x_train, "data.x_train"
    if trainer.data.has_events:
        x, values = x.times, "data.x_train.times"
    crc = zlib.crc32(np.ascontiguousarray(x))
    lines.append(f'assert zlib.crc32({values}) == {crc}, "these are not the data of the run"')
    lines += [_model(trainer), _loss(trainer)]
    lines += ["optimizer = ...  # your Optax transformation"] if trainer.own_optimizer else []
    lines.append(f"trainer = snnlab.Trainer(net, data, {', '.join(options)})")
    moves = [(row["step"], row["knob"], row["new"]) for row in trainer.history.interventions]
    if moves:
        lines += ["moves = [", *(f"    {move!r}," for move in moves), "]", "trainer.plan(moves)"]
    lines.append(f"trainer.fit(until={len(trainer.history)})")
    return "\n".join(lines)


def _data(dataset: data.Dataset) -> str:
    if dataset.name not in data.names():
        return f"data = ...  # your data set {dataset.name!r}"
    parts = dataset.x_train, dataset.x_test
    sizes = len(dataset.x_train), len(dataset.x_test)
    if dataset.name in SOURCES:
        whole = SAMPLES
    elif dataset.name in SETS:
        whole = SETS[dataset.name].samples
    else:
        known = data.load(dataset.name)
        whole = len(known.x_train), len(known.x_test)
    kept = [] if sizes == whole else [f"train={sizes[0]}", f"test={sizes[1]}"]
    if dataset.has_events and any(part.dropped for part in parts):
        kept.append(f"events={max(part.limit for part in parts)}")
    return f"data = snnlab.load_data({dataset.name!r})" + (f".subset({', '.join(kept)})" if kept else "")


def _model(trainer: Trainer) -> str:
    recipe = describe(trainer.model).recipe
    seed = None if recipe is None else _seed_of(trainer, recipe)
    if seed is None:
        return "net = ...  # your model, as it was before the run"
    config = recipe.config
    made = f"snnlab.{type(config).__name__}({', '.join(_changed(config))})"
    rest = f"sample_shape={recipe.sample_shape!r}, num_classes={recipe.num_classes}, seed={seed}"
    return f"net = snnlab.build({made}, {rest})"


def _seed_of(trainer: Trainer, recipe) -> int | None:
    """The seed that makes the weights that the run began with; None if they come from elsewhere."""
    for seed in dict.fromkeys((trainer.config.seed, 0)):
        net = build(recipe.config, sample_shape=recipe.sample_shape, num_classes=recipe.num_classes, seed=seed)
        params = trainer.stepper.first_state(net, trainer.origin.key).params
        if jax.tree.all(jax.tree.map(jnp.array_equal, params, trainer.origin.params)):
            return seed
    return None


def _loss(trainer: Trainer) -> str:
    loss = trainer.stepper.system["loss"]
    if type(loss) is not Classification:
        return "loss = ...  # your loss"
    arguments = [] if loss.readout == "max" else [f"readout={loss.readout!r}"]
    arguments += [] if loss.dt == 1.0 else [f"dt={loss.dt!r}"]
    knobs = {knob.name: knob.value for knob in find_knobs(trainer.origin.live, trainer.origin.opt_state)}
    arguments += [f"{name}={_short(knobs[name])}" for name in WEIGHTS if name in knobs]
    return f"loss = snnlab.Classification({', '.join(arguments)})"


def _changed(config) -> list[str]:
    """The fields of a config that are not the default, as arguments."""
    fields = dataclasses.fields(config)
    return [f"{f.name}={getattr(config, f.name)!r}" for f in fields if getattr(config, f.name) != f.default]


def _short(value: float) -> str:
    """The shortest decimal that is this float32."""
    return repr(float(str(np.float32(value))))
