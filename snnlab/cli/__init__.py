"""snnlab: watch spiking networks and LSTMs learn."""

import sys

import tyro

from snnlab.cli.export import Export
from snnlab.cli.notebooks import Gallery, Lab
from snnlab.cli.options import INTERRUPTED
from snnlab.cli.train import Train
from snnlab.errors import SnnlabError


def main(args: list[str] | None = None) -> int:
    """Run the command line; an error that snnlab raises on purpose is one line, without a traceback."""
    subcommands = {"train": Train, "export": Export, "lab": Lab, "gallery": Gallery}
    command = tyro.extras.subcommand_cli_from_dict(subcommands, prog="snnlab", description=__doc__, args=args)
    try:
        return command.run()
    except SnnlabError as error:
        print(f"snnlab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
