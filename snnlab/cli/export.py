"""`snnlab export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlab.cli.options import check_folders, default_is, refuse_existing


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained network in another format: OUT ends in .nir or .safetensors.

    A NIR file is read again, and a certificate printed: what its reader must assume, and how well its spikes agree.
    """

    net: Annotated[Path, tyro.conf.Positional]
    """The network, as "snnlab train --out" and the dashboard write it."""
    out: Annotated[Path, tyro.conf.Positional]
    """The file to write."""
    method: Literal["euler", "exponential"] = "euler"
    """nir: how its reader steps; most do it by Euler."""
    reader_dt: Annotated[float | None, default_is("MS", "that of the network")] = None
    """nir: the time step of its reader [ms]; 0.1 for snnTorch."""
    unit_gain: bool = False
    """nir: let the weights take in all gains, for readers that know none (snnTorch)."""
    readout: Literal["li", "lif"] = "li"
    """nir: lif writes the readout as neurons that never fire, for readers without integrators (snnTorch, Norse)."""
    data: Annotated[str | None, default_is("NAME", "random spikes")] = None
    """nir: data set on whose first 256 test samples the spikes are compared."""
    overwrite: bool = False
    """Replace OUT if it exists."""

    def run(self) -> int:
        """Load, write, say what was written."""
        from snnlab import data, export
        from snnlab.support.arguments import choice

        ending = choice("OUT: its ending", self.out.suffix, export.FORMATS)
        refuse_existing(self.out, self.overwrite)
        check_folders(self.out.parent)
        net, about = export.load(self.net), export.load_metadata(self.net)
        if ending == ".nir":
            names = ("method", "reader_dt", "unit_gain", "readout", "overwrite")
            samples = None if self.data is None else data.load(self.data).x_test[:256]
            print(export.save_nir(net, self.out, samples=samples, **{name: getattr(self, name) for name in names}))
            return 0
        about = {"class_names": tuple(about.get("class_names", ())), "training": about.get("training")}
        print(f"wrote {export.save(net, self.out, **about, overwrite=self.overwrite)}")
        return 0
