"""Export trained networks and load them again: safetensors and NIR; or show them as a page."""

from snnlab.export.exhibits import ExhibitReport, exhibit
from snnlab.export.nir import Agreement, Certificate, from_nir, save_nir, to_nir
from snnlab.export.tensors import load, load_metadata, save

FORMATS = (".safetensors", ".nir")
"""File name extensions of exported networks."""

__all__ = ["FORMATS", "Agreement", "Certificate", "ExhibitReport", "exhibit", "from_nir"]
__all__ += ["load", "load_metadata", "save", "save_nir", "to_nir"]
