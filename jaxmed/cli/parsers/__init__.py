"""Commands and their options: no module here, nor what it imports, brings JAX."""

import argparse

from jaxmed.cli.parsers import analyses, compare, generative, launch, methods, site, study

__all__ = ["make_parser"]


def make_parser() -> argparse.ArgumentParser:
    """The parser of `jaxmed` with all its commands; options of a command hold `run`."""
    parser = argparse.ArgumentParser(
        prog="jaxmed", description="High-dimensional mediation analysis.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    analyses.add_commands(commands)
    compare.add_command(commands)
    generative.add_command(commands)
    methods.add_command(commands)
    study.add_command(commands)
    site.add_command(commands)
    launch.add_command(commands)
    return parser
