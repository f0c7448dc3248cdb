"""The training steps back for a moment while somebody waits to see what a move does."""

import threading
import time

WAIT = 0.1  # seconds that the training waits for a picture at most
RECENT = 2.0  # seconds after a move in which the next one is likely: chunks are short then, so that it waits for none


class Courtesy:
    """Between two chunks, the training thread waits while a picture is on its way that somebody waits for.

    A laptop has few cores, and training, kernel, server and browser share them: a move is seen later if all of them
    compute at once. Which steps are taken does not change, only when.

    Example:
        >>> courtesy = Courtesy()
        >>> courtesy.recent, courtesy.ask(), courtesy.recent
        (False, None, True)
        >>> courtesy.answer()
        >>> courtesy.give_way()
    """

    def __init__(self):
        self._asked = -RECENT
        self._answered = threading.Event()
        self._answered.set()

    def ask(self) -> None:
        """Say that somebody has moved a knob and waits for the picture."""
        self._asked = time.monotonic()
        self._answered.clear()

    def answer(self) -> None:
        """Say that the picture is on the screen."""
        self._answered.set()

    def give_way(self) -> None:
        """Wait until the picture that was asked for is on the screen, but not long."""
        self._answered.wait(max(0.0, self._asked + WAIT - time.monotonic()))
        self._answered.set()

    @property
    def recent(self) -> bool:
        """Whether somebody has just moved a knob."""
        return time.monotonic() - self._asked < RECENT
