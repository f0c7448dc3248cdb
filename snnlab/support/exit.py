"""End threads and iterations while everything they need is still there, before the interpreter is taken apart.

A thread inside XLA can crash the process at exit, and a generator that is finalized at exit finds modules that are
empty. Python calls the handler below before that of JAX, which is imported earlier and takes its devices away.
"""

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Generator
from typing import TypeVar

SECONDS = 5.0  # to wait for a thread

Reports = TypeVar("Reports", bound=Generator)

_threads: "weakref.WeakKeyDictionary[threading.Thread, weakref.WeakMethod]" = weakref.WeakKeyDictionary()
_generators: "weakref.WeakSet[Generator]" = weakref.WeakSet()


def end_at_exit(thread: threading.Thread, stop: Callable[[], None]) -> None:
    """At exit, call `stop()`, a method of the thread's owner that tells the thread to end, and wait for the thread."""
    _threads[thread] = weakref.WeakMethod(stop)


def close_at_exit(generator: Reports) -> Reports:
    """Return the generator; close it at exit if it is still half used then."""
    _generators.add(generator)
    return generator


@atexit.register
def _end_all() -> None:
    for thread, method in list(_threads.items()):
        stop = method()
        if stop is not None and thread.is_alive():
            stop()
            thread.join(timeout=SECONDS)
    for generator in list(_generators):
        with contextlib.suppress(ValueError):  # it is running, in a thread that nobody told to end
            generator.close()
