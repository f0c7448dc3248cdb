"""Every function that reads a file which somebody else may have written: a good file for it, and how it is called.

To add one, write a `Reader` into `READERS`: `share` says how many of all cases it gets.
"""

import gzip
import io
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from fuzzing import Seed

import snnlab
from snnlab.checkpoint.folder import CheckpointFolder
from snnlab.checkpoint.snapshot import Snapshot
from snnlab.data import load
from snnlab.data.event_folder import load_event_folder, read_events
from snnlab.data.idx import read_idx
from snnlab.data.idx_folder import load_folder
from snnlab.data.published import FILES
from snnlab.data.recordings import load_recordings
from snnlab.data.tfds_images import _read_cache
from snnlab.errors import DataError
from snnlab.export import load_metadata


class Reader(NamedTuple):
    """One reader.

    Attributes:
        name: of the reader.
        share: of all cases, in hundredths.
        file: what the file is called, from the folder that the case lies in.
        seeds: good files.
        read: takes the path of the damaged file; raises AssertionError if what it read is not what it should be.
        rest: other files that must lie beside the damaged one, by name. Of files that do not fit together an error may
            name the folder.
    """

    name: str
    share: int
    file: str
    seeds: Callable[[], list[Seed]]
    read: Callable[[str], None]
    rest: Callable[[], dict[str, bytes]] = dict

    def warm_up(self) -> None:
        """Read every good file once: what that imports and compiles belongs to no case."""
        with tempfile.TemporaryDirectory() as folder:
            for seed in self.seeds():
                self.read(str(self.lay_out(Path(folder), seed.join(list(seed.parts)))))

    def named(self, path: str) -> str:
        """What an error must name."""
        return str(Path(path).parent) if self.rest() else path

    def lay_out(self, folder: Path, content: bytes) -> Path:
        """A file and what must lie beside it."""
        for name, other in self.rest().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(other)
        path = folder / self.file
        path.write_bytes(content)
        return path


# ---- idx ----


def idx(array: np.ndarray, code: int = 8) -> bytes:
    """The format by its definition."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)


def idx_seeds() -> list[Seed]:
    return [Seed((idx(PIXELS),)), Seed((idx(PIXELS.astype(">f8"), 14),)), Seed((idx(LABELS),))]


def packed_idx_seeds() -> list[Seed]:
    packed = gzip.compress(idx(PIXELS), mtime=0)
    return [Seed((packed,)), Seed((idx(PIXELS),), lambda parts: gzip.compress(parts[0], mtime=0))]


def check_idx(path: str) -> None:
    found = read_idx(path)
    assert found.size > 0 and found.dtype.kind in "iuf" and found.dtype.isnative


def idx_folder() -> dict[str, bytes]:
    return {name: gzip.compress(idx(LABELS if "labels" in name else PIXELS), mtime=0) for name in FILES.values()}


def check_idx_folder(path: str) -> None:
    _named(path, load_folder(Path(path).parent))


def _named(path: str, dataset) -> None:
    assert dataset.num_classes > int(dataset.y_train.max()) and len(dataset.x_train) == len(dataset.y_train)


# ---- events ----


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def zipped(names: list[str], method: int) -> Callable[[list[bytes]], bytes]:
    """Makes an archive of members, with the right sums."""

    def join(parts: list[bytes]) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, part in zip(names, parts, strict=True):
                archive.writestr(zipfile.ZipInfo(name), part, method)
        return file.getvalue()

    return join


def event_members() -> dict[str, bytes]:
    fields = [("t", "<u4"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")]
    arrays = {"events": np.array([(0, 0, 0, 0), (7, 4, 2, 1), (7, 4, 2, 1), (900, 1, 2, 0)], fields)}
    arrays |= {"offsets": np.array([0, 3, 3, 4]), "labels": np.array([0, 1, 1]), "sensor": np.array([2, 3, 5])}
    arrays["class_names"] = np.array(["no", "yes"])
    return {f"{name}.npy": npy(array) for name, array in arrays.items()}


def event_seeds() -> list[Seed]:
    members = event_members()
    seeds = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        join = zipped(list(members), method)
        seeds += [Seed(tuple(members.values()), join), Seed((join(list(members.values())),))]
    return seeds


def check_events(path: str) -> None:
    lists, labels, names = read_events(path)
    assert len(lists) == len(labels) and lists[:].shape[1] == 2 and all(isinstance(name, str) for name in names)


def event_folder() -> dict[str, bytes]:
    members = event_members()
    return {"train.npz": zipped(list(members), zipfile.ZIP_STORED)(list(members.values()))}


def check_event_folder(path: str) -> None:
    _named(path, load_event_folder(Path(path).parent))


# ---- the cache of fetched images ----


def cache_seeds() -> list[Seed]:
    arrays = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS, "y_test": LABELS}
    join = zipped([f"{name}.npy" for name in arrays], zipfile.ZIP_STORED)
    parts = tuple(map(npy, arrays.values()))
    return [Seed(parts, join), Seed((join(list(parts)),))]


def check_cache(path: str) -> None:
    """What is damaged is fetched again; the warning says so as an error would."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = _read_cache("kmnist", Path(path))
    if dataset is None:
        raise DataError(str(said[-1].message))
    _named(path, dataset)


