"""The guided tour: what it says and moves, for networks that have much or little to show."""

import re

import numpy as np
import pytest
from networks import make_trainer

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.controls import Knob
from snnlab.live import display
from snnlab.live.frames.about import PARTS, about_frame
from snnlab.live.frames.paper import paper_of
from snnlab.live.frames.status import PANELS
from snnlab.live.frames.tour import farther, shorter
from snnlab.live.look.prober import Prober
from snnlab.train import Trainer

PLACES = ("head", "curves", "raster", "voltages", "tabs")
TABS = ("", "Learn", "Look inside", "Health", "Errors", "Weights", "Run")


def about_of(trainer: Trainer, show=PANELS) -> dict:
    """As the display makes it."""
    return display.about_of(trainer, structure={}, folder="exports", show=show, paper=paper_of(trainer.data))


def moves(about: dict) -> dict[str, float]:
    return {stop["move"]["knob"]: stop["move"]["value"] for stop in about["tour"] if stop["move"]}


@pytest.mark.parametrize("show", [PANELS, ("curves", "raster"), ("raster",), ("curves",), ("health",), ()])
@pytest.mark.parametrize("config", [SnnConfig(hidden=32, num_steps=40), LstmConfig(hidden=16)])
def test_it_speaks_of_what_there_is(small, config, show):
    """Its parts and tabs exist, sentences are at most two, moves stay on their sliders, and it is six stops long."""
    about = about_of(make_trainer(small, config), show)
    knobs = {knob["name"]: knob for knob in about["knobs"]}
    tabs = {"Learn": "curves", "Look inside": "raster", "Health": "health", "Errors": "raster", "Weights": "raster"}
    stops = about["tour"]
    assert stops[0]["press"] and not any(stop["press"] for stop in stops[1:])
    assert len(stops) <= 6 and (len(stops) == 6 or len(show) < len(PANELS))
    for stop in stops:
        assert stop["tab"] in TABS and tabs.get(stop["tab"], "") in ("", *show)
        shown = {"head", "tabs", *knobs, *show, *(["voltages"] if "raster" in show else [])}
        assert stop["at"] and set(stop["at"]) <= shown
        assert 1 <= len(re.findall(r"\.(?: |$)", stop["words"])) <= 2 and stop["words"].endswith(".")
    for name, value in moves(about).items():
        assert knobs[name]["low"] <= value <= knobs[name]["high"] and value != knobs[name]["value"]
    assert set(PLACES) - {"tabs"} <= set(PARTS)


def test_it_moves_the_knobs_of_the_first_layer(small):
    assert moves(about_of(make_trainer(small))) == {"hidden.v_th": 3.7, "hidden.tau_syn": 2.0}
    assert moves(about_of(make_trainer(small), ("curves", "health"))) == {}  # nothing would show it
    lstm = about_of(make_trainer(small, LstmConfig(hidden=16)))
    said = " ".join(stop["words"] for stop in lstm["tour"])
    assert moves(lstm) == {} and not re.search("spike|threshold|neuron", said)


@pytest.mark.parametrize("knob", [(1.0, 0.01, 4.0), (-50.0, -64.85, -5.0), (4.0, 0.01, 4.0), (9.0, 0.01, 4.0)])
def test_a_threshold_rises_if_there_is_room(knob):
    value, low, high = knob
    raised = farther(value, high)
    assert (raised is None) == (value >= high)
    assert raised is None or (value < raised <= high and low <= raised)


@pytest.mark.parametrize("knob", [(10.0, 1.0), (3.0, 1.0), (1.0, 1.0), (0.5, 1.0)])
def test_a_time_constant_falls_if_there_is_room(knob):
    value, low = knob
    found = shorter(value, low)
    assert (found is None) == (value <= low)
    assert found is None or low <= found < value


@pytest.mark.parametrize("epochs", [0, 4])
def test_the_threshold_silences_the_layer(digits, epochs):
    """On real digits, before training and after it, the spikes of the hidden layer fall by at least half; a shorter
    current of each spike lets fewer arrive at the threshold."""
    net = models.build(SnnConfig(hidden=100, v_th=0.5), sample_shape=digits.sample_shape, num_classes=10)
    trainer = Trainer(net, digits, epochs=4, batch_size=64)
    if epochs:
        trainer.fit(epochs)
    prober = Prober(net, digits, trainer.loss)

    def spikes() -> int:
        model, _ = trainer.preview()
        return int(np.sum([prober(model, sample).rasters["hidden"].sum() for sample in range(20)]))

    before, found = spikes(), moves(about_of(trainer))
    assert before > 100
    trainer.mailbox.try_out("hidden.v_th", found["hidden.v_th"])
    assert spikes() <= before / 2
    trainer.mailbox.stop_trying()
    assert spikes() == before
    trainer.mailbox.try_out("hidden.tau_syn", found["hidden.tau_syn"])
    assert spikes() < before


def test_without_room_it_moves_nothing():
    """A threshold that is at the end of its slider already is spoken of, but not moved."""
    knob = Knob(name="hidden.v_th", value=4.0, low=0.01, high=4.0)
    common = {"order": ["hidden"], "layers": ["hidden"], "terms": ["loss"], "spiking": True, "samples": 1}
    about = about_frame(
        {knob.name: knob}, **common, classes=["a"], structure={}, folder="", show=PANELS, paper="no images"
    )
    stop = next(stop for stop in about["tour"] if "hidden.v_th" in stop["at"])
    assert stop["move"] is None and stop["words"].startswith("Drag it up")
