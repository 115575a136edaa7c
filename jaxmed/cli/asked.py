"""What was asked of `jaxmed mediate`, as the library takes it."""

import argparse
from pathlib import Path
from typing import Any

from jaxmed.cli.parsers.arguments import comma
from jaxmed.cli.parsers.method_options import method_options
from jaxmed.data.selection import listed

__all__ = ["asked_of"]

# Options that `mediate` takes as they are.
SAME = (
    "assume",
    "level",
    "basis",
    "standardise",
    "permutations",
    "folds",
    "splits",
    "replicates",
    "screened",
)


def asked_of(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `mediate`, for rows in memory and of blocks alike."""
    return {
        "key": options.seed,
        "effects": effects_of(options),
        "composites": comma(options.composites),
        "options": method_options(options.options),
        "labels": labels_of(options),
        **{name: getattr(options, name) for name in SAME},
    }


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
