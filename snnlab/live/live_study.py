"""LiveStudy: a study that shows itself as a map, and whose networks can be opened while it computes."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnlab.config import TrainConfig
from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.history import Scored
from snnlab.live import frontend, reactive
from snnlab.live.courtesy import Courtesy
from snnlab.live.frames.map_grid import View, checked_view, first_view
from snnlab.live.frames.map_words import Standing, facts
from snnlab.live.live_trainer import LiveTrainer
from snnlab.live.still.study_map import study_picture
from snnlab.study import Study
from snnlab.study import sweep as sweep_
from snnlab.study.cells import Cell, Fate
from snnlab.study.engines import Engine
from snnlab.study.folder import StudyFolder
from snnlab.study.plan import Config
from snnlab.study.space import Index
from snnlab.support import arguments
from snnlab.support.files import atomic_path, refuse_existing
from snnlab.tasks import task_of

if TYPE_CHECKING:
    from snnlab.live.study_display import StudyDisplay

HZ = 4.0  # pictures of the map per second, if the browser keeps up


class LiveStudy(Study):
    """A study with a map, which fills while you watch; make one with `snnlab.sweep`.

    As the last expression of a cell it shows itself: accuracy and spikes a sample over two of its axes, the learning
    curves of the place under the pointer, the Pareto front. Click a place, or press Enter, and that network opens in a
    dashboard below. In a notebook that nobody watches, the cell waits for the end, and the picture of the map remains.

    Args:
        folder: of the study, which this process leads.
        data: of the study.
        engine: who computes.

    Attributes:
        courtesy: asks the computing to step back while somebody waits for a picture.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig
        >>> config = SnnConfig(hidden=8, num_steps=20)
        >>> study = sweep(config, over={"v_th": [0.5, 1.0]}, epochs=1, folder=tempfile.mkdtemp())
        >>> study.wait(), study.state
        (True, 'done')
        >>> lab = study.open({"v_th": 1.0})
        >>> lab.history.num_epochs
        1
        >>> study.close()
    """

    def __init__(self, folder: StudyFolder, data: Dataset, engine: Engine):
        super().__init__(folder, data, engine)
        self.courtesy = Courtesy()
        self._score = Scored(data.watched, task_of(data).score)
        self._display: StudyDisplay | None = None
        self._displaying = threading.Lock()
        self._made: _Made | None = None  # is kept as long as the study is

    @property
    def state(self) -> str:
        """ "waiting", "running", "pausing", "paused", "stopped", "done" or "error"."""
        if self.error is not None:
            return "error"
        if self.running:
            return "pausing" if self._stop.is_set() else "running"
        if self.done:
            return "done"
        if self._closed:
            return "stopped"
        return "paused" if any(cell.fate is not Fate.WAITING for cell in self.cells.values()) else "waiting"

    @property
    def standing(self) -> Standing:
        """The study as its map shows it."""
        error = "" if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return Standing(self.axes, tuple(self.cells.values()), self.plan.epochs, self.state, self._score, error=error)

    @property
    def display(self) -> "StudyDisplay":
        """The widgets and the thread that feeds them; made when first asked for."""
        with self._displaying:
            if self._display is None:
                from snnlab.live.study_display import StudyDisplay  # a script needs no widgets

                self._display = StudyDisplay(self, hz=HZ)
            return self._display

    def open(  # pyright: ignore[reportIncompatibleMethodOverride] (the same run, which shows itself)
        self, cell: Cell | Index | Mapping[str, Any]
    ) -> LiveTrainer:
        """Return a cell as a live run at its newest checkpoint. It is a run of its own: the study does not see it.

        Args:
            cell: a cell, its index, or its point, such as `{"tau_mem": 10.0, "seed": 0}`.

        Raises:
            ArgumentError: if there is no such cell.
            StateError: if it has no checkpoint yet.
        """
        return LiveTrainer.of(super().open(cell))

    def save_picture(
        self,
        path: str | os.PathLike,
        *,
        x: str | None = None,
        y: str | None = None,
        fixed: Mapping[str, int | None] | None = None,
        level: float | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the map as a drawing that stays sharp at any size.

        Args:
            path: of the file, such as "map.svg".
            x: the axis to the right; default: as the map shows it now, like the next three.
            y: the axis upwards.
            fixed: index of the value of the other axes, by their names; None for the best.
            level: of the contour.
            overwrite: replace an existing file.

        Raises:
            ArgumentError: if the file exists and `overwrite` is False, its name does not end in ".svg", or there is no
                such axis or value.
            WriteError: if it cannot be written.
        """
        path = arguments.path("path", path)
        if path.suffix.lower() != ".svg":
            raise ArgumentError(f"path: must end in .svg, got {str(path)!r}; the map itself can be saved as PNG, too")
        wanted = {"x": x, "y": y, "fixed": None if fixed is None else dict(fixed), "level": level}
        changes = {name: value for name, value in wanted.items() if value is not None}
        view, path = checked_view(self._view, changes, self.axes), refuse_existing(path, overwrite)
        with atomic_path(path) as part:
            part.write_text(study_picture(self.standing, view), encoding="utf-8")
        return path

    def pause(self) -> None:
        """Stop computing soon, save everything, and wait for that; `start` goes on."""
        super().pause()
        self._changed()

    def start(self) -> None:
        """Compute, or go on after a pause; does nothing if it computes already.

        Raises:
            StateError: if the study was closed.
        """
        super().start()
        self._changed()

    def close(self) -> None:
        """Stop the study, and free the widgets, with the runs that are open below the map."""
        self.stop()
        if self._display is not None:
            self._display.close()
            self._display = None

    def _should_stop(self) -> bool:
        self.courtesy.give_way()
        return super()._should_stop()

    @property
    def _view(self) -> View:
        return first_view(self.axes) if self._display is None else self._display.view

    def _changed(self) -> None:
        if self._display is not None:
            self._display.wake()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if frontend.headless():
            return self._still()
        return self.display.root._repr_mimebundle_(**options)

    def _display_(self) -> Any:
        """What marimo shows."""
        marimo = reactive.marimo()
        return marimo.Html(self._still()["image/svg+xml"]) if frontend.headless() else self.display.board

    def _still(self) -> dict[str, str]:
        """The map as SVG, and a line of text: what stays in a saved notebook that nobody watched."""
        if frontend.in_notebook():  # it keeps this picture, so it should be that of the end
            with contextlib.suppress(
                Exception
            ):  # what ended the computing is raised by `wait`, and told by the picture
                self.wait()
        standing = self.standing
        said = " · ".join(words for _, words in facts(standing))
        return {"image/svg+xml": study_picture(standing, self._view), "text/plain": f"LiveStudy: {said}"}


