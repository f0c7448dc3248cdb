"""Layers in two dimensions against a singular value decomposition; decisions over time against a loop."""

import numpy as np
import pytest
from flax import nnx
from networks import make_trainer

from snnlab import losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.errors import ArgumentError
from snnlab.layers import IF, ConvProjection, Leaky, LifRef, Projection, Stack
from snnlab.live.frames.activity import Seen, activity_frame, decision_steps, decisions_frame, principal_axes
from snnlab.live.look.xray import XRay, cell, running_readout
from snnlab.record import Record
from snnlab.train import Trainer


def seen_of(values=None, decisions=None, labels=None, **parts) -> Seen:
    samples = len(values) if values is not None else decisions.shape[1]
    labels = np.arange(samples) % 3 if labels is None else labels
    activity = {} if values is None else {"hidden": values}
    common = {"step": 1, "labels": labels, "total": samples, "activity": activity, "spiking": ("hidden",), "dt": 0.5}
    return Seen(decisions=decisions, **common | parts)


def floats(encoded: bytes) -> np.ndarray:
    return np.frombuffer(encoded, np.float32)


@pytest.mark.parametrize("shape", [(50, 7), (50, 300), (50, 50), (5, 2), (300, 400), (8, 1000)])
def test_axes_are_the_principal_ones(shape):
    """Those of a singular value decomposition but for the sign; and the shares of the variance."""
    values = np.random.default_rng(0).normal(size=shape) * np.linspace(3.0, 1.0, shape[1])
    centred = values - values.mean(0)
    size, wanted = np.linalg.svd(centred)[1:]
    axes = principal_axes(values)
    np.testing.assert_allclose(np.abs((axes * wanted[:2]).sum(1)), 1.0, rtol=1e-6)
    assert (axes[[0, 1], np.abs(axes).argmax(1)] > 0).all()
    frame, _ = activity_frame(seen_of(values), "hidden", ["a", "b", "c"])
    np.testing.assert_allclose(frame["explained"], (size[:2] ** 2) / (size**2).sum(), rtol=1e-6)
    np.testing.assert_allclose(floats(frame["x"]), centred @ axes[0], rtol=1e-4, atol=1e-5)
    assert np.frombuffer(frame["labels"], np.int32).tolist() == [k % 3 for k in range(shape[0])]


