"""Diagnoses of real networks, healthy and spoiled; and the moves they propose, made."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from snnlab import losses, models
from snnlab.config import TUTORIAL_SNN, LstmConfig, SnnConfig
from snnlab.controls import Knob
from snnlab.data import load
from snnlab.encode import Latency
from snnlab.health import Checkup, Health, LayerHealth, diagnose
from snnlab.health.finding import PATIENCE, WINDOW
from snnlab.history import History
from snnlab.layers import Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.train import Trainer
from snnlab.train.step import Stepper

SNN, LSTM = SnnConfig(hidden=50), LstmConfig(hidden=50)


def at_its_peak():
    """The tutorial's readout, which suffers more from a layer that is unwell than the mean over time does."""
    return losses.Classification("max", l1=1e-4, l2=1e-4)


class Lab:
    """One trainer for many networks of the same structure, so that it is compiled once."""

    def __init__(self, config, data, **settings):
        self.data = data
        settings = {"epochs": 15, "batch_size": 64} | settings
        self.trainer = Trainer(self.build(config), data, **settings)
        self.checkup = Checkup(self.trainer.stepper, data)

    def build(self, config, seed=0):
        return models.build(config, sample_shape=self.data.sample_shape, num_classes=10, seed=seed)

    def begin(self, config, seed=0, learning_rate=1e-2, spoil=lambda net: None):
        """A new network, with the knobs at its values."""
        net = self.build(config, seed)
        spoil(net)
        self.trainer.reset(net, seed=seed)
        self.trainer.set(learning_rate=learning_rate)
        for name in ("v_th", "slope"):
            if hasattr(config, name):
                self.trainer.set({f"hidden.{name}": getattr(config, name)})
        return self

    def diagnose(self):
        return diagnose(self.checkup(self.trainer.state), self.trainer.history, self.trainer.mailbox.knobs)

    def until(self, steps, every=5):
        """Train up to a step, or to the first diagnosis."""
        while (found := self.diagnose()) is None and len(self.trainer.history) < steps:
            self.trainer.fit(len(self.trainer.history) + every)
        return found

    def accuracy_after(self, steps):
        """Train on, whatever the diagnosis."""
        self.trainer.fit(len(self.trainer.history) + steps)
        return self.checkup(self.trainer.state).accuracy

    def obey(self, found):
        """Do what is proposed."""
        if found.knob is not None:
            knob = self.trainer.mailbox.knobs[found.knob]
            assert found.value >= knob.least
            self.trainer.set({found.knob: found.value})
        if found.new_seed:
            self.trainer.reset(self.build(SNN if "hidden.v_th" in self.trainer.mailbox.knobs else LSTM, 1), seed=1)


@pytest.fixture(scope="module")
def snn_lab(digits):
    return Lab(SNN, digits, loss=at_its_peak())


@pytest.fixture(scope="module")
def lstm_lab(digits):
    return Lab(LSTM, digits)


MOVES = [(12, "hidden.v_th", 1.5), (60, "hidden.v_th", 0.5), (90, "hidden.tau_mem", 20.0), (120, "hidden.slope", 5.0)]
MOVES += [(150, "l1", 1e-3), (180, "learning_rate", 2e-2), (210, "readout.tau_mem", 10.0), (240, "hidden.v_th", 1.0)]


@pytest.mark.endure
@pytest.mark.parametrize(
    ("config", "seed", "epochs", "moves"),
    [
        (SnnConfig(), 0, 15, []),
        (SnnConfig(), 1, 15, MOVES),
        (SnnConfig(hidden=20), 2, 15, MOVES),
        (SnnConfig(hidden=300), 2, 3, []),
        (LstmConfig(), 0, 15, []),
        (LstmConfig(hidden=20), 1, 15, [(100, "learning_rate", 2e-2)]),
    ],
)
def test_no_false_alarm(digits, config, seed, epochs, moves):
    """The reference networks, silent at first, are well from the first step to the last, also when knobs are moved."""
    net = models.build(config, sample_shape=(8, 8), num_classes=10, seed=seed)
    trainer = Trainer(net, digits, epochs=epochs, batch_size=64, seed=seed)
    trainer.plan(moves)
    checkup = Checkup(trainer.stepper, digits)
    for step in range(0, trainer.total_steps + 1, 3):
        trainer.fit(step)
        assert diagnose(checkup(trainer.state), trainer.history, trainer.mailbox.knobs) is None, step
    assert checkup(trainer.state).accuracy > 0.8 and len(trainer.history.interventions) == len(moves)


