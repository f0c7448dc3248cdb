"""What a measurement ran on: processor, cores, memory, system; and how busy others kept it meanwhile."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path

DISTURBED = 0.05  # share of the machine; a tenth of one core of two


def describe() -> dict[str, str | int | float]:
    """The machine as this process sees it: `cores` are those it may use, `memory_gib` what the system has."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": _cores(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "system": _system(),
        "python": platform.python_version(),
    }


def version(distribution: str) -> str | None:
    """Version of an installed distribution, None if there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_seconds(stat: str | Path) -> float:
    """CPU seconds so far of a process, or a thread, by its `stat` below /proc.

    Raises:
        OSError: if it has ended.
    """
    fields = Path(stat).read_text(errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float | None:
    """CPU seconds that all processes together have used since the system started, None where it does not tell.

    Two readings around a measurement, less what was measured itself, say how much others disturbed it. Time that a
    hypervisor took away ("steal") counts as theirs.
    """
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def others_share(busy: float | None, own: float, seconds: float) -> float | None:
    """Share of the machine that others had: what `busy_seconds` grew by in so many seconds, less our own CPU time."""
    return None if busy is None else max(0.0, busy - own) / (seconds * (os.cpu_count() or 1))


def wait_until_quiet(patience: float) -> None:
    """Until hardly anything runs on this machine, but at most for so many seconds."""
    end = time.perf_counter() + patience
    while (before := busy_seconds()) is not None and time.perf_counter() < end:
        time.sleep(0.2)
        if others_share(busy_seconds() - before, 0.0, 0.2) <= DISTURBED:
            return


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _system() -> str:
    name = _field("/etc/os-release", "PRETTY_NAME", separator="=")
    kernel = f"{platform.system()} {platform.release()}"
    return f"{name}, {kernel}" if name else kernel


def _field(path: str, name: str, separator: str = ":") -> str | None:
    """Value of the first line `name: value` of a file of the system, None if there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    pairs = (line.partition(separator) for line in lines)
    return next((value.strip().strip('"') for key, _, value in pairs if key.strip() == name), None)
