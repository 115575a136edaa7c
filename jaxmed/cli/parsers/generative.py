"""`jaxmed generative`, and the options it shares with the old way to call it."""

import argparse
from pathlib import Path
from typing import Any

from jaxmed.cli.parsers.arguments import (
    OldName,
    at_run,
    basis_argument,
    common_arguments,
    count,
    data_arguments,
)

__all__ = ["SETTINGS", "add_command", "old_arguments"]

# Option -> how it is read.
SETTINGS: dict[str, dict[str, Any]] = {
    "mode": {"choices": ("improved", "faithful"), "help": "how it is trained (default improved)"},
    "trainings": {"type": count, "help": "seeds (default 1)"},
    "noise": {
        "choices": ("printed", "location_scale"),
        "help": "of the mediators (default printed)",
    },
    "tuning": {
        "choices": ("given", "path"),
        "help": "path chooses the penalties by held-out rows (default given)",
    },
    "steps": {"type": count, "help": "of either block"},
}


def add_command(commands: Any) -> None:
    """Adds the command to the parser of `jaxmed`."""
    run = commands.add_parser(
        "generative", help="one data file: trained generators (GAHMN) and their effects"
    )
    data_arguments(run)
    basis_argument(run)
    common_arguments(run)
    for name, form in SETTINGS.items():
        run.add_argument(f"--{name}", **form)
    run.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="training goes on from there after an interruption (default OUT/training)",
    )
    run.add_argument("--no-figures", action="store_true", help="tables only")
    run.set_defaults(levels=None, run=at_run("generative.generative_command"))


def old_arguments(parser: argparse.ArgumentParser) -> None:
    """The same options where they were: out of the help, each with a warning."""
    for name, form in SETTINGS.items():
        given = {key: value for key, value in form.items() if key != "help"}
        parser.add_argument(f"--{name}", action=OldName, new=f"--{name}", **given)
    parser.add_argument("--penalty", action=OldName, new="--tuning", choices=("given", "path"))
