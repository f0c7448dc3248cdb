"""Packages of an extra: CI must have them, elsewhere the tests that need them are skipped and say so."""

import importlib
import os

import pytest


def needed(name: str):
    """The module."""
    return importlib.import_module(name) if os.environ.get("CI") else pytest.importorskip(name)
