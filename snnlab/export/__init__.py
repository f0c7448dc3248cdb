"""Export trained networks and load them again: safetensors and NIR; or show them, see `snnlab.export.exhibit`."""

from snnlab.export.nir import Agreement, Certificate, from_nir, save_nir, to_nir
from snnlab.export.tensors import load, load_metadata, save

FORMATS = (".safetensors", ".nir")
"""File name extensions of exported networks."""

__all__ = ["FORMATS", "Agreement", "Certificate", "from_nir", "load", "load_metadata", "save", "save_nir", "to_nir"]
