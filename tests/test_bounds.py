"""The lower bounds in pyproject.toml are the versions that `.ci/run lowest` tests."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_lowest_versions_are_the_declared_ones():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {}
    for wanted in [*project["dependencies"], *extras["nir"], *extras["study"], *extras["test"]]:
        if found := re.match(r"([\w-]+)>=([\d.]+)", wanted):
            declared[found[1]] = found[2]
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".ci" / "lowest.txt").read_text(), re.MULTILINE))
    assert pinned.keys() == declared.keys()
    for name, version in pinned.items():
        parts = version.split(".")
        assert parts[: len(declared[name].split("."))] == declared[name].split("."), name
        assert not any(int(part) for part in parts[len(declared[name].split(".")) :]), name
