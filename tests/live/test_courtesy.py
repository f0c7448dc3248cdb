"""The training waits for a picture that somebody waits for, and takes the same steps."""

import threading

import pytest

from snnlab.live import courtesy
from snnlab.live.courtesy import Courtesy


@pytest.fixture
def in_thread():
    """Start `give_way` in a thread, as a training does; what is left of it ends with the test."""
    made = []

    def start(asked: Courtesy) -> threading.Thread:
        made.append(asked)
        thread = threading.Thread(target=asked.give_way, daemon=True)
        thread.start()
        return thread

    yield start
    for asked in made:
        asked.answer()


def test_it_waits_for_the_answer(monkeypatch, in_thread):
    monkeypatch.setattr(courtesy, "WAIT", 600.0)
    asked = Courtesy()
    asked.ask()
    thread = in_thread(asked)
    thread.join(0.2)
    assert thread.is_alive(), "the picture is on its way"
    asked.answer()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("ask", [False, True])
def test_it_does_not_wait_for_nothing_nor_for_ever(monkeypatch, in_thread, ask):
    """Nobody asked, or no page answers: it is hidden, or closed."""
    monkeypatch.setattr(courtesy, "WAIT", 0.05 if ask else 600.0)
    asked = Courtesy()
    if ask:
        asked.ask()
    thread = in_thread(asked)
    thread.join(60)
    assert not thread.is_alive()