class _Made:
    """Stands for the study of a cell before there is one: an earlier study of that cell must let go of its folder."""

    study: LiveStudy | None = None

    def close(self) -> None:
        """Close the study."""
        if self.study is not None:
            self.study.close()


def sweep(
    model: Config | Callable[..., Any] | str,
    data: str | os.PathLike | Dataset = "digits",
    *,
    over: Mapping[str, Iterable[Any]],
    folder: str | os.PathLike,
    epochs: int = TrainConfig.epochs,
    batch_size: int | None = None,
    validation: float | None = None,
    stop: str | None = None,
    search: int | None = None,
    cluster: Any = None,
    devices: int | str | None = None,
    together: int | None = None,
) -> LiveStudy:
    """Train a network for every combination of some values, in the background, and watch the map of them fill.

    Where the folder holds this study already, it goes on: cells that are done are not computed again, and more epochs
    or other values extend it. Every cell has the bits that its network has alone (but see `together`). If you run the
    cell of the notebook again, the old study ends and the new one goes on.

    Args:
        model: a config; or a function `(**point) -> model`, `-> (model, loss)` or `-> (model, loss, optimizer)` that
            other processes can import, or its name "module:function".
        data: see `snnlab.load_data`; or a `Dataset`, which only this process has.
        over: values by name: of a field of the config, such as "hidden"; of "learning_rate", "batch_size" or
            "schedule"; of "seed", for weights, order of the data and random codes; or of a knob, such as
            "hidden.tau_mem" or "l1". For a function: of its parameters. See `snnlab.log` and `snnlab.linear`.
        folder: of the study.
        epochs: of every cell.
        batch_size: samples in one step; default 128.
        validation: share of the training samples that is held out and looked at in place of the test samples.
        stop: "silent", "halving", "silent+halving", or None; see `snnlab.study.stopping`.
        search: number of cells that Optuna chooses by accuracy and spikes; None for all.
        cluster: who computes; None for this process.
        devices: how many devices of this process, such as GPUs, share out the networks; "all"; or None for one. Bits
            do not depend on it.
        together: networks that a device computes at once. By default 1 on a CPU, where more would only be slower, and
            on a GPU up to 16, as its memory allows. With more than 1, results agree with those of a network alone
            within rounding; their bits differ.

    Returns:
        The study, which computes already. As the last expression of a cell it shows its map; `wait()` returns when
        nothing is left to do.

    Raises:
        ArgumentError: if a name is unknown or ambiguous, an axis is empty, a value is refused (with its cell), or the
            folder holds another study.
        StateError: if another process computes in the folder.
        DataError: if the data cannot be loaded.
        SnnlabError: if a package is missing.

    Example:
        >>> import tempfile
        >>> import snnlab
        >>> over = {"tau_mem": snnlab.log(5, 20, 2), "seed": range(2)}
        >>> config = snnlab.SnnConfig(hidden=8, num_steps=20)
        >>> study = snnlab.sweep(config, over=over, epochs=1, folder=tempfile.mkdtemp())
        >>> study.wait()
        True
        >>> len(study.table()), len(study.pareto()) > 0
        (4, True)
        >>> study.close()
    """
    made = _Made()
    frontend.replace_of_same_cell(made)
    study = sweep_(
        model,
        data,
        over=over,
        folder=folder,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        stop=stop,
        search=search,
        cluster=cluster,
        devices=devices,
        together=together,
        kind=LiveStudy,
    )
    assert isinstance(study, LiveStudy)
    study._made, made.study = made, study
    return study
