"""`jaxmed mediate`, `evaluate` and `demo`."""

import argparse
from pathlib import Path
from typing import Any, get_args

from jaxmed.cli.parsers.arguments import (
    OldName,
    at_run,
    basis_argument,
    check_resume,
    comma,
    common_arguments,
    count,
    data_arguments,
    level_arguments,
    resume_argument,
    stream_arguments,
)
from jaxmed.cli.parsers.generative import SETTINGS as GENERATIVE
from jaxmed.cli.parsers.generative import old_arguments
from jaxmed.cli.parsers.method_options import method_options, options_argument
from jaxmed.registry import COMPOSITES, check_composites, check_methods
from jaxmed.vocabulary import Assume, Screened

__all__ = ["OLD_METHODS", "add_commands"]

OLD_METHODS = {"effects", "gahmn"}  # of --method, no composites


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser of `jaxmed`."""
    run = commands.add_parser("mediate", help="one data file: estimates, tests, intervals, report")
    data_arguments(run)
    basis_argument(run)
    level_arguments(run)
    common_arguments(run)
    run.add_argument(
        "--effects",
        default="auto",
        metavar="NAME,NAME",
        help="estimators of direct and indirect effect, the one of record first, of `jaxmed "
        "methods`; auto by the sizes of the data, none for none (default auto)",
    )
    run.add_argument(
        "--composites",
        default="maxie,maxcor",
        metavar="NAME,NAME",
        help=f"comma list of {', '.join(COMPOSITES)}",
    )
    run.add_argument("--method", action=OldName, new="--composites")
    run.add_argument(
        "--assume",
        choices=get_args(Assume),
        help="with --effects auto: how many mediators matter (default unknown)",
    )
    run.add_argument(
        "--labels",
        metavar="FILE[:NAMES,LABELS]",
        help="display names of mediators: a table whose first column has their names and whose "
        "column label the labels, or these two columns",
    )
    run.add_argument(
        "--screened",
        choices=get_args(Screened),
        default="unknown",
        help="by what the mediators were chosen in these rows (default unknown)",
    )
    options_argument(run)
    old_arguments(run)
    run.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE.npz",
        help="of a file in blocks: reading goes on from there after an interruption (default in "
        "OUT)",
    )
    stream_arguments(run)
    run.add_argument("--permutations", type=count, default=999, help="0 for none (default 999)")
    run.add_argument("--folds", type=int, default=5, help="of the cross-fitted effect, 0 for none")
    run.add_argument("--splits", type=count, default=10, help="of the rows into folds (default 10)")
    run.add_argument("--replicates", type=count, default=2000, help="of the exact law")
    run.add_argument("--no-figures", action="store_true", help="tables only")
    run.set_defaults(run=at_run("analyses.mediate_command", _check_mediate))

    split = commands.add_parser("evaluate", help="learn composites on one part, judge on the other")
    data_arguments(split)
    basis_argument(split)
    common_arguments(split)
    chosen = "maxie,maxcor,lasso_exposure,lasso_outcome"
    split.add_argument(
        "--methods",
        default=chosen,
        help=f"comma list of {', '.join(COMPOSITES)} (default {chosen})",
    )
    split.add_argument("--holdout", type=float, default=0.3, help="share of test rows")
    resume_argument(split)
    split.set_defaults(run=at_run("analyses.evaluate_command", _check_evaluate))

    demo = commands.add_parser("demo", help="the bundled plasma proteome, p > n and p < n")
    common_arguments(demo)
    demo.set_defaults(run=at_run("analyses.demo_command"))


def _check_mediate(options: argparse.Namespace) -> None:
    old = set(comma(options.composites)) & OLD_METHODS
    for name in GENERATIVE:
        if getattr(options, name, None) is not None and "gahmn" not in old:
            raise ValueError(f"--{name} is an option of `jaxmed generative`")
    if old:
        if len(comma(options.composites)) > 1:
            raise ValueError(f"{min(old)} stood alone in --method: see --effects")
        return
    check_composites(comma(options.composites))
    method_options(options.options)
    if options.effects not in ("auto", "none"):
        check_methods(comma(options.effects))
        if options.assume is not None:
            raise ValueError("--assume goes with --effects auto only: it chooses the estimator")


def _check_evaluate(options: argparse.Namespace) -> None:
    check_composites(comma(options.methods))
    check_resume(options)
