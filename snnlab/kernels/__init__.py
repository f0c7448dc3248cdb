"""The dynamics over whole sequences: what the layers call."""

from snnlab.kernels.reference import expon, leaky, lif, lstm, project

__all__ = ["expon", "leaky", "lif", "lstm", "project"]
