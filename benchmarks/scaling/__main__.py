"""`python -m benchmarks.scaling`: time and peak memory of a training step of the spiking network as its sizes grow.

Events a sample, time steps, inputs, hidden neurons, batch: one grows, all else stays, with snnlab's kernels and with
its reference (`lax.scan`). Every point runs in a process of its own, kernels and reference in turns. And the memory of
back-propagation through time per step and neuron. Synthetic data: it needs no files. Takes some minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.scaling import points, table
from benchmarks.scaling.points import Point
from benchmarks.tables import show, write

ROOT = Path(__file__).parents[2]
SECONDS = 1.0  # of timing a point; never less than three calls
PATIENCE = 1.0  # seconds that a point waits for the machine to fall quiet
LIMIT = 120.0  # seconds, for a process


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few points, to see whether it works")
    default = ROOT / "benchmarks" / "results" / "scaling.json"
    parser.add_argument("--json", type=Path, default=default, help=f"where the result goes (default: {default})")
    return parser.parse_args()


def run(point: Point, seconds: float) -> dict:
    """Measure a point in a process of its own; `{"error": ...}` if that fails."""
    command = [sys.executable, "-m", "benchmarks.scaling.worker", json.dumps(point), str(seconds)]
    environment = os.environ | {"SNNLAB_KERNELS": point.backend}
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {LIMIT:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}, perhaps for lack of memory"]
        return {"error": lines[-1][:200]}
    result = json.loads(done.stdout.splitlines()[-1])
    if point.backend == "auto" and result["backend"] == "reference":
        return {"error": "the kernels do not work here, the reference ran"}
    return result


def measure(wanted: list[Point], seconds: float, tell) -> dict[Point, dict]:
    """All points, each once."""
    results = {}
    for number, point in enumerate(wanted, 1):
        machine.wait_until_quiet(PATIENCE)
        results[point] = result = run(point, seconds)
        said = result.get("error") or f"{min(result['wall']):.1f} ms, {result['temp_bytes'] / 1e6:.1f} MB"
        tell(f"{number}/{len(wanted)} {' '.join(f'{k}={v}' for k, v in point._asdict().items())}: {said}")
    return results


def main() -> None:
    """Measure, print, write."""
    options = _arguments()
    started = time.perf_counter()

    def tell(message: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {message}", file=sys.stderr, flush=True)

    series, memory = points.series(options.quick), points.memory(options.quick)
    wanted = list(dict.fromkeys([point for _, line in series for point in line] + memory))
    results = measure(wanted, SECONDS / 5 if options.quick else SECONDS, tell)
    if all("error" in result for result in results.values()):
        print(f"nothing could be measured: {next(iter(results.values()))['error']}", file=sys.stderr)
        sys.exit(2)
    table.summary(results)
    tables = [table.of_series(line, of_line, results, first=k == 0) for k, (line, of_line) in enumerate(series)]
    tables += [part for part in (table.growth(series, results), table.of_memory(memory, results)) if part]
    for part in tables:
        show(part)
    raw = [point._asdict() | {k: v for k, v in r.items() if k not in ("wall", "cpu")} for point, r in results.items()]
    write(options.json, tables, seconds=round(time.perf_counter() - started), points=raw)
    tell(f"written: {options.json}")


if __name__ == "__main__":
    main()
