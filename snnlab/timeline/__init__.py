"""The time machine: points of a run that are kept while it trains, and the branches that leave them."""

from snnlab.timeline.timeline import Branch, Timeline

__all__ = ["Branch", "Timeline"]
