"""What every frame is made of: JSON values that a browser reads, and bytes of the size that it says."""

import json

import numpy as np
import pytest
from flax import nnx

from snnlab import models
from snnlab.encode import Latency
from snnlab.health import Checkup
from snnlab.layers import Leaky, LifRef, Projection, Stack
from snnlab.live.frames import activity, backward, energy, errors, firing, pixels, voltages, weights
from snnlab.live.look import energy as meter
from snnlab.live.look import voltages as neurons
from snnlab.live.look import weights as kernels
from snnlab.live.look import xray
from snnlab.live.look.prober import Prober
from snnlab.live.look.reviewer import Reviewer
from snnlab.support import numbers
from snnlab.train import Trainer


def without_bytes(value):
    if isinstance(value, dict):
        return {name: without_bytes(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_bytes(part) for part in value]
    return len(value) if isinstance(value, bytes) else value


@pytest.fixture(scope="module")
def frames(small):
    """Every frame of a network of five layers, after a step."""
    rngs = nnx.Rngs(0)
    layers = {f"hidden{k}": Projection(12 if k else 64, LifRef(12, v_th=0.1), rngs=rngs) for k in range(4)}
    net = models.Network(Latency(num_steps=30), Stack({**layers, "readout": Projection(12, Leaky(10), rngs=rngs)}))
    trainer = Trainer(net, small, batch_size=32)
    trainer.fit(1)
    model, state, names = trainer.snapshot(), trainer.state, small.class_names
    probe = Prober(net, small, trainer.loss)(model, 3)
    review = Reviewer(trainer.stepper, small)(state)
    seen, sheet = xray.XRay(trainer.stepper, small)(state), kernels.fields(model, "hidden0", small.sample_shape)
    train = xray.XRay(trainer.stepper, small).train(state, "hidden0", 3)
    reviews, log = errors.Reviews(names), weights.WeightLog()
    reviews.append(review)
    log.append(1, kernels.weights(model))
    spiking = neurons.spiking(model, "hidden3")
    return {
        "voltages": voltages.voltages_frame(probe.states["hidden3"], probe.rasters["hidden3"], spiking),
        "outputs": voltages.voltages_frame(probe.states["readout"], None, None),
        "confusion": errors.confusion_frame(review, names),
        "cell": errors.cell_frame(review, names, int(review.labels[0]), int(review.predictions[0]), small.image),
        "reviews": reviews.frame(),
        "backward": backward.backward_frame(Checkup(trainer.stepper, small, samples=32)(state)),
        "log": log.frame("hidden0.kernel"),
        "sheet": weights.fields_frame(sheet, "similarity"),
        "current": firing.current_frame(xray.cell(model, "hidden0", 3), train.current),
        "intervals": firing.intervals_frame(train.spikes, seen.dt),
        "activity": activity.activity_frame(seen, "hidden0", names)[0],
        "decisions": activity.decisions_frame(seen),
        "energy": energy.energy_frame(meter.Meter(trainer.stepper, small)(state)),
    }


def test_frames_are_json_and_bytes(frames):
    """No number of NumPy, and no NaN, which JSON does not know; each says in words what it shows."""
    for name, frame in frames.items():
        json.loads(json.dumps(without_bytes(frame), allow_nan=False))
        assert frame["reason"] is None or list(frame) == ["reason"], name
        assert frame["reason"] or frame["words"], name
    assert sum(frame["reason"] is None for frame in frames.values()) >= 12  # one neuron may never fire twice


def test_bytes_have_the_size_that_is_said(frames):
    assert len(frames["voltages"]["curve"]) == 4 * frames["voltages"]["points"]
    assert len(frames["confusion"]["counts"]) == 4 * len(frames["confusion"]["shade"]) == 4 * 100
    sheet = frames["sheet"]
    assert len(sheet["tiles"]) == len(sheet["units"]) // 4 * sheet["rows"] * sheet["columns"]
    for name in ("reviews", "backward", "log"):
        image = frames[name]["image"]
        assert len(image["bytes"]) == image["rows"] * image["columns"], name
    assert len({len(frames["activity"][part]) for part in ("x", "y", "labels")}) == 1
    assert len(frames["decisions"]["final"]) == 4 * 30 and frames["backward"]["image"]["rows"] == 5


def test_numbers_have_no_exponent_and_keep_their_value():
    """Of any size: what is read back is the number, to three digits; and it never looks like a program's."""
    rng = np.random.default_rng(0)
    scale = {"": 1.0, "million": 1e6, "billion": 1e9, "trillion": 1e12}
    raised = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-")
    for value in (rng.choice([-1.0, 1.0], 400) * 10.0 ** rng.uniform(-20, 20, 400)).tolist():
        said = numbers.number(value)
        assert "e" not in said.replace("million", "") and "-" not in said and "nan" not in said
        body, _, word = said.replace("\u2212", "-").replace(",", "").partition(" ")
        if word.startswith("\u00d7"):
            found = float(body) * 10.0 ** int(word.removeprefix("\u00d7 10").translate(raised))
        else:
            found = float(body) * scale[word]
        assert found == pytest.approx(value, rel=5.001e-3), said
        assert len(body.replace("-", "").replace(".", "").lstrip("0")) <= 6


def test_logarithmic_bytes_are_read_back():
    values = 10.0 ** np.random.default_rng(0).uniform(-3, 2, 1000)
    levels, (low, high) = pixels.logarithmic(values)
    back = low * (high / low) ** ((levels - 1.0) / 254.0)
    np.testing.assert_allclose(back, values, rtol=np.expm1(0.5 * np.log(high / low) / 254.0) + 1e-9)
    assert levels.min() == 1 and levels.max() == 255
    alike, ends = pixels.logarithmic(np.array([0.0, 2.0, 2.0]))
    assert alike.tolist() == [0, 255, 255] and ends == (2.0, 2.0)
