"""Ctrl-C at any moment: the model is that of the last finished chunk, the history tells the same steps, and the run
goes on to the bits that it would have ended with."""

import gc
import importlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from optax.tree_utils import tree_get

import snnlab
from snnlab import losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.health import Checkup
from snnlab.support.interrupt import uninterrupted
from snnlab.train import Trainer

WATCHED = {str(path) for path in (Path(snnlab.__file__).parent / "train").glob("*.py")}
WATCHED |= {str(Path(snnlab.__file__).parent / "history" / "report.py")}
MOVES = [(0, "l1", 1e-4), (2, "learning_rate", 3e-3), (3, "learning_rate", 2e-3)]


def make(data) -> Trainer:
    net = models.build(LstmConfig(hidden=4), sample_shape=(8, 8), num_classes=10)
    loss = losses.Classification()
    return Trainer(net, data, loss=loss, epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def trainer(digits):
    """Two epochs of three steps, ready to run."""
    trainer = make(digits.subset(train=96, test=40))
    trainer.fit()
    return trainer


def again(trainer: Trainer) -> None:
    """Back to step 0, with moves planned; chunks of two steps."""
    start = trainer.moved_knobs()
    trainer.reset()
    trainer.stepper.write_back(trainer.state)  # what is checked later is that the next run does so
    trainer.mailbox.drain()  # what `reset` posts for the knobs that were moved
    assert set(start) <= {"learning_rate"}
    trainer.plan([(step, name, value) for step, name, value in MOVES if name in trainer.mailbox.knobs])
    trainer._steps_in_chunk = 2


def outcome(trainer: Trainer) -> tuple:
    history = trainer.history
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in history.epochs]
    weights = tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trainer.state.params))
    return weights, history.steps()["loss"].tolist(), timeless, history.interventions


def check(trainer: Trainer) -> None:
    """What must hold whenever it is not running."""
    state, history = trainer.state, trainer.history
    assert int(state.step) == len(history) and len(history.epochs) <= len(history) // trainer.steps_per_epoch
    in_model = jax.tree.leaves(nnx.state(trainer.model, nnx.Param))
    in_state = jax.tree.leaves(nnx.to_pure_dict(state.params)["model"])
    assert len(in_model) == len(in_state) and all(map(np.array_equal, in_model, in_state))
    rates = [row["new"] for row in history.interventions if row["knob"] == "learning_rate"]
    now, first = (float(tree_get(at.opt_state, "learning_rate")) for at in (state, trainer.origin))
    assert now == pytest.approx(rates[-1] if rates else first)


class Interrupter:
    """A real SIGINT at the n-th line of the engine that is run."""

    def __init__(self, line: int):
        self.left, self.where = line, None

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _call(self, frame, event, arg):
        return self._line if frame.f_code.co_filename in WATCHED else None

    def _line(self, frame, event, arg):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                signal.raise_signal(signal.SIGINT)
        return self._line


@pytest.mark.parametrize(
    ("how", "every"),
    [
        ("fit", 53),
        pytest.param("for", 17, marks=pytest.mark.endure),
        *(pytest.param(how, 1, marks=pytest.mark.nightly) for how in ("fit", "for")),
    ],
)
def test_at_every_line_of_the_engine(trainer, how, every):
    """An interrupt in each line in turn, or each n-th, those that hold it back included; then on to the same end."""
    again(trainer)
    trainer.fit()
    expected, line, lines = outcome(trainer), 0, set()
    while True:
        line += every
        again(trainer)
        interrupter = Interrupter(line)
        try:
            with interrupter:
                if how == "fit":
                    trainer.fit()
                else:
                    for _ in trainer:
                        pass
        except KeyboardInterrupt:
            pass
        else:
            assert interrupter.where is None, f"the interrupt at {interrupter.where} was lost"
        try:
            check(trainer)
        except AssertionError as error:
            raise AssertionError(f"interrupted at {interrupter.where}") from error
        lines.add(interrupter.where)
        trainer.fit()
        check(trainer)
        if outcome(trainer) != expected:
            raise AssertionError(f"another end after an interrupt at {interrupter.where}")
        if interrupter.where is None:
            break
    assert line > 150 and len(lines) > 60 / every


