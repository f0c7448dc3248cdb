"""The exhibit: a trained network as one page that plays it, checks itself against Python, and needs no Python."""

from snnlab.export.exhibits.write import ExhibitReport, exhibit

__all__ = ["ExhibitReport", "exhibit"]
