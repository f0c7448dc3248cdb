"""Reach any step of a run again: from a point that was kept, with the moves that the history tells, bit for bit."""

from dataclasses import replace

import numpy as np

from snnlab.errors import StateError
from snnlab.history import History
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.train import Trainer
from snnlab.train.point import Point


def at_step(point: Point, steps: int, steps_per_epoch: int) -> Point:
    """Return a point of the same history at another step, with the same state: its counts, and no moves to come.

    The moves that acted on this step are not made yet, and an epoch that ends here is finished.
    """
    history = point.history
    moves = sum(move["step"] < steps for move in history.interventions)
    epochs = min(history.num_epochs, steps // steps_per_epoch)
    return replace(point, steps=steps, epochs=epochs, moves=moves, planned=(), posted=())


@never_lost()
@transfers_allowed()
def reach(trainer: Trainer, start: Point, steps: int) -> Point:
    """Train from a point to a later step of its own history again; the trainer stays where it is.

    Args:
        trainer: of the run.
        start: a point of the run, with no moves on their way.
        steps: to reach, in the history of the point.

    Raises:
        StateError: if the losses differ from those that the history tells: then the bits differ, too.
    """
    trainer.runner.prepare(start.state)
    state, at, moves = start.state, start.steps, start.history.interventions[start.moves :]
    while at < steps:
        while moves and moves[0]["step"] <= at:
            move = moves.pop(0)
            _, state = trainer.with_move(state, move["knob"], move["new"])
        epoch, position = divmod(at, trainer.steps_per_epoch)
        batches = trainer.runner.batches(trainer.config.seed, epoch + 1, again=True)
        most = trainer.runner.feed.ready(batches, position)
        end = min(steps, at + most, *(move["step"] for move in moves[:1]))
        state, log, _ = trainer.runner(state, batches[position : position + end - at])
        _check(start.history, log, at, end)
        at = end
    return at_step(replace(start, state=state), steps, trainer.steps_per_epoch)


def _check(history: History, log: dict[str, np.ndarray], start: int, end: int) -> None:
    told = history.steps()["loss"][start:end]
    if not np.array_equal(told, log["loss"].astype(np.float32)):
        step = start + int(np.argmax(told != log["loss"]))
        raise StateError(
            f"step {step:,} cannot be reached bit for bit: its loss was {told[step - start]:g}, trained again it is "
            f"{log['loss'][step - start]:g}. Does the model or the loss use something that is not part of its state?"
        )
