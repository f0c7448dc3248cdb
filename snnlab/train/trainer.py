"""The engine: an iterator that trains chunk by chunk and reports after each one."""

import copy
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from snnlab.config import CONV_L1, ConvConfig, TrainConfig
from snnlab.controls import EPOCHS, LEARNING_RATE, Knob, Mailbox, Move
from snnlab.data import Dataset, Source
from snnlab.data.source import Opened
from snnlab.errors import ArgumentError, DivergenceError, StateError
from snnlab.history import History, Report
from snnlab.history.report import Scored, epoch_result
from snnlab.history.series import has_risen
from snnlab.models import describe
from snnlab.support import arguments
from snnlab.support.exit import close_at_exit
from snnlab.support.interrupt import never_lost, uninterrupted
from snnlab.support.memory import give_memory_back
from snnlab.support.thread_settings import noted
from snnlab.support.transfers import transfers_allowed
from snnlab.tasks import Task, task_of
from snnlab.train.devices import Devices
from snnlab.train.divergence import (
    Kind,
    Log,
    explain,
    is_well,
    joined,
    locate,
    one_step_less,
    way_back,
)
from snnlab.train.evaluation import Evaluation
from snnlab.train.feed import MAX_CHUNK, Loaded, Used
from snnlab.train.fit_check import check_fit
from snnlab.train.knobs import find_knobs, set_knob
from snnlab.train.optimizer import default_optimizer, length_of, with_length
from snnlab.train.point import Point
from snnlab.train.processes import leads
from snnlab.train.runner import Runner
from snnlab.train.shorter import Shorter
from snnlab.train.step import State, Stepper, code_key
from snnlab.train.streamed import Streamed
from snnlab.variables import setting

MAX_STEPS = 2**31 - 1  # of a run: they are counted in int32
CHUNK_SECONDS = 0.08  # of computing in one chunk: short enough to feel immediate, long enough to hide the dispatch


