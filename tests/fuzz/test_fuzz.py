"""Every reader on damaged and hostile files: a value or one of our errors, which names the file; nothing else.

By default five damaged files a reader. The tier "fuzz" reads 500 files, 10,000 with `SNNLAB_FUZZ=nightly`, or the
number that `SNNLAB_FUZZ` gives, and files made to hurt. The summary of pytest counts them. Files that did
harm are kept in the folder `SNNLAB_FUZZ_KEEP`.
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


@pytest.mark.smoke
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_five_damaged_files(reader: Reader, worker: Worker, tmp_path, fuzz_tally):
    read_damaged(5, reader, worker, tmp_path, fuzz_tally)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_files(reader: Reader, worker: Worker, tmp_path, fuzz_tally):
    """The same cases every time in CI, others every night."""
    read_damaged(CASES * reader.share // 100, reader, worker, tmp_path, fuzz_tally)


def read_damaged(cases: int, reader: Reader, worker: Worker, tmp_path: Path, fuzz_tally) -> None:
    """Read files that were damaged by chance."""
    seeds, before = reader.seeds(), len(fuzz_tally.answers[reader.name])
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
    assert len(fuzz_tally.answers[reader.name]) - before >= cases


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
