"""Many small networks, spoiled at random: the sick ones always have a sentence, those that learn well never.

What is sick is decided without the diagnosis: the accuracy in the test at the end of a short training.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax import nnx

from snnlab import losses, models
from snnlab.data import Dataset, load
from snnlab.encode import Latency, Rows
from snnlab.errors import DivergenceError
from snnlab.health import Checkup, Diagnosis, Health, diagnose, diverged
from snnlab.history import History
from snnlab.layers import LSTM, Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.live.frames.scenes import health_frame
from snnlab.train import Trainer
from snnlab.train.point import Point

HIDDEN, STEPS, TESTED, CLASSES = 16, 30, 128, 10
BY_CHANCE = 1.0 / CLASSES
AT_CHANCE = BY_CHANCE + 2.0 * np.sqrt(BY_CHANCE * (1.0 - BY_CHANCE) / TESTED)  # two standard deviations: 0.153
WELL = 0.75  # unspoiled, they come to 0.7 to 0.9

READOUTS = {"plain": "mean", "peak": "max", "last": "last", "deep": "mean", "recurrent": "mean", "lstm": "max"}

SOUND = {"tau_mem": 10.0, "tau_ref": 0.0, "v_th": 0.3, "v_rest": 0.0, "v_reset": 0.0, "slope": 10.0}
SOUND |= {"tau_syn": 10.0, "tau_out": 5.0, "learning_rate": 1e-2, "l1": 1e-4}
SOUND |= {"weights": 1.0, "shift": 0.0, "readout_weights": 1.0, "brightness": 1.0}

# Powers of ten between which a spoiled value is drawn; voltages are negative.
SPOILED = {"tau_mem": (-1, 9), "tau_syn": (-1, 8), "tau_out": (-1, 8), "tau_ref": (0, 4), "v_th": (-7, 5)}
SPOILED |= {"v_rest": (-1, 2), "v_reset": (-1, 2), "slope": (-3, 6), "learning_rate": (-9, 1.5), "l1": (-2, 3)}
SPOILED |= {"weights": (-6, 4), "shift": (-1, 1), "readout_weights": (-8, 4)}
ANYWHERE = ("learning_rate", "weights", "shift", "readout_weights", "brightness")  # not only where neurons spike
UNITS = [(1.0, 0.0), (15.0, -65.0), (1e-3, 0.0), (1e3, -7e4)]  # of voltages, and their zero
DARK = (0.2, 0.02, 0.004)  # of the brightness


def layers_of(kind: str) -> Stack:
    rngs = nnx.Rngs(params=0)
    if kind == "lstm":
        return Stack(hidden=LSTM(8, HIDDEN, rngs=rngs), readout=nnx.Linear(HIDDEN, CLASSES, rngs=rngs))
    first = Recurrent if kind == "recurrent" else Projection
    layers: dict[str, Any] = {"hidden": first(64, LifRef(HIDDEN), synapse=Expon(HIDDEN), rngs=rngs)}
    if kind == "deep":
        layers["second"] = Projection(HIDDEN, LifRef(HIDDEN), synapse=Expon(HIDDEN), rngs=rngs)
    layers["readout"] = Projection(HIDDEN, Leaky(CLASSES), synapse=Expon(CLASSES), rngs=rngs)
    return Stack(**layers)


class Case(NamedTuple):
    """A network to be."""

    kind: str
    values: dict[str, float]
    unit: float
    zero: float

    def voltage(self, name: str) -> float:
        return self.zero + self.unit * self.values[name]


def draw(rng: np.random.Generator, kinds: Sequence[str]) -> Case:
    """One or two values are spoiled; some networks have other units."""
    kind = str(rng.choice(kinds))
    names = [name for name in (*SPOILED, "brightness") if kind != "lstm" or name in ANYWHERE]
    values = dict(SOUND)
    for name in rng.choice(names, size=rng.integers(1, 3), replace=False):
        size = float(10.0 ** rng.uniform(*SPOILED.get(name, (0, 0))))
        sign = {"v_rest": -1.0, "v_reset": -1.0, "shift": float(rng.choice([-1.0, 1.0]))}.get(name, 1.0)
        values[name] = float(rng.choice(DARK)) if name == "brightness" else sign * size
    unit, zero = UNITS[0 if kind == "lstm" or rng.random() < 0.7 else rng.integers(1, len(UNITS))]
    return Case(kind, values, unit, zero)


def build(case: Case, rng: np.random.Generator) -> models.Network:
    """Set every value in a network of the kind, whose weights are drawn anew."""
    stack, values = layers_of(case.kind), case.values
    *hidden, readout = stack.layers.values()
    readout.kernel[...] *= values["readout_weights"]
    for layer in hidden:
        for name in ("kernel", "recurrent_kernel", "w_x", "w_h"):
            if hasattr(layer, name):
                weights = getattr(layer, name)
                drawn = rng.permuted(np.asarray(weights[...]))
                weights[...] = case.unit * values["weights"] * (drawn + values["shift"] * drawn.std())
    if case.kind != "lstm":
        readout.neuron.tau_mem[...] = values["tau_out"]
        for layer in (*hidden, readout):
            layer.synapse.tau_syn[...] = values["tau_syn"]
        for layer in hidden:
            for name in ("tau_mem", "tau_ref", "slope"):
                getattr(layer.neuron, name)[...] = values[name]
            for name in ("v_th", "v_rest", "v_reset"):
                getattr(layer.neuron, name)[...] = case.voltage(name)
    return models.Network(Rows() if case.kind == "lstm" else Latency(num_steps=STEPS), stack)


class Ward:
    """Trainers for all the networks: one for each structure and brightness, so that few programs are compiled."""

    def __init__(self):
        self.data = load("digits").subset(train=1120, test=TESTED)
        self.beds: dict[tuple[str, float], tuple[Trainer, Checkup]] = {}

    def bed(self, kind: str, brightness: float) -> tuple[Trainer, Checkup]:
        if (kind, brightness) not in self.beds:
            data = self.data
            if brightness != 1.0:
                x_train, x_test = ((x * brightness).astype(x.dtype) for x in (data.x_train, data.x_test))
                data = Dataset(name="dark", x_train=x_train, y_train=data.y_train, x_test=x_test, y_test=data.y_test)
            l1 = {} if kind == "lstm" else {"l1": SOUND["l1"]}
            loss = losses.Classification(READOUTS[kind], **l1)
            net = build(Case(kind, SOUND, 1.0, 0.0), np.random.default_rng(0))
            trainer = Trainer(net, data, loss=loss, epochs=3, batch_size=32, schedule="constant")
            self.beds[kind, brightness] = trainer, Checkup(trainer.stepper, data)
        return self.beds[kind, brightness]

    def examine(self, case: Case, rng: np.random.Generator) -> "Examined":
        """Make a diagnosis of a network before and after its training."""
        trainer, checkup = self.bed(case.kind, case.values["brightness"])
        state = trainer.stepper.first_state(build(case, rng), trainer.origin.key)
        trainer.at = Point(state=state, origin=state, history=History())
        moved = {name: case.values[name] for name in ("learning_rate", "l1") if name in trainer.mailbox.knobs}
        trainer.set(moved)
        first = diagnose(checkup(trainer.state), trainer.history, trainer.mailbox.knobs)
        try:
            trainer.fit()
        except DivergenceError as error:
            return Examined(0.0, True, first, diverged(error), None)
        health = checkup(trainer.state)
        pairs = zip(jax.tree.leaves(state.params), jax.tree.leaves(trainer.state.params), strict=True)
        moves = any(not np.array_equal(before, after) for before, after in pairs)
        last = diagnose(health, trainer.history, trainer.mailbox.knobs)
        return Examined(trainer.history.epochs[-1]["test_acc"], moves, first, last, health)


class Examined(NamedTuple):
    """The accuracy in the test, whether a weight was changed by training, two diagnoses, and the last health."""

    accuracy: float
    moves: bool
    first: Diagnosis | None
    last: Diagnosis | None
    health: Health | None


NUMBERS = {  # in the sentence, and where the panel shows the same
    "silent": (rf"(\d+) of {HIDDEN} neurons never fired", r"(\d+) dead"),
    "saturated": (rf"(\d+) of {HIDDEN} neurons fire", r"(\d+) saturated"),
    "overdriven": (r"driven neurons to (.+) times", r"driven to (.+?) thresholds"),
}


def agrees(found: Diagnosis, health: Health) -> bool:
    """Whether the panel shows the number of the sentence."""
    if found.name not in NUMBERS:
        return True
    [words] = [layer["words"] for layer in health_frame(health)["layers"] if found.text.startswith(f"{layer['name']} ")]
    said, shown = (re.search(p, t) for p, t in zip(NUMBERS[found.name], (found.text, ", ".join(words)), strict=True))
    return said is not None and shown is not None and said[1] == shown[1]


@pytest.mark.parametrize(
    ("count", "kinds"),
    [
        (6, ["plain"]),
        pytest.param(20, list(READOUTS), marks=pytest.mark.endure),
        pytest.param(300, list(READOUTS), marks=pytest.mark.nightly),
    ],
)
@pytest.mark.filterwarnings("ignore:.*cannot express these samples")
def test_the_sick_have_a_sentence_and_the_healthy_have_none(count, kinds):
    """As many sick networks as wanted, and those that learn well among the others."""
    ward, rng = Ward(), np.random.default_rng(0)
    sick = well = 0
    while sick < count or well < min(count, 100):
        case = draw(rng, kinds)
        found = ward.examine(case, rng)
        assert found.last is None or found.health is None or agrees(found.last, found.health), (case, found)
        if found.accuracy <= AT_CHANCE:
            assert found.last is not None, (case, found)
            assert found.moves or found.first is not None or case.values["learning_rate"] < 1e-6, (case, found)
            sick += 1
        elif found.accuracy >= WELL:
            assert found.last is None, (case, found)
            well += 1
