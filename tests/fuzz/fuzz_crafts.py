"""Files made to hurt: what damage by chance would take long to find. They are refused, and take no time, no memory.

`CRAFTS` has for each a name, its reader (of `fuzz_readers`), and what makes the file.
"""

import gzip
import io
import json
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fuzz_readers import LABELS, event_members, history_seeds, nir_bytes, npy, saved, with_length, with_recipe, zipped

HUGE = 10**12


class Craft(NamedTuple):
    """A file that is refused; `harmless` if it may as well be read, as what is wrong with it is never looked at."""

    name: str
    reader: str
    make: Callable[[], bytes]
    harmless: bool = False


class Explosive:
    """Would make a folder, were it unpickled."""

    def __reduce__(self):
        import os

        return os.mkdir, ("exploded",)


# ---- idx ----


def idx_header(*shape: int, code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def gzip_bomb() -> bytes:
    """4 GB of zeros, announced truthfully, in 4 MB."""
    return gzip.compress(idx_header(2**16, 2**16)) + gzip.compress(bytes(2**24)) * 256


# ---- events ----


def events(**members) -> bytes:
    """The small set with other members; None leaves one out."""
    all_members = event_members() | {f"{name}.npy": content for name, content in members.items()}
    there = {name: content for name, content in all_members.items() if content is not None}
    return zipped(list(there), zipfile.ZIP_STORED)(list(there.values()))


def lying_npy(shape: str, descr: str = "'<i8'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


def zip_bomb() -> bytes:
    """540 MB of zeros in 3 MB: events that are all alike, and every header is true."""
    file, count = io.BytesIO(), 60_000_000
    members = event_members()
    first = lying_npy(f"({count},)", "[('t','<u4'),('x','<u2'),('y','<u2'),('p','u1')]")[:-24]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("events.npy", "w") as member:
            member.write(first)
            for _ in range(9):
                member.write(bytes(count))
        for name in ("labels.npy", "sensor.npy"):
            archive.writestr(name, members[name])
        archive.writestr("offsets.npy", npy(np.array([0, 5, 9, count])))
    return file.getvalue()


def pickled_labels() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Explosive()] * 3, object), allow_pickle=True)
    return events(labels=file.getvalue())


def names_that_climb() -> bytes:
    """Members that an unpacker would write elsewhere; and what is needed beside them."""
    evil = {"../../climbed.npy": b"x", "/tmp/climbed.npy": b"x", "..\\climbed.npy": b"x", "events/../climbed.npy": b"x"}
    members = event_members() | evil
    return zipped(list(members), zipfile.ZIP_STORED)(list(members.values()))


# ---- networks ----


def safetensors(entries: dict, values: bytes = bytes(64), **metadata) -> bytes:
    return with_length([json.dumps(entries | ({"__metadata__": metadata} if metadata else {})).encode(), values])


def entry(shape: list[int], first: int, end: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}


def recipe(of: str = "snn", /, **changes) -> bytes:
    """A good file whose description of the network says something else."""
    whole = saved(of)
    end = 8 + int.from_bytes(whole[:8], "little")
    about = json.loads(json.loads(whole[8:end])["__metadata__"]["recipe"])
    for name, value in changes.items():
        (about if name in about else about["config"])[name] = value
    return with_recipe([whole[8:end], whole[end:], json.dumps(about).encode()])


def raw_recipe(text: bytes) -> bytes:
    whole = saved("snn")
    end = 8 + int.from_bytes(whole[:8], "little")
    return with_recipe([whole[8:end], whole[end:], text])


# ---- histories ----


def history(steps: str = "{}", epochs: str = "[]", moves: str = "[]") -> bytes:
    return f'{{"steps": {steps}, "epochs": {epochs}, "interventions": {moves}}}'.encode()


# ---- NIR ----


def edited(edit: Callable, content: bytes | None = None) -> bytes:
    """A good graph that was changed by `edit(file, h5py)`."""
    import h5py

    file = io.BytesIO(content or nir_bytes("own"))
    with h5py.File(file, "r+") as opened:
        edit(opened, h5py)
    return file.getvalue()


