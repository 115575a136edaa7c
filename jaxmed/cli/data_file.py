"""Options on one data file, and the data that they describe."""

import argparse
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from jaxmed.budget import said
from jaxmed.cli.shared import message_arguments, use_cache
from jaxmed.data.basis_columns import RUNGS
from jaxmed.data.columns import Factor
from jaxmed.data.frame_columns import FrameColumns, columns_of
from jaxmed.data.frames import FrameResult, data_of, table_of
from jaxmed.data.levels import LevelsData, levels_of, levels_of_exposure
from jaxmed.data.readers import FileOptions
from jaxmed.data.roles import Roles, is_numeric
from jaxmed.data.selection import listed
from jaxmed.data.tables import Table
from jaxmed.parallel.processes import join

__all__ = [
    "basis_argument",
    "comma",
    "common_arguments",
    "count",
    "data_arguments",
    "file_options",
    "level_arguments",
    "open_file",
    "prepare",
    "read_columns",
    "read_data",
    "read_levels",
    "roles_of",
    "size",
]

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
FILES = ".csv .tsv .txt (also .gz .bz2 .xz .zst .zip), .xlsx, .parquet, .npz, .h5ad or .h5mu"
NAMES = "names in a list as in a csv: a name that holds a comma stands in double quotes"


def data_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file, and which of its columns and rows."""
    parser.add_argument("file", type=Path, help=FILES)
    parser.add_argument("--exposure", required=True, metavar="COL")
    parser.add_argument("--outcome", required=True, metavar="COL")
    parser.add_argument(
        "--mediators", required=True,
        help=f"glob, list, or @file with one column per line; {NAMES}",
    )  # fmt: skip
    parser.add_argument("--covariates", default="", metavar="COL,COL", help="list or @file")
    parser.add_argument("--weights", metavar="COL", help="case weights")
    parser.add_argument("--where", help="rows to keep, e.g. 'covid == 1 and age < 80'")
    parser.add_argument(
        "--contrast", metavar="REFERENCE,TREATED", help="two levels of the exposure, as 0 and 1"
    )
    parser.add_argument("--nan-policy", choices=("error", "drop"), default="error")
    parser.add_argument(
        "--standardise",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mediators to unit standard deviation (matters where p >= n-1-q)",
    )
    cells = parser.add_argument_group("what the cells of the file mean")
    cells.add_argument(
        "--factor", default="", metavar="COL,COL", help="numbers that are categories"
    )
    cells.add_argument(
        "--merge-rare", type=count, default=0, metavar="K",
        help="levels of categorical covariates with fewer rows than K are merged",
    )  # fmt: skip
    cells.add_argument(
        "--na", default="", metavar="TEXT,TEXT",
        help="texts that mean missing, beside empty cells, NA, NaN, NULL and their like",
    )  # fmt: skip
    cells.add_argument(
        "--decimal", choices=(".", ","), metavar="MARK",
        help="of numbers in text, . or , (default: found)",
    )  # fmt: skip
    cells.add_argument("--sep", metavar="CHAR", help="separator of a text file (default: found)")
    cells.add_argument("--encoding", help="of a text file, e.g. cp1252 (default: found)")
    cells.add_argument("--sheet", metavar="NAME", help="of a spreadsheet (default: the first)")
    cells.add_argument("--layer", metavar="NAME", help="of .h5ad: mediators from there, not X")
    cells.add_argument("--obsm", metavar="NAME", help="of .h5ad: mediators from there, not X")
    cells.add_argument("--var-names", metavar="COL", help="of .h5ad: names of mediators, in var")
    cells.add_argument(
        "--memory", type=size, metavar="SIZE",
        help="that a table may take, e.g. 2G (default: a quarter of this machine's); a larger one "
        "is read in blocks by `mediate` and refused elsewhere",
    )  # fmt: skip


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Level, seed, precision, where results go."""
    parser.add_argument("--level", type=float, default=0.95, help="of intervals")
    parser.add_argument("--seed", type=int, default=0, help="recorded in the result")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the reports")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep compiled programs here")
    message_arguments(parser)


