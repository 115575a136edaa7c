"""`jaxmed generative`: generators trained on one data file."""

import argparse

from jaxmed.analysis.generative import generative
from jaxmed.analysis.generative_result import GenerativeResult
from jaxmed.cli.data_file import open_file, prepare, read_levels, roles_of
from jaxmed.cli.shared import Say, progress, show_table
from jaxmed.data.data_report import DataReport
from jaxmed.data.frame_columns import columns_of
from jaxmed.data.frames import data_of
from jaxmed.data.mediation_data import MediationData
from jaxmed.gahmn import faithful, improved

__all__ = ["generative_command", "trained"]


def generative_command(options: argparse.Namespace) -> None:
    """Generators and their effects."""
    prepare(options)
    say = progress(options.quiet)
    table = open_file(options, say)
    levels = read_levels(options, table)
    if levels is not None:
        raise ValueError(
            f"the exposure {levels.exposure!r} has the levels {levels.reference}, "
            f"{', '.join(levels.levels)}: generators are trained for two at a time, chosen with "
            "--contrast REFERENCE,TREATED"
        )
    found = columns_of(table, roles_of(options))
    show_table(trained(options, data_of(found), found.report, say), options, say)


def trained(
    options: argparse.Namespace, data: MediationData, source: DataReport, say: Say
) -> GenerativeResult:
    """`generative` by the options of the command line."""
    config = (faithful if options.mode == "faithful" else improved)(
        noise=options.noise or "printed"
    )
    if options.steps is not None:
        config = config.with_steps(options.steps)
    folder = options.checkpoint
    if folder is None and options.out is not None:
        folder = options.out / "training"
    return generative(
        data,
        key=options.seed,
        config=config,
        n_seeds=options.trainings or 1,
        tuning=options.tuning or "given",
        checkpoint=folder,
        level=options.level,
        basis=options.basis,
        source=source,
        progress=say,
    )
