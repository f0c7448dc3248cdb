"""What the command line writes to a terminal of a given width, and what it says about an interrupted run."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

import snnlab
from snnlab.cli import main, train
from snnlab.cli.terminal import bar_format, fitting, width_of, wrapped

# Whole lines, as documented: fields may be absent, none is empty or cut.
BAR = re.compile(
    r"[ \d]{3}%\|[^|]+\|( compiling| (\d+/\d+ steps(, |$))?(epoch \d+(, |$))?((train|test) loss [\d.]+(, |$))?"
    r"((train|test) accuracy [\d.]+%(, |$))?([\d:]{5,} left)?)?"
)
EPOCH = re.compile(
    r"epoch +\d+(  train loss \d\.\d{4})?(  train accuracy \d\.\d{4})?(  test loss \d\.\d{4})?"
    r"  test accuracy \d\.\d{4}(  spikes [\d.]+)?(  [\d.]+ s)?"
)
MESSAGES = re.compile(r"(Dataset\('digits'|  [\w(]|every epoch |test part, |wrote |snnlab: |interrupted).*")


def on_terminal(columns: int, *arguments, piped: bool = False) -> tuple[list[str], str]:
    """Run `snnlab` on a pseudo terminal: every line that stood there, however shortly; and what came out of a pipe.

    Args:
        columns: of the terminal; 0 is one that does not know.
        *arguments: of the command.
        piped: stdout goes into a pipe, as in `snnlab train | tee log`.
    """
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    command = [sys.executable, "-m", "snnlab.cli", *map(str, arguments)]
    shown = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE if piped else terminal, stderr=terminal) as process:
        os.close(terminal)
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the terminal is closed when the process ends
                break
            if not block:
                break
            shown += block
        piped_text = process.stdout.read().decode() if piped else ""
    os.close(ours)
    assert process.returncode == 0, shown
    text = re.sub(r"\x1b\[\d*[A-Za-z]", "", shown.decode())
    return [line.rstrip() for line in re.split(r"[\r\n]", text) if line.strip()], piped_text


def check(lines: list[str], columns: int) -> None:
    """Each line is shorter than the terminal, and a whole one."""
    for line in lines:
        assert len(line) < columns, line
        assert BAR.fullmatch(line) or EPOCH.fullmatch(line) or MESSAGES.fullmatch(line), repr(line)
    assert {1, 2, 3} == {int(line.split()[1]) for line in lines if EPOCH.fullmatch(line)}
    assert any("100%" in line for line in lines)


@pytest.mark.parametrize(
    "columns",
    [
        80,
        *(pytest.param(columns, marks=pytest.mark.endure) for columns in (40, 120)),
        *(pytest.param(columns, marks=pytest.mark.nightly) for columns in (60, 100, 160)),
    ],
)
def test_every_line_fits_the_terminal(columns):
    lines, _ = on_terminal(columns, "train", "--epochs", 3)
    check(lines, columns)
    assert any(" left" in line for line in lines if BAR.fullmatch(line)) or columns < 60
    if columns >= 120:
        assert any("33/33 steps, epoch 3, " in line for line in lines)


@pytest.mark.endure
def test_a_terminal_that_does_not_know_its_width_has_80_columns():
    lines, _ = on_terminal(0, "train", "--epochs", 3)
    check(lines, 80)


@pytest.mark.endure
def test_a_pipe_gets_all_fields_and_the_terminal_only_the_bar():
    lines, piped = on_terminal(60, "train", "--epochs", 3, piped=True)
    assert not any(EPOCH.fullmatch(line) for line in lines) and all(len(line) < 60 for line in lines)
    *rows, tested = piped.splitlines()
    assert tested.startswith("test part, 360 samples: accuracy ")
    assert len(rows) == 3 and all(EPOCH.fullmatch(row) and "train loss" in row and "spikes" in row for row in rows)


def test_fields_are_left_out_whole():
    """At any width: what is shown is a selection of the fields, in their order, and the least ones go first."""
    fields = {"a": "alpha 1", "b": "beta 22", "c": "gamma 333"}
    for width in range(40):
        shown = fitting(fields, ("b", "c", "a"), ", ", width)
        assert len(shown) <= width
        assert shown in ("alpha 1, beta 22, gamma 333", "alpha 1, gamma 333", "alpha 1", "")
    assert fitting(fields, ("b", "c", "a"), ", ", None) == "alpha 1, beta 22, gamma 333"


def test_a_bar_never_outgrows_its_terminal():
    from tqdm import tqdm

    fields = {"steps": "12345/66000 steps", "loss": "train loss 0.123", "left": "1:02:03 left"}
    for width in range(10, 140):
        shape = bar_format(fields, ("steps", "loss", "left"), width)
        for done in (0, 33, 66):
            line = tqdm.format_meter(done, 66, 1.0, bar_format=shape)
            assert len(line) <= width and not line.endswith((",", " "))


def test_messages_break_between_words_and_keep_paths_whole():
    path = "runs/" + "long" * 20
    lines = wrapped(f"snnlab: {path}: cannot write there --out", 30).splitlines()
    assert path + ":" in [line.strip() for line in lines]
    assert " ".join(line.strip() for line in lines) == f"snnlab: {path}: cannot write there --out"
    assert all(len(line) <= 30 for line in lines if path not in line)
    assert wrapped("a b " * 50, None) == "a b " * 50


def test_a_file_has_no_width(tmp_path, capsys):
    with (tmp_path / "log").open("w") as file:
        assert width_of(file) is None
    assert width_of(sys.stderr) is None  # pytest's, which has no file descriptor


@pytest.fixture
def interrupted(monkeypatch, capsys):
    """Runs `snnlab train`, in which somebody presses Ctrl-C after some reports; what it says last."""

    def one(reports: int, *arguments) -> str:
        def follow(trainer, given):
            for _, _ in zip(range(reports), given, strict=False):
                time.sleep(0)
            raise KeyboardInterrupt

        monkeypatch.setattr(train, "_follow", follow)
        assert main(["train", "--epochs", "3", *map(str, arguments)]) == 130
        return capsys.readouterr().err.strip().splitlines()[-1]

    return one


def test_ctrl_c_says_what_is_kept_and_how_to_keep_more(tmp_path, interrupted, monkeypatch, capsys):
    lost = "is kept: next time, add --out DIR for the network, or --resume DIR to continue the run"
    assert re.fullmatch(f"interrupted after step \\d+ of 33; nothing {lost}", interrupted(1))
    assert interrupted(0) == f"interrupted before the first step; nothing {lost}"
    report = tmp_path / "report.json"
    assert interrupted(1, "--json", report).endswith(f"; only the report {lost}") and report.exists()

    out = tmp_path / "out"
    said = interrupted(2, "--out", out)
    step = int(re.fullmatch(rf"interrupted after step (\d+) of 33; the network as it is now is in {out}", said)[1])
    assert len(snnlab.History.load(out / "history.json")) == step > 0
    snnlab.load(out / "net.safetensors")

    kept = tmp_path / "kept"
    said = interrupted(2, "--resume", kept)
    promise = rf"interrupted after step (\d+) of 33; the run is in {kept}, and the same command continues it"
    step = int(re.fullmatch(promise, said)[1])
    monkeypatch.undo()
    capsys.readouterr()
    assert main(["train", "--epochs", "3", "--resume", str(kept)]) == 0
    assert f"{kept}: continuing from step {step} of 33" in capsys.readouterr().err


def test_ctrl_c_promises_no_checkpoint_that_could_not_be_written(tmp_path, interrupted, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snnlab.checkpoint.folder.CheckpointFolder.write", full)
    assert "nothing is kept" in interrupted(2, "--resume", tmp_path / "kept")
