"""NIR, the Neuromorphic Intermediate Representation: networks for other simulators and chips, and back."""

from snnlab.export.nir.certificate import Agreement, Certificate, save_nir
from snnlab.export.nir.read import from_nir
from snnlab.export.nir.write import to_nir

__all__ = ["Agreement", "Certificate", "from_nir", "save_nir", "to_nir"]
