"""LiveTrainer: a training run that shows itself and can be changed while it runs.

main thread    builds and displays the dashboard once and returns: the Jupyter kernel stays idle, so controls work
train thread   `Session`: the engine; touches no widget
watch thread   `Watcher`: looks at the network; touches no widget
pump thread    `Screen`: at most `hz` times a second, and only if the last picture was drawn, writes the widgets
follow threads `Follower`, one for each cell that follows the run: draws, and writes the widget of its cell
"""

import base64
import functools
import json
import os
import tempfile
import textwrap
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optax
from flax import nnx
from jax.sharding import Mesh

from snnlab.config import TrainConfig
from snnlab.data import Dataset, Source
from snnlab.errors import ArgumentError, FileFormatError, StateError
from snnlab.health import Diagnosis
from snnlab.history import History, term_names
from snnlab.live import frontend, reactive
from snnlab.live.frames.status import HZ, PANELS
from snnlab.live.frames.targets import output_names
from snnlab.live.look.prober import Prober
from snnlab.live.run import Run
from snnlab.live.still.picture import picture
from snnlab.models import describe
from snnlab.support import arguments
from snnlab.support.files import atomic_path, read_whole, refuse_existing
from snnlab.support.markup import plain
from snnlab.train import Trainer
from snnlab.train.devices import Devices

if TYPE_CHECKING:
    from snnlab.live.display import Display
    from snnlab.live.follow import Follower


