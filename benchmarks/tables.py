"""Results as tables: printed, and written to a file that `benchmarks.report` reads.

A table is `{"title", "about", "columns", "rows"}`; its cells are strings or numbers.
"""

import datetime
import json
from pathlib import Path

from benchmarks import machine


def show(table: dict) -> None:
    """Print a table."""
    lines = [table["columns"], *table["rows"]]
    widths = [max(len(str(cell)) for cell in column) for column in zip(*lines, strict=True)]
    print(f"\n{table['title']}\n{table['about']}")
    for line in lines:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def write(path: Path, tables: list[dict], **raw) -> None:
    """Write tables and what they were made from, with the machine and the date."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result = {"machine": machine.describe(), "date": now, **raw, "tables": tables}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
