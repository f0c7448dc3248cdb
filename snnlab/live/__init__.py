"""The live dashboard: `LiveTrainer`; and runs side by side: `compare`."""

from snnlab.live.comparison import Comparison, compare
from snnlab.live.figures import offline_figures
from snnlab.live.live_trainer import LiveTrainer

__all__ = ["Comparison", "LiveTrainer", "compare", "offline_figures"]
