"""Pictures as pure functions of what happened, and the dashboard's Python half, without a browser."""

import numpy as np
import pytest

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.controls import Knob
from snnlab.history import History
from snnlab.live import LiveTrainer, panels
from snnlab.live.dashboard import make_figure, make_slider
from snnlab.live.probe import Prober


@pytest.mark.parametrize("count", [1, 7, 500, 501, 12_345])
def test_thinning_keeps_the_mean_and_the_end(count):
    values = np.random.default_rng(0).normal(size=count)
    x, y = panels.thin(values)
    assert len(x) == len(y) == min(count, 500) and x.dtype == y.dtype == np.float32
    assert x[-1] == count and (np.diff(x) > 0).all()
    np.testing.assert_allclose((y * np.diff(x, prepend=0)).sum() / count, values.mean(), atol=1e-6)


def test_curves_place_tests_at_the_ends_of_epochs():
    history = History()
    history.add_steps({"loss": np.arange(6.0), "epoch": np.repeat([1, 2], 3)})
    for epoch in (1, 2):
        history.add_epoch({"epoch": epoch, "test_loss": 0.1 * epoch, "test_acc": 0.5 * epoch})
    curves = panels.curves(history, steps_per_epoch=3)
    assert set(curves) == {"loss", "test_loss", "test_acc"}
    assert curves["test_acc"][0].tolist() == [3.0, 6.0] and curves["test_acc"][1].tolist() == [0.5, 1.0]


def test_every_curve_has_its_trace():
    figure = make_figure(["cross_entropy", "l1", "l2"], spiking=True)
    shown = [trace.meta for trace in figure.data]
    assert shown == ["loss", "test_loss", "accuracy", "test_acc", "cross_entropy", "l1", "l2", "spikes_per_sample"]
    styles = {
        (trace.line.color, trace.line.dash) for trace in figure.data if trace.meta in ("cross_entropy", "l1", "l2")
    }
    assert len({dash for _, dash in styles}) == 3  # told apart without colour


def test_canvas_frame_holds_the_probe(digits):
    net = models.build(SnnConfig(), sample_shape=(8, 8), num_classes=10)
    net.stack.layers["hidden"].kernel.set_value(4 * net.stack.layers["hidden"].kernel[...])
    probe = Prober(net, digits)(net, 5)
    record = net(digits.x_test[5:6])
    np.testing.assert_array_equal(probe.rasters["hidden"], record.spikes["hidden"][:, 0])
    assert list(probe.rasters) == ["input", "hidden"] and probe.rasters["hidden"].any()
    frame = panels.canvas_frame(probe, digits.class_names, 1.0)
    for raster, drawn in zip(probe.rasters.values(), frame["rasters"], strict=True):
        bits = np.unpackbits(np.frombuffer(drawn["bits"], np.uint8))[: raster.size].reshape(raster.shape)
        np.testing.assert_array_equal(bits, raster)
    np.testing.assert_array_equal(np.frombuffer(frame["readout"], np.float32).reshape(100, 10), record.readout[:, 0])
    assert frame["label"] == digits.y_test[5] and frame["prediction"] == int(record.readout.max(0)[0].argmax())
    assert f"true class {digits.y_test[5]}" in frame["summary"] and "hidden" in frame["summary"]


def test_probe_is_compiled_once(digits):
    net = models.build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
    prober = Prober(net, digits)
    assert [prober(net, k).label for k in range(3)] == digits.y_test[:3].tolist()
    assert prober._run._cache_size() == 1 and prober(net, 0).rasters == {}


@pytest.mark.parametrize("value", [0.0001, 0.3, 1.0, 5.0, 77.0])
@pytest.mark.parametrize("log", [False, True])
def test_sliders_start_exactly_at_their_value(value, log):
    """The browser snaps to a grid from `min` in steps of `step`: the value must lie on it, inside the range."""
    knob = Knob(name="a.b_c", value=value, low=0.0001 if log else 0.0, high=1.0, unit="ms", log=log)
    slider = make_slider(knob)
    position = np.log10(value) if log else value
    steps = (position - slider.min) / slider.step
    assert abs(steps - round(steps)) < 1e-6 and slider.value == value
    assert slider.description == "a · b c [ms]"


def test_a_frame_is_sent_only_when_something_changed(digits):
    net = models.build(SnnConfig(hidden=8, num_steps=20), sample_shape=(8, 8), num_classes=10)
    lab = LiveTrainer(net, digits.subset(train=128, test=32), epochs=1, batch_size=64, hz=1e-3)
    board = lab.dashboard
    lab.fit()
    lab._show()
    sent = board.pulse.ping
    lab._show()
    assert board.pulse.ping == sent and "done" in board.status.value and board.progress.value == 1.0
    assert [len(trace.x) for trace in board.figure.data][:2] == [2, 1]
    lab.set(v_th=0.7)
    lab._show()
    assert board.sliders["hidden.v_th"].value == 0.7
    board.sliders["hidden.v_th"].value = 0.9
    assert lab.trainer.mailbox.knobs["hidden.v_th"].value == 0.9


def test_the_export_button_writes_into_its_folder(digits, tmp_path):
    net = models.build(SnnConfig(hidden=8, num_steps=20), sample_shape=(8, 8), num_classes=10)
    lab = LiveTrainer(net, digits, epochs=1, folder=tmp_path / "exports")
    lab.dashboard.buttons["export"].click()
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["net-step-0.safetensors"]
    assert "net-step-0.safetensors" in lab.dashboard.message
    (tmp_path / "file").write_text("")
    lab.folder = tmp_path / "file"
    lab.dashboard.buttons["export"].click()
    assert "&#9888;" in lab.dashboard.message
