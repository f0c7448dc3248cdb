"""Event sets as files: what is written comes back, and no damaged or hostile file is taken for one."""

import io
import resource
import zipfile

import numpy as np
import pytest

from snnlab import data
from snnlab.data import Dataset, EventLists, save_events
from snnlab.data.event_folder import read_events
from snnlab.data.eventlists import EVENT
from snnlab.errors import ArgumentError, DataError, FileFormatError

SENSOR = (2, 3, 5)
SAMPLES = [[(0, 0, 0, 0), (7, 4, 2, 1), (7, 4, 2, 1)], [], [(900, 1, 2, 0)]]
ARRAYS = {
    "events": np.array([event for sample in SAMPLES for event in sample], EVENT),
    "offsets": np.array([0, 3, 3, 4]),
    "labels": np.array([0, 1, 1]),
    "sensor": np.array(SENSOR),
}


@pytest.fixture
def folder(tmp_path):
    """The small set as anybody would write it."""
    (tmp_path / "mine").mkdir()
    np.savez(tmp_path / "mine" / "train.npz", **ARRAYS)
    np.savez_compressed(tmp_path / "mine" / "test.npz", **ARRAYS)
    return tmp_path / "mine"


def npy(array, shape: str | None = None, descr: str | None = None) -> bytes:
    """An array as a `.npy` file, whose header may lie."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    body = file.getvalue()
    length = int.from_bytes(body[8:10], "little")
    header = body[10 : 10 + length].decode()
    if shape is not None:
        header = header.replace(f"'shape': {np.shape(array)}", f"'shape': {shape}")
    if descr is not None:
        header = header.replace(header[header.index("'descr': ") + 9 : header.index(", 'fortran")], descr)
    return body[:8] + len(header).to_bytes(2, "little") + header.encode() + body[10 + length :]


def write(path, **members):
    """An archive of the small set with some members replaced: by an array, by bytes, or (None) left out."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in (ARRAYS | members).items():
            if value is not None:
                archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))


def test_a_folder_of_event_files(folder):
    mine = data.load(folder)
    assert repr(mine) == "Dataset('mine': 3 train, 3 test, samples (2, 3, 5) events, 2 classes)"
    expected = EventLists.from_lists(SAMPLES, sensor=SENSOR)
    for part in (mine.x_train, mine.x_test):
        np.testing.assert_array_equal(part[:], expected[:])
    np.testing.assert_array_equal(mine.y_train, [0, 1, 1])


def test_what_is_written_comes_back(folder, tmp_path):
    """Class names too; other integer types and more fields are as good."""
    wide = np.dtype([("p", "?"), ("extra", "f4"), ("t", ">i8"), ("y", "i1"), ("x", "u8")])
    events = np.zeros(len(ARRAYS["events"]), wide)
    for name in EVENT.names:
        events[name] = ARRAYS["events"][name]
    for part in ("train", "test"):
        write(folder / f"{part}.npz", events=events, class_names=np.array(["no", "yes", "maybe"]))
    mine = data.load(folder)
    assert mine.class_names == ("no", "yes", "maybe")
    again = data.load(save_events(mine, tmp_path / "again"))
    assert again.class_names == mine.class_names
    np.testing.assert_array_equal(again.x_train[:], EventLists.from_lists(SAMPLES, sensor=SENSOR)[:])
    with pytest.raises(ArgumentError, match="dataset: 'digits' has no events"):
        save_events(data.load("digits"), tmp_path)
    before = (folder / "test.npz").read_bytes()
    (folder / "train.npz").unlink()
    with pytest.raises(ArgumentError, match=r"test\.npz exists; choose another, or pass overwrite=True"):
        save_events(mine, folder)
    assert (folder / "test.npz").read_bytes() == before and not (folder / "train.npz").exists()
    save_events(mine, folder, overwrite=True)


def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "test.npz").unlink()
    with pytest.raises(DataError, match=r"test\.npz: cannot be read \(No such file"):
        data.load(folder)
    with pytest.raises(DataError, match=r"has no data in it; .* idx files of .*, or one with train\.npz and test\.npz"):
        data.load(tmp_path)
    write(folder / "test.npz", sensor=np.array([2, 3, 6]))
    with pytest.raises(DataError, match=r"mine: train\.npz and test\.npz do not match \(x_test: its samples are"):
        data.load(folder)


