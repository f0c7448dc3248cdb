"""Watch spiking networks and LSTMs learn, and touch them while they do.

```python
import snnlab

digits = snnlab.load_data("digits")
net = snnlab.build(snnlab.SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
snnlab.LiveTrainer(net, digits)
```
"""

import importlib
import sys

from snnlab._namesake import warn_of_other_package
from snnlab.support.memory import keep_memory

__version__ = "0.1.0"

# Where each public name lives; imported when first used, so that `import snnlab` stays quick.
_HOMES = {
    "Checkpoints": "checkpoint",
    "Classification": "losses",
    "ConvConfig": "config",
    "Dataset": "data",
    "History": "history",
    "LiveStudy": "live",
    "LiveTrainer": "live",
    "LstmConfig": "config",
    "SnnConfig": "config",
    "Source": "data",
    "Timeline": "timeline",
    "Trainer": "train",
    "balanced": "balance",
    "build": "models",
    "compare": "live",
    "exhibit": "export",
    "from_nir": "export",
    "linear": "study",
    "load": "export",
    "load_data": "data",
    "log": "study",
    "offline_figures": "live",
    "save": "export",
    "save_nir": "export",
    "sweep": "live",
    "to_nir": "export",
}

warn_of_other_package(sys.path)
keep_memory()

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'snnlab' has no attribute {name!r}")
    home = importlib.import_module(f"snnlab.{_HOMES[name]}")
    return getattr(home, "load" if name == "load_data" else name)


def __dir__() -> list[str]:
    return __all__
