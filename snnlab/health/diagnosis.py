"""The diagnosis of a network in a sentence or two, with a move of a knob that helps.

    diagnosis = diagnose(checkup(trainer.state), trainer.history, trainer.mailbox.knobs)

The rules stand in the order in which one ailment causes the next; the first that applies is the diagnosis:

no input
    The encoder emits nothing: the samples have another range than it can express. Proposed: what their range asks for.
unfit input
    At chance, and the samples have another range than the encoder is for. Proposed: what their range asks for.
learning rate too high
    Without a move of a knob, the loss rose by its first value or more, and has not come down since; nor is the
    accuracy at its best.
    Proposed: a tenth of the learning rate, at most 0.01, and new weights, because the old ones are far out.
exploding
    A layer gets a gradient many times that of the layer it feeds, or its gradient grows many-fold on its way back
    through the time steps. Proposed: new weights.
regularized *
    A term of the loss that prices spikes was about as high as the cross-entropy, so the network learned to save spikes.
    Proposed: a price that is a hundredth of the cross-entropy, and new weights.
saturated *
    Half of the neurons or more fire at more than half of all steps, as `LayerHealth.saturated` counts them.
    Proposed: a higher threshold.
fading *
    In a network of three spiking layers or more, fewer and fewer spikes are left from layer to layer, and hardly any in
    the last. Diagnosed with the same patience as "silent". Proposed: the threshold at which a few neurons of the first
    weak layer fire, or weights that are balanced on the data.
silent *
    Half of the neurons or more never fire, and hardly a voltage comes near its threshold; or none fires at all. Such a
    network often wakes up by itself, so this is diagnosed only after some steps in which the number of spikes did not
    rise quickly; at once if no parameter gets a gradient. Proposed: the threshold at which a few fire; a shorter time
    constant if the membrane is too slow for the sequence; new weights if no current drives the neurons.
dead readout *
    The readout scores all samples alike, although its input is not silent. Proposed: a higher learning rate if it is
    tiny, new weights if all scores are stuck at the start; without any gradient the cause lies elsewhere (a delay).
overdriven *
    The current drives neurons to many times their threshold. Proposed: a third of what it drives them to.
vanishing *
    A layer that fires gets a gradient far below that of the layer it feeds.
    Proposed: a surrogate that is as wide, relative to the threshold, as that of the reference network.
forgetful readout *
    The readout ignores time: nearly all that arrives comes before the steps that count for the decision, as
    `LayerHealth.heard` measures. Proposed: a time constant of half the sequence.
overfitting
    The test loss has risen well above its lowest value, while the training loss fell further.
at chance
    After long training the accuracy cannot be told from chance (`snnlab.health.finding.chance`); or no parameter gets a
    gradient, so that nothing can be learned. Proposed: a learning rate in the usual range, or new weights.
missing class
    After long training, when the loss no longer falls, a class is never predicted although samples are of it.
    Proposed: new weights, or training samples of that class where these are rare.

The rules with a star are about causes. A network that learns is not told how it might be built otherwise: they are left
out if it is half of the way from chance to no error, or more.

A proposed value is one that its knob accepts. If there is no such knob, because the parameter is fixed or learned, the
text still says what to do. The constants were measured on the reference networks, healthy and spoiled: digits and
Fashion-MNIST, 20 to 300 units, every few steps from the first to the last epoch.
"""

from typing import TYPE_CHECKING

from snnlab.controls import LEARNING_RATE
from snnlab.errors import DivergenceError
from snnlab.health import layer_rules, outcome_rules
from snnlab.health.finding import Diagnosis, Knobs, has_learned
from snnlab.history import History

if TYPE_CHECKING:  # so that no JAX is loaded to read a saved run
    from snnlab.health.checkup import Health

CAUSES = (
    outcome_rules.regularized,
    layer_rules.saturated,
    layer_rules.fading,
    layer_rules.silent,
    layer_rules.dead_readout,
    layer_rules.overdriven,
    layer_rules.vanishing,
    layer_rules.forgetful_readout,
)
"""Rules that are left out if the network has learned nevertheless; from cause to effect."""

RULES = (
    outcome_rules.no_input,
    outcome_rules.unfit_input,
    outcome_rules.learning_rate,
    layer_rules.exploding,
    *CAUSES,
    outcome_rules.overfitting,
    outcome_rules.at_chance,
    outcome_rules.missing_class,
)
"""All rules, from cause to effect, with the arguments of `diagnose`. The docstring of this module explains them."""


def diagnose(health: "Health", history: History, knobs: Knobs) -> Diagnosis | None:
    """Return the ailment that causes the others, or None if the network is well.

    A network that cannot be told from chance after long training always has one.

    Args:
        health: see `snnlab.health.Checkup`.
        history: history of the run so far.
        knobs: see `Mailbox.knobs`.

    Example:
        >>> import numpy as np
        >>> from snnlab.controls import Knob
        >>> from snnlab.health import Health
        >>> health = Health(step=31, samples=256, loss=9.1, accuracy=0.1, layers=(), readout_spread=3.0, finite=True)
        >>> history = History()
        >>> history.add_steps({"loss": np.array([2.3] + 30 * [9.1])})
        >>> rate = Knob(name="learning_rate", value=1.0, low=1e-6, high=0.1)
        >>> found = diagnose(health, history, {"learning_rate": rate})
        >>> found.text
        'the loss rose from 2.3 to 9.1 by itself, and is 9.1 now; lower the learning rate to 0.01 and draw new weights'
        >>> found.name, found.knob, found.value, found.new_seed
        ('learning rate too high', 'learning_rate', 0.01, True)
    """
    learned = has_learned(health)
    rules = (rule for rule in RULES if not (learned and rule in CAUSES))
    return next((found for rule in rules if (found := rule(health, history, knobs))), None)


def diverged(error: BaseException | None) -> Diagnosis | None:
    """Say why a run diverged, and from which step and with which learning rate to continue, if that would help.

    Returns None if the run ended in another way.

    Example:
        >>> diverged(DivergenceError("the loss is not finite", advice=0.001, back_to=7)).value, diverged(None)
        (0.001, None)
    """
    if not isinstance(error, DivergenceError):
        return None
    if error.advice is None:
        return Diagnosis(name="diverged", text=str(error))
    return Diagnosis(name="diverged", text=str(error), knob=LEARNING_RATE, value=error.advice, back_to=error.back_to)
