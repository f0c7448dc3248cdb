"""What the values of a sample and the units of a layer are called. All parts of the dashboard ask here."""

import math
from collections.abc import Sequence

CHANNELS = 4  # of an image, at most


def is_image(shape: Sequence[int]) -> bool:
    """Whether samples of this shape are images: rows and columns, maybe one to four channels as first or last axis.

    Example:
        >>> [is_image(shape) for shape in ((28, 28), (28, 28, 3), (1, 28, 28), (13,), (1, 13), (5, 6, 7))]
        [True, True, True, False, False, False]
    """
    if len(shape) == 3 and min(shape[0], shape[2]) <= CHANNELS:
        shape = shape[1:] if shape[0] <= CHANNELS else shape[:2]
    return len(shape) == 2 and min(shape) > 1


def value(shape: Sequence[int], *, events: bool = False) -> str:
    """Name one value of a sample.

    Args:
        shape: of the sample.
        events: the sample is a list of events of a sensor with this shape.

    Example:
        >>> value((28, 28)), value((13,)), value((700,), events=True), value((5, 6, 7))
        ('pixel', 'feature', 'channel', 'value')
    """
    if events:
        return "channel"
    return "pixel" if is_image(shape) else "feature" if len(shape) == 1 else "value"


def weighted(weights: int, shape: Sequence[int], *, first: bool, events: bool = False) -> str:
    """Name what one weight of a unit belongs to: a value of the sample, if each has one; otherwise just an input.

    An LSTM that reads a sample row by row has a weight for each column, and a population code several for each feature.

    Args:
        weights: of one unit.
        shape: of a sample.
        first: the layer reads the input of the network.
        events: see `value`.

    Example:
        >>> weighted(64, (8, 8), first=True), weighted(8, (8, 8), first=True), weighted(64, (8, 8), first=False)
        ('pixel', 'input', 'input')
    """
    return value(shape, events=events) if first and weights == math.prod(shape) else "input"


def unit(spiking: bool) -> str:
    """Name a unit of a layer.

    Example:
        >>> unit(True), unit(False)
        ('neuron', 'unit')
    """
    return "neuron" if spiking else "unit"


def nouns(spiking: bool) -> dict[str, str]:
    """Return the nouns of a network for the scripts of the page: its units, what they do, and what they hold.

    Example:
        >>> nouns(False)
        {'unit': 'unit', 'activity': 'Outputs', 'state': 'Output'}
    """
    activity, state = ("Spikes", "Voltage") if spiking else ("Outputs", "Output")
    return {"unit": unit(spiking), "activity": activity, "state": state}
