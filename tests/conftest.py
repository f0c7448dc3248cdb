"""Shared fixtures: where the reference data lies, and small real data to train on."""

import os
from pathlib import Path

import pytest

from snnlab import data

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout. CI must have it; elsewhere its tests are skipped."""
    if not SHARED.is_dir():
        message = f"no reference data in {SHARED}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return SHARED


@pytest.fixture(scope="session")
def digits() -> data.Dataset:
    """Real 8x8 digits."""
    return data.load("digits")
