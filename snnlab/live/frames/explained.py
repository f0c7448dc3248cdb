"""What everything on the screen is: one sentence and its equation, for those who point at it or reach it with Tab.

The key of a text is the part of the screen and the name of the thing, as in "health.dead". Scripts name it where they
make a control or draw a title; knobs, terms of the loss, facts of the head and settings of a restart travel with their
own keys, `KNOB`, `TERM`, `FACT` and `RESTART`.

Sources of the equations: the modules that compute them, which name theirs. Beyond these: the surrogate, Neftci, Mostafa
& Zenke (2019), DOI 10.1109/MSP.2019.2931595; principal components, Pearson (1901), DOI 10.1080/14786440109462720;
rate over current and intervals, Gerstner et al. (2014), DOI 10.1017/CBO9781107447615; synaptic operations, Yik et al.
(2025), DOI 10.1038/s41467-025-56739-4; Adam, Kingma & Ba (2015), arXiv:1412.6980.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Words(NamedTuple):
    """A sentence, and an equation or an empty text."""

    sentence: str
    equation: str = ""


KNOB, TERM, FACT, RESTART = "knob.", "term.", "fact.", "restart."
OWN = "own"  # a knob or a term of the user

CODE_KNOBS = {  # of the encoders
    "code.tau": Words(
        "Time constant of the latency code: the longer it is, the later the input fires.",
        "T = tau ln(x / (x - threshold))",
    ),
    "code.threshold": Words(
        "A weaker input is silent, also in the delta code a smaller change.", "x > threshold; |change| ≥ threshold"
    ),
    "code.cutoff": Words("The weakest response of a receptive field that fires.", "response ≥ cutoff"),
    "code.max_rate": Words("Firing rate of an input of 1.", "p = x · max_rate · dt / 1000"),
}

KNOBS = {
    "tau_mem": Words(
        "Membrane time constant: how slowly the voltage forgets.",
        "v ← v_rest + (v - v_rest) e^(-dt/tau_mem) + (1 - e^(-dt/tau_mem)) r I; a readout: v ← v e^(-dt/tau_mem) + I",
    ),
    "tau_syn": Words(
        "Synaptic time constant: how long the current of a spike lasts.", "g ← g e^(-dt/tau_syn) + weights · spikes"
    ),
    "tau_rise": Words(
        "Rise time of the synapse: how slowly the current of a spike comes.",
        "h ← h e^(-dt/tau_rise) + (1 - e^(-dt/tau_rise)) · weights · spikes, g ← g e^(-dt/tau_syn) + h",
    ),
    "tau_ref": Words(
        "Refractory time: a neuron that has spiked holds its voltage for so long.", "v stays while t - t_last ≤ tau_ref"
    ),
    "v_th": Words("Threshold: a neuron spikes when its voltage reaches it.", "s = H(v - v_th)"),
    "v_reset": Words(
        "Reset voltage: where a spike takes the voltage.", "v ← v_reset; by subtraction: v ← v - (v_th - v_reset)"
    ),
    "v_rest": Words(
        "Resting voltage: where the voltage decays to without input.", "v ← v_rest + (v - v_rest) e^(-dt/tau_mem)"
    ),
    "steps": Words(
        "Delay: how many steps later a unit arrives; between two steps it is divided between them.",
        "y[t] = (1 - f) x[t - k] + f x[t - k - 1], steps = k + f",
    ),
    "beta": Words(
        "What a spike adds to the threshold: the neuron adapts, and fires less and less.",
        "s = H(v - v_th - rise), rise ← rise e^(-dt/tau_adapt) + beta s",
    ),
    "tau_adapt": Words(
        "How slowly a threshold that was raised by spikes comes down again.", "rise ← rise e^(-dt/tau_adapt) + beta s"
    ),
    "tau": Words(
        "How far apart two spikes may be and still count as near, in the distance of spike trains.",
        "f ← f e^(-dt/tau) + s - y; distance = Σ_t f² dt/tau",
    ),
    "slope": Words(
        "Slope of the surrogate: the larger it is, the fewer voltages around the threshold can learn.",
        "ds/dv = h(slope (v - v_th) / v_scale) / v_scale in the backward pass",
    ),
    "v_scale": Words(
        "Unit of the surrogate: the voltage that its slope is measured in.",
        "ds/dv = h(slope (v - v_th) / v_scale) / v_scale",
    ),
    "r": Words(
        "Membrane resistance: the gain of the current.",
        "LIF: v ← … + (1 - e^(-dt/tau_mem)) r I; without a leak: v ← v + r dt I",
    ),
    "l1": Words("Weight of the penalty on the number of spikes.", "loss ← loss + l1 · Σ_n c_n, c_n: spikes a sample"),
    "l2": Words("Weight of the penalty on neurons that spike often.", "loss ← loss + l2 · mean_n c_n²"),
    "min_rate": Words(
        "Lower bound of the firing rate: neurons below it are pulled up.",
        "loss ← loss + rate_weight · mean_n max(0, min_rate - rate_n)²",
    ),
    "max_rate": Words(
        "Upper bound of the firing rate: neurons above it are held down.",
        "loss ← loss + rate_weight · mean_n max(0, rate_n - max_rate)²",
    ),
    "rate_weight": Words(
        "Weight of the bounds of the firing rate.",
        "rate_weight · mean_n (max(0, min_rate - rate_n)² + max(0, rate_n - max_rate)²)",
    ),
    "learning_rate": Words(
        "Step size of the optimizer: too small learns slowly, too large diverges.",
        "Adam: w ← w - learning_rate · m / (√v + eps); m, v: means of the gradient and of its square",
    ),
    OWN: Words("A number of your own loss, layer or optimizer, which the next training steps use."),
}

TERMS = {
    "cross_entropy": Words("How surprised the network is by the true class.", "-mean_b ln softmax(scores)[label]"),
    "binary_cross_entropy": Words(
        "How surprised the network is by which classes are there, class by class.",
        "-mean_bk (y ln q + (1 - y) ln(1 - q)), q = sigmoid(score)",
    ),
    "squared_error": Words(
        "Squared error, in units of the deviation of the training targets.", "mean ((score - y) / scale)²"
    ),
    "van_rossum": Words(
        "Distance of van Rossum between the spikes of the readout and those wanted.",
        "mean_bn Σ_t f² dt/tau, f ← f e^(-dt/tau) + s - y",
    ),
    "l1": Words("Penalty on the number of spikes.", "l1 · Σ_layers Σ_n c_n, c_n: spikes a sample"),
    "l2": Words("Penalty on neurons that spike often.", "l2 · Σ_layers mean_n c_n²"),
    "rate_below": Words(
        "Penalty on neurons below the lower bound of the rate.",
        "rate_weight · Σ_layers mean_n max(0, min_rate - rate_n)²",
    ),
    "rate_above": Words(
        "Penalty on neurons above the upper bound of the rate.",
        "rate_weight · Σ_layers mean_n max(0, rate_n - max_rate)²",
    ),
    OWN: Words("A term of your own loss.", "loss = Σ terms"),
}

FACTS = {
    "state": Words("What the run is doing: idle, compiling, training, paused, stopped, done or in error."),
    "epoch": Words("Passes over all training samples.", "epoch = ⌈step / steps_per_epoch⌉"),
    "step": Words("Updates of the weights, each after one batch.", "total = epochs · steps_per_epoch"),
    "samples per second": Words("Training samples computed in a second, since the last report.", "samples / seconds"),
    "time left": Words("Computing time left at the mean speed so far.", "seconds / step · (total - step)"),
    "score": Words(
        "Share of the samples held out that were right at the end of the last epoch.", "mean_b [argmax scores = label]"
    ),
}

RESTARTS = {
    "hidden": Words("Neurons of the hidden layer."),
    "num_steps": Words("Time steps of a sample.", "duration = num_steps · dt"),
    "epochs": Words("Passes over all training samples in the whole run."),
    "batch_size": Words("Samples in each step; the gradient is their mean.", "gradient = mean_b ∂loss_b/∂w"),
}

HEAD = {
    "start": Words("Starts the run, pauses it, or continues it."),
    "step": Words("Takes one step of the optimizer, then pauses.", "w ← w + update(∂loss/∂w)"),
    "chunk": Words("Trains for about a tenth of a second, then pauses."),
    "stop": Words("Ends the run; Start continues from there."),
    "reset": Words("Begins again with the same first weights; the knobs stay, and the old run stays as a pale curve."),
    "new seed": Words("Begins again with other first weights; the knobs stay."),
    "speed": Words("Steps a second, at most: slow enough to watch each one."),
    "undo": Words("Takes back the last move of a knob (Ctrl+Z)."),
    "redo": Words("Makes the move again that was taken back (Ctrl+Shift+Z)."),
    "tour": Words("Shows the screen in a few stops, and moves knobs to show what they do."),
    "stage": Words("A stage for a lecture: draw a digit, and watch the network answer in slow motion."),
    "alert": Words("Tells you when the run ends, diverges or falls silent."),
    "presentation": Words("Large type and high contrast, for a lecture."),
    "full screen": Words("Fills the screen; Escape returns."),
    "progress": Words("How much of the run is done.", "step / total"),
    "repair": Words("Does what the diagnosis proposes."),
    "no validation part": Words(
        "The curves look at the test part: what you choose by them is chosen for it; hold some samples out for that.",
        "data = data.hold_out(0.1); at the end, trainer.evaluate()",
    ),
    "traceback": Words("Where in the code the error happened."),
}

OTHERS = {
    "knobs.reset": Words("Returns the knob to its first value."),
    "knobs.range": Words("Where the slider begins and ends, and the step between two of its values."),
    "knobs.own range": Words("Gives the slider its own range and step again."),
    "panel.explain": Words("Explains everything that this panel shows."),
    "panel.save": Words("Saves what is drawn as a file."),
    "panel.png": Words("Saves a picture."),
    "panel.svg": Words("Saves a drawing that stays sharp at any size."),
    "voltages.voltages": Words(
        "How often the voltages of a layer lie where, over all neurons and steps of the sample; vermilion ones spike.",
        "√count of (neuron, step) by v, as it is compared with v_th",
    ),
    "voltages.surrogate window": Words(
        "Share of the voltages that are near enough to the threshold for the surrogate (green) to pass a gradient.",
        "|v - v_th| ≤ v_scale / slope",
    ),
    "voltages.outputs": Words("How often the outputs of a layer lie where, over all units and steps of the sample."),
    "raster.slow motion": Words(
        "Plays the sample in slow motion (full stop); a drag along the readout shows a moment.",
    ),
    "raster.end slow motion": Words("Shows the whole sample again (Escape)."),
    "raster.sample": Words("One test sample, its true class, and the class that the network says.", "argmax scores"),
    "raster.input": Words("What the network receives: one row a channel, one mark a spike, time to the right."),
    "raster.spikes": Words("One row a neuron, one mark a spike, time to the right.", "s_n[t] = H(v_n[t] - v_th)"),
    "raster.outputs": Words("One row a unit, time to the right: blue outputs are negative, orange ones positive."),
    "raster.true and predicted": Words(
        "The true class of every step over the predicted one; hatched steps are not scored, red ones wrong.",
        "argmax_k readout_k[t]",
    ),
    "raster.readout": Words(
        "One trace a class; the class with the highest score wins.", "score: the trace's mean, maximum, sum or end"
    ),
    "raster.test sample": Words("Which sample of the test set is shown."),
    "raster.layer": Words("Which hidden layer is shown."),
    "raster.sorted by": Words("Order of the rows from top to bottom: by number, by first spike, or by rate."),
    "curves.score": Words(
        "Share of the samples that are right: of each batch, and of those held out after each epoch.",
        "mean_b [argmax scores = label]",
    ),
    "curves.loss": Words("What the optimizer makes small: the sum of the terms of the loss.", "loss = Σ terms"),
    "curves.window": Words("Which steps are seen: all, the newest 200, or those around the last move."),
    "curves.smooth": Words("Shows moving averages.", "mean over a centred window of 1/25 of the curve"),
    "curves.log loss": Words("Shows the loss on a logarithmic axis.", "y = log₁₀ loss"),
    "curves.csv": Words("Saves the points that are shown; lab.history has every step."),
    "learn.terms of the loss": Words("Each part of the loss by itself.", "loss = Σ terms"),
    "learn.spikes per sample": Words("Spikes of all layers for one sample, on average.", "Σ_layers Σ_n Σ_t s / batch"),
    "learn.gradient norm": Words(
        "Length of the gradient of all parameters; it explodes if training diverges.", "‖g‖ = √(Σ_w (∂loss/∂w)²)"
    ),
    "learn.metrics": Words("Metrics of your own, which the loss returns beside its terms; they are not minimized."),
    "tab.Learn": Words("All other curves: terms of the loss, spikes, gradient."),
    "tab.Look inside": Words("One neuron, which you select in the raster, and its layer."),
    "tab.Health": Words("Which neurons fire, which can learn, and how strong the gradients are."),
    "tab.Errors": Words("What the network gets wrong, and when it decides."),
    "tab.Weights": Words("The weights over the run, and what every neuron looks at."),
    "tab.Time": Words("The branches of the run: where each left, how far it came, and what it reached."),
    "tab.Run": Words("Restart, export and results."),
    "inside.voltage": Words(
        "Voltage of the neuron in this sample; it spikes at the threshold and is reset.",
        "v ← v_rest + (v - v_rest) e^(-dt/tau_mem) + (1 - e^(-dt/tau_mem)) r I",
    ),
    "inside.output": Words("Output of the unit in this sample."),
    "inside.weights": Words("What the neuron listens to: vermilion inputs excite it, blue ones inhibit it."),
    "inside.rate over current": Words(
        "How often a constant current makes it fire (dotted: for dt → 0); shaded: the currents that it receives.",
        "rate = 1 / (tau_ref + tau_mem ln((r I + v_rest - v_reset) / (r I + v_rest - v_th)))",
    ),
    "inside.intervals": Words(
        "Times between neighbouring spikes; their coefficient of variation is near 0 if it fires like a clock.",
        "CV = std / mean",
    ),
    "inside.two dimensions": Words(
        "One point a test sample, coloured by class, in the plane in which the layer varies most.",
        "(x, y) = two principal components of the activity",
    ),
    "health.synaptic operations": Words(
        "What a sample costs: effects of a spike (or a number) through a weight, where neither is 0.",
        "Σ_layers Σ_t #(input ≠ 0, weight ≠ 0)",
    ),
    "health.sparsity": Words("How much of the network rests.", "share of outputs, and of weights, that are 0"),
    "health.firing rates": Words("How many neurons fire how often, on average over samples.", "rate = spikes / time"),
    "health.dead": Words("Neurons that fired in none of the samples.", "Σ_b Σ_t s = 0"),
    "health.saturated": Words("Neurons that fire more than half as often as they could.", "rate > max_rate / 2"),
    "health.surrogate window": Words(
        "Share of neurons and samples whose voltage comes near enough to the threshold to get a gradient.",
        "max_t v ≥ v_th - v_scale / slope",
    ),
    "health.gradient norm": Words("How much of the gradient reaches the parameters of each layer.", "‖∂loss/∂w_layer‖"),
    "health.gradient over time": Words(
        "How strongly a current at each step would change the loss: it vanishes or explodes on its way back.",
        "‖∂loss/∂I[t]‖ over samples and neurons",
    ),
    "health.backward signal": Words("The same for all layers: darker is stronger.", "log ‖∂loss/∂I[t]‖, layer by time"),
    "errors.confusions": Words(
        "How often a class (row) is taken for another (column); the diagonal is right.", "count(label, argmax scores)"
    ),
    "errors.found and missed": Words(
        "For each class, in how many samples it was found, missed, or claimed wrongly; click a bar.",
        "score > 0 against y = 1",
    ),
    "errors.predicted against true": Words(
        "One point a target, and what the network says of it; what is right lies on the diagonal; click one.",
        "R2 = 1 - Σ (p - y)² / Σ (y - mean y)²",
    ),
    "errors.distances": Words(
        "How far the spikes of the readout are from those wanted: one distance a sample.",
        "mean_n Σ_t f² dt/tau, f ← f e^(-dt/tau) + s - y",
    ),
    "errors.samples": Words(
        "The samples of a cell, the most confident first; click one to see it in the raster.", "max softmax(scores)"
    ),
    "errors.accuracy by class": Words("Accuracy of each class over the run: dark is right.", "right / samples"),
    "errors.when does it know": Words(
        "What would be right if the sample ended at each time.", "share of argmax scores[0…t] = label, by t"
    ),
    "weights.distribution": Words("How the weights are distributed, step by step of the run."),
    "weights.fields": Words("What every neuron looks at: one tile a neuron, one pixel an input; click one."),
    "weights.layer": Words("Whose weights are shown."),
    "weights.sorted by": Words("Order of the tiles.", "index, norm ‖w_n‖, or similarity of neighbours"),
    "time.scrubber": Words(
        "Where the run is: drag it, or press arrow keys, and see the network as it was; Escape returns to now.",
    ),
    "time.kept": Words("Ticks: points that are kept in memory; the run returns to them at once."),
    "time.moves": Words("Vermilion lines: steps at which a knob was moved."),
    "time.epochs": Words("Diamonds: ends of epochs."),
    "time.best": Words("Star: the end of the epoch with the highest score on the part that is held out."),
    "time.branches": Words("Dots: steps at which other branches left."),
    "time.ghosts": Words("Pale curves of the other branches, each with its letter; they begin where they left."),
    "time.back to now": Words("Returns to the end of this branch (Escape on the time line)."),
    "time.go on from here": Words("Trains from here; what came after it stays, and this becomes a branch of its own."),
    "time.lanes": Words("One lane a branch; the bar is where the run is; click a lane to go there."),
    "time.branch": Words("Name of the branch; press it to go where the branch stands."),
    "time.from": Words("The branch and the step that it left."),
    "time.to": Words("The step that it was trained to."),
    "time.knobs that differ": Words("Knobs that were moved since it left, and their values."),
    "time.best score": Words("Its highest score, on the part that is held out, since it left.", "max over epochs"),
    "time.spikes": Words("Spikes of all layers for one sample, in its last epoch.", "Σ_layers Σ_n Σ_t s / batch"),
    "time.select": Words("Selects the branch for Run both."),
    "time.run both": Words("Trains the selected branches in turn, all of them to the same step: a fair comparison."),
    "time.memory": Words("Memory for the points that are kept; with less, they stand farther apart."),
    "run.apply": Words("Begins again with these settings; the knobs stay."),
    "run.folder": Words("Where the weights are written."),
    "run.export": Words("Writes the weights as a safetensors file, which other programs read."),
    "run.page": Words(
        "Writes one page that plays the network in any browser, without Python, every spike as in Python."
    ),
    "run.note": Words("A sentence that stays with this step of the run: in curves, checkpoints and scripts."),
    "run.add": Words("Adds the note."),
    "run.save": Words("Saves knobs, tabs, fields and ranges of sliders as a file."),
    "run.open": Words("Opens such a file: knobs and looks are as they were."),
    "run.pictures per second": Words("How often the screen is drawn, if the browser keeps up."),
    "run.compilations": Words("Programs that the training step was compiled to; moves of knobs need no new one."),
    "run.results": Words("Results of each epoch; those of the test set are measured at its end."),
}

EXPLAINED: dict[str, Words] = {
    **{KNOB + name: words for name, words in (KNOBS | CODE_KNOBS).items()},
    **{TERM + name: words for name, words in TERMS.items()},
    **{FACT + name: words for name, words in FACTS.items()},
    **{RESTART + name: words for name, words in RESTARTS.items()},
    **{f"head.{name}": words for name, words in HEAD.items()},
    **OTHERS,
}
"""All texts by their keys."""


def key_of(kind: str, name: str) -> str:
    """Return the key of a knob, by its full name, or of a term; what is unknown is the user's own.

    Args:
        kind: `KNOB` or `TERM`.
        name: of the knob or the term.

    Example:
        >>> key_of(KNOB, "hidden.v_th"), key_of(TERM, "my penalty")
        ('knob.v_th', 'term.own')
    """
    short = kind + (name if name in CODE_KNOBS else name.rpartition(".")[2])
    return short if short in EXPLAINED else kind + OWN


_STEPS = Words(
    "Share of the steps that are right, in all samples held out, at the end of an epoch; during it, of each batch.",
    "mean over scored steps of [argmax readout[t] = label[t]]",
)
_DECISIONS = Words(
    "Share of the decisions that are right, one for each sample and class; held out, and of each batch.",
    "mean_bk [(score > 0) = y]",
)
_FIT = Words(
    "Share of the variance that is explained: 1 is perfect, 0 is a constant at the mean, below 0 is worse than that.",
    "R2 = 1 - Σ (p - y)² / Σ (y - mean y)², as a mean over outputs",
)
_SPIKES = Words(
    "How much of the wanted spikes is explained: 1 is perfect, 0 is a silent readout, below 0 is worse than that.",
    "1 - Σ (f(s) - f(y))² / Σ f(y)², f: filter of 10 steps",
)
_SCORES = {"step_labels": _STEPS, "several_labels": _DECISIONS, "values": _FIT, "traces": _FIT, "spike_trains": _SPIKES}
_ONE = {
    "step_labels": Words("One sample, and the share of its steps that are right.", "argmax_k readout_k[t]"),
    "several_labels": Words("One sample, its true classes, and those that the network says.", "score > 0"),
    "values": Words("One sample, its target, and what the network says."),
    "traces": Words("One sample, and how well the readout follows its target."),
    "spike_trains": Words("One sample, and how far the spikes of the readout are from those wanted."),
}
_READOUT = {
    "step_labels": Words(
        "One trace a class; at each step, the highest one is what the network says.", "argmax_k readout_k[t]"
    ),
    "several_labels": Words(
        "One trace a class; a thick one is predicted. \u2713 found, \u25cb missed, \u2717 claimed wrongly.", "score > 0"
    ),
    "values": Words(
        "One trace an output, in the unit of the targets; dashed is the target, dotted the number that is read out.",
        "score = center + scale · readout",
    ),
    "traces": Words(
        "One trace an output, in the unit of the targets; dashed is the target, pale steps are not scored."
    ),
    "spike_trains": Words("Two rows an output: above, the spikes that it shall fire; below, those that it fires."),
}
_LISTED = {
    "step_labels": Words("The samples with the most steps in a cell; click one to see it in the raster."),
    "several_labels": Words("The samples of a bar; click one to see it in the raster."),
    "values": Words("The samples with the largest errors; click one to see it in the raster."),
    "traces": Words("The samples with the largest errors; click one to see it in the raster."),
    "spike_trains": Words("The samples with the largest distances; click one to see it in the raster."),
}

OF_TASK: dict[str, dict[str, Words]] = {
    task: {
        FACT + "score": score,
        "curves.score": score,
        "raster.sample": _ONE[task],
        "raster.readout": _READOUT[task],
        "errors.samples": _LISTED[task],
        "tab.Errors": Words("What the network gets wrong."),
        "inside.two dimensions": Words(
            "One point a sample, in the plane in which the layer varies most.",
            "(x, y) = two principal components of the activity",
        ),
    }
    for task, score in _SCORES.items()
}
"""Texts that are others where a sample has not one label, by task and key."""
OF_TASK["step_labels"]["errors.confusions"] = Words(
    "At how many steps a class (row) is taken for another (column); the diagonal is right.",
    "count(label[t], argmax readout[t])",
)
OF_TASK["step_labels"]["errors.accuracy by class"] = Words(
    "Share of the steps of each class that are right, over the run: dark is right.", "right / steps"
)
OF_TASK["several_labels"]["errors.accuracy by class"] = Words(
    "Share of the samples in which the decision about each class is right, over the run.", "right / samples"
)


def explained_frame(knobs: Iterable[str], terms: Iterable[str], task: str = "label") -> dict[str, list[str]]:
    """Return the sentences and equations that a run needs.

    Args:
        knobs: full names.
        terms: of the loss.
        task: what the targets are, see `snnlab.data.Dataset`.

    Example:
        >>> explained_frame(["hidden.v_th"], ["l1"])["knob.v_th"]
        ['Threshold: a neuron spikes when its voltage reaches it.', 's = H(v - v_th)']
        >>> "knob.tau_mem" in explained_frame(["hidden.v_th"], [])
        False
    """
    needed = {key_of(KNOB, name) for name in knobs} | {key_of(TERM, name) for name in terms}
    known = EXPLAINED | OF_TASK.get(task, {})
    return {key: list(words) for key, words in known.items() if not key.startswith((KNOB, TERM)) or key in needed}
