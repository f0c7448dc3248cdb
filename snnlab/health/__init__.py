"""How well the neurons of a network are: measured by a checkup, said in words by a diagnosis."""

from snnlab.health.checkup import FIRING_SHARE, Checkup, Health, LayerHealth, affordable
from snnlab.health.diagnosis import Diagnosis, diagnose, diverged

__all__ = ["FIRING_SHARE", "Checkup", "Diagnosis", "Health", "LayerHealth", "affordable", "diagnose", "diverged"]
