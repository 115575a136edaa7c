"""Commands that analyse one data file: mediate, evaluate, demo."""

import argparse
from pathlib import Path

from jaxmed.analysis.comparison import MethodTable
from jaxmed.analysis.effects import effects
from jaxmed.analysis.evaluate import evaluate
from jaxmed.analysis.levels import over_levels
from jaxmed.analysis.mediate import mediate
from jaxmed.analysis.result import MediationResult
from jaxmed.cli.asked import asked_of
from jaxmed.cli.data_file import open_file, prepare, read_data, read_levels, roles_of
from jaxmed.cli.parsers.analyses import OLD_METHODS
from jaxmed.cli.parsers.arguments import comma
from jaxmed.cli.shared import Say, kept_methods, progress, show_levels, show_table
from jaxmed.cli.streamed import is_streamed, mediate_file
from jaxmed.data import datasets
from jaxmed.data.atomic import atomic_write
from jaxmed.data.data_report import DataReport
from jaxmed.data.frame_columns import columns_of
from jaxmed.data.frames import data_of, from_frame_with_report
from jaxmed.data.mediation_data import MediationData
from jaxmed.parallel.processes import this_process
from jaxmed.reports import save, text
from jaxmed.reports.evaluation import save_evaluation, summary_of_evaluation
from jaxmed.reports.index_page import index_entry, index_html

__all__ = ["demo_command", "evaluate_command", "mediate_command"]

MAIN_PROTEINS = 50


def mediate_command(options: argparse.Namespace) -> None:
    """Estimates, tests and intervals of one data file."""
    prepare(options)
    say = progress(options.quiet)
    if is_streamed(options):
        _streamed(options, say)
        return
    if this_process().count > 1:
        raise ValueError(
            f"{options.file} fits in memory, where several processes have nothing to share: run it "
            "without `jaxmed launch`, or have it read in blocks with --memory 0"
        )
    table = open_file(options, say)
    levels = read_levels(options, table)
    if levels is not None:
        if options.composites == "gahmn":
            raise ValueError(
                "generators are trained for two levels of the exposure at a time, chosen with "
                "--contrast REFERENCE,TREATED"
            )
        show_levels(
            over_levels(
                levels,
                lambda data, source: _analysed(options, data, source, say),
                basis=options.basis,
            ),
            options,
            say,
        )
        return
    found = columns_of(table, roles_of(options))
    result = _analysed(options, data_of(found), found.report, say)
    if isinstance(result, MediationResult):
        _show(result, options, say)
    else:
        show_table(result, options, say)


def _analysed(
    options: argparse.Namespace, data: MediationData, source: DataReport, say: Say
) -> MediationResult | MethodTable:
    if options.composites in OLD_METHODS:
        return _old(options, data, source, say)
    return mediate(data, **asked_of(options), source=source, progress=say)


def _old(
    options: argparse.Namespace, data: MediationData, source: DataReport, say: Say
) -> MethodTable:
    """What `--method effects` and `--method gahmn` gave."""
    if options.composites == "gahmn":
        # Imported here, because it brings flax and optax.
        from jaxmed.cli.generative import trained

        return trained(options, data, source, say)
    return effects(
        data,
        key=options.seed,
        level=options.level,
        basis=options.basis,
        assume=options.assume or "unknown",
        source=source,
        progress=say,
    )


def _show(result: MediationResult, options: argparse.Namespace, say: Say) -> None:
    print(result.summary())
    if options.out is not None:
        _write(result, options.out, say, figures=not options.no_figures)


def _streamed(options: argparse.Namespace, say: Say) -> None:
    """By blocks; of several processes the first one reports."""
    if options.composites in OLD_METHODS:
        raise ValueError("--method needs all rows here: raise --memory")
    result = mediate_file(options, say if this_process().index == 0 else lambda sentence: None)
    if result is not None:
        _show(result, options, say)


def _write(result: MediationResult, directory: Path, say: Say, *, figures: bool = True) -> None:
    say(f"writing {directory}")
    print(f"\n{text.files_written(save.save(result.record, directory, figures=figures))}")


def evaluate_command(options: argparse.Namespace) -> None:
    """Composites learned on one part of the rows and judged on the other."""
    prepare(options)
    say = progress(options.quiet)
    data, source = read_data(options, say)
    with kept_methods(options, say) as partial:
        result = evaluate(
            data,
            comma(options.methods),
            key=options.seed,
            holdout=options.holdout,
            level=options.level,
            basis=options.basis,
            standardise=options.standardise,
            checkpoint=partial,
            source=source,
            progress=say,
        )
        print(summary_of_evaluation(result.document))
        if options.out is not None:
            written = save_evaluation(result.document, options.out)
            print(f"\n{text.files_written(written)}")


def demo_command(options: argparse.Namespace) -> None:
    """The main job: age, 517 or 50 plasma proteins, and hospital-free days of COVID-19 patients."""
    prepare(options)
    say = progress(options.quiet)
    table = datasets.path("covid_plasma_proteome") / "data.csv.gz"
    features = datasets.features("covid_plasma_proteome")
    abundant = list(features["column"][features["abundance_rank"] <= MAIN_PROTEINS])
    out = options.out or Path("out")
    entries = []
    for name, title, mediators in (
        ("dual", "517 proteins, more than patients (dual)", "prot_*"),
        ("primal", "50 most abundant proteins (primal)", abundant),
    ):
        data, source = from_frame_with_report(
            table,
            exposure="age",
            outcome="hospital_free_days_45",
            mediators=mediators,
            covariates=("male",),
            where="covid == 1",
        )
        say(title)
        result = mediate(
            data,
            key=options.seed,
            level=options.level,
            labels=(features, "column", "gene"),
            source=source,
            progress=say,
        )
        print(f"\n{'=' * 100}\n{title}\n{'=' * 100}")
        print(result.summary())
        _write(result, out / name, say)
        entries.append(index_entry(result.record, title, f"{name}/report.html"))
    index = out / "index.html"
    atomic_write(index, index_html(entries))
    print(f"\nBoth reports: {index}")
