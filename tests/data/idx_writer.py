"""Writes the idx format from its definition, for the tests of what reads it."""

import struct

import numpy as np


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    """An array as an idx file; `code` is the format's number for its type."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()
