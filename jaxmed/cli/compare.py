"""`jaxmed compare`: many methods on one data file."""

import argparse
import dataclasses
import functools
from collections.abc import Sequence

from jaxmed.analysis.compare import compare
from jaxmed.analysis.comparison import Comparison
from jaxmed.analysis.levels import over_levels
from jaxmed.analysis.partial import Partial
from jaxmed.cli.data_file import open_file, prepare, read_levels, roles_of
from jaxmed.cli.parsers.arguments import comma
from jaxmed.cli.parsers.method_options import method_options
from jaxmed.cli.shared import kept_methods, progress, show_levels, show_table
from jaxmed.data.data_report import DataReport
from jaxmed.data.frame_columns import columns_of
from jaxmed.data.frames import data_of
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.selection import names_of

__all__ = ["compare_command"]


def compare_command(options: argparse.Namespace) -> None:
    """Effects of one data file by many methods."""
    prepare(options)
    say = progress(options.quiet)
    table = open_file(options, say)
    common = names_of(options.covariates, table.names)
    sets = [
        None if text is None else names_of(text, table.names)
        for text in (options.covariates_mediator, options.covariates_outcome)
    ]
    separate = any(wanted is not None for wanted in sets)
    mediator, outcome = (common if wanted is None else wanted for wanted in sets)
    columns = tuple(dict.fromkeys((*mediator, *outcome)) if separate else dict.fromkeys(common))

    def analysed(data: MediationData, source: DataReport, partial: Partial) -> Comparison:
        return compare(
            data,
            comma(options.methods),
            key=options.seed,
            options=method_options(options.options),
            bootstrap=options.bootstrap,
            level=options.level,
            basis=options.basis,
            compat=options.compat,
            covariates_mediator=_coded(mediator, source) if separate else None,
            covariates_outcome=_coded(outcome, source) if separate else None,
            standardise=options.standardise,
            checkpoint=partial,
            source=source,
            progress=say,
        )

    levels = read_levels(options, table, columns)
    with kept_methods(options, say) as partial:
        if levels is None:
            found = columns_of(table, dataclasses.replace(roles_of(options), covariates=columns))
            show_table(analysed(data_of(found), found.report, partial), options, say)
            return
        each = functools.partial(analysed, partial=partial)
        show_levels(over_levels(levels, each, basis=options.basis), options, say)


def _coded(names: Sequence[str], source: DataReport) -> tuple[str, ...]:
    """Covariates as they are in the data: a categorical one is its 0/1 columns."""
    return tuple(column for name in names for column in source.dummies.get(name, (name,)))
