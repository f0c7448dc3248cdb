"""Damaged files, and the process that tries to read them: crash, hang and memory are seen from outside, not assumed.

A worker process holds the readers; the test writes a damaged file and asks it to read that. Whatever happens, a signal,
silence, memory beyond the limit, is an answer. `fuzz_readers.READERS` says what is read, and how.
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

SECONDS = 90  # until a case counts as hanging: more than the readers' own limits, on a machine that does other things
BYTES = 2**30  # that a case may take beyond what the worker has at rest
LETTERS = 3000  # a message longer than this is none

# Numbers that break arithmetic: around the ends of the integer types, and what no memory can hold.
EVIL = [0, 1, 2, 3, 5, 6, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32]
EVIL += [10**12, 2**40, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
EVIL_TEXT = [
    *map(str, EVIL),
    "-1",
    "-9223372036854775809",
    "1e400",
    "NaN",
    "-Infinity",
    "null",
    "true",
    '"7"',
    "[]",
    "{}",
]
EVIL_TEXT += [
    "9" * 5000,
    "1" + "0" * 30,
    '"../../etc/passwd"',
    "0.5",
    "[[[[[[1]]]]]]",
    '"\\ud800"',
    "",
    "(1,",
    "1" * 300,
]
TYPES = [b"F32", b"F64", b"I64", b"U8", b"BF16", b"F16", b"BOOL", b"F8_E4M3", b"F4", b"C64"]
TYPES += [
    b"<i8",
    b">i8",
    b"<f4",
    b"<U9",
    b"|O8",
    b"|V4",
    b"<c8",
    b"|b1",
    b"<m8",
    b"|S3",
    b"<u2",
    b"|u1",
    b"<i4",
    b"<u4",
]


class Seed(NamedTuple):
    """A good file in parts, of which one is damaged before `join` makes a file of them (with sums that are right)."""

    parts: tuple[bytes, ...]
    join: Callable[[list[bytes]], bytes] = lambda parts: parts[0]


class Answer(NamedTuple):
    """What came of one case: "value", "error" (one of ours, as it should be) or what is wrong."""

    kind: str
    text: str
    seconds: float = 0.0
    bytes: int = 0


@st.composite
def damaged(draw, seeds: list[Seed]) -> bytes:
    """A file that was good."""
    seed = draw(st.sampled_from(seeds))
    parts = list(seed.parts)
    at = draw(st.integers(0, len(parts) - 1))
    for _ in range(draw(st.integers(1, 3))):
        parts[at] = draw(st.sampled_from(DAMAGES))(draw, parts[at])
    return seed.join(parts)


def _place(draw, content: bytes) -> int:
    return draw(st.integers(0, max(0, len(content) - 1)))


def truncate(draw, content: bytes) -> bytes:
    """The end is missing."""
    return content[: _place(draw, content)]


def flip(draw, content: bytes) -> bytes:
    """Some bits turned over."""
    garbled = bytearray(content or b"\0")
    for _ in range(draw(st.integers(1, 8))):
        garbled[_place(draw, garbled)] ^= 1 << draw(st.integers(0, 7))
    return bytes(garbled)


def number(draw, content: bytes) -> bytes:
    """A binary number, of 1 to 8 bytes in either order, becomes one that is hard to bear."""
    width, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("little", "big")))
    at = _place(draw, content)
    at -= at % width if draw(st.booleans()) else 0
    value = draw(st.sampled_from(EVIL)) % (1 << 8 * width)
    return content[:at] + value.to_bytes(width, order) + content[at + width :]


def text_number(draw, content: bytes) -> bytes:
    """A number in text (of a header, of JSON) becomes something else."""
    runs = _runs(content, lambda byte: 48 <= byte <= 57)
    if not runs:
        return flip(draw, content)
    first, end = draw(st.sampled_from(runs))
    return content[:first] + draw(st.sampled_from(EVIL_TEXT)).encode() + content[end:]


def other_type(draw, content: bytes) -> bytes:
    """The name of a type becomes another."""
    there = [name for name in TYPES if name in content]
    if not there:
        return text_number(draw, content)
    return content.replace(draw(st.sampled_from(there)), draw(st.sampled_from(TYPES)), draw(st.integers(1, 3)))


def splice(draw, content: bytes) -> bytes:
    """A piece is copied, left out, or put elsewhere; or noise comes in between."""
    first, end, at = (_place(draw, content) for _ in range(3))
    piece = content[min(first, end) : max(first, end)][: draw(st.sampled_from((1, 4, 16, 64, 10**6)))]
    how = draw(st.sampled_from(("insert", "overwrite", "remove", "noise")))
    if how == "remove":
        return content.replace(piece, b"", 1) if piece else content
    piece = draw(st.binary(min_size=1, max_size=32)) if how == "noise" else piece
    return content[:at] + piece + content[at + (len(piece) if how == "overwrite" else 0) :]


DAMAGES = [truncate, flip, number, number, text_number, other_type, splice]


def _runs(content: bytes, wanted: Callable[[int], bool], most: int = 400) -> list[tuple[int, int]]:
    """Where bytes of a kind stand together, at the beginning of a file that may be long."""
    runs, first = [], None
    for at, byte in enumerate(content[:20_000] + b"\0"):
        if wanted(byte) and first is None:
            first = at
        elif not wanted(byte) and first is not None:
            runs.append((first, at))
            first = None
    return runs[:most]


class Worker:
    """A process that reads what it is told to; where one case ends it, the next begins with another."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.warm: set[str] = set()

    def ask(self, reader: str, path: Path) -> Answer:
        """What comes of reading a file."""
        if self.process is None:
            self._start()
        self.process.stdin.write(json.dumps([reader, str(path)]) + "\n")
        self.process.stdin.flush()
        if reader not in self.warm:
            self._expect("warm")
            self.warm.add(reader)
        started = time.monotonic()
        alarm = threading.Timer(SECONDS, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            code, seconds = self.process.wait(), time.monotonic() - started
            self.close()
            kind = "hang" if seconds >= SECONDS else "crash"
            return Answer(kind, f"no answer, the process ended with {code}", seconds)
        return Answer(*json.loads(line))

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
            self.warm.clear()

    def _start(self) -> None:
        command = [sys.executable, __file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")

    def _expect(self, word: str) -> None:
        if self.process.stdout.readline() != f"{word}\n":
            raise RuntimeError(f"the worker is not {word}: {self.process.wait()}")


def _status(name: str) -> int:
    """A size [bytes] from the kernel's account of this process."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


def _attempt(reader, path: str) -> Answer:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + BYTES + 2**26, most))
    before, started = _status("VmRSS"), time.monotonic()
    kind, text = "value", ""
    try:
        reader.read(path)
    except BaseException as error:
        from snnlab.errors import SnnlabError

        kind, text = "error", str(error)
        if not isinstance(error, SnnlabError):
            kind, text = "escaped", "".join(traceback.format_exception(error))[-3000:]
        elif reader.named(path) not in text:
            kind = "does not name the file"
        elif "\n" in text or len(text) > LETTERS:
            kind, text = "message of many lines or letters", text[:LETTERS]
    seconds, peak = time.monotonic() - started, max(0, _status("VmHWM") - before)
    return Answer(kind if peak <= BYTES else "memory", text, seconds, peak)


def serve() -> None:
    """Read line by line what is to be read, and answer."""
    from fuzz_readers import READERS

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    readers, warm = {reader.name: reader for reader in READERS}, set()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, path = json.loads(line)
        if name not in warm:
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # what reading imports and compiles is no case
            readers[name].warm_up()
            warm.add(name)
            print("warm", file=answers, flush=True)
        print(json.dumps(_attempt(readers[name], path)), file=answers, flush=True)


if __name__ == "__main__":
    serve()
