"""Options on one data file, and the data that they describe."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxmed.cli.shared import message_arguments, use_cache
from jaxmed.data.frames import FrameColumns, FrameResult, columns_of, data_of
from jaxmed.data.readers import read_table
from jaxmed.data.tables import Table, as_table
from jaxmed.parallel.processes import join

__all__ = [
    "comma",
    "common_arguments",
    "data_arguments",
    "prepare",
    "read_columns",
    "read_data",
    "roles_of",
]


def data_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file, and which of its columns and rows."""
    parser.add_argument("file", type=Path, help=".csv, .csv.gz, .parquet, .npz or .h5ad")
    parser.add_argument("--exposure", required=True, metavar="COL")
    parser.add_argument("--outcome", required=True, metavar="COL")
    parser.add_argument(
        "--mediators", required=True, help="glob, comma list, or @file with one column per line"
    )
    parser.add_argument("--covariates", default="", metavar="COL,COL")
    parser.add_argument("--weights", metavar="COL", help="case weights")
    parser.add_argument("--where", help="rows to keep, e.g. 'covid == 1 and age < 80'")
    parser.add_argument("--contrast", metavar="REFERENCE,TREATED", help="of a categorical exposure")
    parser.add_argument("--nan-policy", choices=("error", "drop"), default="error")
    parser.add_argument(
        "--standardise",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mediators to unit standard deviation (matters where p >= n-1-q)",
    )


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Level, seed, precision, where results go."""
    parser.add_argument("--level", type=float, default=0.95, help="of intervals")
    parser.add_argument("--seed", type=int, default=0, help="recorded in the result")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the reports")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep compiled programs here")
    message_arguments(parser)


def prepare(options: argparse.Namespace) -> None:
    """Settings of JAX, and the peers of this process; before the first array."""
    # float64 is the analyst's default: p-values and near-singular problems need it.
    jax.config.update("jax_enable_x64", options.precision == "float64")
    if options.cache is not None:
        use_cache(options.cache)
    join()


def comma(text: str) -> tuple[str, ...]:
    """The parts of a comma list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def roles_of(options: argparse.Namespace) -> dict[str, Any]:
    """Which columns and rows, as `from_frame` and `stream` take them.

    Raises:
      ValueError: a contrast that is no pair.
    """
    contrast = None if options.contrast is None else comma(options.contrast)
    if contrast is not None and len(contrast) != 2:
        raise ValueError(f"--contrast takes REFERENCE,TREATED, not {options.contrast!r}")
    return {
        "exposure": options.exposure, "outcome": options.outcome, "mediators": options.mediators,
        "covariates": comma(options.covariates), "weights": options.weights,
        "where": options.where, "contrast": contrast, "nan_policy": options.nan_policy,
    }  # fmt: skip


def read_data(
    options: argparse.Namespace,
    say: Callable[[str], None],
    covariates: Sequence[str] | None = None,
) -> FrameResult:
    """The data of the options; `covariates` instead of theirs.

    Raises:
      ValueError: a contrast that is no pair, or whatever the data are refused for.
    """
    found, _ = read_columns(options, say, covariates)
    return FrameResult(data_of(found), found.report)


def read_columns(
    options: argparse.Namespace,
    say: Callable[[str], None],
    covariates: Sequence[str] | None = None,
) -> tuple[FrameColumns, Table]:
    """As `read_data`, with the positions of the rows in the table, and the table."""
    say(f"reading {options.file}")
    table = as_table(read_table(options.file))
    roles = roles_of(options)
    if covariates is not None:
        roles["covariates"] = tuple(covariates)
    return columns_of(table, **roles), table
