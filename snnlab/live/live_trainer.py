"""LiveTrainer: a training run that shows itself and can be touched while it runs.

main thread    builds and displays the dashboard once and returns: the kernel stays idle, controls work
train thread   `Session`: the engine; touches no widget
watch thread   `Watcher`: looks at the network; touches no widget
pump thread    `Screen`: at most `hz` times a second, and only if the last frame was drawn: all of it -> dashboard
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import optax
from flax import nnx

from snnlab.config import TrainConfig
from snnlab.data import Dataset
from snnlab.errors import StateError
from snnlab.health import Checkup, Diagnosis, Health, diagnose, diverged
from snnlab.history import History, Report
from snnlab.live import frontend, restart
from snnlab.live.repair import repair
from snnlab.live.saving import Saving
from snnlab.live.session import Session
from snnlab.live.still.still import still
from snnlab.live.widgets.dashboard import PANELS
from snnlab.live.widgets.display import Display
from snnlab.live.writing import write
from snnlab.support import arguments
from snnlab.train import Trainer
from snnlab.train.replay import script


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
        epochs: see `snnlab.train.Trainer`; so too `batch_size`, `learning_rate`, `schedule` and `seed`.

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
        epochs: int = TrainConfig.epochs,
        batch_size: int = TrainConfig.batch_size,
        learning_rate: float = TrainConfig.learning_rate,
        schedule: str = TrainConfig.schedule,
        seed: int = TrainConfig.seed,
    ):
        self.hz = arguments.number("hz", hz, 0.5, 10.0)
        self.show = tuple(arguments.choice("show", panel, PANELS) for panel in show)
        self.folder = Path(folder)
        self._made_of = {"loss": loss, "optimizer": optimizer}
        self.trainer = Trainer(
            model,
            data,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            seed=seed,
        )
        self.runs: list[tuple[History, int]] = []
        self.shown_together = threading.RLock()
        self._saving = Saving(self, self._made_of, self._say)
        self._session = Session(self.trainer, on_change=self.wake)
        self._display: Display | None = None
        self._checkup: Checkup | None = None
        self._fit_in: str | None = None  # the cell whose `fit` displayed it
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
    def exception(self) -> BaseException | None:
        """What ended the run, or None."""
        return self._session.exception

    @property
    def error(self) -> str | None:
        """Its traceback, or None."""
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
        """What ended the run, or is wrong with the network as the dashboard found at its last checkup or, without one,
        found now; None if all is well."""
        if self.exception is None and self._display is None:
            return diagnose(self.checkup(), self.history, self.trainer.mailbox.knobs)
        return diverged(self.exception) or (self._display and self._display.watcher.finding)

    def checkup(self) -> Health:
        """How well the network is now, measured on test samples; the first one compiles for a second."""
        if self._checkup is None or self._checkup.stepper is not self.trainer.stepper:
            self._checkup = Checkup(self.trainer.stepper, self.trainer.data)
        return self._checkup(self.trainer.state)

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
        self.wake()

    def stop(self) -> None:
        """End after the current chunk; `start` goes on from there."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run ends. In a notebook this keeps the kernel, and so the controls, busy."""
        return self._session.wait(timeout)

    def set(self, values: Mapping[str, float] | None = None, /, *, after_epoch: int = 0, **by_name: float) -> None:
        """Move knobs: `lab.set(v_th=0.6)`, or with full names `lab.set({"hidden.v_th": 0.6})`.

        Args:
            values: new values by the name of the knob, or by an ending of the name that only one knob has.
            after_epoch: move them when this many epochs are trained; a reset cancels that.
            **by_name: the same as `values`, for names without a dot.

        Raises:
            ArgumentError: if there is no such knob, or a value is out of range. Then no knob is moved.
        """
        box, after_epoch = self.trainer.mailbox, arguments.count("after_epoch", after_epoch, 0)
        moves = [box.check(name, value) for name, value in {**(values or {}), **by_name}.items()]
        for name, value in moves:
            box.post(name, value, not_before=after_epoch * self.trainer.steps_per_epoch)
        self.wake()

    def reset(
        self,
        *,
        seed: int | None = None,
        hidden: int | None = None,
        num_steps: int | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
    ) -> None:
        """Begin again at step 0, and keep the run so far as a ghost behind the curves. Knobs stay where they are.

        Args:
            seed: of new weights and a new order of the data. Default: the weights that the run began with.
            hidden: neurons or units in the hidden layer.
            num_steps: time steps of one sample.
            batch_size: samples in one optimizer step.
            epochs: passes over the training set.

        Raises:
            ArgumentError: if the model has no such structure, or a value is out of range.
        """
        wanted = {"hidden": hidden, "num_steps": num_steps, "batch_size": batch_size, "epochs": epochs}
        structure = {name: value for name, value in wanted.items() if value is not None}
        begin = restart.prepare(self.trainer, seed, structure, self._made_of)
        with self.shown_together:
            self._session.end()
            if len(self.history):
                self.runs.append((self.history, self.trainer.steps_per_epoch))
            self._go_on_with(begin())
            self._saving.follow(self.trainer)
        self.wake()

    def repair(self) -> None:
        """Do what the diagnosis proposes, if it proposes something; a run that diverged goes on from there."""
        repair(self)

    def fit(self, until_epoch: int | None = None) -> History:
        """Display and start, or go on where it was displayed; where nobody watches, train first, and leave a picture.

        Args:
            until_epoch: stop when so many epochs are trained; the next `fit`, or Start, goes on.
        """
        if until_epoch is not None:
            arguments.count("until_epoch", until_epoch, self.history.num_epochs + 1)
        watched = not frontend.headless()
        if watched:
            self._fit_in = frontend.show_once(self, self._fit_in)
        try:
            if not self.trainer.done:
                self._session.go_on(until_epoch)
            if not watched:
                self.wait()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise
        if not watched and frontend.in_notebook():
            frontend.show(self)
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
        return write(self, path, overwrite)

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
        self._session = Session(trainer, on_change=self.wake, checkpoints=self._saving.checkpoints)
        if trainer is not old and self._display:
            self._display.watch_anew()

    def _say(self, text: str) -> None:
        """Beside the status, which has the `problem` anyway; printed where there is no dashboard."""
        if self._display is None:
            print(f"snnlab: {text}", file=sys.stderr)
        elif text != self.problem:
            self._display.board.say(text, warning=True)
        self.wake()

    def wake(self) -> None:
        """Let the dashboard look, soon."""
        if self._display is not None:
            self._display.wake()
