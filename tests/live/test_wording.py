"""Words for what is shown: true of images, tables, rows of steps and events, of networks that spike and that do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.live.frames import scenes
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.frames.weights import fields_frame
from snnlab.live.look.weights import fields
from snnlab.support.numbers import distinct


def titles(config, shape, *, events=False, classes=3) -> tuple[str, str]:
    """What the tab with the weights and the one with a neuron say of the first layer."""
    net = models.build(config, sample_shape=shape, num_classes=classes)
    sheet = fields(net, "hidden", shape, events=events)
    weights = sheet.tiles[0] if sheet.labels else sheet.tiles[0].ravel()
    one = Neuron(layer="hidden", unit=0, weights=weights, first=True)
    states = {"hidden": np.zeros((4, len(sheet.tiles))), "readout": np.zeros((4, classes))}
    rasters = {"hidden": np.zeros((4, len(sheet.tiles)), bool)} if sheet.spiking else {}
    sample = np.zeros((shape[0] * shape[1], shape[2]) if events else shape)
    probe = Probe(
        sample=sample, rasters=rasters, states=states, readout=states["readout"], label=0, prediction=1, events=events
    )
    frame = scenes.neuron_frame(probe, one, "abc", None)
    return fields_frame(sheet)["words"].partition(", ")[0], frame["weights"]["title"]


@pytest.mark.parametrize(
    ("config", "shape", "events", "expected"),
    [
        (SnnConfig(hidden=5), (8, 6), False, ("weights of 5 neurons from 48 pixels", "weights of 48 pixels")),
        (SnnConfig(hidden=5), (13,), False, ("weights of 5 neurons from 13 features", "weights of 13 features")),
        (LstmConfig(hidden=5), (8, 6), False, ("weights of 5 units from 6 inputs", "weights of 6 inputs")),
        (
            SnnConfig(hidden=5, code="events"),
            (2, 4, 3),
            True,
            ("weights of 5 neurons from 24 channels", "weights of 24 channels"),
        ),
    ],
)
def test_inputs_are_called_what_they_are(config, shape, events, expected):
    assert titles(config, shape, events=events) == expected


LONG = st.text("ab ", min_size=0, max_size=40)


@given(st.lists(LONG, min_size=1, max_size=8, unique=True), st.integers(8, 20))
def test_long_names_fit_and_names_that_differ_early_stay_different(names, most):
    short = distinct(names, most)
    assert all(len(cut) <= most for cut in short)
    assert all(cut == name for cut, name in zip(short, names, strict=True) if len(name) <= most)


def test_a_hundred_classes_that_end_in_a_number_are_told_apart():
    names = [f"the long-winded name of a class of things, number {k}" for k in range(100)]
    short = distinct(names)
    assert len(set(short)) == 100 and all(str(k) in cut for k, cut in enumerate(short))
