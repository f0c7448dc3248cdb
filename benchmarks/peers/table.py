"""From what was measured to a few numbers, and to a table."""

from statistics import median, quantiles

from benchmarks.machine import DISTURBED
from benchmarks.peers.tasks import Task

ENOUGH = 3  # undisturbed calls


def summarize(task: Task, records: dict[str, dict]) -> bool:
    """Add `values`, `median`, `min`, `quartiles`, `last_loss`, `spikes` and `ratio` to the records that have runs.

    Calls during which others used the machine do not count, provided that every contender has enough others: a quiet
    call of one must not be compared to a disturbed one of another. How many count is `len(values)`. `ratio` is to the
    first contender of the task: how many times as long it takes.

    Returns:
        Whether the disturbed calls had to count.
    """
    measured = [record for record in records.values() if record["runs"]]
    quiet = [[run for run in record["runs"] if (run["others"] or 0.0) <= DISTURBED] for record in measured]
    disturbed = any(
        len(runs) < min(ENOUGH, (len(record["runs"]) + 1) // 2) for record, runs in zip(measured, quiet, strict=True)
    )
    for record, undisturbed in zip(measured, quiet, strict=True):
        values = [task.value(run) for run in (record["runs"] if disturbed else undisturbed)]
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        record |= {"values": values, "median": median(values), "min": min(values), "quartiles": [low, high]}
        record |= {"last_loss": record["runs"][-1]["loss"], "spikes": record["runs"][-1]["spikes"]}
    base = records.get(next(iter(task.contenders)), {}).get("median")
    for record in measured if base else ():
        record["ratio"] = record["median"] / base
    return disturbed


COLUMNS = ("contender", "version", "median", "min", "quartiles", "calls", "ratio", "loss", "spikes", "start", "notes")


def rows(records: dict[str, dict]) -> list[tuple[str, ...]]:
    """The cells of a table with `COLUMNS`, the fastest first, those that failed last."""
    ordered = sorted(records.values(), key=lambda record: record.get("median", float("inf")))
    usual = next(iter(records.values())).get("python")
    return [_row(record, usual) for record in ordered]


def _row(record: dict, usual: str | None) -> tuple[str, ...]:
    name = record["label"], record["version"] or "-"
    if not record["runs"]:
        return (*name, *("-",) * 8, f"FAILED: {record['error']}")
    low, high = record["quartiles"]
    note = record["note"]
    if record.get("python") != usual:
        note += f"; Python {record['python']}"
    if record["error"]:
        note += f"; FAILED after {len(record['runs'])} rounds: {record['error']}"
    if not record["last_loss"] < record["first_loss"]:
        note += "; DOES NOT LEARN"
    return (
        *name,
        f"{record['median']:.1f}",
        f"{record['min']:.1f}",
        f"{low:.1f}-{high:.1f}",
        f"{len(record['values'])}/{len(record['runs'])}",
        f"{record['ratio']:.2f}" if "ratio" in record else "-",
        f"{record['first_loss']:.3f} to {record['last_loss']:.3f}",
        "-" if record["spikes"] is None else f"{record['spikes']:.0f}",
        f"{record['start_seconds']:.0f} s",
        note,
    )


def text(task: Task, records: dict[str, dict]) -> str:
    """The table for a terminal."""
    table = [COLUMNS, *rows(records)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join([f"{task.title} [{task.unit}]", *lines])


def busy(records: dict[str, dict], disturbed: bool) -> str:
    """A sentence about what else ran meanwhile; empty if the system does not tell."""
    shares = [run["others"] for record in records.values() for run in record["runs"] if run["others"] is not None]
    if not shares:
        return ""
    share = f"Other processes took {median(shares):.0%} of the machine meanwhile (median over all calls)"
    return f"{share}: DISTURBED, not to be relied on." if disturbed else f"{share}; disturbed calls do not count."
