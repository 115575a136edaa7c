"""Commands that analyse one data file: mediate, evaluate, demo."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxmed.analysis.evaluate import evaluate
from jaxmed.analysis.mediate import mediate
from jaxmed.analysis.methods import METHODS
from jaxmed.analysis.result import MediationResult
from jaxmed.cli.shared import message_arguments, progress, use_cache
from jaxmed.data import datasets
from jaxmed.data.atomic import atomic_write
from jaxmed.data.frames import FrameResult, from_frame_with_report
from jaxmed.data.readers import read_table
from jaxmed.reports import document, save
from jaxmed.reports.evaluation import save_evaluation, summary_of_evaluation

MAIN_PROTEINS = 50


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser of `jaxmed`."""
    run = commands.add_parser("mediate", help="one data file: estimates, tests, intervals, report")
    _data_arguments(run)
    _common_arguments(run)
    run.add_argument("--method", default="maxie,maxcor", help=f"comma list of {', '.join(METHODS)}")
    run.add_argument("--permutations", type=int, default=999, help="0 for none (default 999)")
    run.add_argument("--folds", type=int, default=5, help="of the cross-fitted effect, 0 for none")
    run.add_argument("--replicates", type=int, default=4000, help="of the exact-law bootstrap")
    run.add_argument("--no-figures", action="store_true", help="tables only")
    run.set_defaults(run=_mediate)

    split = commands.add_parser("evaluate", help="learn composites on one part, judge on the other")
    _data_arguments(split)
    _common_arguments(split)
    split.add_argument("--methods", default="maxie,maxcor,lasso_exposure,lasso_outcome")
    split.add_argument("--holdout", type=float, default=0.3, help="share of test rows")
    split.set_defaults(run=_evaluate)

    demo = commands.add_parser("demo", help="the bundled plasma proteome, p > n and p < n")
    _common_arguments(demo)
    demo.set_defaults(run=_demo)


def _data_arguments(parser: argparse.ArgumentParser) -> None:
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


def _common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", type=float, default=0.95, help="of intervals")
    parser.add_argument("--seed", type=int, default=0, help="recorded in the result")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the reports")
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep compiled programs here")
    message_arguments(parser)


def _prepare(options: argparse.Namespace) -> None:
    # float64 is the analyst's default: p-values and near-singular problems need it.
    jax.config.update("jax_enable_x64", options.precision == "float64")
    if options.cache is not None:
        use_cache(options.cache)


def _comma(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read(options: argparse.Namespace, say: Callable[[str], None]) -> FrameResult:
    say(f"reading {options.file}")
    contrast: Any = None
    if options.contrast is not None:
        contrast = _comma(options.contrast)
        if len(contrast) != 2:
            raise ValueError(f"--contrast takes REFERENCE,TREATED, not {options.contrast!r}")
    return from_frame_with_report(
        read_table(options.file),
        exposure=options.exposure,
        outcome=options.outcome,
        mediators=options.mediators,
        covariates=_comma(options.covariates),
        weights=options.weights,
        where=options.where,
        contrast=contrast,
        nan_policy=options.nan_policy,
    )


def _mediate(options: argparse.Namespace) -> None:
    _prepare(options)
    say = progress(options.quiet)
    data, source = _read(options, say)
    result = mediate(
        data,
        _comma(options.method),
        key=options.seed,
        level=options.level,
        standardise_mediators=options.standardise,
        permutations=options.permutations,
        folds=options.folds,
        replicates=options.replicates,
        source=source,
        progress=say,
    )
    print(result.summary())
    if options.out is not None:
        _write(result, options.out, say, figures=not options.no_figures)


def _write(
    result: MediationResult, directory: Path, say: Callable[[str], None], *, figures: bool = True
) -> None:
    say(f"writing {directory}")
    save.save(result.record, directory, figures=figures)
    print(f"\nReport: {directory / 'report.html'}")


def _evaluate(options: argparse.Namespace) -> None:
    _prepare(options)
    say = progress(options.quiet)
    data, _ = _read(options, say)
    result = evaluate(
        data,
        _comma(options.methods),
        key=options.seed,
        holdout=options.holdout,
        level=options.level,
        standardise_mediators=options.standardise,
        progress=say,
    )
    print(summary_of_evaluation(result.document))
    if options.out is not None:
        save_evaluation(result.document, options.out)
        print(f"\nTables: {options.out / 'evaluation.csv'}")


def _demo(options: argparse.Namespace) -> None:
    """The main job: age, 517 or 50 plasma proteins, and hospital-free days of COVID-19 patients."""
    _prepare(options)
    say = progress(options.quiet)
    frame = datasets.load("covid_plasma_proteome")
    features = datasets.features("covid_plasma_proteome")
    abundant = list(features["column"][features["abundance_rank"] <= MAIN_PROTEINS])
    out = options.out or Path("out")
    entries = []
    for name, title, mediators in (
        ("dual", "517 proteins, more than patients (dual)", "prot_*"),
        ("primal", "50 most abundant proteins (primal)", abundant),
    ):
        data, source = from_frame_with_report(
            frame,
            exposure="age",
            outcome="hospital_free_days_45",
            mediators=mediators,
            covariates=("male",),
            where="covid == 1",
        )
        say(title)
        result = mediate(data, key=options.seed, level=options.level, source=source, progress=say)
        print(f"\n{'=' * 100}\n{title}\n{'=' * 100}\n{result.summary()}")
        _write(result, out / name, say)
        entries.append((title, f"{name}/report.html", result.verdict()))
    index = out / "index.html"
    atomic_write(index, document.index_html(entries))
    print(f"\nBoth reports: {index}")
