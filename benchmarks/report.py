"""`python -m benchmarks.report`: write `benchmarks/BENCHMARKS.md` from what is in `benchmarks/results/`.

Reads `peers.json` of `python -m benchmarks.peers`, and `accuracy.json`, `memory.json`, `scaling.json`, `roofline.json`,
`launches.json`, `gpu.json`, `live.json`, `rewind.json` and `study.json` if they are there: objects with "machine" (see
`benchmarks.machine`), "date" and "tables", a list of `{"title", "about", "columns", "rows"}` whose cells are strings or
numbers. Measures nothing.
"""

import json
import sys
from pathlib import Path

from benchmarks.bars import Bar, Panel, chart
from benchmarks.peers import table

HERE = Path(__file__).parent
RESULTS = HERE / "results"
OTHERS = {
    "accuracy": "What the networks reach",
    "memory": "What adapting thresholds remember",
    "scaling": "How time and memory grow",
    "roofline": "How far from what the machine could do",
    "launches": "What a GPU would have to launch",
    "gpu": "Training on a GPU",
    "live": "What watching costs",
    "rewind": "What going back costs",
    "study": "How quickly a study fills",
}

METHOD = """\
Every contender runs in a process of its own, and only one computes at a time: they take turns, round by round, in an
order that moves on by one each round. A call is a fixed number of steps (of snnlab as many as fit in half a second, if
those are more), and the clock stops when all of them are computed. The first step (with compilation) and one more call
are not counted. Before a call the machine is given a few seconds to fall quiet; calls during which other processes took
more than 5 % of it do not count (`calls`: those that count, of all), unless that leaves a contender fewer than three,
which is said under the table. `ratio` is to the median of snnlab. `loss` is that of the first and the last step,
`spikes` are those of the hidden layer per sample at the end: both tell that it truly trains; they are no comparison,
since the peers see the same four batches again and again, and snnlab takes more steps. `start` is the time from
starting the process to the first step: imports, data, compilation.

The spiking networks are equal up to what the notes say: sizes, time constants, threshold, loss, optimizer and initial
weights. The neurons are the peers' own. The products and convolutions between them are PyTorch's and XLA's, as the
peers' layers call them. Every peer is written layer by layer, so that each matrix is one product over all time steps,
except between neurons that reach each other; only BrainPy's `BPTT` runs its tutorial's network as it is. Their input in
the latency code is zero in 99.6 % of all places, and is multiplied all the same: the row with an `EmbeddingBag` shows
what PyTorch gains by leaving that out. What the host of a virtual machine does besides is not seen here: compare rows
of one run, not of two."""


def peers(result: dict) -> str:
    """The section of `peers.json`; draws its plot."""
    steps = {key: task for key, task in result["tasks"].items() if task["unit"] == "ms/step"}
    panels = [Panel(f"{task['title']} [{task['unit']}]", _bars(task)) for task in steps.values()]
    panels = [panel for panel in panels if panel.bars]
    parts = ["## snnlab and its peers", _where(result), METHOD, _summary(steps)]
    if panels:
        (RESULTS / "peers.svg").write_text(chart(panels, "ms/step, logarithmic"), encoding="utf-8")
        parts.append("![Milliseconds a training step, on a logarithmic axis](results/peers.svg)")
    for task in result["tasks"].values():
        rows = table.rows(task["contenders"])
        measured = f"{task['rounds']} calls of {task['steps']} steps."
        parts += [f"### {task['title']} [{task['unit']}]", f"{task['about']} {measured}"]
        parts += [_table(table.COLUMNS, rows), task["busy"]]
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items() if version)
    return "\n\n".join([*parts, f"Versions: {packages}."])


def _summary(tasks: dict[str, dict]) -> str:
    """The fastest peer of every task, and how many times as long it takes."""
    rows = []
    for task in tasks.values():
        done = [record for record in task["contenders"].values() if record["runs"]]
        ours = [record for record in done if record["label"] == "snnlab"]
        peers = [record for record in done if record["package"] != "snnlab"]
        if ours and peers:
            own, best = ours[0]["median"], min(peers, key=lambda record: record["median"])
            fastest = f"{best['median']:.1f} ms ({best['label']})"
            rows.append((task["title"], f"{own:.1f} ms", fastest, f"{best['median'] / own:.1f}"))
    return _table(("task", "snnlab", "fastest peer", "ratio"), rows)


def _bars(task: dict) -> list[Bar]:
    done = [(name, record) for name, record in task["contenders"].items() if record["runs"]]
    done.sort(key=lambda item: item[1]["median"])
    return [
        Bar(
            label=record["label"],
            value=record["median"],
            note=f"{record['median']:.1f} ms"
            + (f", {record['ratio']:.1f} x" if record.get("ratio", 1.0) != 1.0 else ""),
            ours=name.startswith("snnlab"),
        )
        for name, record in done
    ]


def tables(name: str, result: dict) -> str:
    """The section of a file of tables."""
    where = _where(result)
    if name == "launches":
        where = where.replace("Measured", "Compiled", 1)
    parts = [f"## {OTHERS[name]}", f"{where} By `python -m benchmarks.{name}`."]
    for part in result["tables"]:
        parts += [f"### {part['title']}", part["about"], _table(part["columns"], part["rows"])]
    return "\n\n".join(parts)


def _where(result: dict) -> str:
    machine = result["machine"]
    return (
        f"Measured on {result['date'][:10]}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}."
    )


def _table(columns, rows) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Read, write."""
    sections = []
    for name in ("peers", *OTHERS):
        path = RESULTS / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            sections.append(peers(result) if name == "peers" else tables(name, result))
    if not sections:
        print(f"{RESULTS} has no results yet: run `python -m benchmarks.peers` first", file=sys.stderr)
        sys.exit(2)
    head = "# Benchmarks\n\nWritten by `python -m benchmarks.report`; do not edit."
    (HERE / "BENCHMARKS.md").write_text("\n\n".join([head, *sections]) + "\n", encoding="utf-8")
    print(f"written: {HERE / 'BENCHMARKS.md'}")


if __name__ == "__main__":
    main()
