"""`snnlab export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlab.cli.options import check_folders, default_is, refuse_existing
from snnlab.support.interrupt import never_lost


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained network in another format; the ending of OUT, .nir or .safetensors, selects it.

    For NIR, the file is read back and a certificate is printed: what a reader must assume, and how well its spikes
    agree with the network's. Options that begin with "nir:" apply to NIR only.
    """

    net: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="NET")]
    """The network, as written by "snnlab train --out" or the dashboard."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """The file to write."""
    method: Literal["euler", "exponential"] = "euler"
    """nir: how the reader integrates; most use Euler steps."""
    reader_dt: Annotated[float | None, default_is("MS", "that of the network")] = None
    """nir: time step of the reader [ms]; 0.1 for snnTorch."""
    unit_gain: bool = False
    """nir: fold all gains into the weights, for readers that ignore gains (snnTorch)."""
    readout: Literal["li", "lif"] = "li"
    """nir: write the readout as leaky integrators (li), or as neurons that never fire (lif) for readers without
    integrators (snnTorch, Norse)."""
    data: Annotated[str | None, default_is("NAME", "random spikes")] = None
    """nir: data set; the spikes are compared on its first 256 test samples."""
    overwrite: bool = False
    """Replace OUT if it exists."""

    @never_lost()
    def run(self) -> int:
        """Load the network, write it, and print what was written."""
        from snnlab import data, export
        from snnlab.support.arguments import choice

        ending = choice("OUT: its ending", self.out.suffix, export.FORMATS)
        refuse_existing(self.out, self.overwrite)
        check_folders(self.out.parent)
        net, about = export.load(self.net), export.load_metadata(self.net)
        if ending == ".nir":
            certificate = export.save_nir(
                net,
                self.out,
                samples=None if self.data is None else data.load(self.data).x_test[:256],
                method=self.method,
                reader_dt=self.reader_dt,
                unit_gain=self.unit_gain,
                readout=self.readout,
                overwrite=self.overwrite,
            )
            print(certificate)
            return 0
        names, training = tuple(about.get("class_names", ())), about.get("training")
        written = export.save(net, self.out, class_names=names, training=training, overwrite=self.overwrite)
        print(f"wrote {written}")
        return 0
