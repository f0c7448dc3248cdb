"""From counts, rates and times to tables."""

from benchmarks.roofline.count import Phase, flops, overlapped

UNITS = {
    "multiply-add": (1e9, "10^9 vectors/s", "multiply-add of 16 float32, independent chains"),
    "vector": (1e9, "10^9 vectors/s", "multiply-adds and additions of 16 float32 side by side: any vector instruction"),
    "division": (1e9, "10^9 vectors/s", "division of 16 float32"),
    "load-add": (1e9, "10^9 vectors/s", "load and add a vector of 16 weights of a real sequence of input units"),
    "change": (1e9, "10^9 vectors/s", "load, add, store: the same for the gradient of the weights"),
    "neurons": (1e9, "10^9 tile steps/s", "LIF updates alone, four tiles side by side (for comparison, not used)"),
    "L2": (1e9, "GB/s", "copy, triad or read of 288 KB a core"),
    "L3": (1e9, "GB/s", "copy, triad or read of 6 MB a core"),
    "memory": (1e9, "GB/s", "copy, triad or read of 96 MB a core"),
    "gemm": (1e9, "Gflop/s", "NumPy's product of 768 x 768 matrices, one in each thread"),
    "gemm of the LSTM": (1e9, "Gflop/s", "the same of 256 x 100 by 100 x 400 (for comparison, not used)"),
}

RATES_ABOUT = """\
All {cores} cores at once, the best of {rounds} rounds that took turns with the training steps. A run is timed by the
CPU time of its threads, so that other processes do not make the machine look slow (what they take of caches and
bandwidth they do take). Of several loops for one thing the fastest counts. Weights and their gradients lie in L2."""

LIMIT_ABOUT = """\
{title}: batch {n.batch}, {n.steps} steps, {n.inputs}-{n.hidden}-{n.classes}; {counted}
Everything is counted that has to be done by any algorithm that computes these gradients to float32, at vectors of 16
lanes; where there are several ways the cheapest on this machine counts. Not counted: transposing, padding and adding
up partial sums, metrics, shuffling, the sorting of events (but for its bytes), scheduling. A phase takes the
longest of its parts, with perfect use of all cores; `limit` is the sum of the phases."""

COLUMNS = ("pass", "phase", "work", "how it is counted", "limit [ms]")
RESULT_COLUMNS = ("network", "clock", "measured [ms]", "/ limit", "/ overlapped", "/ arithmetic")
RESULT_ABOUT = """\
Limits: {limits}. `limit` runs one phase after the other. `overlapped` is stricter: within a pass (encode, forward,
backward, update) vector instructions, divisions, loads and bytes run side by side at no cost to each other.
`arithmetic` is the strictest: nothing but arithmetic at the measured peak of multiply-add, {peak:.0f} Gflop/s
({flops}; an instruction counts one flop a lane). Measured through `Trainer`, with selection of samples, encoding, Adam,
metrics and history: `median` of the calls of half a second in which other processes took at most 5 % of the machine,
if there were at least three, else of all ({calls}); `min` of all chunks of steps; `CPU time` is that of all threads,
divided by {cores} cores: what the clock would show if work were shared perfectly and nobody else ran (threads that
wait for others by spinning are in it). The target is at most 2.5 times the limit."""


def of_rates(rates: dict[str, float], rounds: int, cores: int) -> dict:
    """What the machine can do."""
    rows = [[name, f"{rates[name] / unit:.4g}", label, what] for name, (unit, label, what) in UNITS.items()]
    about = RATES_ABOUT.format(cores=cores, rounds=rounds)
    return {"title": "Rates of the machine", "about": about, "columns": ("rate", "", "unit", "what"), "rows": rows}


def total(phases: list[Phase], rates: dict[str, float]) -> float:
    """The limit in milliseconds."""
    return sum(phase.milliseconds(rates) for phase in phases)


def of_limit(title: str, sizes, counted: str, phases: list[Phase], rates: dict[str, float]) -> dict:
    """Phase by phase."""
    rows = [
        [
            phase.group,
            phase.name,
            ", ".join(f"{name}: {_amount(name, amount)}" for name, amount in phase.work.items()),
            phase.how,
            f"{phase.milliseconds(rates):.3f}",
        ]
        for phase in phases
    ]
    rows.append(["", "limit", "", "", f"{total(phases, rates):.3f}"])
    rows.append(["", "overlapped", "", "", f"{overlapped(phases, rates):.3f}"])
    rows.append(["", "arithmetic", f"{flops(phases) / 1e6:.0f} Mflop", "", f"{arithmetic(phases, rates):.3f}"])
    about = LIMIT_ABOUT.format(title=title, n=sizes, counted=counted)
    return {"title": f"{title}: the least it takes", "about": about, "columns": COLUMNS, "rows": rows}


def arithmetic(phases: list[Phase], rates: dict[str, float]) -> float:
    """Milliseconds at the peak of multiply-add."""
    return 1e3 * flops(phases) / peak(rates)


def peak(rates: dict[str, float]) -> float:
    """Flops a second; a matrix product can show more than our loop, and then it counts."""
    return max(2 * 16 * rates["multiply-add"], rates["gemm"])


def _amount(name: str, amount: float) -> str:
    if name in ("L2", "L3", "memory"):
        return f"{amount / 1e6:.2f} MB"
    return f"{amount / 1e6:.0f} Mflop" if name == "gemm" else f"{amount / 1e3:.0f}k"


def of_result(phases: dict[str, list[Phase]], rates: dict[str, float], measured: dict[str, dict], cores: int) -> dict:
    """Measured against limits."""
    rows, limits = [], {}
    for name, times in measured.items():
        limits[name] = [f(phases[name], rates) for f in (total, overlapped, arithmetic)]
        clocks = {"median": "median", "min": "min", "CPU time, median": "cpu_median", "CPU time, min": "cpu_min"}
        for clock, key in clocks.items():
            ratios = [f"{times[key] / limit:.1f}" for limit in limits[name]]
            rows.append([name, clock, f"{times[key]:.2f}", *ratios])
    said = "; ".join(f"{name} {a:.2f} ms, overlapped {b:.2f}, arithmetic {c:.2f}" for name, (a, b, c) in limits.items())
    calls = ", ".join(
        f"{name}: {r['quiet']} of {len(r['calls'])}, counted {r['counted']}" for name, r in measured.items()
    )
    work = ", ".join(f"{name} {flops(phases[name]) / 1e6:.0f} Mflop" for name in measured)
    about = RESULT_ABOUT.format(limits=said, peak=peak(rates) / 1e9, flops=work, calls=calls, cores=cores)
    return {"title": "Measured against the limit", "about": about, "columns": RESULT_COLUMNS, "rows": rows}
