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
from snnlab.health.finding import DEVIATIONS, PATIENCE, WINDOW, chance
from snnlab.history import History
from snnlab.layers import Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.tasks import task_of
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
        if isinstance(config, SnnConfig):
            values = {f"hidden.{name}": getattr(config, name) for name in ("v_th", "slope", "tau_mem")}
            self.trainer.set(values | {"readout.tau_mem": config.tau_out, "l1": 1e-4})
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
def late_lab(digits):
    """It decides at the last step."""
    return Lab(SNN, digits, loss=losses.Classification("last", l1=1e-4))


@pytest.fixture(scope="module")
def lstm_lab(digits):
    return Lab(LSTM, digits)


MOVES = [(12, "hidden.v_th", 1.5), (60, "hidden.v_th", 0.5), (90, "hidden.tau_mem", 20.0), (120, "hidden.slope", 5.0)]
MOVES += [(150, "l1", 1e-3), (180, "learning_rate", 2e-2), (210, "readout.tau_mem", 10.0), (240, "hidden.v_th", 1.0)]


@pytest.mark.parametrize(
    ("config", "seed", "epochs", "moves"),
    [
        pytest.param(SnnConfig(), 1, 15, MOVES, marks=pytest.mark.endure),
        pytest.param(SnnConfig(hidden=300), 2, 3, [], marks=pytest.mark.endure),
        pytest.param(LstmConfig(hidden=20), 1, 15, [(100, "learning_rate", 2e-2)], marks=pytest.mark.endure),
        pytest.param(SnnConfig(), 0, 15, [], marks=pytest.mark.nightly),
        pytest.param(SnnConfig(hidden=20), 2, 15, MOVES, marks=pytest.mark.nightly),
        pytest.param(LstmConfig(), 0, 15, [], marks=pytest.mark.nightly),
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


def test_a_membrane_far_too_slow_though_its_threshold_is_near(snn_lab):
    """All voltages are in the window of the surrogate, as the panel shows, and none of them moves."""
    lab = snn_lab.begin(SNN)
    lab.trainer.set({"hidden.v_th": 0.01, "hidden.tau_mem": 1e7, "hidden.slope": 0.5})
    found = lab.until(200)
    health = lab.checkup(lab.trainer.state)
    assert health.layers[0].in_window == 1.0 and not health.layers[0].rates.any()
    assert (found.name, found.knob) == ("silent", "hidden.tau_mem") and "though 100% of the pairs" in found.text
    here = lab.trainer.at
    untreated = lab.accuracy_after(100)
    assert lab.diagnose() is not None
    lab.trainer.at = here
    lab.obey(found)
    assert lab.accuracy_after(100) > untreated + 0.25
    assert lab.diagnose() is None


FAULTS = {
    "a price on spikes": ("regularized", "l1", {"l1": 10.0}),
    "a tiny learning rate": ("at chance", "learning_rate", {"learning_rate": 1e-7}),
}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.endure) for case in FAULTS])
def test_a_knob_at_the_wrong_place(snn_lab, case):
    """The knob is found, and where it is put the network learns."""
    name, knob, moved = FAULTS[case]
    lab = snn_lab.begin(replace(SNN, v_th=0.4))
    lab.trainer.set(moved)
    found = lab.until(200)
    assert (found.name, found.knob) == (name, knob)
    untreated = lab.accuracy_after(100)
    lab.obey(found)
    assert lab.accuracy_after(200) > untreated + 0.25
    assert lab.diagnose() is None


def test_a_readout_that_ignores_time(late_lab):
    """At the last step it has forgotten the spikes, which came early; with the proposed time constant it has not."""
    lab = late_lab.begin(replace(SNN, v_th=0.4))
    found = lab.until(200)
    assert (found.name, found.knob, found.value) == ("forgetful readout", "readout.tau_mem", 50.0)
    here = lab.trainer.at
    untreated = lab.accuracy_after(100)
    assert lab.diagnose().name == "forgetful readout"
    lab.trainer.at = here
    lab.obey(found)
    assert lab.accuracy_after(100) > untreated + 0.2
    assert lab.diagnose() is None


