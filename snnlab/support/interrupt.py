"""Delay Ctrl-C and the interrupt of a notebook's kernel while several things must change together."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *interrupt: held.append(interrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[-1])
