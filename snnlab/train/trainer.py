"""The engine: back-propagation through time in jitted chunks, as an iterator of reports. Knows no widget.

    for report in Trainer(model, data):
        print(report.step, report.metrics)

Between two chunks the engine drains its mailbox, so a knob that another thread moves acts on the next
chunk. All hyperparameters are traced: moving one compiles nothing anew.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from snnlab.config import TrainConfig
from snnlab.controls import Mailbox
from snnlab.data import Dataset
from snnlab.errors import ArgumentError
from snnlab.history import History, Report
from snnlab.history.report import epoch_result
from snnlab.losses import Classification
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import uninterrupted
from snnlab.support.memory import give_memory_back
from snnlab.train.divergence import Guard
from snnlab.train.fit_check import check_fit
from snnlab.train.knobs import find_knobs, set_knob
from snnlab.train.optimizer import default_optimizer
from snnlab.train.runner import MAX_CHUNK, Runner
from snnlab.train.step import State, Stepper, code_key

CHUNK_SECONDS = 0.08  # aimed at: short enough to feel immediate, long enough that dispatch costs nothing
# Of a network that spikes. The mean over time teaches at every step, the maximum at one only: 0.88 of Fashion-MNIST
# instead of 0.87. The regularizers are seen and can be turned up, but hardly felt.
SPIKING = {"readout": "mean", "l1": 1e-4, "l2": 1e-4}


class Trainer:
    """Trains a model on a data set.

    Args:
        model: an `nnx.Module`: images `(batch, *sample_shape)` or events (see `EventLists`) in, a `Record` or a readout
            `(time, batch, class)` out. If its call takes `key`, it gets a fresh random key every step.
            It is updated whenever an iteration ends, also by an error or an interrupt.
        data: see `snnlab.data.Dataset`.
        loss: `(record, labels) -> {name: term}`, or one scalar. If it is an `nnx.Module`, its `Live` variables become
            knobs and its parameters are learned; if it has `scores(record)`, the prediction is the argmax of them, not
            of the readout's maximum. Default: `Classification()`; if the model spikes, of the mean over time and with
            weak regularizers.
        optimizer: any Optax transformation. Default: `default_optimizer`.
        **settings: fields of `TrainConfig`: `epochs, batch_size, learning_rate, schedule, seed`.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

    Attributes:
        loss: that is minimized; says which class wins.
        history: everything that happened.
        state: parameters, live values, optimizer and random key as they are now.
        run: the compiled steps; see `Runner`.
        start: the state that the run began with.
        until: a step that no chunk runs across, or None.
        planned: moves of knobs that are still to come, see `plan`.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> net = models.build(models.LstmConfig(hidden=16), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
        >>> [report.epoch for report in trainer if report.phase == "epoch"]
        [1, 2]
        >>> len(trainer.history), trainer.compilations
        (8, 1)
    """

    def __init__(
        self,
        model: nnx.Module,
        data: Dataset,
        *,
        loss: Callable | None = None,
        optimizer: optax.GradientTransformation | None = None,
        **settings,
    ):
        self.model = model
        self.data = data
        self.config = TrainConfig(**settings)
        self.history = History()
        self.compile_seconds = 0.0
        self.seconds = 0.0  # spent computing, without pauses
        samples = len(data.x_train)
        if self.config.batch_size > samples:
            raise ArgumentError(f"batch_size: {self.config.batch_size} is more than the {samples} training samples")
        self.steps_per_epoch = samples // self.config.batch_size  # the rest takes its turn in the next shuffle
        self.total_steps = self.config.epochs * self.steps_per_epoch
        self.own_optimizer = optimizer is not None
        optimizer = optimizer or default_optimizer(self.config, self.total_steps)
        record = check_fit(model, data, self.config.batch_size)
        spiking = any(trace.spikes is not None for trace in record.layers.values())
        self.loss = loss or Classification(**(SPIKING if spiking else {}))
        self.stepper = Stepper(model, self.loss, optimizer, code_key(self.config.seed))
        self.start: State = self.stepper.start
        self.state: State = self.start
        first = slice(self.config.batch_size)
        self.metric_names = self.stepper.metric_names(data.x_train[first], data.y_train[first])
        self._guard = Guard(self)
        self.mailbox = Mailbox(find_knobs(self.state.live, self.state.opt_state))
        keep_programs()
        self.run = Runner(self.stepper, data, self.config.batch_size)
        self._test = jax.jit(self.stepper.test)
        self._steps_in_chunk = 1
        self._epoch_started = 0.0  # value of `seconds` when the epoch began
        self.until: int | None = None
        self.planned: list[tuple[int, str, float]] = []

    @property
    def done(self) -> bool:
        """All epochs are trained."""
        return self.history.num_epochs >= self.config.epochs

    @property
    def compilations(self) -> int:
        """How many programs the training step was compiled to; it stays at 1."""
        return self.run.compilations

    @property
    def summary(self) -> dict[str, Any]:
        """How the model came about, in a few plain values: what a file of its weights says."""
        last = dict(*self.history.newest_epochs(1))
        results = {name: last.get(name) for name in ("train_loss", "train_acc", "test_loss", "test_acc")}
        counts = {"epochs": self.history.num_epochs, "steps": len(self.history)}
        settings = {name: getattr(self.config, name) for name in ("seed", "batch_size", "learning_rate")}
        settings["readout"] = getattr(self.loss, "readout", None)
        return {"data": self.data.name, **counts, **settings, **results}

    def snapshot(self) -> nnx.Module:
        """A copy of the model as it is now; from any thread, at any time."""
        return self.stepper.merge(self.state)["model"]

    def set(self, name: str, value: float) -> str:
        """Move a knob; it acts on the next chunk. See `Mailbox.post`."""
        return self.mailbox.post(name, value)

    def plan(self, moves: Iterable[tuple[int, str, float]]) -> None:
        """Knobs to move later: `(step, name, value)` acts on step `step`, counted from 0, and no earlier.

        Raises:
            ArgumentError: if there is no such knob, its value is out of range, or the step is taken already.
        """
        planned = []
        for step, name, value in moves:
            if arguments.count("step", step, 0) < len(self.history):
                raise ArgumentError(f"step: {step} is taken already, the run is at {len(self.history)}")
            planned.append((step, *self.mailbox.check(name, value)))
        self.planned = sorted([*self.planned, *planned], key=lambda move: move[0])

    def reset(self, model: nnx.Module | None = None, *, seed: int | None = None) -> None:
        """Back to step 0, with an empty history; nothing is compiled anew. Knobs that were moved stay there.

        Args:
            model: of the same structure; its values are the start. Default: the start of the run before.
            seed: of the order of the data and of codes drawn at random. Default: that of the run before.

        Raises:
            ArgumentError: if the model has another structure.
        """
        config = self.config if seed is None else replace(self.config, seed=seed)
        key, moved = code_key(config.seed), self.moved_knobs()
        start = self.start._replace(key=key) if model is None else self.stepper.first_state(model, key)
        if jax.tree.map(jnp.shape, start) != jax.tree.map(jnp.shape, self.state):
            raise ArgumentError("model: has another structure; make a new Trainer")
        with uninterrupted():
            self.config = config
            self.restore(start, start, History(), [], 0.0)
            for name, value in moved.items():
                self.set(name, value)

    def go_back(self, learning_rate: float | None = None) -> None:
        """After a `DivergenceError`: to its `back_to`, to go on with this learning rate or the one it advises.

        Raises:
            StateError: if nothing has diverged, or a lower learning rate would not help.
        """
        self._guard.go_back(learning_rate)

    def restore(self, state: State, start: State, history: History, planned: list, seconds: float) -> None:
        """Be where a run of the same model, data and settings was: see `snnlab.checkpoint.snapshot`."""
        self.state, self.start, self.history, self.planned, self.seconds = state, start, history, planned, seconds
        self._epoch_started = float(history.results().get("seconds", np.empty(0)).sum())
        self._guard = Guard(self)

    def moved_knobs(self) -> dict[str, float]:
        """The knobs that were moved in this run, and where they are now."""
        knobs = self.mailbox.knobs
        return {name: knobs[name].value for name in {move["knob"] for move in self.history.interventions}}

    def fit(self, until: int | None = None) -> History:
        """Train to the end, or until so many steps are taken."""
        self.until = until
        steps = iter(self)
        try:
            while not self.done and (until is None or len(self.history) < until):
                next(steps)
        finally:
            steps.close()  # also when it is interrupted between two reports
        return self.history

    def __iter__(self) -> Iterator[Report]:
        """Train on from where it stopped; stopping between two reports loses nothing, and Ctrl-C waits for the next."""
        try:
            yield from self._reports()
        except KeyboardInterrupt:  # perhaps while it was written back
            self._write_back()
            raise

    def _reports(self) -> Iterator[Report]:
        reports = self._epochs()
        try:
            while True:
                # Nothing interrupts a compiled program; one that comes while JAX traces can be lost in its callbacks.
                with uninterrupted():
                    report = next(reports, None)
                if report is None:
                    return
                yield report
        finally:
            self._write_back()
            give_memory_back()

    def _epochs(self) -> Iterator[Report]:
        self.compile_seconds += self.run.prepare(self.state)
        while not self.done:
            yield from self._epoch(self.history.num_epochs + 1)

    def _write_back(self) -> None:
        with uninterrupted():
            self.stepper.write_back(self.state)

    def _epoch(self, epoch: int) -> Iterator[Report]:
        batches = self.run.batches(self.config.seed, epoch)
        position = len(self.history) - (epoch - 1) * self.steps_per_epoch
        while position < self.steps_per_epoch:
            chunk = batches[position : position + self._length_of_chunk()]
            yield self._train(epoch, chunk)
            position += len(chunk)
        yield from self._evaluate(epoch)

    def _length_of_chunk(self) -> int:
        """Post the moves that are due; then as many steps as the clock likes, but not across the next one."""
        taken = len(self.history)
        while self.planned and self.planned[0][0] <= taken:
            self.set(*self.planned.pop(0)[1:])
        stops = [step for step, *_ in self.planned[:1]] + [self.until or 0]
        return min([self._steps_in_chunk, *(step - taken for step in stops if step > taken)])

    def commit(self, state: State, log: dict[str, np.ndarray]) -> None:
        """Steps that were taken become part of the run."""
        self.state = state
        if log:
            self.history.add_steps({"epoch": np.full(len(log["loss"]), self.history.num_epochs + 1), **log})

    def _train(self, epoch: int, batches: np.ndarray) -> Report:
        started = time.perf_counter()
        self._apply_mail()
        began = self._guard.mark()
        state, log, sound = self.run(self.state, batches)
        if not self._guard.is_well(log, sound):
            state, log = self._guard.replay(began, batches)
        self.commit(state, log)
        self._guard.chunk_went_well(began, batches)
        count, seconds = len(batches), self._clock(started)
        self._steps_in_chunk = int(np.clip(count * CHUNK_SECONDS / seconds, 1, MAX_CHUNK))
        means = {name: float(values.mean()) for name, values in log.items()}
        return self._report("train", epoch, means, count * self.config.batch_size / seconds)

    def _evaluate(self, epoch: int) -> Iterator[Report]:
        """The whole test set; a metric is the mean over the batches, weighted by their sizes."""
        x, y, size = self.data.x_test, self.data.y_test, self.config.batch_size
        totals: dict[str, float] = {}
        for number, first in enumerate(range(0, len(x), size)):
            started = time.perf_counter()
            images, labels = x[first : first + size], y[first : first + size]
            metrics = self._test(self.state, images, labels, np.int32(number))
            metrics = {name: float(value) for name, value in metrics.items()}
            for name, value in metrics.items():
                totals[name] = totals.get(name, 0.0) + value * len(labels) / len(y)
            yield self._report("test", epoch, metrics, len(labels) / self._clock(started))
        samples, seconds = self.steps_per_epoch * size, self.seconds - self._epoch_started
        result = epoch_result(epoch, self.history.steps(), self.steps_per_epoch, totals, seconds, samples / seconds)
        self.history.add_epoch(result)
        self._epoch_started = self.seconds
        self._guard.epoch_ended()
        yield self._report("epoch", epoch, result, result["samples_per_second"])

    def _apply_mail(self) -> None:
        for name, new in self.mailbox.drain().items():
            old, live, opt_state = set_knob(self.state.live, self.state.opt_state, name, new)
            self.state = self.state._replace(live=live, opt_state=opt_state)
            self.history.add_intervention(step=len(self.history), knob=name, old=old, new=new)

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
