"""`python -m benchmarks.study`: how many networks a second a study trains, against the ways to do without one.

A map of the digits over time constant and threshold: 64-100-10 neurons, 100 steps of 1 ms. It is computed as a study,
whose cells run in one program; then some of its cells one by one, each with a trainer of its own, in this process and
in fresh ones; and a row of it by Optuna with snnTorch, where these are installed. What is compiled is in the caches.
Takes about five minutes on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import snnlab
from benchmarks.machine import busy_seconds, others_share
from benchmarks.tables import show, write
from snnlab.study import Study, linear, log, sweep
from snnlab.study.folder import lead
from snnlab.study.space import Index
from snnlab.study.work import compute

ROOT = Path(__file__).parents[1]
LOOK = 0.02  # seconds between two looks at the map


class Spent(NamedTuple):
    """What a network took.

    Attributes:
        seconds: of the clock.
        processor: seconds that its processes computed; they tell more where others compute at the same time.
        others: share of the machine that others had meanwhile, if that is known.
    """

    seconds: float
    processor: float
    others: float | None


def spent(work: Callable[[], object], networks: int = 1) -> Spent:
    """Do work on some networks; return what one of them took."""
    began, computed, busy = time.perf_counter(), sum(os.times()[:4]), busy_seconds()
    work()
    seconds, processor = time.perf_counter() - began, sum(os.times()[:4]) - computed
    others = others_share(None if busy is None else busy_seconds() - busy, processor, seconds)
    return Spent(seconds / networks, processor / networks, others)


def begin(size: int, epochs: int, folder: str) -> Study:
    """Start the map."""
    over = {"tau_mem": log(2.0, 60.0, size), "v_th": linear(0.2, 3.0, size)}
    return sweep(snnlab.SnnConfig(), over=over, epochs=epochs, folder=folder)


def watched(size: int, epochs: int) -> dict[str, float]:
    """Compute the whole map; return the seconds until the coarse one, until every cell has a color, until the end."""
    began, found = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        study = begin(size, epochs, folder)
        while study.running:
            rows = [len(cell.rows) for cell in study.cells.values()]
            now = time.perf_counter() - began
            if sum(map(bool, rows)) >= len(rows) // 16:
                found.setdefault("coarse map", now)
            if all(rows):
                found.setdefault("every cell", now)
            time.sleep(LOOK)
        done = time.perf_counter() - began
        assert study.wait()
        study.stop()
    return {name: found.get(name, done) for name in ("coarse map", "every cell", "done")}


def some_cells(size: int, count: int) -> list[Index]:
    """Cells along the diagonal of the map."""
    return [(k * size // count, k * size // count) for k in range(count)]


def one_by_one(size: int, epochs: int, cells: Sequence[Index]) -> list[Spent]:
    """Train cells with a trainer each, in this process; the first one fills the caches."""
    with tempfile.TemporaryDirectory() as folder:
        study = begin(size, epochs, folder)
        study.pause()
        data = snnlab.load_data("digits")
        study.stop()
        with tempfile.TemporaryDirectory() as other:
            led = lead(other, study.plan)
            found = [spent(lambda index=index: compute(led, index, data=data)) for index in cells]
            led.close()
    return found[1:]


def fresh_processes(size: int, epochs: int, cells: Sequence[Index]) -> list[Spent]:
    """Train cells with a process each; the first one fills the caches."""
    with tempfile.TemporaryDirectory() as folder:
        study = begin(size, epochs, folder)
        study.stop()
        with tempfile.TemporaryDirectory() as other:
            lead(other, study.plan).close()
            codes = [f"from snnlab.study.work import compute; compute({other!r}, {index!r})" for index in cells]
            found = [
                spent(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)) for code in codes
            ]
    return found[1:]


def with_optuna(size: int, epochs: int, count: int) -> list[Spent] | None:
    """Train cells of one row of the map by Optuna with snnTorch; None if they are not installed."""
    # PyTorch's threads would wait for one another by computing: its steps are short, and that takes longer, too.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        from benchmarks.peers.snntorch_sweep import seconds_of_trials
    except ImportError as error:
        print(f"Optuna with snnTorch is left out: {error}")
        return None
    row = linear(0.2, 3.0, size)[size // 4]
    taus = log(2.0, 60.0, size)
    cells = [(taus[k * size // count], row) for k in range(count)]
    return [spent(lambda: seconds_of_trials(cells, epochs), count)]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=16, help="cells along each axis (default: 16)")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of every cell (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="maps that are computed (default: 3)")
    parser.add_argument("--some", type=int, default=5, help="cells that are trained one by one (default: 5)")
    path = ROOT / "benchmarks" / "results" / "study.json"
    parser.add_argument("--json", type=Path, default=path, help=f"where the result goes (default: {path})")
    options = parser.parse_args()
    size, epochs = options.size, options.epochs
    watched(min(size, 4), epochs)  # fills the caches
    maps: list[dict[str, float]] = []
    whole = [spent(lambda: maps.append(watched(size, epochs)), size**2) for _ in range(options.rounds)]
    cells = some_cells(size, options.some)
    singles = one_by_one(size, epochs, cells)
    processes = fresh_processes(size, epochs, cells[:4])
    optuna = with_optuna(size, epochs, 3)
    tables = [map_table(maps, whole, size, epochs), speed_table(whole, singles, processes, optuna, epochs)]
    for result in tables:
        show(result)
    write(options.json, tables, maps=maps, study=whole, one_by_one=singles, fresh_processes=processes, optuna=optuna)


def map_table(maps: Sequence[dict[str, float]], whole: Sequence[Spent], size: int, epochs: int) -> dict:
    """Medians of the seconds until the map shows something."""
    rows = []
    for name in maps[0]:
        values = sorted(one[name] for one in maps)
        rows.append([name, f"{median(values):.1f}", f"{values[0]:.1f} to {values[-1]:.1f}"])
    return {
        "title": f"A map of {size} x {size} networks of the digits, {epochs} epochs",
        "about": f"64-100-10 neurons, 100 steps; seconds after the call of `sweep`, median of {len(maps)}, in one "
        f"process, with what is compiled in the caches. Others had {others_had(whole)} of the machine meanwhile.",
        "columns": ["", "seconds", "from best to worst"],
        "rows": rows,
    }


def others_had(found: Sequence[Spent]) -> str:
    """Say which share of the machine others had, as a median."""
    shares = [one.others for one in found if one.others is not None]
    return f"{100 * median(shares):.0f} %" if shares else "unknown"


def speed_table(
    study: Sequence[Spent],
    singles: Sequence[Spent],
    processes: Sequence[Spent],
    optuna: Sequence[Spent] | None,
    epochs: int,
) -> dict:
    """Networks a second, each trained for all epochs."""
    each = {
        "a study": study,
        "one by one in one process": singles,
        "one by one in fresh processes": processes,
    }
    if optuna is not None:
        each["Optuna with snnTorch, in one process"] = optuna
    least, rows = median(one.processor for one in study), []
    for name, found in each.items():
        seconds, processor = (median(values) for values in list(zip(*found, strict=True))[:2])
        values = [f"{1.0 / seconds:.2f}", f"{seconds:.2f}", others_had(found), f"{processor:.2f}"]
        rows.append([name, *values, f"{processor / least:.1f}"])
    return {
        "title": "Networks a second",
        "about": f"The same networks, {epochs} epochs each; medians. The study's seconds have its start in them. "
        "Processor seconds are those of all cores; where others had a share of the machine they tell more than the "
        "clock, and the last column compares them.",
        "columns": ["", "networks a second", "seconds", "others had", "processor seconds", "times a study"],
        "rows": rows,
    }


if __name__ == "__main__":
    main()
