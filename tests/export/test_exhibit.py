"""The exhibit: what Python writes is what the network does, to the last bit, and what cannot be shown is refused."""

import base64
import html
import json
import math
import re
import zlib
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

import snnlab
from snnlab import data
from snnlab.cli import main
from snnlab.config import LATENCY_CONV, ConvConfig, LstmConfig, SnnConfig
from snnlab.errors import ArgumentError
from snnlab.export.exhibits import exhibit
from snnlab.export.exhibits.coding import coding_of
from snnlab.export.exhibits.exact import fused
from snnlab.export.exhibits.plan import CODE, layers_of, shown, sliders_of
from snnlab.export.exhibits.replay import play
from snnlab.export.exhibits.samples import run
from snnlab.layers import IF, BatchNorm, Leaky, LifRef, Projection, Stack
from snnlab.models import Network
from snnlab.train import Trainer

FIRING = {"num_steps": 50, "v_th": 0.3}  # so low that an untrained network fires

# Networks of every kind that an exhibit shows.
KINDS = {
    "latency": SnnConfig(hidden=40, **FIRING),
    "events": SnnConfig(hidden=40, code="events", dt=2.0, **FIRING),
    "recurrent": SnnConfig(hidden=40, recurrent=True, **FIRING),
    "refractory": SnnConfig(
        hidden=40, tau_ref=3.0, reset="value", v_th=0.1, v_rest=-0.2, v_reset=-0.3, bias=True, num_steps=50
    ),
    "three layers": SnnConfig(hidden=(40, 33, 17), delay=3, **FIRING),
    "lstm": LstmConfig(hidden=20),
    "adaptive": SnnConfig(hidden=40, neuron="alif", tau_adapt=30.0, **FIRING),
    "double exponential": SnnConfig(hidden=40, synapse="double_exponential", bias=True, **FIRING),
    "population": SnnConfig(hidden=40, code="population", **FIRING),
    "rate": SnnConfig(hidden=40, **FIRING),  # with another encoder, see `network`
    "delta": SnnConfig(hidden=40, code="delta", v_th=0.3),
    "rows": SnnConfig(hidden=40, code="rows", v_th=0.3),
}


def signals(features: int = 33) -> data.Dataset:
    """Random walks of 80 steps."""
    walks = 0.3 * np.random.default_rng(0).normal(size=(90, 80, features)).cumsum(1).astype(np.float32)
    labels = np.arange(90) % 3
    return data.Dataset(name="walks", x_train=walks[:60], y_train=labels[:60], x_test=walks[60:], y_test=labels[60:])


def data_of(kind: str) -> data.Dataset:
    if kind in ("delta", "rows"):
        return signals()
    return data.load("event_digits" if kind == "events" else "digits")


def network(kind: str) -> Network:
    samples = data_of(kind)
    net = snnlab.build(KINDS[kind], sample_shape=samples.sample_shape, num_classes=samples.num_classes, seed=3)
    return Network(snnlab.encode.Rate(num_steps=50), net.stack) if kind == "rate" else net


class Graph(nnx.Module):
    """A network with a branch."""

    def __init__(self, rngs):
        self.left, self.right = (Projection(64, LifRef(10), rngs=rngs) for _ in range(2))

    def __call__(self, x, key=None):
        return self.left(x), self.right(x)


def page_data(path) -> dict:
    """All that a page carries: plainly, and deflated with its style and its script."""
    found = dict(re.findall(r'id="(data|code)">(.*?)</script>', path.read_text(encoding="utf-8"), re.S))
    _, more, _ = zlib.decompress(base64.b64decode(found["code"])).split(b"\0")
    return json.loads(found["data"]) | json.loads(more)


def rounded(value: Fraction) -> np.float32:
    """The float32 nearest to an exact number, ties to even: the definition, by trying the neighbours."""
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - value), int(x.view(np.uint32)) & 1))


