"""The idx reader on every type of the format, and on every way in which a file can be wrong."""

import gzip
import struct
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from idx_writer import idx_bytes

from snnlab.data.idx import read_idx
from snnlab.errors import DataError, FileFormatError, SnnlabError

VALUES = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)


@contextmanager
def traced():
    """Yields a function that tells the peak of the memory allocated in the block."""
    tracemalloc.start()
    peaks = []
    try:
        yield lambda: peaks[0]
    finally:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_every_type_of_the_format(tmp_path, code, dtype, name):
    content = idx_bytes(VALUES.astype(dtype), code)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = read_idx(tmp_path / name)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, VALUES.astype(dtype))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not an idx file \(it begins with no bytes\)"),
        (b"\x1f\x8b\x08\x00" + bytes(20), r"is not an idx file \(it begins with 1f 8b 08 00\)"),
        (b"\0\0\x07\x01" + bytes(20), "is not an idx file"),
        (b"\0\0\x08\x03" + bytes(5), "ends inside its header"),
        (idx_bytes(VALUES[:0]), r"is empty: its header announces the shape \(0, 5, 7\)"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1), "is empty"),
        (idx_bytes(VALUES)[:-1], "its header announces 105 bytes of values, but there are only 104"),
        (idx_bytes(VALUES) + b"x", "its header announces 105 bytes of values, but there are more"),
    ],
)
def test_malformed_files_are_refused(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FileFormatError, match=f"file: {message}"):
        read_idx(tmp_path / "file")


def test_a_header_that_announces_a_trillion_allocates_nothing(tmp_path):
    (tmp_path / "bomb").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 1000, 1000, 1_000_000) + bytes(44))
    with (
        traced() as peak,
        pytest.raises(FileFormatError, match="announces 1,000,000,000,000 bytes of values, but there are only 44"),
    ):
        read_idx(tmp_path / "bomb")
    assert peak() < 4_000_000


def test_a_gzip_bomb_is_read_no_further_than_announced(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(idx_bytes(VALUES) + bytes(50_000_000)))
    with traced() as peak, pytest.raises(FileFormatError, match="there are more"):
        read_idx(tmp_path / "bomb.gz")
    assert peak() < 4_000_000


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[:-9], "is damaged or cut short"),
        (lambda packed: packed[:-8] + bytes(4) + packed[-4:], r"is damaged or cut short \(CRC check failed"),
        (lambda packed: packed + b"garbage", "is damaged or cut short"),
        (lambda packed: packed + gzip.compress(b"x"), "its header announces 105 bytes of values, but there are more"),
        (lambda packed: b"", "is not an idx file"),
        (lambda packed: b"plain", r"is damaged or cut short \(Not a gzipped file"),
    ],
)
def test_damaged_gzip_files_are_refused(tmp_path, damage, message):
    (tmp_path / "file.gz").write_bytes(damage(gzip.compress(idx_bytes(VALUES))))
    with pytest.raises(FileFormatError, match=f"file.gz: {message}"):
        read_idx(tmp_path / "file.gz")


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(DataError, match=r"none.gz: cannot be read \(No such file or directory\)"):
        read_idx(tmp_path / "none.gz")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        read_idx(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data(), packed=st.booleans())
def test_any_damage_is_noticed_or_harmless(tmp_path, draw, packed):
    """Cut anywhere, or flip any bit: the result is an error of ours, or an array of the announced shape."""
    good = idx_bytes(VALUES)
    content = bytearray(gzip.compress(good) if packed else good)
    if draw.draw(st.booleans()):
        content = content[: draw.draw(st.integers(0, len(content) - 1))]
    else:
        content[draw.draw(st.integers(0, len(content) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    path = tmp_path / ("file.gz" if packed else "file")
    path.write_bytes(content)
    try:
        found = read_idx(path)
    except SnnlabError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        if packed:  # gzip has a checksum; what it lets through is the header's flags, time and name
            np.testing.assert_array_equal(found, VALUES)
        else:  # plain files have none: a flipped value is a value
            assert found.nbytes == 105
