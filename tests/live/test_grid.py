"""Positions of a slider: ipywidgets compute them in Python, the page in JavaScript; one table holds for both."""

import json
from pathlib import Path

import pytest

from snnlab.controls import Knob
from snnlab.live.widgets.twins import Grid

CASES = json.loads((Path(__file__).parents[1] / "js" / "grid.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["knob"]))
def test_positions_and_values_stand_in_the_table(case):
    """It follows from `value + p (top - low) / 400` and `value 10**(p / 100)`; tests/js/grid.test.js reads it, too."""
    grid = Grid(Knob(name="any", **case["knob"]))
    assert (grid.bottom, grid.top) == (case["bottom"], case["top"])
    assert [[at, grid.value(at)] for at, _ in case["values"]] == case["values"]
    assert [[value, grid.position(value)] for value, _ in case["positions"]] == case["positions"]
