"""Options on one data file, and the data that they describe."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence

import jax

from jaxmed.cli.programs import keep_programs, trace_quickly
from jaxmed.cli.shared import notice
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
    "file_options",
    "open_file",
    "prepare",
    "read_columns",
    "read_data",
    "read_levels",
    "roles_of",
]


def prepare(options: argparse.Namespace) -> None:
    """Settings of JAX, and the peers of this process; before the first array."""
    # float64 is the analyst's default: p-values and near-singular problems need it.
    jax.config.update("jax_enable_x64", options.precision == "float64")
    trace_quickly()
    keep_programs(notice(options.quiet), options.cache, wanted=not options.no_cache)
    join()


def file_options(options: argparse.Namespace) -> FileOptions:
    """How the file is to be read."""
    sep = {"tab": "\t", "\\t": "\t"}.get(options.sep, options.sep)
    return FileOptions(
        sep=sep,
        decimal=options.decimal,
        encoding=options.encoding,
        na=listed(options.na),
        factors=listed(options.factor),
        layer=options.layer,
        obsm=options.obsm,
        var_names=options.var_names,
        sheet=options.sheet,
        # 0 asks for blocks; what cannot be read in blocks has the default.
        memory=options.memory or None,
    )


def roles_of(options: argparse.Namespace) -> Roles:
    """Which columns and rows.

    Raises:
      ValueError: a contrast that is no pair.
    """
    contrast = None if options.contrast is None else listed(options.contrast)
    if contrast is not None and len(contrast) != 2:
        raise ValueError(f"--contrast takes REFERENCE,TREATED, not {options.contrast!r}")
    return Roles(
        options.exposure,
        options.outcome,
        options.mediators,
        options.covariates,
        options.weights,
        options.where,
        contrast,
        options.nan_policy,
        options.merge_rare,
    )


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
