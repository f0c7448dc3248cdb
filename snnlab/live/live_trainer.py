"""LiveTrainer: a training run that shows itself and can be touched while it runs.

main thread    builds and displays the dashboard once and returns: the kernel stays idle, controls work
train thread   `Session`: the engine; touches no widget
pump thread    at most `hz` times a second, and only if the last frame was drawn: history -> dashboard
"""

import html
import os
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import optax
from flax import nnx

from snnlab.data import Dataset
from snnlab.errors import StateError
from snnlab.export import save
from snnlab.history import History
from snnlab.live import panels, session
from snnlab.live.dashboard import Dashboard
from snnlab.live.probe import Prober
from snnlab.live.session import Session
from snnlab.train import Trainer


def headless() -> bool:
    """Nobody can answer: no Jupyter kernel, or one whose client says so (nbconvert, nbval, papermill).

    Such clients execute cells with `allow_stdin` off. Voila does too, but there somebody watches.
    `SNNLAB_HEADLESS=1` or `0` decides where this is wrong.
    """
    said = os.environ.get("SNNLAB_HEADLESS")
    if said is not None:
        return said != "0"
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return False
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return True
    return not kernel.get_parent("shell").get("content", {}).get("allow_stdin", False)


class LiveTrainer:
    """Trains a model while you watch, and lets you turn its knobs.

    As the last expression of a cell it displays itself; press Start. Or call `fit()`, which displays it, starts
    and returns at once in a notebook, and trains to the end before it returns in a script or a headless notebook.

    Args:
        model: see `snnlab.train.Trainer`.
        data: see `snnlab.data.Dataset`.
        loss: see `snnlab.train.Trainer`.
        optimizer: see `snnlab.train.Trainer`.
        hz: pictures a second, if the browser keeps up.
        folder: where the Export button writes.
        **settings: fields of `snnlab.config.TrainConfig`: `epochs, batch_size, learning_rate, schedule, seed`.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

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
        hz: float = 4.0,
        folder: str | os.PathLike = "exports",
        **settings,
    ):
        self.trainer = Trainer(model, data, loss=loss, optimizer=optimizer, **settings)
        self.hz = hz
        self.folder = Path(folder)
        self._awake = threading.Event()
        self._session = Session(self.trainer, on_change=self._awake.set)
        self._prober = Prober(model, data)
        self._set_by_program: set[str] = set()
        self._shown: tuple | None = None
        self._probed: tuple | None = None
        self._dashboard: Dashboard | None = None

    # ---- the programmatic twins of the controls ----

    @property
    def state(self) -> str:
        """idle, compiling, training, paused, stopped, done or error."""
        return self._session.state

    @property
    def history(self) -> History:
        """Everything that happened so far."""
        return self.trainer.history

    @property
    def model(self) -> nnx.Module:
        """A copy of the model as it is now."""
        return self.trainer.snapshot()

    def start(self) -> None:
        """Start, or go on after a stop; returns at once."""
        self._session.start()

    def pause(self) -> None:
        """Hold before the next chunk."""
        self._session.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._session.resume()

    def stop(self) -> None:
        """End after the current chunk; `start` goes on from there."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run ends. In a notebook this keeps the kernel, and so the controls, busy."""
        return self._session.wait(timeout)

    def set(self, **values: float) -> None:
        """Move knobs: `lab.set(v_th=0.6)`; for a dotted name `lab.set(**{"hidden.v_th": 0.6})`."""
        for name, value in values.items():
            self._set_by_program.add(self.trainer.set(name, value))
        self._awake.set()

    def fit(self) -> History:
        """Display and start; where nobody can watch, train to the end first."""
        if not headless():
            from IPython.display import display

            display(self)
            self.start()
            return self.history
        self.start()
        try:
            self.wait()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise
        return self.history

    def export(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> Path:
        """Write the weights as they are now to a safetensors file; see `snnlab.export.save`.

        Args:
            path: of the file; default `folder/net-step-N.safetensors`.
            overwrite: replace a file that exists.

        Raises:
            StateError: for a given path, while the run is still going (the Export button does not mind).
        """
        if path is not None and self._session.alive and self.state != session.PAUSED:
            now = f"epoch {len(self.history.epochs) + 1} of {self.trainer.config.epochs}"
            raise StateError(f"export: still training, {now}; wait, or pause() or stop() first")
        step = len(self.history)
        path = path or self.folder / f"net-step-{step}.safetensors"
        return save(self.model, path, class_names=self.trainer.data.class_names, overwrite=overwrite)

    # ---- what is shown ----

    def _repr_mimebundle_(self, **options):
        return self.dashboard.root._repr_mimebundle_(**options)

    @property
    def dashboard(self) -> Dashboard:
        """The widgets; made, and their pump started, when they are first asked for."""
        if self._dashboard is None:
            trainer = self.trainer
            self._dashboard = Dashboard(
                trainer.mailbox,
                {"run": self._run_pressed, "stop": self.stop, "export": self._export_pressed},
                terms=panels.term_names(trainer.metric_names),
                spiking="spikes_per_sample" in trainer.metric_names,
                samples=len(trainer.data.x_test),
                wake=self._awake.set,
            )
            pump = threading.Thread(target=_pump, args=(weakref.ref(self), self._awake), name="snnlab-pump")
            pump.daemon = True
            pump.start()
        return self._dashboard

    def _run_pressed(self) -> None:
        if not self._session.alive:
            self.start()
        elif self._session.paused:
            self.resume()
        else:
            self.pause()

    def _export_pressed(self) -> None:
        self._dashboard.message = f"exported {html.escape(str(self.export(overwrite=True)))}"

    def _show(self) -> None:
        """One frame, if anything changed since the last; runs on the pump thread alone."""
        board = self._dashboard
        followed, self._set_by_program = self._set_by_program, set()
        board.follow(followed)
        index = board.sample.value
        live = self._session
        now = (live.state, live.paused, live.report, len(self.history), board.message, index)
        if now == self._shown:
            return
        self._shown = now
        trainer, report = self.trainer, self._session.report
        board.refresh(
            run_label=self._run_label(),
            stoppable=self._session.alive,
            status=self._status(),
            progress=(report.step / report.total_steps) if report else 0.0,
            curves=panels.curves(self.history, trainer.steps_per_epoch),
        )
        if (len(self.history), index) != self._probed:
            self._probed = (len(self.history), index)
            probe = self._prober(trainer.snapshot(), index)
            encoder = getattr(trainer.model, "encoder", None)
            board.canvas.frame = panels.canvas_frame(probe, trainer.data.class_names, getattr(encoder, "dt", None))
        board.pulse.beat()

    def _run_label(self) -> str:
        if self._session.alive:
            return "Resume" if self._session.paused else "Pause"
        return "Done" if self.trainer.done else "Start"

    def _status(self) -> str:
        if self._session.error:
            return f"<b>error</b><pre style='max-height:14em;overflow:auto'>{html.escape(self._session.error)}</pre>"
        parts = [f"<b>{self.state}</b>"]
        report = self._session.report
        if report is not None:
            parts.append(f"epoch {report.epoch} of {self.trainer.config.epochs}")
            parts.append(f"step {report.step} of {report.total_steps}")
            parts.append(f"{report.samples_per_second:,.0f} samples/s")
            parts.append(f"compilations {self.trainer.compilations}")
            if self._session.alive:
                parts.append(f"{panels.clock(report.eta)} left")
        for row in self.history.epochs[-1:]:
            parts.append(f"test accuracy {row['test_acc']:.1%}")
        return " &middot; ".join(parts)


def _pump(reference: weakref.ref, awake: threading.Event) -> None:
    """Call `_show` `hz` times a second, or at once after an action, until the LiveTrainer is gone."""
    while (lab := reference()) is not None:
        if lab._dashboard.pulse.ready:
            try:
                lab._show()
            except Exception as error:
                lab._dashboard.status.value = f"<b>display error</b> {html.escape(repr(error))}"
        period = 1.0 / lab.hz
        del lab  # nothing shall hold it while the pump sleeps
        awake.wait(period)
        awake.clear()
