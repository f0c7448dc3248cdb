"""Encode numbers as spikes: latency, population, rate and delta codes, bins for events, rows for an LSTM; `Augment`."""

from snnlab.encode.augment import Augment
from snnlab.encode.codes import Binned, Current, Delta, Latency, Population, Rate, Rows, unit_interval
from snnlab.encode.events import SpikeTimes, Steady, drop_spikes

__all__ = [
    "Augment",
    "Binned",
    "Current",
    "Delta",
    "Latency",
    "Population",
    "Rate",
    "Rows",
    "SpikeTimes",
    "Steady",
    "drop_spikes",
    "unit_interval",
]
