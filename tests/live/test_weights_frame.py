"""Weights over a run and as a sheet, against histograms and images made by hand; the map of the backward signal."""

import numpy as np
import pytest
from flax import nnx

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.encode import Latency
from snnlab.errors import ArgumentError
from snnlab.health import Checkup, Health, LayerHealth
from snnlab.layers import Leaky, LifRef, Projection, Stack
from snnlab.layers.operators import Conv
from snnlab.live.frames.backward import backward_frame
from snnlab.live.frames.weights import Fields, WeightLog, fields_frame
from snnlab.live.look.weights import fields, weights
from snnlab.train import Trainer


def pixels(image: dict) -> np.ndarray:
    return np.frombuffer(image["bytes"], np.uint8).reshape(image["rows"], image["columns"])


def test_histograms_over_the_run():
    """Every snapshot in the same 64 bins, also those from before the weights outgrew them."""
    rng = np.random.default_rng(0)
    snapshots = [rng.normal(0.0, width, (30, 40)) for width in (0.05, 0.3, 2.0)]
    log = WeightLog()
    for step, values in enumerate(snapshots):
        log.append(step, {"w": values})
    frame = log.frame("w")
    largest = max(np.abs(values).max() for values in snapshots)
    assert largest <= frame["high"] == -frame["low"] < 2 * largest
    edges = np.linspace(frame["low"], frame["high"], 65)
    wanted = np.stack([np.histogram(values, edges)[0] for values in snapshots], axis=1) / 1200
    assert frame["top"] == pytest.approx(wanted.max())
    np.testing.assert_allclose(pixels(frame["image"])[::-1] / 255, wanted / wanted.max(), atol=0.5 / 255 + 1e-9)


def test_histograms_of_a_long_run_are_averaged():
    log = WeightLog()
    for step in range(1000):
        log.append(step, {"w": np.full(10, step / 1000.0)})
    frame = log.frame("w")
    assert len(frame["steps"]) == 125 and frame["steps"][-1] == 999 and set(np.diff(frame["steps"])) == {8}
    assert "1,000 snapshots" in frame["words"] and "a column averages 8 snapshots" in frame["words"]
    shares = pixels(frame["image"]).sum(0) / 255 * frame["top"]
    np.testing.assert_allclose(shares, 1.0, atol=0.05)
    log.append(500, {"w": np.full(10, 0.25)})  # the run was taken back
    assert log.frame("w")["steps"][-2:] == [495, 500] and log.frame("w")["high"] == 0.5


def test_histograms_of_odd_weights():
    """Zeros, what is not finite, and an explosion that is taken back."""
    log = WeightLog()
    assert log.frame("w")["reason"]
    log.append(0, {"w": np.zeros(4)})
    log.append(1, {"w": np.array([0.5, np.nan, np.inf, -0.5])})
    frame = log.frame("w")
    assert frame["high"] == 0.5 and "2 not finite" in frame["words"]
    assert pixels(frame["image"])[::-1][32, 0] == 255  # all of the zeros, in the first bin that is not negative
    log.append(2, {"w": np.array([1e30])})
    assert log.frame("w")["high"] > 1e30
    log.append(2, {"w": np.array([0.25])})
    assert log.frame("w")["high"] == 0.5
    with pytest.raises(ArgumentError, match="name: must be one of 'w', got 'v'"):
        log.frame("v")


def test_weights_are_found_in_any_model():
    rngs = nnx.Rngs(0)
    lstm = models.build(LstmConfig(hidden=5), sample_shape=(8, 6), num_classes=3)
    assert list(weights(lstm)) == ["hidden.w_h", "hidden.w_x", "readout.kernel"]
    deep = Stack({f"layer{k}": Projection(7, LifRef(7), rngs=rngs) for k in range(12)})
    assert list(weights(deep)) == [f"layer{k}.kernel" for k in range(12)]
    assert list(weights(nnx.Linear(3, 2, rngs=rngs))) == ["kernel"]
    assert list(weights(Leaky(3, tau_mem=nnx.Param(5.0)))) == ["tau_mem"]
    assert weights(Leaky(3)) == {}


