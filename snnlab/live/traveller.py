"""Takes a run where the user wants it, in a thread of its own: to train a gap again may take a second."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from snnlab.support.exit import end_at_exit

MOMENT = 0.1  # seconds that a wish may take before the user is told


class _Wish(NamedTuple):
    words: str
    act: Callable[[], object]


class Traveller:
    """Fulfils wishes one after the other; of several that wait, only the newest: a hand that drags has many.

    Args:
        do: does what was wished for, or says why not.
        on_change: called, from any thread, when `going` has been something for a moment, and when that is over.

    Attributes:
        going: what is being done, in words, or an empty text.

    Example:
        >>> done = []
        >>> traveller = Traveller(lambda act: act(), on_change=lambda: None)
        >>> traveller.wish("going back", lambda: done.append("back"))
        >>> traveller.close()
        >>> done
        ['back']
    """

    def __init__(self, do: Callable[[Callable[[], object]], object], on_change: Callable[[], object]):
        self.going = ""
        self._do, self._on_change = do, on_change
        self._lock = threading.Lock()
        self._waiting: _Wish | None = None
        self._awake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None  # with the first wish

    def wish(self, words: str, act: Callable[[], object]) -> None:
        """Have something done as soon as what is being done is over; returns at once, and any thread may call it.

        Args:
            words: what is being done then, for the user; empty if it takes no time.
            act: does it.
        """
        with self._lock:
            self._waiting = _Wish(words, act)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="snnlab-travel", daemon=True)
                end_at_exit(self._thread, self._end)
                self._thread.start()
        self._awake.set()

    def close(self) -> None:
        """End the thread, after the wish that waits."""
        self._end()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _end(self) -> None:
        self._closed = True
        self._awake.set()

    def _run(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            with self._lock:
                wish, self._waiting = self._waiting, None
            if wish is not None:
                with self._telling(wish.words):
                    try:
                        self._do(wish.act)
                    except Exception:  # is reported as the end of a thread is, but this one lives
                        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
            if self._closed and self._waiting is None:
                return

    @contextmanager
    def _telling(self, words: str) -> Iterator[None]:
        """Tell what is being done, if it takes long enough: a picture more would delay that of the moment."""
        self.going, over = words, threading.Event()

        def tell() -> None:
            if not over.wait(MOMENT):
                self._on_change()
                over.wait()
                self._on_change()

        if words:
            threading.Thread(target=tell, name="snnlab-tell", daemon=True).start()
        yield
        self.going = ""
        over.set()
