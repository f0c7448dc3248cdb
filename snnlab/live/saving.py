"""Checkpoints of a LiveTrainer: the run goes on from them, also where restarts have given it another structure."""

import os
from collections.abc import Callable

from snnlab.checkpoint import Checkpoints
from snnlab.live import restart
from snnlab.train import Trainer


class Saving:
    """Where a `LiveTrainer` saves, if it does.

    Args:
        lab: the LiveTrainer.
        made_of: loss and optimizer that its trainers are made with.
        say: gets sentences for the user, from any thread.

    Attributes:
        checkpoints: of the run, or None.
    """

    def __init__(self, lab, made_of: dict[str, Callable | None], say: Callable[[str], None]):
        self.checkpoints: Checkpoints | None = None
        self._lab, self._made_of, self._say = lab, made_of, say
        self._made_as = _choices(lab.trainer)

    @property
    def problem(self) -> str | None:
        """Why it cannot save at the moment, or None."""
        return self.checkpoints.problem if self.checkpoints else None

    def begin(self, folder: str | os.PathLike) -> Trainer:
        """Save there from now on; the trainer to go on with, which is where the saved run was.

        Raises:
            ArgumentError, StateError: see `Checkpoints`.
        """
        self.close()
        self.checkpoints = Checkpoints(self._lab.trainer, folder, say=self._say, adapt=self._adapt)
        return self.checkpoints.trainer

    def follow(self, trainer: Trainer) -> None:
        """After a restart: save this one, and in each checkpoint what the restarts have changed."""
        if self.checkpoints:
            now = _choices(trainer)
            self.checkpoints.trainer = trainer
            self.checkpoints.note = {name: value for name, value in now.items() if value != self._made_as[name]}

    def close(self) -> None:
        """Let others have the folder."""
        if self.checkpoints:
            self.checkpoints.close()
            self.checkpoints = None

    def _adapt(self, trainer: Trainer, note: dict[str, int] | None) -> Trainer:
        """The same restart again, so that the trainer is like the one that was saved."""
        if not note:
            return trainer
        structure = {name: value for name, value in note.items() if name != "seed"}
        return restart.prepare(trainer, note.get("seed"), structure, self._made_of)()


def _choices(trainer: Trainer) -> dict[str, int]:
    """What a restart can choose, and what it is now."""
    return restart.structure(trainer) | {"seed": trainer.config.seed}
