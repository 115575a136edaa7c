"""`jaxmed compare`: many methods on one data file."""

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from jaxmed.analysis.compare import compare
from jaxmed.analysis.field_methods import FIELD_METHODS
from jaxmed.cli.data_file import (
    comma,
    common_arguments,
    count,
    data_arguments,
    prepare,
    read_data,
)
from jaxmed.cli.shared import progress, show_table
from jaxmed.data.data_report import DataReport
from jaxmed.data.selection import listed
from jaxmed.estimators.parts.reference import Compat

__all__ = ["add_command"]

DEFAULT = "ols,double_selection,hima,plsem"


def add_command(commands: Any) -> None:
    """Adds the command to the parser of `jaxmed`."""
    run = commands.add_parser(
        "compare", help="one data file: effects by many methods, side by side"
    )
    data_arguments(run)
    # None: mediators are standardised but with --compat r.
    run.set_defaults(standardise=None)
    run.add_argument(
        "--covariates-mediator", metavar="COL,COL", help="of the mediator models, if others"
    )
    run.add_argument(
        "--covariates-outcome", metavar="COL,COL", help="of the outcome model, if others"
    )
    common_arguments(run)
    run.add_argument(
        "--methods",
        default=DEFAULT,
        help=f"comma list of {', '.join(FIELD_METHODS)} (default {DEFAULT})",
    )
    run.add_argument("--bootstrap", type=count, default=200, help="resamples, 0 for none")
    run.add_argument(
        "--compat",
        choices=get_args(Compat),
        default="correct",
        help="r: what the released packages compute, defects included",
    )
    run.add_argument("--no-figures", action="store_true", help="tables only")
    run.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    prepare(options)
    say = progress(options.quiet)
    common = listed(options.covariates)
    sets = [
        None if text is None else listed(text)
        for text in (options.covariates_mediator, options.covariates_outcome)
    ]
    separate = any(wanted is not None for wanted in sets)
    mediator, outcome = (common if wanted is None else wanted for wanted in sets)
    columns = dict.fromkeys((*mediator, *outcome)) if separate else dict.fromkeys(common)
    data, source = read_data(options, say, tuple(columns))
    result = compare(
        data,
        comma(options.methods),
        key=options.seed,
        bootstrap=options.bootstrap,
        level=options.level,
        compat=options.compat,
        covariates_mediator=_coded(mediator, source) if separate else None,
        covariates_outcome=_coded(outcome, source) if separate else None,
        standardise_mediators=options.standardise,
        source=source,
        progress=say,
    )
    show_table(result, options, say)


def _coded(names: Sequence[str], source: DataReport) -> tuple[str, ...]:
    """Covariates as they are in the data: a categorical one is its 0/1 columns."""
    return tuple(column for name in names for column in source.dummies.get(name, (name,)))