def test_fields_are_the_columns_of_the_weights():
    net = models.build(SnnConfig(hidden=20), sample_shape=(8, 6), num_classes=10)
    kernel = np.asarray(net.stack.layers["hidden"].kernel[...])
    found = fields(net, "hidden", (8, 6))
    np.testing.assert_array_equal(found.tiles[7], kernel[:, 7].reshape(8, 6))
    frame = fields_frame(found)
    shown = np.frombuffer(frame["tiles"], np.uint8).reshape(20, 8, 6)
    clear = np.abs(found.tiles) < frame["scale"]
    error = np.abs((shown - 128.0) * frame["scale"] / 127 - found.tiles)
    assert error[clear].max() <= 0.5 * frame["scale"] / 127 + 1e-6 and clear.mean() > 0.99
    assert frame["words"].startswith("weights of 20 neurons from 48 pixels")
    readout = fields(net, "readout", (8, 6))
    assert not readout.pixels and readout.tiles.shape == (10, 1, 20)


def test_fields_of_other_layers():
    """Gates of an LSTM, kernels of a convolution, polarities and colours; None where there are no weights."""
    lstm = models.build(LstmConfig(hidden=5), sample_shape=(8, 6), num_classes=3)
    found = fields(lstm, "hidden", (8, 6))
    w_x = np.asarray(lstm.stack.layers["hidden"].w_x[...])
    np.testing.assert_array_equal(found.tiles[3], w_x[:, 3::5].T)
    assert found.labels == ("i", "f", "g", "o") and fields_frame(found)["rows"] == 4
    assert "weights of 5 units from 6 inputs" in fields_frame(found)["words"]
    kernel = np.random.default_rng(0).normal(size=(4, 2, 3, 3))
    conv = Stack(a=Conv(kernel, shape=(2, 5, 5)), b=Leaky(36))
    np.testing.assert_allclose(fields(conv, "a", (2, 5, 5)).tiles, kernel.reshape(4, 6, 3), rtol=1e-6)
    assert fields(conv, "b", (2, 5, 5)) is None and fields(conv, "c", (2, 5, 5)) is None
    assert fields_frame(None)["reason"]
    for shape, rows in (((2, 5, 6), 10), ((5, 6, 3), 15), ((1, 5, 6), 5)):
        net = Stack(a=Projection(int(np.prod(shape)), LifRef(7), rngs=nnx.Rngs(0)))
        tiles = fields(net, "a", shape).tiles
        assert tiles.shape == (7, rows, 6)
        if shape == (5, 6, 3):
            np.testing.assert_array_equal(tiles[0, :5], np.asarray(net.layers["a"].kernel[::3, 0]).reshape(5, 6))


def test_order_of_the_tiles():
    rng = np.random.default_rng(1)
    tiles = rng.normal(size=(50, 1, 9))
    units = {
        sort: np.frombuffer(fields_frame(Fields(tiles=tiles, pixels=False), sort)["units"], np.int32)
        for sort in ("index", "norm", "similarity")
    }
    norms = np.sqrt((tiles**2).sum((1, 2)))
    assert units["index"].tolist() == list(range(50))
    assert units["norm"].tolist() == sorted(range(50), key=lambda k: -norms[k])
    chain = units["similarity"].tolist()
    assert sorted(chain) == list(range(50)) and chain[0] == norms.argmax()

    def cosine(a, b):
        return float((tiles[a] * tiles[b]).sum() / norms[a] / norms[b])

    for place in range(49):
        assert all(cosine(chain[place], chain[place + 1]) >= cosine(chain[place], k) - 1e-9 for k in chain[place + 1 :])
    with pytest.raises(ArgumentError, match="sort: must be one of 'index', 'norm', 'similarity', got 'size'"):
        fields_frame(Fields(tiles=tiles, pixels=False), "size")


