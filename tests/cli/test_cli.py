"""The command line as users call it: real processes, real digits."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab_driver import answers, wait_until
from safetensors.numpy import load_file

import snnlab
from snnlab import data
from snnlab.cli import main, notebooks
from snnlab.cli.options import notebooks_folder
from snnlab.cli.train import Train
from snnlab.config import LATENCY_CONV, ConvConfig
from snnlab.errors import SnnlabError
from snnlab.export import load_metadata


def run(*arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snnlab.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture
def run_here(capsys):
    """As `run`, in this process, which has imported JAX already."""

    def one(*arguments) -> subprocess.CompletedProcess:
        code = main(list(map(str, arguments)))
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return one


def test_a_deep_network_says_at_which_rates_its_layers_start(tmp_path, run_here):
    report = tmp_path / "report.json"
    options = ("--hidden", 24, 16, 24, "--num-steps", 40, "--epochs", 1, "--json", report)
    done = run_here("train", *options)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("mean rates at the start: ")]
    rates = re.findall(r"(hidden\d) (\S+) Hz", line)
    assert [name for name, _ in rates] == ["hidden1", "hidden2", "hidden3"] and "may not learn" not in line
    assert all(10.0 < float(rate) < 22.0 for _, rate in rates)  # balanced at 15 Hz on other samples
    assert len(json.loads(report.read_text())["config"]["gains"]) == 3


@pytest.mark.parametrize(("network", "extra"), [("snn", ("--tau-mem", 15, "--num-steps", 40)), ("lstm", ())])
def test_train_writes_what_it_says(tmp_path, run_here, network, extra):
    report = tmp_path / "deep" / "report.json"
    options = (
        "--epochs",
        2,
        "--hidden",
        16,
        "--batch-size",
        64,
        "--seed",
        3,
        "--json",
        report,
        "--out",
        tmp_path / "out",
    )
    done = run_here("train", network, *options, *extra)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 2
    saved = json.loads(report.read_text())
    assert saved["network"] == network and saved["data"] == "digits" and saved["backend"] == "cpu"
    assert saved["config"]["hidden"] == 16 and saved["config"]["seed"] == 3
    assert saved["config"].get("tau_mem", 15) == 15
    assert saved["versions"]["snnlab"] == snnlab.__version__ and {"jax", "flax", "optax"} <= set(saved["versions"])
    assert saved["compile_seconds"] > 0 and saved["peak_rss_mb"] > 50
    keys = {"epoch", "seconds", "train_loss", "train_acc", "test_loss", "test_acc", "spikes_per_sample", "terms"}
    assert [row["epoch"] for row in saved["epochs"]] == [1, 2] and keys <= set(saved["epochs"][0])
    net = snnlab.load(tmp_path / "out" / "net.safetensors")
    assert net.recipe.config.hidden == 16
    training = load_metadata(tmp_path / "out" / "net.safetensors")["training"]
    assert training["data"] == "digits" and training["seed"] == 3 and training["epochs"] == 2
    assert training["test_acc"] == saved["epochs"][-1]["test_acc"]
    assert snnlab.History.load(tmp_path / "out" / "history.json").epochs == saved["epochs"]


def test_a_convolutional_network_trains_stops_and_continues(tmp_path, run_here):
    """Its weights, its config and its checkpoints come back from their files."""
    options = ("--channels", 3, 5, "--window", 3, "--stride", 2, 1, "--pool", 1, "--shift", 1, "--dense", 7)
    options += ("--batch-size", 256, "--resume", tmp_path / "run")
    done = run_here("train", "conv", *options, "--epochs", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 2 and "spikes " in done.stdout
    net = snnlab.load(tmp_path / "out" / "net.safetensors")
    config = net.recipe.config
    assert config.channels == (3, 5) and config.geometry == ((3, 2, 1), (3, 1, 1))
    assert (config.flip, config.shift) == (False, 1)  # digits are not mirrored
    assert net.stack.names == ("conv1", "conv2", "dense1", "readout") and config.dense == (7,) and config.norm
    again = run_here("train", "conv", *options, "--epochs", 2)
    assert again.returncode == 0 and "the training is complete" in again.stderr


def test_spikes_have_their_price(tmp_path, run_here):
    """--l1 is the weight of the spikes of a sample in the loss: a hundred times as dear, there are fewer."""
    spikes = []
    for l1 in (1e-4, 1e-2):
        done = run_here("train", "--epochs", 3, "--l1", l1, "--json", tmp_path / f"{l1}.json")
        assert done.returncode == 0, done.stderr
        last = json.loads((tmp_path / f"{l1}.json").read_text())["epochs"][-1]
        spikes.append(last["spikes_per_sample"])
        assert last["terms"]["l1"] > 0
    assert spikes[1] < 0.5 * spikes[0]
    done = run_here("train", "lstm", "--l1", 1e-3)
    assert done.returncode == 2 and "--l1: does not apply to the lstm" in done.stderr


@pytest.mark.endure
def test_train_on_events(tmp_path, run_here):
    """By name, and from a folder of event files; as many steps as the events last, unless they are given."""
    part = data.load("event_digits").subset(train=200, test=50)
    folder = data.save_events(part, tmp_path / "mine")
    for name, dt, steps in (("event_digits", 2.0, 50), (folder, 0.5, 200), (folder, 1.0, 30)):
        given = ("--num-steps", steps) if steps == 30 else ()
        report = tmp_path / f"report-{steps}.json"
        command = ("train", "snn", "--data", name, "--dt", dt, "--epochs", 1, "--json", report, *given)
        told = "come after num_steps \\* dt = 30 ms and are not seen; num_steps=100 sees them all"
        with pytest.warns(UserWarning, match=told) if given else contextlib.nullcontext():
            done = run_here(*command)
        assert done.returncode == 0 and "samples (2, 12, 12) events" in done.stderr, done.stderr
        saved = json.loads(report.read_text())
        assert saved["config"]["num_steps"] == steps and saved["config"]["code"] == "events"


def flowers(path):
    """Anderson's irises, as anybody saves them."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    rows = [",".join([*map(str, x), str(iris.target_names[y])]) for x, y in zip(iris.data, iris.target, strict=True)]
    path.write_text("\n".join(["length,width,length of petal,width of petal,species", *rows]))
    return path


