"""Iterate in a thread that stays some items ahead, so that the next item is there before it is asked for."""

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
    """An iterator that is read in a thread of its own.

    Args:
        make: called in the thread; returns what is read.
        name: of the thread.
        room: number of items that are laid down for the reader; the thread reads one more.

    Example:
        >>> ahead = Ahead(lambda: iter("abc"), "letters", room=2)
        >>> next(ahead), [*ahead]
        ('a', ['b', 'c'])
    """

    def __init__(self, make: Callable[[], Iterator[Item]], name: str, room: int = 1):
        self._desk = _Desk(room)
        thread = threading.Thread(target=_read, args=(make, self._desk), name=name, daemon=True)
        end_at_exit(thread, self.close)
        weakref.finalize(self, self._desk.close)  # the thread knows the desk alone, so this may be forgotten
        thread.start()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Wait for the next item, see `take`."""
        return self.take(1)[0]

    def take(self, most: int) -> list[Item]:
        """Wait for the next item; return it with those that are already there after it.

        Args:
            most: number of items.

        Raises:
            Exception: what the iterator raises, also `StopIteration`, as often as it is asked for.
            KeyboardInterrupt: if Ctrl-C is pressed meanwhile, also where it is delayed: an iterator may never return.
        """
        return self._desk.take(most)

    def close(self) -> None:
        """Read no further; the thread ends as soon as the iterator returns."""
        self._desk.close()


class _Desk:
    """What the thread lays down for the reader: some items, or the end."""

    def __init__(self, room: int):
        self.changed = threading.Condition()
        self.items: deque = deque()
        self.room = room
        self.end: BaseException | None = None
        self.closed = False

    def put(self, item) -> bool:
        """Lay an item down when there is room; False if nobody wants it any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.items) < self.room)
            if not self.closed:
                self.items.append(item)
                self.changed.notify_all()
            return not self.closed

    def finish(self, end: BaseException) -> None:
        with self.changed:
            self.end = self.end or end
            self.changed.notify_all()

    def take(self, most: int) -> list:
        with self.changed:
            while not self.items and self.end is None:
                self.changed.wait(_SLICE)
                if interrupted():
                    raise KeyboardInterrupt
            if not self.items:
                assert self.end is not None
                raise self.end
            found = [self.items.popleft() for _ in range(min(most, len(self.items)))]
            self.changed.notify_all()
            return found

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.items.clear()
            self.end = self.end or StopIteration()
            self.changed.notify_all()


def _read(make: Callable[[], Iterator], desk: _Desk) -> None:
    items: Iterator = iter(())
    try:
        items = make()
        while desk.put(next(items)):
            pass
    except BaseException as error:  # whoever takes the next item gets it; StopIteration, too
        desk.finish(error)
    finally:
        with contextlib.suppress(Exception):  # of the user's generator, which nobody listens to any more
            getattr(items, "close", lambda: None)()