def enlarge(factor):
    def spoil(net):
        kernel = net.stack.layers["hidden"].kernel
        kernel[...] = factor * kernel[...]

    return spoil


SICK = {
    "silent": ("silent", "hidden.v_th", SnnConfig(hidden=50, v_th=3.0, slope=100.0), {"learning_rate": 1e-3}),
    "threshold too low": ("overdriven", "hidden.v_th", SnnConfig(hidden=50, v_th=0.01), {}),
    "weights too large": ("overdriven", "hidden.v_th", SNN, {"spoil": enlarge(25.0)}),
    "vanishing": ("vanishing", "hidden.slope", SnnConfig(hidden=50, slope=1000.0, v_th=0.2), {"learning_rate": 3e-3}),
    "too fast": ("learning rate too high", "learning_rate", SNN, {"learning_rate": 1.0}),
}
LATER = [pytest.param(case, marks=pytest.mark.endure) for case in SICK if case not in ("silent", "too fast")]


@pytest.mark.parametrize("case", ["silent", "too fast", *LATER])
def test_the_proposed_move_helps(snn_lab, case):
    """Recognised within 100 steps; as many steps later the network that was treated is well, and clearly better than
    the one that was not."""
    name, knob, config, spoiled = SICK[case]
    lab = snn_lab.begin(config, **spoiled)
    found = lab.until(100)
    assert (found.name, found.knob) == (name, knob)
    here = lab.trainer.at
    untreated = lab.accuracy_after(100)
    assert lab.diagnose() is not None or name == "vanishing"
    lab.trainer.at = here
    lab.obey(found)
    treated = lab.accuracy_after(100)
    assert lab.diagnose() is None
    assert treated > untreated + (0.03 if name == "vanishing" else 0.25)


def test_an_lstm_that_learns_too_fast(lstm_lab):
    found = lstm_lab.begin(LSTM, learning_rate=1.0).until(100)
    assert (found.name, found.knob, found.new_seed) == ("learning rate too high", "learning_rate", True)
    untreated = lstm_lab.accuracy_after(100)
    lstm_lab.obey(found)
    treated = lstm_lab.accuracy_after(100)
    assert lstm_lab.diagnose() is None and treated > untreated + 0.25


@pytest.mark.endure
def test_a_readout_that_says_nothing(snn_lab):
    """Without weights it has nothing to say, but soon learns it; with a tiny learning rate it does not."""
    busy = replace(SNN, v_th=0.4)

    def mute(net):
        net.stack.layers["readout"].kernel[...] *= 0.0

    assert snn_lab.begin(busy, spoil=mute).until(50) is None
    lab = snn_lab.begin(busy, learning_rate=1e-6, spoil=mute)
    found = lab.until(100)
    assert (found.name, found.knob) == ("dead readout", "learning_rate")
    lab.obey(found)
    lab.trainer.fit(len(lab.trainer.history) + 60)
    assert lab.diagnose() is None


@pytest.mark.endure
def test_the_tutorial_network(digits, shared):
    """At its own learning rate it hardly fires; at ours it is thrown off by the data it was made for."""
    lab = Lab(TUTORIAL_SNN, digits, learning_rate=1e-3, loss=at_its_peak())
    found = lab.until(100)
    assert (found.name, found.knob) == ("silent", "hidden.v_th")
    folder = shared / "data" / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip(f"no Fashion-MNIST in {folder}")
    lab = Lab(TUTORIAL_SNN, load(folder), batch_size=256, epochs=1, loss=at_its_peak())
    assert lab.until(100).name == "learning rate too high"


