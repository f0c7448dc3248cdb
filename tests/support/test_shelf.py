"""What was compiled is kept for later processes; a fault of the disk or of a file costs a compilation, never more."""

import warnings

import jax
import numpy as np
import pytest
from disks import file_size_limit
from jax._src import compilation_cache

from snnlab.support import compile_cache
from snnlab.support.shelf import Shelf

VALUE = bytes(range(256)) * 40

DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros, as after a power cut": lambda data: bytes(len(data)),
    "one bit": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "one bit of the seal": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "more": lambda data: data + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_a_miss_and_is_replaced(tmp_path, damage):
    shelf = Shelf(tmp_path / "new" / "folder")
    shelf.put("one", VALUE)
    path = shelf.folder / "one"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=f"{shelf.folder}: one is damaged") as told:
        assert shelf.get("one") is None and shelf.get("one") is None
    shelf.put("one", VALUE)
    assert len(told) == 1 and Shelf(shelf.folder).get("one") == VALUE
    assert [path.name for path in shelf.folder.iterdir()] == ["one"]


def test_a_file_under_another_name_is_not_taken_for_it(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.put("one", VALUE)
    (tmp_path / "one").rename(tmp_path / "two")
    with pytest.warns(UserWarning, match="two is damaged"):
        assert shelf.get("two") is None


def test_what_cannot_be_written_is_said_once_and_works_again(small_disk, place):
    """A full disk, a limit on the size of files: the folder is named, nothing is half there."""
    for trouble in (small_disk, file_size_limit):
        shelf = Shelf(place)
        with trouble(place) as words, pytest.warns(UserWarning) as told:
            for _ in range(3):
                shelf.put("one", VALUE)
                assert shelf.get("one") is None
        assert len(told) == 1 and f"{place}: cannot write there ({words})" in str(told[0].message)
        shelf.put("one", VALUE)
        assert shelf.get("one") == VALUE
        (place / "one").unlink()


def test_programs_of_jax_are_kept_there(tmp_path, monkeypatch):
    """A damaged program is compiled anew, once; then it is found again."""
    monkeypatch.setattr(compilation_cache, "_cache", compile_cache._Programs(tmp_path))

    def compiles() -> float:
        def some(x):
            return x * 1.25 + 3.5

        return jax.jit(some).lower(np.float32(2.0)).compile()(np.float32(2.0)).item()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiles() == 6.0
        (program,) = tmp_path.iterdir()
        written = program.stat().st_mtime_ns
        assert compiles() == 6.0 and program.stat().st_mtime_ns == written
    program.write_bytes(program.read_bytes()[:100])
    with pytest.warns(UserWarning, match=f"{tmp_path}: jit_some-.* is damaged"):
        assert compiles() == 6.0
    written = program.stat().st_mtime_ns
    assert compiles() == 6.0 and program.stat().st_mtime_ns == written
