"""One run and its restarts: train in a thread, save, resume, reset, repair, export. Knows no widget."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import optax
from flax import nnx
from jax.sharding import Mesh

from snnlab.balance import balanced
from snnlab.checkpoint import Checkpoints
from snnlab.config import LstmConfig, TrainConfig
from snnlab.data import Dataset, Source
from snnlab.errors import ArgumentError, StateError
from snnlab.export import FORMATS, ExhibitReport, exhibit, save, save_nir
from snnlab.health import Checkup, Diagnosis, Health, diagnose, diverged
from snnlab.history import History, Report
from snnlab.live.courtesy import Courtesy
from snnlab.live.frames.status import Recorded, Status
from snnlab.live.session import Session
from snnlab.live.states import RunState, Transport
from snnlab.live.time_machine import TimeMachine
from snnlab.losses.terms import READOUTS
from snnlab.models import Recipe, build, describe
from snnlab.support import arguments
from snnlab.support.files import free_path
from snnlab.timeline import Timeline
from snnlab.train import Trainer
from snnlab.train.devices import Devices
from snnlab.train.point import Point
from snnlab.train.replay import script

OF_THE_MODEL = ("hidden", "num_steps")
OF_THE_TRAINING = ("batch_size", "epochs")
CODE_EPOCHS = "epochs in the code"  # in the note of a checkpoint: how many the code asked for when it was saved


class Moment(NamedTuple):
    """Where a run stands: its state, and a point of its trainer that belongs to it."""

    state: RunState
    trainer: Trainer
    point: Point


class Run(TimeMachine):
    """A training run in a thread of its own, and its restarts.

    Args:
        model: see `snnlab.train.Trainer`.
        data: see `snnlab.train.Trainer`, like the next two.
        test: with data that give batches: what to test with.
        validation: with data that give batches: what is looked at while the network learns.
        loss: see `snnlab.train.Trainer`.
        optimizer: see `snnlab.train.Trainer`.
        epochs: see `snnlab.config.TrainConfig`, like the next four.
        batch_size: samples in a step.
        learning_rate: of the default optimizer.
        schedule: "cosine" or "constant".
        seed: of the order of the data and of random codes.
        devices: that share out the samples of each batch, see `snnlab.train.Trainer`.
        folder: where exported files go.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

    Attributes:
        trainer: the engine.
        timeline: the points of this run that are kept, and its branches.
        courtesy: asks the training to step back while somebody waits for a picture.
        runs: what earlier runs recorded: `history`, `steps_per_epoch` and `settings` of each.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
        >>> run = Run(net, digits, epochs=1, batch_size=64)
        >>> run.set(v_th=0.8)
        >>> run.fit().epochs[0]["epoch"], run.state
        (1, 'done')
        >>> run.reset(seed=1)
        >>> run.state, len(run.history), len(run.runs)
        ('idle', 0, 1)
    """

    def __init__(
        self,
        model: nnx.Module,
        data: Dataset | Source | Any,
        *,
        test: Any = None,
        validation: Any = None,
        loss: Callable | None = None,
        optimizer: optax.GradientTransformation | None = None,
        epochs: int = TrainConfig.epochs,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        seed: int = TrainConfig.seed,
        devices: int | str | Mesh | Devices | None = None,
        folder: str | os.PathLike = "exports",
    ):
        self.folder = arguments.path("folder", folder)
        self._loss, self._optimizer, self._devices = loss, optimizer, Devices.of(devices)
        rate = {"learning_rate": learning_rate, "schedule": schedule}
        parts = {"test": test, "validation": validation}
        self.trainer = self._make_trainer(model, data, epochs=epochs, batch_size=batch_size, **parts, **rate, seed=seed)
        self._made_as = _choices(self.trainer)
        self.runs: list[Recorded] = []
        self._changing = threading.RLock()  # one change at a time; taken before `_lock`
        self._lock = threading.RLock()  # `trainer`, `runs` and session change together
        self._checkpoints: Checkpoints | None = None
        self.timeline = Timeline(self.trainer)
        self.courtesy = Courtesy()
        self._session = Session(self.timeline, on_change=self._changed, courtesy=self.courtesy)
        self._checkup: Checkup | None = None
        self._here = threading.local()  # the moment at which the run stands still for a thread

    def __reduce__(self):
        raise StateError("a run has threads and cannot be pickled or copied; use its trainer instead (run.trainer)")

    # ---- what a subclass that shows the run overrides ----

    def _changed(self) -> None:
        """Called from any thread whenever something changed that can be seen."""

    def _say(self, text: str) -> None:
        """Tell the user something, from any thread."""
        print(f"snnlab: {text}", file=sys.stderr)

    def _use(self, trainer: Trainer) -> None:
        """Continue with this trainer, in a new session and with a new timeline."""
        self.trainer = trainer
        self.timeline = Timeline(trainer, budget=max(self.timeline.budget, Timeline.least(trainer)))
        if self._checkpoints:
            self._checkpoints.keep_branches(self.timeline)
        saving = self._checkpoints
        self._session = Session(self.timeline, self._changed, checkpoints=saving, courtesy=self.courtesy)

    # ---- where the run stands ----

    @property
    def state(self) -> RunState:
        """ "idle", "compiling", "training", "paused", "stopped", "done" or "error"."""
        here = self._standing
        return self._session.state if here is None else here.state

    @property
    def transport(self) -> Transport:
        """What the transport button does next."""
        if self._session.alive:
            return Transport.RESUME if self._session.paused else Transport.PAUSE
        return Transport.NOTHING if self.trainer.done else Transport.START

    @property
    def status(self) -> Status:
        """Everything that a dashboard shows of the run, at one moment."""
        with self._lock:  # not in the middle of a restart
            trainer, session = self.trainer, self._session
            return Status(
                state=session.state,
                transport=self.transport,
                recorded=_recorded(trainer),
                earlier=tuple(self.runs),
                epochs=trainer.config.epochs,
                total_steps=trainer.total_steps,
                compilations=trainer.compilations,
                knobs=trainer.mailbox.knobs,
                tried=trainer.mailbox.tried,
                pace=trainer.mailbox.pace,
                report=session.report,
                traceback=session.error,
                problem=self.problem,
            )

    @property
    def report(self) -> Report | None:
        """The newest report of the engine, or None."""
        return self._session.report

    @property
    def exception(self) -> BaseException | None:
        """The exception that ended the run, or None."""
        return self._session.exception

    @property
    def error(self) -> str | None:
        """The traceback of `exception`, or None."""
        return self._session.error

    @property
    def problem(self) -> str | None:
        """Why the run cannot be saved at the moment, or None."""
        return self._checkpoints.problem if self._checkpoints else None

    @property
    def history(self) -> History:
        """Everything that happened so far."""
        here = self._standing
        return self.trainer.history if here is None else here.point.past

    @property
    def model(self) -> nnx.Module:
        """A copy of the model as it is now."""
        here = self._standing
        return self.trainer.snapshot() if here is None else here.trainer.model_at(here.point)

    @property
    def moment(self) -> Moment:
        """Where the run stands; while it trains, where it stood at its last landmark, such as the end of an epoch."""
        with self._lock:
            trainer, session = self.trainer, self._session
            state = session.state
            moving = state in (RunState.COMPILING, RunState.TRAINING)
            return Moment(state, trainer, session.landmark if moving else trainer.at)

    @contextmanager
    def standing_at(self, moment: Moment) -> Iterator[None]:
        """Let `model`, `history`, `state`, `checkup()` and `diagnosis` be those of a moment, in this thread only."""
        before = self._standing
        self._here.moment = moment
        try:
            yield
        finally:
            self._here.moment = before

    @property
    def _standing(self) -> Moment | None:
        return getattr(self._here, "moment", None)

    @property
    def structure(self) -> dict[str, int]:
        """What can change only at a restart, and its value now."""
        return _structure(self.trainer)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What ended the run, or what is wrong with the network now; None if nothing is."""
        if self.exception is not None:
            return diverged(self.exception)
        return diagnose(self.checkup(), self.history, self.trainer.mailbox.knobs)

    def checkup(self) -> Health:
        """Measure the health of the network now, on test samples; the first checkup compiles for a second."""
        here = self._standing
        trainer = self.trainer if here is None else here.trainer
        checkup = self._checkup
        if checkup is None or checkup.stepper is not trainer.stepper:
            checkup = self._checkup = Checkup(trainer.stepper, trainer.data)
        return checkup(trainer.state if here is None else here.point.state)

    def script(self) -> str:
        """Return Python code that replays this run, its moves at the same steps; on one machine, bit for bit."""
        return script(self.trainer)

    @property
    def pace(self) -> float | None:
        """Optimizer steps a second, at most; None for as fast as it goes. Set it at any time, `run.pace = 10`."""
        return self.trainer.mailbox.pace

    @pace.setter
    def pace(self, steps: float | None) -> None:
        self.trainer.mailbox.pace = steps
        self._changed()

    @property
    def epochs(self) -> int:
        """Passes over the training set, in all. Set it at any time to train longer, also when the run is done:

            lab.epochs = 20
            lab.start()

        It holds for all branches. See `snnlab.train.Trainer.epochs` for what it means for the learning rate.

        Raises:
            ArgumentError: if a branch was trained longer.
        """
        return self.trainer.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        with self._changing, self._lock:
            self._session.extend(epochs)
            if self._checkpoints:
                self._checkpoints.note = self._note
                if not self._session.alive:
                    self._checkpoints.save_now()
        self._changed()

    # ---- transport ----

    def start(self) -> None:
        """Start, or continue after a stop; returns at once."""
        self._session.start()

    def step(self, steps: int | None = 1) -> None:
        """Take some optimizer steps and pause; None takes one chunk of them, about a tenth of a second."""
        self._session.step(steps)

    def pause(self) -> None:
        """Pause before the next chunk."""
        self._session.pause()

    def resume(self, folder: str | os.PathLike | None = None) -> None:
        """Continue after a pause; or, with a folder of checkpoints, continue the run that was saved there.

        From then on the run saves there while it trains. If the Jupyter kernel or the machine dies, run the same cells
        again: `start`, `fit` or the button continues bit for bit. See `snnlab.checkpoint.Checkpoints`.

        Args:
            folder: of checkpoints; created if it does not exist.

        Raises:
            StateError: if this run is training, or another run saves in the folder.
            ArgumentError: if the saved run has another model, data or settings, or the folder cannot be written.
        """
        if folder is None:
            self._session.resume()
            return
        if self._session.alive:
            raise StateError("resume: the run is training; call stop() first")
        with self._changing, self._lock:
            self._session.end()
            self._close_checkpoints()
            self._checkpoints = Checkpoints(self.trainer, folder, say=self._say, adapt=self._adapt)
            self._use(self._checkpoints.trainer)
        self._changed()

    def stop(self) -> None:
        """End after the current chunk; `start` continues from there."""
        self._session.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run ends; False if it has not ended after `timeout` [s].

        In a notebook this keeps the Jupyter kernel busy, and with it the controls.
        """
        return self._session.wait(timeout)

    def fit(self, until_epoch: int | None = None, *, patience: int | None = None) -> History:
        """Train, and return when the run has ended.

        Args:
            until_epoch: stop after this epoch; the next `fit` or `start` continues.
            patience: stop when the score of the part that is looked at has not risen for that many epochs; at the end,
                go back to the epoch where it was highest. What came after it stays in the branch:
                `switch(timeline.here)` returns there.
        """
        self._check_goal(until_epoch, patience)
        try:
            self._train(until_epoch, patience)
            self.wait()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise
        return self.history

    def close(self) -> None:
        """Stop the run and end its threads. `model` and `history` stay available."""
        self._session.end()
        self._close_checkpoints()

    def _check_goal(self, until_epoch: int | None, patience: int | None) -> None:
        if patience is not None:
            arguments.count("patience", patience)
        if until_epoch is not None:
            arguments.count("until_epoch", until_epoch, self.history.num_epochs + 1)

    def _train(self, until_epoch: int | None, patience: int | None) -> None:
        if not self.trainer.done:
            self._session.train(until_epoch, patience)

    # ---- changes ----

    def set(self, values: Mapping[str, float] | None = None, /, *, after_epoch: int = 0, **by_name: float) -> None:
        """Move knobs: `set(v_th=0.6)`, or by their full names `set({"hidden.v_th": 0.6})`.

        Args:
            values: new values by the names of the knobs.
            after_epoch: move them when this epoch is trained; a reset forgets such a move.
            **by_name: more of them.

        Raises:
            ArgumentError: if there is no such knob, or a value is out of range. Then no knob is moved.
        """
        box, after_epoch = self.trainer.mailbox, arguments.count("after_epoch", after_epoch, 0)
        moves = [box.check(name, value) for name, value in {**(values or {}), **by_name}.items()]
        for name, value in moves:
            box.post(name, value, not_before=after_epoch * self.trainer.steps_per_epoch)
        self._changed()

    def note(self, text: str) -> None:
        """Keep a sentence with the run: it belongs to the newest step, and stands in curves, checkpoints and `script`.

        Raises:
            ArgumentError: if it is no text in one line of at most 1000 characters.
        """
        history = self.trainer.history
        history.add_note(text)
        if self.timeline.behind:  # the branch that was gone back in has the note, too
            self.branches[self.timeline.here].history.add_note(text, step=len(history))
        if not self._session.alive:
            self._save_now()
        self._changed()

    def reset(
        self,
        *,
        seed: int | None = None,
        hidden: int | None = None,
        num_steps: int | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
    ) -> None:
        """Begin again at step 0; the run so far becomes an earlier run. Knobs stay where they are.

        Args:
            seed: of new weights and a new order of the data; default: the weights that the run began with.
            hidden: neurons of the hidden layer, of a model made by `snnlab.build`.
            num_steps: time steps of a sample, of a model made by `snnlab.build`.
            batch_size: samples in a step.
            epochs: of the new run.

        Raises:
            ArgumentError: for a value that the model does not have or that is out of range. Then the run continues.
        """
        wanted = {"hidden": hidden, "num_steps": num_steps, "batch_size": batch_size, "epochs": epochs}
        changes = {name: value for name, value in wanted.items() if value is not None}
        begin = self._prepare(self.trainer, seed, changes)
        with self._changing, self._lock:
            self._session.end()
            if len(self.history):
                self._remember()
            self._use(begin())
            if self._checkpoints:
                self._checkpoints.trainer = self.trainer
                self._checkpoints.note = self._note
        self._changed()

    def repair(self) -> None:
        """Do what the diagnosis proposes, if it proposes something; a run that diverged continues from a good state."""
        finding = self.diagnosis
        if finding is None:
            return
        if finding.back_to is not None:
            if finding.back_to < len(self.history):
                self._remember()
            self.trainer.go_back(finding.value)
            self.start()
            return
        if finding.knob is not None and finding.value is not None:
            self.set({finding.knob: finding.value})
        if finding.new_seed:
            self.reset(seed=self.trainer.config.seed + 1)

    def _remember(self) -> None:
        """Keep the run so far as an earlier one."""
        trainer = self.trainer
        recorded, waiting = _recorded(trainer), trainer.mailbox.posted  # moves that no step has used
        used = {knob.name: knob.value for knob in trainer.knobs_of(trainer.state) if knob.name in waiting}
        self.runs.append(recorded._replace(settings={**recorded.settings, **used}))

    def _make_trainer(self, model: nnx.Module, data: Any, **settings: Any) -> Trainer:
        fixed = {"loss": self._loss, "optimizer": self._optimizer, "devices": self._devices}
        return Trainer(model, data, **fixed, **settings)

    def _prepare(self, trainer: Trainer, seed: int | None, changes: Mapping[str, int]) -> Callable[[], Trainer]:
        """Check a restart while the old run still trains; returns the function that begins the new one."""
        now = _structure(trainer)
        for name in changes:
            if name not in now:
                raise ArgumentError(f"{name}: cannot change at a restart of this model; available: {', '.join(now)}")
        changes = {name: value for name, value in changes.items() if value != now[name]}
        new_seed = trainer.config.seed if seed is None else seed
        recipe, model = describe(trainer.model).recipe, None
        if recipe is not None and (seed is not None or _of(OF_THE_MODEL, changes)):
            model = _build(recipe, trainer.data, new_seed, changes)
        if not changes and (model is None or describe(model).recipe == recipe):
            return lambda: _again(trainer, model, new_seed)
        if trainer.devices.of_others:
            raise StateError(f"reset: several processes train this network, start them anew with {changes}")
        config = replace(trainer.config, seed=new_seed, **_of(OF_THE_TRAINING, changes))
        model = model or trainer.stepper.structure.merge(trainer.origin)["model"]
        new = self._make_trainer(model, trainer.source or trainer.data, **asdict(config))
        return lambda: _with_knobs_of(trainer, new)

    # ---- files ----

    def export(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> Path:
        """Write the network as it is now, as safetensors or NIR.

        See `snnlab.export.save`, and for a path that ends in ".nir" `snnlab.export.save_nir`; its certificate, which
        compares spikes on up to 256 test samples, is printed.

        Args:
            path: of the file; default: a new file `folder/net-step-N.safetensors`.
            overwrite: replace an existing file.

        Raises:
            ArgumentError: if the path has another ending, or the file exists and `overwrite` is False.
            WriteError: if it cannot be written.
            StateError: for a given path, while the run is training (the Export button may).
        """
        if path is None:
            return self.export_into(self.folder)
        if self.state in (RunState.COMPILING, RunState.TRAINING):
            now = f"epoch {self.history.num_epochs + 1} of {self.trainer.config.epochs}"
            raise StateError(f"export: still training, {now}; wait, or call pause() or stop() first")
        path = arguments.path("path", path)
        if arguments.choice("path: its ending", path.suffix, FORMATS) == ".nir":
            print(save_nir(self.model, path, samples=self.trainer.data.x_test[:256], overwrite=overwrite))
            return path
        return self._save(path, overwrite)

    def exhibit(
        self,
        path: str | os.PathLike,
        samples: int = 20,
        *,
        title: str | None = None,
        licence: str | None = None,
        bits: int | None = None,
        overwrite: bool = False,
    ) -> ExhibitReport:
        """Write the network as it is now as one page that plays it, without Python and offline.

        Args:
            path: of the page, such as "net.html".
            samples: how many test samples it carries.
            title, licence, bits, overwrite: see `snnlab.export.exhibit`.

        Returns:
            How far the page is what Python computes; it prints as text.

        Raises:
            ArgumentError: with the reason, if the network or its task cannot be shown, or if the file exists and
                `overwrite` is False.
            WriteError: if it cannot be written.
        """
        data = self.trainer.data
        if not isinstance(data, Dataset):
            raise ArgumentError("exhibit: the run has no data set with test samples; use snnlab.exhibit(model, ...)")
        if getattr(self.trainer.loss, "readout", None) not in READOUTS and hasattr(self.trainer.loss, "scores"):
            raise ArgumentError("exhibit: the loss has scores of its own, which the page cannot compute")
        return exhibit(
            self.model,
            path,
            data,
            count=samples,
            training=self.trainer.provenance,
            title=title,
            licence=licence,
            command=f'lab.exhibit("{arguments.path("path", path).name}")',
            bits=bits,
            overwrite=overwrite,
        )

    def exhibit_into(self, folder: str | os.PathLike) -> ExhibitReport:
        """Write the network as it is now to a new page `net-step-N.html` in a folder."""
        return self.exhibit(
            free_path(arguments.path("folder", folder) / f"net-step-{len(self.history)}.html"), overwrite=False
        )

    def export_into(self, folder: str | os.PathLike) -> Path:
        """Write the network as it is now to a new file `net-step-N.safetensors` in a folder."""
        return self._save(
            free_path(arguments.path("folder", folder) / f"net-step-{len(self.history)}.safetensors"), overwrite=False
        )

    def _save(self, path: Path, overwrite: bool) -> Path:
        names, training = self.trainer.data.class_names, self.trainer.provenance
        return save(self.model, path, class_names=names, training=training, overwrite=overwrite)

    def _adapt(self, trainer: Trainer, note: Any) -> Trainer:
        """Restart with the changes that a checkpoint notes, so that the trainer matches the saved run."""
        if not note or not isinstance(note, dict):  # a script may note what it likes
            return trainer
        changes = {name: value for name, value in note.items() if name not in ("seed", CODE_EPOCHS)}
        if note.get(CODE_EPOCHS) != trainer.epochs:  # the code asks for another number than it did then
            changes.pop("epochs", None)
        return self._prepare(trainer, note.get("seed"), changes)()

    @property
    def _note(self) -> dict[str, int]:
        """What a restart or another number of epochs has changed: `_adapt` makes a trainer of it."""
        now = _choices(self.trainer)
        note = {name: now[name] for name in now if now[name] != self._made_as[name]}
        return note | ({CODE_EPOCHS: self._made_as["epochs"]} if "epochs" in note else {})

    def _save_now(self) -> None:
        """Save the run as it is now, if it is saved at all; call it between two reports."""
        if self._checkpoints:
            self._checkpoints.save_now()

    def _close_checkpoints(self) -> None:
        """Release the folder of checkpoints."""
        if self._checkpoints:
            self._checkpoints.close()
            self._checkpoints = None


def _recorded(trainer: Trainer) -> Recorded:
    """What the trainer has recorded."""
    knobs = {name: knob.value for name, knob in trainer.mailbox.knobs.items()}
    settings = {"seed": trainer.config.seed, **_structure(trainer), **knobs}
    return Recorded(trainer.history, trainer.steps_per_epoch, settings)


def _structure(trainer: Trainer) -> dict[str, int]:
    """What can change only at a restart, and its value now; of the model only what snnlab can build again."""
    config = describe(trainer.model).config
    numbers = {} if config is None else {name: v for name, v in asdict(config).items() if isinstance(v, int)}
    return _of(OF_THE_MODEL, numbers) | {name: getattr(trainer.config, name) for name in OF_THE_TRAINING}


def _choices(trainer: Trainer) -> dict[str, int]:
    """What a restart can choose, and its value now."""
    return _structure(trainer) | {"seed": trainer.config.seed}


def _of(names: tuple[str, ...], values: Mapping[str, int]) -> dict[str, int]:
    return {name: values[name] for name in names if name in values}


def _build(recipe: Recipe, data: Dataset, seed: int, changes: Mapping[str, int]) -> nnx.Module:
    config = replace(recipe.config, **_of(OF_THE_MODEL, changes))
    if not isinstance(config, LstmConfig) and config.gains is not None:  # which fit the weights of one seed
        config = balanced(config, data, seed=seed)
    return build(config, sample_shape=recipe.sample_shape, num_classes=recipe.num_classes, seed=seed)


def _again(trainer: Trainer, model: nnx.Module | None, seed: int) -> Trainer:
    """The same trainer, at its first step; compiles nothing."""
    trainer.reset(model, seed=seed)
    return trainer


def _with_knobs_of(old: Trainer, new: Trainer) -> Trainer:
    """The new trainer, with the knobs where they were moved to in the old one."""
    new.set({name: value for name, value in old.moved_knobs().items() if name in new.mailbox.knobs})
    return new
