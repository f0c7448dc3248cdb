"""NIR files: written whole and only where they were asked for; what is damaged or hostile is refused, by its name."""

import os
import pickle

import h5py
import nir
import numpy as np
import pytest
from fuzz_crafts import heap_loop

import snnlab
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.export.nir import file as nir_file
from snnlab.layers import LifRef, Stack


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    """What is in a good file."""
    path = tmp_path_factory.mktemp("good") / "deep" / "net.nir"
    return snnlab.save_nir(Stack(hidden=LifRef(3, reset="value")), path).path.read_bytes()


@pytest.fixture
def file(good, tmp_path):
    """A good file."""
    path = tmp_path / "deep" / "net.nir"
    path.parent.mkdir()
    path.write_bytes(good)
    return path


def test_an_export_writes_one_file_and_replaces_none(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, net = file.read_bytes(), Stack(hidden=LifRef(3, tau_mem=20.0))
    for save in (snnlab.save_nir, snnlab.save):
        with pytest.raises(ArgumentError, match=r"net.nir exists; choose another, or pass overwrite=True"):
            save(net, file)
    assert file.read_bytes() == before
    snnlab.save_nir(net, file, overwrite=True)
    written = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert written == [file] and file.read_bytes() != before


def test_a_link_is_not_written_through(tmp_path, file):
    """What a link points to, inside or outside of the folder, stays as it is, also if it is not there."""
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    (tmp_path / "out").mkdir()
    for target in (precious, tmp_path / "nothing"):
        link = tmp_path / "out" / f"{target.stem}.nir"
        link.symlink_to(target)
        with pytest.raises(ArgumentError, match="exists"):
            snnlab.save_nir(Stack(hidden=LifRef(3)), link)
        snnlab.save_nir(Stack(hidden=LifRef(3)), link, overwrite=True)
        assert not link.is_symlink()
    assert precious.read_text() == "mine" and not (tmp_path / "nothing").exists()


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(nir, "write", lambda file, graph: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        snnlab.save_nir(Stack(hidden=LifRef(3)), file, overwrite=True)
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1


class Bomb:
    """Would make a folder, were it unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5 at all" * 99, pickle.dumps(Bomb())])
def test_what_is_no_nir_file_is_refused(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"net.nir: cannot be read as NIR"):
        snnlab.from_nir(path, dt=1.0)
    with pytest.raises(FileFormatError, match=r"none.nir: cannot be read as NIR"):
        snnlab.from_nir("none.nir", dt=1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["net.nir"]


# Every file is read by a process of its own: a quarter of a second.
@pytest.mark.parametrize("sizes", [6, pytest.param(40, marks=pytest.mark.fuzz)])
def test_a_truncated_file_is_refused(file, sizes):
    whole = file.read_bytes()
    for size in range(0, len(whole), len(whole) // sizes + 1):
        file.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match=r"net.nir: "):
            snnlab.from_nir(file, dt=1.0)


@pytest.mark.parametrize("files", [6, pytest.param(60, marks=pytest.mark.fuzz)])
def test_a_garbled_file_gives_a_network_or_an_error(file, files):
    """Single bytes are turned over everywhere; nothing but a network or a FileFormatError comes of it."""
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(files):
        garbled = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            garbled[place] ^= 255
        file.write_bytes(garbled)
        try:
            snnlab.from_nir(file, dt=1.0)
        except FileFormatError as error:
            assert str(file) in str(error)


def add_soft_link(f):
    f["node/nodes/more"] = h5py.SoftLink("/node")


def add_external_link(f):
    f["node/nodes/more"] = h5py.ExternalLink("/etc/hostname", "/")


def add_external_data(f):
    f["node/nodes"].create_dataset("more", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def add_cycle(f):
    f["node/nodes/more"] = f["node"]


def add_huge_array(f):
    f["node/nodes"].create_dataset("more", (2**40,), "f8", chunks=(2**10,))


def add_references(f):
    f["node/nodes"].create_dataset("more", data=f["node"].ref, dtype=h5py.ref_dtype)


def add_unknown_node(f):
    f["node/nodes/hidden/type"][()] = "os.system"


def drop_edges(f):
    del f["node/edges"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (add_soft_link, "'more' is a link"),
        (add_external_link, "'more' is a link"),
        (add_external_data, "'more' has its data in other files"),
        (add_cycle, "has more than"),
        (add_huge_array, "unpacks to more than"),
        (add_references, "neither numbers nor strings"),
        (add_unknown_node, "cannot be read as NIR"),
        (drop_edges, "cannot be read as NIR"),
    ],
)
def test_hostile_files_are_refused(file, damage, message):
    with h5py.File(file, "r+") as opened:
        damage(opened)
    with pytest.raises(FileFormatError, match=f"net.nir: .*{message}"):
        snnlab.from_nir(file, dt=1.0)


def test_a_single_node_and_a_graph_that_does_not_fit_name_the_file(tmp_path):
    path = tmp_path / "net.nir"
    nir.write(path, nir.Linear(np.eye(2)))
    with pytest.raises(FileFormatError, match=r"net.nir: holds a single Linear node, not a graph"):
        nir_file.read_graph(path)
    nir.write(path, nir.NIRGraph.from_list(nir.Linear(np.eye(2)), nir.I(np.ones(3)), type_check=False))
    with pytest.raises(FileFormatError, match=r"net.nir: node 'i': r: must have shape \(2,\), .* got \(3,\)"):
        snnlab.from_nir(path, dt=1.0)


def test_a_file_from_which_hdf5_does_not_come_back(tmp_path, monkeypatch):
    """One bit in the length of a string: libhdf5 2.0.0 goes round in circles; here that ends."""
    monkeypatch.setattr(nir_file, "SECONDS", 1)
    path = tmp_path / "net.nir"
    path.write_bytes(heap_loop())
    with pytest.raises(FileFormatError, match=r"net.nir: cannot be read as NIR \(reading (crashed|timed out)"):
        snnlab.from_nir(path, dt=1.0)


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", "\u202eoe.exe", "\u2066x"])
def test_names_that_are_not_what_they_look_like_are_refused(tmp_path, name):
    ends = nir.Input(np.array([2])), nir.Output(np.array([2]))
    nodes = {"input": ends[0], name: nir.Linear(np.eye(2, dtype=np.float32)), "output": ends[1]}
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, [("input", name), (name, "output")]))
    with pytest.raises(FileFormatError, match=r"net.nir: name: must be a name in one line") as refused:
        snnlab.from_nir(tmp_path / "net.nir", dt=1.0)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("field", "value"), [("r", 1e39), ("tau", 1e-60), ("v_reset", -1e39), ("v_threshold", np.nan)])
def test_numbers_that_float32_cannot_hold_are_refused(tmp_path, field, value):
    fields = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | {field: value}
    lif = nir.LIF(**{name: np.full(2, number) for name, number in fields.items()})
    nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(nir.Linear(np.eye(2)), lif))
    with pytest.raises(FileFormatError, match=f"{field}: must be a .*number"):
        snnlab.from_nir(tmp_path / "net.nir", dt=1.0)
