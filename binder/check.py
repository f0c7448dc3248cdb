"""Does what Binder shows work? Checked without Docker, with the standard library alone.

    python binder/check.py                             # notebooks 02 and 03
    python binder/check.py notebooks/01-lstm.ipynb     # others
    python binder/check.py --lock                      # writes the newest versions into lock.txt instead

It copies the repository, makes a fresh virtual environment with JupyterLab, as Binder does, runs `postBuild`, which
installs the rest, starts JupyterLab in it on one core with 1 GB of memory for the server and its kernels together,
and executes the notebooks through it. It fails if what postBuild installed is larger than 900 MB, a notebook fails, or
a network has not learned anything 20 s after its notebook was opened.

Binder differs from this in two things: its Python is the one that `runtime.txt` names, here it is the one that runs
this script; and its JupyterLab is of the version that repo2docker chose, here the newest. The limit of memory is a
control group's where one can be made (as root), else one on the data of every single process; peaks are measured in
any case.
"""

import argparse
import json
import os
import re
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "binder" / "lock.txt"
OURS = "snnlab-live"
NOTEBOOKS = ["notebooks/02-spiking.ipynb", "notebooks/03-why-does-it-not-learn.ipynb"]
MB = 1_000_000
MAX_ENVIRONMENT = 900 * MB
MAX_MEMORY = 1000 * MB
MAX_FIRST_UPDATE = 20.0  # seconds from asking for a kernel


# Flax and JAX ask for these and import them, if at all, for what no notebook does: checkpoints in Orbax's format, and
# parts of jax.scipy. With what they ask for in turn they are a quarter of the environment.
LEFT_OUT = {"orbax-checkpoint", "orbax-export", "tensorstore", "scipy"}


def copy_repository(to: Path) -> None:
    """What git would hand to Binder if everything here were committed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def environment_of(home: Path, prefix: Path) -> dict[str, str]:
    """Environment variables as in the image: nothing of this user's."""
    path = os.pathsep.join([str(prefix / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
    kept = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "PIP_", "SSL_"))}
    return kept | {"PATH": path, "HOME": str(home), "NB_PYTHON_PREFIX": str(prefix), "VIRTUAL_ENV": str(prefix)}


