"""A network leaves as safetensors and comes back as it was, also in another process; damaged files are refused."""

import dataclasses
import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from snnlab import export
from snnlab.checkpoint import Checkpoints
from snnlab.config import LstmConfig, SnnConfig
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.models import build
from snnlab.train import Trainer

CONFIGS = {"snn": SnnConfig(hidden=20, num_steps=30, tau_mem=15.0, delay=2), "lstm": LstmConfig(hidden=12)}


@pytest.fixture(scope="module", params=CONFIGS.values(), ids=CONFIGS.keys())
def trained(request, small):
    net = build(request.param, sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, small, epochs=2, batch_size=32, learning_rate=1e-2)
    if "v_th" in str(trainer.mailbox.knobs):
        trainer.set(v_th=0.8)  # what was moved by hand is exported too
    trainer.fit()
    return net


def test_bit_identical_in_a_fresh_process(trained, digits, tmp_path):
    path = export.save(trained, tmp_path / "net.safetensors", class_names=digits.class_names)
    images = digits.x_test[:50]
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys, numpy as np, snnlab; from flax import nnx;"
        "net = snnlab.load(sys.argv[1]);"
        "np.save(sys.argv[3], nnx.jit(lambda net, x: net(x).readout)(net, np.load(sys.argv[2])))"
    )
    files = [path, tmp_path / "images.npy", tmp_path / "out.npy"]
    subprocess.run([sys.executable, "-c", script, *map(str, files)], check=True)
    here = nnx.jit(lambda net, x: net(x).readout)(trained, images)
    np.testing.assert_array_equal(np.load(files[2]), here)


def test_weights_are_readable_without_snnlab(trained, tmp_path):
    arrays = load_file(export.save(trained, tmp_path / "net.safetensors"))
    hidden = trained.stack.layers["hidden"]
    if hasattr(hidden, "kernel"):
        np.testing.assert_array_equal(arrays["hidden.kernel"], hidden.kernel[...])
        assert arrays["hidden.v_th"] == np.float32(0.8) and arrays["hidden.tau_mem"] == 15.0
    else:
        np.testing.assert_array_equal(arrays["hidden.w_h"], hidden.w_h[...])


def test_what_a_file_says_about_itself(trained, digits, tmp_path):
    """Config, encoder, time step, classes and training, as JSON that needs no snnlab."""
    training = {"data": "digits", "epochs": 2, "seed": 0, "test_acc": 0.5}
    path = export.save(trained, tmp_path / "net.safetensors", class_names=digits.class_names, training=training)
    about = export.load_metadata(path)
    assert about["class_names"] == list(digits.class_names) and about["training"] == training
    config, sample_shape, classes = trained.recipe
    assert about["recipe"]["config"] == dataclasses.asdict(config)
    assert (about["recipe"]["sample_shape"], about["recipe"]["num_classes"]) == (list(sample_shape), classes)
    layers = {(part["name"], part["kind"]): part for part in about["layers"]}
    if about["recipe"]["kind"] == "snn":
        code = {"kind": "Latency", "num_steps": 30, "dt": 1.0, "tau": 60.0, "threshold": 0.1}
        assert about["encoder"] == code
        assert layers["hidden", "LifRef"] == {
            "name": "hidden",
            "kind": "LifRef",
            "features": 20,
            "dt": 1.0,
            "reset": "subtract",
            "detach_reset": False,
        }
        assert layers["readout", "Projection"]["delay"] == 2 and layers["readout", "Expon"]["dt"] == 1.0
    else:
        assert about["encoder"] == {"kind": "Rows"} and layers["hidden", "LSTM"]["features"] == 12
    save_file({"x": np.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        FileFormatError, match=r"other.safetensors: is a safetensors file, but not one that snnlab wrote"
    ):
        export.load_metadata(tmp_path / "other.safetensors")


def test_what_a_trainer_says_about_itself(small):
    net = build(CONFIGS["lstm"], sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, small, epochs=2, batch_size=32, seed=5)
    assert trainer.provenance["epochs"] == 0 and trainer.provenance["test_acc"] is None
    trainer.fit()
    last = trainer.history.epochs[1]
    expected = {"data": "digits", "epochs": 2, "steps": 16, "seed": 5, "batch_size": 32, "learning_rate": 0.01}
    expected |= {"readout": "max", "optimizer": "adam", "moves": 0}
    results = {name: last[name] for name in ("train_loss", "train_acc", "test_loss", "test_acc")}
    assert trainer.provenance == expected | results


def test_an_existing_file_is_kept(trained, tmp_path):
    path = export.save(trained, tmp_path / "deep" / "net.safetensors")
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=r"net.safetensors exists; choose another, or pass overwrite=True"):
        export.save(trained, path)
    assert path.read_bytes() == before
    export.save(trained, path, overwrite=True)
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]


def test_other_modules_are_written_but_not_rebuilt(tmp_path):
    path = export.save(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), tmp_path / "linear.safetensors")
    assert load_file(path)["kernel"].shape == (3, 2)
    with pytest.raises(FileFormatError, match="does not say how to build its network"):
        export.load(path)


