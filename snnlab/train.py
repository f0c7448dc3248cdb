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
from jaxtyping import PRNGKeyArray

from snnlab import check
from snnlab.config import TrainConfig
from snnlab.controls import Mailbox
from snnlab.data import Dataset
from snnlab.errors import ArgumentError, DivergenceError
from snnlab.history import History
from snnlab.knobs import find_knobs, set_knob
from snnlab.losses import Classification
from snnlab.programs import keep_programs
from snnlab.report import Report
from snnlab.step import MAX_CHUNK, State, Stepper, check_fit, default_optimizer

CHUNK_SECONDS = 0.08  # aimed at: short enough to feel immediate, long enough that dispatch costs nothing
WEAK = {"l1": 1e-4, "l2": 1e-4}  # regularizers that are seen and can be turned up, but hardly felt


class Trainer:
    """Trains a model on a data set.

    Args:
        model: an `nnx.Module`: images `(batch, *sample_shape)` or events (see `EventLists`) in, a `Record` or a readout
            `(time, batch, class)` out. If its call takes `key`, it gets a fresh random key every step.
            It is updated whenever an iteration ends, also by an error or an interrupt.
        data: see `snnlab.data.Dataset`.
        loss: `(record, labels) -> {name: term}`, or one scalar. If it is an `nnx.Module`, its `Live` variables become
            knobs and its parameters are learned; if it has `scores(record)`, the prediction is the argmax of them, not
            of the readout's maximum. Default: `Classification()`, with weak regularizers if the model spikes.
        optimizer: any Optax transformation. Default: `default_optimizer`.
        **settings: fields of `TrainConfig`: `epochs, batch_size, learning_rate, schedule, seed`.

    Raises:
        ArgumentError: if model, data and settings do not fit together.

    Attributes:
        history: everything that happened.
        state: parameters, live values, optimizer and random key as they are now.
        start: the state that the run began with.
        until: a step that no chunk runs across, or None.

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
        loss = loss or Classification(**(WEAK if spiking else {}))
        self.stepper = Stepper(model, loss, optimizer, _code_key(self.config.seed))
        self.start: State = self.stepper.start
        self.state: State = self.start
        first = slice(self.config.batch_size)
        self.metric_names = self.stepper.metric_names(data.x_train[first], data.y_train[first])
        self.mailbox = Mailbox(find_knobs(self.state.live, self.state.opt_state))
        keep_programs()
        self._chunk = jax.jit(self.stepper.chunk)
        self._test = jax.jit(self.stepper.test)
        self._on_device: tuple | None = None
        self._steps_in_chunk = 1
        self._epoch_started = 0.0  # value of `seconds` when the epoch began
        self.until: int | None = None
        self._planned: list[tuple[int, str, float]] = []

    @property
    def done(self) -> bool:
        """All epochs are trained."""
        return len(self.history.epochs) >= self.config.epochs

    @property
    def compilations(self) -> int:
        """How many programs the training step was compiled to; it stays at 1."""
        return self._chunk._cache_size()

    @property
    def summary(self) -> dict[str, Any]:
        """How the model came about, in a few plain values: what a file of its weights says."""
        last = self.history.epochs[-1] if self.history.epochs else {}
        results = {name: last.get(name) for name in ("train_loss", "train_acc", "test_loss", "test_acc")}
        counts = {"epochs": len(self.history.epochs), "steps": len(self.history)}
        settings = {name: getattr(self.config, name) for name in ("seed", "batch_size", "learning_rate")}
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
            if check.count("step", step, 0) < len(self.history):
                raise ArgumentError(f"step: {step} is taken already, the run is at {len(self.history)}")
            planned.append((step, *self.mailbox.check(name, value)))
        self._planned = sorted([*self._planned, *planned], key=lambda move: move[0])

    def reset(self, model: nnx.Module | None = None, *, seed: int | None = None) -> None:
        """Back to step 0, with an empty history; nothing is compiled anew. Knobs that were moved stay there.

        Args:
            model: of the same structure; its values are the start. Default: the start of the run before.
            seed: of the order of the data and of codes drawn at random. Default: that of the run before.

        Raises:
            ArgumentError: if the model has another structure.
        """
        config = self.config if seed is None else replace(self.config, seed=seed)
        key, moved = _code_key(config.seed), self.moved_knobs()
        start = self.start._replace(key=key) if model is None else self.stepper.first_state(model, key)
        if jax.tree.map(jnp.shape, start) != jax.tree.map(jnp.shape, self.state):
            raise ArgumentError("model: has another structure; make a new Trainer")
        self.config, self.state, self.start = config, start, start
        self.history = History()
        self.seconds = self._epoch_started = 0.0
        self._planned = []
        for name, value in moved.items():
            self.set(name, value)

    def moved_knobs(self) -> dict[str, float]:
        """The knobs that were moved in this run, and where they are now."""
        knobs = self.mailbox.knobs
        return {name: knobs[name].value for name in {move["knob"] for move in self.history.interventions}}

    def fit(self, until: int | None = None) -> History:
        """Train to the end, or until so many steps are taken."""
        self.until = until
        steps = iter(self)
        while not self.done and (until is None or len(self.history) < until):
            next(steps)
        steps.close()
        return self.history

    def __iter__(self) -> Iterator[Report]:
        """Train on from where the last iteration stopped; stopping between two reports loses nothing."""
        try:
            self._prepare()
            while not self.done:
                yield from self._epoch(len(self.history.epochs) + 1)
        finally:
            self.stepper.write_back(self.state)

    def _prepare(self) -> None:
        """Put the training data on the device and compile; once."""
        if self._on_device is not None:
            return
        started = time.perf_counter()
        images = jax.tree.map(jnp.asarray, (self.data.x_train, self.data.y_train))
        index = np.zeros((MAX_CHUNK, self.config.batch_size), np.int32)
        self._chunk.lower(self.state, *images, index, np.int32(0)).compile()
        self._on_device = images
        self.compile_seconds = time.perf_counter() - started

    def _epoch(self, epoch: int) -> Iterator[Report]:
        batches = self._shuffle(epoch)
        position = len(self.history) - (epoch - 1) * self.steps_per_epoch
        while position < self.steps_per_epoch:
            chunk = batches[position : position + self._length_of_chunk()]
            yield self._train(epoch, chunk)
            position += len(chunk)
        yield from self._evaluate(epoch)

    def _length_of_chunk(self) -> int:
        """Post the moves that are due; then as many steps as the clock likes, but not across the next one."""
        taken = len(self.history)
        while self._planned and self._planned[0][0] <= taken:
            self.set(*self._planned.pop(0)[1:])
        stops = [step for step, *_ in self._planned[:1]] + [self.until or 0]
        return min([self._steps_in_chunk, *(step - taken for step in stops if step > taken)])

    def _shuffle(self, epoch: int) -> np.ndarray:
        """The batches as indices. They depend on seed and epoch alone: an epoch that is resumed goes on as it was."""
        rng = np.random.default_rng([self.config.seed, epoch])
        order = rng.permutation(len(self.data.x_train)).astype(np.int32)
        size = self.config.batch_size
        return order[: self.steps_per_epoch * size].reshape(self.steps_per_epoch, size)

    def _train(self, epoch: int, batches: np.ndarray) -> Report:
        started = time.perf_counter()
        self._apply_mail()
        count, taken = len(batches), len(self.history)
        index = np.zeros((MAX_CHUNK, self.config.batch_size), np.int32)
        index[:count] = batches
        state, log = self._chunk(self.state, *self._on_device, index, np.int32(count))
        log = {name: np.asarray(values)[:count] for name, values in log.items()}
        finite = np.isfinite(log["loss"]) & np.isfinite(log["grad_norm"])
        if not finite.all():
            raise DivergenceError(
                f"the loss or its gradient is not finite at step {taken + int(np.argmin(finite))}; the weights kept "
                f"are those of step {taken}. Go on from there with a lower learning rate."
            )
        self.state = state
        self.history.add_steps({"epoch": np.full(count, epoch), **log})
        seconds = self._clock(started)
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
        result = self._result(epoch, totals)
        self.history.add_epoch(result)
        self._epoch_started = self.seconds
        yield self._report("epoch", epoch, result, result["samples_per_second"])

    def _result(self, epoch: int, test: dict[str, float]) -> dict[str, Any]:
        seconds = self.seconds - self._epoch_started
        last = -self.steps_per_epoch
        train = {name: float(column[last:].mean()) for name, column in self.history.steps().items()}
        others = ("epoch", "loss", "accuracy", "grad_norm", "spikes_per_sample")
        return {
            "epoch": epoch,
            "seconds": seconds,
            "train_loss": train["loss"],
            "train_acc": train["accuracy"],
            "test_loss": test["loss"],
            "test_acc": test["accuracy"],
            "spikes_per_sample": test.get("spikes_per_sample"),
            "grad_norm": train["grad_norm"],
            "samples_per_second": self.steps_per_epoch * self.config.batch_size / seconds,
            "terms": {name: value for name, value in train.items() if name not in others},
        }

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


def _code_key(seed: int) -> PRNGKeyArray:
    """One seed, three streams: weights (by `models.build`), codes (this one), order of the data (`_shuffle`)."""
    return jax.random.fold_in(jax.random.key(seed), 1)
