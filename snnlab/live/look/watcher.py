"""Looks at the network while it trains: at one sample in detail, at many for their health.

It has a thread of its own, because the first look compiles for a second and neither pictures nor controls may wait.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from flax import nnx

from snnlab.health import Checkup, Diagnosis, Health, diagnose
from snnlab.history import History
from snnlab.live.frames.chosen import Chosen
from snnlab.live.frames.paper import Paper
from snnlab.live.frames.probe import Look, Probe
from snnlab.live.frames.targets import output_names
from snnlab.live.look.inspector import Inspector
from snnlab.live.look.prober import Prober, neuron
from snnlab.live.look.voltages import spiking
from snnlab.models import describe
from snnlab.support.exit import end_at_exit
from snnlab.support.memory import give_memory_back
from snnlab.train import Trainer

CHECKUP_PERIOD = 2.5, 5.0  # seconds between two checkups, at least and at most
CHECKUP_SHARE = 0.01  # of the time that checkups may take
AHEAD = 0.04  # seconds until a look at a preview is followed by one at what was trained meanwhile
NOTHING: dict = {}  # is shown of a network that is not looked into
TIDY_PERIOD = 20.0  # seconds; otherwise the allocator keeps what pictures have freed, some 15 MB a minute


class _Looked(NamedTuple):
    """What the newest look depends on."""

    history: History
    steps: int
    sample: int
    drawing: bytes | None
    knobs: tuple[float, ...]


class _Checked(NamedTuple):
    """What the newest checkup depends on."""

    history: History
    steps: int
    moves: int


class Watcher:
    """Looks at the network of a trainer, again and again, until it is closed.

    Args:
        trainer: only read.
        chosen: what to look at: the test sample or a drawing, the tab; and how often, at most.
        on_look: called in the watcher's thread after every look, with whether somebody waits for what is new in it;
            returns the seconds until it is shown. The next look comes a period later, so that the picture of each
            look is made when the look is over.
        probing: look at a sample.
        checking: make checkups.
        paper: what can be drawn, see `snnlab.live.frames.paper.paper_of`; nothing if it is a sentence.
        elsewhere: whether the trainer is, for a moment, on a branch that is not shown.

    Attributes:
        awake: set it to have a look now.
        look: the newest `Look`, or None.
        health: the newest `Health`, or None.
        finding: what is wrong with the network, or None.
        error: the exception that ended the looks, or None.
    """

    def __init__(
        self,
        trainer: Trainer,
        chosen: Chosen,
        on_look: Callable[[bool], float],
        *,
        probing: bool,
        checking: bool,
        paper: Paper | str = "",
        elsewhere: Callable[[], bool] = lambda: False,
    ):
        self.look: Look | None = None
        self.health: Health | None = None
        self.finding: Diagnosis | None = None
        self.error: Exception | None = None
        self._trainer, self._chosen, self._on_look = trainer, chosen, on_look
        self._paper = None if isinstance(paper, str) else paper
        self._elsewhere = elsewhere
        self._prober = Prober(trainer.model, trainer.data, trainer.loss) if probing else None
        self._checkup = Checkup(trainer.stepper, trainer.data) if checking else None
        self._inspector = Inspector(trainer) if probing else None
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
        awaited = True  # the first look
        while not self._closed:
            following = self._turn(awaited)
            hurried = self._is_ahead or self._jumped
            soon = hurried or self._elsewhere()
            asked = self.awake.wait(AHEAD if soon else max(0.0, following - time.monotonic()))
            self.awake.clear()
            awaited = asked or hurried

    def _turn(self, awaited: bool) -> float:
        """Look at everything once, and return the time at which to look again.

        What somebody waits for is told at once, because the next look may take longer. Otherwise only the first look
        is told, and what the others find shows in the picture of the next one: so each turn makes one picture.
        """
        news = self._finds(self._take_a_look)
        shown = self._on_look(news and awaited)
        following = time.monotonic() + shown + 1.0 / self._chosen.hz
        for look in (self._check_up, self._inspect):
            if self._finds(look):
                news = True
                if awaited:
                    self._on_look(True)
        if news:
            self._tidy_up()
        return following

    def _finds(self, look: Callable[[], bool]) -> bool:
        """Whether a look finds something new. After one that failed there are no more."""
        if self.error is not None or self._elsewhere():
            return False
        try:
            return look()
        except Exception as error:  # a user's own model can fail in any way; training continues
            self.error = error
            return True

    def _inspect(self) -> bool:
        """Look at what the tab shows; not if a move or another sample waits to be shown."""
        return self._inspector is not None and not self.awake.is_set() and self._inspector.look(self._chosen)

    @property
    def inspected(self) -> dict:
        """What the tab shows, as it was seen last."""
        return NOTHING if self._inspector is None else self._inspector.frame

    @property
    def _is_ahead(self) -> bool:
        """The newest look is at a move that no training step has used yet: one at what it does comes soon."""
        return self.look is not None and self.look.preview and not self._trainer.mailbox.tried

    @property
    def _jumped(self) -> bool:
        """The run was put elsewhere since the newest checkup, which is of no use any more."""
        checked = self._checked
        return self._checkup is not None and checked is not None and checked.history is not self._trainer.history

    def _tidy_up(self) -> None:
        if time.monotonic() >= self._next_tidying:
            give_memory_back()
            self._next_tidying = time.monotonic() + TIDY_PERIOD

    def _take_a_look(self) -> bool:
        """Run the sample through the network, if either is new or a knob was moved; returns whether it was."""
        trainer, index, drawing = self._trainer, self._chosen.sample, self._chosen.drawing
        knobs = tuple(knob.value for knob in trainer.mailbox.shown.values())
        now = _Looked(trainer.history, len(trainer.history), index, drawing, knobs)
        if self._prober is None or now == self._looked:
            return False
        state, ahead = trainer.preview_state()
        if self._elsewhere():
            return False
        system = trainer.stepper.structure.merge(state)
        model = system["model"]
        probe, drawing = self._probe(self._prober, model, system["loss"], index, drawing)
        read, known = functools.partial(neuron, model), functools.partial(spiking, model)
        names, dt = output_names(trainer.data.class_names, trainer.data.num_outputs), describe(model).step
        self.look = Look(probe, names, dt, read, known, preview=ahead, drawing=drawing)
        self._looked = now
        return True

    def _probe(
        self, prober: Prober, model: nnx.Module, loss: Callable, index: int, drawing: bytes | None
    ) -> tuple[Probe, bytes | None]:
        """Run the drawing, or else the test sample; returns it as a drawing, too."""
        if self._paper is None:
            return prober(model, index, loss), None
        if drawing is not None:
            return prober.own(model, self._paper.sample(drawing)), drawing
        return prober(model, index, loss), self._paper.drawing(self._trainer.data.image(index))

    def _check_up(self) -> bool:
        """Make a checkup, if it is time for one; returns whether it was."""
        trainer = self._trainer
        now = _Checked(trainer.history, len(trainer.history), trainer.history.num_moves)
        started = time.monotonic()
        if self._checkup is None or now == self._checked or (started < self._next_checkup and not self._jumped):
            return False
        if self.awake.is_set():  # a hand that drags the run through time sees the sample first
            return False
        self.health = self._checkup(trainer.state)
        self.finding = diagnose(self.health, trainer.history, trainer.mailbox.knobs)
        took = time.monotonic() - started if self._checked else 0.0  # the first one compiles
        self._checked = now
        least, most = CHECKUP_PERIOD
        self._next_checkup = time.monotonic() + min(max(least, took / CHECKUP_SHARE), most)
        return True
