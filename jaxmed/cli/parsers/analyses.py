"""`jaxmed mediate`, `evaluate` and `demo`."""

import argparse
from pathlib import Path
from typing import Any, get_args

from jaxmed.cli.parsers.arguments import (
    OldName,
    at_run,
    basis_argument,
    comma,
    common_arguments,
    count,
    data_arguments,
    level_arguments,
    stream_arguments,
)
from jaxmed.vocabulary import METHODS, Assume, Screened, check_methods

__all__ = ["GAHMN_SETTINGS", "add_commands"]

# Beside --checkpoint, which a file in blocks has, too.
GAHMN_SETTINGS = ("mode", "trainings", "noise", "tuning", "steps")
ALONE = {"effects", "gahmn"}


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser of `jaxmed`."""
    run = commands.add_parser("mediate", help="one data file: estimates, tests, intervals, report")
    data_arguments(run)
    basis_argument(run)
    level_arguments(run)
    common_arguments(run)
    run.add_argument(
        "--method",
        default="maxie,maxcor",
        help=f"effects, or gahmn, or comma list of {', '.join(METHODS)}",
    )
    run.add_argument(
        "--assume",
        choices=get_args(Assume),
        help="with --method effects: how many mediators matter (default unknown)",
    )
    run.add_argument(
        "--screened",
        choices=get_args(Screened),
        default="unknown",
        help="by what the mediators were chosen in these rows (default unknown)",
    )
    run.add_argument(
        "--mode", choices=("improved", "faithful"), help="with --method gahmn: how it is trained"
    )
    run.add_argument("--trainings", type=count, help="with --method gahmn: seeds (default 1)")
    run.add_argument(
        "--noise",
        choices=("printed", "location_scale"),
        help="with --method gahmn: noise of the mediators (default printed)",
    )
    tuning, of = run.add_mutually_exclusive_group(), ("given", "path")
    tuning.add_argument(
        "--tuning",
        choices=of,
        help="with --method gahmn: path chooses the penalties by held-out rows (default given)",
    )
    tuning.add_argument("--penalty", action=OldName, new="--tuning", choices=of)
    run.add_argument("--steps", type=count, help="with --method gahmn: of either block")
    run.add_argument(
        "--checkpoint",
        type=Path,
        metavar="PATH",
        help="long work goes on from there after an interruption: with --method gahmn a folder "
        "(default OUT/training), of a file in blocks a file .npz (default in OUT)",
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
    split.add_argument("--methods", default="maxie,maxcor,lasso_exposure,lasso_outcome")
    split.add_argument("--holdout", type=float, default=0.3, help="share of test rows")
    split.set_defaults(run=at_run("analyses.evaluate_command", _check_evaluate))

    demo = commands.add_parser("demo", help="the bundled plasma proteome, p > n and p < n")
    common_arguments(demo)
    demo.set_defaults(run=at_run("analyses.demo_command"))


def _check_mediate(options: argparse.Namespace) -> None:
    methods = comma(options.method)
    for name in GAHMN_SETTINGS:
        if getattr(options, name) is not None and methods != ("gahmn",):
            raise ValueError(f"--{name} goes with --method gahmn only")
    if options.assume is not None and methods != ("effects",):
        raise ValueError("--assume goes with --method effects only")
    if not ALONE & set(methods):  # `mediate` knows with what these can be combined
        check_methods(methods)


def _check_evaluate(options: argparse.Namespace) -> None:
    check_methods(comma(options.methods))
