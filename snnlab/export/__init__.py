"""Trained networks out of the house and back: safetensors and NIR."""

from snnlab.export.certificate import Agreement, Certificate, save_nir
from snnlab.export.nir_read import from_nir
from snnlab.export.nir_write import to_nir
from snnlab.export.tensors import load, load_metadata, save

FORMATS = (".safetensors", ".nir")
"""How the names of exported files end."""

__all__ = ["FORMATS", "Agreement", "Certificate", "from_nir", "load", "load_metadata", "save", "save_nir", "to_nir"]
