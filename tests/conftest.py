"""Shared fixtures: where the reference data lies, and small real data to train on."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from disks import file_size_limit, full_disk

from snnlab import data

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; it is not part of the repository."""
    if not SHARED.is_dir():
        message = f"no reference data in {SHARED}"
        at_home = os.environ.get("CI") and not os.environ.get("GITHUB_ACTIONS")
        pytest.fail(message) if at_home else pytest.skip(message)
    return SHARED


@pytest.fixture(scope="session")
def digits() -> data.Dataset:
    """Real 8x8 digits."""
    return data.load("digits")


@pytest.fixture(scope="session")
def small(digits) -> data.Dataset:
    """Eight batches of 32 to train on, two to test with."""
    return digits.subset(train=256, test=64)


@pytest.fixture
def place():
    """A folder that other users can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(place):
    """A disk of 2 MB; where none can be mounted, the size of a file is limited, which fails in the same call."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        yield file_size_limit
        return
    yield full_disk
    subprocess.run(["umount", str(place)], check=True)  # before `place` takes the folder away


class Read(NamedTuple):
    """What came of reading one damaged file."""

    kind: str
    seconds: float
    bytes: int


class FuzzTally:
    """How many damaged files were read, and what came of it."""

    def __init__(self):
        self.answers: dict[str, list[Read]] = defaultdict(list)

    def add(self, reader: str, answer) -> None:
        self.answers[reader].append(Read(answer.kind, answer.seconds, answer.bytes))

    def lines(self) -> list[str]:
        """One for each reader, and the sum."""
        rows = {**self.answers, "all": [answer for answers in self.answers.values() for answer in answers]}
        lines = []
        for name, answers in rows.items():
            kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(a.kind for a in answers).most_common())
            slowest, most = max(a.seconds for a in answers), max(a.bytes for a in answers) >> 20
            lines.append(f"{name:<20} {len(answers):>6} cases: {kinds}; slowest {slowest:.2f} s, at most {most} MB")
        return lines


TALLY = pytest.StashKey[FuzzTally]()


@pytest.fixture(scope="session")
def fuzz_tally(request) -> FuzzTally:
    """Counts the cases; what it counted stands in the summary."""
    return request.config.stash.setdefault(TALLY, FuzzTally())


def pytest_sessionfinish(session):
    """A worker of pytest-xdist hands over what it counted."""
    tally = session.config.stash.get(TALLY, None)
    if tally and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["fuzz_tally"] = {
            name: list(map(list, reads)) for name, reads in tally.answers.items()
        }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add up what the workers counted."""
    tally = node.config.stash.setdefault(TALLY, FuzzTally())
    for name, reads in getattr(node, "workeroutput", {}).get("fuzz_tally", {}).items():
        tally.answers[name] += [Read(*read) for read in reads]


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash.get(TALLY, None)
    if tally and tally.answers:
        terminalreporter.section("damaged files")
        for line in tally.lines():
            terminalreporter.write_line(line)
