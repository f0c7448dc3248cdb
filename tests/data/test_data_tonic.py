"""N-MNIST and SHD through the real tonic, from files in their published formats, which are written here."""

import builtins
import os
import shutil
import urllib.request
import zipfile

import h5py
import numpy as np
import pytest

from snnlab import data
from snnlab.errors import DataError, FileFormatError, SnnlabError

DIGITS = range(10)
FILES = 10_000  # of N-MNIST in each part: with fewer, tonic takes the set for incomplete


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Whatever is fetched fails at once; urllib keeps the proxies of its first request, so it must forget them."""
    monkeypatch.setattr(urllib.request, "_opener", None)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def atis(events) -> bytes:
    """The 40 bits of an event `(t, x, y, p)`: x, y, and the polarity above 23 bits of time, the high ones first."""
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in events)


def recording(digit: int) -> list:
    """Different for every digit; the corners, both polarities, one pixel twice at once, all bytes of the time."""
    return [(3, 0, 33, 1), (3, 0, 33, 1), (300 + digit, 33, digit, 0), (0x012345, 33, 0, 1)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Ten recordings, and links to them up to the number of files that tonic wants to see."""
    cache = tmp_path_factory.mktemp("nmnist")
    folder = cache / "tonic" / "NMNIST"
    for part in ("Train", "Test"):
        for digit in DIGITS:
            here = folder / part / str(digit)
            here.mkdir(parents=True)
            (here / "00000.bin").write_bytes(atis(recording(digit)))
            for k in range(1, FILES // 10):
                os.link(here / "00000.bin", here / f"{k:05d}.bin")
        zipfile.ZipFile(folder / f"{part.lower()}.zip", "w").close()
    return cache


def test_nmnist(written):
    found = data.load("nmnist", cache_dir=written, progress=False)
    assert repr(found) == "Dataset('nmnist': 10,000 train, 10,000 test, samples (2, 34, 34) events, 10 classes)"
    for lists, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        for k in (0, 999, 1000, 9999):
            events = lists.structured()[lists.offsets[k] : lists.offsets[k + 1]]
            assert labels[k] == k // 1000 and events.tolist() == recording(k // 1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (atis(recording(0))[:-1], "is cut short: its size is not a multiple of 5"),
        (atis([(0, 34, 0, 0)]), r"is damaged or not NMNIST \(events: x must be in 0..33 .*, got 34..34"),
        (atis([(0, 0, 99, 0)]), r"is damaged or not NMNIST \(events: y must be in 0..33"),
    ],
    ids=["cut short", "x", "y"],
)
def test_a_damaged_recording_is_named(written, content, message):
    path = written / "tonic" / "NMNIST" / "Train" / "0" / "00001.bin"
    kept = path.with_suffix(".kept")
    path.rename(kept)
    try:
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=rf"00001\.bin: {message}"):
            data.load("nmnist", cache_dir=written, progress=False)
    finally:
        kept.replace(path)


SPOKEN = [  # times [s], channels, label
    ([0.0, 0.25, 0.25, 0.5], [0, 699, 3, 3], 0),
    ([0.75, 0.125, 1.25], [7, 8, 9], 19),  # not in the order of time
    ([], [], 4),
]
KEYS = [f"{language} {digit}".encode() for language in ("german", "english") for digit in DIGITS]


def write_shd(cache, part: str, **changes) -> None:
    """As published: sequences of float16 and uint16 of any length, labels, and the names of the classes."""
    folder = cache / "tonic" / "SHD"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"times": [s[0] for s in SPOKEN], "units": [s[1] for s in SPOKEN], "labels": [s[2] for s in SPOKEN]}
    content |= changes
    path = folder / f"shd_{part}.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", len(content[name]), h5py.vlen_dtype(kind))
            for k, row in enumerate(content[name]):
                rows[k] = np.array(row, kind)
        file["labels"] = np.array(content["labels"], np.uint16)
        file["extra/keys"] = np.array(KEYS)
        file["extra/speaker"] = np.zeros(len(content["labels"]), np.uint16)
    with zipfile.ZipFile(folder / f"shd_{part}.h5.zip", "w") as archive:
        archive.write(path, path.name)