def replace(path: str, value, good: Callable[[], bytes] | None = None) -> Callable[[], bytes]:
    """A good graph in which something else stands at a path."""

    def edit(file, h5py):
        del file[path]
        file[path] = value

    return lambda: edited(edit, good and good())


def add(name: str, make: Callable) -> Callable[[], bytes]:
    """A good graph with one node more."""

    def edit(file, h5py):
        file["node/nodes"][name] = make(h5py, file)

    return lambda: edited(edit)


def heap_loop() -> bytes:
    """One bit: the length of a string in the global heap. libhdf5 2.0.0 goes round in circles for ever."""
    import nir

    version = nir.version.encode()
    content = bytearray(nir_bytes("latest"))
    at = content.index(len(version).to_bytes(8, "little") + version)
    content[at + 1] ^= 4
    return bytes(content)


def hdf5_bomb(file, h5py) -> None:
    """A gigabyte and more of zeros, in 64 pieces that are packed a thousand to one."""
    group, piece = file["node/nodes"], zlib.compress(bytes(2**24), 9)
    bomb = group.create_dataset("bomb", (2**30,), "u1", chunks=(2**24,), compression="gzip")
    for k in range(64):
        bomb.id.write_direct_chunk((k * 2**24,), piece)


def huge_announced(file, h5py) -> None:
    file["node/nodes"].create_dataset("huge", (2**40,), "f8", chunks=(2**10,))


def cycle(file, h5py) -> None:
    file["node/nodes/more"] = file["node"]


def external_data(file, h5py) -> None:
    file["node/nodes"].create_dataset("more", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def virtual_data(file, h5py) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(4,))
    file["node/nodes"].create_virtual_dataset("more", layout)


def long_strings(file, h5py) -> None:
    del file["node/edges"]
    edges = np.full((5000, 2), "x", object)
    edges[0, 0] = "x" * 10**6
    file["node/edges"] = edges.astype(h5py.string_dtype())


def deep_groups(file, h5py) -> None:
    file.create_group("node/nodes/" + "a/" * 3000)


def many_groups(file, h5py) -> None:
    for k in range(10_050):
        file.create_group(f"node/nodes/a{k}")


def graph(*nodes) -> Callable[[], bytes]:
    """A graph of one node after the other; `nodes` are functions of `nir`."""

    def make() -> bytes:
        import nir

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.nir"
            nir.write(path, nir.NIRGraph.from_list(*(node(nir) for node in nodes), type_check=False))
            return path.read_bytes()

    return make


def lif(nir):
    one = np.ones(1, np.float32)
    return nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)


def wide_input(*shape: int) -> Callable[[], bytes]:
    return graph(lambda nir: nir.Input(input_type={"input": np.array(shape)}), lif)


def conv(shape: int, **changes) -> Callable[[], bytes]:
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(1)} | changes
    weight = np.ones((1, 1, 3), np.float32)
    return graph(lambda nir: nir.Conv1d(input_shape=shape, weight=weight, **options), lif)


def named(name: str) -> Callable[[], bytes]:
    """A good graph whose only node has another name."""

    def edit(file, h5py):
        file.move("node/nodes/lif", f"node/nodes/{name}")
        del file["node/edges"]
        edges = [("input", name), (name, "output")]
        file.create_dataset("node/edges", data=np.array(edges, object), dtype=h5py.string_dtype())

    return lambda: edited(edit, graph(lif)())


# What names could collide with, or lead to.
NAMES = [
    "..",
    "..\\climbed",
    "layers",
    "names",
    "__class__",
    "__init__",
    "_pytree__state",
    "a b\n",
    "x" * 900,
    "é\u202e",
]

