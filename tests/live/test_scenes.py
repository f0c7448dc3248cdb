"""What the canvases are sent: it decodes to what the network did, in the order and the size that was promised."""

import json

import numpy as np
import pytest
from flax import nnx

from snnlab import data, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.encode import Rows
from snnlab.errors import ArgumentError
from snnlab.health import Health, LayerHealth
from snnlab.layers import Expon, LifRef, Recurrent, Stack
from snnlab.live.frames import scenes
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.frames.voltages import Spiking
from snnlab.live.look.prober import Prober, neuron

NAMES = tuple("abcdefghijk")


def bits(encoded: bytes, columns: int, units: int = 1) -> np.ndarray:
    return np.unpackbits(np.frombuffer(encoded, np.uint8))[: columns * units].reshape(columns, units).astype(bool)


def pixels(image: dict) -> np.ndarray:
    return np.frombuffer(image["bytes"], np.uint8).reshape(image["rows"], image["columns"])


def weights(image: dict) -> np.ndarray:
    """Back from colours to numbers; off by no more than half a step of `scale / 127`."""
    return (pixels(image).astype(float) - 128) * image["scale"] / 127


def order(frame: dict, layer: str = "hidden") -> list[int]:
    return np.frombuffer(frame["layers"][layer]["order"], np.int32).tolist()


def make_probe(hidden: np.ndarray, classes: int = 3, **parts) -> Probe:
    rng = np.random.default_rng(0)
    readout = rng.normal(size=(len(hidden), classes)).astype(np.float32)
    voltage = rng.normal(size=hidden.shape).astype(np.float32) if hidden.dtype == bool else hidden
    states = {"hidden": voltage, "readout": readout}
    rasters = {"input": rng.random((len(hidden), 6)) < 0.3, "hidden": hidden}
    common = {"sample": np.arange(6.0).reshape(2, 3), "rasters": rasters, "states": states, "readout": readout}
    return Probe(**common | {"label": 1, "prediction": int(readout.max(0).argmax())} | parts)


@pytest.fixture(scope="module")
def seen(digits):
    """A network whose neurons fire, and what it did with a digit."""
    net = models.build(SnnConfig(hidden=20, tau_ref=2.0), sample_shape=(8, 8), num_classes=10)
    net.stack.layers["hidden"].kernel.set_value(4 * net.stack.layers["hidden"].kernel[...])
    return net, Prober(net, digits)(net, 5)


def test_probe_holds_what_the_network_did(digits, seen):
    net, probe = seen
    hidden, readout = nnx.jit(lambda net, x: [trace[:2] for trace in net(x).layers.values()])(net, digits.x_test[5:6])
    assert list(probe.rasters) == ["input", "hidden"] and list(probe.states) == ["hidden", "readout"]
    np.testing.assert_array_equal(probe.states["hidden"], hidden[0][:, 0])
    np.testing.assert_array_equal(probe.rasters["hidden"], hidden[1][:, 0])
    np.testing.assert_array_equal(probe.states["readout"], readout[0][:, 0])
    assert probe.prediction == int(readout[0].max(0)[0].argmax()) and probe.label == digits.y_test[5]


def test_layers_are_probed_in_their_order(digits):
    """Names in no alphabetical order come back as they were given."""
    rngs = nnx.Rngs(0)
    sizes = {"zebra": (8, 7), "ape": (7, 5), "out": (5, 10)}
    net = models.Network(Rows(), Stack(**{name: nnx.Linear(*size, rngs=rngs) for name, size in sizes.items()}))
    probe = Prober(net, digits)(net, 0)
    assert list(probe.states) == ["zebra", "ape", "out"] and probe.rasters == {}
    scene = scenes.raster_scene(probe, digits.class_names, 1.0)
    assert scene["layers"] == ["zebra", "ape"] and scene["readout"] == "out"
    assert scene["units"] == {"zebra": 7, "ape": 5, "out": 10}
    one = scenes.raster_scene(probe, digits.class_names, 1.0, "ape")
    assert one["layers"] == ["ape"] and one["image"] == scene["image"]
    assert list(scenes.raster_frame(probe, digits.class_names, "ape")["layers"]) == ["ape"]
    with pytest.raises(ArgumentError, match="layer: must be one of 'all', 'zebra', 'ape', 'out', got 'cow'"):
        scenes.raster_scene(probe, digits.class_names, 1.0, "cow")


