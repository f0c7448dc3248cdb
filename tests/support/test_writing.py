"""Files are written whole, with the permissions that the user wants; where they cannot be, it is said in one line."""

import os
import stat

import pytest

from snnlab import cli, data, export
from snnlab.config import LstmConfig
from snnlab.data import EventLists
from snnlab.errors import SnnlabError, WriteError
from snnlab.history import History
from snnlab.layers import LifRef, Stack
from snnlab.models import build
from snnlab.support.files import atomic_path


def net():
    return build(LstmConfig(hidden=40), sample_shape=(8, 8), num_classes=10)


def save_events(path):
    lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
    mine = data.Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
    return data.save_events(mine, path.parent, overwrite=True) / "test.npz"


def save_nir(path):
    pytest.importorskip("nir")
    return export.save_nir(Stack(hidden=LifRef(300, reset="value")), path, overwrite=True).path


WRITERS = {
    "safetensors": lambda path: export.save(net(), path, overwrite=True),
    "history": lambda path: History().save(path, overwrite=True),
    "events": save_events,
    "nir": save_nir,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_said_with_the_file(small_disk, place, write):
    """It is ours and of the system, nothing is left behind, and the old file stays."""
    old = write(place / "file")
    before = old.read_bytes()
    names = sorted(path.name for path in place.iterdir())
    with small_disk(place) as words, pytest.raises(WriteError) as failed:
        write(place / "file")
    assert isinstance(failed.value, SnnlabError) and isinstance(failed.value, OSError)
    assert str(failed.value).startswith(f"{place}/") and str(failed.value).endswith(f": cannot be written ({words})")
    assert old.read_bytes() == before and sorted(path.name for path in place.iterdir()) == names


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o027])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_umask_is_honoured(tmp_path, write, umask):
    before = os.umask(umask)
    try:
        written = write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE(written.stat().st_mode) == 0o666 & ~umask


def test_a_file_keeps_its_permissions_and_a_link_lends_none(tmp_path):
    """What only its owner may read stays so; a link to it that is replaced is a new file."""
    path, link = tmp_path / "mine", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    for target in (path, link):
        with atomic_path(target) as part:
            part.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    fresh = tmp_path / "fresh"
    fresh.touch()
    assert not link.is_symlink() and link.stat().st_mode == fresh.stat().st_mode


@pytest.mark.parametrize("ending", ["safetensors", "nir"])
def test_the_command_line_says_it_in_one_line(small_disk, place, tmp_path, capsys, ending):
    from snnlab.config import SnnConfig

    path = export.save(build(SnnConfig(num_steps=5), sample_shape=(8, 8), num_classes=10), tmp_path / "a.safetensors")
    with small_disk(place) as words:
        assert cli.main(["export", str(path), str(place / f"net.{ending}")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said == [f"snnlab: {place}/net.{ending}: cannot be written ({words})"]


def test_the_command_line_says_what_the_system_refuses(tmp_path, capsys, monkeypatch):
    """Whatever it is: a traceback helps nobody whose disk is full."""
    monkeypatch.setattr(cli.Export, "run", lambda self: (tmp_path / "none").read_text())
    assert cli.main(["export", "a", "b"]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("snnlab: ") and "none" in said
