"""Trained networks out of the house and back: safetensors and NIR."""

from snnlab.export.nir import Agreement, Certificate, from_nir, save_nir, to_nir
from snnlab.export.tensors import load, load_metadata, save

FORMATS = (".safetensors", ".nir")
"""How the names of exported files end."""

__all__ = ["FORMATS", "Agreement", "Certificate", "from_nir", "load", "load_metadata", "save", "save_nir", "to_nir"]
