"""Every reader on damaged and hostile files: a value or one of our errors, which names the file; nothing else.

500 cases a run; `SNNLAB_FUZZ=nightly` makes it 10,000, a number as many as that. The summary of pytest says how many ran.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from fuzz_readers import READERS, Reader
from fuzzing import Answer, Worker, damaged
from hypothesis import HealthCheck, Phase, given, settings

PROFILES = {"ci": 500, "nightly": 10_000}
PROFILE = os.environ.get("SNNLAB_FUZZ", "ci")
CASES = PROFILES.get(PROFILE) or int(PROFILE)
HARMLESS = ("value", "error")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is watched through /proc")


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


def test_the_shares_add_up():
    assert sum(reader.share for reader in READERS) == 100


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_files(reader: Reader, worker: Worker, tmp_path, fuzz_tally):
    """The same cases every time in CI, others every night."""
    cases = CASES * reader.share // 100
    bad: dict[bytes, Answer] = {}  # hypothesis tries again what fails; once is enough

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=PROFILE == "ci",
        phases=[Phase.generate],  # a crash or a hang is not worth a hundred more of them: the file is kept
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(reader.seeds()))
    def read(content: bytes):
        path = reader.lay_out(tmp_path, content)
        answer = bad.get(content) or worker.ask(reader.name, path)
        fuzz_tally.add(reader.name, answer)
        if answer.kind not in HARMLESS:
            bad[content] = answer
        assert_harmless(answer, path)

    read()
    assert len(fuzz_tally.answers[reader.name]) >= cases


def assert_harmless(answer: Answer, path: Path) -> None:
    if answer.kind not in HARMLESS:
        kept = Path(os.environ.get("SNNLAB_FUZZ_KEEP", path.parent)) / f"bad-{path.name}"
        if kept != path:
            shutil.copy(path, kept)
        pytest.fail(
            f"{answer.kind}, {answer.seconds:.1f} s, {answer.bytes >> 20} MB; file kept as {kept}\n{answer.text}"
        )
