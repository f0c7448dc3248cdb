"""`snnlab sweep`, `snnlab sweep worker` and `snnlab sweep table`."""

import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snnlab.cli.options import INTERRUPTED, default_is, devices_of
from snnlab.cli.terminal import USUAL, bar_format, say, width_of, wrapped
from snnlab.config import TrainConfig
from snnlab.errors import ArgumentError
from snnlab.study import Cell, Choice, Fate, Slurm, Study, linear, log
from snnlab.support.interrupt import uninterrupted

BEST = 10  # rows of the table at the end
LOOK = 0.2  # seconds between two looks at the study

SPACED = re.compile(r"([^:]+):([^:]+):(\d+)(log)?")
LAYERS = re.compile(r"\d+(x\d+)+")
WORDS = {"none": None, "true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train a network for every combination of some values: a map that fills while you watch.

    Everything is kept in a folder. Ctrl-C ends the study; --resume goes on with it. "snnlab sweep worker FOLDER"
    computes cells of a study, also on another machine; "snnlab sweep table FOLDER" prints what has come of it.
    """

    network: Annotated[Literal["snn", "conv", "lstm"], tyro.conf.arg(name="network"), tyro.conf.Positional] = "snn"
    """snn: a spiking network; conv: one with two convolutions; lstm: an LSTM; see snnlab train."""
    folder: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the study. If it holds this study already, it goes on, also with more values or epochs."""
    over: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUES")] = ()
    """What is varied, once for each axis: v_th=0.25,0.5,1 or tau_mem=1:100:8log (8 values from 1 to 100, their ratios
    equal) or l1=0:1:5 (their differences equal) or hidden=50,100,100x50 (layers). Names are settings of the network,
    learning_rate, batch_size, or knobs such as hidden.tau_mem."""
    seeds: int = 1
    """Runs of each combination, with the seeds 0, 1, ...; the map shows their median."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """Settings of the network that are the same in all cells, such as num_steps=50."""
    data: str = "digits"
    """What is learned, as in snnlab train."""
    epochs: Annotated[int | None, default_is("INT", TrainConfig.epochs)] = None
    """Passes through the training set, of each cell."""
    batch_size: Annotated[int | None, default_is("INT", f"{TrainConfig.batch_size}, as snnlab train")] = None
    """Samples in one optimizer step."""
    validation: Annotated[float | None, default_is("SHARE", "the map shows test samples")] = None
    """Share of the training samples that is held out, and looked at in place of the test samples."""
    stop: Annotated[
        Literal["silent", "halving", "silent+halving"] | None,
        default_is("{silent,halving,silent+halving}", "all cells train to the end"),
    ] = None
    """Cells that are given up: silent: their neurons do not fire; halving: after 1, 3, 9, ... epochs, the best of three
    cells goes on."""
    search: Annotated[int | None, default_is("CELLS", "the whole grid")] = None
    """Number of cells that Optuna chooses, by accuracy and spikes."""
    cluster: Annotated[str | None, default_is("WHERE", "this process")] = None
    """Who computes: a number of processes on this machine; the address of a scheduler of Dask, or its scheduler file;
    slurm; or folder: workers that you start."""
    slurm: Annotated[Slurm, tyro.conf.UseAppendAction] = field(default_factory=Slurm)
    """With --cluster slurm."""
    devices: Annotated[str | None, default_is("INT|all", "one")] = None
    """How many devices of this process, such as GPUs, share out the networks; a CPU is one, with all its cores."""
    together: Annotated[int | None, default_is("INT", "1; on a GPU up to 16")] = None
    """Networks that a device computes at once. With more than 1, results agree with those of a network alone within
    rounding; on a CPU it is slower."""
    resume: bool = False
    """Go on with the study in the folder; its settings need not be given again."""
    table: Annotated[Path | None, default_is("FILE", "none")] = None
    """File for a row of every epoch of every cell, .csv or .parquet."""
    overwrite: bool = False
    """Replace this file if it exists."""

    def run(self) -> int:
        """Compute the study, and print its best cells."""
        self._check_table()
        study = self._resumed() if self.resume else self._begun()
        say(f"{_count(len(study.cells), 'cell')}, {study.plan.epochs} epochs each, in {study.folder}")
        code = 0
        try:
            _follow(study)
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            with uninterrupted():
                study.stop()
        print("\n".join(summary(study)))
        if self.table is not None:
            say(f"wrote {study.save_table(self.table, overwrite=self.overwrite)}")
        if code:
            over = sum(cell.fate.over for cell in study.cells.values())
            say(
                f"interrupted; {over:,} of {len(study.cells):,} cells are over, nothing is lost; go on: {self._again()}"
            )
        return code

    def _check_table(self) -> None:
        if self.table is not None:
            if self.table.suffix.lower() not in (".csv", ".parquet"):
                raise ArgumentError(f"--table: must end in .csv or .parquet, got {self.table}")
            if self.table.exists() and not self.overwrite:
                raise ArgumentError(f"{self.table} exists; choose another, or add --overwrite")

    def _begun(self) -> Study:
        """Begin the study, or go on with the same one."""
        from snnlab import study

        over = axes_of(self.over, self.seeds)
        config, size = self._network()
        return study.sweep(
            config,
            self.data,
            over=over,
            folder=self.folder,
            epochs=TrainConfig.epochs if self.epochs is None else self.epochs,
            batch_size=size,
            validation=self.validation,
            stop=self.stop,
            search=self.search,
            cluster=self._cluster(),
            devices=devices_of(self.devices),
            together=self.together,
        )

    def _network(self) -> tuple[Any, int | None]:
        """Return the config of the cells, as `snnlab train` would have it for these data, and the size of batches."""
        from snnlab import data
        from snnlab.cli.train import Train

        given = dict(_assigned("--set", text) for text in self.set)
        values = {name: _value(text) for name, text in given.items()}
        train = Train(network=self.network, data=self.data, batch_size=self.batch_size, dt=values.get("dt"))
        dataset = data.load(self.data)
        config, size = train.network_config(dataset), train.train_config(dataset).batch_size
        try:
            config = replace(config, **values)
        except TypeError:
            known = sorted(config.__dataclass_fields__)
            unknown = next(name for name in values if name not in known)
            raise ArgumentError(
                f"--set: {unknown!r} is no setting of the {self.network}; known are {', '.join(known)}"
            ) from None
        return config, None if size == TrainConfig.batch_size else size

    def _resumed(self) -> Study:
        """Go on with the study in the folder."""
        from snnlab.study.engines import engine_for
        from snnlab.study.folder import lead, read_plan
        from snnlab.study.work import data_of

        for name in ("over", "set", "batch_size", "validation", "search"):
            if getattr(self, name):
                option = name.replace("_", "-")
                raise ArgumentError(f"--{option}: stands in the folder already; leave it out, or leave out --resume")
        plan = read_plan(self.folder.absolute())
        plan = replace(plan, epochs=self.epochs or plan.epochs, stop=self.stop or plan.stop)
        data = data_of(plan, self.folder.absolute())
        shared_out = {"devices": devices_of(self.devices), "together": self.together}
        engine = engine_for(self._cluster(), **shared_out, model=plan.model)
        study = Study(lead(self.folder, plan), data, engine)
        study.start()
        return study

    def _cluster(self) -> Any:
        """Return the argument `cluster` of the study."""
        if self.cluster == "slurm":
            return self.slurm
        if self.slurm != Slurm():
            raise ArgumentError("--slurm: applies to --cluster slurm; add it, or leave the options out")
        return int(self.cluster) if self.cluster is not None and self.cluster.isdecimal() else self.cluster

    def _again(self) -> str:
        """Return the command that goes on with this study."""
        words = ["snnlab", "sweep", "--resume", "--folder", str(self.folder)]
        given = {"--cluster": self.cluster, "--devices": self.devices, "--together": self.together}
        return shlex.join(
            [*words, *(text for name in given if given[name] is not None for text in (name, str(given[name])))]
        )


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Compute cells of a study that others see, too, until none is left.

    Start as many as there are cores to spare, on every machine that sees the folder. Each claims a cell, computes it,
    and takes the next; if one is killed, another goes on with its cell. SIGTERM and Ctrl-C end it, and nothing is lost.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the study, as snnlab.sweep or "snnlab sweep" have made it; with --cluster folder, they only watch."""
    cells: Annotated[int | None, default_is("INT", "until none is left")] = None
    """Cells after which to end."""

    def run(self) -> int:
        """Compute."""
        from snnlab.study.engines.shared import work
        from snnlab.study.workers import other_versions, shared
        from snnlab.support import arguments

        if self.cells is not None:
            arguments.count("--cells", self.cells)
        folder = shared(self.folder)
        if text := other_versions(folder):
            say(f"snnlab: {text}")
        heard: list[int] = []
        stop = threading.Event()

        def end(number: int, frame: object) -> None:
            heard.append(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        done = work(folder, cells=self.cells, on_cell=_say_cell, should_stop=stop.is_set)
        say(f"{_count(done, 'cell')} computed{'; ended by a signal, what was begun is saved' if heard else ''}")
        return 128 + heard[0] if heard else 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """Print what has come of a study, or save it as a file; it may be computed meanwhile."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder of the study."""
    out: Annotated[Path | None, default_is("FILE", "it is printed")] = None
    """File for a row of every epoch of every cell, .csv or .parquet."""
    overwrite: bool = False
    """Replace this file if it exists."""

    def run(self) -> int:
        """Read the study and print it."""
        from snnlab.study.folder import read_study

        study: Study = Study(read_study(self.folder), None, None)  # pyright: ignore[reportArgumentType]
        if self.out is not None:
            say(f"wrote {study.save_table(self.out, overwrite=self.overwrite)}")
            return 0
        print("\n".join(_columns([cell_fields(cell) for cell in study.cells.values()])))
        return 0


ACTIONS = {"worker": Worker, "table": Table}
"""What may follow `snnlab sweep`."""


# ---- reading options ----


def axes_of(over: Sequence[str], seeds: int) -> dict[str, Iterable[Any]]:
    """Return the axes of the options --over and --seeds.

    Raises:
        ArgumentError: if one cannot be read, or stands there twice.

    Example:
        >>> axes_of(["tau_mem=1:100:3log", "v_th=0.5,1", "hidden=50,100x50"], seeds=2)
        {'tau_mem': (1.0, 10.0, 100.0), 'v_th': [0.5, 1], 'hidden': [50, (100, 50)], 'seed': range(0, 2)}
        >>> axes_of(["v_th"], seeds=1)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: --over: must be as v_th=0.5,1,2 or tau_mem=1:100:8log, got 'v_th'
    """
    found: dict[str, Iterable[Any]] = {}
    for text in over:
        name, values = _assigned("--over", text)
        if name in found:
            raise ArgumentError(f"--over: {name} stands there twice; put its values together")
        found[name] = _values(text, values)
    if seeds < 1:
        raise ArgumentError(f"--seeds: must be an integer >= 1, got {seeds}")
    if seeds > 1 and "seed" in found:
        raise ArgumentError("--seeds: stands there beside --over seed=...; leave one out")
    if not found:
        raise ArgumentError("--over: must say what is varied, such as --over v_th=0.5,1,2 --over tau_mem=1:100:8log")
    return found | ({"seed": range(seeds)} if seeds > 1 else {})


def _assigned(option: str, text: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not name.strip() or not equals or not values.strip():
        like = "v_th=0.5,1,2 or tau_mem=1:100:8log" if option == "--over" else "num_steps=50"
        raise ArgumentError(f"{option}: must be as {like}, got {text!r}")
    return name.strip(), values.strip()


def _values(text: str, values: str) -> Iterable[Any]:
    if ":" not in values:
        return [_value(part) for part in values.split(",")]
    match = SPACED.fullmatch(values)
    ends = [_value(part) for part in match.group(1, 2)] if match else []
    if match is None or not all(isinstance(end, int | float) for end in ends):
        raise ArgumentError(f"--over: must be as tau_mem=1:100:8log or l1=0:1:5, got {text!r}")
    try:
        low, high = ends
        return (log if match[4] else linear)(low, high, int(match[3]))
    except ArgumentError as error:
        raise ArgumentError(f"--over: {text!r}: {error}") from None


def _value(text: str) -> Any:
    """Return a number, a word, or numbers of layers."""
    text = text.strip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if LAYERS.fullmatch(text):
        return tuple(map(int, text.split("x")))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# ---- showing ----


def _follow(study: Study) -> None:
    """Wait for the end of a study, with a progress line; a log file gets a line for each cell."""
    from tqdm import tqdm

    width, began, before = width_of(sys.stderr), time.monotonic(), study.epochs_done
    total = len(study.cells) * study.plan.epochs
    known = {index for index, cell in study.cells.items() if cell.fate.over}
    with tqdm(total=total, disable=width is None, miniters=0, ncols=sys.maxsize, bar_format=_bar(study, "")) as bar:
        running = True
        while running:
            running = study.running
            over = {index: cell for index, cell in study.cells.items() if cell.fate.over and index not in known}
            known |= over.keys()
            for cell in over.values() if width is None else ():
                _say_cell(cell)
            bar.n = study.epochs_done
            bar.bar_format = _bar(study, _left(bar.n - before, total - bar.n, time.monotonic() - began))
            bar.refresh()
            if running:
                time.sleep(LOOK)
    if study.error is not None:
        raise study.error


def _bar(study: Study, left: str) -> str:
    cells = study.cells.values()
    failed = sum(cell.fate is Fate.FAILED for cell in cells)
    best = max((cell.rows[-1].accuracy for cell in cells if cell.rows), default=None)
    fields = {
        "cells": f"{sum(cell.fate.over for cell in cells):,}/{len(cells):,} cells",
        "best": "" if best is None else f"best {best:.3f}",
        "failed": f"{failed} failed" if failed else "",
        "left": left,
    }
    given = {name: text for name, text in fields.items() if text}
    return bar_format(given, ("left", "best", "failed"), width_of(sys.stderr) or USUAL)


def _left(done: int, rest: int, seconds: float) -> str:
    """Say how long the rest will take at the rate so far; nothing if it is not known yet."""
    from tqdm import tqdm

    return f"{tqdm.format_interval(round(rest * seconds / done))} left" if done else ""


def _say_cell(cell: Cell) -> None:
    say("  ".join(f"{name} {text}" for name, text in cell_fields(cell).items() if text))


def cell_fields(cell: Cell) -> dict[str, str]:
    """Return what a table shows of a cell.

    Example:
        >>> from snnlab.study import Row
        >>> cell_fields(Cell((0,), {"v_th": 0.5}, Fate.DONE, rows=(Row(1, 11, 1.9, 0.43, 52.0),)))
        {'v_th': '0.5', 'epochs': '1', 'accuracy': '0.4300', 'spikes': '52', 'fate': 'done', 'why': ''}
    """
    row = cell.rows[-1] if cell.rows else None
    return {name: _text(value) for name, value in cell.point.items()} | {
        "epochs": str(len(cell.rows)),
        "accuracy": "" if row is None else f"{row.accuracy:.4f}",
        "spikes": "" if row is None or row.spikes != row.spikes else f"{row.spikes:.4g}",
        "fate": cell.fate.value,
        "why": cell.why or cell.finding,
    }


def summary(study: Study) -> list[str]:
    """Return the lines of the end: the best combinations, those that no other beats, and what failed."""
    from snnlab.study.pareto import choices, front

    cells = list(study.cells.values())
    found = choices(study.axes, cells)
    best = front(found)
    ranked = sorted(found, key=lambda choice: (-choice.accuracy, choice.spikes))
    lines = []
    if ranked:
        shown = ranked[:BEST]
        lines += [f"best {len(shown)} of {_count(len(ranked), 'combination')}" + _medians(study) + ":"]
        lines += _columns([_choice_fields(choice) for choice in shown])
        lines += ["", "no other has more accuracy and fewer spikes:"]
        lines += _columns([_choice_fields(choice) for choice in best])
    failed = [cell for cell in cells if cell.fate is Fate.FAILED]
    if failed:
        lines += ["", f"{_count(len(failed), 'cell')} failed; the first one:"]
        lines += [wrapped(f"  {_point(failed[0])}: {failed[0].why}", width_of(sys.stdout))]
    return lines


def _medians(study: Study) -> str:
    return ", medians over the seeds" if any(axis.seeds and len(axis.values) > 1 for axis in study.axes) else ""


def _choice_fields(choice: Choice) -> dict[str, str]:
    spikes = "" if choice.spikes != choice.spikes else f"{choice.spikes:.4g}"
    point = {name: _text(value) for name, value in choice.point.items()}
    return point | {"accuracy": f"{choice.accuracy:.4f}", "spikes": spikes}


def _point(cell: Cell) -> str:
    return ", ".join(f"{name}={_text(value)}" for name, value in cell.point.items())


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _columns(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return rows as lines with columns of equal width, numbers on the right; columns without anything are left out.

    Example:
        >>> print("\\n".join(_columns([{"v_th": "0.5", "why": ""}, {"v_th": "10", "why": ""}])))
          v_th
           0.5
            10
    """
    names = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    wide = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = [{name: name for name in names}, *rows]
    return ["".join(f"  {line[name]:>{wide[name]}}" for name in names) for line in lines]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