def build(repository: Path, prefix: Path, home: Path) -> tuple[int, int]:
    """JupyterLab's environment, and in it `postBuild`; bytes of the first, and what the second added."""
    venv.create(prefix, with_pip=True)
    pip = [str(prefix / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--no-cache-dir", "jupyterlab"], check=True)
    before = size_of(prefix)
    subprocess.run(["bash", "binder/postBuild"], cwd=repository, env=environment_of(home, prefix), check=True)
    return before, size_of(prefix) - before


class Limit:
    """One core and so much memory for a process and its children.

    Attributes:
        how: in words.
    """

    def __init__(self, limit: int):
        self._limit, self._group = limit, None
        self.how = f"{limit / MB:.0f} MB of data for each process (RLIMIT_DATA; no control group can be made here)"
        for parent, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            if self._make_group(Path(parent) / f"binder-check-{os.getpid()}", name):
                self.how = f"{limit / MB:.0f} MB for all processes together (control group)"
                break

    def _make_group(self, group: Path, name: str) -> bool:
        """Version 1 and version 2 of control groups differ in place and name; without rights neither works."""
        try:
            group.mkdir()
            with (group / name).open("r+") as file:
                file.write(str(self._limit))
        except OSError:
            if group.is_dir():
                group.rmdir()
            return False
        self._group = group
        return True

    def enter(self) -> None:
        """Put this process under the limits."""
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        if self._group:
            (self._group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (self._limit, self._limit))

    def close(self) -> None:
        """Take the group away; its processes have ended."""
        if self._group:
            self._group.rmdir()


@contextmanager
def jupyter(repository: Path, prefix: Path, home: Path, limit: Limit):
    """JupyterLab under the limits; yields its process, address and token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, token = f"http://127.0.0.1:{port}", secrets.token_hex(16)
    command = ["binder/start", str(prefix / "bin" / "jupyter"), "lab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"]
    with (home / "server.log").open("w") as log:
        environment = environment_of(home, prefix)
        server = subprocess.Popen(
            command, cwd=repository, env=environment, stdout=log, stderr=log, preexec_fn=limit.enter
        )
        try:
            wait_for(f"{address}/api/status?token={token}", home / "server.log")
            yield server, address, token
        finally:
            server.terminate()
            server.wait(30)


def wait_for(url: str, log: Path, seconds: float = 60.0) -> None:
    """Until somebody answers there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit(f"JupyterLab did not answer within {seconds:.0f} s:\n{log.read_text()[-2000:]}")


def peak_memory(pid: int) -> float:
    """Most memory that a process ever had [MB]."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / MB


def run_notebooks(notebooks: list[str], work: Path, limit: Limit) -> list[str]:
    """Execute them through a server, one after the other; what is wrong."""
    repository, prefix, home = work / "repository", work / "environment", work / "home"
    wrong = []
    for notebook in notebooks:
        with jupyter(repository, prefix, home, limit) as (server, address, token):
            run = [str(prefix / "bin" / "python"), "binder/through_server.py", address, token, notebook]
            done = subprocess.run(run, cwd=repository, capture_output=True, text=True)
            server_mb = peak_memory(server.pid)
        if done.returncode:
            print(done.stderr)
            wrong.append(f"{notebook} fails")
            continue
        result = json.loads(done.stdout.splitlines()[-1])
        total = result["peak_mb"] + server_mb
        print(f"{notebook}: {result['steps']} steps")
        print(f"  first training update after {result['first_update']:.1f} s, of which it computed for ", end="")
        print(f"{result['first_update_cpu']:.1f} s; all done after {result['done']:.1f} s")
        print(f"  peak memory {total:.0f} MB, {result['peak_mb']:.0f} the kernel's and {server_mb:.0f} the server's")
        if result["first_update"] > MAX_FIRST_UPDATE:
            wrong.append(f"{notebook}: the first update comes after more than {MAX_FIRST_UPDATE:.0f} s")
        if total * MB > MAX_MEMORY:
            wrong.append(f"{notebook}: takes more than {MAX_MEMORY / MB:.0f} MB")
    return wrong


def check(notebooks: list[str]) -> list[str]:
    """Print the figures; what is wrong."""
    runtime = (ROOT / "binder" / "runtime.txt").read_text().strip()
    print(f"Python {sys.version.split()[0]} here, {runtime} on Binder")
    with tempfile.TemporaryDirectory(prefix="binder-check-") as folder:
        work = Path(folder)
        for name in ("repository", "home"):
            (work / name).mkdir()
        copy_repository(work / "repository")
        theirs, ours = build(work / "repository", work / "environment", work / "home")
        print(f"environment: {ours / MB:.0f} MB, beside {theirs / MB:.0f} MB of JupyterLab and pip")
        limit = Limit(MAX_MEMORY)
        print(f"limits: one core, {limit.how}")
        try:
            wrong = run_notebooks(notebooks, work, limit)
        finally:
            limit.close()
        if ours > MAX_ENVIRONMENT:
            wrong.append(f"the environment takes more than {MAX_ENVIRONMENT / MB:.0f} MB")
    return wrong


def resolved(what: str) -> dict[str, dict]:
    """By name, the metadata of what pip would install for the Python of Binder."""
    python = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report=-"]
    pip += [f"--python-version={python}", "--only-binary=:all:", "--target=nowhere"]  # it wants one, and writes nothing
    report = json.loads(subprocess.check_output([*pip, what], cwd=ROOT))
    return {normal(package["metadata"]["name"]): package["metadata"] for package in report["install"]}


def normal(name: str) -> str:
    """A package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(name: str, packages: dict[str, dict], found: set[str]) -> None:
    """Collect a package and what it needs, but for what is left out."""
    if name in found or name in LEFT_OUT or name not in packages:
        return
    found.add(name)
    for line in packages[name].get("requires_dist", []):
        if "extra ==" not in line:
            asked_for(normal(re.match(r"[\w.-]+", line)[0]), packages, found)


def lock() -> None:
    """Write the versions of everything that snnlab needs, but for what JupyterLab brings along."""
    comments = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    packages, found = resolved("."), set()
    asked_for(OURS, packages, found)
    pins = [f"{name}=={packages[name]['version']}" for name in sorted(found - resolved("jupyterlab").keys() - {OURS})]
    LOCK.write_text("\n".join([*comments, *pins, ""]))
    print(f"{len(pins)} versions in {LOCK.relative_to(ROOT)}; now check them: python binder/check.py")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", default=NOTEBOOKS)
    parser.add_argument("--lock", action="store_true")
    options = parser.parse_args()
    if options.lock:
        lock()
    elif problems := check(options.notebooks):
        raise SystemExit("NOT AS IT SHOULD BE: " + "; ".join(problems))
    else:
        print("all as it should be")