# ---- files of your own ----


def own_arrays() -> dict[str, np.ndarray]:
    return {"x": np.linspace(0, 1, 48, dtype=np.float32).reshape(12, 4), "y": np.arange(12) % 3}


def npz_seeds() -> list[Seed]:
    arrays = own_arrays() | {"weights": np.ones(12), "class_names": np.array(["a", "b", "c"])}
    join = zipped([f"{name}.npy" for name in arrays], zipfile.ZIP_STORED)
    parts = tuple(map(npy, arrays.values()))
    return [Seed(parts, join), Seed((join(list(parts)),))]


def table_seeds() -> list[Seed]:
    arrays = own_arrays()
    rows = [",".join([*map(str, x), "abc"[y]]) for x, y in zip(arrays["x"], arrays["y"], strict=True)]
    return [Seed(("\n".join(["p,q,r,s,kind", *rows]).encode(),)), Seed(("\n".join(rows).encode(),))]


def check_own(path: str) -> None:
    _named(path, load(path))


def check_recordings(path: str) -> None:
    _named(path, load_recordings(Path(path).parents[1]))


def recordings() -> dict[str, bytes]:
    return {f"{kind}/{k}.npy": npy(np.full((4 + k, 2), k, np.float32)) for kind in "ab" for k in range(5)}


# ---- networks ----


@cache
def saved(kind: str) -> bytes:
    config = snnlab.SnnConfig(hidden=4, num_steps=5) if kind == "snn" else snnlab.LstmConfig(hidden=3)
    net = snnlab.build(config, sample_shape=(3, 2), num_classes=2)
    with tempfile.TemporaryDirectory() as folder:
        about = {"class_names": ("a", "b"), "training": {"epochs": 1, "loss": 0.5}}
        return snnlab.save(net, Path(folder) / "net.safetensors", **about).read_bytes()


def with_length(parts: list[bytes]) -> bytes:
    """A safetensors file of its header and its values."""
    return len(parts[0]).to_bytes(8, "little") + b"".join(parts)


def with_recipe(parts: list[bytes]) -> bytes:
    """A safetensors file of its header, its values and the description of the network, which goes into the header."""
    header = json.loads(parts[0])
    header["__metadata__"]["recipe"] = parts[2].decode("utf-8", "replace")
    return with_length([json.dumps(header).encode(), parts[1]])


def tensor_seeds() -> list[Seed]:
    seeds = []
    for kind in ("snn", "lstm"):
        whole = saved(kind)
        end = 8 + int.from_bytes(whole[:8], "little")
        recipe = json.loads(whole[8:end])["__metadata__"]["recipe"].encode()
        seeds += [Seed((whole,)), Seed((whole[8:end], whole[end:]), with_length)]
        seeds.append(Seed((recipe,), lambda parts, h=whole[8:end], v=whole[end:]: with_recipe([h, v, parts[0]])))
    return seeds


def check_network(path: str) -> None:
    net = snnlab.load(path)
    assert net.recipe.num_classes >= 1


def check_metadata(path: str) -> None:
    assert load_metadata(path)["format"] == "snnlab"


# ---- history ----


def history_seeds() -> list[Seed]:
    saved = {"steps": {"loss": [2.5, 1.25, 0.5], "accuracy": [0.125, 0.5, float("nan")]}}
    saved["epochs"] = [{"epoch": 1, "train_loss": 1.5, "terms": {"ce": 1.5}, "spikes_per_sample": None}]
    saved["interventions"] = [{"step": 2, "knob": "hidden.v_th", "old": 1.0, "new": 0.5}]
    return [Seed((json.dumps(saved).encode(),))]


def check_history(path: str) -> None:
    history = snnlab.History.load(path)
    assert all(len(column) == len(history) for column in history.steps().values())
    history._repr_html_()
    json.dumps(history.to_dict())


# ---- NIR ----


@cache
def nir_bytes(which: str) -> bytes:
    """A graph as `save_nir` writes it, and as the oldest and the newest HDF5 would, compressed or not."""
    import h5py
    from flax import nnx

    from snnlab.layers import Delay, Expon, Leaky, LifRef, Projection, Stack

    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "net.nir", Path(folder) / "other"
        if which == "own":
            rngs = nnx.Rngs(0)
            hidden = Projection(3, LifRef(4, reset="value"), synapse=Expon(4), rngs=rngs)
            net = Stack(delay=Delay(np.array([1, 2, 0])), hidden=hidden, readout=Projection(4, Leaky(2), rngs=rngs))
            return snnlab.save_nir(net, path).path.read_bytes()
        path.write_bytes(nir_bytes("own"))
        with h5py.File(path) as old, h5py.File(other, "w", libver=which) as new:
            for name in old:
                old.copy(name, new)
        return other.read_bytes()


def nir_seeds() -> list[Seed]:
    return [Seed((nir_bytes(which),)) for which in ("own", "earliest", "latest")]


def check_nir(path: str) -> None:
    assert snnlab.from_nir(path, dt=1.0).names


