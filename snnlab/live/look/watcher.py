"""Looking at the network while it trains: one sample in detail, many for their health. In a thread of its own, because
the first look compiles for a second, and pictures and controls must not wait for that."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flax import nnx

from snnlab.health import Checkup, Diagnosis, Health, diagnose
from snnlab.live.look.probe import Probe, Prober
from snnlab.support.exit import end_at_exit
from snnlab.support.memory import give_memory_back
from snnlab.train import Trainer

CHECKUP_PERIOD = 2.5, 5.0  # seconds between two checkups, at least and at most
CHECKUP_SHARE = 0.01  # of the time that checkups may take
TIDY_PERIOD = 5.0  # seconds; what is made and freed for pictures would otherwise be kept, some 15 MB a minute


@dataclass(frozen=True, eq=False)
class Look:
    """One sample in detail: what the network did with it, and the network as it was then."""

    probe: Probe
    index: int
    model: nnx.Module


class Watcher:
    """Looks at a trainer's network, again and again, until it is closed.

    Args:
        trainer: whose network; only read.
        sample: tells which test sample to look at.
        hz: tells how often to look, at most [1/s].
        on_change: called in the watcher's thread when there is something new.
        probing: look at a sample.
        checking: make checkups.

    Attributes:
        awake: set it to have it look now.
        look: the newest `Look`, or None.
        health: the newest `Health`, or None.
        finding: what is wrong, or None.
        error: the exception that ended it, or None.
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
        self._checked: tuple | None = None
        self._looked_at: tuple | None = None
        self.awake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="snnlab-watch", daemon=True)

    def open(self) -> None:
        """Begin."""
        end_at_exit(self._thread, self.close)
        self._thread.start()

    def close(self) -> None:
        """End, after what it is looking at now."""
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
        except Exception as error:  # a model of the user's own can fail in any way; the training goes on
            self.error = error
            self._on_change()

    def _tidy_up(self) -> None:
        if time.monotonic() >= self._next_tidying:
            give_memory_back()
            self._next_tidying = time.monotonic() + TIDY_PERIOD

    def _take_a_look(self) -> bool:
        """Whether there was something new to see."""
        trainer, index = self._trainer, self._sample()
        now = (trainer.history, len(trainer.history), index)
        if self._prober is None or now == self._looked_at:
            return False
        self._looked_at = now
        model = trainer.snapshot()
        self.look = Look(self._prober(model, index), index, model)
        return True

    def _check_up(self) -> bool:
        """Whether it was time for another checkup."""
        trainer = self._trainer
        now = (trainer.history, len(trainer.history), len(trainer.history.interventions))
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
