"""Models of a user's own, which workers import by their names."""

import os

import flax.nnx as nnx


def model(width: int, *, seed: int = 0):
    """Two linear layers; with 9 units it raises, with 13 its process ends as one that runs out of memory."""
    if width == 9:
        raise RuntimeError("no such width")
    if width == 13:
        os._exit(1)
    net = nnx.Sequential(lambda x: x.reshape(1, len(x), -1) / 255.0, nnx.Linear(64, width, rngs=nnx.Rngs(seed)))
    net.layers.append(nnx.Linear(width, 10, rngs=nnx.Rngs(seed + 1)))
    return net