class LiveTrainer(Run):
    """Trains a model while you watch, and lets you move its knobs.

    As the last expression of a cell it displays itself; press Start. Or call `fit()`: in a notebook it displays the
    dashboard, starts and returns at once; in a script or a headless notebook it returns when the run has ended. marimo
    shows only the last value of a cell, so write `_ = lab.fit()` there.

    If you run the cell that made it again, the old one ends and a new one is made. If you delete the variable, the
    dashboard keeps it until `close()`. Several can train side by side. Running another cell or interrupting the
    Jupyter kernel does not stop it; restarting the Jupyter kernel does, and the page says so.

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
        hz: pictures per second, 0.5 to 10, if the browser keeps up; what you do shows at once.
        folder: where the Export button writes; the dashboard can choose a folder inside it, but none elsewhere.
        show: which of "curves", "raster" and "health"; the dashboard costs less without them.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

    Attributes:
        trainer: the engine.
        runs: what earlier runs recorded: `history`, `steps_per_epoch` and `settings` of each.

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
        hz: float = 2.0,
        folder: str | os.PathLike = "exports",
        show: tuple[str, ...] = PANELS,
    ):
        self.hz = arguments.number("hz", hz, *HZ)
        self.show = tuple(arguments.choice("show", panel, PANELS) for panel in show)
        self._display: Display | None = None
        self._fit_in: str | None = None  # the cell whose `fit` displayed it
        self._followers: weakref.WeakSet[Follower] = weakref.WeakSet()  # each is kept by its thread
        super().__init__(
            model,
            data,
            test=test,
            validation=validation,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            seed=seed,
            devices=devices,
            folder=folder,
        )
        frontend.replace_of_same_cell(self)
        if reactive.marimo() is not None and not frontend.headless():
            _ = self.display  # marimo frees the widget with the cell that made it, so that is this one

    @classmethod
    def of(cls, trainer: Trainer, *, hz: float = 2.0, folder: str | os.PathLike = "exports") -> "LiveTrainer":
        """Show a trainer that exists already, where it stands, such as one that a study has opened.

        Args:
            trainer: the run goes on with it; let nobody else train it.
            hz: see `LiveTrainer`, like the next one.
            folder: where the Export button writes.

        Example:
            >>> from snnlab import data, models
            >>> digits = data.load("digits").subset(train=256, test=64)
            >>> net = models.build(models.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
            >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
            >>> _ = trainer.fit(until=4)
            >>> lab = LiveTrainer.of(trainer)
            >>> len(lab.history), len(lab.fit())
            (4, 8)
        """
        _, (model, data, settings, *_) = arguments.instance("trainer", trainer, Trainer, "a Trainer").__reduce__()
        lab = cls(model, data, hz=hz, folder=folder, devices=trainer.devices, **settings)
        with lab._changing, lab._lock:
            lab._use(trainer)
        return lab

    @property
    def display(self) -> "Display":
        """The widgets and the threads that feed them; made when first asked for."""
        if self._display is None:
            from snnlab.live.display import Display  # a script needs no widgets

            self._display = Display(self, show=self.show, hz=self.hz)
        return self._display

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What ended the run, or what is wrong with the network: now, or at the last checkup of the dashboard."""
        if self._display is None or self._standing is not None:
            return super().diagnosis
        return self._display.finding

    def fit(self, until_epoch: int | None = None, *, patience: int | None = None) -> History:
        """Display the dashboard and train; if nobody watches, wait for the end, then leave a picture.

        Args:
            until_epoch: stop after this epoch; the next `fit`, or Start, continues.
            patience: stop when the score of the part that is looked at has not risen for that many epochs; at the end,
                go back to the epoch where it was highest. What came after it stays in the branch:
                `switch(timeline.here)` returns there.
        """
        if frontend.headless():
            super().fit(until_epoch, patience=patience)
            if frontend.in_notebook():
                frontend.show(self)
        else:
            self._check_goal(until_epoch, patience)
            self._fit_in = frontend.show_once(self, self._fit_in)
            self._train(until_epoch, patience)
        return self.history

    @property
    def widgets(self) -> "Twins":
        """Sliders of the knobs as ipywidgets, to build a dashboard of your own: `lab.widgets["v_th"]`.

        Raises:
            StateError: in marimo, which shows no ipywidgets.
        """
        if reactive.marimo() is not None:
            raise StateError("widgets: marimo shows no ipywidgets; use lab.panel('knobs')")
        return Twins(self)

    def panel(self, name: str) -> Any:
        """Return one part of the dashboard as a widget, to build a dashboard of your own.

        Args:
            name: "head", "knobs", "raster", "curves", "voltages", "neuron", "health", "errors", "weights", "time",
                "run" or "stage".

        Raises:
            ArgumentError: if there is no such part.
        """
        panel = self.display.panel(name)
        frontend.replace_of_same_cell(panel)
        return panel

    def save_setup(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write a small file with the knobs and how the dashboard looks: tabs, fields, ranges of sliders, speed.

        `open_setup`, or the button of the tab Run, brings it back: in another session, or on another machine.

        Args:
            path: of the file, such as "lecture.json".
            overwrite: replace an existing file.

        Raises:
            ArgumentError: if the file exists and `overwrite` is False.
            WriteError: if it cannot be written.
        """
        path, text = refuse_existing(path, overwrite), json.dumps(self.display.setup, indent=1)
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8")
        return path

    def open_setup(self, path: str | os.PathLike) -> None:
        """Put the knobs where they were and let the dashboard look as it did when `save_setup` wrote the file.

        Args:
            path: of the file.

        Raises:
            FileFormatError: if the file is missing or is no JSON.
            ArgumentError: if it is no setup, or does not fit this run: then nothing is changed.
        """
        path = arguments.path("path", path)
        try:
            setup = json.loads(read_whole(path).decode())
        except (OSError, ValueError, RecursionError) as error:
            raise FileFormatError(f"{path}: is not a saved setup ({textwrap.shorten(str(error), 300)})") from error
        self.display.use_setup(setup)

    def stage(self) -> Any:
        """Return the dashboard for a lecture hall, as a widget: few things, in large type.

        One draws a digit by hand, and the network as it is now answers: its spikes, played in slow motion, and the
        scores of the classes, which race. Two sliders move knobs and act at once, also while it does not train; what
        was there before stays behind, pale. Space starts and pauses. The button in the head of the dashboard turns it
        into the stage, too.

        In a notebook that nobody watches, and in a script, it is the run itself, which shows its picture.

        Raises:
            ArgumentError: if the dashboard was made without "raster", see `show`.

        Example:
            >>> from snnlab import data, models
            >>> digits = data.load("digits").subset(train=256, test=64)
            >>> net = models.build(models.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
            >>> lab = LiveTrainer(net, digits, epochs=1, batch_size=64)
            >>> lab.stage() is lab  # nobody watches here
            True
        """
        if "raster" not in self.show:
            raise ArgumentError(f"show: the stage shows the raster, and this run has {self.show}; add 'raster'")
        return self if frontend.headless() else self.display.panel("stage")

    def figure(self) -> Any:
        """Return the curves of this run and of the earlier ones as a plotly figure, to zoom and to hover over."""
        from snnlab.live.figure import figure  # plotly takes a second to load, and a script does not need it

        trainer = self.trainer
        terms, spiking = term_names(trainer.metric_names), "spikes_per_sample" in trainer.metric_names
        status = self.status
        return figure(
            status.recorded, terms=terms, spiking=spiking, earlier=status.earlier, total_steps=trainer.total_steps
        )

    def follow(
        self, draw: Callable[[], Any] | None = None, *, beside: "LiveTrainer | Sequence[LiveTrainer]" = ()
    ) -> Callable:
        """Show below the cell what a function returns, and show it anew as the run proceeds. Use it as a decorator:

            @lab.follow
            def _():
                row = lab.history.epochs[-1]
                return f"test accuracy {row['test_acc']:.3f}"

        The function is called at the end of each epoch, when the run pauses or stops, and at the end. It has a thread
        of its own: training does not wait for it, and if it is slow, it misses some epochs, never the last. A line
        above says of when the result is; `lab.model`, `lab.history`, `lab.state`, `lab.checkup()` and `lab.diagnosis`
        are those of that moment while the function runs. It is not called before anything is trained. If it fails, the
        error is shown, and the run continues. In a notebook that nobody watches, it is called once.

        Running the cell again replaces what it showed, and `close` ends it.

        Args:
            draw: returns what to show: a text, a plotly figure, anything that a notebook can display, or a list of
                them. Do not print in it: what a thread prints may appear below another cell.
            beside: other runs that it reads: `@lab.follow(beside=other)`. It is called anew when they proceed, too.

        Returns:
            `draw`; without it, the decorator.

        Raises:
            ArgumentError: if `draw` cannot be called without arguments, or `beside` has something else than runs.

        Example:
            >>> from snnlab import data, models
            >>> digits = data.load("digits").subset(train=256, test=64)
            >>> net = models.build(models.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
            >>> lab = LiveTrainer(net, digits, epochs=1, batch_size=64)
            >>> _ = lab.follow(lambda: "never called")
            step 0 of 4: not trained yet
            >>> _ = lab.fit()
            >>> @lab.follow
            ... def _():
            ...     return f"{len(lab.history.epochs)} epoch"
            at the end, epoch 1
            1 epoch
        """
        from snnlab.live.follow import Follower

        others = [beside] if isinstance(beside, LiveTrainer) else beside
        runs = [self, *(arguments.instance("beside", run, LiveTrainer, "a LiveTrainer") for run in others)]
        if draw is None:
            return functools.partial(self.follow, beside=beside)
        follower = Follower(draw, runs)
        if frontend.headless():
            follower.show_once()
        else:
            for run in runs:
                run._followers.add(follower)
            frontend.replace_of_same_cell(follower)
            follower.open()
        return draw

    def close(self) -> None:
        """Stop the run, end its threads and free the widgets. `model` and `history` stay available."""
        super().close()
        for follower in tuple(self._followers):
            follower.close()
        if self._display is not None:
            self._display.close()
            self._display = None

    def _changed(self) -> None:
        if self._display is not None:
            self._display.wake()
        for follower in tuple(self._followers):
            follower.awake.set()

    def _say(self, text: str) -> None:
        if self._display is None:
            super()._say(text)
        elif text != self.problem:  # the status shows the problem anyway
            self._display.board.say(text, warning=True)
        self._changed()

    def _use(self, trainer: Trainer) -> None:
        old = self.trainer
        super()._use(trainer)
        if trainer is not old and self._display is not None:
            self._display.watch(trainer)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if frontend.headless():
            return self._still()
        return self.display.board._repr_mimebundle_(**options)

    def _display_(self) -> Any:
        """What marimo shows."""
        marimo = reactive.marimo()
        return marimo.Html(self._still()["image/svg+xml"]) if frontend.headless() else self.display.board

    def _still(self) -> dict[str, str]:
        """A picture of the run, a line of text, and the network: what stays in a notebook that nobody watched."""
        trainer, history = self.trainer, self.history
        system = trainer.stepper.structure.merge(trainer.state)
        parts = [self.state, f"step {len(history):,} of {trainer.total_steps:,}"]
        scored = trainer.scored
        for row in history.newest_epochs(1):
            parts.append(f"epoch {row['epoch']}: {scored.words} {scored.text(row[scored.result])}")
        title = " \u00b7 ".join(parts)
        drawn = picture(
            history,
            steps_per_epoch=trainer.steps_per_epoch,
            title=title,
            probe=Prober(trainer.model, trainer.data, trainer.loss)(system["model"], 0, system["loss"]),
            class_names=output_names(trainer.data.class_names, trainer.data.num_outputs),
            dt=describe(trainer.model).step,
        )
        return {"image/svg+xml": drawn, "text/plain": f"LiveTrainer: {title}"} | self._alive(drawn, title)

    def _alive(self, drawn: str, title: str) -> dict[str, str]:
        """The picture as HTML, with the trained network as an exhibit below it, for pages on which scripts run.

        Nothing of a network that was not trained, that no exhibit shows, or whose page is large.
        """
        try:
            with tempfile.TemporaryDirectory() as folder:
                report = self.exhibit(Path(folder) / "net.html") if len(self.history) else None
                frame = report and report._repr_html_()
        except ArgumentError:
            return {}
        if not frame:
            return {}
        source = base64.b64encode(drawn.encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{source}" alt="{plain(title)}" style="max-width: 100%">'
        return {"text/html": f"{image}<details><summary>Play the trained network</summary>{frame}</details>"}


class Twins(Mapping[str, Any]):
    """The knobs of a run as ipywidgets: slider, box, unit and reset of each, made when first asked for.

    Args:
        lab: the run.
    """

    def __init__(self, lab: LiveTrainer):
        self._lab = lab

    def __getitem__(self, name: str) -> Any:
        found = [full for full in self if full == name or full.endswith(f".{name}")]
        if len(found) != 1:
            raise ArgumentError(f"name: must be one of {', '.join(self)}, got {name!r}")
        return self._lab.display.twin(found[0])

    def __iter__(self) -> Iterator[str]:
        return iter(self._lab.trainer.mailbox.knobs)

    def __len__(self) -> int:
        return len(self._lab.trainer.mailbox.knobs)