def size(text: str) -> int:
    """Bytes of a text like 500M."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: 500M, 2G")
    try:
        return int(float(match[1]) * UNITS[match[2].upper()])
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"{text[:20]}... is no size") from error


def count(text: str) -> int:
    """A whole number, also as 1e4."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        raise argparse.ArgumentTypeError(f"{said(text)} is no whole number that can be meant")
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else int(value)


def prepare(options: argparse.Namespace) -> None:
    """Settings of JAX, and the peers of this process; before the first array."""
    # float64 is the analyst's default: p-values and near-singular problems need it.
    jax.config.update("jax_enable_x64", options.precision == "float64")
    if options.cache is not None:
        use_cache(options.cache)
    join()


def comma(text: str) -> tuple[str, ...]:
    """The parts of a comma list of names that hold no comma."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def file_options(options: argparse.Namespace) -> FileOptions:
    """How the file is to be read."""
    sep = {"tab": "\t", "\\t": "\t"}.get(options.sep, options.sep)
    return FileOptions(
        sep=sep, decimal=options.decimal, encoding=options.encoding, na=listed(options.na),
        factors=listed(options.factor), layer=options.layer, obsm=options.obsm,
        var_names=options.var_names, sheet=options.sheet,
        # 0 asks for blocks; what cannot be read in blocks has the default.
        memory=options.memory or None,
    )  # fmt: skip


def roles_of(options: argparse.Namespace) -> Roles:
    """Which columns and rows.

    Raises:
      ValueError: a contrast that is no pair.
    """
    contrast = None if options.contrast is None else listed(options.contrast)
    if contrast is not None and len(contrast) != 2:
        raise ValueError(f"--contrast takes REFERENCE,TREATED, not {options.contrast!r}")
    return Roles(
        options.exposure, options.outcome, options.mediators, options.covariates, options.weights,
        options.where, contrast, options.nan_policy, options.merge_rare,
    )  # fmt: skip


def basis_argument(parser: argparse.ArgumentParser) -> None:
    """What the covariates stand for."""
    parser.add_argument(
        "--basis", default="auto", choices=("auto", *RUNGS, "splines_all_products"),
        help="what the covariates stand for in every model (default auto: by the sizes)",
    )  # fmt: skip


def level_arguments(parser: argparse.ArgumentParser) -> None:
    """Of commands that compare several levels of an exposure."""
    parser.add_argument(
        "--levels", metavar="REFERENCE,LEVEL,...",
        help="of an exposure of several levels: those to compare with the first of them (default: "
        "all, in their order)",
    )  # fmt: skip


def read_levels(
    options: argparse.Namespace, table: Table, covariates: Sequence[str] | None = None
) -> LevelsData | None:
    """The exposure's levels against a reference; None where it has two values or is a number."""
    roles = roles_of(options)
    if covariates is not None:
        roles = dataclasses.replace(roles, covariates=tuple(covariates))
    if options.levels is not None:
        if roles.contrast is not None:
            raise ValueError("--levels and --contrast are two answers to one question: give one")
        return levels_of(table, listed(options.levels), roles)
    name = table.find(options.exposure, "exposure")
    raw = table.read(name)
    if roles.contrast is not None or raw.trouble or not isinstance(raw.values, Factor):
        return None
    if raw.values.declared and name not in table.cells.factors and is_numeric(raw.values):
        return None  # categories of numbers: numbers, unless asked for
    levels = levels_of_exposure(table, name, options.where)
    return levels_of(table, levels, roles) if len(levels) > 2 else None


def open_file(options: argparse.Namespace, say: Callable[[str], None]) -> Table:
    """The table of the file."""
    say(f"reading {options.file}")
    return table_of(options.file, options=file_options(options))


def read_data(options: argparse.Namespace, say: Callable[[str], None]) -> FrameResult:
    """The data of the options.

    Raises:
      ValueError: a contrast that is no pair, or whatever the data are refused for.
    """
    found, _ = read_columns(options, say)
    return FrameResult(data_of(found), found.report)


def read_columns(
    options: argparse.Namespace, say: Callable[[str], None]
) -> tuple[FrameColumns, Table]:
    """As `read_data`, with the positions of the rows in the table, and the table."""
    table = open_file(options, say)
    return columns_of(table, roles_of(options)), table
