"""Disks that cannot be written: each makes a folder so, and tells what the system then says."""

import contextlib
import os
import resource
import shutil
from pathlib import Path


@contextlib.contextmanager
def file_size_limit(folder: Path):
    """No file may grow beyond 1 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def full_disk(folder: Path):
    """Fill the small disk that the folder is on, to the last byte."""
    with (folder / "big").open("wb", buffering=0) as big, contextlib.suppress(OSError):
        while True:
            big.write(b"x" * 512)
    yield "No space left on device"
    (folder / "big").unlink()


@contextlib.contextmanager
def read_only(folder: Path):
    """Nobody may write; root, who always may, becomes somebody else."""
    user = os.geteuid()
    folder.chmod(0o555)
    try:
        if user == 0:
            os.seteuid(65534)
        yield "Permission denied"
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@contextlib.contextmanager
def gone(folder: Path):
    """The folder is not where it was."""
    folder.rename(folder.with_name("elsewhere"))
    yield "the folder is gone"
    shutil.move(folder.with_name("elsewhere"), folder)