@pytest.mark.endure
def test_a_class_that_is_never_predicted(snn_lab):
    """Its score is at its best, 0, before a spike arrives, so that no gradient comes to its weights."""

    def deny(net):
        kernel = net.stack.layers["readout"].kernel
        kernel[...] = kernel[...].at[:, 3].set(-1.0)

    lab = snn_lab.begin(replace(SNN, v_th=0.4), spoil=deny)
    found = lab.until(300)
    assert (found.name, found.new_seed) == ("missing class", True) and "class '3' is never predicted" in found.text
    health = lab.checkup(lab.trainer.state)
    assert health.predicted[3] == 0 and f"{health.present[3]} of {health.samples} samples" in found.text
    lab.obey(found)
    assert lab.accuracy_after(300) > health.accuracy and lab.checkup(lab.trainer.state).predicted[3] > 0
    assert lab.diagnose() is None


@pytest.mark.endure
def test_too_few_samples_are_learned_by_heart(digits):
    """64 of them: the test loss rises and rises; the numbers are those of the history."""
    lab = Lab(SNN, digits.subset(train=64, test=256), batch_size=32, epochs=150)
    found = lab.begin(replace(SNN, v_th=0.4)).until(300, every=20)
    assert found.name == "overfitting" and found.knob is None and not found.new_seed
    results = lab.trainer.history.results()
    best = int(results["test_loss"].argmin())
    for number in (f"{results['train_acc'][-1]:.3f}", f"{results['test_acc'][-1]:.3f}", f"epoch {best + 1} "):
        assert number in found.text
    assert results["test_loss"][-1] > 1.2 * results["test_loss"][best]


def test_silence_without_a_gradient_is_said_at_once(digits):
    """A surrogate of finite width, out of reach: no training would change that; the threshold proposed does."""
    far = replace(SNN, surrogate="triangular", v_th=5.0)
    net = models.build(far, sample_shape=(8, 8), num_classes=10)
    found, health = first_look(net, digits)
    assert all(layer.gradient == 0.0 for layer in health.layers)
    assert found.name == "silent" and f"to about {found_threshold(health):.6g}" in found.text
    near = models.build(replace(far, v_th=found_threshold(health)), sample_shape=(8, 8), num_classes=10)
    assert first_look(near, digits)[0] is None


def found_threshold(health):
    return float(f"{health.layers[0].peak_voltage:.2g}")


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
    stepper = Stepper(net, loss or losses.Classification(), task_of(digits), optax.adam(1e-2), jax.random.key(0))
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

CLASSES = np.array([60, 60, 60, 76])  # samples of four classes


def told(predicted, right, **changes):
    """Health of a network that takes so many samples for each class, and so many rightly."""
    return {"predicted": np.asarray(predicted), "present": CLASSES, "accuracy": right / 256} | changes


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


def deep(*rates, **changes):
    """Layers one behind the other, and their mean rates; half of a weak layer is dead, the other half fires twice."""
    return [
        hidden_layer(name=f"hidden{k}", rates=np.r_[np.zeros(5), np.full(5, 2.0 * rate)], dead=5, **changes)
        for k, rate in enumerate(rates, 1)
    ]


def test_activity_that_fades_with_depth():
    """The first weak layer is named, and a threshold at which it would fire; patience as for a silent one."""
    knobs = {**KNOBS, "hidden3.v_th": Knob(name="hidden3.v_th", value=1.0, low=0.01, high=4.0)}
    faded = health_of(*deep(20.0, 15.0, 3.0, 0.5, 0.0, peak_voltage=0.6))
    assert diagnose(faded, history_of([2.3] * (PATIENCE - 1)), knobs) is None
    found = diagnose(faded, CALM, knobs)
    assert (found.name, found.knob, found.value) == ("fading", "hidden3.v_th", 0.6)
    assert found.text.startswith(
        "activity fades with depth: 20, 15, 3, 0.5, 0 Hz from hidden1 to hidden5; lower hidden3.v_th"
    )
    assert "snnlab.balanced" in found.text
    assert diagnose(faded, CALM, {}).knob is None