def test_scene_and_frame_decode_to_the_probe(digits, seen):
    _, probe = seen
    scene = scenes.raster_scene(probe, digits.class_names, 1.0)
    frame = scenes.raster_frame(probe, digits.class_names)
    np.testing.assert_array_equal(bits(scene["input"]["bits"], 100, 64), probe.rasters["input"])
    np.testing.assert_array_equal(bits(frame["layers"]["hidden"]["bits"], 100, 20), probe.rasters["hidden"])
    np.testing.assert_array_equal(np.frombuffer(frame["readout"], np.float32).reshape(100, 10), probe.readout)
    np.testing.assert_array_equal(pixels(scene["image"]), np.floor(probe.sample * (255.0 / probe.sample.max())))
    assert (scene["steps"], scene["cell"], scene["dt"], scene["label"]) == (100, 1, 1.0, digits.y_test[5])
    count = probe.rasters["hidden"].sum()
    assert count > 0 and f"hidden {count} spikes" in frame["summary"]
    assert f"true class {digits.y_test[5]}, predicted {probe.prediction}" in frame["summary"]
    assert frame["neuron"] is None and frame["layers"]["hidden"]["title"] == f"hidden: {count} spikes, 20 neurons"


def test_the_scene_does_not_change_while_the_network_learns(digits, seen):
    net, probe = seen
    other = models.build(SnnConfig(hidden=20), sample_shape=(8, 8), num_classes=10, seed=1)
    later = Prober(net, digits)(other, 5)
    scene = [scenes.raster_scene(what, digits.class_names, 1.0) for what in (probe, later)]
    assert scene[0] == scene[1] and not np.array_equal(probe.readout, later.readout)


def test_units_are_sorted_by_first_spike_and_rate():
    """Stable: equal units stay in the order of their index; the silent ones come last."""
    hidden = np.zeros((5, 4), bool)
    hidden[3, 0] = hidden[1, 2] = hidden[[1, 2, 3], 3] = True
    probe = make_probe(hidden)
    assert order(scenes.raster_frame(probe, NAMES, sort="index")) == [0, 1, 2, 3]
    assert order(scenes.raster_frame(probe, NAMES, sort="first spike")) == [2, 3, 0, 1]
    frame = scenes.raster_frame(probe, NAMES, sort="rate")
    assert order(frame) == [3, 0, 2, 1]
    np.testing.assert_array_equal(bits(frame["layers"]["hidden"]["bits"], 5, 4), hidden[:, [3, 0, 2, 1]])
    assert frame["layers"]["hidden"]["title"] == "hidden: 5 spikes, 4 neurons, sorted by rate"
    with pytest.raises(ArgumentError, match="sort: must be one of 'index', 'first spike', 'rate'"):
        scenes.raster_frame(probe, NAMES, sort="colour")


def test_of_many_neurons_some_are_drawn():
    hidden = np.zeros((3, 1000), bool)
    frame = scenes.raster_frame(make_probe(hidden), NAMES)
    shown = order(frame)
    assert len(shown) == 256 and shown[0] == 0 and shown[-1] == 999
    assert set(np.diff(shown)) <= {3, 4} and "256 of 1,000 neurons" in frame["layers"]["hidden"]["title"]