@pytest.mark.parametrize("sort", ["index", "norm", "similarity"])
def test_large_sheets_are_bounded_and_say_so(sort):
    """4,000 neurons of an event camera, and rows of 4,000 inputs."""
    tiles = np.zeros((4000, 40, 34), np.float32)
    tiles[:, :2, :2] = np.arange(4000, dtype=np.float32)[:, None, None] + 1.0
    tiles[0, 0, 0] = np.nan
    frame = fields_frame(Fields(tiles=tiles, pixels=True), sort)
    units = np.frombuffer(frame["units"], np.int32)
    assert len(units) == 400 and len(frame["tiles"]) == 400 * 20 * 17
    assert "400 of 4,000 neurons from 1,360 pixels" in frame["words"]
    assert "a pixel averages 2 \u00d7 2 weights" in frame["words"]
    if sort != "index":
        assert units.min() == 3600 and "those with the largest weights" in frame["words"]
    rows = fields_frame(Fields(tiles=np.ones((10, 1, 4000)), pixels=False), sort)
    assert rows["columns"] == 400 and "a pixel averages 10 neighbours" in rows["words"] and rows["scale"] == 1.0


def health_of(**traces) -> Health:
    layers = tuple(LayerHealth(name=k, gradient=0.1, gradient_over_time=v) for k, v in traces.items())
    return Health(step=3, samples=9, loss=2.0, accuracy=0.1, layers=layers, readout_spread=1.0, finite=True)


def test_map_of_the_backward_signal():
    """Decoded from its logarithmic scale; a cell has the root mean square of its steps."""
    rng = np.random.default_rng(0)
    deep = {f"layer{k}": 10.0 ** rng.uniform(-k - 1, -k, 1000) for k in range(3)}
    frame = backward_frame(health_of(**deep))
    assert frame["layers"] == list(deep) and frame["cell"] == 3 and frame["image"]["columns"] == 334
    shown = frame["low"] * (frame["high"] / frame["low"]) ** ((pixels(frame["image"]) - 1.0) / 254.0)
    for row, trace in zip(shown, deep.values(), strict=True):
        wanted = [np.sqrt(np.mean(trace[k : k + 3] ** 2)) for k in range(0, 1000, 3)]
        np.testing.assert_allclose(row, wanted, rtol=np.expm1(0.5 * np.log(frame["high"] / frame["low"]) / 254) + 1e-6)
    assert "3 steps at a time" in frame["words"] and "logarithmic" in frame["words"]


def test_map_of_odd_signals():
    """No gradient is byte 0, more than six powers of ten below the highest is byte 1, NaN is named."""
    frame = backward_frame(health_of(a=np.array([0.0, 1e-9, 1e-3, 1.0]), b=np.array([0.0, 0.0, np.nan, 0.5]), c=None))
    table = pixels(frame["image"])
    assert table[0].tolist() == [0, 1, 128, 255] and table[1, 2] == 255 and table[1, 0] == 0
    assert frame["low"] == pytest.approx(1e-6) and frame["not_finite"] == ["b"] and frame["missing"] == ["c"]
    assert "not finite: b; unknown: c" in frame["words"]
    assert "0 everywhere" in backward_frame(health_of(a=np.zeros(4)))["words"]
    assert backward_frame(health_of(a=None))["reason"]
    with pytest.raises(ArgumentError, match="most"):
        backward_frame(health_of(a=np.ones(3)), most=0)
    other = backward_frame(health_of(a=np.array([1.0, 10.0]), b=np.ones(4)))
    assert pixels(other["image"])[0].tolist() == [1, 1, 255, 255]


def test_map_of_a_deep_network(small):
    """Five layers: each has its row, from the input to the readout."""
    rngs = nnx.Rngs(0)
    layers = {f"hidden{k}": Projection(64 if k == 0 else 16, LifRef(16, v_th=0.2), rngs=rngs) for k in range(4)}
    net = models.Network(Latency(num_steps=20), Stack({**layers, "readout": Projection(16, Leaky(10), rngs=rngs)}))
    trainer = Trainer(net, small, batch_size=32)
    frame = backward_frame(Checkup(trainer.stepper, small, samples=16)(trainer.state))
    assert frame["layers"] == [*layers, "readout"] and frame["image"]["rows"] == 5 and frame["image"]["columns"] == 20