@pytest.mark.parametrize(
    "rates",
    [(20.0, 15.0, 12.0, 10.0, 8.0), (20.0, 1.0), (8.0, 20.0, 15.0, 10.0), (20.0, 1.0, 15.0, 1.0), (0.5, 20.0, 40.0)],
)
def test_activity_that_does_not_fade(rates):
    """It lasts to the end, or two layers are no depth, or it comes back."""
    found = diagnose(health_of(*deep(*rates)), CALM, KNOBS)
    assert found is None or found.name != "fading"


def test_a_branch_ends_the_way_on_which_activity_fades():
    first, *others = deep(20.0, 5.0, 0.5)
    apart = health_of(replace(first, feeds_next=False), *others)
    found = diagnose(apart, CALM, KNOBS)
    assert found is None or found.name != "fading"


@pytest.mark.endure
def test_six_layers_with_weights_too_small_fade(digits):
    """Factors of 0.6; the threshold of a weak layer that is proposed makes more of its neurons fire."""
    config = SnnConfig(hidden=(40,) * 6, num_steps=60, gains=(1.0, *(0.6,) * 5))
    net = models.build(config, sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, digits, learning_rate=1e-6, batch_size=64)
    checkup = Checkup(trainer.stepper, digits)
    trainer.fit(PATIENCE)
    health = checkup(trainer.state)
    found = diagnose(health, trainer.history, trainer.mailbox.knobs)
    assert found.name == "fading" and found.knob.endswith(".v_th")
    trainer.set({found.knob: found.value})
    trainer.fit(PATIENCE + 1)
    name = found.knob.removesuffix(".v_th")
    before, after = (
        next(layer.rates.mean() for layer in seen.layers if layer.name == name)
        for seen in (health, checkup(trainer.state))
    )
    assert after > 1.2 * before


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


def test_accuracy_by_chance_is_what_shuffled_predictions_have():
    """Mean and spread of 4000 shuffles; a constant prediction is exactly by chance."""
    rng = np.random.default_rng(0)
    predicted, present = np.array([100, 100, 40, 16]), CLASSES
    labels, guesses = (np.repeat(np.arange(4), counts) for counts in (present, predicted))
    by_chance = [(rng.permutation(guesses) == labels).mean() for _ in range(4000)]
    luck = chance(health_of(**told(predicted, 70)))
    assert luck.expected == pytest.approx(np.mean(by_chance), abs=2e-3)
    assert luck.most == pytest.approx(np.mean(by_chance) + DEVIATIONS * np.std(by_chance), abs=0.01)
    constant = chance(health_of(**told([0, 0, 0, 256], 76)))
    assert constant.expected == 76 / 256
    assert chance(health_of()) is None and chance(health_of(**told([256], 256, present=np.array([256])))) is None


def test_a_few_samples_tell_that_something_is_learned():
    """Of 4 samples of 2 classes, 4 right are more than half of the way from chance."""
    few = {"predicted": np.array([2, 2]), "present": np.array([2, 2]), "samples": 4, "accuracy": 1.0}
    assert diagnose(health_of(**few), history_of([0.7] * 200), KNOBS) is None


LATE = history_of([2.3] * 100)


@pytest.mark.parametrize(
    ("history", "changes", "found"),
    [
        (LATE, {}, ("at chance", None, True)),
        (CALM, {}, None),  # give it time
        (LATE, {"accuracy": 0.7}, None),
        (history_of([2.3] * 150, moves=[(100, "hidden.v_th", 1.0, 0.9)]), {}, None),
        (CALM, {"unfit": "divide by 255"}, ("unfit input", None, False)),
        (LATE, {"unfit": "divide by 255", "accuracy": 0.7}, None),
    ],
)
def test_no_better_than_chance(history, changes, found):
    health = health_of(hidden_layer(), **told([64, 64, 64, 64], 70) | changes)
    diagnosis = diagnose(health, history, {})
    assert found == (diagnosis and (diagnosis.name, diagnosis.knob, diagnosis.new_seed))


