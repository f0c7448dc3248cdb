"""Everything on the screen has a sentence, and every sentence is of something on the screen."""

import ast
import json
import re
from pathlib import Path

import jax.numpy as jnp
import pytest
from networks import make_trainer

import snnlab
from snnlab import encode
from snnlab.controls import LEARNING_RATE
from snnlab.history import History, Report
from snnlab.live.frames import explained
from snnlab.live.frames.explained import (
    CODE_KNOBS,
    FACT,
    FACTS,
    KNOB,
    KNOBS,
    OWN,
    RESTARTS,
    TERM,
    TERMS,
    explained_frame,
    key_of,
)
from snnlab.live.frames.running import Said, run_frame
from snnlab.live.frames.status import Recorded, Status, View
from snnlab.live.run import OF_THE_MODEL, OF_THE_TRAINING
from snnlab.live.states import RunState, Transport
from snnlab.live.widgets import bundle
from snnlab.losses import Classification, Regression, SeveralLabels, SpikeTrains
from snnlab.record import Record, Trace

PACKAGE = Path(snnlab.__file__).parent
MAKERS = ("setting", "time_constant", "_knob")  # functions whose first argument is the name of a knob
TRAVELLING = (KNOB, TERM, FACT, explained.RESTART)  # what the scripts do not name


def names_of_knobs() -> set[str]:
    """The names that the package gives to settings of neurons, synapses, layers and losses."""
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS and node.args
    ]
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_knob_of_the_package():
    known = {name for name in KNOBS if name != OWN}
    assert names_of_knobs() | {LEARNING_RATE} == known


def test_every_knob_of_the_encoders():
    encoders = (getattr(encode, name) for name in encode.__all__)
    known = {f"code.{name}" for encoder in encoders for name in getattr(encoder, "KNOBS", {})}
    assert known == set(CODE_KNOBS) and len(known) == 4


def test_every_knob_of_a_run(small):
    trainer = make_trainer(small, loss=Classification("mean", l1=0.0, l2=0.0, min_rate=1.0, max_rate=90.0))
    keys = {key_of(KNOB, name) for name in trainer.mailbox.knobs}
    assert len(keys) > 8 and KNOB + OWN not in keys


def test_every_term_of_the_loss():
    spikes = jnp.ones((4, 2, 3))
    record = Record(readout=jnp.zeros((4, 2, 5)), layers={"hidden": Trace(state=spikes, spikes=spikes)})
    loss = Classification(l1=1.0, l2=1.0, min_rate=1.0, max_rate=2.0, dt=1.0)
    found = {*loss(record, jnp.array([0, 1]))}
    for other, target in ((SeveralLabels(), jnp.ones((2, 5))), (Regression(), jnp.ones((2, 5)))):
        found |= {*other(record, target)}
    found |= {*SpikeTrains(dt=1.0)(record._replace(readout=spikes), jnp.zeros((2, 4, 3)))}
    assert found == set(TERMS) - {OWN}
    assert key_of(TERM, "my own") == TERM + OWN


def test_every_fact_of_the_head():
    history = History()
    history.add_steps({"loss": [1.0]})
    history.add_epoch({"epoch": 1, "test_acc": 0.9})
    report = Report(phase="train", step=1, total_steps=4, epoch=1, metrics={}, samples_per_second=9.0, eta=1.0)
    status = Status(
        state=RunState.TRAINING,
        transport=Transport.PAUSE,
        recorded=Recorded(history, 1),
        earlier=(),
        epochs=4,
        total_steps=4,
        compilations=1,
        knobs={},
        pace=None,
        report=report,
        traceback=None,
        problem=None,
    )
    frame = run_frame(View(status), Said(""), {})
    assert frame["fact_keys"] == [FACT + name for name in FACTS]
    words = dict(zip(FACTS, frame["facts"], strict=True))
    assert words["state"] == "training" and words["step"] == "step 1 of 4" and words["time left"] == "1 s left"


def test_every_setting_of_a_restart():
    assert set(RESTARTS) == {*OF_THE_MODEL, *OF_THE_TRAINING}


def test_scripts_and_table_agree():
    """Every key that a script names is in the table, and every key in the table is named by a script."""
    keys = {key for key in explained.EXPLAINED if not key.startswith(TRAVELLING)}
    parts = "|".join(sorted({key.partition(".")[0] for key in keys}))
    source = "".join(bundle.modules().values())
    named = set(re.findall(rf'"((?:{parts})\.[^"]+)"', source))
    assert named - keys == set() and keys - named == set()


@pytest.mark.parametrize("key", explained.EXPLAINED)
def test_it_is_a_sentence(key):
    sentence, equation = explained.EXPLAINED[key]
    assert re.fullmatch(r"[A-Z][^.?!]*(\.history[^.?!]*)?\.", sentence) and len(sentence) <= 120
    assert equation == equation.strip() and len(equation) <= 120 and not equation.endswith(".")


def test_it_is_small():
    frame = explained_frame([*(KNOB + name for name in KNOBS), *CODE_KNOBS], TERMS)
    assert set(frame) == set(explained.EXPLAINED)
    assert len(json.dumps(frame).encode()) < 20_000
