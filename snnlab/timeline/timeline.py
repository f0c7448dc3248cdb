"""Go back in a run, turn a knob, and go on as a second curve: the branches of a run, and the points kept of them."""

import html
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import jax
import numpy as np

from snnlab.config import ConvConfig, LstmConfig, SnnConfig, TrainConfig
from snnlab.controls import EPOCHS
from snnlab.errors import ArgumentError, StateError
from snnlab.history import History, Report
from snnlab.support import arguments
from snnlab.support.exit import close_at_exit
from snnlab.support.numbers import count, number
from snnlab.timeline.ladder import Ladder
from snnlab.timeline.reach import at_step, reach
from snnlab.train import Trainer
from snnlab.train.point import Point

BUDGET = 64e6  # bytes of the points that are kept
MOST = 512  # points; more than a scrubber can show
TRUNK = "a"
SHARED = {"model", "neuron", "data", "loss", "optimizer"} | {
    field.name for config in (SnnConfig, ConvConfig, LstmConfig, TrainConfig) for field in fields(config)
}  # what a run is made of, unless it is a knob
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TURN = 0.25  # seconds that a branch trains before it is the turn of the next


@dataclass
class Branch:
    """One future of a run.

    Attributes:
        name: of the branch.
        parent: name of the branch that it left, or None.
        start: the step at which it left.
        tip: the point up to which it was trained.
        trainer: of the run that it is a branch of.
        moves: points before a move of a knob.
        halves: points in the middle and at the end of each epoch, so that no step is far from one.
        chunks: points between two chunks.
        best: the point after the epoch with the highest test accuracy, or None.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> timeline = Timeline(Trainer(net, digits, epochs=1, batch_size=64))
        >>> _ = timeline.fit()
        >>> branch = timeline.branch(2, learning_rate=0.001)
        >>> branch, branch.parent, branch.own_moves
        (Branch b of a at step 2, 2 steps, 'a', {'learning_rate': 0.001})
    """

    name: str
    parent: str | None
    start: int
    tip: Point
    trainer: Trainer = field(repr=False, compare=False)
    best: Point | None = None
    moves: Ladder = field(default_factory=Ladder, repr=False)
    halves: Ladder = field(default_factory=Ladder, repr=False)
    chunks: Ladder = field(default_factory=Ladder, repr=False)

    @property
    def history(self) -> History:
        """Everything that happened in it, with what it shares with its parent."""
        return self.tip.history

    @property
    def ladders(self) -> tuple[Ladder, ...]:
        """The points that are kept, by the reason why."""
        return self.moves, self.halves, self.chunks

    @property
    def own_moves(self) -> dict[str, float]:
        """The knobs that were moved since it left its parent, and their values now."""
        moves = [move for move in self.history.interventions[: self.tip.moves] if move["step"] >= self.start]
        return {move["knob"]: move["new"] for move in moves} | dict(self.tip.posted)

    def __repr__(self) -> str:
        left = f" of {self.parent} at step {self.start:,}" if self.parent else ""
        return f"Branch {self.name}{left}, {count(self.tip.steps, 'step')}"


class Branches(Mapping[str, Branch]):
    """The branches of a run by name, as a tree that shows itself."""

    def __init__(self, branches: Mapping[str, Branch], here: str):
        self._branches, self._here = dict(branches), here

    def __getitem__(self, name: str) -> Branch:
        if name not in self._branches:
            raise ArgumentError(f"name: there is no branch {name!r:.100}; there is {', '.join(self._branches)}")
        return self._branches[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._branches)

    def __len__(self) -> int:
        return len(self._branches)

    def rows(self) -> list[tuple[int, Branch]]:
        """Return the branches, each after the one that it left, with its depth in the tree."""
        found: list[tuple[int, Branch]] = []

        def add(parent: str | None, depth: int) -> None:
            for branch in self._branches.values():
                if branch.parent == parent:
                    found.append((depth, branch))
                    add(branch.name, depth + 1)

        add(None, 0)
        return found

    def __repr__(self) -> str:
        return "\n".join(f"{'  ' * depth}{self._words(branch)}" for depth, branch in self.rows())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _words(self, branch: Branch) -> str:
        mark = "*" if branch.name == self._here else "-"
        parts = [f"from step {branch.start:,}"] if branch.parent else []
        parts += [f"to step {branch.tip.steps:,}"]
        parts += [f"{name} {number(value)}" for name, value in branch.own_moves.items()] if branch.parent else []
        results = branch.history.epochs[: branch.tip.epochs]
        scored = branch.history.scored
        parts += [f"{scored.words} {scored.text(results[-1][scored.result])}"] if results else []
        return f"{mark} {branch.name}: {', '.join(parts)}"


