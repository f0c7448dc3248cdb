"""Ctrl-C, SIGTERM and the interrupt of a notebook's kernel: delayed while things must change together, never lost."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SLICE = 0.1  # seconds

_held: list[list[tuple]] = []  # what each open block of `uninterrupted` delays


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay `KeyboardInterrupt` until the block has finished.

    For short blocks, or work that cannot be interrupted anyway (compiling). Python delivers interrupts to its main
    thread only; in any other thread this does nothing.

    Example:
        >>> done = []
        >>> try:
        ...     with uninterrupted():
        ...         signal.raise_signal(signal.SIGINT)
        ...         done.append("both")
        ... except KeyboardInterrupt:
        ...     done.append("then")
        >>> done
        ['both', 'then']
    """
    handler = _handler()
    if handler is None:
        yield
        return
    held: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *interrupt: held.append(interrupt))
    _held.append(held)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        _held.pop()
        if held:
            handler(*held[-1])


def interrupted() -> bool:
    """Whether a Ctrl-C is being delayed now, by `uninterrupted` in this thread: what may wait for ever should give up.

    Example:
        >>> try:
        ...     with uninterrupted():
        ...         before = interrupted()
        ...         signal.raise_signal(signal.SIGINT)
        ...         print(before, interrupted())
        ... except KeyboardInterrupt:
        ...     pass
        False True
    """
    return threading.current_thread() is threading.main_thread() and any(map(bool, _held))


@contextmanager
def never_lost() -> Iterator[None]:
    """Raise a `KeyboardInterrupt` at the end of the block if one was ignored within it, which Python would only print.

    Python raises it wherever it happens to be, and ignores what is raised in a callback of its garbage collector or of
    a C library. JAX and Numba have such callbacks: while a network is built, one Ctrl-C of four came to nothing.

    Example:
        >>> try:
        ...     with never_lost():
        ...         try:
        ...             signal.raise_signal(signal.SIGINT)
        ...         except KeyboardInterrupt:
        ...             pass  # as such a callback does
        ... except KeyboardInterrupt:
        ...     print("heard")
        heard
    """
    handler = _handler()
    if handler is None:
        yield
        return
    heard: list[tuple] = []
    report = sys.unraisablehook

    def note(*interrupt) -> None:
        heard.append(interrupt)
        handler(*interrupt)

    def report_others(ignored) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            report(ignored)

    signal.signal(signal.SIGINT, note)
    sys.unraisablehook = report_others
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        sys.unraisablehook = report
    if heard:
        handler(*heard[-1])


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does. Schedulers send it some seconds before they kill.

    Example:
        >>> try:
        ...     with interrupted_by_sigterm():
        ...         signal.raise_signal(signal.SIGTERM)
        ... except KeyboardInterrupt:
        ...     print("heard")
        heard
    """
    if _handler() is None:  # nothing would hear it
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _handler() -> Callable | None:
    """What answers Ctrl-C in this thread, if anything does."""
    handler = signal.getsignal(signal.SIGINT)
    return handler if threading.current_thread() is threading.main_thread() and callable(handler) else None


def wait_for(event: threading.Event, timeout: float | None = None) -> bool:
    """Wait for an event; False if it is not set after `timeout` [s].

    Python looks for a Ctrl-C when a wait begins and when the system wakes it. One that comes in between is not heard
    before the wait is over, so a long wait is made of short ones.

    Example:
        >>> event = threading.Event()
        >>> wait_for(event, 0.01), event.set(), wait_for(event)
        (False, None, True)
    """
    end = math.inf if timeout is None else time.monotonic() + timeout
    while not event.wait(max(0.0, min(_SLICE, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True