def test_what_is_held_back_comes_right_after():
    """And the handler that was there is there again, whatever happens in the block."""
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), uninterrupted(), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    with pytest.raises(ZeroDivisionError), uninterrupted():
        done.append(1 // 0)
    assert done == [1] and signal.getsignal(signal.SIGINT) is before


def test_one_that_python_would_lose(trainer, monkeypatch):
    """Python ignores what is raised in a callback of its garbage collector, and JAX has such a callback."""
    again(trainer)
    run = trainer.runner

    def interrupt(phase, info):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGINT)

    def run_and_collect(*chunk):
        if len(trainer.history) == 2:
            gc.callbacks.append(interrupt)
            gc.collect()
        return run(*chunk)

    run_and_collect.prepare, run_and_collect.batches, run_and_collect.feed = run.prepare, run.batches, run.feed
    monkeypatch.setattr(trainer, "runner", run_and_collect)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert len(trainer.history) == 3  # the chunk that it came in, to the end of the epoch
    check(trainer)


@pytest.mark.parametrize("what", ["models.keep_programs", "train.trainer.check_fit", "health.checkup.keep_programs"])
def test_one_that_python_loses_comes_at_the_end(trainer, digits, monkeypatch, capsys, what):
    """While a network, a trainer or a checkup is made: it comes in a callback of the garbage collector."""
    module, name = f"snnlab.{what}".rsplit(".", 1)
    own = getattr(importlib.import_module(module), name)

    def interrupt(phase, info):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGINT)

    def collect(*arguments):
        gc.callbacks.append(interrupt)
        gc.collect()
        return own(*arguments)

    monkeypatch.setattr(f"{module}.{name}", collect)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make(digits)
        Checkup(trainer.stepper, digits)(trainer.state)
    assert signal.getsignal(signal.SIGINT) is before and capsys.readouterr().err == ""


CHILD = """
import signal
import numpy as np, jax
from flax import nnx
from snnlab import data, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.live import LiveTrainer
from snnlab.train import Trainer

signal.alarm(200)  # ends what hangs
digits = data.load("digits").subset(train=1024, test=256)
def make(kind):
    net = models.build({config}, sample_shape=(8, 8), num_classes=10)
    return kind(net, digits, epochs=100_000, batch_size=32)  # on any machine it lasts until all have come
def weights(trainer):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trainer.state.params)]

how = {how!r}
owner = make(LiveTrainer if how == "live" else Trainer)
trainer = owner.trainer if how == "live" else owner
moves = [(5, "learning_rate", 8e-3), (40, "learning_rate", 3e-3), (41, "learning_rate", 2e-3)]
trainer.plan(moves)
caught = 0
while caught < 20 or len(trainer.history) < 100:
    try:
        print("go", flush=True)
        if how == "for":
            for report in trainer:
                pass
        else:
            owner.fit()
        raise SystemExit("it came to its end")
    except KeyboardInterrupt:
        caught += 1
        if how == "live":
            owner.wait(60)
        assert int(trainer.state.step) == len(trainer.history), "steps"
        model = jax.tree.leaves(nnx.state(trainer.model, nnx.Param))
        assert all(map(np.array_equal, model, weights(trainer))), "model"
steps = len(trainer.history)
whole = make(Trainer)
whole.plan(moves)
whole.fit(until=steps)
assert all(map(np.array_equal, weights(whole), weights(trainer))), "another end"
assert whole.history.interventions == trainer.history.interventions, "other moves"
losses = (one.history.steps()["loss"] for one in (whole, trainer))
assert np.array_equal(*losses), "another history"
"""


@pytest.mark.endure
@pytest.mark.parametrize(
    ("how", "config"),
    [
        ("live", LstmConfig(hidden=16)),
        ("for", LstmConfig(hidden=16)),
        ("fit", SnnConfig(hidden=16, num_steps=20)),
    ],
)
def test_at_random_moments(how, config, tmp_path):
    """Real signals to a real process, from the first moment of compiling on, one each time that the run goes on."""
    path = tmp_path / "child.py"
    path.write_text(CHILD.format(how=how, config=config), encoding="utf-8")
    draw = random.Random(how)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    sent = 0
    with subprocess.Popen([sys.executable, path.name], cwd=tmp_path, **options) as process:
        while process.stdout.readline() == "go\n":
            time.sleep(draw.choice((0.001, 0.01, 0.1)) * draw.random())
            process.send_signal(signal.SIGINT)
            sent += 1
        errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert sent >= 20
