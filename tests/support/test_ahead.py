"""What is read ahead: the same items, one early, errors in their place; and nothing is read for nobody."""

import gc
import signal
import threading
import time

import pytest

from snnlab.support.ahead import Ahead
from snnlab.support.interrupt import uninterrupted


def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen")


def test_it_stays_one_item_ahead():
    """Before the first is asked for, one is laid down and the next one read; not more."""
    read = []

    def items():
        for k in range(5):
            read.append(k)
            yield k

    ahead = Ahead(items, "test")
    until(lambda: read == [0, 1])
    time.sleep(0.05)
    assert read == [0, 1] and next(ahead) == 0
    until(lambda: read == [0, 1, 2])
    assert list(ahead) == [1, 2, 3, 4] and list(ahead) == []


def test_an_error_comes_after_the_items_before_it_and_stays():
    def items():
        yield "good"
        raise OSError("the disk is gone")

    ahead = Ahead(items, "test")
    assert next(ahead) == "good"
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            next(ahead)


def test_what_is_there_is_taken_at_once():
    """Three items find room; what comes after them is waited for by nobody."""
    free = threading.Event()

    def items():
        yield from range(3)
        free.wait(10.0)
        yield 3

    ahead = Ahead(items, "test", room=8)
    until(lambda: len(ahead._desk.items) == 3)
    assert ahead.take(2) == [0, 1] and ahead.take(8) == [2]
    free.set()
    assert ahead.take(8) == [3]


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_the_thread_ends_with_its_reader(how):
    before, ended = threading.active_count(), threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            ended.set()

    ahead = Ahead(items, "test")
    next(ahead)
    if how == "closed":
        ahead.close()
    else:
        del ahead
        gc.collect()
    assert ended.wait(10.0)
    until(lambda: threading.active_count() <= before)


def test_ctrl_c_ends_the_wait_for_an_item_that_never_comes():
    """Also where it is delayed, as within a step of a run."""
    never = threading.Event()

    def items():
        never.wait(60.0)
        yield 0

    ahead = Ahead(items, "test")
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        next(ahead)
    never.set()
