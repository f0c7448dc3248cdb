"""Every reader on damaged and hostile files: a value or one of our errors, which names the file; nothing else.

500 damaged files a run; `SNNLAB_FUZZ=nightly` makes it 10,000, a number as many as that. The summary of pytest says how
many there were. `SNNLAB_FUZZ_KEEP` names a folder where what did harm is kept.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from fuzz_crafts import CRAFTS, Craft
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
    cases, seeds = CASES * reader.share // 100, reader.seeds()
    bad: dict[bytes, Answer] = {}  # hypothesis tries again what fails; once is enough

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=PROFILE == "ci",
        phases=[Phase.generate],  # a crash or a hang is not worth a hundred more of them: the file is kept
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(seeds))
    def read(content: bytes):
        path = reader.lay_out(tmp_path, content)
        answer = bad.get(content) or worker.ask(reader.name, path)
        fuzz_tally.add(reader.name, answer)
        if answer.kind not in HARMLESS:
            bad[content] = answer
        assert_harmless(answer, path)

    read()
    assert len(fuzz_tally.answers[reader.name]) >= cases


@pytest.mark.parametrize("craft", CRAFTS, ids=lambda craft: f"{craft.reader}: {craft.name}")
def test_crafted_files(craft: Craft, worker: Worker, tmp_path, fuzz_tally):
    """Refused, and nothing is written: not where names lead, not what a pickle asks for."""
    reader = next(reader for reader in READERS if reader.name == craft.reader)
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    path = reader.lay_out(folder, craft.make())
    before = {place: place.stat().st_size for place in (*tmp_path.rglob("*"), Path.cwd(), *Path.cwd().iterdir())}
    answer = worker.ask(craft.reader, path)
    fuzz_tally.add("crafted", answer)
    assert_harmless(answer, path)
    assert craft.harmless or answer.kind == "error"
    after = {place: place.stat().st_size for place in (*tmp_path.rglob("*"), Path.cwd(), *Path.cwd().iterdir())}
    assert before == after


def assert_harmless(answer: Answer, path: Path) -> None:
    if answer.kind not in HARMLESS:
        kept = Path(os.environ.get("SNNLAB_FUZZ_KEEP", path.parent)) / f"bad-{path.name}"
        if kept != path:
            shutil.copy(path, kept)
        pytest.fail(
            f"{answer.kind}, {answer.seconds:.1f} s, {answer.bytes >> 20} MB; file kept as {kept}\n{answer.text}"
        )
