"""Kill workers of Dask at random moments: do all cells of a study end with the bits that they have one after the other?

python tests/study/worker_kills.py 20
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from snnlab import SnnConfig, data
from snnlab.checkpoint.folder import newest_in
from snnlab.study.agenda import Grid
from snnlab.study.cells import Fate
from snnlab.study.engines import Job
from snnlab.study.engines.dask import Dask
from snnlab.study.folder import StudyFolder, lead
from snnlab.study.plan import Plan
from snnlab.study.space import Index, Space
from snnlab.study.work import compute, id_of
from snnlab.study.workers import MARK

OVER = {"v_th": [0.3, 0.5, 0.7, 1.0], "tau_mem": [5.0, 10.0, 20.0, 40.0], "seed": [0, 1]}
BETWEEN = 0.5, 6.0  # seconds from one kill to the next


def kill_worker(folder: StudyFolder, chance: random.Random) -> bool:
    """Kill a process that computes a cell, if there is one."""
    pids = []
    for mark in folder.path.glob(f"cells/*/{MARK}"):
        with suppress(OSError, ValueError):
            pids.append(json.loads(mark.read_text())["pid"])
    try:
        os.kill(chance.choice(pids), signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        return False
    return True


def differs(one: StudyFolder, other: StudyFolder, index: Index) -> bool:
    """Whether a cell is not done in both, with the same rows and the same bits of all arrays."""
    if one.cell(index) != other.cell(index) or one.cell(index).fate is not Fate.DONE:
        return True
    mine, theirs = (newest_in(folder.place(index)).arrays for folder in (one, other))
    return {name: array.tobytes() for name, array in mine.items()} != {
        name: array.tobytes() for name, array in theirs.items()
    }


def main(kills: int, place: Path) -> int:
    """Return 0 if no cell differs, and so many workers were killed."""
    chance, killed, next_at = random.Random(0), [], [time.monotonic()]
    known = id_of(data.load("digits"), "digits")
    plan = Plan(space=Space.of(OVER), model=SnnConfig(hidden=32, num_steps=40), data=known, epochs=40)
    led, serial = lead(place / "killed", plan), lead(place / "serial", plan)

    def on_cell(cell) -> None:
        if len(killed) < kills and time.monotonic() > next_at[0] and kill_worker(led, chance):
            killed.append(cell.index)
            next_at[0] = time.monotonic() + chance.uniform(*BETWEEN)

    began = time.monotonic()
    order = plan.space.in_order()
    Dask(cluster=2)(Job(folder=led, data=None, on_cell=on_cell, source=lambda cells: Grid(order)), lambda: False)
    middle = time.monotonic()
    for index in plan.space:
        compute(serial, index)
    wrong = sum(differs(led, serial, index) for index in plan.space)
    seconds = f"{middle - began:.0f} s with kills, {time.monotonic() - middle:.0f} s one after the other"
    print(f"{len(plan.space)} cells, {len(killed)} workers killed: {wrong} cells differ; {seconds}")
    return int(wrong > 0 or len(killed) < kills)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sys.exit(main(int(sys.argv[1]), Path(folder)))
