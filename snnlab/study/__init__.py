"""Studies: many networks, one for each combination of the values that are asked for."""

from snnlab.study.cells import Axis, Cell, Fate, Row
from snnlab.study.engines.dask import Dask
from snnlab.study.engines.slurm import Slurm
from snnlab.study.pareto import Choice
from snnlab.study.space import linear, log
from snnlab.study.study import Study, sweep

__all__ = ["Axis", "Cell", "Choice", "Dask", "Fate", "Row", "Slurm", "Study", "linear", "log", "sweep"]
