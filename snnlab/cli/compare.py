"""`snnlab compare`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from snnlab.cli.terminal import width_of


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Print saved runs side by side: results, the settings and knobs that differ, and moves of knobs."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folders of checkpoints, as "snnlab train --resume DIR" and lab.resume(folder) fill them; of a run with branches,
    all of them are shown."""

    def run(self) -> int:
        """Read the runs and print them."""
        from snnlab.live import compare

        print(compare(*self.runs).text(width_of(sys.stdout) or sys.maxsize))
        return 0