# ---- checkpoints ----

RUN = {"state/weights": np.arange(200, dtype=np.float32), "history/loss": np.linspace(0, 1, 50, dtype=np.float32)}
FACTS = {"format": 1, "epochs": [{"epoch": 1, "test_acc": 0.5}]}


@cache
def checkpoint_seeds() -> list[Seed]:
    with tempfile.TemporaryDirectory() as name:
        checkpoints = CheckpointFolder(name, keep=1, say=print)
        checkpoints.write(Snapshot(RUN, FACTS))
        checkpoints.close()
        (whole,) = (path.read_bytes() for path in checkpoints.complete())
    end = 8 + int.from_bytes(whole[:8], "little")
    return [Seed((whole,)), Seed((whole[8:end], whole[end:]), with_length)]


def check_checkpoint(path: str) -> None:
    """It is read as it was written, or set aside, and that is said."""
    said: list[str] = []
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as name:
        shutil.copy(path, Path(name) / Path(path).name)
        checkpoints = CheckpointFolder(name, keep=1, say=said.append)
        found = checkpoints.newest()
        checkpoints.close()
        left = {file.name for file in Path(name).iterdir()}
    if found is None:
        assert left == {".lock", "checkpoint-000001.damaged"} and len(said) == 1, (left, said)
        raise DataError(said[0].replace(name, str(Path(path).parent)))
    assert found.arrays.keys() == RUN.keys() and found.facts == FACTS
    assert all(np.array_equal(found.arrays[key], array) for key, array in RUN.items())


# ---- runs side by side ----

COMPARED = {
    "format": 1,
    "identity": {
        "model": {"hidden": 4, "code": None, "v_th": 1.0},
        "arrays": {".params['kernel'].value": "float32[3, 4]"},
        "loss": {"terms": ["loss"], "readout": "mean"},
        "data": {"samples": [6, 2], "crc": 7},
        "settings": {"epochs": 2, "batch_size": 3, "schedule": "cosine", "seed": 0},
    },
    "network": "SnnConfig",
    "data": "digits",
    "knobs": {"hidden.v_th": 1.0},
    "learning_rate": 0.01,
    "interventions": [{"step": 1, "knob": "hidden.v_th", "old": 1.0, "new": 0.5}],
    "planned": [],
    "posted": {"hidden.v_th": 0.25},
    "seconds": 1.5,
    "note": None,
}
EPOCH = ("epoch", "seconds", "train_loss", "train_acc", "test_loss", "test_acc", "spikes_per_sample")
COMPARED |= {"epochs": [dict.fromkeys(EPOCH, 1) | {"terms": {"ce": 0.5}}]}
COMPARED |= {"branches": [{"name": "a", "here": True, "parent": None, "start": 0}], "here": "a"}


def as_checkpoint(facts: bytes) -> bytes:
    """A checkpoint with such facts, and the digest that belongs to them."""
    try:
        digest = Snapshot({"history/loss": RUN["history/loss"][:3]}, json.loads(facts)).digest
    except (ValueError, RecursionError):
        digest = ""
    metadata = {"facts": facts.decode("utf-8", "replace"), "digest": digest}
    return safetensors.numpy.save({"history/loss": RUN["history/loss"][:3]}, metadata)


def compared_seeds() -> list[Seed]:
    facts = json.dumps(COMPARED).encode()
    return [Seed((as_checkpoint(facts),)), Seed((facts,), lambda parts: as_checkpoint(parts[0]))]


def check_compared(path: str) -> None:
    """What is shown is text: nothing of the file becomes a tag or a line of its own."""
    shown = snnlab.compare(Path(path).parent)
    assert shown.text() and "<script" not in shown._repr_html_().lower()


READERS = [
    Reader("idx", 8, "images", idx_seeds, check_idx),
    Reader("idx.gz", 8, "images.gz", packed_idx_seeds, check_idx),
    Reader("idx folder", 6, FILES["x_train"], packed_idx_seeds, check_idx_folder, idx_folder),
    Reader("image cache", 4, "kmnist.npz", cache_seeds, check_cache),
    Reader("archive", 6, "mine.npz", npz_seeds, check_own),
    Reader("table", 6, "mine.csv", table_seeds, check_own),
    Reader("recordings", 4, "a/9.npy", lambda: [Seed((npy(np.ones((5, 2))),))], check_recordings, recordings),
    Reader("events", 8, "train.npz", event_seeds, check_events),
    Reader("event folder", 6, "test.npz", event_seeds, check_event_folder, event_folder),
    Reader("network", 12, "net.safetensors", tensor_seeds, check_network),
    Reader("network's metadata", 8, "net.safetensors", tensor_seeds, check_metadata),
    Reader("history", 10, "history.json", history_seeds, check_history),
    Reader("NIR", 6, "net.nir", nir_seeds, check_nir),
    Reader("checkpoint", 4, "checkpoint-000001.safetensors", checkpoint_seeds, check_checkpoint),
    Reader(
        "run beside others",
        4,
        "checkpoint-000001.safetensors",
        compared_seeds,
        check_compared,
        lambda: {"readme": b"the errors name the folder"},
    ),
]