def test_the_picture_does_not_jump():
    """Values turned a little give a picture turned a little, also where the two largest variances change places."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200, 6)) * [3.0, 2.9, 0.3, 0.3, 0.3, 0.3]
    axes, before = None, None
    for stretch in np.linspace(0.8, 1.3, 51):
        values = base * [1.0, stretch, 1.0, 1.0, 1.0, 1.0]
        axes = principal_axes(values, axes)
        np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
        points = (values - values.mean(0)) @ axes.T
        if before is not None:
            assert np.abs(points - before).max() < 0.1 * np.abs(points).max()
        before = points
    alone = principal_axes(base * [1.0, 1.3, 1.0, 1.0, 1.0, 1.0])
    assert abs(alone[0, 1]) > 0.9 and abs(axes[0, 0]) > 0.9  # the largest variance has changed; the picture has not
    assert principal_axes(base[:, :5], axes).shape == (2, 5)  # of another layer: begun anew


def test_activity_that_cannot_be_shown():
    line = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    frame, axes = activity_frame(seen_of(line), "hidden", ["a"])
    assert frame["explained"] == pytest.approx([1.0, 0.0]) and np.abs(floats(frame["y"])).max() < 1e-5
    assert (axes[1] == 0).all() and principal_axes(line, axes).shape == (2, 3)
    one, _ = activity_frame(seen_of(np.arange(5.0)[:, None]), "hidden", ["a"])
    assert "1 neuron of hidden" in one["words"]
    silent, kept = activity_frame(seen_of(np.zeros((5, 4))), "hidden", ["a"], axes)
    assert "is the same in all samples" in silent["reason"] and kept is axes
    lost = line.copy()
    lost[2] = np.nan
    assert "1 sample left out, not finite" in activity_frame(seen_of(lost), "hidden", ["a"])[0]["words"]
    assert "not finite" in activity_frame(seen_of(lost * np.nan), "hidden", ["a"])[0]["reason"]
    assert activity_frame(seen_of(decisions=np.zeros((3, 2), int)), "hidden", ["a"])[0]["reason"]
    with pytest.raises(ArgumentError, match="layer: must be one of 'hidden', got 'cow'"):
        activity_frame(seen_of(line), "cow", ["a"])


def test_when_it_is_decided():
    """Against a loop over the samples; long sequences are thinned, and the last step is kept."""
    rng = np.random.default_rng(0)
    decisions = rng.integers(-1, 3, (1001, 60))
    decisions[600:, :50] = decisions[-1, :50]
    labels = rng.integers(3, size=60)
    wanted = []
    for row in decisions.T:
        step = len(row)
        while step > 0 and row[step - 1] == row[-1]:
            step -= 1
        wanted.append(len(row) if row[-1] == -1 else step)
    assert decision_steps(decisions).tolist() == wanted
    frame = decisions_frame(seen_of(decisions=decisions, labels=labels))
    assert frame["cell"] == 3 and len(floats(frame["final"])) == 334
    right, same = decisions == labels, decisions == decisions[-1]
    np.testing.assert_allclose(floats(frame["right"])[10], right[32].mean())
    np.testing.assert_allclose(floats(frame["final"])[10], (right & same)[32].mean())
    assert floats(frame["final"])[-1] == floats(frame["right"])[-1] == np.float32(right[-1].mean())
    assert frame["median"] == pytest.approx(0.5 * (np.median(wanted) + 1))
    never = decisions_frame(seen_of(decisions=np.full((4, 3), -1)))
    assert (
        never["median"] is None
        and "most are not decided in 2 ms" in never["words"]
        and "100% undecided" in never["words"]
    )
    assert decisions_frame(seen_of(values=np.zeros((3, 2))))["reason"]


@pytest.mark.parametrize(
    "readout", ["max", "last", *(pytest.param(name, marks=pytest.mark.endure) for name in ("mean", "sum"))]
)
def test_running_decisions_are_those_of_the_loss(small, readout):
    """At every step the class that the loss itself would choose if the sequence ended there."""
    loss = losses.Classification(readout)
    trainer = make_trainer(small, SnnConfig(hidden=32, num_steps=40, v_th=0.3), loss=loss)
    trainer.fit(8)
    xray = XRay(trainer.stepper, small, samples=40)
    seen = xray(trainer.state)
    index = np.linspace(0, 63, 40).round().astype(int)
    record = nnx.jit(lambda net, x: net(x))(trainer.snapshot(), small.x_test[index])
    for t in (1, 7, 25, 40):
        scores = np.asarray(loss.scores(Record(record.readout[:t], {})))
        ahead = np.sort(scores, axis=1)
        clear = ahead[:, -1] > ahead[:, -2] + 1e-5
        np.testing.assert_array_equal(seen.decisions[t - 1][clear], scores.argmax(1)[clear])
    silent = np.asarray(record.counts["hidden"]).sum(1) == 0
    assert (seen.decisions[-1] >= 0).mean() > 0.5 and (seen.decisions[-1][silent] == -1).all()
    np.testing.assert_array_equal(seen.labels, small.y_test[index])
    np.testing.assert_array_equal(seen.activity["hidden"], record.counts["hidden"])
    np.testing.assert_allclose(seen.activity["readout"], record.readout.mean(0), rtol=1e-4, atol=1e-5)
    assert seen.spiking == ("hidden",) and seen.dt == 1.0 and seen.step == 8


def test_scores_of_ones_own_have_no_running_decision():
    class Own(losses.Classification):
        def scores(self, record):
            return record.readout[-1] - record.readout[0]

    class Other(losses.Classification):
        def __call__(self, record, labels):
            return {"own": record.readout.mean()}

    assert running_readout(Own()) is None and running_readout(Other("last")) == "last"
    assert running_readout(lambda record, labels: record.readout.sum()) == "max"


def test_spikes_of_one_neuron(small):
    """In all batches, also the last one, which is smaller; one program serves all neurons of a layer."""
    trainer = make_trainer(small)
    xray = XRay(trainer.stepper, small)
    xray_small = XRay(trainer.stepper, small, samples=64)
    record = nnx.jit(lambda net, x: net(x))(trainer.snapshot(), small.x_test)
    busy = int(np.asarray(record.counts["hidden"]).sum(0).argmax())
    for one in (xray, xray_small):
        train = one.train(trainer.state, "hidden", busy)
        np.testing.assert_array_equal(train.spikes, np.asarray(record.spikes["hidden"])[:, :, busy] > 0)
        np.testing.assert_allclose(train.current, record.layers["hidden"].current[:, :, busy], rtol=1e-4, atol=1e-5)
    assert train.spikes.sum() > 0
    assert xray.train(trainer.state, "readout", 3) is None
    with pytest.raises(ArgumentError, match="unit: must be an integer >= 0 and <= 31, got 32"):
        xray.train(trainer.state, "hidden", 32)
    with pytest.raises(ArgumentError, match="layer"):
        xray.train(trainer.state, "cow", 0)


def test_batches_are_joined(digits):
    """More samples than a batch has, and no multiple of it."""
    trainer = make_trainer(digits)
    whole, part = (XRay(trainer.stepper, digits, samples=n)(trainer.state) for n in (230, 100))
    assert whole.activity["hidden"].shape == (230, 32) and whole.decisions.shape == (40, 230)
    first = nnx.jit(lambda net, x: net(x))(trainer.snapshot(), digits.x_test[-1:])
    np.testing.assert_array_equal(whole.activity["hidden"][-1], first.counts["hidden"][0])
    assert part.decisions.shape == (40, 100)


def test_other_networks(small):
    """An LSTM, a model that shows no layers, events."""
    trainer = make_trainer(small, LstmConfig(hidden=9))
    seen = XRay(trainer.stepper, small)(trainer.state)
    assert seen.activity["hidden"].shape == (64, 9) and seen.spiking == () and seen.dt is None
    frame, _ = activity_frame(seen, "hidden", small.class_names)
    assert frame["words"].startswith("mean outputs of 9 units of hidden in 64 test samples")
    assert (
        "steps of 8 steps" in decisions_frame(seen)["words"]
        or "not decided in 8 steps" in decisions_frame(seen)["words"]
    )

    class Mine(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(64, 10, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.linear(x.reshape(1, len(x), -1).astype(np.float32))

    trainer = Trainer(Mine(), small, batch_size=32)
    xray = XRay(trainer.stepper, small)
    seen = xray(trainer.state)
    assert seen.activity == {} and seen.decisions.shape == (1, 64) and xray.train(trainer.state, "hidden", 0) is None
    lists = [[(t, t // 1000 % 3, k % 2, 0) for t in range(0, 5000, 1000)] for k in range(20)]
    events, y = EventLists.from_lists(lists, sensor=(1, 2, 3)), np.arange(20) % 2
    data = Dataset(name="events", x_train=events, y_train=y, x_test=events, y_test=y)
    net = models.build(SnnConfig(hidden=5, num_steps=10, code="events"), sample_shape=(1, 2, 3), num_classes=2)
    trainer = Trainer(net, data, batch_size=10)
    assert XRay(trainer.stepper, data)(trainer.state).activity["hidden"].shape == (20, 5)


def test_constants_of_a_neuron():
    """One value for all or one per neuron; None where the equations are unknown."""
    rngs = nnx.Rngs(0)
    lif = Projection(4, LifRef(3, tau_mem=[5.0, 10.0, 20.0], v_th=2.0, tau_ref=1.5, reset="value", dt=0.5), rngs=rngs)
    net = Stack(a=lif, b=Projection(3, IF(2, r=[0.5, 0.25], dt=0.5), rngs=rngs), c=Leaky(2, dt=0.5))
    one = cell(net, "a", 2)
    assert (one.tau_mem, one.v_th, one.tau_ref, one.held, one.reset, one.dt) == (20.0, 2.0, 1.5, 3, "value", 0.5)
    other = cell(net, "b", 1)
    assert not other.leaky and other.r == 0.25 and other.held == 0
    assert (
        cell(net, "c", 0) is None and cell(net, "cow", 0) is None and cell(nnx.Linear(2, 2, rngs=rngs), "a", 0) is None
    )
    with pytest.raises(ArgumentError, match=r"unit: must be in 0\.\.2, the units of a, got 3"):
        cell(net, "a", 3)


def test_neurons_of_a_convolution_have_the_constants_of_their_channel():
    """Two channels over 2 x 3 pixels, in the order channel, row, column."""
    conv = ConvProjection((3, 4), LifRef(2, tau_mem=[5.0, 20.0]), window=2, rngs=nnx.Rngs(0))
    net = Stack(a=conv, b=ConvProjection(conv.out_shape, Leaky(2), window=(2, 3), rngs=nnx.Rngs(0)))
    assert [cell(net, "a", unit).tau_mem for unit in (0, 5, 6, 11)] == [5.0, 5.0, 20.0, 20.0]
    with pytest.raises(ArgumentError, match=r"unit: must be in 0\.\.11"):
        cell(net, "a", 12)
