"""The layers of a network, and the neurons and synapses inside them."""

from typing import Any

from snnlab.layers import Stack


def parts(stack: Stack) -> list[tuple[str, Any]]:
    """Return the layers, then the neurons and synapses inside them, each with the name of its layer.

    Example:
        >>> from flax import nnx
        >>> from snnlab.layers import Expon, Leaky, LifRef, Projection
        >>> hidden = Projection(3, LifRef(2), synapse=Expon(2), rngs=nnx.Rngs(0))
        >>> [(name, type(part).__name__) for name, part in parts(Stack(hidden=hidden, readout=Leaky(2)))]
        [('hidden', 'Projection'), ('readout', 'Leaky'), ('hidden', 'LifRef'), ('hidden', 'Expon')]
    """
    layers = [(name, stack.layers[name]) for name in stack.names]
    inner = [(name, getattr(layer, part, None)) for name, layer in layers for part in ("neuron", "synapse")]
    return layers + [(name, part) for name, part in inner if part is not None]
