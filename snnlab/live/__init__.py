"""The live dashboard: `LiveTrainer`."""

from snnlab.live.live_trainer import LiveTrainer

__all__ = ["LiveTrainer"]