@pytest.mark.parametrize("steps", [1, 8, 400, 401, 997, 5003])
def test_long_sequences_are_thinned(steps):
    """At most 400 columns; no spike and no extreme of a trace is lost, and it stays in its place."""
    rng = np.random.default_rng(steps)
    hidden = rng.random((steps, 7)) < 0.01
    probe = make_probe(hidden)
    scene, frame = scenes.raster_scene(probe, NAMES, 0.1), scenes.raster_frame(probe, NAMES)
    columns = -(-steps // scene["cell"])
    assert columns <= 400 and (scene["cell"] == 1) == (steps <= 400)
    times, units = np.nonzero(hidden)
    drawn = np.zeros((columns, 7), bool)
    drawn[times // scene["cell"], units] = True
    np.testing.assert_array_equal(bits(frame["layers"]["hidden"]["bits"], columns, 7), drawn)
    traces = np.frombuffer(frame["readout"], np.float32).reshape(-1, 3)
    assert len(traces) <= 402
    np.testing.assert_array_equal(traces.max(0), probe.readout.max(0))
    np.testing.assert_array_equal(traces.min(0), probe.readout.min(0))
    peak = probe.readout.argmax(0) / scene["cell"]
    assert (np.abs(traces.argmax(0) + 0.5 - peak) <= 2).all()


def test_of_many_classes_the_highest_and_the_true_one_are_shown():
    probe = make_probe(np.zeros((50, 4), bool), classes=100, label=77)
    frame = scenes.raster_frame(probe, [str(k) for k in range(100)])
    highest = set((-probe.readout.max(0)).argsort()[:9].tolist())
    assert len(frame["shown"]) == 10 and highest | {77} <= set(frame["shown"])
    traces = np.frombuffer(frame["readout"], np.float32).reshape(50, 10)
    np.testing.assert_array_equal(traces, probe.readout[:, frame["shown"]])


def test_a_neuron_is_told_by_its_constants_and_weights(seen):
    net, probe = seen
    kernel = np.asarray(net.stack.layers["hidden"].kernel[...])
    unit = int(probe.rasters["hidden"].sum(0).argmax())
    frame = scenes.neuron_frame(probe, neuron(net, "hidden", unit), NAMES, 1.0)
    count = int(probe.rasters["hidden"][:, unit].sum())
    words = "tau_mem 10 ms, tau_syn 10 ms, tau_ref 2 ms, v_th 1"
    assert frame["title"].startswith(f"hidden neuron {unit}: {words}, {count} spike")
    assert f"({10 * count} Hz)" in frame["title"] and frame["threshold"] == 1.0  # 100 steps of 1 ms
    np.testing.assert_array_equal(np.frombuffer(frame["trace"], np.float32), probe.states["hidden"][:, unit])
    np.testing.assert_array_equal(bits(frame["spikes"], 100)[:, 0], probe.rasters["hidden"][:, unit])
    image = frame["weights"]
    np.testing.assert_allclose(weights(image), kernel[:, unit].reshape(8, 8), atol=0.51 * image["scale"] / 127)
    assert image["scale"] == np.abs(kernel[:, unit]).max() and image["title"] == "weights of 64 pixels"


@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_a_voltage_is_drawn_to_its_threshold_then_to_its_reset(reset):
    """A neuron under a constant current, step by step as the equation says: it reaches the threshold, and is reset."""
    a, v_th, v_reset, v_rest, steps = np.exp(-0.1), 1.2, 0.3, 0.1, 60
    before, after, spikes, v = np.empty(steps), np.empty(steps), np.zeros(steps, bool), v_rest
    for t in range(steps):
        before[t] = v_rest + (v - v_rest) * a + (1 - a) * 3.0
        spikes[t] = before[t] >= v_th
        v = before[t] if not spikes[t] else v_reset if reset == "value" else before[t] - (v_th - v_reset)
        after[t] = v
    probe = make_probe(after[:, None].astype(np.float32), rasters={"hidden": spikes[:, None]})
    known = Spiking(v_th=np.array(v_th), v_rest=np.array(v_rest), v_reset=np.array(v_reset), reset=reset)
    frame = scenes.neuron_frame(probe, Neuron(layer="hidden", unit=0), NAMES, 1.0, known)
    drawn = before if reset == "subtract" else np.where(spikes, v_th, before)
    assert 3 < spikes.sum() < steps
    np.testing.assert_allclose(np.frombuffer(frame["trace"], np.float32), drawn, rtol=1e-6)
    np.testing.assert_allclose(np.frombuffer(frame["after"], np.float32), after, rtol=1e-6)
    plain = scenes.neuron_frame(probe, Neuron(layer="hidden", unit=0), NAMES, 1.0)
    np.testing.assert_allclose(np.frombuffer(plain["trace"], np.float32), after, rtol=1e-6)
    assert plain["after"] is None


def test_weights_of_other_layers_are_one_strip(seen):
    """Also where their number happens to be that of the pixels."""
    net, probe = seen
    frame = scenes.neuron_frame(probe, neuron(net, "readout", 3), NAMES, 1.0)
    assert frame["title"] == "readout unit 3 (class d): tau_mem 5 ms, tau_syn 10 ms" and frame["spikes"] is None
    assert (frame["weights"]["rows"], frame["weights"]["columns"]) == (1, 20) and frame["threshold"] is None
    same_size = Neuron(layer="readout", unit=0, weights=np.zeros(64, np.float32))
    assert scenes.neuron_frame(probe, same_size, NAMES, 1.0)["weights"]["rows"] == 1


def test_constants_may_differ_between_neurons():
    values = np.array([5.0, 7.0], np.float32)
    layer = Recurrent(3, LifRef(2, tau_mem=nnx.Param(values)), synapse=Expon(2, tau_syn=2 * values), rngs=nnx.Rngs(0))
    one = neuron(Stack(only=layer), "only", 1)
    assert one.constant("tau_mem") == 7.0 and one.constant("tau_syn") == 14.0 and one.first
    with pytest.raises(ArgumentError, match=r"unit: must be in 0\.\.1, .* got 2"):
        neuron(Stack(only=layer), "only", 2)


def test_an_lstm_is_shown_by_its_output():
    net = models.build(LstmConfig(hidden=6), sample_shape=(8, 8), num_classes=10)
    probe = make_probe(np.random.default_rng(2).normal(size=(8, 6)).astype(np.float32), rasters={})
    scene = scenes.raster_scene(probe, NAMES, None)
    assert scene["input"] is None and scene["layers"] == ["hidden"]
    frame = scenes.raster_frame(probe, NAMES, sort="rate")
    state, image = probe.states["hidden"], frame["layers"]["hidden"]["image"]
    by_size = (-np.abs(state).mean(0)).argsort(kind="stable")
    assert order(frame) == by_size.tolist()
    np.testing.assert_allclose(weights(image), state[:, by_size].T, atol=0.51 * image["scale"] / 127)
    unit = scenes.neuron_frame(probe, neuron(net, "hidden", 4), NAMES, None)
    gates = np.asarray(net.stack.layers["hidden"].w_x[...]).reshape(8, 4, 6)[:, :, 4].T  # input, gate, unit
    np.testing.assert_allclose(weights(unit["weights"]), gates, atol=0.51 * unit["weights"]["scale"] / 127)
    assert unit["title"] == "hidden unit 4" and unit["weights"]["labels"] == list("ifgo")


def test_any_model_gives_image_and_readout(digits):
    class Plain(nnx.Module):
        def __call__(self, x):
            return x.reshape(1, len(x), 64)[..., :10].astype("float32") * 1.0

    net = Plain()
    probe = Prober(net, digits)(net, 0)
    scene, frame = scenes.raster_scene(probe, NAMES, None), scenes.raster_frame(probe, NAMES)
    assert scene["layers"] == [] and scene["readout"] is None and frame["layers"] == {}
    assert np.frombuffer(frame["readout"], np.float32).tolist() == probe.readout[0].tolist()
    assert neuron(net, "hidden", 0) == Neuron(layer="hidden", unit=0)


@pytest.mark.parametrize(
    ("shape", "drawn"), [((4,), (1, 4)), ((8, 8), (8, 8)), ((50, 3), (50, 3)), ((2, 4, 5), (8, 5))]
)
def test_samples_of_every_shape_become_an_image(shape, drawn):
    sample = np.random.default_rng(0).normal(size=shape)
    image = scenes.raster_scene(make_probe(np.zeros((5, 4), bool), sample=sample), NAMES, None)["image"]
    assert pixels(image).shape == drawn and pixels(image).min() == 0 and pixels(image).max() >= 254


def make_health(**layer) -> Health:
    hidden = LayerHealth(**{"name": "hidden", "gradient": 0.5} | layer)
    readout = LayerHealth(name="readout", gradient=float("nan"))
    return Health(
        step=12, samples=64, loss=1.0, accuracy=0.5, layers=(hidden, readout), readout_spread=1.0, finite=False
    )


def test_rates_are_counted_apart_from_the_dead_and_the_saturated():
    rates = np.concatenate([np.zeros(3), np.full(2, 900.0), [5.0, 15.0, 42.0]])
    health = make_health(rates=rates, max_rate=1000.0, dead=3, saturated=2, in_window=0.375)
    shown, other = scenes.health_frame(health)["layers"]
    histogram = shown["rates"]
    assert histogram["words"] == "3 dead, 3 healthy, 2 saturated of 8" and histogram["top"] == 50.0
    assert sum(histogram["counts"]) == 3 and np.nonzero(histogram["counts"])[0].tolist() == [2, 6, 16]  # bins of 2.5 Hz
    assert shown["words"][1] == "38% in the surrogate window" and other["rates"] is None


@pytest.mark.parametrize(
    ("rates", "dead", "saturated"), [(np.zeros(4), 4, 0), (np.full(4, 1000.0), 0, 4), (np.full(4, 1e-3), 0, 0)]
)
def test_histograms_at_the_edges(rates, dead, saturated):
    histogram = scenes.health_frame(make_health(rates=rates, dead=dead, saturated=saturated))["layers"][0]["rates"]
    assert sum(histogram["counts"]) == 4 - dead - saturated and histogram["top"] > 0


def test_gradients_that_are_not_finite_are_said_and_sent():
    trace = np.geomspace(1e-9, 1.0, 1000)
    shown, broken = scenes.health_frame(make_health(gradient_over_time=trace))["layers"]
    drawn = np.frombuffer(shown["over_time"], np.float32)
    assert len(drawn) <= 402 and shown["steps"] == 1000 and shown["gradient_words"] == "0.5"
    np.testing.assert_allclose([drawn.min(), drawn.max()], [1e-9, 1.0], rtol=1e-6)
    assert broken["gradient"] is None and broken["gradient_words"] == "not finite" and broken["over_time"] is None


def test_frames_are_small_and_travel(seen):
    """What is not bytes is plain JSON; a frame of 100 steps and 20 neurons stays below 11 kB."""
    net, probe = seen
    one = scenes.neuron_frame(probe, neuron(net, "hidden", 3), NAMES, 1.0)
    frames = [scenes.raster_scene(probe, NAMES, 1.0), scenes.raster_frame(probe, NAMES, neuron=one)]
    frames.append(scenes.health_frame(make_health(rates=np.arange(9.0), dead=1)))
    total = []

    def plain(value):
        if isinstance(value, bytes):
            total.append(len(value))
            return None
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list) else value

    for frame in frames:
        json.dumps(plain(frame), allow_nan=False)
    assert sum(total) < 11_000


def test_events_are_seen_as_counts():
    """The panel of a sample of events: how many every pixel sent, OFF above ON; a neuron's weights lie in that shape;
    the raster has a mark where a unit has one event or more in a step."""
    part = data.load("event_digits").subset(train=10, test=10)
    net = models.build(SnnConfig(hidden=20, code="events"), sample_shape=part.sample_shape, num_classes=10)
    probe = Prober(net, part)(net, 3)
    t, x, y, p = (part.x_test.structured()[part.x_test.offsets[3] : part.x_test.offsets[4]][name] for name in "txyp")
    counts, raster = np.zeros((24, 12), int), np.zeros((100, 288), bool)
    np.add.at(counts, (12 * p.astype(int) + y, x), 1)
    raster[t // 1000, (12 * p.astype(int) + y) * 12 + x] = True
    np.testing.assert_array_equal(probe.sample, counts)
    np.testing.assert_array_equal(probe.rasters["input"], raster)
    image = scenes.raster_scene(probe, part.class_names, 1.0)["image"]
    np.testing.assert_array_equal(pixels(image), np.floor(counts * (255.0 / counts.max())))
    frame = scenes.neuron_frame(probe, neuron(net, "hidden", 17), part.class_names, 1.0)
    assert frame["weights"]["title"] == "weights of 288 channels"
    kernel = np.asarray(net.stack.layers["hidden"].kernel[...])[:, 17]
    scale = frame["weights"]["scale"]
    np.testing.assert_allclose(weights(frame["weights"]), kernel.reshape(24, 12), atol=0.51 * scale / 127)
