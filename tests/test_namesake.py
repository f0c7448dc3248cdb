"""The other package called `snnlab` on PyPI: what happens if it is installed too."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import snnlab
from snnlab import _namesake as namesake

THEIRS = "snnlab/__init__.py,sha256=0,625\nsnnlab/sim/__init__.py,sha256=0,5272\n"
OURS_IN_A_CLONE = "_editable_impl_snnlab.pth,sha256=0,30\n"


def install(folder: Path, record: str) -> Path:
    """Write what pip leaves behind for a distribution called `snnlab`."""
    dist_info = folder / "snnlab-0.28.2.dist-info"
    dist_info.mkdir(parents=True)
    (dist_info / "RECORD").write_text(record, encoding="utf-8")
    return dist_info


def python(code: str, *path: Path) -> subprocess.CompletedProcess:
    folders = [*map(str, path), str(Path(snnlab.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)


def test_the_other_package_is_named_with_the_way_out(tmp_path):
    found = install(tmp_path, THEIRS)
    with pytest.warns(UserWarning, match="pip uninstall snnlab") as caught:
        namesake.warn_of_other_package(["/nowhere", str(tmp_path)])
    message = str(caught[0].message)
    assert str(found) in message and namesake.DISTRIBUTION in message and "\n" not in message


def test_only_a_package_with_files_in_our_folder_is_another(tmp_path):
    """A clone that was installed when it was still called `snnlab` owns no such file."""
    install(tmp_path / "clone", OURS_IN_A_CLONE)
    (tmp_path / "damaged" / "snnlab-1.dist-info").mkdir(parents=True)
    (tmp_path / "ours" / "snnlab_live-0.1.0.dist-info").mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        namesake.warn_of_other_package([str(tmp_path / name) for name in ("clone", "damaged", "ours")])


def test_import_says_so_and_works(tmp_path):
    found = install(tmp_path, THEIRS)
    done = python("import snnlab; print(snnlab.SnnConfig().hidden > 0)", tmp_path)
    assert done.stdout.strip() == "True" and f"UserWarning: {found}" in done.stderr
    assert done.stderr.count("UserWarning") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("code", ["import snnlab.layers", "import snnlab.data", "from snnlab.cli import main"])
def test_nothing_of_ours_runs_under_their_init(tmp_path, code):
    """pip has written their `__init__.py` over ours, or removed ours together with theirs."""
    (tmp_path / "snnlab").mkdir()
    ours = str(Path(snnlab.__file__).parent)
    (tmp_path / "snnlab" / "__init__.py").write_text(f"__path__.append({ours!r})", encoding="utf-8")
    done = python(code, tmp_path)
    assert done.stderr.splitlines()[-1].startswith("ImportError: another package called snnlab")
    assert "pip uninstall snnlab" in done.stderr
