# What `snnlab.` offers, for editors and type checkers: at run time each name is imported when it is first used.
from snnlab.balance import balanced as balanced
from snnlab.checkpoint import Checkpoints as Checkpoints
from snnlab.config import ConvConfig as ConvConfig
from snnlab.config import LstmConfig as LstmConfig
from snnlab.config import SnnConfig as SnnConfig
from snnlab.data import Dataset as Dataset
from snnlab.data import Source as Source
from snnlab.data import load as load_data
from snnlab.export import exhibit as exhibit
from snnlab.export import from_nir as from_nir
from snnlab.export import load as load
from snnlab.export import save as save
from snnlab.export import save_nir as save_nir
from snnlab.export import to_nir as to_nir
from snnlab.history import History as History
from snnlab.live import LiveStudy as LiveStudy
from snnlab.live import LiveTrainer as LiveTrainer
from snnlab.live import compare as compare
from snnlab.live import offline_figures as offline_figures
from snnlab.live import sweep as sweep
from snnlab.losses import Classification as Classification
from snnlab.models import build as build
from snnlab.study import linear as linear
from snnlab.study import log as log
from snnlab.timeline import Timeline as Timeline
from snnlab.train import Trainer as Trainer

__all__ = [
    "Checkpoints",
    "Classification",
    "ConvConfig",
    "Dataset",
    "History",
    "LiveStudy",
    "LiveTrainer",
    "LstmConfig",
    "SnnConfig",
    "Source",
    "Timeline",
    "Trainer",
    "__version__",
    "balanced",
    "build",
    "compare",
    "exhibit",
    "from_nir",
    "linear",
    "load",
    "load_data",
    "log",
    "offline_figures",
    "save",
    "save_nir",
    "sweep",
    "to_nir",
]

__version__: str