def first_look(net, digits, loss=None):
    """The diagnosis before any training, and the health."""
    stepper = Stepper(net, loss or losses.Classification(), optax.adam(1e-2), jax.random.key(0))
    health = Checkup(stepper, digits, samples=64)(stepper.start)
    return diagnose(health, History(), {}), health


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_recurrent_weights_too_large(digits, factor):
    rngs = nnx.Rngs(0)
    hidden = Recurrent(64, LifRef(50), synapse=Expon(50), rngs=rngs)
    hidden.recurrent_kernel[...] *= factor
    net = models.Network(Latency(), Stack(hidden=hidden, readout=Projection(50, Leaky(10), rngs=rngs)))
    found, _ = first_look(net, digits)
    assert found is None if factor == 1.0 else (found.name, found.new_seed) == ("exploding", True)


@pytest.mark.parametrize("factor", [1.0, 20.0])
def test_an_lstm_with_weights_too_large(digits, factor):
    net = models.build(LstmConfig(), sample_shape=(8, 8), num_classes=10)
    net.stack.layers["hidden"].w_h[...] *= factor
    found, _ = first_look(net, digits)
    assert found is None if factor == 1.0 else (found.name, found.new_seed) == ("exploding", True)


def test_spikes_that_arrive_after_the_end(digits):
    net = models.build(replace(SNN, v_th=0.4, delay=200), sample_shape=(8, 8), num_classes=10)
    found, health = first_look(net, digits)
    assert health.layers[0].rates.any() and health.layers[1].gradient == 0.0
    assert found.name == "dead readout" and "delay" in found.text and found.knob is None and not found.new_seed


# ---- rules by themselves ----

RATE = Knob(name="learning_rate", value=0.05, low=1e-6, high=0.1)
V_TH = Knob(name="hidden.v_th", value=1.0, low=0.01, high=4.0)
KNOBS = {knob.name: knob for knob in (RATE, V_TH)}
E_10 = np.exp(-np.arange(20.0))


def hidden_layer(**changes):
    found = {"name": "hidden", "rates": np.full(10, 5.0), "max_rate": 1000.0, "in_window": 0.3, "peak_voltage": 1.2}
    found |= {"v_th": 1.0, "v_rest": 0.0, "slope": 10.0, "gradient": 0.5, "gradient_over_time": np.ones(20)}
    return LayerHealth(**found | changes)


def health_of(*layers, **changes):
    readout = LayerHealth(name="readout", gradient=1.0, gradient_over_time=np.ones(20))
    found = {"step": 0, "samples": 256, "loss": 1.0, "accuracy": 0.5, "layers": (*layers, readout)}
    return Health(**found | {"readout_spread": 1.0, "finite": True} | changes)


def silent_layer(**changes):
    return hidden_layer(**{"rates": np.zeros(10), "dead": 10, "in_window": 0.0, "peak_voltage": 0.6} | changes)


def history_of(loss, spikes=None, moves=()):
    history = History()
    history.add_steps({"loss": np.asarray(loss, float), "spikes_per_sample": np.asarray(spikes or 0 * np.array(loss))})
    for step, knob, old, new in moves:
        history.add_intervention(step=step, knob=knob, old=old, new=new)
    return history


CALM = history_of([2.3] * PATIENCE)


def test_a_healthy_one_is_well():
    assert diagnose(health_of(hidden_layer()), CALM, KNOBS) is None
    assert diagnose(health_of(hidden_layer()), History(), {}) is None


@pytest.mark.parametrize(
    ("moves", "found"),
    [
        ([], True),
        ([(20, "hidden.v_th", 1.0, 0.1)], False),  # the loss jumps with the move
        ([(10, "hidden.v_th", 1.0, 0.1)], True),  # long before
        ([(20, "learning_rate", 1e-2, 1.0)], True),  # no excuse
        ([(20, "learning_rate", 1.0, 1e-2)], False),  # treated; give it time
    ],
)
def test_a_rising_loss_and_its_excuses(moves, found):
    history = history_of([2.3] * 20 + [7.0] * 20, moves=moves)
    diagnosis = diagnose(health_of(hidden_layer()), history, KNOBS)
    assert (diagnosis is not None) == found
    if found:
        assert (diagnosis.name, diagnosis.knob) == ("learning rate too high", "learning_rate")
        assert diagnosis.value == 0.005 and diagnosis.new_seed  # a tenth of 0.05


