"""A study: many networks, one for each combination of values, computed in the background while you look at them."""

import inspect
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from snnlab.config import TrainConfig
from snnlab.data import Dataset, load
from snnlab.errors import ArgumentError, SnnlabError, StateError
from snnlab.study.agenda import Grid, Source
from snnlab.study.cells import Axis, Cell, Fate, Row
from snnlab.study.engines import Engine, Job, Requests, engine_for
from snnlab.study.folder import StudyFolder, lead
from snnlab.study.pareto import Choice, choices, front
from snnlab.study.plan import (
    CONFIGS,
    Config,
    DataId,
    Plan,
    check_parameters,
    function_of,
    reference_of,
    settings_of,
    unknown_axis,
)
from snnlab.study.space import Index, Space, words_of
from snnlab.support import arguments
from snnlab.support.exit import end_at_exit
from snnlab.support.extras import install_hint
from snnlab.support.files import atomic_path, refuse_existing
from snnlab.support.interrupt import wait_for

if TYPE_CHECKING:  # a study that is looked at loads no JAX
    from snnlab.train import Trainer

PATIENCE = 10.0  # seconds to wait for a checkpoint that was asked for
LOOK = 0.2  # seconds between two looks while somebody waits


class Study:
    """Many networks that are trained in the background; make one with `sweep`.

    All of it may be read from any thread while it computes.

    Args:
        folder: of the study, which this process leads.
        data: of the study.
        engine: who computes.

    Attributes:
        folder: where everything is written.
        plan: what is computed.
        axes: what is varied.
        version: grows with every change of a cell.
        error: what ended the computing, or None.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig
        >>> over = {"tau_mem": [5.0, 20.0], "seed": range(2)}
        >>> study = sweep(SnnConfig(hidden=8, num_steps=20), over=over, epochs=1, folder=tempfile.mkdtemp())
        >>> study.wait()
        True
        >>> [(choice.point, len(choice.cells)) for choice in study.pareto()][:1]  # doctest: +ELLIPSIS
        [({'tau_mem': ...}, 2)]
        >>> study.stop()
    """

    def __init__(self, folder: StudyFolder, data: Dataset, engine: Engine):
        self._folder, self._data, self._engine = folder, data, engine
        self.folder: Path = folder.path
        self.plan: Plan = folder.plan
        self.axes: tuple[Axis, ...] = folder.plan.space.axes
        self.version = 0
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._cells = folder.cells()
        self._stop = threading.Event()
        self._requests = Requests()
        self._thread: threading.Thread | None = None
        self._closed = self._finished = False

    # ---- computing ----

    @property
    def running(self) -> bool:
        """Whether it computes."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: with a search, all cells that it chose are over."""
        return self._finished or all(cell.fate.over for cell in self.cells.values())

    @property
    def epochs_done(self) -> int:
        """Epochs of all cells that are done, or not needed any more."""
        return sum(cell.epochs_of(self.plan.epochs) for cell in self.cells.values())

    def start(self) -> None:
        """Compute, or go on after a pause; does nothing if it computes already.

        Raises:
            StateError: if the study was closed.
        """
        if self._closed:
            raise StateError(f"study: {self.folder} is closed; call sweep(...) again, it goes on where this one ended")
        if self.running:
            return
        self._stop.clear()
        self.error = None
        self._thread = threading.Thread(target=self._run, name="snnlab-study", daemon=True)
        end_at_exit(self._thread, self._stop.set)
        self._thread.start()

    def pause(self) -> None:
        """Stop computing soon, save everything, and wait for that; `start` goes on."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            wait_for(_Ended(self._thread))

    def stop(self) -> None:
        """Stop computing, save everything, and let other processes have the folder."""
        self.pause()
        self._closed = True
        self._folder.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; on a terminal, show how far it is. Ctrl-C pauses the study.

        Args:
            timeout: in seconds; then return, while the study goes on.

        Returns:
            Whether it is done.

        Raises:
            Exception: what ended the computing, such as a full disk; the folder holds what was computed before.
        """
        end = None if timeout is None else time.monotonic() + arguments.number("timeout", timeout, 0.0)
        with self._progress() as bar:
            try:
                while self.running and (end is None or time.monotonic() < end):
                    assert self._thread is not None
                    left = LOOK if end is None else min(LOOK, max(0.0, end - time.monotonic()))
                    self._thread.join(left)
                    self._show(bar)
            except KeyboardInterrupt:
                self.pause()
                raise
            self._show(bar)
        if self.error is not None:
            raise self.error
        return self.done

    def as_completed(self) -> Iterator[Cell]:
        """Yield each cell as soon as it is over, first those that are so already, until the study computes no more.

        This is how to send results elsewhere while the study goes on, see `docs/guide/studies.md`.

        Raises:
            Exception: what ended the computing, as `wait` does.

        Example:
            >>> import tempfile
            >>> from snnlab import SnnConfig
            >>> config = SnnConfig(hidden=8, num_steps=20)
            >>> study = sweep(config, over={"v_th": [0.5, 1.0]}, epochs=1, folder=tempfile.mkdtemp())
            >>> sorted((cell.point["v_th"], len(cell.rows)) for cell in study.as_completed())
            [(0.5, 1), (1.0, 1)]
            >>> study.stop()
        """
        told: set[Index] = set()
        running = True
        while running:
            running = self.running  # asked before the cells: what ends meanwhile is seen in the next turn
            for index, cell in self.cells.items():
                if cell.fate.over and index not in told:
                    told.add(index)
                    yield cell
            if running and self._thread is not None:
                self._thread.join(LOOK)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        job = Job(
            folder=self._folder,
            data=self._data,
            on_cell=self._take,
            source=self._source,
            requests=self._requests,
        )
        try:
            self._engine(job, self._should_stop)
            self._finished = not self._stop.is_set()
        except BaseException as error:  # `wait` raises it, `repr` tells it
            self.error = error
        finally:
            for cell in self._folder.cells().values():
                self._take(cell)

    def _should_stop(self) -> bool:
        """What the engine asks several times a second, from the thread that computes."""
        return self._stop.is_set()

    def _source(self, cells: Mapping[Index, Cell]) -> Source:
        if self.plan.search is None:
            return Grid(self.plan.space.in_order())
        from snnlab.study.search import Search

        return Search(self.plan, cells)

    def _take(self, cell: Cell) -> None:
        with self._lock:
            if self._cells[cell.index] != cell:
                self._cells[cell.index] = cell
                self.version += 1

    def _progress(self) -> tqdm:
        return tqdm(
            total=len(self._cells) * self.plan.epochs,
            unit="epoch",
            disable=not sys.stderr.isatty(),
            leave=True,
            file=sys.stderr,
        )

    def _show(self, bar: tqdm) -> None:
        bar.n = self.epochs_done
        best = max((cell.rows[-1].accuracy for cell in self.cells.values() if cell.rows), default=None)
        bar.set_postfix_str("" if best is None else f"best {best:.3f}", refresh=False)
        bar.refresh()

    # ---- results ----

    @property
    def cells(self) -> dict[Index, Cell]:
        """All cells as they are now, by their index."""
        with self._lock:
            return dict(self._cells)

    def table(self):
        """Return a pandas `DataFrame` with a row for each cell: its values, where it stands, its last epoch.

        Raises:
            SnnlabError: if pandas is not installed.
        """
        return _frame([_summary(cell) for cell in self.cells.values()])

    def rows(self):
        """Return a pandas `DataFrame` with a row for each epoch of each cell.

        Raises:
            SnnlabError: if pandas is not installed.
        """
        return _frame([dict(cell.point) | row._asdict() for cell in self.cells.values() for row in cell.rows])

    def save_table(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write what `rows` returns as a file: `.csv`, or `.parquet`, which needs pyarrow.

        Raises:
            ArgumentError: if the file exists and `overwrite` is False, or its name ends in something else.
            SnnlabError: if pandas or pyarrow are not installed.
            WriteError: if it cannot be written.
        """
        path = arguments.path("path", path)
        arguments.choice("path", path.suffix.lower(), (".csv", ".parquet"))
        path, frame = refuse_existing(path, overwrite), self.rows()
        for name in frame.columns:
            if frame[name].dtype == object:  # words, layers: a column of a file has one type
                frame[name] = frame[name].map(str)
        with atomic_path(path) as part:
            if path.suffix.lower() == ".csv":
                frame.to_csv(part, index=False)
            else:
                try:
                    frame.to_parquet(part, index=False)
                except ImportError:
                    raise SnnlabError(f"save_table: Parquet needs pyarrow: {install_hint('study')}") from None
        return path

    def pareto(self) -> list[Choice]:
        """Return the cells, as medians over their seeds, of which no other has more accuracy and fewer spikes."""
        return front(choices(self.axes, self.cells.values()))

    def open(self, cell: Cell | Index | Mapping[str, Any]) -> "Trainer":
        """Return a trainer of a cell at its newest checkpoint. It is a run of its own: the study does not see it.

        Args:
            cell: a cell, its index, or its point, such as `{"tau_mem": 10.0, "seed": 0}`.

        Raises:
            ArgumentError: if there is no such cell.
            StateError: if it has no checkpoint yet.
        """
        from snnlab.study.work import open_cell

        index = self.index_of(cell)
        if self.running and self._requests.heard:
            wait_for(self._requests.ask(index), PATIENCE)
        return open_cell(self._folder, index, self._data)

    def index_of(self, cell: Cell | Index | Mapping[str, Any]) -> Index:
        """Return the index of a cell, of its index, or of its point; raise an `ArgumentError` if there is none."""
        if isinstance(cell, Cell):
            return self.plan.space.check(cell.index)
        if not isinstance(cell, Mapping):
            return self.plan.space.check(cell)
        names = [axis.name for axis in self.axes]
        if sorted(cell) != sorted(names):
            raise ArgumentError(f"cell: must have a value for {', '.join(names)}, got {dict(cell)!r:.200}")
        found = []
        for axis in self.axes:
            if cell[axis.name] not in axis.values:
                values = ", ".join(map(repr, axis.values[:20]))
                raise ArgumentError(f"cell: {axis.name} must be one of {values}, got {cell[axis.name]!r}")
            found.append(axis.values.index(cell[axis.name]))
        return tuple(found)

    def __repr__(self) -> str:
        cells = list(self.cells.values())
        shape = " x ".join(str(len(axis.values)) for axis in self.axes)
        counts = Counter(cell.fate.value for cell in cells)
        stand = ", ".join(f"{counts[fate.value]:,} {fate.value}" for fate in Fate if counts[fate.value])
        known = [cell for cell in cells if cell.rows and cell.finding != "diverged"]
        best = max(known, key=lambda cell: cell.rows[-1].accuracy, default=None)
        words = "" if best is None else f"; best {best.rows[-1].accuracy:.3f} at {words_of(best.point)}"
        end = f"; ended by {type(self.error).__name__}: {self.error}" if self.error is not None else ""
        names = ", ".join(axis.name for axis in self.axes)
        return f"Study({shape} cells over {names}: {stand}{words}; {self.folder}{end})"


class _Ended(threading.Event):
    """The end of a thread, as an event that one waits for."""

    def __init__(self, thread: threading.Thread):
        super().__init__()
        self._thread = thread

    def wait(self, timeout: float | None = None) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()


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
    kind: Callable[[StudyFolder, Dataset, Engine], Study] = Study,
) -> Study:
    """Train a network for every combination of some values, in the background.

    Where the folder holds this study already, it goes on: cells that are done are not computed again, and more epochs
    or other values extend it. Every cell has the bits that its network has alone (but see `together`):
    `Trainer(build(config, ..., seed=seed), data, epochs=epochs, seed=seed)`; a knob has its value from the first step.

    Args:
        model: a config; or a function `(**point) -> model`, `-> (model, loss)` or `-> (model, loss, optimizer)` that
            other processes can import, or its name "module:function".
        data: see `snnlab.load_data`; or a `Dataset`, which only this process has.
        over: values by name: of a field of the config, such as "hidden"; of "learning_rate", "batch_size" or
            "schedule"; of "seed", for weights, order of the data and random codes; or of a knob, such as
            "hidden.tau_mem" or "l1". For a function: of its parameters. See `log` and `linear`.
        folder: of the study.
        epochs: of every cell.
        batch_size: samples in one step; default 128.
        validation: share of the training samples that is held out and looked at in place of the test samples.
        stop: "silent", "halving", "silent+halving", or None; see `snnlab.study.stopping`.
        search: number of cells that Optuna chooses by accuracy and spikes, see `snnlab.study.search`; None for all.
        cluster: who computes; None for this process. See `snnlab.study.engines.engine_for`.
        devices: how many devices of this process, such as GPUs, share out the networks; "all"; or None for one. Bits
            do not depend on it.
        together: networks that a device computes at once. By default 1 on a CPU, where more would only be slower, and
            on a GPU up to 16, as its memory allows. With more than 1, results agree with those of a network alone
            within rounding; their bits differ.
        kind: of what is returned: `Study`, or a class of its kind that does more, such as show itself.

    Raises:
        ArgumentError: if a name is unknown or ambiguous, an axis is empty, a value is refused (with its cell), or the
            folder holds another study.
        StateError: if another process computes in the folder.
        DataError: if the data cannot be loaded.
        SnnlabError: if a package is missing.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig
        >>> config = SnnConfig(hidden=8, num_steps=20)
        >>> study = sweep(config, over={"v_th": [0.5, 1.0]}, epochs=1, devices="all", folder=tempfile.mkdtemp())
        >>> study.wait(), [cell.fate.value for cell in study.cells.values()]
        (True, ['done', 'done'])
        >>> study.table()[["v_th", "epochs"]].values.tolist()
        [[0.5, 1.0], [1.0, 1.0]]
        >>> study.open({"v_th": 1.0}).history.num_epochs
        1
        >>> study.stop()
    """
    space = Space.of(over)
    model = _model(model)
    engine = engine_for(cluster, devices=devices, together=together, model=model)
    if isinstance(model, str):
        check_parameters(function_of(model), (axis.name for axis in space.axes))
    dataset, known = _data(data, validation)
    space, knobs = (space, ()) if isinstance(model, str) else _with_knobs(model, space, dataset)
    plan = Plan(
        space=space,
        model=model,
        data=known,
        epochs=arguments.count("epochs", epochs),
        batch_size=batch_size,
        stop=stop,
        search=search,
        knobs=knobs,
    )
    _check_first(plan, dataset)
    study = kind(lead(folder, plan), dataset, engine)
    study.start()
    return study


def _model(model: Any) -> Config | str:
    """Return a config, or the name of a function of your own, which must lead back to it."""
    if isinstance(model, str):
        return model
    if inspect.isclass(model) or not callable(model):
        wanted: Any = model
        return arguments.instance("model", wanted, CONFIGS, "a config, such as SnnConfig(), or a function")
    name = reference_of(model)
    if function_of(name) is not model:
        raise ArgumentError(f"model: {name} is another function by now; pass one that can be imported by its name")
    return name


def _data(data: str | os.PathLike | Dataset, validation: float | None) -> tuple[Dataset, DataId]:
    """Load the data; return what tells them from others, too."""
    from snnlab.study.work import id_of

    source = None if isinstance(data, Dataset) else os.fspath(_named(data))
    found = data if isinstance(data, Dataset) else load(source or "")
    found = found if validation is None else found.hold_out(validation)
    return found, id_of(found, source, validation)


def _named(data: Any) -> str | os.PathLike:
    kinds = (str, os.PathLike)
    return arguments.instance("data", data, kinds, "a name, a path or a Dataset; a Source cannot be shared out")


def _with_knobs(model: Config, space: Space, data: Dataset) -> tuple[Space, tuple[str, ...]]:
    """Give axes that are knobs their full names; return these names, too."""
    settings = settings_of(model)
    wanted = [axis.name for axis in space.axes if axis.name not in settings]
    if not wanted:
        return space, ()
    from snnlab.models import build
    from snnlab.train import Trainer

    size = min(TrainConfig.batch_size, len(data.x_train))
    net = build(model, sample_shape=data.sample_shape, num_classes=data.num_outputs)
    box = Trainer(net, data, batch_size=size).mailbox
    full = {name: _full_name(name, box.knobs, settings) for name in wanted}
    for axis in space.axes:
        for value in axis.values if axis.name in full else ():
            try:
                box.check(full[axis.name], value)
            except ArgumentError as error:
                raise ArgumentError(f"over: the cells with {axis.name}={value!r} are refused: {error}") from None
    named = {full.get(axis.name, axis.name): axis.values for axis in space.axes}
    if len(named) < len(space.axes):
        raise ArgumentError(f"over: two of {', '.join(axis.name for axis in space.axes)} are the same knob")
    axes = tuple(Axis(full.get(axis.name, axis.name), axis.values, axis.log, axis.seeds) for axis in space.axes)
    return Space(axes), tuple(full.values())


def _full_name(name: str, knobs: Iterable[str], settings: Iterable[str]) -> str:
    """Return the name of the knob that ends in `name`."""
    knobs = list(knobs)
    if name in knobs:
        return name
    found = [full for full in knobs if full.endswith(f".{name}")]
    if len(found) > 1:
        raise ArgumentError(f"over: {name!r} is ambiguous, it could be {' or '.join(map(repr, found))}")
    if not found:
        raise unknown_axis(name, [*settings, *knobs])
    return found[0]


def _check_first(plan: Plan, data: Dataset) -> None:
    """Make the trainer of one cell: what does not fit together is told before anything starts."""
    if plan.search is not None:
        from snnlab.study.search import check

        check(plan)
    if not isinstance(plan.model, str):
        from snnlab.study.work import make_trainer

        make_trainer(plan, data, next(iter(plan.space)))


def _summary(cell: Cell) -> dict[str, Any]:
    row = cell.rows[-1] if cell.rows else None
    found = dict(cell.point) | {"fate": cell.fate.value, "epochs": len(cell.rows)}
    found |= {name: None if row is None else getattr(row, name) for name in Row._fields[2:]}
    return found | {"finding": cell.finding, "why": cell.why}


def _frame(rows: list[dict[str, Any]]):
    try:
        import pandas
    except ImportError:
        raise SnnlabError(f"a table needs pandas: {install_hint('study')}") from None
    return pandas.DataFrame(rows)
