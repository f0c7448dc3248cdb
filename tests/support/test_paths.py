"""Paths: `~` is a home folder wherever a path is given, and what is no file is never waited for."""

import os

import numpy as np
import pytest
from flax import nnx

from snnlab import cli, data, export
from snnlab.checkpoint.folder import CheckpointFolder
from snnlab.config import LstmConfig
from snnlab.data import EventLists
from snnlab.data.event_folder import load_event_folder, read_events
from snnlab.data.idx import read_idx
from snnlab.data.idx_folder import load_folder
from snnlab.errors import ArgumentError, SnnlabError
from snnlab.history import History
from snnlab.models import build
from snnlab.support import arguments
from snnlab.support.files import cache_folder, inside
from snnlab.support.tensors import read_tensors


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, which is not where we are."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "home"
    assert list((tmp_path / "here").iterdir()) == [], "no folder called ~"


def net() -> nnx.Module:
    return build(LstmConfig(hidden=3), sample_shape=(2, 2), num_classes=2)


def test_a_home_folder_is_understood_everywhere(home, monkeypatch):
    assert export.load("~" + str(export.save(net(), "~/a/net.safetensors")).removeprefix(str(home))).recipe is not None
    assert (home / "a" / "net.safetensors").is_file()
    assert export.load_metadata("~/a/net.safetensors")["recipe"]["kind"] == "lstm"
    assert History().save("~/run.json") == home / "run.json" and len(History.load("~/run.json")) == 0
    lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
    mine = data.Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
    assert data.save_events(mine, "~/mine") == home / "mine" and data.load("~/mine").name == "mine"
    (home / "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    assert read_idx("~/labels").tolist() == [7]
    CheckpointFolder("~/saved", keep=1, say=print).close()
    assert (home / "saved").is_dir() and inside("~/a/b", "~/a") == home / "a" / "b"
    monkeypatch.setenv("SNNLAB_CACHE", "~/cache")
    assert cache_folder() == home / "cache"


def test_the_run_and_the_command_line_understand_it(home, make_run):
    run = make_run(folder="~/exports")
    assert run.export() == home / "exports" / "net-step-0.safetensors"
    assert run.export("~/net.safetensors") == home / "net.safetensors"
    run.resume("~/saved")
    assert (home / "saved" / ".lock").exists()
    assert cli.main(["export", "~/net.safetensors", "~/out/again.safetensors"]) == 0
    assert (home / "out" / "again.safetensors").is_file()


@pytest.fixture
def make_run(small):
    """Makes runs of a small network that nobody trains."""
    from snnlab.live.run import Run

    made = []

    def make(**options) -> Run:
        model = build(LstmConfig(hidden=3), sample_shape=small.sample_shape, num_classes=10)
        made.append(Run(model, small, batch_size=32, **options))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.mark.parametrize("value", [3, None, b"folder", ["a"], "~nobody-of-this-name/runs"])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(ArgumentError, match=r"folder: "):
        arguments.path("folder", value)


def read_nir(path):
    pytest.importorskip("nir")
    return export.from_nir(path, dt=1.0)


READERS = {
    "load": export.load,
    "load_metadata": export.load_metadata,
    "read_tensors": read_tensors,
    "history": History.load,
    "idx": read_idx,
    "events": read_events,
    "nir": read_nir,
}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing", "text with a NUL"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, read, kind):
    """A pipe would be waited for, a device has no end; each is refused in one line that names it."""
    path = tmp_path / "given"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    path = {"device": "/dev/zero", "text with a NUL": "a\0b"}.get(kind, path)
    with pytest.raises(SnnlabError) as refused:
        read(path)
    assert "\n" not in str(refused.value) and str(path).split("\0")[0] in str(refused.value)


def test_sets_in_a_folder_of_pipes_are_missing(tmp_path):
    for name in ("train.npz", "test.npz", "train-images-idx3-ubyte.gz"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(SnnlabError, match=r"train.npz: cannot be read \(is not a file\)"):
        load_event_folder(tmp_path)
    with pytest.raises(SnnlabError, match="has no train-images"):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\ud800", "\u202eoe.exe", "x" * 1001, 3, None])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ArgumentError, match="node: "):
        arguments.name("node", name)


@pytest.mark.parametrize(
    "name", ["hidden", "a b", "<img src=x>", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "脑", "👩‍🔬"]
)
def test_names_in_any_script_are_names(name):
    assert arguments.name("node", name) == name


@pytest.mark.parametrize("value", [1e39, -1e39, 10**400, np.float64(3.5e38)])
def test_numbers_that_float32_cannot_hold_are_refused(value):
    """They would be infinite in the network, and the network silent."""
    with pytest.raises(ArgumentError, match="v_th: "):
        arguments.number("v_th", value)
    with pytest.raises(ArgumentError, match="v_th: "):
        arguments.numbers("v_th", [1.0, value], infinite=True)
    with pytest.raises(ArgumentError, match=r"rate: .* > 0\.0, got 1e-50, which is 0\.0 in float32"):
        arguments.number("rate", 1e-50, 0.0, strict=True)
    assert arguments.number("v_th", 3.4e38) == 3.4e38 and arguments.number("l1", 1e-50, 0.0) == 1e-50