@pytest.mark.parametrize(
    "loss", [[2.3] * 20 + [2.3 + 7.0] + [2.3] * 20, [2.3] * 5 + [9.0] * 20 + [1.0] * 20, [0.02] * 20 + [0.4] * 9]
)
def test_no_alarm_for_one_bad_batch_nor_a_loss_that_came_down(loss):
    assert diagnose(health_of(hidden_layer()), history_of(loss), KNOBS) is None


def test_silence_needs_patience_unless_nothing_can_be_learned():
    early, late = history_of([2.3] * (PATIENCE - 1)), CALM
    assert diagnose(health_of(silent_layer()), early, KNOBS) is None
    found = diagnose(health_of(silent_layer(), step=PATIENCE), late, KNOBS)
    assert (found.name, found.knob, found.value) == ("silent", "hidden.v_th", 0.6)
    assert "10 of 10 neurons never fired on 256 samples" in found.text
    unreached = LayerHealth(name="readout", gradient=0.0)
    hopeless = health_of(layers=(silent_layer(peak_voltage=0.3, gradient=0.0), unreached))
    assert diagnose(hopeless, History(), KNOBS).value == 0.3
    moved = history_of([2.3] * 2 * PATIENCE, moves=[(PATIENCE + 1, "hidden.v_th", 2.0, 1.0)])
    assert diagnose(health_of(silent_layer()), moved, KNOBS) is None
    waking = history_of([2.3] * 2 * PATIENCE, [0.1] * (2 * PATIENCE - WINDOW) + [0.3] * WINDOW)
    assert diagnose(health_of(silent_layer()), waking, KNOBS) is None
    some = silent_layer(dead=4, rates=np.ones(10))
    assert diagnose(health_of(some), late, KNOBS) is None


def test_a_layer_that_never_fires_is_silent_wherever_its_voltages_are():
    """Near the threshold, too; the sentence names the share that the panel shows."""
    found = diagnose(health_of(silent_layer(in_window=1.0)), CALM, KNOBS)
    assert found.name == "silent" and "though 100% of the pairs (neuron, sample)" in found.text
    almost = silent_layer(rates=np.eye(10)[0], dead=9, in_window=1.0)
    assert diagnose(health_of(almost), CALM, KNOBS) is None


def test_the_first_silent_layer_is_to_blame():
    found = diagnose(health_of(silent_layer(), silent_layer(name="two")), CALM, KNOBS)
    assert found.knob == "hidden.v_th"


def test_where_nothing_drives_the_neurons_no_threshold_helps():
    found = diagnose(health_of(silent_layer(peak_voltage=0.0)), CALM, KNOBS)
    assert found.name == "silent" and found.new_seed and found.knob is None


def test_proposed_thresholds():
    """Where a few neurons fire, or a third of what drives them too hard: also beyond the slider, which follows, and as
    exact as the distance from rest asks for, in any unit."""
    for peak in (12.0, 300.0):
        found = diagnose(health_of(hidden_layer(peak_voltage=peak)), CALM, KNOBS)
        assert (found.name, found.knob, found.value) == ("overdriven", "hidden.v_th", peak / 3.0)
    found = diagnose(health_of(silent_layer(peak_voltage=1e-5)), CALM, KNOBS)
    assert (found.name, found.knob, found.value) == ("silent", "hidden.v_th", 1e-5)
    millivolts = {"v_th": -50.0, "v_rest": -65.0, "peak_voltage": -64.617}
    knobs = {"hidden.v_th": Knob(name="hidden.v_th", value=-50.0, low=-64.85, high=-5.0, least=-65.0)}
    found = diagnose(health_of(silent_layer(**millivolts)), CALM, knobs)
    assert found.value == -64.62 and "from -50 to about -64.62" in found.text