SINGLES = st.floats(-1e6, 1e6, width=32).filter(lambda x: abs(x) > 1e-6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SINGLES, SINGLES, SINGLES)
@example(2.0**-12, 2.0**-12, 1.0)  # in the middle between two float32: to the even one
@example(2.0**-12, 2.0**-12, 1.0 + 2.0**-23)
# 2^-60 below such a middle, for which float64 has no room, so that what it loses decides
@example(2.0**-12 * (1.0 + 2.0**-18), 2.0**-12 * (1.0 - 2.0**-18), 1.0 + 2.0**-23)
@example(2.0**-12 * (1.0 + 2.0**-18), -(2.0**-12) * (1.0 - 2.0**-18), -1.0 - 2.0**-23)
def test_a_product_and_a_sum_are_rounded_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert fused(np.float32(a), np.float32(b), np.float32(c)) == rounded(exact)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_arithmetic_gives_pythons_bits(kind):
    """Spikes, outputs and readout, over the whole test set of digits, or of event digits."""
    net, samples = shown(network(kind)), data_of(kind)
    x = samples.x_test[:]
    found = run(net, x, "mean")
    layers = layers_of(net)
    played = play(layers, found.signal)
    spikes = [did.spikes for did in played if did.spikes is not None]
    assert kind == "lstm" or all(s.sum() > 1000 for s in spikes)
    assert all((own == s).all() for own, s in zip(found.python.spikes, spikes, strict=True))
    if kind == "lstm":
        assert (played[0].values == found.python.outputs[0]).all()
        assert np.abs(played[-1].values - found.python.readout).max() < 1e-5
    else:
        assert (played[-1].values == found.python.readout).all()


def test_a_norm_is_played_as_weights_and_biases(digits):
    net = network("latency")
    hidden = net.stack.layers["hidden"]
    hidden.norm = nnx.data(BatchNorm(hidden.features))
    net.train()
    for start in (0, 100):
        net(jnp.asarray(digits.x_train[start : start + 100]), key=jax.random.key(start))
    net.eval()
    assert hidden.norm.seen[...] == 2
    found = run(net, digits.x_test[:50], "mean")
    played = play(layers_of(net), found.signal)
    assert played[0].spikes.sum() > 300 and (played[0].spikes == found.python.spikes[0]).all()
    assert (played[-1].values == found.python.readout).all()


def with_own_constants() -> Network:
    """A threshold, a time constant and a rest for each neuron."""
    rng, net = np.random.default_rng(0), network("latency")
    neuron = net.stack.layers["hidden"].neuron
    for name, low, high in (("tau_mem", 3.0, 30.0), ("v_th", 0.1, 0.5), ("v_rest", -0.2, 0.05)):
        values = jnp.asarray(rng.uniform(low, high, 40), jnp.float32)
        setattr(neuron, name, nnx.Param(values, **getattr(neuron, name).get_metadata()))
    return net


def test_neurons_with_constants_of_their_own(digits):
    """They are played as they are, and a slider gives all neurons the same."""
    net = with_own_constants()
    found = run(net, digits.x_test[:50], "mean")
    played = play(layers_of(net), found.signal)
    assert played[0].spikes.sum() > 300 and (played[0].spikes == found.python.spikes[0]).all()
    sliders = {slider.name: slider for slider in sliders_of(net) if slider.layer == 0}
    assert [name for name, slider in sliders.items() if slider.own] == ["tau_mem", "v_th"]
    for name in ("tau_mem", "v_th"):
        own, slider = np.asarray(getattr(net.stack.layers["hidden"].neuron, name)[...]), sliders[name]
        assert slider.own == (own.min(), own.max())
        assert slider.values[slider.home] == own.mean(dtype=np.float32)
    assert sliders["v_th"].rows["v_th"].shape == (len(sliders["v_th"].values), 40)  # measured from each one's rest