class Trainer:
    """Trains a model on a data set.

    The trainer is an iterator of `Report`s. Between two reports it can be left, steered with `set` and `plan`, and
    continued by iterating again. How a run is cut into pieces does not change its bits.

    The first iteration compiles. Compiled programs are kept for later processes in JAX's compilation cache; set the
    environment variable `SNNLAB_COMPILE_CACHE=0` to turn that off (see `snnlab.support.compile_cache`).

    Args:
        model: an `nnx.Module` that maps images `(batch, *sample_shape)` or events (see `EventLists`) to a `Record` or
            a readout `(time, batch, class)`. If its call takes `key`, it gets a fresh random key every step. The model
            is updated whenever an iteration ends, also by an error or an interrupt.
        data: see `snnlab.data.Dataset`; or what gives batches, such as a generator function, a loader, or arrays on a
            disk, see `snnlab.data.Source`, which also says more about them.
        test: with data that give batches: what to test with, as `data`.
        validation: with data that give batches: what is looked at while the network learns; default: `test`.
        loss: `(record, targets) -> {name: term}`, or a scalar; or `(terms, {name: metric})`, with metrics of your own
            that are recorded and drawn, but not minimized. If its first argument is called `predicts`, as in BrainPy,
            it gets the readout `(batch, time, class)` in place of the record; for one that expects a pair
            `(predicts, mon)`, see `snnlab.losses.Monitored`. If the data has a mask or weights, it
            needs arguments `mask` and `weights`. If it is an `nnx.Module`, its `Live` variables become knobs and its
            parameters are learned; if it has `scores(record)`, these are compared with the targets. Default: that of
            the task, see `snnlab.tasks`; for labels `Classification()`, and for a model that spikes with the arguments
            `snnlab.config.SPIKING_LOSS`, of a `ConvConfig` with `snnlab.config.CONV_L1`.
        optimizer: any Optax transformation. One that asks for it gets the loss, its gradient, and the loss of the batch
            as a function of the parameters: `optax.lbfgs()` and `optax.contrib.reduce_on_plateau()` do. Every number
            that `optax.inject_hyperparams` puts into it is a knob. Default: `default_optimizer`.
        epochs: passes over the training set; may be raised later, see `epochs`.
        batch_size: samples in one optimizer step; default 128, or as many as a batch of the source has.
        learning_rate: at the start; default 0.01. An optimizer of your own has its own.
        schedule: "cosine", the default, falls to zero at the last step, "constant" stays. Not with an optimizer of your
            own.
        seed: of the order of the data and of codes drawn at random.
        devices: how many share out the samples of each batch, or "all", or a `jax.sharding.Mesh` with an axis "batch";
            default: one. The loss stays that of the whole batch, and with the CPU kernels the bits are the same on any
            number, see `snnlab.train.devices`. Checkpoints do not know the number.

    Raises:
        ArgumentError: if an argument is out of range or of another type, or model and data do not fit together.

    Attributes:
        model: the module that was passed in.
        data: the data set; of a source, its first samples.
        source: what gives the batches, or None with a data set.
        task: how its targets are scored.
        scored: how the results are called, and which part of the data is looked at.
        config: the settings, as a `TrainConfig`.
        loss: the loss that is minimized; it also says which class wins.
        stepper: one step, as pure functions.
        runner: the compiled steps.
        devices: on which it computes, see `snnlab.train.devices.Devices`.
        mailbox: the way in for new values of knobs, planned moves and `stop_at`, from any thread.
        history: everything that happened.
        origin: the state that the run began with.
        seconds: time spent computing, without pauses [s].
        compile_seconds: time spent compiling [s].
        metric_names: what is measured at every step.
        steps_per_epoch: optimizer steps in one epoch; samples left over take their turn in the next shuffle.
        own_optimizer: whether `optimizer` was given.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
        >>> [report.epoch for report in trainer if report.phase == "epoch"]
        [1, 2]
        >>> len(trainer.history), trainer.compilations
        (8, 1)
    """

    def __init__(
        self,
        model: nnx.Module,
        data: Any,
        *,
        test: Any = None,
        validation: Any = None,
        loss: Callable | None = None,
        optimizer: optax.GradientTransformation | optax.MultiSteps | None = None,
        epochs: int = TrainConfig.epochs,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        seed: int = TrainConfig.seed,
        devices: int | str | Mesh | Devices | None = None,
    ):
        self._settle = noted()  # model and loss may be traced in another thread
        self.devices = Devices.of(devices)
        self.model = arguments.instance("model", model, nnx.Module, "an nnx.Module, such as what `build` returns")
        opened = _opened(data, test, validation, batch_size, seed)
        self.source = None if opened is None else opened.source
        data = self.data = data if opened is None else opened.head
        batch_size = _batch_size(batch_size) if opened is None else opened.batch_size
        self.task = task_of(data)
        self.scored = Scored(data.watched, self.task.score)
        optimizer = optimizer.gradient_transformation() if isinstance(optimizer, optax.MultiSteps) else optimizer
        _check_choices(loss, optimizer)
        self.config = TrainConfig.of(
            own_optimizer=optimizer is not None,
            learning_rate=learning_rate,
            schedule=schedule,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
        )
        if opened is None and batch_size > len(data.x_train):
            raise ArgumentError(
                f"batch_size: must be at most the {len(data.x_train)} training samples, got {batch_size}"
            )
        self.devices.check_batch(batch_size)
        if opened is not None and self.devices.of_others:
            raise ArgumentError(
                "data: several processes train with a Dataset only, which each of them loads as a whole"
            )
        feed = Loaded(data, batch_size) if opened is None else Streamed(opened)
        self.steps_per_epoch = feed.steps
        self._check_epochs(epochs)
        self.own_optimizer = optimizer is not None
        with never_lost(), transfers_allowed():
            record = check_fit(model, data, batch_size)
            spiking = any(trace.spikes is not None for trace in record.layers.values())
            self.loss = loss or _default_loss(self.task, model, spiking)
            optimizer = optimizer or default_optimizer(self.config, self.total_steps)
            key, shorter = code_key(seed), Shorter.of(model, data)
            self.stepper = Stepper(model, self.loss, self.task, optimizer, key, self.own_optimizer, shorter)
            self.origin: State = self.stepper.start
            self._state: State = self.origin
            self.mailbox = Mailbox(_checked(self.knobs_of(self.origin)))
            if isinstance(feed, Loaded):
                feed.group(self.stepper.structure.shorter.steps)
            self.runner = Runner(self.stepper, feed, self.devices)
            self.metric_names = self.runner.metric_names
        self.history = History()
        self.seconds = self.compile_seconds = 0.0
        self._steps_in_chunk = 1
        self._previous: tuple[Point, Any] | None = None  # where the last good chunk began, and its batches
        self._ends: list[Point] = []  # the end of the last epoch before the loss rose, if there is one
        self._diverged: tuple[DivergenceError, Point | None] | None = None  # and where to continue

    def __reduce__(self):
        """For `pickle`: make the same trainer, on one device, and put it where the run is. It compiles anew."""
        settings = {name: value for name, value in asdict(self.config).items() if value is not None}
        optimizer = self.stepper.structure.optimizer if self.own_optimizer else None
        settings = {"loss": self.loss, "optimizer": optimizer, **settings}
        return _made_again, (self.model, self.source or self.data, settings, self.at, self.runner.feed.used)

    def __deepcopy__(self, memo) -> "Trainer":
        model, data, settings, point, used = self.__reduce__()[1]
        settings |= {"loss": copy.deepcopy(self.loss), "devices": self.devices}
        point = replace(point, history=copy.deepcopy(point.history))
        return _made_again(nnx.clone(model), data, settings, point, used)

    def __copy__(self) -> "Trainer":
        return copy.deepcopy(self)  # or both would write into one history

    @property
    def at(self) -> Point:
        """The point where the run is. Assign one to put the run there, with its knobs and the moves to come.

        Read and assign it between two reports. The history of a point is never changed: if it has grown since, the run
        continues with a shorter copy.
        """
        history, box = self.history, self.mailbox
        return Point(
            state=self._state,
            origin=self.origin,
            history=history,
            steps=len(history),
            epochs=history.num_epochs,
            moves=history.num_moves,
            planned=tuple(box.planned),
            posted=tuple(box.posted.items()),
            seconds=self.seconds,
        )

    @at.setter
    def at(self, point: Point) -> None:
        self._check_structure("point", point.state)
        values = {knob.name: knob.value for knob in self.knobs_of(point.state)}
        moves = point.history.interventions[: point.moves]
        values |= {move["knob"]: move["new"] for move in moves if move["knob"] != EPOCHS}
        with uninterrupted():
            self._go(point)
            self.mailbox.restore(point.steps, values, point.planned, dict(point.posted))

    @property
    def state(self) -> State:
        """Parameters, live values, optimizer and random key as they are now. Safe to read from any thread."""
        return self._state

    @property
    def planned(self) -> list[Move]:
        """Moves of knobs that are still to come, see `plan`."""
        return self.mailbox.planned

    @property
    def stop_at(self) -> int | None:
        """A step that no chunk runs across, or None. Set it with `trainer.mailbox.stop_at = step`."""
        return self.mailbox.stop_at

    @property
    def epochs(self) -> int:
        """Passes over the training set, in all. Set it at any time to train longer, also when the run is done.

            trainer.epochs = 20
            trainer.fit()

        With a constant schedule, the run has the bits of one that had so many epochs from its start. With the cosine,
        its learning rate follows the cosine of the new number of epochs from its next step on; the history has this
        as a move of "epochs", so that the run can be repeated. An optimizer of your own follows its own schedule.

        Raises:
            ArgumentError: if the run was trained longer, or has too many steps then.
        """
        return self.config.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        epochs = arguments.count("epochs", epochs)
        begun = -(-len(self.history) // self.steps_per_epoch)
        if epochs < begun:
            raise ArgumentError(f"epochs: must be at least {begun}, which the run has begun or trained, got {epochs}")
        self._check_epochs(epochs)
        self.config = replace(self.config, epochs=epochs)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in all epochs."""
        return self.config.epochs * self.steps_per_epoch

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate follows a schedule that depends on the number of epochs."""
        return self.config.schedule == "cosine"

    @property
    def done(self) -> bool:
        """Whether all epochs are trained."""
        return self.history.num_epochs >= self.config.epochs

    @property
    def compilations(self) -> int:
        """Number of programs compiled for the training step; it stays at 1."""
        return self.runner.compilations

    @property
    def provenance(self) -> dict[str, Any]:
        """How the model came about, in a few plain values to store beside its weights.

        The learning rate is that of the start, or None if an optimizer of your own does not show it
        (`optax.inject_hyperparams`); `moves` counts the moves of knobs since.
        """
        last = dict(*self.history.newest_epochs(1))
        scored = self.scored
        results = {name: last.get(name) for name in ("train_loss", scored.train, scored.loss, scored.result)}
        counts = {"epochs": self.history.num_epochs, "steps": len(self.history)}
        settings = {name: getattr(self.config, name) for name in ("seed", "batch_size")}
        rate = self.config.learning_rate
        if self.own_optimizer:
            rate = next((knob.value for knob in self.knobs_of(self.origin) if knob.name == LEARNING_RATE), None)
        settings |= {LEARNING_RATE: rate, "optimizer": "own" if self.own_optimizer else "adam"}
        settings |= {"moves": self.history.num_moves, "readout": getattr(self.loss, "readout", None)}
        return {"data": self.data.name, **counts, **settings, **results}

    def knobs_of(self, state: State) -> list[Knob]:
        """Return the knobs of the run, with their values in a state."""
        return find_knobs(state.live, state.opt_state, of_the_user=self.own_optimizer)

    def snapshot(self) -> nnx.Module:
        """Return a copy of the model as it is now. Safe to call from any thread at any time."""
        return self.model_at(self.at)

    def model_at(self, point: Point) -> nnx.Module:
        """Return a copy of the model at a point of this run."""
        return self.stepper.structure.merge(point.state)["model"]

    def preview(self) -> tuple[nnx.Module, bool]:
        """Return a copy of the model as the next step will find it, with the knobs where they were moved to meanwhile.

        Values that are tried out, see `Mailbox.try_out`, stand in it, too. Safe to call from any thread at any time.

        Returns:
            The model, and whether a knob has been moved that no step has used yet.
        """
        state, ahead = self.preview_state()
        return self.stepper.structure.merge(state)["model"], ahead

    def preview_state(self) -> tuple[State, bool]:
        """Return the state of which `preview` makes a model: with it, model and loss can be put together.

        Returns:
            The state, and whether a knob has been moved that no step has used yet.
        """
        state, wanted = self._state, self.mailbox.shown
        live, opt_state = state.live, state.opt_state
        moved = [
            knob.name for knob in self.knobs_of(state) if np.float32(wanted[knob.name].value) != np.float32(knob.value)
        ]
        for name in moved:
            _, live, opt_state = set_knob(live, opt_state, name, wanted[name].value)
        return state._replace(live=live), bool(moved)

    def set(self, values: Mapping[str, float] | None = None, /, **by_name: float) -> None:
        """Move knobs; the new values act on the next chunk.

            trainer.set(v_th=0.6, learning_rate=1e-3)
            trainer.set({"hidden.v_th": 0.6})

        Args:
            values: new values by the name of the knob, or by an ending of the name that only one knob has.
            **by_name: the same, for names without a dot.

        Raises:
            ArgumentError: if there is no such knob, or a value is out of range. Then no knob is moved.
        """
        moves = [self.mailbox.check(name, value) for name, value in {**(values or {}), **by_name}.items()]
        for name, value in moves:
            self.mailbox.post(name, value)

    def plan(self, moves: Iterable[Move]) -> None:
        """Move knobs later: `(step, name, value)` acts exactly once, on step `step`, counted from 0.

        Raises:
            ArgumentError: if there is no such knob, a value is out of range, or a step is taken already. Then nothing
                is planned.
        """
        self.mailbox.plan(moves)

    @transfers_allowed()
    def reset(self, model: nnx.Module | None = None, *, seed: int | None = None) -> None:
        """Go back to step 0 with an empty history; nothing is compiled anew. Knobs that were moved stay there.

        Args:
            model: of the same structure; its values are the new origin. Default: the origin of the run before.
            seed: of the order of the data and of codes drawn at random. Default: that of the run before.

        Raises:
            ArgumentError: if the model has another structure.
        """
        config = self.config if seed is None else replace(self.config, seed=seed)
        key, moved = code_key(config.seed), self.moved_knobs()
        origin = self.origin._replace(key=key) if model is None else self.stepper.first_state(model, key)
        if self.scheduled:
            origin = origin._replace(opt_state=with_length(origin.opt_state, self.total_steps))
        self._check_structure("model", origin)
        with uninterrupted():
            self.config = config
            self._go(Point(state=origin, origin=origin, history=History()))
            self.mailbox.cancel_plans()
            self.set(moved)

    def go_back(self, learning_rate: float | None = None) -> None:
        """After a `DivergenceError`, go back to its `back_to` and lower the learning rate.

        Args:
            learning_rate: to continue with. Default: the one that the error advises.

        Raises:
            StateError: if nothing has diverged, or a lower learning rate would not help.
        """
        if self._diverged is None:
            raise StateError("go_back: nothing has diverged")
        error, goal = self._diverged
        if goal is None:
            raise StateError("go_back: a lower learning rate would not help")
        rate = error.advice if learning_rate is None else learning_rate
        if rate is not None:
            self.mailbox.check(LEARNING_RATE, rate)
        with uninterrupted():
            self._return_to(goal)
            if rate is not None:
                self.set({LEARNING_RATE: rate})

    def moved_knobs(self) -> dict[str, float]:
        """The knobs that were moved in this run, with their values now."""
        knobs = self.mailbox.knobs
        moved = {move["knob"] for move in self.history.interventions} - {EPOCHS}
        return {name: knobs[name].value for name in moved}

    def with_move(self, state: State, name: str, value: float) -> tuple[float, State]:
        """Return the old value of a knob in a state, and the state with another one.

        With the name "epochs", it is the number of epochs that the schedule is made for.
        """
        if name == EPOCHS and self.scheduled:
            old = length_of(state.opt_state) // self.steps_per_epoch
            return old, state._replace(opt_state=with_length(state.opt_state, int(value) * self.steps_per_epoch))
        old, live, opt_state = set_knob(state.live, state.opt_state, name, value)
        return old, state._replace(live=live, opt_state=opt_state)

    def fit(self, until: int | None = None) -> History:
        """Train to the end, or until `until` steps are taken."""
        self.mailbox.stop_at = until
        steps = iter(self)
        try:
            while not self.done and (until is None or len(self.history) < until):
                next(steps)
        finally:
            steps.close()  # also when it is interrupted between two reports
        return self.history

    def follow(self) -> None:
        """In every process but process 0: compute what process 0 computes, until it has ended.

        Process 0 has the run: there it is iterated, steered, watched and saved. The others make the same trainer, call
        this, and know nothing of it; their model stays as it was.

            jax.distributed.initialize()
            trainer = Trainer(model, data, devices="all")
            trainer.fit() if jax.process_index() == 0 else trainer.follow()

        Raises:
            StateError: if this is process 0, or another process has ended.
        """
        if leads():
            raise StateError("follow: this is process 0, which has the run; call fit()")
        if not self.devices.of_others:
            raise StateError('follow: the trainer has devices of this process only; pass devices="all"')
        with transfers_allowed():
            self.runner.follow(self._state)

    def __iter__(self) -> Generator[Report, None, None]:
        """Continue to train. Leaving between two reports loses nothing, and Ctrl-C waits for the next one."""
        return close_at_exit(self._iterate())

    def _iterate(self) -> Generator[Report, None, None]:
        try:
            yield from self._reports()
        except KeyboardInterrupt:  # perhaps while it was written back
            self._write_back()
            raise

    def _reports(self) -> Iterator[Report]:
        reports = self._epochs()
        self._settle()
        try:
            while True:
                # Nothing interrupts a compiled program; one that comes while JAX traces can be lost in its callbacks.
                with uninterrupted(), transfers_allowed():
                    report = next(reports, None)
                if report is None:
                    return
                yield report
        finally:
            self._write_back()
            give_memory_back()

    def _write_back(self) -> None:
        with uninterrupted():
            self.mailbox.claim(len(self.history), 0)  # no step is on its way
            self.stepper.write_back(self._state)

    def _epochs(self) -> Iterator[Report]:
        self.compile_seconds += self.runner.prepare(self._state)
        while not self.done:
            yield from self._epoch(self.history.num_epochs + 1)

    def _epoch(self, epoch: int) -> Iterator[Report]:
        batches = self.runner.batches(self.config.seed, epoch)
        position = len(self.history) - (epoch - 1) * self.steps_per_epoch
        while position < self.steps_per_epoch:
            started = time.perf_counter()
            wanted = min(self._steps_in_chunk, self.runner.feed.ready(batches, position))
            self._clock(started)  # to wait for data is time that the run takes
            count = self.mailbox.claim(len(self.history), wanted)
            yield self._train(epoch, batches[position : position + count])
            position += count
        yield from self._evaluate(epoch)

    def _train(self, epoch: int, batches) -> Report:
        started = time.perf_counter()
        self._turn_knobs()
        began = self.at
        state, log, sound = self.runner(began.state, batches)
        if not is_well(log, sound):
            state, log = self._retrace(began, batches)
        self._commit(state, log)
        self._previous, self._diverged = (began, batches), None
        count, seconds = len(batches), self._clock(started)
        self._steps_in_chunk = int(np.clip(count * CHUNK_SECONDS / seconds, 1, MAX_CHUNK))
        means = {name: float(values.mean()) for name, values in log.items()}
        return self._report("train", epoch, means, self.runner.feed.size(batches) / seconds)

    def _turn_knobs(self) -> None:
        """Apply what the mailbox holds for the next step, after another number of epochs."""
        moves, epochs = self.mailbox.drain(), self.epochs
        if self.scheduled and length_of(self._state.opt_state) != epochs * self.steps_per_epoch:
            moves = {EPOCHS: epochs} | moves
        for name, new in moves.items():
            old, self._state = self.with_move(self._state, name, new)
            self.history.add_intervention(step=len(self.history), knob=name, old=old, new=new)

    def _commit(self, state: State, log: Log) -> None:
        """Make steps that were taken a part of the run."""
        self._state = state
        if log:
            self.history.add_steps({"epoch": np.full(len(log["loss"]), self.history.num_epochs + 1), **log})

    def _retrace(self, began: Point, batches) -> tuple[State, Log]:
        """Repeat a chunk that is not finite step by step, and keep what is good of it.

        Returns:
            State and metrics of the chunk if it is finite this time.

        Raises:
            DivergenceError: if it is not.
        """
        states, rows, fault = locate(self.runner, began, batches)
        if fault is None:
            return states[-1], joined(rows)
        kept = len(rows) - (fault.kind is Kind.WEIGHTS)
        if kept > 0:
            self._commit(states[kept], joined(rows[:kept]))
            self._previous = began, batches[:kept]
        elif kept < 0 and self._previous is not None:
            self._return_to(one_step_less(self.runner, *self._previous))
        start = Point(state=self.origin, origin=self.origin, history=self.history)
        goal = way_back(fault, [start, *self._ends, self.at])
        knobs = {knob.name: knob for knob in self.knobs_of(self._state)}
        samples = self.runner.feed.look(fault.batch)
        error = explain(fault, self.stepper, samples, knobs.get(LEARNING_RATE), len(self.history), goal)
        self._diverged = error, goal
        raise error

    def _evaluate(self, epoch: int) -> Iterator[Report]:
        """Measure the whole part that is looked at."""
        seen = Evaluation(self.runner.test, self.runner.feed.part(self.data.watched))
        started = time.perf_counter()
        for metrics, size in seen.run(self._state):
            yield self._report("test", epoch, metrics, size / self._clock(started))
            started = time.perf_counter()
        samples, seconds = self.runner.feed.samples, self.seconds - self._seconds_of_epochs()
        result = epoch_result(
            epoch,
            self.history.steps(),
            self.steps_per_epoch,
            seen.totals,
            self.task.results(seen.sums),
            self.scored,
            seconds,
            samples / seconds,
        )
        self.history.add_epoch(result)
        here = self.at
        if not has_risen(here.losses):
            self._ends = [here]
        yield self._report("epoch", epoch, result, result["samples_per_second"])

    @transfers_allowed()
    def evaluate(self, part: str = "test") -> dict[str, float]:
        """Return loss, score and other metrics of the model as it is now, of one part of the data.

        The test part tells the truth if nothing was chosen by it. With a validation part, call this once, at the end.

        Args:
            part: "test", "val" or "train".

        Raises:
            ArgumentError: if the data has no such part.

        Example:
            >>> from snnlab import data, models
            >>> digits = data.load("digits").subset(train=256, test=64).hold_out(0.25)
            >>> net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
            >>> trainer = Trainer(net, digits, epochs=1, batch_size=64)
            >>> sorted(trainer.fit().epochs[0].keys() & {"val_acc", "test_acc"}), sorted(trainer.evaluate())
            (['val_acc'], ['accuracy', 'balanced accuracy', 'loss'])
        """
        arguments.choice("part", part, self.data.parts)
        seen = Evaluation(self.runner.test, self.runner.feed.part(part))
        for _ in seen.run(self._state):
            pass
        return seen.results(self.task)

    def _go(self, point: Point) -> None:
        """Be at a point; the mailbox keeps what it holds."""
        history = point.past
        if history is not self.history:
            earlier = [end for end in self._ends if end.history is point.history and end.steps <= point.steps]
            self._ends, self._previous = [replace(end, history=history) for end in earlier], None
        self._state, self.origin, self.history, self.seconds = point.state, point.origin, history, point.seconds
        self._diverged = None
        self.mailbox.claim(point.steps, 0)

    def _return_to(self, point: Point) -> None:
        """Go back in this run. Knobs that were moved later stay where they are: they act on the next chunk."""
        later, knobs = self.history.interventions[point.moves :], self.mailbox.knobs
        self._go(point)
        self.set({move["knob"]: knobs[move["knob"]].value for move in later if move["knob"] != EPOCHS})

    def _check_structure(self, name: str, state: State) -> None:
        if jax.tree.map(jnp.shape, state) != jax.tree.map(jnp.shape, self._state):
            raise ArgumentError(f"{name}: has another structure; make a new Trainer")

    def _check_epochs(self, epochs: int) -> None:
        most = MAX_STEPS // self.steps_per_epoch
        if epochs > most:
            raise ArgumentError(f"epochs: must be at most {most} here, got {epochs}")

    def _seconds_of_epochs(self) -> float:
        """Time spent in the epochs that are finished."""
        return float(self.history.results().get("seconds", np.empty(0)).sum())

    def _clock(self, started: float) -> float:
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return seconds

    def _report(self, phase: str, epoch: int, metrics: dict[str, Any], samples_per_second: float) -> Report:
        step = len(self.history)
        return Report(
            phase=phase,
            epoch=epoch,
            step=step,
            total_steps=self.total_steps,
            metrics=metrics,
            samples_per_second=samples_per_second,
            eta=self.seconds / step * (self.total_steps - step),
        )


def _made_again(
    model: nnx.Module, data: Dataset | Source, settings: dict[str, Any], point: Point, used: Used
) -> Trainer:
    trainer = Trainer(model, data, **settings)
    trainer.runner.feed.used.update(used)
    trainer.at = point
    return trainer


def _opened(data, test, validation, batch_size: int | None, seed: int) -> Opened | None:
    """Open what gives batches; None for a data set, which has all its parts."""
    if isinstance(data, Dataset | Source):
        for name, given in (("test", test), ("validation", validation)):
            if given is not None:
                raise ArgumentError(f"{name}: the {type(data).__name__} has parts of its own; leave it out")
    if isinstance(data, Dataset):
        return None
    if not isinstance(data, Source):
        if test is None and not callable(data):
            arguments.instance("data", data, Dataset, "a Dataset, such as what `load_data` returns; or pass test=, too")
        data = Source(train=data, test=test, val=validation)
    if batch_size is not None:
        _batch_size(batch_size)
    return data.open(batch_size, arguments.seed("seed", seed))


def _batch_size(given: int | None) -> int:
    return TrainConfig.batch_size if given is None else arguments.count("batch_size", given)


def _checked(knobs: list[Knob]) -> list[Knob]:
    if any(knob.name == EPOCHS for knob in knobs):
        raise ArgumentError(f"model: a live variable cannot have the name {EPOCHS!r}, the history uses it; rename it")
    return knobs


def _default_loss(task: Task, model: nnx.Module, spiking: bool) -> Callable:
    """Return the loss of a task, at the price that spikes have in this kind of network."""
    loss: Any = task.loss(spiking=spiking)
    if isinstance(describe(model).config, ConvConfig) and getattr(loss, "l1", None) is not None:
        loss.l1 = setting("l1", CONV_L1, 1, low=0.0, high=0.01)
    return loss


def _check_choices(loss, optimizer) -> None:
    if loss is not None and not callable(loss):
        raise ArgumentError(f"loss: must be a function of a record and labels, got {type(loss).__name__}")
    transformations = (optax.GradientTransformation, type(None))
    arguments.instance("optimizer", optimizer, transformations, "an Optax transformation, such as `optax.adam(1e-3)`")
