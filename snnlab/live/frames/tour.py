"""The guided tour: six stops that say what to look at, and move a knob where a move shows it.

What a run has decides which stops there are, so every sentence is true of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from snnlab.controls import LEARNING_RATE

STOPS = 6
FAR = 0.9  # of the way from the first value to the end of the slider
SHORTER = 5.0  # times: a time constant on the tour
ORDER = ("start", "raster", "threshold", "time", "rate", "inside", "learn", "health", "errors", "weights", "run")
TIMES = {  # the label of a knob: what decays, a title, what that means
    "tau_syn": (
        "current of a spike",
        "How long a spike lasts",
        "Inputs then add up only if they come close together: neurons become detectors of coincidences",
    ),
    "tau_mem": ("voltage", "How long it remembers", "The voltage then forgets what came before its newest input"),
}
PREFERRED = ("start", "raster", "threshold", "time", "health", "errors", "rate", "inside", "learn", "run", "weights")


class Move(NamedTuple):
    """A knob, and the value that the tour moves it to."""

    knob: str
    value: float


class Stop(NamedTuple):
    """One stop of the tour.

    Attributes:
        title: what it is about.
        words: what to look at, in one or two sentences.
        at: what is outlined: names of parts of the screen, or full names of knobs. The card stands beside the first.
        tab: the tab that is opened, or an empty text.
        press: whether the run is started, if it has not begun.
        move: the knob that is moved, and put back when one leaves the stop; or None.
    """

    title: str
    words: str
    at: tuple[str, ...]
    tab: str = ""
    press: bool = False
    move: Move | None = None


def farther(value: float, high: float) -> float | None:
    """Return a value near the end of a slider; None if there is no room.

    Example:
        >>> farther(1.0, 4.0), farther(4.0, 4.0)
        (3.7, None)
    """
    return None if value >= high else float(f"{value + FAR * (high - value):.6g}")


def shorter(value: float, low: float) -> float | None:
    """Return a time constant that is shorter by `SHORTER`, or the lowest one; None if there is no shorter one.

    Example:
        >>> shorter(10.0, 1.0), shorter(3.0, 1.0), shorter(1.0, 1.0)
        (2.0, 1.0, None)
    """
    return None if value <= low else float(f"{max(value / SHORTER, low):.6g}")


def tour(
    knobs: Sequence[Mapping[str, Any]], *, layers: Sequence[str], spikes: bool, show: Sequence[str], task: str = "label"
) -> list[Stop]:
    """Return the stops for a run: six of them, fewer if it has less to show.

    Args:
        knobs: as the screen describes them, those of the first layer first: "name", "label", "group", "value", "low",
            "high", "unit".
        layers: names of the layers that the raster shows.
        spikes: whether the network spikes.
        show: the panels, see `snnlab.live.frames.status.PANELS`.
        task: what the targets are, see `snnlab.data.Dataset`.

    Example:
        >>> knob = {"name": "hidden.v_th", "label": "v_th", "group": "hidden", "unit": ""}
        >>> knob |= {"value": 1.0, "low": 0.01, "high": 4.0}
        >>> stops = tour([knob], layers=["hidden"], spikes=True, show=("curves", "raster", "health"))
        >>> [stop.title for stop in stops]
        ['Let it learn', 'One sample, in spikes', 'The threshold', 'Look inside', 'Health', 'What it gets wrong']
        >>> stops[2].move
        Move(knob='hidden.v_th', value=3.7)
    """
    drawn = "raster" in show
    found = {"run": _run()} | _knobs(knobs, show)
    found["start"] = _start(show, any(stop.move for stop in found.values()))
    if drawn:
        found |= {"raster": _raster(layers, spikes, task), "inside": _inside(layers, spikes), "errors": _errors(task)}
        words = "At the top, the distribution of the weights over the run. Below, one tile is what one neuron looks at."
        found["weights"] = Stop("The weights", words, ("tabs",), "Weights")
    if "curves" in show:
        words = "The terms of the loss show what a penalty costs. The gradient norm explodes if training diverges."
        found["learn"] = Stop("All other curves", words, ("tabs",), "Learn")
    if "health" in show:
        found["health"] = _health(spikes)
    chosen = [name for name in PREFERRED if name in found][:STOPS]
    return [found[name] for name in ORDER if name in chosen]


def _start(show: Sequence[str], moves: bool) -> Stop:
    watch, at = ("the curves", "curves") if "curves" in show else ("the score beside the buttons", "head")
    words = f"The run has started: watch {watch}."
    if moves:
        words += " What the tour moves is a preview; the run trains with your knobs."
    elif at == "curves":
        words += " Dashed curves are those of the part that is held out."
    return Stop("Let it learn", words, (at,), press=True)


READOUTS = {
    "label": "The traces of the readout below decide which class the network says",
    "step_labels": "Below, the highest trace is what the network says; strips show it under the true class",
    "several_labels": "A class is predicted where the score of its trace below is above 0",
    "values": "Each trace below is read out as one number, dotted; its target is dashed",
    "traces": "Below, the readout is solid, and its target dashed",
    "spike_trains": "Below, the spikes that the readout shall fire stand above those that it fires",
}
"""What the readout says, by task."""


def _raster(layers: Sequence[str], spikes: bool, task: str) -> Stop:
    title, told = "One sample, in spikes" if spikes else "One sample", READOUTS[task]
    if not layers:
        return Stop(title, f"The traces show one sample. {told}.", ("raster",))
    row = "One row is one neuron, one mark is one spike" if spikes else "One row is one unit, its colour is its output"
    words = f"{row}, and time runs to the right. {told}."
    return Stop(title, words, ("raster",))


def _knobs(knobs: Sequence[Mapping[str, Any]], show: Sequence[str]) -> dict[str, Stop]:
    """The stops of the first threshold, the first time constant and the learning rate.

    With a raster, the tour moves the first two; the others show in the curves only, once it trains with them.
    """
    found: dict[str, Stop] = {}
    drawn, curve = "raster" in show, ("curves",) if "curves" in show else ()
    first = {knob["label"]: knob for knob in reversed(knobs)}
    if knob := first.get("v_th"):
        found["threshold"] = _threshold(knob, farther(knob["value"], knob["high"]) if drawn else None, curve)
    if knob := first.get("tau_syn", first.get("tau_mem")):  # the former shows more
        found["time"] = _time(knob, shorter(knob["value"], knob["low"]) if drawn else None, curve)
    if knob := first.get(LEARNING_RATE):
        words = "Drag it down: the steps become tiny, and the curves hardly change. Far up, the loss explodes."
        found["rate"] = Stop("The learning rate", words, (knob["name"], *curve))
    return found


def _threshold(knob: Mapping[str, Any], value: float | None, curve: tuple[str, ...]) -> Stop:
    learn = "Neurons that stay far below it hardly learn: the surrogate passes them hardly any gradient"
    if value is None:
        return Stop("The threshold", f"Drag it up, and neurons fall silent. {learn}.", (knob["name"], *curve))
    words = f"The threshold of {knob['group']} rises, and its neurons fall silent; pale marks are what was before"
    at = (knob["name"], "raster", "voltages")
    return Stop("The threshold", f"{words}. {learn}.", at, move=Move(knob["name"], value))


def _time(knob: Mapping[str, Any], value: float | None, curve: tuple[str, ...]) -> Stop:
    what, title, told = TIMES[knob["label"]]
    if value is None:
        return Stop(title, f"Drag it down, and the {what} decays sooner. {told}.", (knob["name"], *curve))
    words = f"The {what} in {knob['group']} now decays within {value:g} {knob['unit']}, not {knob['value']:g}"
    return Stop(title, f"{words}. {told}.", (knob["name"], "raster", "voltages"), move=Move(knob["name"], value))


def _inside(layers: Sequence[str], spikes: bool) -> Stop:
    what = "neuron" if spikes else "unit"
    row = "Click a row of the raster to select it" if layers else "Click a name beside the traces to select it"
    shows = f"Here you see what one {what} does in this sample, and what it listens to"
    return Stop("Look inside", f"{shows}. {row}.", ("tabs", "raster"), "Look inside")


def _health(spikes: bool) -> Stop:
    if spikes:
        words = "Dead neurons never fire, saturated ones fire more than half as often as they could"
        told = "The surrogate window tells how many come near enough to the threshold to get a gradient"
    else:
        words = "The bars show how much of the gradient reaches each layer"
        told = "The map shows how strong it is at each step on its way back through time"
    return Stop("Health", f"{words}. {told}.", ("tabs",), "Health")


ERRORS = {
    "several_labels": "Click a bar of a class for its samples",
    "values": "Each point is a sample: what is right lies on the diagonal. Click one",
    "traces": "Each point is a step: what is right lies on the diagonal. Click one",
    "spike_trains": "The worst samples stand in a row. Click one",
}


def _errors(task: str) -> Stop:
    words = ERRORS.get(task, "Click a cell of the confusions for its samples, and a sample")
    words += " to see it in the raster" if task not in ("several_labels",) else ", and a sample to see it in the raster"
    return Stop("What it gets wrong", f"{words}. The tab Run exports the weights.", ("tabs", "raster"), "Errors")


def _run() -> Stop:
    words = "Here you begin again with another structure, and export the weights"
    return Stop("Again, and away", f"{words}. The table has the results of every epoch.", ("tabs",), "Run")
