"""LiveTrainer: a training run that shows itself and can be touched while it runs.

main thread    builds and displays the dashboard once and returns: the kernel stays idle, controls work
train thread   `Session`: the engine; touches no widget
watch thread   `Watcher`: looks at the network; touches no widget
pump thread    `Screen`: at most `hz` times a second, and only if the last frame was drawn: all of it -> dashboard
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import optax
from flax import nnx

from snnlab import check
from snnlab.data import Dataset
from snnlab.diagnosis import Diagnosis, diverged
from snnlab.errors import DivergenceError, StateError
from snnlab.export import FORMATS, save, save_nir
from snnlab.files import free_path
from snnlab.history import History
from snnlab.live import frontend, restart, session
from snnlab.live.dashboard import PANELS
from snnlab.live.display import Display
from snnlab.live.saving import Saving
from snnlab.live.session import Session
from snnlab.live.still import still
from snnlab.report import Report
from snnlab.script import script
from snnlab.train import Trainer


class LiveTrainer:
    """Trains a model while you watch, and lets you turn its knobs.

    As the last expression of a cell it displays itself; press Start. Or call `fit()`, which displays it, starts
    and returns at once in a notebook, and trains to the end before it returns in a script or a headless notebook.

    Running the cell that made it again ends it and makes a new one. Deleting the variable does not: the dashboard keeps
    it, until `close()`. Two of them train side by side. Another cell that runs, or an interrupt of the kernel, does not
    stop it; a restart of the kernel does, and the page says so.

    Args:
        model: see `snnlab.train.Trainer`.
        data: see `snnlab.data.Dataset`.
        loss: see `snnlab.train.Trainer`.
        optimizer: see `snnlab.train.Trainer`.
        hz: pictures a second, 0.5 to 10, if the browser keeps up; whatever you do shows at once.
        folder: where the Export button writes; the dashboard can choose a folder in it, but none elsewhere.
        show: which of "curves", "raster" and "health"; without them the dashboard costs less.
        **settings: fields of `snnlab.config.TrainConfig`: `epochs, batch_size, learning_rate, schedule, seed`.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

    Attributes:
        trainer: the engine.
        runs: what earlier runs recorded: pairs of their `History` and steps per epoch.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
        >>> lab = LiveTrainer(net, digits, epochs=1, batch_size=64)
        >>> lab.set(v_th=0.8)
        >>> lab.fit().epochs[0]["epoch"], lab.state
        (1, 'done')
    """

    def __init__(
        self,
        model: nnx.Module,
        data: Dataset,
        *,
        loss: Callable | None = None,
        optimizer: optax.GradientTransformation | None = None,
        hz: float = 2.0,
        folder: str | os.PathLike = "exports",
        show: tuple[str, ...] = PANELS,
        **settings,
    ):
        self.hz = check.number("hz", hz, 0.5, 10.0)
        self.show = tuple(check.choice("show", panel, PANELS) for panel in show)
        self.folder = Path(folder)
        self._made_of = {"loss": loss, "optimizer": optimizer}
        self.trainer = Trainer(model, data, **self._made_of, **settings)
        self.runs: list[tuple[History, int]] = []
        self.shown_together = threading.RLock()
        self._saving = Saving(self, self._made_of, self._say)
        self._session = Session(self.trainer, on_change=self._wake)
        self._display: Display | None = None
        frontend.replace_of_same_cell(self)

    # ---- the programmatic twins of the controls ----

    @property
    def state(self) -> str:
        """idle, compiling, training, paused, stopped, done or error."""
        return self._session.state

    @property
    def report(self) -> Report | None:
        """What the engine said last."""
        return self._session.report

    @property
    def error(self) -> str | None:
        """Traceback of what ended the run, or None."""
        return self._session.error

    @property
    def problem(self) -> str | None:
        """Why the run cannot be saved at the moment, or None."""
        return self._saving.problem

    @property
    def history(self) -> History:
        """Everything that happened so far."""
        return self.trainer.history

    @property
    def model(self) -> nnx.Module:
        """A copy of the model as it is now."""
        return self.trainer.snapshot()

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What ended the run, or is wrong with the network as the dashboard found at its last checkup; None if all is
        well."""
        if isinstance(self._session.exception, DivergenceError):
            return diverged(self._session.exception)
        return self._display.watcher.finding if self._display else None

    def start(self) -> None:
        """Start, or go on after a stop; returns at once."""
        self._session.start()

    def step(self, steps: int | None = 1) -> None:
        """Take some optimizer steps and hold; None takes one chunk of them, about a tenth of a second."""
        self._session.step(steps)

    def pause(self) -> None:
        """Hold before the next chunk."""
        self._session.pause()

    def resume(self, folder: str | os.PathLike | None = None) -> None:
        """Go on after a pause; or, with a folder of checkpoints, be where the run that was saved there was.

        From then on it saves there while it trains. The kernel may die, or the machine: run the same cells again, and
        `start`, `fit` or the button goes on bit for bit. See `snnlab.checkpoint.Checkpoints`.

        Args:
            folder: of checkpoints; made if it is not there.

        Raises:
            StateError: if this run is going on, or another one saves in the folder.
            ArgumentError: if the saved run is of another model, data or settings, or the folder cannot be written.
        """
        if folder is None:
            self._session.resume()
            return
        if self._session.alive:
            raise StateError("resume: the run is going on; stop() it first")
        with self.shown_together:
            self._session.end()
            self._go_on_with(self._saving.begin(folder))
        self._wake()

    def stop(self) -> None:
        """End after the current chunk; `start` goes on from there."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run ends. In a notebook this keeps the kernel, and so the controls, busy."""
        return self._session.wait(timeout)

    def set(self, **values: float) -> None:
        """Move knobs: `lab.set(v_th=0.6)`; for a dotted name `lab.set(**{"hidden.v_th": 0.6})`."""
        for name, value in values.items():
            self.trainer.set(name, value)
        self._wake()

    def reset(self, *, seed: int | None = None, **structure: int) -> None:
        """Begin again at step 0, and keep the run so far as a ghost behind the curves. Knobs stay where they are.

        Args:
            seed: of new weights and a new order of the data; default: the weights that the run began with.
            **structure: `hidden, num_steps, batch_size, epochs`: what can only change at a restart.

        Raises:
            ArgumentError: for a structure that the model does not have, or a value out of range.
        """
        begin = restart.prepare(self.trainer, seed, structure, self._made_of)
        with self.shown_together:
            self._session.end()
            if len(self.history):
                self.runs.append((self.history, self.trainer.steps_per_epoch))
            self._go_on_with(begin())
            self._saving.follow(self.trainer)
        self._wake()

    def repair(self) -> None:
        """Do what the diagnosis proposes, if it proposes something; a run that diverged goes on from there."""
        finding = self.diagnosis
        if finding is None:
            return
        if finding.back_to is not None:
            if finding.back_to < len(self.history):
                self.runs.append((self.history, self.trainer.steps_per_epoch))
            self.trainer.go_back(finding.value)
            self.start()
            return
        if finding.knob is not None:
            self.set(**{finding.knob: finding.value})
        if finding.new_seed:
            self.reset(seed=self.trainer.config.seed + 1)

    def fit(self) -> History:
        """Display and start; where nobody can watch, train to the end first, and leave a picture."""
        watched = not frontend.headless()
        if watched:
            _show(self)
        try:
            if not self.trainer.done:
                self.start()
            if not watched:
                self.wait()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise
        if not watched and frontend.in_notebook():
            _show(self)
        return self.history

    def script(self) -> str:
        """Python that replays this run, its moves at the same steps; on one machine it ends with the same bits."""
        return script(self.trainer)

    def export(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> Path:
        """Write the network as it is now: see `snnlab.export.save`, and for a path that ends in ".nir"
        `snnlab.export.save_nir`, whose certificate is printed, with spikes compared on up to 256 test samples.

        Args:
            path: of the file; default a new file `folder/net-step-N.safetensors`.
            overwrite: replace a file that exists.

        Raises:
            ArgumentError: if the path ends otherwise, or exists and `overwrite` is off.
            StateError: for a given path, while the run is still going (the Export button does not mind).
        """
        if path is not None and self._session.alive and self.state != session.PAUSED:
            now = f"epoch {self.history.num_epochs + 1} of {self.trainer.config.epochs}"
            raise StateError(f"export: still training, {now}; wait, or pause() or stop() first")
        if path is None:
            return self.export_into(self.folder)
        path, data = Path(path), self.trainer.data
        if check.choice("path: its ending", path.suffix, FORMATS) == ".nir":
            print(save_nir(self.model, path, samples=data.x_test[:256], overwrite=overwrite))
            return path
        return self._save(path, overwrite)

    def export_into(self, folder: str | os.PathLike) -> Path:
        """Write the network as it is now into a new file `folder/net-step-N.safetensors`."""
        return self._save(free_path(Path(folder) / f"net-step-{len(self.history)}.safetensors"), overwrite=False)

    def _save(self, path: Path, overwrite: bool) -> Path:
        about = {"class_names": self.trainer.data.class_names, "training": self.trainer.summary}
        return save(self.model, path, **about, overwrite=overwrite)

    def close(self) -> None:
        """Stop, end the threads and free the widgets. What was learned stays in `model` and `history`."""
        self._session.end()
        self._saving.close()
        if self._display is not None:
            self._display.close()
            self._display = None

    # ---- what is shown ----

    def _repr_mimebundle_(self, **options):
        if frontend.headless():
            return still(self)
        return self.display.board.root._repr_mimebundle_(**options)

    @property
    def display(self) -> Display:
        """The widgets and what feeds them; made when they are first asked for."""
        if self._display is None:
            self._display = Display(self)
        return self._display

    @property
    def run_label(self) -> str:
        """What the first button does now."""
        if self._session.alive:
            return "Resume" if self._session.paused else "Pause"
        return "Done" if self.trainer.done else "Start"

    def _go_on_with(self, trainer: Trainer) -> None:
        old, self.trainer = self.trainer, trainer
        self._session = Session(trainer, on_change=self._wake, checkpoints=self._saving.checkpoints)
        if trainer is not old and self._display:
            self._display.watch_anew()

    def _say(self, text: str) -> None:
        """Beside the status, which has the `problem` anyway; printed where there is no dashboard."""
        if self._display is None:
            print(f"snnlab: {text}", file=sys.stderr)
        elif text != self.problem:
            self._display.board.say(text, warning=True)
        self._wake()

    def _wake(self) -> None:
        if self._display is not None:
            self._display.wake()


def _show(lab: LiveTrainer) -> None:
    from IPython.display import display

    display(lab)