def test_train_on_a_table_of_your_own(tmp_path, run_here):
    """With the defaults alone. Two flowers of three are told apart by one straight line, so 0.66 is easy."""
    done = run_here("train", "--data", flowers(tmp_path / "iris.csv"), "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "150 samples of 4 numbers, 3 classes in column 'species'; divided into 105 to train, 15 to valid" in said
    assert done.stdout.count("validation accuracy") == 10 and "test part, 30 samples: accuracy " in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["test"]["accuracy"] > 0.8 and report["config"]["code"] == "population"
    assert {"accuracy", "balanced accuracy", "loss", "spikes_per_sample"} <= report["test"].keys()


def test_train_on_numbers_and_on_recordings_of_your_own(tmp_path, run_here):
    """Each task has its own words; recordings are read step by step."""
    rng = np.random.default_rng(0)
    x = rng.random((200, 3))
    np.savez(tmp_path / "sums.npz", x=x, y=100.0 + 30.0 * x.sum(1))
    done = run_here("train", "--data", tmp_path / "sums.npz", "--epochs", 3, "--l1", 1e-3)
    assert done.returncode == 0, done.stderr
    assert "validation R2 " in done.stdout and "test part, 40 samples: R2 " in done.stdout and "RMSE" in done.stdout
    for kind, level in (("low", 0.1), ("high", 0.9)):
        (tmp_path / "beats" / kind).mkdir(parents=True)
        for k in range(10):
            np.save(tmp_path / "beats" / kind / f"{k}.npy", level * rng.random((20 + k, 2)))
    for network in (("lstm",), ("snn", "--code", "delta")):
        done = run_here("train", *network, "--data", tmp_path / "beats", "--epochs", 1)
        assert done.returncode == 0 and "up to 29 steps of 2 channels" in " ".join(done.stderr.split()), done.stderr


def test_the_code_of_a_convolution_chooses_what_is_left_out():
    latency, usual = (Train(network="conv", code=code, num_steps=6).network_config() for code in ("latency", None))
    assert latency == replace(LATENCY_CONV, num_steps=6) and usual == ConvConfig(num_steps=6)
    options = {"dense": (9,), "norm": "off", "flip": "on"}
    assert Train(network="conv", **options).network_config() == ConvConfig(dense=(9,), norm=False, flip=True)


def test_files_of_your_own_that_do_not_fit_are_one_line(tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text("a,b,y\n1,2,0\n1,x,0\n")
    steps = tmp_path / "steps.npz"
    rng = np.random.default_rng(0)
    np.savez(steps, x=rng.random((20, 9, 2)).astype(np.float32), y=rng.integers(0, 2, (20, 9, 3)))
    flat = tmp_path / "flat.npz"
    np.savez(flat, x=rng.random((20, 4)), y=np.arange(20.0))
    for arguments, message in (
        (("--data", str(table)), f"{table}: row 3, column 'b': 'x' is not a finite number"),
        (("--data", str(table), "--task", "traces"), "task: a table has one target a row; choose 'label' or 'values'"),
        (("--data", str(steps)), "loss: the readout does not spike"),
        (("--data", str(flat)), "whole numbers as float64 may be classes or values; choose task='label' or task='val"),
        (("--data", "digits", "--task", "label"), "task: applies to files of your own, not to 'digits'; leave it out"),
        (("--data", "event_digits", "--code", "rows"), "--code: event_digits has events, which are spikes already"),
        (("lstm", "--code", "rows"), "--code: does not apply to the lstm; leave it out"),
    ):
        assert main(["train", *arguments]) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert message in errors[-1] and errors[-1].startswith("snnlab: ")


def test_a_label_every_step_says_how_many_steps_a_network_takes():
    """Even if the last spike comes before the last step."""
    part = data.load("store_recall").subset(train=20, test=10)
    assert part.x_train.steps(1.0) <= 800
    assert Train(data="store_recall").network_config(part).num_steps == 800


def test_train_replaces_no_file_unless_told_to(tmp_path, capsys):
    """It is said before anything is trained; a link that leads nowhere is a file too."""
    net, history, report = (tmp_path / name for name in ("net.safetensors", "history.json", "report.json"))
    command = ["train", "--epochs", "3", "--out", str(tmp_path), "--json", str(report)]
    for file in (net, history, report):
        file.write_text("mine")
        assert main(command) == 2
        printed = capsys.readouterr()
        assert printed.err.strip() == f"snnlab: {file} exists; choose another, or add --overwrite" and not printed.out
        assert file.read_text() == "mine" and list(tmp_path.iterdir()) == [file]
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")
        assert main(command) == 2 and list(tmp_path.iterdir()) == [file]
        assert "exists" in capsys.readouterr().err
        file.unlink()
    for file in (net, history, report):
        file.write_text("mine")
    assert main([*command, "--overwrite"]) == 0
    assert snnlab.load(net).recipe.config.hidden == 100 and len(snnlab.History.load(history).epochs) == 3
    assert json.loads(report.read_text())["network"] == "snn"


def test_what_lies_in_the_folder_is_left_alone(tmp_path, run_here):
    """Trying whether a folder can be written to leaves nothing there, and takes nothing away."""
    mine = tmp_path / "writable"
    mine.write_text("mine")
    done = run_here("train", "--epochs", 3, "--out", tmp_path)
    assert done.returncode == 0 and mine.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"writable", "net.safetensors", "history.json"}


@pytest.mark.endure
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_learned(tmp_path, number):
    command = [sys.executable, "-u", "-m", "snnlab.cli", "train", "--epochs", "100000", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("epoch   1")
        time.sleep(0.3)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 130 and f"is in {tmp_path}" in errors and "Traceback" not in errors
    assert len(snnlab.History.load(tmp_path / "history.json").epochs) >= 1
    snnlab.load(tmp_path / "net.safetensors")


def test_ctrl_c_while_it_compiles_is_one_line(tmp_path):
    command = [sys.executable, "-u", "-m", "snnlab.cli", "train", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("Dataset")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode in (130, -signal.SIGINT)  # a shell says 130 in either case
    assert "interrupted" in errors and "Traceback" not in errors


def test_a_divergence_keeps_the_last_good_weights_and_says_what_to_do(tmp_path, run_here):
    """A rate at which the first update leaves the range of a float32 LSTM."""
    done = run_here("train", "lstm", "--lr", "1e30", "--out", tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "snnlab: step 1: the " in done.stderr and "is not finite" in done.stderr
    assert "snnlab: try again with --lr 0.01" in done.stderr and f"wrote {tmp_path}" in done.stderr
    arrays = load_file(tmp_path / "net.safetensors").values()
    assert all(np.isfinite(array).all() for array in arrays)
    assert len(snnlab.History.load(tmp_path / "history.json")) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "lstm", "--tau-mem", "3"), "--tau-mem: does not apply to the lstm"),
        (("train", "conv", "--hidden", "3"), "--hidden: does not apply to the conv"),
        (("train", "conv", "--recurrent"), "--recurrent: does not apply to the conv"),
        (("train", "lstm", "--neuron", "alif"), "--neuron: does not apply to the lstm"),
        (("train", "conv", "--most-delay", "3"), "--most-delay: does not apply to the conv"),
        (("train", "--most-delay", "100"), "most_delay: must be less than the 100 steps of the sequence, got 100"),
        (("train", "lstm", "--hidden", "3", "4"), "hidden: must be an integer >= 1 and <= 4194304, got (3, 4)"),
        (("train", "snn", "--channels", "3", "4"), "--channels: does not apply to the snn"),
        (("train", "snn", "--flip", "on"), "--flip: does not apply to the snn"),
        (("train", "snn", "--shift", "1"), "--shift: does not apply to the snn"),
        (("train", "conv", "--stride", "2", "1", "1"), "stride: must be one number, or one for each of 2 convolutions"),
        (("train", "conv", "--code", "rows"), "code: must be one of 'current', 'latency', got 'rows'"),
        (("train", "--code", "current"), "code: must be "),
        (("train", "conv", "--shift", "-1"), "shift: must be an integer >= 0, got -1"),
        (("train", "conv", "--channels", "3", "0"), "channels[1]: must be an integer >= 1 and <= 4194304, got 0"),
        (("train", "conv", "--data", "event_digits"), "--data: event_digits has events, which the conv does not read"),
        (("train", "--data", "digit"), "'digit' is unknown. Did you mean 'digits'?"),
        (("train", "--batch-size", "5000"), "batch_size: must be at most the 1437 training samples, got 5000"),
        (("train", "--batch-size", "0"), "batch_size: must be an integer >= 1, got 0"),
        (("train", "--tau-mem", "-1"), "tau_mem: must be a number >= 0.0 ms, got -1.0"),
        (("train", "--v-th", "-1"), "v_th: must be above v_reset = 0.0, or one spike causes the next, got -1.0"),
        (("train", "--save-every", "3"), "--save-every: does nothing without --resume"),
        (("train", "--wait", "3"), "--wait: does nothing without --distributed"),
        (("train", "--v-th", "nan"), "v_th: must be a finite number, got nan"),
        (("train", "--epochs", "0"), "epochs: must be an integer >= 1, got 0"),
        (("train", "--out", "/proc/nowhere"), "/proc/nowhere: cannot write there"),
        (("train", "lstm", "--data", "event_digits"), "--data: event_digits has events, which the lstm does not read"),
        (("train", "--data", "event_digits", "--dt", "0.0015"), "dt: must be a whole number of microseconds"),
        (("train", "lstm", "--data", "yinyang"), "sample_shape: must be (rows, columns), or (time"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments, message):
    assert main(list(arguments)) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert message in errors[-1] and errors[-1].startswith("snnlab: ")


@pytest.fixture
def saved(tmp_path):
    """A network as a file."""
    net = snnlab.build(snnlab.SnnConfig(hidden=12, num_steps=30, v_th=0.3), sample_shape=(8, 8), num_classes=10)
    training = {"data": "digits", "epochs": 0}
    return snnlab.save(net, tmp_path / "net.safetensors", class_names=tuple("0123456789"), training=training)


def test_export_to_nir_prints_the_certificate(saved, tmp_path, capsys):
    out = tmp_path / "deep" / "net.nir"
    options = ["--reader-dt", "0.1", "--unit-gain", "--readout", "lif", "--data", "digits"]
    assert main(["export", str(saved), str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: its reader must assume" in printed and "h = 0.0001 s, for 1 ms of the network" in printed
    assert "class 256 of 256" in printed and "with NIR's own reset" in printed
    theirs = snnlab.from_nir(out, dt=0.1, reset="subtract")
    assert list(theirs.layers) == ["hidden", "readout"]
    assert main(["export", str(saved), str(out)]) == 2
    assert f"{out} exists; choose another, or add --overwrite" in capsys.readouterr().err
    assert main(["export", str(saved), str(out), "--overwrite"]) == 0


def test_export_to_safetensors_keeps_what_the_file_says(saved, tmp_path):
    assert main(["export", str(saved), str(tmp_path / "copy.safetensors")]) == 0
    assert load_metadata(tmp_path / "copy.safetensors") == load_metadata(saved)
    copied, arrays = load_file(tmp_path / "copy.safetensors"), load_file(saved)
    assert copied.keys() == arrays.keys() and all((copied[name] == arrays[name]).all() for name in arrays)


@pytest.mark.parametrize(
    ("net", "out", "message"),
    [
        ("net.safetensors", "net.onnx", "OUT: its ending: must be one of '.safetensors', '.nir', got '.onnx'"),
        ("none.safetensors", "net.nir", "none.safetensors: cannot be read as safetensors"),
        ("net.safetensors", "net.safetensors", "net.safetensors exists; choose another"),
        ("net.safetensors", "/proc/nowhere/net.nir", "/proc/nowhere: cannot write there"),
    ],
)
def test_export_mistakes_are_one_line(saved, tmp_path, monkeypatch, capsys, net, out, message):
    monkeypatch.chdir(tmp_path)
    assert main(["export", net, out]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0] and [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def listening(port: int) -> set[str]:
    """The addresses of this machine on which somebody waits for connections to a port, as the kernel says."""
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        lines = (Path("/proc/net") / table).read_text().splitlines()[1:] if Path("/proc/net", table).exists() else []
        for local, state in ((line.split()[1], line.split()[3]) for line in lines):
            address, hexadecimal = local.split(":")
            if int(hexadecimal, 16) == port and state == "0A":
                words = struct.unpack(f">{len(address) // 8}I", bytes.fromhex(address))
                found.add(socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)))
    return found


@pytest.mark.notebooks
def test_lab_serves_the_notebooks_on_loopback_with_a_token(tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "snnlab.cli", "lab", "--no-browser"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=environment, **options) as process:
        try:
            lines = (line for line in process.stdout if "http://127.0.0.1" in line)
            address = next(lines).split()[-1]
            server, token = address.split("/lab")[0], address.split("token=")[1]
            wait_until(lambda: answers(f"{server}/api/status?token={token}"), 60, "the server answers")
            for query in ("", "?token=", "?token=wrong", f"?token={token[:-1]}"):
                with pytest.raises(urllib.error.HTTPError, match="403"):
                    urllib.request.urlopen(f"{server}/api/contents{query}")
            with urllib.request.urlopen(f"{server}/lab") as answer:
                assert answer.url.startswith(f"{server}/login?"), "a page without the token is the one that asks for it"
            assert len(token) >= 32 and listening(int(server.rsplit(":", 1)[1])) == {"127.0.0.1"}
            with urllib.request.urlopen(f"{server}/api/contents?token={token}") as answer:
                served = {entry["name"] for entry in json.load(answer)["content"]}
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    assert {"01-lstm.ipynb", "02-spiking.ipynb"} <= served


def test_an_installed_package_copies_its_notebooks(tmp_path, monkeypatch):
    """A wheel has them inside the package, where nobody should write; the copies are the user's."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "site-packages" / "snnlab"
    (package / "notebooks").mkdir(parents=True)
    for name in ("01-a.ipynb", "02-b.ipynb"):
        (package / "notebooks" / name).write_text(name)
    folder = notebooks_folder(package)
    assert folder == tmp_path / "snnlab-notebooks"
    (folder / "01-a.ipynb").write_text("mine")
    (folder / "02-b.ipynb").unlink()
    notebooks_folder(package)
    assert (folder / "01-a.ipynb").read_text() == "mine" and (folder / "02-b.ipynb").read_text() == "02-b.ipynb"


def test_without_notebooks_it_says_so(tmp_path):
    with pytest.raises(SnnlabError, match="no notebooks"):
        notebooks_folder(tmp_path / "site-packages" / "snnlab")


def test_lab_opens_no_notebook_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr(notebooks.metadata, "version", lambda name: "4.6")  # JupyterLab need not be here
    assert main(["lab", "--notebook", "09-none.ipynb"]) == 2
    assert "--notebook: must be one of 01-lstm.ipynb" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("--help",), *((command, "--help") for command in ("train", "export", "exhibit", "lab", "gallery"))],
)
def test_help_on_every_command(arguments):
    done = run(*arguments)
    assert done.returncode == 0 and "usage: snnlab" in done.stdout
