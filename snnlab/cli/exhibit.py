"""`snnlab exhibit`."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlab.cli.options import check_folders, default_is, refuse_existing
from snnlab.support.interrupt import never_lost


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """Write a trained network as one page that plays it in any browser, without Python and offline.

    The page checks itself when it opens: it carries the checksum of the network's spikes for each sample.
    """

    net: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="NET")]
    """The network, as written by "snnlab train --out" or the dashboard."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """The page to write, such as net.html."""
    data: Annotated[str | None, default_is("NAME", "the data that it was trained on")] = None
    """Data set, or a file or folder of your own; the page carries some of its test samples."""
    samples: int = 20
    """How many."""
    title: Annotated[str | None, default_is("TEXT", "sizes and data")] = None
    """Title of the page."""
    licence: Annotated[str | None, default_is("TEXT", "not stated")] = None
    """Licence of the network and the samples."""
    bits: Annotated[Literal[8] | None, default_is("8", "the weights as they are")] = None
    """Weights of 8 bits: a smaller page, which says how many spikes differ."""
    overwrite: bool = False
    """Replace OUT if it exists."""

    @never_lost()
    def run(self) -> int:
        """Load the network, write the page, and print how far it is what Python computes."""
        from snnlab import data, export
        from snnlab.errors import ArgumentError
        from snnlab.export.exhibits import exhibit

        refuse_existing(self.out, self.overwrite)
        check_folders(self.out.parent)
        net, about = export.load(self.net), export.load_metadata(self.net)
        training = about.get("training") or {}
        name = self.data or training.get("data")
        if not isinstance(name, str):
            raise ArgumentError("--data: the file does not say which data it was trained on; name a data set")
        told = shlex.join(["snnlab", "exhibit", self.net.name, self.out.name, "--data", name])
        report = exhibit(
            net,
            self.out,
            data.load(name),
            count=self.samples,
            class_names=tuple(about.get("class_names", ())),
            training=training,
            title=self.title,
            licence=self.licence,
            command=told + (" --bits 8" if self.bits else ""),
            bits=self.bits,
            overwrite=self.overwrite,
        )
        print(report)
        return 0
