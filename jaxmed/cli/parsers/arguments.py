"""Options that several commands share, and what their values mean."""

import argparse
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxmed.budget import said
from jaxmed.deprecations import warn
from jaxmed.vocabulary import BASES

__all__ = [
    "OldName",
    "at_run",
    "basis_argument",
    "check_resume",
    "comma",
    "common_arguments",
    "count",
    "data_arguments",
    "level_arguments",
    "message_arguments",
    "no_cache_argument",
    "resume_argument",
    "size",
    "stream_arguments",
]

Command = Callable[[argparse.Namespace], Any]

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
FILES = ".csv .tsv .txt (also .gz .bz2 .xz .zst .zip), .xlsx, .parquet, .npz, .h5ad or .h5mu"
NAMES = "names in a list as in a csv: a name that holds a comma stands in double quotes"


class OldName(argparse.Action):
    """An option under its old name, out of the help: kept as the new one, with a warning."""

    def __init__(self, option_strings: list[str], dest: str, *, new: str, **given: Any) -> None:
        """As any option, with the name that takes its place."""
        del dest
        super().__init__(option_strings, new.lstrip("-"), help=argparse.SUPPRESS, **given)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """See argparse."""
        setattr(namespace, self.dest, values)
        old = (*getattr(namespace, "old_names", ()), f"{parser.prog} {option_string}")
        namespace.old_names = old  # said by `at_run`, when warnings have their form


def data_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file, and which of its columns and rows."""
    parser.add_argument("file", type=Path, help=FILES)
    parser.add_argument("--exposure", required=True, metavar="COL")
    parser.add_argument("--outcome", required=True, metavar="COL")
    parser.add_argument(
        "--mediators",
        required=True,
        help=f"glob, list, or @file with one column per line; {NAMES}",
    )
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
        "--merge-rare",
        type=count,
        default=0,
        metavar="K",
        help="levels of categorical covariates with fewer rows than K are merged",
    )
    cells.add_argument(
        "--na",
        default="",
        metavar="TEXT,TEXT",
        help="texts that mean missing, beside empty cells, NA, NaN, NULL and their like",
    )
    cells.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="MARK",
        help="of numbers in text, . or , (default: found)",
    )
    cells.add_argument("--sep", metavar="CHAR", help="separator of a text file (default: found)")
    cells.add_argument("--encoding", help="of a text file, e.g. cp1252 (default: found)")
    cells.add_argument("--sheet", metavar="NAME", help="of a spreadsheet (default: the first)")
    cells.add_argument("--layer", metavar="NAME", help="of .h5ad: mediators from there, not X")
    cells.add_argument("--obsm", metavar="NAME", help="of .h5ad: mediators from there, not X")
    cells.add_argument("--var-names", metavar="COL", help="of .h5ad: names of mediators, in var")
    cells.add_argument(
        "--memory",
        type=size,
        metavar="SIZE",
        help="that a table may take, e.g. 2G (default: a quarter of this machine's); a larger one "
        "is read in blocks by `mediate` and refused elsewhere",
    )


def basis_argument(parser: argparse.ArgumentParser) -> None:
    """What the covariates stand for."""
    parser.add_argument(
        "--basis",
        default="auto",
        choices=BASES,
        help="what the covariates stand for in every model (default auto: by the sizes)",
    )


def level_arguments(parser: argparse.ArgumentParser) -> None:
    """Of commands that compare several levels of an exposure."""
    parser.add_argument(
        "--levels",
        metavar="REFERENCE,LEVEL,...",
        help="of an exposure of several levels: those to compare with the first of them (default: "
        "all, in their order)",
    )


def stream_arguments(parser: argparse.ArgumentParser) -> None:
    """When a file is read in blocks, and how."""
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="of a matrix .npy of mediators: the file with exposure, outcome and covariates",
    )
    parser.add_argument(
        "--products",
        choices=("float32", "float64"),
        help="of a file in blocks: precision of products (default: as stored); sums are float64",
    )
    parser.add_argument(
        "--block",
        type=size,
        metavar="SIZE",
        help="of a file in blocks: mediators read at once (default 64M)",
    )
    parser.add_argument(
        "--every",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="of a file in blocks: between two checkpoints (default 30)",
    )


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Level, seed, precision, where results go."""
    parser.add_argument("--level", type=float, default=0.95, help="of intervals")
    parser.add_argument("--seed", type=int, default=0, help="recorded in the result")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the reports")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep compiled programs here (default: in the cache folder of this user)",
    )
    no_cache_argument(where)
    message_arguments(parser)


def resume_argument(parser: argparse.ArgumentParser) -> None:
    """Of commands that keep every finished method in OUT until all are done."""
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from what an interrupted command with the same --out, data and settings left "
        "in OUT/partial; without it that is deleted",
    )


def check_resume(options: argparse.Namespace) -> None:
    """Refuses to resume where nothing was kept; raises ValueError."""
    if options.resume and options.out is None:
        raise ValueError("--resume goes on from the files of --out DIR: name it")


def no_cache_argument(parser: Any) -> None:
    """Whether compiled programs outlast the process."""
    parser.add_argument("--no-cache", action="store_true", help="keep no compiled programs")


def message_arguments(parser: argparse.ArgumentParser) -> None:
    """Options on what is told besides the result."""
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--traceback", action="store_true", help="full Python traceback on errors")


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


def comma(text: str) -> tuple[str, ...]:
    """The parts of a comma list of names that hold no comma."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def at_run(place: str, check: Command | None = None) -> Command:
    """What a command does, in a module that is imported when it runs: it brings JAX.

    Args:
      place: "module.function" of `jaxmed.cli`.
      check: refuses options of which no data are needed to see that they are wrong.
    """

    def run(options: argparse.Namespace) -> Any:
        for old in getattr(options, "old_names", ()):
            warn("flag", old)
        if check is not None:
            check(options)
        module, _, name = place.rpartition(".")
        return getattr(importlib.import_module(f"jaxmed.cli.{module}"), name)(options)

    return run