@pytest.mark.parametrize(("rate", "value", "new_seed"), [(1e-6, 0.01, False), (0.08, 0.008, True), (0.01, None, True)])
def test_at_chance_the_learning_rate_is_looked_at_first(rate, value, new_seed):
    found = diagnose(
        health_of(hidden_layer(), **told([256, 0, 0, 0], 60)), LATE, {RATE.name: replace(RATE, value=rate)}
    )
    assert (found.name, found.value, found.new_seed) == ("at chance", value, new_seed)


def test_at_chance_without_a_gradient_at_once():
    gone = hidden_layer(gradient=0.0, gradient_over_time=np.zeros(20))
    deaf = LayerHealth(name="readout", gradient=0.0, gradient_over_time=np.ones(20))
    found = diagnose(health_of(layers=(gone, deaf), **told([64] * 4, 64)), History(), {})
    assert found.name == "at chance" and found.new_seed and "no gradient" in found.text


def test_a_network_that_has_learned_is_not_told_how_it_might_be_built():
    """Accuracy 1/2 of the way from chance to 1: (0.62 - 0.25) / 0.75."""
    overdriven = hidden_layer(peak_voltage=12.0)
    poor, good = (told([64, 64, 64, 64], right) for right in (150, 170))
    assert diagnose(health_of(overdriven, **poor), CALM, KNOBS).name == "overdriven"
    assert diagnose(health_of(overdriven, **good), CALM, KNOBS) is None


@pytest.mark.parametrize(
    ("loss", "predicted", "taught", "word"),
    [
        (100 * [1.0], [128, 128, 0, 0], None, "class '2' is never predicted, although 60 of 256"),
        (100 * [1.0], [128, 128, 0, 0], None, "(nor is another); draw new weights"),
        (100 * [1.0], [90, 90, 76, 0], [500, 500, 500, 3], "only 3 of 1503 training samples are"),
        (100 * [1.0], [90, 90, 75, 1], None, None),
        (50 * [2.0] + 50 * [1.0], [90, 90, 76, 0], None, None),  # it still learns
        (99 * [1.0], [90, 90, 76, 0], None, None),
    ],
)
def test_a_missing_class(loss, predicted, taught, word):
    health = health_of(hidden_layer(), **told(predicted, 170, taught=None if taught is None else np.array(taught)))
    found = diagnose(health, history_of(loss), KNOBS)
    assert found is None if word is None else found.name == "missing class" and word in found.text
    assert found is None or found.new_seed == (taught is None)


def test_few_samples_of_a_class_may_all_be_mistaken():
    rare = told([90, 90, 76, 0], 170, present=np.array([84, 84, 84, 4]))
    assert diagnose(health_of(hidden_layer(), **rare), LATE, KNOBS) is None


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [
        ([1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.6, 0.8, 0.9, 1.0], True),
        ([1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.6, 0.7, 0.9, 1.0], False),  # one of the last three is less than 20 % worse
        ([1.0, 0.5, 0.6, 0.7, 0.8], [1.0, 0.6, 0.8, 0.9, 1.0], False),  # something else is wrong
        ([1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.9, 0.8, 0.7, 0.6], False),
        ([1.0, 0.5, 0.3], [0.6, 0.8, 1.0], False),  # too soon
    ],
)
@pytest.mark.parametrize("gap", [0.2, 0.0])
def test_overfitting_is_a_test_loss_that_rises_while_the_other_falls(train, test, found, gap):
    rows = [
        {"epoch": k + 1, "train_loss": a, "train_acc": 0.9, "test_loss": b, "test_acc": 0.9 - gap}
        for k, (a, b) in enumerate(zip(train, test, strict=True))
    ]
    history = History.of(
        {"loss": np.full(60, 0.1)}, [row | {"spikes_per_sample": None, "seconds": 1.0} for row in rows], []
    )
    diagnosis = diagnose(health_of(hidden_layer(), **told([64] * 4, 200)), history, KNOBS)
    assert (diagnosis is not None) == (found and gap > 0.0)
    if diagnosis:
        assert (
            "0.900 in training and 0.700 in the test; since epoch 2 the test loss has risen from 0.6 to 1"
            in diagnosis.text
        )


