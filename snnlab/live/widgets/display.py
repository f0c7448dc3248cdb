"""The dashboard of a LiveTrainer, wired to it, and the two threads that feed it."""

from snnlab.history import term_names
from snnlab.live import restart
from snnlab.live.look.probe import hidden_layers
from snnlab.live.look.watcher import Watcher
from snnlab.live.widgets.dashboard import Dashboard
from snnlab.live.widgets.screen import Screen
from snnlab.live.writing import write_into
from snnlab.support.files import inside


class Display:
    """Makes the widgets of a `LiveTrainer` and begins to feed them.

    Args:
        lab: the LiveTrainer.

    Attributes:
        board: the widgets.
        screen: what writes them.
        watcher: what looks at the network; another one after a restart with another structure.
    """

    def __init__(self, lab):
        self._lab = lab
        names = lab.trainer.metric_names
        self.board = Dashboard(
            lab.trainer.mailbox.knobs,
            lambda name, value: lab.trainer.set({name: value}),  # of the trainer that there is then
            self._actions(),
            self.wake,
            terms=term_names(names),
            spiking="spikes_per_sample" in names,
            layers=hidden_layers(lab.trainer.model),
            samples=len(lab.trainer.data.x_test),
            structure=restart.structure(lab.trainer),
            folder=str(lab.folder),
            hz=lab.hz,
            show=lab.show,
        )
        self.screen = Screen(lab, self)
        self.watcher = self._make_watcher()
        self.screen.open()

    def wake(self) -> None:
        """Look now, and have a picture now."""
        self.watcher.awake.set()
        self.screen.awake.set()

    def watch_anew(self) -> None:
        """Look at another trainer."""
        self.watcher.close()
        self.watcher = self._make_watcher()

    def close(self) -> None:
        """End the threads and free the widgets."""
        self.watcher.close()
        self.screen.close()
        self.board.close()

    def _make_watcher(self) -> Watcher:
        board = self.board
        shown = {"probing": board.raster is not None, "checking": board.health is not None}
        choices = (lambda: board.sample.value, lambda: board.hz.value)
        watcher = Watcher(self._lab.trainer, *choices, lambda: self.screen.awake.set(), **shown)
        watcher.open()
        return watcher

    def _actions(self) -> dict:
        lab = self._lab
        return {
            "run": self._run,
            "step": lab.step,
            "chunk": lambda: lab.step(None),
            "stop": lab.stop,
            "reset": lab.reset,
            "new_seed": lambda: lab.reset(seed=lab.trainer.config.seed + 1),
            "repair": lab.repair,
            "restart": lambda: lab.reset(**{name: field.value for name, field in self.board.structure.items()}),
            "export": self._export,
        }

    def _run(self) -> None:
        {"Start": self._lab.start, "Pause": self._lab.pause, "Resume": self._lab.resume}[self._lab.run_label]()

    def _export(self) -> None:
        """Into the folder that the dashboard was given, or one in it: who sees a page need not own the machine."""
        folder = inside(self.board.folder.value, self._lab.folder)
        self.board.say(f"exported {write_into(self._lab, folder)}")
