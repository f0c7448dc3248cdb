"""Looks at the network while it trains: at one sample in detail, at many for their health.

It has a thread of its own, because the first look compiles for a second and neither pictures nor controls may wait.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from snnlab.health import Checkup, Diagnosis, Health, diagnose
from snnlab.history import History
from snnlab.live.frames.probe import Look
from snnlab.live.look.prober import Prober, neuron
from snnlab.models import describe
from snnlab.support.exit import end_at_exit
from snnlab.support.memory import give_memory_back
from snnlab.train import Trainer

CHECKUP_PERIOD = 2.5, 5.0  # seconds between two checkups, at least and at most
CHECKUP_SHARE = 0.01  # of the time that checkups may take
TIDY_PERIOD = 5.0  # seconds; otherwise the allocator keeps what pictures have freed, some 15 MB a minute


class _Looked(NamedTuple):
    """What the newest look depends on."""

    history: History
    steps: int
    sample: int


class _Checked(NamedTuple):
    """What the newest checkup depends on."""

    history: History
    steps: int
    moves: int


class Watcher:
    """Looks at the network of a trainer, again and again, until it is closed.

    Args:
        trainer: only read.
        sample: returns the index of the test sample to look at.
        hz: returns how often to look, at most [1/s].
        on_change: called in the watcher's thread when there is something new.
        probing: look at a sample.
        checking: make checkups.

    Attributes:
        awake: set it to have a look now.
        look: the newest `Look`, or None.
        health: the newest `Health`, or None.
        finding: what is wrong with the network, or None.
        error: the exception that ended the thread, or None.
    """

    def __init__(
        self,
        trainer: Trainer,
        sample: Callable[[], int],
        hz: Callable[[], float],
        on_change: Callable[[], None],
        *,
        probing: bool,
        checking: bool,
    ):
        self.look: Look | None = None
        self.health: Health | None = None
        self.finding: Diagnosis | None = None
        self.error: Exception | None = None
        self._trainer, self._sample, self._hz, self._on_change = trainer, sample, hz, on_change
        self._prober = Prober(trainer.model, trainer.data, trainer.loss) if probing else None
        self._checkup = Checkup(trainer.stepper, trainer.data) if checking else None
        self._next_checkup = self._next_tidying = 0.0
        self._checked: _Checked | None = None
        self._looked: _Looked | None = None
        self.awake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="snnlab-watch", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        end_at_exit(self._thread, self.close)
        self._thread.start()

    def close(self) -> None:
        """End the thread after its current look; does not wait for it."""
        self._closed = True
        self.awake.set()

    def _run(self) -> None:
        try:
            while not self._closed:
                looked, checked = self._take_a_look(), self._check_up()
                if looked or checked:
                    self._on_change()
                    self._tidy_up()
                self.awake.wait(1.0 / self._hz())
                self.awake.clear()
        except Exception as error:  # a user's own model can fail in any way; training continues
            self.error = error
            self._on_change()

    def _tidy_up(self) -> None:
        if time.monotonic() >= self._next_tidying:
            give_memory_back()
            self._next_tidying = time.monotonic() + TIDY_PERIOD

    def _take_a_look(self) -> bool:
        """Run the sample through the network, if either is new; returns whether it was."""
        trainer, index = self._trainer, self._sample()
        now = _Looked(trainer.history, len(trainer.history), index)
        if self._prober is None or now == self._looked:
            return False
        model = trainer.snapshot()
        probe = self._prober(model, index)
        self.look = Look(probe, trainer.data.class_names, describe(model).dt, functools.partial(neuron, model))
        self._looked = now
        return True

    def _check_up(self) -> bool:
        """Make a checkup, if it is time for one; returns whether it was."""
        trainer = self._trainer
        now = _Checked(trainer.history, len(trainer.history), trainer.history.num_moves)
        started = time.monotonic()
        if self._checkup is None or now == self._checked or started < self._next_checkup:
            return False
        self.health = self._checkup(trainer.state)
        self.finding = diagnose(self.health, trainer.history, trainer.mailbox.knobs)
        took = time.monotonic() - started if self._checked else 0.0  # the first one compiles
        self._checked = now
        least, most = CHECKUP_PERIOD
        self._next_checkup = time.monotonic() + min(max(least, took / CHECKUP_SHARE), most)
        return True
