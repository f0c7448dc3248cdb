"""Undo and redo of the moves that a user makes with the knobs."""

import time
from collections.abc import Callable
from typing import NamedTuple

DRAG = 1.0  # seconds between two moves of a knob that are one drag


class _Moved(NamedTuple):
    knob: str
    old: float
    new: float
    when: float


class Undo:
    """The moves of a user, newest last. A drag counts as one.

    Args:
        clock: returns the time [s].

    Example:
        >>> undo = Undo()
        >>> undo.note("v_th", 1.0, 0.5)
        >>> undo.back(), undo.back(), undo.forth()
        (('v_th', 1.0), None, ('v_th', 0.5))
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._done: list[_Moved] = []
        self._undone: list[_Moved] = []

    def note(self, knob: str, old: float, new: float) -> None:
        """Remember a move; those that were undone are forgotten."""
        now, last = self._clock(), self._done[-1] if self._done else None
        if last is not None and last.knob == knob and now - last.when <= DRAG:
            self._done.pop()
            old = last.old
        self._undone.clear()
        if new != old:
            self._done.append(_Moved(knob, old, new, now))

    def back(self) -> tuple[str, float] | None:
        """Take one move back: return the knob and the value that it gets again; None if there is no move."""
        if not self._done:
            return None
        moved = self._done.pop()
        self._undone.append(moved)
        return moved.knob, moved.old

    def forth(self) -> tuple[str, float] | None:
        """Make a move again that was taken back: return the knob and its value; None if there is none."""
        if not self._undone:
            return None
        moved = self._undone.pop()
        self._done.append(moved._replace(when=-1e9))  # the next move is another one
        return moved.knob, moved.new

    @property
    def next(self) -> dict[str, str]:
        """What can be undone and redone: the names of the knobs, or empty texts."""
        return {
            "undo": self._done[-1].knob if self._done else "",
            "redo": self._undone[-1].knob if self._undone else "",
        }