class Timeline:
    """The points of a run that are kept while it trains, and its branches. Iterate over it to train.

    Between two reports the run can go back to any step that it has passed: `rewind`. If it is trained from there, it
    becomes a branch of its own, and what came after that step stays as it was. A step is reached bit for bit: from the
    point before it that was kept, and the steps between are trained again with the moves that the history tells.

    Points are kept under a budget of bytes, and thinned as `Ladder` does; those before a move of a knob, and those in
    the middle and at the end of each epoch are thinned apart, so that they stay longer. The best point and the tips of
    the branches always stay.

    Args:
        trainer: the engine; it may be reset, put back or resumed: then a new timeline is needed.
        budget: bytes for the points that are kept; default: 64 million, or two points of a larger network.

    Raises:
        ArgumentError: if the budget does not hold two points.

    Attributes:
        trainer: the engine.
        here: name of the branch that the run is on.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> timeline = Timeline(Trainer(net, digits, epochs=3, batch_size=64))
        >>> for report in timeline:
        ...     pass
        >>> timeline.branch(6, "slow", learning_rate=0.001)
        Branch slow of a at step 6, 6 steps
        >>> for report in timeline:
        ...     pass
        >>> print(repr(timeline.branches))  # doctest: +ELLIPSIS
        - a: to step 12, test accuracy ...
          * slow: from step 6, to step 12, learning_rate 0.001, test accuracy ...
    """

    def __init__(self, trainer: Trainer, *, budget: float | None = None):
        self.trainer = trainer
        self.here = TRUNK
        self._size = bytes_of(trainer.state)
        self._branches = {TRUNK: Branch(TRUNK, None, 0, trainer.at, trainer)}
        self._seen = trainer.at
        self.budget = max(BUDGET, self.least(trainer)) if budget is None else budget

    @property
    def epochs(self) -> int:
        """Passes over the training set, in all, of every branch. See `Trainer.epochs`; may be set at any time.

        Raises:
            ArgumentError: if a branch was trained longer.
        """
        return self.trainer.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        arguments.count("epochs", epochs)
        for branch in self._branches.values():
            begun = -(-branch.tip.steps // self.trainer.steps_per_epoch)
            if epochs < begun:
                raise ArgumentError(
                    f"epochs: must be at least {begun}, which branch {branch.name} has begun or trained, got {epochs}"
                )
        self.trainer.epochs = epochs

    # ---- points ----

    @property
    def budget(self) -> float:
        """Bytes for the points that are kept."""
        return self._budget

    @budget.setter
    def budget(self, size: float) -> None:
        size, least = arguments.number("budget", size, 0.0), self.least(self.trainer)
        if size < least:
            raise ArgumentError(f"budget: must be at least {least:,} bytes, two points of this run, got {size:,.0f}")
        self._budget = size
        self._make_room()

    @staticmethod
    def least(trainer: Trainer) -> int:
        """Bytes of the least budget for the points of a trainer."""
        return 2 * bytes_of(trainer.state)

    @property
    def bytes(self) -> int:
        """Bytes of the points that are kept now."""
        return self._size * self._kept()

    @property
    def points(self) -> list[Point]:
        """The points of this branch that are kept, the oldest first; before its start, those of its parents."""
        found = {}
        for branch, end in self._line():
            for ladder in branch.ladders:
                found |= {point.steps: point for point in ladder.points if point.steps <= end}
        return [found[steps] for steps in sorted(found)]

    def keep(self) -> None:
        """Keep the point where the run is; call it after every report."""
        now, last = self.trainer.at, self._seen
        if now == last:
            return
        branch = self._branches[self.here]
        if self.behind:
            if now.steps == now.history.inherited:  # nothing was trained since it went back
                self._seen = now
                return
            branch = self._leave(now)
        if now.moves > last.moves and last.history is now.history:
            branch.moves.add(at_step(last, last.steps, self.trainer.steps_per_epoch))
        ended, per_epoch = now.epochs > last.epochs, self.trainer.steps_per_epoch
        halved = 2 * (last.steps % per_epoch) < per_epoch <= 2 * (now.steps % per_epoch)
        branch.tip = self._seen = now
        (branch.halves if ended or halved else branch.chunks).add(now)
        if ended and self.stale == 0:
            branch.best = now
        self._make_room()

    @property
    def of_this_run(self) -> bool:
        """Whether the trainer still has the run of these branches; after a reset it has another one."""
        return self._branches[self.here].tip.origin is self.trainer.origin

    def _leave(self, now: Point) -> Branch:
        """Begin a branch at a point that the current one does not have: the run went back, and on."""
        start = now.history.inherited
        return self._begin(self._free_name(), self._owner(start), start, now)

    def _begin(self, name: str, parent: str, start: int, point: Point) -> Branch:
        branch = self._branches[name] = Branch(name, parent, start, point, self.trainer)
        self.here, self._seen = name, point
        return branch

    def _free_name(self) -> str:
        letters = (LETTERS[k % 26] * (1 + k // 26) for k in range(26 * (1 + len(self._branches))))
        return next(name for name in letters if name not in self._branches)

    def _line(self) -> Iterator[tuple[Branch, int]]:
        """The current branch and those that it comes from, each with the last step that belongs to it here."""
        branch, end = self._branches[self.here], self._branches[self.here].tip.steps
        while True:
            yield branch, end
            if branch.parent is None:
                return
            branch, end = self._branches[branch.parent], branch.start

    def _owner(self, step: int) -> str:
        """Name of the branch, of those that the current one comes from, that a step belongs to."""
        return next(branch.name for branch, _ in self._line() if branch.parent is None or branch.start < step)

    def _kept(self) -> int:
        branches = list(self._branches.values())  # another thread may add one meanwhile
        fixed = sum(1 + (branch.best is not None) for branch in branches)
        return fixed + sum(len(ladder) for branch in branches for ladder in branch.ladders)

    def _make_room(self) -> None:
        """Thin the ladder that holds most, until all fit."""
        while self._kept() > min(MOST, self._budget // self._size):
            ladders = [ladder for branch in self._branches.values() for ladder in branch.ladders]
            longest = max(ladders, key=len)
            if not len(longest):
                return  # of many branches, only the tips
            longest.spread()

    def restore(self, branches: Sequence[Branch], here: str) -> None:
        """Put branches back that were saved; the trainer stands on one of them, or behind its tip.

        Raises:
            ArgumentError: if they are no tree with this branch.
        """
        known = {branch.name: branch for branch in branches}
        arguments.choice("here", here, known)
        for k, branch in enumerate(branches):
            if (branch.parent is None) != (k == 0) or branch.parent not in {None, *list(known)[:k]}:
                raise ArgumentError(f"branch {branch.name}: left {branch.parent!r}, which was not there before it")
        if len(known) < len(branches):
            raise ArgumentError("branches: two have the same name")
        self._branches, self.here, self._seen = known, here, self.trainer.at
        if self.behind:  # what is trained from here leaves the branch at this step
            self.trainer.history.inherited = len(self.trainer.history)

    # ---- going back ----

    def point(self, step: int) -> Point:
        """Return the point after `step` steps of the current branch, before the moves that acted on this step.

        Raises:
            ArgumentError: if the branch has not come so far.
            StateError: if the step cannot be reached bit for bit.
        """
        tip = self._branches[self.here].tip
        step = arguments.count("step", step, 0)
        if step > tip.steps:
            raise ArgumentError(f"step: must be at most {tip.steps:,}, where branch {self.here} is, got {step:,}")
        if step == tip.steps:
            return tip
        start = replace(self._nearest(step), history=tip.history)  # which begins with that of its parents
        return reach(self.trainer, at_step(start, start.steps, self.trainer.steps_per_epoch), step)

    def _nearest(self, step: int) -> Point:
        """The last point before or at a step that is kept."""
        origin = self.trainer.origin
        found = [Point(state=origin, origin=origin, history=History())]
        for branch, end in self._line():
            end = min(step, end)
            found += [point for ladder in branch.ladders if (point := ladder.before(end))]
            found += [point for point in (branch.best, branch.tip) if point is not None and point.steps <= end]
        return max(found, key=lambda point: point.steps)

    def rewind(self, *, step: int | None = None, epoch: int | None = None) -> Point:
        """Go back to a step of this branch, or to the end of an epoch. The knobs get the values that they had then.

        What comes after it stays as it is: if the run is trained from here, it becomes a branch. Moves that were
        planned are not made again. To return, `switch(here)`.

        Args:
            step: the number of steps that are taken then.
            epoch: the number of epochs that are finished then.

        Returns:
            The point.

        Raises:
            ArgumentError: if the branch has not come so far.
        """
        return self.go(self.find(step=step, epoch=epoch))

    def find(self, *, step: int | None = None, epoch: int | None = None) -> Point:
        """Return the point that `rewind` goes to; the run stays where it is.

        Raises:
            ArgumentError: see `rewind`.
        """
        if (step is None) == (epoch is None):
            raise ArgumentError("rewind: give either step= or epoch=")
        if epoch is not None:
            finished = self._branches[self.here].tip.epochs
            if arguments.count("epoch", epoch, 0) > finished:
                raise ArgumentError(f"epoch: must be at most {finished}, the epochs that are finished, got {epoch}")
            step = epoch * self.trainer.steps_per_epoch
        assert step is not None
        return self.point(step)

    def go(self, point: Point) -> Point:
        """Go to a point that `find` returned on this branch."""
        self._keep_tip()
        self.trainer.at = point
        self._seen = self.trainer.at
        return self._seen

    def _keep_tip(self) -> None:
        """Note what came since the last report, such as moves that have not acted yet."""
        branch, now = self._branches[self.here], self.trainer.at
        if now.history is branch.history:
            branch.tip = now

    @property
    def behind(self) -> bool:
        """Whether the run has gone back, and has not been trained from there yet."""
        return self.trainer.history is not self._branches[self.here].history

    # ---- branches ----

    @property
    def sizes(self) -> tuple[tuple[str, int, int], ...]:
        """Name, steps and number of notes of every branch: what has changed if one of them has."""
        return tuple((name, b.tip.steps, b.history.num_notes) for name, b in list(self._branches.items()))

    @property
    def branches(self) -> Branches:
        """The branches by name."""
        return Branches(self._branches, self.here)

    def branch(self, step: int, name: str | None = None, /, **knobs: float) -> Branch:
        """Begin a branch at a step of the current one, and turn knobs there. The run is on it from now on.

        Args:
            step: the number of steps that are taken then.
            name: of the branch; default: the next letter.
            **knobs: new values of knobs, by names as in `Trainer.set`; they act on the first step of the branch.

        Raises:
            ArgumentError: if the step was not reached, the name is taken, there is no such knob or value, or it is no
                knob but part of the structure, which needs a new run. Then nothing is changed.
            StateError: if the budget has no room for another branch.
        """
        name = self._free_name() if name is None else arguments.name("name", name)
        if name in self._branches:
            raise ArgumentError(f"name: there is a branch {name!r} already; choose another name")
        for knob, value in knobs.items():
            _refuse_structure(self.trainer, knob, value)
            self.trainer.mailbox.check(knob, value)
        if self._size * (len(self._branches) + 2) > self._budget:
            raise StateError(f"branch: no room for another one in {self._budget:,.0f} bytes; raise the budget")
        point = self.point(step)
        owner = self._owner(step)
        self._keep_tip()
        history = point.history.until(point.steps, epochs=point.epochs, moves=point.moves)
        self.trainer.at = replace(point, history=history, planned=(), posted=())
        self.trainer.set(knobs)
        return self._begin(name, owner, step, self.trainer.at)

    def switch(self, name: str) -> Branch:
        """Go to where another branch stands; the run continues there.

        Raises:
            ArgumentError: if there is no such branch.
        """
        branch = self.branches[name]
        self._keep_tip()
        self.here = name
        self.trainer.at = branch.tip
        self._seen = branch.tip
        return branch

    def best(self) -> dict[str, Any]:
        """Go back to the end of the epoch with the highest test accuracy in this branch; return its results.

        Raises:
            StateError: if no epoch is finished.
        """
        rows = self._branches[self.here].history.epochs[: self._branches[self.here].tip.epochs]
        if not rows:
            raise StateError("best: no epoch is finished yet")
        row = max(rows, key=lambda row: row[self.trainer.scored.result])
        self.rewind(epoch=row["epoch"])
        return row

    # ---- training ----

    def __iter__(self) -> Generator[Report, None, None]:
        """Train the branch that the run is on to its end. Leaving between two reports loses nothing."""
        return close_at_exit(self._iterate())

    def _iterate(self) -> Generator[Report, None, None]:
        for report in self.trainer:
            self.keep()
            yield report

    def fit(self, *, patience: int | None = None) -> History:
        """Train to the end, or until the test accuracy has not risen for `patience` epochs; then go back to the best.

        Args:
            patience: number of epochs; None trains to the end and stays there.
        """
        if patience is not None:
            arguments.count("patience", patience)
        for report in self:
            if self.stops_after(report, patience):
                break
        self.settle(patience)
        return self.trainer.history

    def stops_after(self, report: Report, patience: int | None) -> bool:
        """Whether the training should stop after a report: the test accuracy has not risen for `patience` epochs."""
        return report.phase == "epoch" and self._exhausted(patience)

    def settle(self, patience: int | None) -> None:
        """After a training with patience that came to its end, go back to the best epoch."""
        if patience is not None and (self.trainer.done or self._exhausted(patience)):
            self.best()

    def _exhausted(self, patience: int | None) -> bool:
        return patience is not None and self.stale >= patience

    @property
    def stale(self) -> int:
        """Number of epochs since the test accuracy was highest."""
        accuracies = self.trainer.history.results().get(self.trainer.scored.result, ())
        return len(accuracies) - 1 - int(np.argmax(accuracies)) if len(accuracies) else 0

    def run(self, *names: str, until: int | None = None) -> Generator[Report, None, None]:
        """Train branches in turn, a quarter of a second each, all of them to the same step: the honest comparison.

        Args:
            *names: of the branches.
            until: the step; default: the end.

        Raises:
            ArgumentError: if there is no such branch, or the run has no such step.
        """
        for name in names:
            self.branches[name]
        until = (
            self.trainer.total_steps if until is None else arguments.count("until", until, 0, self.trainer.total_steps)
        )
        return close_at_exit(self._run(names, until))

    def _run(self, names: tuple[str, ...], until: int) -> Generator[Report, None, None]:
        while True:
            waiting = [name for name in names if not self._arrived(name, until)]
            if not waiting:
                return
            name = min(waiting, key=lambda name: self._branches[name].tip.steps)
            self.switch(name)
            began = self.trainer.seconds
            self.trainer.mailbox.stop_at = until
            for report in self:
                yield report
                if self._arrived(name, until) or self.trainer.seconds - began > TURN:
                    break
            self.trainer.mailbox.stop_at = None

    def _arrived(self, name: str, until: int) -> bool:
        """The branch is at the step, and an epoch that ends there is finished."""
        tip = self._branches[name].tip
        return tip.steps >= until and tip.epochs >= min(until, tip.steps) // self.trainer.steps_per_epoch


def _refuse_structure(trainer: Trainer, name: str, value: Any) -> None:
    """Raise an `ArgumentError` if a name is that of something that all branches of a run share."""
    if any(knob == name or knob.endswith(f".{name}") for knob in trainer.mailbox.knobs):
        return
    if name == EPOCHS:
        raise ArgumentError(f"epochs: are those of all branches; set `epochs = {value!r}` instead")
    if name in SHARED:
        raise ArgumentError(
            f"{name}: is no knob but part of the structure, which all branches share; {name}={value!r} needs a new run"
        )


def bytes_of(state: Any) -> int:
    """Bytes of all arrays in a state: parameters, live values, what the optimizer keeps, whatever it is."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state) if hasattr(leaf, "nbytes"))
