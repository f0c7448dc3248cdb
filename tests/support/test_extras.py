"""Nobody is told to install the other project that PyPI knows as `snnlab`."""

import re
import subprocess
import tomllib
from pathlib import Path

from snnlab._namesake import DISTRIBUTION
from snnlab.support.extras import install_hint

ROOT = Path(__file__).parents[2]
STRANGER = re.compile(r"snnlab\\?\[|\binstall (?:-\S+ )*[\"'\\]*snnlab\b(?!-live)")


def test_the_hint_names_the_distribution_and_a_clone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    for extra in project["optional-dependencies"]:
        assert install_hint(extra).startswith(f'pip install "{DISTRIBUTION}[{extra}]"')
        assert f'pip install -e ".[{extra}]"' in install_hint(extra)


def test_what_counts_as_the_stranger():
    name = "snnlab"
    for wrong in (f'"{name}[nir]"', f"{name}\\[nir", f"pip install {name}", f'pip install -q "{name}"'):
        assert STRANGER.search(wrong)
    for right in ("snnlab-live[nir]", 'pip install -e ".[nir]"', "pip install snnlab-live", "pip uninstall snnlab"):
        assert not STRANGER.search(right)


def test_nothing_in_the_repository_installs_the_stranger():
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    files = [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    assert len(files) > 100
    found = []
    for file in files:
        content = file.read_bytes()
        if b"\0" not in content:
            lines = content.decode().splitlines()
            found += [f"{file.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if STRANGER.search(line)]
    assert found == []
