"""What was asked of `jaxmed mediate`, as the library takes it."""

import argparse
from pathlib import Path
from typing import Any

from jaxmed.cli.parsers.arguments import comma
from jaxmed.data.selection import listed

__all__ = ["effects_of", "labels_of"]


def effects_of(options: argparse.Namespace) -> Any:
    """Estimators of direct and indirect effect."""
    if options.effects == "auto":
        return "auto"
    return () if options.effects == "none" else comma(options.effects)


def labels_of(options: argparse.Namespace) -> Any:
    """A file of labels, with the columns of names and labels where they are named.

    Raises:
      ValueError: another number of columns than two.
    """
    if options.labels is None or Path(options.labels).exists():
        return options.labels
    file, colon, columns = options.labels.rpartition(":")
    if not colon:
        return options.labels
    pair = listed(columns)
    if len(pair) != 2:
        raise ValueError(f"--labels takes FILE or FILE:NAMES,LABELS, not {options.labels!r}")
    return (file, *pair)
