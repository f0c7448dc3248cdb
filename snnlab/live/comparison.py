"""Runs side by side: saved ones, live ones, and branches, as curves and tables that show themselves in a notebook."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snnlab.checkpoint.saved import SavedRun, began_with, read_runs
from snnlab.errors import ArgumentError
from snnlab.history import History
from snnlab.live.frames import side_by_side as frame
from snnlab.live.frames.side_by_side import AXES, LETTERS, WIDTH, Side
from snnlab.live.run import Run
from snnlab.live.still.side_by_side import page
from snnlab.support import arguments
from snnlab.timeline import Branch, Timeline
from snnlab.timeline.timeline import Branches
from snnlab.train import Trainer

Comparable = str | os.PathLike | Run | Timeline | Trainer | Branch | Branches
WANTED = "a folder of checkpoints, a LiveTrainer, a Trainer, a Timeline, or branches"


def compare(*runs: Comparable, x: str = "steps") -> "Comparison":
    """Show runs side by side: their curves, the settings and knobs that differ, moves of knobs, and results.

        snnlab.compare("runs/a", "runs/b", lab)

    A saved run needs no model: it is read from its folder. If it has branches, all of them are shown.

    Args:
        *runs: folders of checkpoints, live runs, trainers, timelines; one branch, `lab.branches["b"]`, or all of them,
            `lab.branches`.
        x: of the curves, "steps" or "epochs".

    Returns:
        What shows itself in a notebook, and as text with `print`. Live runs are shown as they are at that moment:
        show it again, or return it from a function under `@lab.follow`.

    Raises:
        ArgumentError: if a folder does not exist or has no checkpoint, something is not a run, or a run is there twice.
        FileFormatError: if a checkpoint is damaged, or does not hold a run.

    Example:
        >>> from snnlab import Timeline, Trainer, build, load_data
        >>> from snnlab.config import LstmConfig
        >>> digits = load_data("digits").subset(train=256, test=64)
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> timeline = Timeline(Trainer(net, digits, epochs=2, batch_size=64))
        >>> _ = timeline.fit()
        >>> _ = timeline.branch(4, learning_rate=0.001)
        >>> print(compare(timeline.branches))  # doctest: +ELLIPSIS
        2 runs side by side
        <BLANKLINE>
                            a ...
        state               done            unfinished
        steps               8               4
        epochs              2               1
        ...
        learning_rate       0.01            0.01 → 0.001
        12 others are equal
    """
    return Comparison(runs, x=x)


class Comparison:
    """Runs side by side; see `compare`.

    Args:
        runs: the runs.
        x: of the curves, "steps" or "epochs".

    Attributes:
        x: of the curves.

    Example:
        >>> Comparison([3])
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: runs: must be a folder of checkpoints, ... or branches, got int
    """

    def __init__(self, runs: Sequence[Comparable], *, x: str = "steps"):
        self.x = arguments.choice("x", x, AXES)
        if not runs:
            raise ArgumentError(f"runs: must be one or more, each {WANTED}, got none")
        self._sources = [source for run in runs for source in _sources(run)]
        if len(self._sources) > len(LETTERS):
            raise ArgumentError(f"runs: must be at most {len(LETTERS)}, got {len(self._sources)}")
        _refuse_twice(self._sources)

    @property
    def sides(self) -> list[Side]:
        """The runs as they are now."""
        sides = [source.now() for source in self._sources]
        names = _different([(*source.above, side.name) for source, side in zip(self._sources, sides, strict=True)])
        return frame.lettered([side._replace(name=name) for side, name in zip(sides, names, strict=True)])

    def text(self, width: int = WIDTH) -> str:
        """Return everything but the curves as a text.

        Args:
            width: characters of a line; runs that do not fit beside one another stand below.
        """
        return frame.text(self.sides, width)

    def figure(self) -> Any:
        """Return the curves as a plotly figure, to zoom and to hover over."""
        from snnlab.live.figure import figure_of_many  # plotly takes a second to load

        return figure_of_many(self.sides, self.x)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return page(self.sides, self.x)


class _Source:
    """Where a run of a comparison comes from.

    Args:
        now: returns the run as it is now.
        key: equal for the same run.
        said: how an error names it.
        above: names of the folders that the run lies in, to tell it from another of the same name.
    """

    def __init__(self, now: Callable[[], Side], *, key: object, said: str, above: tuple[str, ...] = ()):
        self.now, self.key, self.said, self.above = now, key, said, above


def _sources(run: Comparable) -> list[_Source]:
    if isinstance(run, str | os.PathLike):
        return _saved(arguments.path("runs", run))
    if isinstance(run, Branches):
        return [_branch(branch) for branch in run.values()]
    if isinstance(run, Branch):
        return [_branch(run)]
    if isinstance(run, Run):
        return [_Source(lambda: _live(run), key=run.trainer.history, said="the live run")]
    if isinstance(run, Timeline):
        return [_Source(lambda: _of_timeline(run), key=run.trainer.history, said=f"branch {run.here!r}")]
    trainer = arguments.instance("runs", run, Trainer, WANTED)
    return [_Source(lambda: _of_trainer("trainer", trainer), key=trainer.history, said="the trainer")]


def _saved(folder: Path) -> list[_Source]:
    """All branches of a folder; it is read once."""
    runs, whole = read_runs(folder), folder.absolute()
    above = tuple(part for part in whole.parent.parts if part != whole.anchor)
    found = []
    for run in runs:
        name = whole.name if len(runs) == 1 else f"{whole.name}: {run.branch}"
        side = Side(name, run.history, run.steps_per_epoch, run.began, run.waiting, _state_on_disk(run))
        found.append(_Source(lambda side=side: side, key=(folder.resolve(), run.branch), said=str(folder), above=above))
    return found


def _state_on_disk(run: SavedRun) -> str:
    epochs = run.began["epochs"]
    return f"saved, {_how_far(run.history, epochs if isinstance(epochs, int) else 0)}"


def _how_far(history: History, epochs: int) -> str:
    return "done" if history.num_epochs >= epochs else "unfinished"


def _branch(branch: Branch) -> _Source:
    def now() -> Side:
        tip = branch.tip
        return _of_trainer(branch.name, branch.trainer, tip.past)._replace(waiting=dict(tip.posted))

    return _Source(now, key=branch.history, said=f"branch {branch.name!r}")


def _live(run: Run) -> Side:
    name = "live" if len(run.branches) == 1 else run.timeline.here
    return _of_trainer(name, run.trainer, run.history)._replace(state=str(run.state))


def _of_timeline(timeline: Timeline) -> Side:
    return _of_trainer(timeline.here, timeline.trainer)


def _of_trainer(name: str, trainer: Trainer, history: History | None = None) -> Side:
    history = trainer.history if history is None else history
    state = _how_far(history, trainer.config.epochs)
    return Side(name, history, trainer.steps_per_epoch, began_with(trainer), dict(trainer.mailbox.posted), state)


def _refuse_twice(sources: Sequence[_Source]) -> None:
    for k, source in enumerate(sources):
        if any(other.key == source.key for other in sources[:k]):
            raise ArgumentError(f"runs: {source.said} is there twice")


def _different(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Name runs by the last parts of their paths, by as many as tell them apart; what is still equal gets a number.

    Example:
        >>> _different([("runs", "a"), ("old", "a"), ("live",), ("runs", "b"), ("live",)])
        ['runs/a', 'old/a', 'live', 'b', 'live (2)']
    """
    names = [path[-1] for path in paths]
    for depth in range(2, max(map(len, paths)) + 1):
        same = {name for name in names if names.count(name) > 1}
        names = ["/".join(path[-depth:]) if name in same else name for path, name in zip(paths, names, strict=True)]
    found: list[str] = []
    for name in names:
        before = names[: len(found)].count(name)
        found.append(f"{name} ({before + 1})" if before else name)
    return found
