"""From what was measured to tables."""

from statistics import median

from benchmarks.scaling.points import Point, Series

COLUMNS = ("events a sample", "steps", "inputs", "hidden", "batch", "spikes", "kernels: min", "median", "CPU time")
COLUMNS += ("peak", "XLA temp", "reference: min", "CPU time", "peak", "XLA temp", "times as long", "as much memory")
ABOUT = """\
The time in ms of forward and backward passes (no optimizer) of the spiking network on synthetic latency events, all
of them in the first 100 steps; one size grows in every table, all else stays. `min` and `median` are by the clock,
`CPU time` is the least that all threads together used in one step: other processes on the machine hardly lengthen it.
Memory in MB: `peak` is what the process grew by from before the step was compiled (maximum resident size; compilation
itself takes some 10 to 40 MB of it), `XLA temp` what the compiled step allocates beyond its arguments and results (the
scratch arrays inside the kernels, some 130 bytes a time step and thread, are not in it). `spikes` are those of the
hidden layer per sample. Where the reference (`lax.scan` on dense input) is missing it would need more than a few
seconds or much memory. `times as long` compares CPU times, `as much memory` what XLA allocates."""

MEMORY_COLUMNS = ("network", "kernels: XLA temp", "peak", "reference: XLA temp", "peak", "as much (temp)", "(peak)")
MEMORY_ABOUT = """\
Bytes per time step, sample and hidden neuron that a gradient needs, at {steps} steps, {batch} samples, {hidden} neurons
and {inputs} inputs with {events} events a sample: so many neuron steps that the weights hardly count (all arguments
are {arguments:.2f} bytes in this unit, and not included). `XLA temp` is the most that the compiled gradient has
allocated at any moment, beyond arguments and results: what is kept from the forward for the backward pass (kernels:
one bit a neuron step = 0.125 bytes; voltages are computed again), and on top of it whatever is alive for a while only
(sums of the gradients of every block, traces of the readout). `peak` is what the resident size of the process grew by,
with compilation and the scratch arrays of the kernels. The layer alone has a loss of its spike counts only; the network
has a readout of 10 neurons, its maximum over time, a cross-entropy and both spike regularizers. The target is at least
3 times less than the reference, `lax.scan` over the time steps."""


def summary(results: dict[Point, dict]) -> None:
    """Add the least and the median of the times to every result, and how many calls they are of."""
    for result in results.values():
        if "wall" in result:
            result["calls"] = len(result["wall"])
            for clock in ("wall", "cpu"):
                result |= {f"{clock}_min": min(result[clock]), f"{clock}_median": median(result[clock])}


def of_series(line: Series, points: list[Point], results: dict[Point, dict], first: bool) -> dict:
    """The table of what grows, with one row for kernels and reference; the first one explains."""
    rows = []
    for point in points:
        if point.backend == "auto":
            rows.append(_row(point, results[point], results.get(point._replace(backend="reference"))))
    return {
        "title": f"{line.title} [ms, MB]",
        "about": "\n\n".join(([ABOUT] if first else []) + [_finding(line.name, points, results)]),
        "columns": COLUMNS,
        "rows": rows,
    }


def _row(point: Point, fused: dict, reference: dict | None) -> list:
    sizes = [point.events, point.steps, point.inputs, point.hidden, point.batch]
    if "error" in fused:
        return [*sizes, f"FAILED: {fused['error']}", *["-"] * 11]
    times = [f"{fused[key]:.1f}" for key in ("wall_min", "wall_median", "cpu_min")]
    memory = [_megabytes(fused["peak_bytes"]), _megabytes(fused["temp_bytes"])]
    row = [*sizes, f"{fused['spikes']:.0f}", *times, *memory]
    if reference is None or "error" in reference:
        return [*row, *["-"] * 6]
    return [
        *row,
        f"{reference['wall_min']:.0f}",
        f"{reference['cpu_min']:.0f}",
        _megabytes(reference["peak_bytes"]),
        _megabytes(reference["temp_bytes"]),
        f"{reference['cpu_min'] / fused['cpu_min']:.0f}",
        f"{reference['temp_bytes'] / fused['temp_bytes']:.0f}",
    ]


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.1f}" if count < 1e7 else f"{count / 1e6:.0f}"


