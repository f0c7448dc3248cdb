"""When the next picture is due: at once if somebody waits for it, otherwise in turn, with a look at the network."""

import threading
import time
from collections.abc import Callable

LATE = 2.0  # periods until a picture comes without a look, which may take long


class Rhythm:
    """Says when the next picture is due, and lets a thread wait for it.

    A picture that nobody asked for comes when a look is over, one period after the last picture at the earliest. So
    there is one picture for each look, and never more than one in a period. Looks that take long hold up no picture:
    the next one comes after `LATE` periods. Any thread may call its methods.

    Args:
        period: returns the time between two pictures [s].
        clock: returns the time [s].

    Example:
        >>> now = 0.0
        >>> rhythm = Rhythm(lambda: 0.5, clock=lambda: now)
        >>> rhythm.begin()
        >>> rhythm.left, rhythm.take_turn(), rhythm.left
        (1.0, 0.5, 0.5)
        >>> rhythm.ask()
        >>> rhythm.left
        0.0
    """

    def __init__(self, period: Callable[[], float], clock: Callable[[], float] = time.monotonic):
        self._period, self._clock = period, clock
        self._changed = threading.Condition()
        self._began = clock()  # of the last picture
        self._asked = self._looked = False  # since then

    @property
    def left(self) -> float:
        """Seconds until the next picture."""
        if self._asked:
            return 0.0
        periods = 1.0 if self._looked else LATE
        return max(0.0, self._began + periods * self._period() - self._clock())

    def begin(self) -> None:
        """Note that a picture is being made; what is asked for from now on is for the next one."""
        with self._changed:
            self._began, self._asked, self._looked = self._clock(), False, False

    def ask(self) -> None:
        """Have a picture now."""
        with self._changed:
            self._asked = True
            self._changed.notify()

    def take_turn(self) -> float:
        """Have a picture of the look that is over, in turn; returns the seconds until it is made."""
        with self._changed:
            if not self._looked:
                self._looked = True
                self._changed.notify()
            return self.left

    def wait(self) -> None:
        """Wait until the next picture is due."""
        with self._changed:
            while left := self.left:
                self._changed.wait(left)
