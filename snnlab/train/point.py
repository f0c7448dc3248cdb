"""A point of a run, as one immutable value: read it from `Trainer.at`, put the run there by assigning it."""

from dataclasses import dataclass, field

import numpy as np

from snnlab.controls import Move
from snnlab.history import History
from snnlab.train.step import State


@dataclass(frozen=True, kw_only=True)
class Point:
    """All that determines how a run continues. To take one costs microseconds: nothing is copied.

    The history is append-only, so a point holds the history and how much of it there was then. Two points are equal
    if they are at the same place in the same history, with the same moves to come.

    Attributes:
        state: parameters, live values, optimizer and random key.
        origin: the state that the run began with.
        history: of the run; it may have grown since, see `past`.
        steps: length of the history then.
        epochs: number of finished epochs then.
        moves: number of moves of knobs then.
        planned: moves planned for later steps.
        posted: new values of knobs that had not acted yet, as pairs of name and value.
        seconds: time spent computing until then [s].

    Example:
        >>> from snnlab import LstmConfig, Trainer, build, load_data
        >>> digits = load_data("digits").subset(train=256, test=64)
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
        >>> _ = trainer.fit(until=1)
        >>> point = trainer.at
        >>> _ = trainer.fit()
        >>> trainer.at = point
        >>> len(trainer.history), trainer.at.state is point.state
        (1, True)
    """

    state: State = field(compare=False)
    origin: State = field(compare=False)
    history: History
    steps: int = 0
    epochs: int = 0
    moves: int = 0
    planned: tuple[Move, ...] = ()
    posted: tuple[tuple[str, float], ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step until then."""
        return self.history.steps().get("loss", np.empty(0))[: self.steps]

    @property
    def past(self) -> History:
        """The history until this point: the same object if it has not grown since, else a shorter copy."""
        now = self.history
        if (len(now), now.num_epochs, now.num_moves) == (self.steps, self.epochs, self.moves):
            return now
        return now.until(self.steps, epochs=self.epochs, moves=self.moves)
