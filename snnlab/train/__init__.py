"""The engine: back-propagation through time in jitted chunks, steered while it runs. Knows no widget."""

from snnlab.train.replay import script
from snnlab.train.trainer import Trainer

__all__ = ["Trainer", "script"]
