"""The live dashboard: `LiveTrainer`; runs side by side: `compare`; the map of a study: `sweep`."""

from snnlab.live.comparison import Comparison, compare
from snnlab.live.figures import offline_figures
from snnlab.live.live_study import LiveStudy, sweep
from snnlab.live.live_trainer import LiveTrainer

__all__ = ["Comparison", "LiveStudy", "LiveTrainer", "compare", "offline_figures", "sweep"]
