"""`python -m benchmarks.study`: how many networks a second a study trains, against the ways to do without one.

A map of the digits over time constant and threshold: 64-100-10 neurons, 100 steps of 1 ms. It is computed as a study,
whose cells run in one program; then some of its cells one by one, each with a trainer of its own, in this process and
in fresh ones; and a row of it by Optuna with snnTorch, where these are installed. What is compiled is in the caches.
Takes about five minutes on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import snnlab
from benchmarks.tables import show, write
from snnlab.study import Study, linear, log, sweep
from snnlab.study.folder import lead
from snnlab.study.space import Index
from snnlab.study.work import compute

ROOT = Path(__file__).parents[1]
LOOK = 0.02  # seconds between two looks at the map


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


def one_by_one(size: int, epochs: int, cells: Sequence[Index]) -> list[float]:
    """Train cells with a trainer each, in this process; the first one fills the caches."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        study = begin(size, epochs, folder)
        study.pause()
        data = snnlab.load_data("digits")
        study.stop()
        with tempfile.TemporaryDirectory() as other:
            led = lead(other, study.plan)
            for index in cells:
                began = time.perf_counter()
                compute(led, index, data=data)
                seconds.append(time.perf_counter() - began)
            led.close()
    return seconds[1:]


def fresh_processes(size: int, epochs: int, cells: Sequence[Index]) -> list[float]:
    """Train cells with a process each; the first one fills the caches."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        study = begin(size, epochs, folder)
        study.stop()
        with tempfile.TemporaryDirectory() as other:
            lead(other, study.plan).close()
            for index in cells:
                began = time.perf_counter()
                code = f"from snnlab.study.work import compute; compute({other!r}, {index!r})"
                subprocess.run([sys.executable, "-c", code], check=True)
                seconds.append(time.perf_counter() - began)
    return seconds[1:]


def with_optuna(size: int, epochs: int, count: int) -> list[float] | None:
    """Train cells of one row of the map by Optuna with snnTorch; None if they are not installed."""
    try:
        from benchmarks.peers.snntorch_sweep import seconds_of_trials
    except ImportError as error:
        print(f"Optuna with snnTorch is left out: {error}")
        return None
    row = linear(0.2, 3.0, size)[size // 4]
    taus = log(2.0, 60.0, size)
    seconds, _ = seconds_of_trials([(taus[k * size // count], row) for k in range(count)], epochs)
    return seconds


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
    maps = [watched(size, epochs) for _ in range(options.rounds)]
    cells = some_cells(size, options.some)
    singles = one_by_one(size, epochs, cells)
    processes = fresh_processes(size, epochs, cells[:4])
    optuna = with_optuna(size, epochs, 3)
    tables = [map_table(maps, size, epochs), speed_table(maps, singles, processes, optuna, size, epochs)]
    for result in tables:
        show(result)
    write(options.json, tables, maps=maps, one_by_one=singles, fresh_processes=processes, optuna=optuna)


def map_table(maps: Sequence[dict[str, float]], size: int, epochs: int) -> dict:
    """Medians of the seconds until the map shows something."""
    rows = []
    for name in maps[0]:
        values = sorted(one[name] for one in maps)
        rows.append([name, f"{median(values):.1f}", f"{values[0]:.1f} to {values[-1]:.1f}"])
    return {
        "title": f"A map of {size} x {size} networks of the digits, {epochs} epochs",
        "about": f"64-100-10 neurons, 100 steps; seconds after the call of `sweep`, median of {len(maps)}, in one "
        "process, with what is compiled in the caches.",
        "columns": ["", "seconds", "from best to worst"],
        "rows": rows,
    }


def speed_table(
    maps: Sequence[dict[str, float]],
    singles: Sequence[float],
    processes: Sequence[float],
    optuna: Sequence[float] | None,
    size: int,
    epochs: int,
) -> dict:
    """Networks a second, each trained for all epochs."""
    each = {
        "a study": median(one["done"] for one in maps) / size**2,
        "one by one in one process": median(singles),
        "one by one in fresh processes": median(processes),
    }
    if optuna is not None:
        each["Optuna with snnTorch, in one process"] = median(optuna)
    rows = [
        [name, f"{seconds:.2f}", f"{1.0 / seconds:.2f}", f"{seconds / each['a study']:.1f}"]
        for name, seconds in each.items()
    ]
    return {
        "title": "Networks a second",
        "about": f"The same networks, {epochs} epochs each; medians. The study's seconds have its start in them.",
        "columns": ["", "seconds a network", "networks a second", "times a study"],
        "rows": rows,
    }


if __name__ == "__main__":
    main()
