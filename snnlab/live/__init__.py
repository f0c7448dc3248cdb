"""The live dashboard: `LiveTrainer`."""

from snnlab.live.figures import offline_figures
from snnlab.live.live_trainer import LiveTrainer

__all__ = ["LiveTrainer", "offline_figures"]