# What would make a network that is silent, or for which no memory is large enough.
OUT_OF_RANGE = [("num_steps", 10**12), ("num_steps", 2.0), ("delay", 10**12), ("hidden", 10**12), ("dt", 1e-300)]
OUT_OF_RANGE += [("dt", 1e-20), ("dt", 1e39), ("dt", True), ("tau_latency", 1e-60), ("v_th", 1e39), ("v_rest", -1e39)]
OUT_OF_RANGE += [("v_reset", "0"), ("tau_mem", 1e39), ("tau_ref", 1e300), ("slope", 1e39), ("input_dropout", 2.0)]


def forged_setting(name, value):
    """Damage of a file: another value of a setting."""

    def forge(arrays, meta):
        recipe = json.loads(meta["recipe"])
        recipe["config"][name] = value
        meta["recipe"] = json.dumps(recipe)

    return forge


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays, meta: arrays.pop("readout.kernel"), r"arrays: readout.kernel"),
        (lambda arrays, meta: arrays.update(extra=np.zeros(1)), r"arrays: extra"),
        (
            lambda arrays, meta: arrays.update({"hidden.v_th": np.zeros(3, np.float32)}),
            r"hidden.v_th must be float32\(\), got float32\(3,\)",
        ),
        (lambda arrays, meta: meta.update(recipe="{"), "its description of the network is damaged"),
        (lambda arrays, meta: meta.update(recipe='{"kind": "snn"}'), "its description of the network is damaged"),
        (lambda arrays, meta: meta.update(recipe=meta["recipe"].replace("15.0", "-1.0")), "tau_mem: must be"),
        (lambda arrays, meta: arrays["hidden.kernel"].fill(np.inf), "hidden.kernel: has values that are not finite"),
        (lambda arrays, meta: arrays["hidden.v_th"].fill(np.nan), "hidden.v_th: has values that are not finite"),
        (lambda arrays, meta: arrays["hidden.tau_mem"].fill(-3.0), r"hidden.tau_mem: must be >= 0.0, got -3.0"),
        *((forged_setting(name, value), f"{name}: must be") for name, value in OUT_OF_RANGE),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, damage, message):
    net = build(CONFIGS["snn"], sample_shape=(8, 8), num_classes=10)
    path = export.save(net, tmp_path / "net.safetensors")
    arrays, header = load_file(path), path.read_bytes()
    length = int.from_bytes(header[:8], "little")
    meta = json.loads(header[8 : 8 + length])["__metadata__"]
    damage(arrays, meta)
    save_file(arrays, path, meta)
    with pytest.raises(FileFormatError, match=message):
        export.load(path)


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    for content in (b"", b"\xff" * 50, b"\x10\0\0\0\0\0\0\0{"):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"net.safetensors: cannot be read as safetensors"):
            export.load(path)
    with pytest.raises(FileFormatError, match="none: cannot be read as safetensors"):
        export.load(tmp_path / "none")


@pytest.mark.parametrize("names", ["cat", {"a": 1}, ["cat", 3], ["two\nlines"], ["\ud800"], [""], None])
def test_class_names_that_are_none_are_refused(tmp_path, names):
    net = build(LstmConfig(hidden=2), sample_shape=(2, 2), num_classes=2)
    path = export.save(net, tmp_path / "net.safetensors", class_names=("a", "b"))
    arrays, header = load_file(path), path.read_bytes()
    meta = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
    save_file(arrays, path, meta | {"class_names": json.dumps(names)})
    with pytest.raises(FileFormatError, match="its metadata are damaged"):
        export.load_metadata(path)


class Own(nnx.Module):
    """With random streams, statistics and a cell."""

    def __init__(self, rngs: nnx.Rngs):
        self.cell, self.norm = nnx.RNN(nnx.GRUCell(8, 6, rngs=rngs)), nnx.BatchNorm(6, rngs=rngs)
        self.dropout, self.readout = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(6, 10, rngs=rngs)

    def __call__(self, x):
        return self.readout(self.dropout(self.norm(self.cell(x / 255.0)))).swapaxes(0, 1)


@pytest.mark.endure
def test_a_network_of_your_own_travels_with_its_random_streams(small, tmp_path):
    """What it draws next, it draws after the way through a file, too; and a run of it resumes bit for bit."""
    trained = Trainer(Own(nnx.Rngs(0)), small, epochs=1, batch_size=32)
    trained.fit()
    path = export.save(trained.model, tmp_path / "own.safetensors")
    again = export.load(path, into=Own(nnx.Rngs(7)))
    for module in (trained.model, again):
        module.train()
    x = jnp.asarray(small.x_test[:4])
    first = trained.model(x)
    np.testing.assert_array_equal(again(x), first)
    assert not np.array_equal(trained.model(x), first)  # the streams move on
    with pytest.raises(FileFormatError, match=r"unexpected or missing arrays: .*bias"):
        export.load(path, into=nnx.Linear(6, 10, rngs=nnx.Rngs(0)))
    with pytest.raises(FileFormatError, match="pass it as into="):
        export.load(path)

    runs = [Trainer(Own(nnx.Rngs(0)), small, epochs=1, batch_size=32) for _ in range(2)]
    for run in runs:
        checkpoints = Checkpoints(run, tmp_path / "runs")
        for report in checkpoints:
            if report.step >= 3 and run is runs[0]:
                break
        checkpoints.close()
    np.testing.assert_array_equal(runs[1].history.steps()["loss"], trained.history.steps()["loss"])