def test_every_stop_of_every_slider_is_what_python_computes_there(digits):
    """The constants of three stops of each slider, put into the layers, give the spikes of the network moved there."""
    net = network("adaptive")
    layers, sliders = layers_of(net), sliders_of(net)
    assert [slider.name for slider in sliders][:5] == ["tau_mem", "v_th", "tau_ref", "beta", "tau_adapt"]
    x = digits.x_test[:20]
    for slider in sliders:
        assert slider.values[slider.home] == np.float32(getattr(_part(net, slider), slider.name)[...])
        assert (np.diff(slider.values) > 0).all()
        for stop in {2, len(slider.values) // 2, len(slider.values) - 2}:
            moved = network("adaptive")
            variable = getattr(_part(moved, slider), slider.name)
            variable[...] = jnp.float32(slider.values[stop])
            found = run(moved, x, "mean")
            layer = layers[slider.layer]
            rows = {**layer.rows, **{name: row[stop] for name, row in slider.rows.items()}}
            changed = [*layers]
            changed[slider.layer] = type(layer)(**{**vars(layer), "rows": rows})
            played = play(changed, found.signal)
            assert (played[0].spikes == found.python.spikes[0]).all()
            assert (played[-1].values == found.python.readout).all()


def _part(net: Network, slider):
    layer = net.stack.layers[net.stack.names[slider.layer]]
    return layer.neuron if hasattr(layer.neuron, slider.name) else layer.synapse


@pytest.mark.parametrize(("dt", "steps"), [(1.0, 50), (0.02, 5000)])
def test_the_code_at_every_pair_of_stops(digits, dt, steps):
    """The rule that the page computes by and its list give what the network itself makes of the 256 bytes."""
    config = SnnConfig(hidden=5, dt=dt, num_steps=steps)
    net = snnlab.build(config, sample_shape=(8, 8), num_classes=10)
    coding = coding_of(net, digits.x_test[:1])
    tau, threshold = coding.sliders
    assert tau.values[tau.home] == net.encoder.tau and threshold.values[threshold.home] == np.float32(0.1)
    assert steps < 5000 or coding.listed  # here float32 and float64 differ
    pairs = [(tau.home, threshold.home), (3, 7), (30, 1), (tau.home, 12), (20, threshold.home)]
    for i, j in {*pairs, *[(i, j) for i, j, *_ in coding.listed[:4]]}:
        net.code["tau"][...], net.code["threshold"][...] = jnp.float32(tau.values[i]), jnp.float32(threshold.values[j])
        found = [
            step_of(byte, float(str(tau.values[i])) / dt, float(str(threshold.values[j])), steps) for byte in range(256)
        ]
        for first, second, byte, step in coding.listed:
            if (first, second) == (i, j):
                found[byte] = step
        assert run(net, digits.x_test[:1], "max").table.tolist() == found


def step_of(byte: int, tau: float, threshold: float, steps: int) -> int:
    """The definition of the latency code, with Python's own logarithm."""
    x = byte / 255
    when = math.floor(tau * math.log(x / (x - threshold))) if x > threshold else steps
    return min(when, steps)


def test_the_report_and_the_page_say_the_same(tmp_path, digits):
    report = exhibit(network("latency"), tmp_path / "net.html", digits, training={"data": "digits", "readout": "mean"})
    found = page_data(report.path)
    assert (report.samples, report.equal, report.differing) == (20, 20, 0)
    assert report.spikes > 100
    assert sorted(sample["label"] for sample in found["samples"]) == sorted([*range(10), *range(10)])
    assert found["exact"] and found["rule"] == "mean" and not any("differs" in sample for sample in found["samples"])
    assert str(report).endswith(f"20 of 20 samples, all {report.spikes:,} spikes as in Python")


def test_a_notebook_shows_the_page_itself(tmp_path, digits):
    """In a frame that may run scripts and nothing else, whole and in one line."""
    report = exhibit(network("latency"), tmp_path / "net.html", digits, count=2)
    frame = report._repr_html_()
    assert re.fullmatch(r'<iframe sandbox="allow-scripts" [^<>\n]*></iframe>', frame)
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == report.path.read_text(encoding="utf-8")


def test_a_backend_with_other_bits_is_told(tmp_path, digits, monkeypatch):
    """The reference adds in another order: what then differs, the report says, and the page knows it."""
    monkeypatch.setenv("SNNLAB_KERNELS", "reference")
    report = exhibit(network("latency"), tmp_path / "net.html", digits, count=10)
    found = page_data(report.path)
    assert not found["exact"] and report.equal == sum("differs" not in sample for sample in found["samples"])
    assert f"{report.equal} of 10 samples" in str(report)


def test_eight_bits_are_smaller_and_say_what_they_cost(tmp_path, digits):
    net = network("latency")
    whole = exhibit(net, tmp_path / "whole.html", digits)
    small = exhibit(net, tmp_path / "small.html", digits, bits=8)
    assert small.bytes < whole.bytes and small.equal == 20
    assert small.lost > 0 and f"WEIGHTS OF 8 BITS: {small.lost:,} spikes differ" in str(small)
    assert f"WEIGHTS OF 8 BITS: {small.lost:,} spikes differ" in page_data(small.path)["words"][0]
    assert (net.stack.layers["hidden"].kernel[...] == network("latency").stack.layers["hidden"].kernel[...]).all()


def test_sizes(tmp_path, digits):
    report = exhibit(
        snnlab.build(SnnConfig(hidden=100), sample_shape=(8, 8), num_classes=10), tmp_path / "64.html", digits
    )
    assert report.bytes <= 80_000
    x, labels = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8), np.arange(20) % 10
    for hidden, most in ((100, 600_000), (1000, 5_000_000)):
        net = snnlab.build(SnnConfig(hidden=hidden), sample_shape=(28, 28), num_classes=10)
        assert exhibit(net, tmp_path / f"{hidden}.html", x, labels).bytes <= most


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: snnlab.build(LATENCY_CONV, sample_shape=(8, 8), num_classes=10), 'layer "conv1" is a ConvProjection'),
        (lambda: snnlab.build(ConvConfig(), sample_shape=(8, 8), num_classes=10), "its code is a Current"),
        (
            lambda: snnlab.build(SnnConfig(hidden=4000, num_steps=5), sample_shape=(28, 28, 3), num_classes=2),
            "of 50 MB",
        ),
        (
            lambda: snnlab.build(
                SnnConfig(hidden=5, recurrent=True, synapse="double_exponential"), sample_shape=(8, 8), num_classes=10
            ),
            'layer "hidden" is recurrent behind a DoubleExpon',
        ),
        (
            lambda: snnlab.build(SnnConfig(hidden=5, most_delay=3), sample_shape=(8, 8), num_classes=10),
            'layer "hidden" has delays of its own',
        ),
        (lambda: Network(snnlab.encode.Current(), network("latency").stack), "its code is a Current"),
        (lambda: Stack(readout=Leaky(10)), "is a Stack of your own"),
        (lambda: Graph(nnx.Rngs(0)), "is a Graph of your own"),
        (
            lambda: Network(
                snnlab.encode.Latency(),
                Stack(
                    hidden=Projection(64, IF(5), rngs=nnx.Rngs(0)), readout=Projection(5, Leaky(10), rngs=nnx.Rngs(0))
                ),
            ),
            'layer "hidden" has IF',
        ),
        (
            lambda: Network(snnlab.encode.Latency(), Stack(hidden=Projection(64, LifRef(10), rngs=nnx.Rngs(0)))),
            'layer "hidden" is the last one, but spikes',
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(tmp_path, digits, model, reason):
    with pytest.raises(ArgumentError, match=f"model: .*{re.escape(reason)}"):
        exhibit(model(), tmp_path / "net.html", digits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "why"), [("rows", "no constant"), ("events", "no constant"), ("numbers", "numbers, not bytes")]
)
def test_a_code_without_sliders_says_why(tmp_path, digits, kind, why):
    samples = data_of(kind) if kind != "numbers" else (digits.x_test[:2] / np.float32(255.0), digits.y_test[:2])
    given = samples if isinstance(samples, tuple) else (samples,)
    net = network("latency" if kind == "numbers" else kind)
    found = page_data(exhibit(net, tmp_path / "net.html", *given, count=2).path)
    assert not [slider["label"] for slider in found["sliders"] if slider["layer"] == CODE]
    assert found["input"]["rule"] == "" and found["sliders"] and why in found["input"]["words"]


