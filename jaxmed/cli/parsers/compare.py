"""`jaxmed compare`."""

import argparse
from typing import Any, get_args

from jaxmed.cli.parsers.arguments import (
    at_run,
    basis_argument,
    check_resume,
    comma,
    common_arguments,
    count,
    data_arguments,
    level_arguments,
    resume_argument,
)
from jaxmed.cli.parsers.method_options import method_options, options_argument
from jaxmed.registry import METHODS, check_methods
from jaxmed.vocabulary import Compat

__all__ = ["add_command"]

DEFAULT = "ols,double_selection,hima,plsem"


def add_command(commands: Any) -> None:
    """Adds the command to the parser of `jaxmed`."""
    run = commands.add_parser(
        "compare", help="one data file: effects by many methods, side by side"
    )
    data_arguments(run)
    basis_argument(run)
    level_arguments(run)
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
        help=f"comma list of {', '.join(METHODS)} (default {DEFAULT})",
    )
    options_argument(run)
    run.add_argument(
        "--bootstrap",
        type=count,
        default=0,
        help="resamples, on each of which every method is repeated as a whole (default 0: none)",
    )
    run.add_argument(
        "--compat",
        choices=get_args(Compat),
        default="correct",
        help="r: what the released packages compute, defects included",
    )
    resume_argument(run)
    run.add_argument("--no-figures", action="store_true", help="tables only")
    run.set_defaults(run=at_run("compare.compare_command", _check))


def _check(options: argparse.Namespace) -> None:
    methods = comma(options.methods)
    check_methods(methods)
    check_resume(options)
    for name in method_options(options.options):
        if name not in methods:
            raise ValueError(f"--options {name}: no such method among --methods {options.methods}")
