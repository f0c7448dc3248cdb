"""A run that survives crashes: saved while it trains, resumed bit for bit."""

from snnlab.checkpoint.checkpoints import Checkpoints

__all__ = ["Checkpoints"]