@pytest.fixture
def shd(tmp_path):
    for part in ("train", "test"):
        write_shd(tmp_path, part)
    return tmp_path


def test_shd(shd):
    found = data.load("shd", cache_dir=shd, progress=False)
    assert repr(found) == "Dataset('shd': 3 train, 3 test, samples (1, 1, 700) events, 20 classes)"
    assert found.class_names[0] == "german 0" and found.class_names[19] == "english 9"
    for lists, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        assert labels.tolist() == [0, 19, 4] and lists.offsets.tolist() == [0, 4, 7, 7]
        assert lists.times.tolist() == [0, 250_000, 250_000, 500_000, 125_000, 750_000, 1_250_000]  # us
        assert lists.units.tolist() == [0, 699, 3, 3, 8, 7, 9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"times": [[0.0], [np.nan], []], "units": [[0], [0], []]},
            r"sample 1: is damaged or not SHD \(events: t must",
        ),
        ({"times": [[0.0], [-0.5], []], "units": [[0], [0], []]}, "sample 1: is damaged .* t must be in 0"),
        ({"times": [[0.0], [0.5], []], "units": [[0], [700], []]}, "sample 1: .* x must be in 0..699 .* got 700..700"),
        ({"times": [[0.0], [0.5, 0.5], []], "units": [[0], [1, 2, 3], []]}, "sample 1: is damaged"),
        ({"times": [[0.0]], "units": [[0]]}, "sample 1: is damaged"),
    ],
)
def test_damaged_speech_is_named(shd, changes, message):
    write_shd(shd, "test", **changes)
    with pytest.raises(FileFormatError, match=rf"shd_test\.h5: {message}"):
        data.load("shd", cache_dir=shd, progress=False)


def test_a_file_cut_short(shd):
    path = shd / "tonic" / "SHD" / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(FileFormatError, match=r"shd_train\.h5: is damaged or not SHD"):
        data.load("shd", cache_dir=shd, progress=False)


@pytest.mark.parametrize("name", ["shd", "nmnist"])
def test_without_network(name, tmp_path, shd):
    shutil.rmtree(shd / "tonic")
    with pytest.raises(
        DataError, match=rf"{name}: could not be downloaded .* Without a network, put .*train.*zip into"
    ) as e:
        data.load(name, cache_dir=tmp_path, progress=False)
    assert "\n" not in str(e.value)


def test_without_tonic(monkeypatch, tmp_path):
    real = builtins.__import__

    def missing(name, *arguments, **options):
        if name.split(".")[0] == "tonic":
            raise ImportError("No module named 'tonic'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SnnlabError, match=r'shd needs tonic .*: pip install "snnlab-live\[events\]"'):
        data.load("shd", cache_dir=tmp_path)


def test_what_means_nothing_to_them(tmp_path):
    with pytest.raises(SnnlabError, match=r"manual_dir: .*'shd'"):
        data.load("shd", manual_dir=tmp_path)


def test_a_set_of_tonic_is_a_source(written):
    """Read from the disk while it is trained with: sensor, shuffled order and events are those of the files."""
    from tonic.datasets import NMNIST

    given = NMNIST(save_to=str(written / "tonic"), train=True)
    opened = data.Source(train=given, test=given, name="nmnist").open(batch_size=20)
    assert opened.head.sample_shape == (2, 34, 34) and opened.head.num_classes == 10 and opened.limit == 4
    order = np.random.default_rng([0, 1]).permutation(FILES)[:20]
    batch = next(opened.streams["train"].read(0, 1))[1]
    assert batch.targets.values.tolist() == [given.targets[k] for k in order]
    for digit, (times, units) in zip(batch.targets.values, batch.x, strict=True):
        events = [(t, x, y, p) for t, x, y, p in recording(int(digit))]
        assert times.tolist() == [t for t, *_ in events]
        assert units.tolist() == [(p * 34 + y) * 34 + x for _, x, y, p in events]
