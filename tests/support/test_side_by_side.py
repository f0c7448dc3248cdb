"""Parts of some work at the same time."""

import threading

import pytest

from snnlab.support.side_by_side import side_by_side


def test_all_parts_are_at_work_at_once_and_the_first_in_this_thread():
    together, seen = threading.Barrier(3), {}

    def work(part):
        together.wait(timeout=60)  # nobody passes before all three are here
        seen[part] = threading.current_thread()

    side_by_side(work, "abc")
    assert set(seen) == set("abc") and len(set(seen.values())) == 3
    assert seen["a"] is threading.current_thread()
    assert not any(seen[part].is_alive() for part in "bc")


@pytest.mark.parametrize("bad", "abc")
def test_an_error_is_raised_when_all_have_ended(bad):
    ended, failed = [], threading.Event()

    def work(part):
        if part == bad:
            failed.set()
            raise ValueError(part)
        assert failed.wait(timeout=60)
        ended.append(part)

    with pytest.raises(ValueError, match=bad):
        side_by_side(work, "abc")
    assert sorted([*ended, bad]) == ["a", "b", "c"]


def test_no_parts_are_no_work():
    side_by_side(pytest.fail, [])
