"""Going back in a run that trains in a thread of its own: rewind, branch, switch, and two futures side by side."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snnlab.live.session import Session
from snnlab.support import arguments
from snnlab.timeline import Branch, Timeline
from snnlab.timeline.timeline import Branches


class TimeMachine:
    """What a `Run` can do with its past. Each of these ends the training first, after its current chunk."""

    timeline: Timeline
    _session: Session
    _changing: threading.RLock  # one change at a time
    _lock: threading.RLock  # what a dashboard reads changes together

    def _changed(self) -> None:
        """Called from any thread whenever something changed that can be seen."""

    def _save_now(self) -> None:
        """Save the run as it is now, if it is saved at all."""

    def rewind(self, *, step: int | None = None, epoch: int | None = None) -> None:
        """Go back to a step, or to the end of an epoch, with the knobs as they were; nothing is lost.

        Dashboard, `model` and `history` show that moment. If you press Start, the run continues from there as a branch
        of its own; `switch` returns to where it was.

        Args:
            step: the number of steps that are taken then.
            epoch: the number of epochs that are finished then.

        Raises:
            ArgumentError: if the branch has not come so far.
        """
        self._rewind(step=step, epoch=epoch)

    def _rewind(self, *, save: bool = True, **goal: int | None) -> None:
        with self._held(save=save) as timeline:
            point = timeline.find(**goal)  # trains a gap again, and the dashboard shows that it does
            with self._lock:
                timeline.go(point)

    def glance(self, step: int) -> None:
        """Go back to the kept point that is nearest to a step, at once: for a hand that is still moving.

        Nothing is saved. If the run stands there already, it stays as it is.

        Raises:
            ArgumentError: if `step` is no step.
        """
        step, timeline = arguments.count("step", step, 0), self.timeline
        nearest = min([0, *(point.steps for point in timeline.points)], key=lambda kept: abs(kept - step))
        if self._session.alive or nearest != len(timeline.trainer.history):
            self._rewind(step=nearest, save=False)

    def branch(self, step: int, name: str | None = None, /, **knobs: float) -> Branch:
        """Begin a branch at a step of the current one, and turn knobs there. The run is on it, and `start` trains it.

            lab.branch(400, "lower", v_th=0.6)
            lab.start()

        Args:
            step: the number of steps that are taken then.
            name: of the branch; default: the next letter.
            **knobs: new values of knobs; they act on the first step of the branch.

        Raises:
            ArgumentError: if the step was not reached, the name is taken, or there is no such knob or value.
            StateError: if the budget of the timeline has no room for another branch.
        """
        with self._held() as timeline:
            return timeline.branch(step, name, **knobs)

    @property
    def branches(self) -> Branches:
        """The branches of the run by name; as the last line of a cell they show themselves as a tree."""
        return self.timeline.branches

    def switch(self, name: str) -> None:
        """Go to where another branch stands; `start` continues it.

        Raises:
            ArgumentError: if there is no such branch.
        """
        with self._held() as timeline, self._lock:
            timeline.switch(name)

    def best(self) -> dict[str, Any]:
        """Go back to the end of the epoch with the highest test accuracy in this branch; return its results.

        Raises:
            StateError: if no epoch is finished.
        """
        with self._held() as timeline:
            return timeline.best()

    def run_branches(self, *names: str, until: int | None = None) -> None:
        """Train branches in turn, chunk by chunk, all of them to the same step; returns at once.

        Args:
            *names: of the branches; default: all.
            until: the step; default: the end.

        Raises:
            ArgumentError: if there is no such branch.
        """
        with self._held():
            self._session.run(*(names or tuple(self.branches)), until=until)

    @property
    def in_turn(self) -> tuple[str, ...]:
        """The branches that are being trained in turn."""
        session = self._session
        return session.in_turn if session.alive else ()

    @contextmanager
    def _held(self, *, save: bool = True) -> Iterator[Timeline]:
        """End the training, so that the run can be put elsewhere. If that fails, the training continues."""
        with self._changing:
            session = self._session
            trained = session.alive and not session.paused
            session.end()
            self.timeline.keep()
            try:
                yield self.timeline
            except BaseException:
                if trained and not self.timeline.trainer.done:
                    session.start()
                raise
            if not session.alive:
                session.stand()
                if save:
                    self._save_now()
        self._changed()
