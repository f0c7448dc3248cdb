"""Beginning a run again: with the same weights, with others, or with another structure."""

from collections.abc import Callable
from dataclasses import asdict, replace

from flax import nnx

from snnlab.errors import ArgumentError
from snnlab.models import build, describe
from snnlab.train import Trainer

OF_THE_MODEL = ("hidden", "num_steps")
OF_THE_TRAINING = ("batch_size", "epochs")


def structure(trainer: Trainer) -> dict[str, int]:
    """What can only change at a restart, and its value now; of the model only where snnlab can build it again."""
    config = describe(trainer.model).config
    config = {} if config is None else asdict(config)
    found = {name: config[name] for name in OF_THE_MODEL if name in config}
    return found | {name: getattr(trainer.config, name) for name in OF_THE_TRAINING}


def prepare(
    trainer: Trainer, seed: int | None, changes: dict[str, int], made_of: dict[str, Callable | None]
) -> Callable[[], Trainer]:
    """Check what is wanted while the old run still goes on; the function that is returned begins the new one.

    Args:
        trainer: of the run so far.
        seed: of the new run, None for the start of the run so far.
        changes: of the structure.
        made_of: loss and optimizer that the trainer was made with.

    Raises:
        ArgumentError: for a structure that the model does not have, or a value out of range.
    """
    now = structure(trainer)
    for name in changes:
        if name not in now:
            raise ArgumentError(f"{name}: cannot change at a restart; there are {', '.join(now)}")
    changes = {name: value for name, value in changes.items() if value != now[name]}
    recipe = describe(trainer.model).recipe
    rebuilt = recipe is not None and (seed is not None or any(name in OF_THE_MODEL for name in changes))
    seed = trainer.config.seed if seed is None else seed
    model = _build(recipe, seed, changes) if rebuilt else None
    if not changes:
        return lambda: _again(trainer, model, seed)
    settings = asdict(replace(trainer.config, seed=seed)) | {k: v for k, v in changes.items() if k in OF_THE_TRAINING}
    fresh = model or trainer.stepper.merge(trainer.origin)["model"]
    new = Trainer(fresh, trainer.data, **made_of, **settings)

    def begin() -> Trainer:
        new.set({name: value for name, value in trainer.moved_knobs().items() if name in new.mailbox.knobs})
        return new

    return begin


def _build(recipe, seed: int, changes: dict[str, int]) -> nnx.Module:
    config = replace(recipe.config, **{name: value for name, value in changes.items() if name in OF_THE_MODEL})
    return build(config, sample_shape=recipe.sample_shape, num_classes=recipe.num_classes, seed=seed)


def _again(trainer: Trainer, model: nnx.Module | None, seed: int) -> Trainer:
    trainer.reset(model, seed=seed)
    return trainer
