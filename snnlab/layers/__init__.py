"""Flax NNX layers over whole sequences `(time, batch, neuron)`.

Time constants, thresholds and other parameters are numbers, arrays with one value per neuron, or Variables whose type
says who may change them; see `snnlab.variables`.
"""

from snnlab.layers.batch_norm import BatchNorm
from snnlab.layers.conv_projection import ConvProjection
from snnlab.layers.double_expon import DoubleExpon
from snnlab.layers.expon import Expon
from snnlab.layers.graph import Graph
from snnlab.layers.integrate_and_fire import IF
from snnlab.layers.leaky import Leaky
from snnlab.layers.lif import LifRef
from snnlab.layers.lstm import LSTM
from snnlab.layers.operators import Conv, Delay, Pool, Scale, Threshold
from snnlab.layers.projection import Projection
from snnlab.layers.recurrent import Recurrent
from snnlab.layers.stack import Stack

__all__ = [
    "IF",
    "LSTM",
    "BatchNorm",
    "Conv",
    "ConvProjection",
    "Delay",
    "DoubleExpon",
    "Expon",
    "Graph",
    "Leaky",
    "LifRef",
    "Pool",
    "Projection",
    "Recurrent",
    "Scale",
    "Stack",
    "Threshold",
]