def test_a_threshold_below_the_reset_is_not_proposed():
    found = diagnose(
        health_of(silent_layer(v_rest=-20.0, peak_voltage=-19.0)), CALM, {V_TH.name: replace(V_TH, least=0)}
    )
    assert found.name == "silent" and found.knob is None and not found.new_seed and "raise hidden.v_rest" in found.text


def test_what_is_called_saturated_is_what_is_counted_as_saturated():
    busy = hidden_layer(rates=np.full(10, 600.0), saturated=6, peak_voltage=9.0)
    found = diagnose(health_of(busy), CALM, KNOBS)
    assert (found.name, found.value) == ("saturated", 3.0) and "6 of 10 neurons" in found.text
    driven = diagnose(health_of(hidden_layer(saturated=0, peak_voltage=12.0)), CALM, KNOBS)
    assert driven.name == "overdriven" and "saturated" not in driven.text
    assert diagnose(health_of(busy), history_of([2.3] * (PATIENCE - 1)), KNOBS) is None  # it may learn to fire less


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (silent_layer(), "lower hidden.v_th from 1 to about 0.6"),
        (silent_layer(in_window=None, peak_voltage=None, v_th=None), "lower their threshold"),
        (hidden_layer(peak_voltage=12.0), "raise hidden.v_th from 1 to about 4"),
        (hidden_layer(slope=1000.0, gradient=0.01), "lower hidden.slope from 1e+03 to about 10"),
        (hidden_layer(slope=5.0, gradient=0.01), "raise the weights of readout"),
    ],
)
def test_without_a_knob_the_text_still_helps(layer, word):
    found = diagnose(health_of(layer), CALM, {})
    assert word in found.text and found.knob is None and found.value is None
    found = diagnose(health_of(hidden_layer()), history_of([2.3] * 20 + [9.0] * 20), {})
    assert "lower the learning rate to a tenth" in found.text and found.knob is None


def test_a_gradient_that_grows_on_its_way_back():
    """Across layers: 400 times that of the next. Through the steps of a layer without spikes: from where the error
    enters."""
    found = diagnose(health_of(hidden_layer(gradient_over_time=np.full(20, 400.0))), CALM, KNOBS)
    assert found.name == "exploding" and found.new_seed and "4.0e+02 times that of readout" in found.text
    lstm = {"rates": None, "peak_voltage": None, "in_window": None, "slope": None}
    growing = hidden_layer(**lstm, gradient_over_time=100.0 * E_10)
    assert diagnose(health_of(growing), CALM, KNOBS).name == "exploding"
    early = LayerHealth(name="readout", gradient=1.0, gradient_over_time=np.eye(20)[2])  # nothing enters after step 2
    assert diagnose(health_of(growing, layers=(growing, early)), CALM, KNOBS) is None
    assert diagnose(health_of(hidden_layer(gradient_over_time=100.0 * E_10)), CALM, KNOBS) is None  # it spikes
    assert diagnose(health_of(hidden_layer(), finite=False), CALM, KNOBS).name == "exploding"


def test_a_layer_without_parameters_is_not_called_vanishing():
    assert diagnose(health_of(hidden_layer(gradient=0.0)), CALM, KNOBS) is None
    gone = hidden_layer(gradient=0.0, gradient_over_time=np.zeros(20), slope=100.0)  # a surrogate of finite width
    assert diagnose(health_of(gone), CALM, KNOBS).name == "vanishing"


def test_a_readout_stuck_at_the_start_wants_new_weights():
    """All its weights pull down, so every trace is highest before the first spike arrives."""
    stuck = LayerHealth(name="readout", gradient=0.0, gradient_over_time=np.eye(20)[0])
    found = diagnose(health_of(layers=(hidden_layer(), stuck), readout_spread=0.0), CALM, KNOBS)
    assert found.name == "dead readout" and found.new_seed
    assert diagnose(health_of(layers=(silent_layer(), stuck), readout_spread=0.0), CALM, KNOBS).name == "silent"