def test_random_numbers_that_the_page_does_not_have_are_told(tmp_path, digits):
    """JAX can draw them in another order: then the page plays the spikes that Python drew, and says so."""
    with jax.threefry_partitionable(False):
        report = exhibit(network("rate"), tmp_path / "net.html", digits, count=3)
    found = page_data(report.path)
    assert report.equal == 3 and found["input"]["kind"] == "none" and "does not know" in found["input"]["words"]
    assert all("values" in sample for sample in found["samples"])


def test_a_rate_ends_at_one_spike_a_step(digits):
    code = snnlab.encode.Rate(num_steps=50, max_rate=400.0, dt=2.0)
    net = Network(code, snnlab.build(SnnConfig(hidden=5, dt=2.0), sample_shape=(8, 8), num_classes=10).stack)
    (slider,) = coding_of(net, digits.x_test[:1]).sliders
    assert slider.values[slider.home] == 400.0 and slider.values.max() <= 500.0 and len(slider.values) > 10


def test_other_mistakes_name_the_argument(tmp_path, digits):
    net, path = network("latency"), tmp_path / "net.html"
    signals = data.Dataset(
        name="n",
        x_train=digits.x_train[:9],
        y_train=np.ones(9),
        x_test=digits.x_test[:9],
        y_test=np.ones(9),
        task="values",
    )
    for options, reason in (
        ({"samples": signals}, "samples: an exhibit shows one class a sample, the data have task='values'"),
        ({"samples": digits.x_test[:3]}, "labels: must be given"),
        ({"samples": digits.x_test[:3], "labels": [1, 2]}, "labels: must be one integer per sample, 3, got"),
        ({"samples": digits.x_test[:3], "labels": [1, 2, 10]}, "labels: must be in 0..9, got 1..10"),
        ({"samples": digits, "labels": [1]}, "labels: the data set has its own"),
        ({"samples": digits, "class_names": ["a"]}, "class_names: must be 10, one per class of the readout, got 1"),
        ({"samples": digits, "bits": 4}, "bits: must be one of None, 8, got 4"),
        ({"samples": digits, "count": 0}, "count: must be an integer >= 1"),
        ({"samples": digits, "training": {"readout": "median"}}, "training: its readout: must be one of"),
    ):
        with pytest.raises(ArgumentError, match=re.escape(reason)):
            exhibit(net, path, **options)
    exhibit(net, path, digits, count=2)
    with pytest.raises(ArgumentError, match="exists; choose another, or pass overwrite=True"):
        exhibit(net, path, digits)