def _finding(name: str, points: list[Point], results: dict[Point, dict]) -> str:
    """From the smallest to the largest size: what grew how many times."""
    said = []
    for backend, who in (("auto", "kernels"), ("reference", "reference")):
        done = [(getattr(p, name), results[p]) for p in points if p.backend == backend and "cpu_min" in results[p]]
        if len(done) > 1:
            (low, first), (high, last) = done[0], done[-1]
            said.append(f"{who} {last['cpu_min'] / first['cpu_min']:.1f} for {high / low:.3g} times the {name}")
    return f"CPU time grew by a factor of: {', '.join(said)}." if said else ""


def growth(lines: list[tuple[Series, list[Point]]], results: dict[Point, dict]) -> dict | None:
    """What one more of each costs the kernels: the difference of CPU time between two sizes."""
    rows = []
    for line, points in lines:
        done = [p for p in points if p.backend == "auto" and "cpu_min" in results[p]]
        if line.name == "events":  # above, one input fires many times; that is another regime
            done = [p for p in done if p.events <= p.inputs]
        if line.name in ("events", "steps", "inputs") and len(done) > 1:
            rows.append(_difference(line.name, done[0], done[-1], results))
    about = (
        "The difference of the least CPU times of two points of the tables above, by what differs between them. More "
        "inputs with the same events cost by the weight (their gradients are cleared and added up, and they lie in "
        "slower memory), whatever the number of steps; an algorithm that looks at every input at every step would pay "
        "ten times as much at 1000 steps as at 100."
    )
    columns = ("from", "to", "difference [ms]", "by", "ns")
    title = "What one more of each costs [CPU time]"
    return {"title": title, "about": about, "columns": columns, "rows": rows} if rows else None


def _difference(name: str, low: Point, high: Point, results: dict[Point, dict]) -> list:
    tiles, more = -(-low.hidden // 16), getattr(high, name) - getattr(low, name)
    count, unit = {
        "events": (low.batch * more * tiles, "event and tile of 16 neurons"),
        "steps": (low.batch * more * tiles, "time step, sample and tile"),
        "inputs": (low.hidden * more, "weight"),
    }[name]
    cost = results[high]["cpu_min"] - results[low]["cpu_min"]
    at = f"{getattr(low, name)} {name} ({low.steps} steps)" if name == "inputs" else f"{getattr(low, name)} {name}"
    return [at, getattr(high, name), f"{cost:.1f}", unit, f"{1e6 * cost / count:.1f}"]


def of_memory(points: list[Point], results: dict[Point, dict]) -> dict:
    """Bytes per neuron step of kernels and reference."""
    rows, arguments = [], 0.0
    for point in points:
        if point.backend == "reference":
            continue
        both = [results[p] for p in (point, point._replace(backend="reference"))]
        name = "layer, loss of counts" if point.scope == "layer" else "network of two layers"
        if failed := [result["error"] for result in both if "error" in result]:
            rows.append([name, f"FAILED: {failed[0]}", *["-"] * 5])
            continue
        arguments = max(arguments, both[0]["argument_bytes"] / point.neuron_steps)
        temp, peak = ([result[key] / point.neuron_steps for result in both] for key in ("temp_bytes", "peak_bytes"))
        numbers = [temp[0], peak[0], temp[1], peak[1]]
        rows.append([name, *(f"{x:.2f}" for x in numbers), f"{temp[1] / temp[0]:.0f}", f"{peak[1] / peak[0]:.0f}"])
    return {
        "title": "Memory of back-propagation through time [bytes per time step, sample and neuron]",
        "about": MEMORY_ABOUT.format(**points[0]._asdict(), arguments=arguments),
        "columns": MEMORY_COLUMNS,
        "rows": rows,
    }
