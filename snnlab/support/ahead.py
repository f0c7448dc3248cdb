"""Iterate in a thread that stays one item ahead, so that the next item is there before it is asked for."""

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from snnlab.support.exit import end_at_exit
from snnlab.support.interrupt import interrupted

_SLICE = 0.1  # seconds between two looks for a Ctrl-C

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """An iterator that is read in a thread of its own, one item ahead.

    Args:
        make: called in the thread; returns what is read. It is given a function that tells whether somebody waits for
            the next item, so that a part of an item can be handed over early.
        name: of the thread.

    Example:
        >>> ahead = Ahead(lambda wanted: iter("ab"), "letters")
        >>> list(ahead)
        ['a', 'b']
    """

    def __init__(self, make: Callable[[Callable[[], bool]], Iterator[Item]], name: str):
        self._desk = _Desk()
        thread = threading.Thread(target=_read, args=(make, self._desk), name=name, daemon=True)
        end_at_exit(thread, self.close)
        weakref.finalize(self, self._desk.close)  # the thread knows the desk alone, so this may be forgotten
        thread.start()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Wait for the next item. What the iterator raises is raised here, as often as it is asked for.

        Raises:
            KeyboardInterrupt: if Ctrl-C is pressed meanwhile, also where it is delayed: an iterator may never return.
        """
        return self._desk.take()

    def close(self) -> None:
        """Read no further; the thread ends as soon as the iterator returns."""
        self._desk.close()


class _Desk:
    """What the thread lays down for the reader: one item, or the end."""

    def __init__(self):
        self.changed = threading.Condition()
        self.items: deque = deque()
        self.end: BaseException | None = None
        self.closed = False
        self.waiting = False

    def put(self, item) -> bool:
        """Lay an item down when there is room; False if nobody wants it any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or not self.items)
            if not self.closed:
                self.items.append(item)
                self.changed.notify_all()
            return not self.closed

    def finish(self, end: BaseException) -> None:
        with self.changed:
            self.end = end
            self.changed.notify_all()

    def take(self):
        with self.changed:
            self.waiting = True
            try:
                while not self.items and self.end is None:
                    self.changed.wait(_SLICE)
                    if interrupted():
                        raise KeyboardInterrupt
            finally:
                self.waiting = False
            if not self.items:
                assert self.end is not None
                raise self.end
            item = self.items.popleft()
            self.changed.notify_all()
            return item

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.items.clear()
            self.end = self.end or StopIteration()
            self.changed.notify_all()

    def wanted(self) -> bool:
        """Whether somebody waits."""
        return self.waiting or self.closed


def _read(make: Callable[[Callable[[], bool]], Iterator], desk: _Desk) -> None:
    items: Iterator = iter(())
    try:
        items = make(desk.wanted)
        while desk.put(next(items)):
            pass
    except BaseException as error:  # whoever takes the next item gets it; StopIteration, too
        desk.finish(error)
    finally:
        with contextlib.suppress(Exception):  # of the user's generator, which nobody listens to any more
            getattr(items, "close", lambda: None)()
