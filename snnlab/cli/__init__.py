"""snnlab: watch spiking networks and LSTMs learn."""

import sys
from dataclasses import fields, replace
from pathlib import Path

import tyro

from snnlab.cli.compare import Compare
from snnlab.cli.exhibit import Exhibit
from snnlab.cli.export import Export
from snnlab.cli.notebooks import Gallery, Lab
from snnlab.cli.options import INTERRUPTED
from snnlab.cli.sweep import ACTIONS, Sweep
from snnlab.cli.terminal import say
from snnlab.cli.train import Train
from snnlab.errors import SnnlabError
from snnlab.support import arguments


def main(args: list[str] | None = None) -> int:
    """Run the command line; what snnlab or the system refuses is one line, without a traceback."""
    args = sys.argv[1:] if args is None else args
    if (
        args[:1] == ["sweep"] and args[1:2] and args[1] in ACTIONS
    ):  # a command of its own, which has none of its options
        command = tyro.extras.subcommand_cli_from_dict(ACTIONS, prog="snnlab sweep", args=args[1:])
    else:
        subcommands = {"train": Train, "sweep": Sweep, "export": Export, "exhibit": Exhibit, "compare": Compare}
        subcommands |= {"lab": Lab, "gallery": Gallery}
        command = tyro.extras.subcommand_cli_from_dict(subcommands, prog="snnlab", description=__doc__, args=args)
    try:
        return _at_home(command).run()
    except (SnnlabError, OSError) as error:
        say(f"snnlab: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED


def _at_home(command):
    """Return the command with `~` expanded in its paths; a shell leaves it alone in `--out=~/runs`."""
    given = {field.name: getattr(command, field.name) for field in fields(command)}
    return replace(
        command, **{name: arguments.path(name, value) for name, value in given.items() if isinstance(value, Path)}
    )
