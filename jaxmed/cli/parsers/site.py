"""`jaxmed site` and its own commands."""

import argparse
from pathlib import Path
from typing import Any

from jaxmed.cli.parsers.arguments import (
    OldName,
    at_run,
    comma,
    common_arguments,
    count,
    data_arguments,
    message_arguments,
    no_cache_argument,
)
from jaxmed.registry import MOMENT_METHODS, check_moment_methods
from jaxmed.vocabulary import LEDGER_NAME

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Adds `site` and its own commands to the parser of `jaxmed`."""
    site = commands.add_parser("site", help="several sites, moments instead of rows")
    parts = site.add_subparsers(required=True, metavar="summarise|check|merge|mediate|second-round")

    run = parts.add_parser("summarise", help="at a site: the file that may be sent, or a refusal")
    _release_arguments(run)
    run.add_argument("--epsilon", type=float, help="with noise: privacy loss, e.g. 1")
    run.add_argument("--delta", type=float, help="with noise: below 1 / persons, e.g. 1e-6")
    run.add_argument(
        "--bounds", type=Path, metavar="FILE", help="with noise: column,centre,scale, all public"
    )
    run.add_argument("--clip", type=float, metavar="R", help="with noise: largest norm of a row")
    run.set_defaults(run=at_run("site.summarise_command"))

    check = parts.add_parser("check", help="what a site's file says, and whether it can be true")
    check.add_argument("summary", type=Path, metavar="FILE")
    _key_arguments(check)
    check.set_defaults(run=at_run("site.check_command"))

    merge = parts.add_parser("merge", help="files of the sites to one")
    merge.add_argument("files", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    merge.add_argument("--site-effects", action="store_true", help="an intercept for each site")
    merge.add_argument(
        "--covariates-by-site", action="store_true", help="intercept and slopes for each site"
    )
    _key_arguments(merge)
    merge.set_defaults(run=at_run("site.merge_command"))

    mediate = parts.add_parser("mediate", help="the analysis of the merged file")
    mediate.add_argument("merged", type=Path, metavar="FILE", help="written by `merge`")
    common_arguments(mediate)
    mediate.add_argument(
        "--composites", default="maxie,maxcor", help=f"comma list of {', '.join(MOMENT_METHODS)}"
    )
    mediate.add_argument("--method", action=OldName, new="--composites")
    mediate.add_argument("--replicates", type=count, default=2000, help="of the exact law")
    mediate.add_argument(
        "--standardise",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mediators to unit standard deviation",
    )
    mediate.add_argument(
        "--leave-one-out", type=Path, nargs="+", metavar="FILE", help="written by `second-round`"
    )
    mediate.add_argument(
        "--sites",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="with noise: the sites' files in the order merged, to widen the intervals",
    )
    mediate.add_argument("--no-figures", action="store_true", help="tables only")
    mediate.add_argument("--hmac-key", type=Path, metavar="FILE", help="refuse unsigned files")
    mediate.set_defaults(run=at_run("site.mediate_command", _check_methods))

    again = parts.add_parser("second-round", help="at a site: sums for the variance from the rows")
    _release_arguments(again)
    again.add_argument("--merged", type=Path, required=True, metavar="FILE", help="of `merge`")
    again.set_defaults(run=at_run("site.second_round_command"))


def _release_arguments(parser: argparse.ArgumentParser) -> None:
    data_arguments(parser)
    parser.add_argument("--site", required=True, metavar="NAME", help="label of this site")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--row-id", metavar="COL", help="identifies persons across releases")
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="FILE",
        help=f"of earlier releases; stays here (default {LEDGER_NAME} beside the data)",
    )
    parser.add_argument("--min-rows", type=int, default=20, help="at least 10 (default 20)")
    parser.add_argument("--max-ratio", type=float, default=0.33, help="columns per person")
    parser.add_argument("--min-cell", type=int, default=5, help="persons of the smallest class")
    parser.add_argument(
        "--max-share",
        type=float,
        help="of one person in a released sum (default 1 / min-cell, at most 0.5)",
    )
    _key_arguments(parser)


def _key_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hmac-key", type=Path, metavar="FILE", help="secret to sign and verify")
    no_cache_argument(parser)
    message_arguments(parser)


def _check_methods(options: argparse.Namespace) -> None:
    check_moment_methods(comma(options.composites))
