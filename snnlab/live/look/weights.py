"""Reads the weights of a network: all of them for their distribution, those of a layer for what its neurons look at."""

import numpy as np
from flax import nnx

from snnlab.layers import LSTM
from snnlab.layers.operators import Conv
from snnlab.live.frames import wording
from snnlab.live.frames.weights import Fields
from snnlab.live.look.voltages import spiking
from snnlab.models import describe
from snnlab.support.transfers import transfers_allowed
from snnlab.variables import short_names

GATES = ("i", "f", "g", "o")  # side by side in the weights of an LSTM


@transfers_allowed()
def weights(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return the learned arrays of a model that have two axes or more, by name; of a model without any, all it learns.

    Example:
        >>> from snnlab import models
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
        >>> {name: values.shape for name, values in weights(net).items()}
        {'hidden.kernel': (64, 20), 'readout.kernel': (20, 10)}
    """
    state = nnx.state(model, nnx.Param)
    flat = dict(nnx.to_flat_state(state))
    found = {name: np.asarray(flat[path].get_value()) for name, path in short_names(state).items()}
    wide = {name: values for name, values in found.items() if values.ndim >= 2}
    names = list(describe(model).layers)
    place = {name: names.index(name.partition(".")[0]) for name in found if name.partition(".")[0] in names}
    chosen = wide or found
    return {name: chosen[name] for name in sorted(chosen, key=lambda name: place.get(name, len(names)))}


@transfers_allowed()
def fields(model: nnx.Module, layer: str, sample_shape: tuple[int, ...], *, events: bool = False) -> Fields | None:
    """Return the weights of every neuron of a layer; None if they are unknown, or if it has none of its own.

    The weights of a layer that reads the input of the network are images if it has one weight for every value of a
    sample.

    Args:
        model: such as a `Network` or a `Stack`.
        layer: name of the layer.
        sample_shape: of the data.
        events: the samples are lists of events.

    Example:
        >>> from snnlab import models
        >>> net = models.build(models.SnnConfig(hidden=20), sample_shape=(8, 6), num_classes=10)
        >>> [fields(net, name, (8, 6)).tiles.shape for name in ("hidden", "readout")]
        [(20, 8, 6), (10, 1, 20)]
    """
    known = describe(model)
    module = known.layers[layer].module if layer in known.layers else None
    if isinstance(module, LSTM):
        gates = np.asarray(module.w_x[...]).reshape(module.in_features, len(GATES), module.features)
        return Fields(tiles=np.moveaxis(gates, 2, 0).swapaxes(1, 2), pixels=False, labels=GATES, spiking=False)
    kernel = getattr(module, "kernel", None)
    if kernel is None:
        return None
    kernel, spikes = np.asarray(kernel[...]), spiking(model, layer) is not None
    if isinstance(module, Conv):  # one tile for each channel; channels of the input stand below each other
        tiles = kernel.reshape(len(kernel), -1, kernel.shape[-1])
        return Fields(tiles=tiles, pixels=kernel.ndim == 4, spiking=spikes)
    if kernel.ndim != 2:
        return None
    first = known.stack is not None and "input" in known.stack.sources[layer]
    noun = wording.weighted(len(kernel), sample_shape, first=first, events=events)
    if noun == "input" or len(sample_shape) == 1:
        return Fields(tiles=kernel.T[:, None], pixels=False, inputs=noun, spiking=spikes)
    tiles = kernel.T.reshape(-1, *sample_shape)
    if len(sample_shape) == 3 and sample_shape[2] <= 4 < sample_shape[0]:  # channels last: below each other, too
        tiles = np.moveaxis(tiles, 3, 1)
    tiles = tiles.reshape(len(tiles), -1, tiles.shape[-1])
    return Fields(tiles=tiles, pixels=True, inputs=noun, spiking=spikes)