def test_names_travel_as_text(tmp_path, digits):
    hostile = "</script><img src=x onerror=alert(1)>\"'&\u2028\u2029"
    path = exhibit(
        network("latency"),
        tmp_path / "net.html",
        digits,
        count=2,
        class_names=[hostile] * 10,
        title=hostile,
        licence=hostile,
    ).path
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text and 'onerror=alert(1)>"' not in text and text.isascii() is False
    assert text.count("</script>") == 3 and page_data(path)["classes"][0] == hostile
    assert "\u2028" not in re.search(r'id="data">(.*?)</script>', text, re.S)[1]


def test_the_page_may_load_and_send_nothing(tmp_path, digits):
    text = exhibit(network("latency"), tmp_path / "net.html", digits, count=2).path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", text.replace("http://www.w3.org/2000/svg", ""))
    assert "<noscript>" in text and "<svg" in text


def test_the_command_writes_a_page(tmp_path, capsys):
    saved = snnlab.save(
        network("latency"), tmp_path / "net.safetensors", training={"data": "digits", "readout": "mean"}
    )
    out = tmp_path / "net.html"
    assert main(["exhibit", str(saved), str(out), "--samples", "5"]) == 0
    assert "5 of 5 samples, all" in capsys.readouterr().out
    assert ["Command", "snnlab exhibit net.safetensors net.html --data digits"] in page_data(out)["facts"]
    assert main(["exhibit", str(saved), str(out)]) == 2
    assert f"{out} exists; choose another, or add --overwrite" in capsys.readouterr().err
    bare = snnlab.save(network("latency"), tmp_path / "bare.safetensors")
    assert main(["exhibit", str(bare), str(tmp_path / "bare.html")]) == 2
    assert "--data: the file does not say which data it was trained on" in capsys.readouterr().err


def test_a_run_writes_a_page(tmp_path, small):
    from snnlab.live.run import Run

    net = snnlab.build(SnnConfig(hidden=32, num_steps=40), sample_shape=(8, 8), num_classes=10)
    run_ = Run(net, small, epochs=1, batch_size=64)
    run_.fit()
    report = run_.exhibit(tmp_path / "net.html", samples=7)
    assert report.samples == report.equal == 7
    assert ["epochs", "1"] in page_data(report.path)["facts"]
    assert page_data(report.path)["rule"] == Trainer(net, small).loss.readout
