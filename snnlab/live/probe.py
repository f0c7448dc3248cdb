"""One sample through the network as it is now: what the raster shows."""

from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Shaped

from snnlab.data import Dataset
from snnlab.events import Events
from snnlab.step import run_model


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the network did with one sample.

    Attributes:
        sample: the sample itself.
        rasters: spikes of the input (where it is spikes) and of every spiking layer, by name.
        readout: the readout traces.
        label: index of the true class.
        prediction: index of the class with the highest trace.
    """

    sample: Shaped[np.ndarray, "..."]
    rasters: dict[str, Bool[np.ndarray, "time n"]]
    readout: Float[np.ndarray, "time cls"]
    label: int
    prediction: int


class Prober:
    """Runs a model on single test samples; compiled once for all samples and all weights.

    Args:
        model: tells the structure; the values come with every call.
        data: where the samples are.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits")
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> probe = Prober(net, digits)(net, 3)
        >>> probe.readout.shape, {name: raster.shape for name, raster in probe.rasters.items()}
        ((100, 10), {'input': (100, 64), 'hidden': (100, 20)})
    """

    def __init__(self, model: nnx.Module, data: Dataset):
        self._data = data
        graphdef = nnx.graphdef(model)

        @jax.jit
        def run(state, x):
            model = nnx.merge(graphdef, state)
            record = run_model(model, x, jax.random.key(0))
            rasters = {name: spikes[:, 0] > 0 for name, spikes in record.spikes.items()}
            encoder = getattr(model, "encoder", None)
            code = encoder(x, key=jax.random.key(0)) if encoder is not None and rasters else None
            if code is not None:
                dense = code.dense() if isinstance(code, Events) else code
                rasters = {"input": dense[:, 0] > 0, **rasters}
            return rasters, record.readout[:, 0]

        self._run = run

    def __call__(self, model: nnx.Module, index: int) -> Probe:
        """Run test sample `index`."""
        sample = self._data.x_test[index]
        rasters, readout = self._run(nnx.state(model), sample[None])
        readout = np.asarray(readout)
        names = ["input", *(name for name in rasters if name != "input")] if "input" in rasters else list(rasters)
        return Probe(
            sample=sample,
            rasters={name: np.asarray(rasters[name]) for name in names},
            readout=readout,
            label=int(self._data.y_test[index]),
            prediction=int(readout.max(0).argmax()),
        )