@pytest.mark.parametrize(("cost", "found"), [(4.6, True), (0.2, False)])
def test_a_price_that_was_as_high_as_the_errors(cost, found):
    """At its worst 2 times the cross-entropy: a hundredth of that is 1/200 of the price. The spikes are gone by now."""
    history = History()
    history.add_steps({"loss": np.full(60, 2.3), "cross_entropy": np.full(60, 2.3), "l1": np.eye(60)[3] * cost})
    price = Knob(name="l1", value=0.4, low=0.0, high=1.0, least=0.0)
    diagnosis = diagnose(health_of(silent_layer()), history, KNOBS | {"l1": price})
    assert diagnosis.name == ("regularized" if found else "silent")
    if found:
        assert (diagnosis.knob, diagnosis.value, diagnosis.new_seed) == ("l1", 0.002, True)


def test_a_loss_that_rose_with_the_accuracy_is_no_matter_of_the_learning_rate():
    """As when large readout weights first meet spikes."""
    history = History()
    history.add_steps({"loss": np.repeat([2.3, 60.0], 30), "accuracy": np.repeat([0.1, 0.8], 30)})
    good = health_of(hidden_layer(), **told([64] * 4, 200))
    assert diagnose(good, history, KNOBS) is None
    fallen = History()
    fallen.add_steps({"loss": np.repeat([2.3, 60.0], 30), "accuracy": np.repeat([0.9, 0.7], 30)})
    assert diagnose(good, fallen, KNOBS).name == "learning rate too high"


# ---- other tasks than one label a sample ----


@pytest.mark.parametrize(
    ("score", "level", "words"),
    [
        ("r2", 0.0, "R2 0.01 on 256 samples: no better than the mean of the targets (0)"),
        ("explained", 0.0, "explained 0.01 on 256 samples: no better than a silent readout (0)"),
        ("accuracy", 0.7, "accuracy 0.7 on 256 samples: no better than always the same answer (0.7)"),
    ],
)
def test_a_score_that_a_constant_answer_has(score, level, words):
    """An R2 of 0 is the mean of the targets, an explained share of 0 silence; nothing is said of chance or labels."""
    told_ = {"score": score, "level": level, "accuracy": max(level, 0.01)}
    found = diagnose(health_of(hidden_layer(), **told_), LATE, {})
    assert found.name == "at chance" and found.text.startswith(words)
    assert "chance (" not in found.text and "label" not in found.text
    assert diagnose(health_of(hidden_layer(), **told_ | {"accuracy": 0.9}), LATE, {}) is None


def test_a_regression_that_has_learned_is_not_told_how_it_might_be_built():
    """A cause such as a saturated layer is named while it learns nothing, and no more once half of it is explained."""
    saturated = hidden_layer(rates=np.full(10, 900.0), saturated=10)
    poor, well = ({"score": "r2", "level": 0.0, "accuracy": r2} for r2 in (0.1, 0.8))
    assert diagnose(health_of(saturated, **poor), LATE, KNOBS).name == "saturated"
    assert diagnose(health_of(saturated, **well), LATE, KNOBS) is None


def test_of_steps_it_says_steps():
    counts = {"predicted": np.array([5000, 5000, 0]), "present": np.array([4000, 5000, 1000]), "counted": "steps"}
    found = diagnose(health_of(hidden_layer(), **counts, accuracy=0.8, samples=32), LATE, KNOBS)
    assert found.text.startswith("class '2' is never predicted, although 1000 of 10000 steps are of it")