CRAFTS = [
    Craft("a trillion samples in 60 bytes", "idx", lambda: idx_header(1000, 1000, 10**6) + bytes(44)),
    Craft("dimensions whose product wraps around", "idx", lambda: idx_header(2**31, 2**31, 4, code=0x0E) + bytes(40)),
    Craft("no values, but long rows", "idx", lambda: idx_header(0, 2**32 - 1, 2**32 - 1)),
    Craft("gzip bomb", "idx.gz", gzip_bomb),
    Craft("gzip within gzip", "idx.gz", lambda: gzip.compress(gzip.compress(bytes(100)))),
    Craft("a label for every integer", "idx folder", lambda: gzip.compress(idx_header(2**31) + LABELS.tobytes())),
    Craft("zip bomb", "events", zip_bomb),
    Craft("a trillion events", "events", lambda: events(events=lying_npy(f"({HUGE},)"))),
    Craft("a shape beyond 64 bits", "events", lambda: events(labels=lying_npy(f"({10**30},)"))),
    Craft("a shape that is Python", "events", lambda: events(labels=lying_npy("__import__('os').mkdir('exploded')"))),
    Craft("a shape nested deep", "events", lambda: events(labels=lying_npy("(" * 9000))),
    Craft("a type of a gigabyte", "events", lambda: events(labels=lying_npy("(1,)", "'<U300000000'"))),
    Craft("pickled objects", "events", pickled_labels),
    Craft("a pickle in place of an archive", "events", lambda: pickle.dumps(Explosive())),
    Craft("names that climb", "events", names_that_climb, harmless=True),
    Craft("class names of numbers", "events", lambda: events(class_names=npy(np.arange(2)))),
    Craft("a sensor of 2^60 pixels", "events", lambda: events(sensor=npy(np.array([2**20] * 3)))),
    Craft("a negative sensor", "events", lambda: events(sensor=npy(np.array([-2, -3, 5])))),
    Craft("a table in place of a list", "events", lambda: events(labels=npy(np.zeros((3, 1), int)))),
    Craft("one number in place of a list", "events", lambda: events(labels=npy(np.array(3)))),
    Craft("a header of 2^62 bytes", "network", lambda: (2**62).to_bytes(8, "little") + bytes(50)),
    Craft("arrays that overlap", "network", lambda: safetensors({"a": entry([8], 0, 32), "b": entry([8], 16, 48)})),
    Craft("an array beyond the end", "network", lambda: safetensors({"a": entry([HUGE], 0, 4 * HUGE)})),
    Craft("a shape that wraps around", "network", lambda: safetensors({"a": entry([2**33, 2**33], 0, 64)})),
    Craft("no values, but long rows", "network", lambda: safetensors({"a": entry([0, 2**62], 0, 0)}, b"")),
    Craft("a type of torch", "network", lambda: safetensors({"a": entry([64], 0, 64, "F8_E4M3")})),
    Craft("a header nested deep", "network", lambda: with_length([b'{"a":' * 10**5, b""])),
    Craft("a hidden layer of a trillion", "network", lambda: recipe(hidden=HUGE)),
    Craft("a hidden layer of a trillion", "network", lambda: recipe("lstm", hidden=HUGE)),
    Craft("images of a trillion pixels", "network", lambda: recipe(sample_shape=[10**6, 10**6])),
    Craft("images of a trillion columns", "network", lambda: recipe("lstm", sample_shape=[3, HUGE])),
    Craft("a trillion classes", "network", lambda: recipe(num_classes=HUGE)),
    Craft("negative images", "network", lambda: recipe(sample_shape=[-3, -2])),
    Craft("no images", "network", lambda: recipe("lstm", sample_shape=[])),
    Craft("hidden layers of none", "network", lambda: recipe(hidden=float("nan"))),
    Craft("a threshold that is a list", "network", lambda: recipe(v_th=[1.0, 1.0, 1.0, 1.0])),
    Craft("another class", "network", lambda: recipe(kind="os.system")),
    Craft("a recipe nested deep", "network", lambda: raw_recipe(b"[" * 10**5)),
    Craft("a recipe of a long number", "network", lambda: raw_recipe(b"9" * 10**5)),
    Craft("metadata nested deep", "network's metadata", lambda: safetensors({}, b"", format="snnlab", x="[" * 10**5)),
    Craft("metadata of another", "network's metadata", lambda: safetensors({}, b"", format="pt")),
    Craft("a header of 2^62 bytes", "checkpoint", lambda: (2**62).to_bytes(8, "little") + bytes(50)),
    Craft("an array beyond the end", "checkpoint", lambda: safetensors({"a": entry([HUGE], 0, 4 * HUGE)})),
    Craft("a type of torch", "checkpoint", lambda: safetensors({"a": entry([64], 0, 64, "F8_E4M3")})),
    Craft("no facts", "checkpoint", lambda: safetensors({}, b"", digest="")),
    Craft("facts nested deep", "checkpoint", lambda: safetensors({}, b"", facts="[" * 10**5, digest="")),
    Craft("facts of a long number", "checkpoint", lambda: safetensors({}, b"", facts="9" * 10**5, digest="")),
    Craft("facts that are markup", "checkpoint", lambda: safetensors({}, b"", facts="<b>" * 10**5, digest="")),
    Craft("another digest", "checkpoint", lambda: safetensors({}, b"", facts="{}", digest="0" * 64)),
    Craft("a pickle in place of a checkpoint", "checkpoint", lambda: pickle.dumps(Explosive())),
    Craft("nested deep", "history", lambda: b"[" * 10**5),
    Craft("objects nested deep", "history", lambda: b'{"steps":' * 10**5),
    Craft("a number of 100,000 digits", "history", lambda: history('{"loss": [%s]}' % ("9" * 10**5))),
    Craft("a number beyond float64", "history", lambda: history('{"loss": [%s]}' % ("9" * 400))),
    Craft("steps named twice", "history", lambda: history('{"a": [1], "a": [1, 2], "b": [1]}')),
    Craft("an epoch that is markup", "history", lambda: history(epochs='[{"epoch": "<script>"}]')),
    Craft("a pickle in place of JSON", "history", lambda: pickle.dumps(Explosive())),
    Craft("UTF-16", "history", lambda: history_seeds()[0].parts[0].decode().encode("utf-16")),
    Craft("a loop in libhdf5", "NIR", heap_loop),
    Craft("HDF5 bomb", "NIR", lambda: edited(hdf5_bomb)),
    Craft("a terabyte announced", "NIR", lambda: edited(huge_announced)),
    Craft("a group in itself", "NIR", lambda: edited(cycle)),
    Craft("a soft link", "NIR", add("more", lambda h5py, file: h5py.SoftLink("/node"))),
    Craft("a link to another file", "NIR", add("more", lambda h5py, file: h5py.ExternalLink("/etc/hostname", "/"))),
    Craft("a type in place of data", "NIR", add("more", lambda h5py, file: np.dtype("f8"))),
    Craft("data in another file", "NIR", lambda: edited(external_data)),
    Craft("virtual data", "NIR", lambda: edited(virtual_data)),
    Craft("strings that grow when they are stacked", "NIR", lambda: edited(long_strings)),
    Craft("groups in groups", "NIR", lambda: edited(deep_groups)),
    Craft("many groups", "NIR", lambda: edited(many_groups)),
    Craft("no graph", "NIR", replace("node/type", "os.system")),
    Craft("a graph that is a number", "NIR", replace("node", 7)),
    Craft("a trillion units", "NIR", wide_input(HUGE)),
    Craft("16 million units", "NIR", wide_input(2**24), harmless=True),
    Craft("negative units", "NIR", wide_input(-3, -2)),
    Craft("an image of a trillion", "NIR", conv(HUGE)),
    Craft("a margin of a trillion", "NIR", conv(8, padding=HUGE)),
    Craft("a kernel spread over a trillion", "NIR", conv(8, dilation=HUGE)),
    Craft("no step", "NIR", replace("node/nodes/conv1d/stride", 0, conv(8))),
    Craft("groups of a trillion", "NIR", replace("node/nodes/conv1d/groups", HUGE, conv(8))),
    Craft("a trillion steps of delay", "NIR", graph(lambda nir: nir.Delay(np.array([1e9])), lif), harmless=True),
    *(Craft(f"a node named {name!r}", "NIR", named(name), harmless=True) for name in NAMES),
]
