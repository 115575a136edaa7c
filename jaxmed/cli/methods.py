"""`jaxmed methods`: the registry as a table."""

import argparse

from jaxmed.analysis.methods import methods

__all__ = ["methods_command"]


def methods_command(options: argparse.Namespace) -> None:
    """Prints the table of `jaxmed.methods()`."""
    del options
    print(methods())