HUGE = 10**15


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"events": None}, "has no array 'events'; it needs events, offsets, labels, sensor"),
        (
            {"events": npy(ARRAYS["events"], shape=f"({HUGE},)")},
            f"events .* announces {9 * HUGE:,} bytes of values, but there are only",
        ),
        ({"labels": npy(ARRAYS["labels"], shape=f"({10**30},)")}, "labels is not a readable array"),
        ({"labels": npy(ARRAYS["labels"], shape="(2,)")}, "labels .* announces 16 bytes of values, but there are more"),
        ({"labels": npy(ARRAYS["labels"], shape="(-3,)")}, "labels is not a readable array"),
        ({"labels": npy(ARRAYS["labels"], descr="'<U999999999'")}, "labels is not a readable array"),
        ({"labels": npy(ARRAYS["labels"], descr="'<U0'", shape=f"({HUGE},)")}, "labels is not a readable array"),
        ({"labels": npy(ARRAYS["labels"], descr="__import__")}, "labels is not a readable array"),
        ({"labels": npy(np.array([[], {}, 3], object))}, "labels is not a readable array .*plain numbers"),
        ({"labels": b""}, "labels is not a readable array"),
        ({"labels": b"\x93NUMPY\x09\x00"}, "labels is not a readable array"),
        ({"labels": npy(ARRAYS["labels"])[:-1]}, "labels .* announces 24 bytes of values, but there are only 23"),
        (
            {"labels": ARRAYS["labels"][:2]},
            r"labels must be 3 integers >= 0 and < 100000, one per sample, got int64\(2,\)",
        ),
        ({"labels": ARRAYS["labels"] - 1}, "labels must be 3 integers >= 0"),
        ({"labels": ARRAYS["labels"] + 2**56}, "labels must be 3 integers >= 0 and < 100000"),
        ({"labels": np.array([0.0, np.nan, 1.0])}, "labels must be 3 integers .* one per sample, got float64"),
        ({"class_names": np.arange(3)}, "class_names must be strings, got int64"),
        ({"sensor": np.array([2, 10**6, 10**6])}, "sensor: must be"),
        ({"sensor": np.array([2, 3, 4])}, r"events: x must be in 0\.\.3 .* got 0\.\.4"),
        ({"offsets": np.array([0, 2, 3, 5])}, "offsets: must increase from 0 to the number of events, 4"),
        ({"events": ARRAYS["events"][::-1]}, "events: sample 0 is not sorted by time"),
        (
            {"events": ARRAYS["events"].astype([("t", "f8"), ("x", "u2"), ("y", "u2"), ("p", "u1")])},
            "t must be integers",
        ),
        ({"events": np.zeros((4, 4), int)}, r"events must have one dimension, got shape \(4, 4\)"),
        ({"events": np.zeros(4, int)}, "events: must be an array with the fields t, x, y and p, got int64"),
    ],
)
def test_hard_input_is_refused(folder, members, message):
    """In one line that names the file, and without making room for what is only announced."""
    write(folder / "train.npz", **members)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match=message) as caught:
        data.load(folder)
    assert str(folder / "train.npz") in str(caught.value) and "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**17  # kB


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file" * 99, None])
def test_what_is_no_archive(folder, content):
    path = folder / "train.npz"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(FileFormatError, match=r"train\.npz: is damaged or not an \.npz file"):
        data.load(folder)


@pytest.mark.endure
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_file_is_never_misread(tmp_path, save):
    """Every byte changed in three ways, and cut short anywhere: the error that users know, or the same events."""
    path = tmp_path / "train.npz"
    save(path, **ARRAYS)
    content = path.read_bytes()
    damaged = [
        content[:at] + bytes([new]) + content[at + 1 :] for at in range(len(content)) for new in news(content[at])
    ]
    refused = 0
    for attempt in [*damaged, *(content[:length] for length in range(len(content)))]:
        path.write_bytes(attempt)
        try:
            lists, labels, _ = read_events(path)
        except FileFormatError as error:
            assert str(path) in str(error)
            refused += 1
            continue
        np.testing.assert_array_equal(lists.structured(), ARRAYS["events"])
        np.testing.assert_array_equal(labels, ARRAYS["labels"])
    assert refused > len(content), "more than those that are cut short"


def news(byte: int) -> tuple[int, ...]:
    return 0, 255, byte ^ 4


def test_a_set_of_ones_own(tmp_path):
    """From lists to files and back: the whole way of a user's recording."""
    lists = EventLists.from_lists(SAMPLES, sensor=SENSOR)
    mine = Dataset(name="any", x_train=lists, y_train=[0, 1, 0], x_test=lists, y_test=[0, 1, 0])
    assert data.load(save_events(mine, tmp_path / "mine")).name == "mine"
