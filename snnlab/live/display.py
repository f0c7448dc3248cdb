"""The dashboard of a run: its widgets, and the two threads that feed them."""

from collections.abc import Callable

from snnlab.health import Diagnosis, diverged
from snnlab.history import term_names
from snnlab.live.frames.status import View
from snnlab.live.look.watcher import Watcher
from snnlab.live.run import Run
from snnlab.live.states import Transport
from snnlab.live.widgets.dashboard import Dashboard
from snnlab.live.widgets.screen import Screen
from snnlab.models import describe
from snnlab.support.files import inside
from snnlab.train import Trainer


class Display:
    """Makes the widgets of a run and starts to feed them.

    Args:
        run: what is shown, and what the controls act on.
        show: the panels, see `snnlab.live.frames.status.PANELS`.
        hz: pictures per second.

    Attributes:
        board: the widgets.
        screen: the thread that writes them.
        watcher: the thread that looks at the network; a new one after a restart with another structure.
    """

    def __init__(self, run: Run, *, show: tuple[str, ...], hz: float):
        self._run = run
        trainer = run.trainer
        self.board = Dashboard(
            trainer.mailbox.knobs,
            lambda name, value: run.set({name: value}),
            self._actions(),
            self.wake,
            terms=term_names(trainer.metric_names),
            spiking="spikes_per_sample" in trainer.metric_names,
            layers=describe(trainer.model).hidden,
            samples=len(trainer.data.x_test),
            structure=run.structure,
            folder=str(run.folder),
            hz=hz,
            show=show,
        )
        self.screen = Screen(self.board, self.view)
        self.watcher = self._watcher_of(trainer)
        self.screen.open()

    @property
    def finding(self) -> Diagnosis | None:
        """What ended the run, or what is wrong with the network as the newest checkup found it; None if nothing is."""
        return diverged(self._run.exception) or self.watcher.finding

    def view(self) -> View:
        """The run and its network as they are now."""
        watcher = self.watcher
        return View(self._run.status, self.finding, watcher.look, watcher.health, watcher.error)

    def wake(self) -> None:
        """Have a look and a picture now."""
        self.watcher.awake.set()
        self.screen.awake.set()

    def watch(self, trainer: Trainer) -> None:
        """Look at another trainer."""
        self.watcher.close()
        self.watcher = self._watcher_of(trainer)

    def close(self) -> None:
        """End the threads and free the widgets."""
        self.watcher.close()
        self.screen.close()
        self.board.close()

    def _watcher_of(self, trainer: Trainer) -> Watcher:
        board = self.board
        watcher = Watcher(
            trainer,
            sample=lambda: board.shown_sample,
            hz=lambda: board.rate,
            on_change=self.screen.awake.set,
            probing=board.raster is not None,
            checking=board.health is not None,
        )
        watcher.open()
        return watcher

    def _actions(self) -> dict[str, Callable[[], object]]:
        run = self._run
        return {
            "transport": self._transport,
            "step": run.step,
            "chunk": lambda: run.step(None),
            "stop": run.stop,
            "reset": run.reset,
            "new_seed": lambda: run.reset(seed=run.trainer.config.seed + 1),
            "repair": run.repair,
            "restart": lambda: run.reset(**self.board.choices()),
            "export": self._export,
        }

    def _transport(self) -> None:
        run = self._run
        if run.transport is Transport.PAUSE:
            run.pause()
        elif run.transport is Transport.RESUME:
            run.resume()
        else:
            run.start()  # refuses with a reason if all epochs are trained

    def _export(self) -> None:
        """Export into the given folder or one inside it: a visitor of the page need not own the machine."""
        folder = inside(self.board.folder.value, self._run.folder)
        self.board.say(f"exported {self._run.export_into(folder)}")
