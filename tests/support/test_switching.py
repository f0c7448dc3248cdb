"""Threads switch quickly while a dashboard is open, and as before when the last one is closed."""

import sys

import pytest

from snnlab.support.switching import SHORT, QuickSwitching


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("own", "meanwhile"), [(0.005, SHORT), (0.0001, 0.0001)])
def test_it_is_short_while_somebody_wants_it(interval, own, meanwhile):
    sys.setswitchinterval(own)
    first, second = QuickSwitching(), QuickSwitching()
    first.begin()
    second.begin()
    second.begin()
    first.end()
    assert sys.getswitchinterval() == pytest.approx(meanwhile)
    second.end()
    second.end()
    assert sys.getswitchinterval() == pytest.approx(own)
