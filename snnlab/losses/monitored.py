"""Losses that look at more than the readout, as those of BrainPy's trainers: `Monitored`."""

import inspect
from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float

from snnlab.errors import ArgumentError
from snnlab.record import Record
from snnlab.support import arguments

SEEN = ("spikes", "state", "current")
"""What a layer is asked for: its spikes, its voltages after the reset, its input current."""


class Monitored:
    """A loss whose first argument is the pair `(predicts, mon)`, as BrainPy's trainers pass it with `monitors=`.

    `predicts` is the readout `(batch, time, class)`, and `mon` a dict of arrays `(batch, time, neuron)`. The loss
    itself is left as it stands.

    Args:
        loss: `(pair, targets) -> term`, or terms by name, or either of them with metrics by name.
        monitors: what `mon` has by which name: "hidden.spikes", "hidden.state" or "hidden.current" of a layer "hidden".

    Raises:
        ArgumentError: if the loss is no function, or a layer does not have what is asked for.

    Source: Wang et al. (2023), BrainPy, DOI 10.7554/eLife.86365.

    Example:
        >>> import jax.numpy as jnp
        >>> from snnlab.record import Trace
        >>> def loss_fun(predicts, targets):
        ...     predicts, mon = predicts
        ...     return jnp.max(predicts, axis=1).sum() + 0.1 * jnp.sum(mon["r.spike"])
        >>> hidden = Trace(state=jnp.zeros((5, 2, 3)), spikes=jnp.ones((5, 2, 3)))
        >>> record = Record(readout=jnp.ones((5, 2, 4)), layers={"hidden": hidden})
        >>> float(Monitored(loss_fun, {"r.spike": "hidden.spikes"})(record, jnp.zeros(2)))
        11.0
    """

    def __init__(self, loss, monitors):
        if not callable(loss):
            raise ArgumentError(f"loss: must be a function of a pair and targets, got {type(loss).__name__}")
        monitors = arguments.instance("monitors", monitors, Mapping, 'a dict, such as {"r.spike": "hidden.spikes"}')
        for name, place in monitors.items():
            if not isinstance(place, str) or place.rpartition(".")[2] not in SEEN or not place.rpartition(".")[0]:
                wanted = ", ".join(f'"hidden.{what}"' for what in SEEN)
                raise ArgumentError(f"monitors[{name!r}]: must be like one of {wanted}, got {place!r}")
        self.loss, self.monitors = loss, dict(monitors)
        first, *rest = inspect.signature(loss).parameters.values()
        self.__signature__ = inspect.Signature([first.replace(name="record"), *rest])  # mask and weights, if it asks
        self.__module__ = getattr(loss, "__module__", type(loss).__module__)  # whose code it is

    def __call__(self, record: Record, targets, **beside: Any):
        record = arguments.instance("record", record, Record, "a Record, as a network returns it")
        seen = {name: _seen(record, place).swapaxes(0, 1) for name, place in self.monitors.items()}
        return self.loss((record.readout.swapaxes(0, 1), seen), targets, **beside)


def _seen(record: Record, place: str) -> Float[Array, "time batch n"]:
    layer, _, what = place.rpartition(".")
    if layer not in record.layers:
        raise ArgumentError(f"monitors: there is no layer {layer!r}; there are {', '.join(record.layers) or 'none'}")
    values = getattr(record.layers[layer], what)
    if values is None:
        known = [name for name in SEEN if getattr(record.layers[layer], name) is not None]
        raise ArgumentError(f"monitors: the layer {layer!r} has no {what}, but {', '.join(known)}")
    return values
