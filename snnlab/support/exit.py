"""Threads that compute have ended before the interpreter goes away: inside XLA, one can crash the process then.

Python calls the handler below before that of JAX, which is imported earlier and takes its devices away.
"""

import atexit
import threading
import weakref
from collections.abc import Callable

SECONDS = 5.0  # that one may take

_threads: "weakref.WeakKeyDictionary[threading.Thread, weakref.WeakMethod]" = weakref.WeakKeyDictionary()


def end_at_exit(thread: threading.Thread, stop: Callable[[], None]) -> None:
    """At exit, have `stop()`, a method of the thread's owner, tell the thread to end, and wait for it."""
    _threads[thread] = weakref.WeakMethod(stop)


@atexit.register
def _end_all() -> None:
    for thread, method in list(_threads.items()):
        stop = method()
        if stop is not None and thread.is_alive():
            stop()
            thread.join(timeout=SECONDS)
