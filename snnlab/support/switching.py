"""How long a thread of Python may hold the interpreter while others wait: shorter while a dashboard is open."""

import sys
import threading
from typing import ClassVar

SHORT = 0.0005  # seconds; Python's own 5 ms add up: a picture passes through five threads, and each waits several times


class QuickSwitching:
    """Let threads switch quickly from `begin` to `end`; several may overlap. Other settings of the user's are kept.

    Example:
        >>> before = sys.getswitchinterval()
        >>> one, other = QuickSwitching(), QuickSwitching()
        >>> one.begin(); other.begin(); one.end()
        >>> round(sys.getswitchinterval(), 6)
        0.0005
        >>> other.end()
        >>> sys.getswitchinterval() == before
        True
    """

    _lock: ClassVar = threading.Lock()
    _users: ClassVar[set["QuickSwitching"]] = set()
    _before: ClassVar[float] = 0.0

    def begin(self) -> None:
        """Switch quickly from now on."""
        with self._lock:
            if not self._users:
                QuickSwitching._before = sys.getswitchinterval()
                _switch_every(min(QuickSwitching._before, SHORT))
            self._users.add(self)

    def end(self) -> None:
        """Switch as before, if nobody else wants it quick."""
        with self._lock:
            if self in self._users:
                self._users.remove(self)
                if not self._users:
                    _switch_every(QuickSwitching._before)


def _switch_every(seconds: float) -> None:
    sys.setswitchinterval(seconds + 5e-7)  # it keeps whole microseconds, cut off
