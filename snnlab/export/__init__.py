"""Trained networks out of the house and back: safetensors."""

from snnlab.export.tensors import load, save

__all__ = ["load", "save"]
