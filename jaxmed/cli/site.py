"""`jaxmed site`: analyses of several sites that send moments instead of rows."""

import argparse
import dataclasses

import jax
import numpy as np

from jaxmed.analysis.call import call_of
from jaxmed.analysis.inputs import parse_key
from jaxmed.analysis.moments import analyse_moments
from jaxmed.analysis.noisy_intervals import noisy_intervals
from jaxmed.analysis.site_round import robust_total_test
from jaxmed.cli.data_file import prepare, read_columns
from jaxmed.cli.parsers.arguments import comma
from jaxmed.cli.programs import keep_programs
from jaxmed.cli.shared import Say, notice, progress
from jaxmed.cli.site_release import identified, to_file
from jaxmed.data.frames import data_of
from jaxmed.federated.archive import read_key
from jaxmed.federated.bounds import read_bounds
from jaxmed.federated.merged import Merged, load_merged, merged_of, save_merged
from jaxmed.federated.noise import Noise, noise_for
from jaxmed.federated.release import column_names
from jaxmed.federated.second_round import load_sums, round_sums
from jaxmed.federated.storage import load_site
from jaxmed.federated.summary import SiteSummary, in_float64, summarise
from jaxmed.reports import save, text
from jaxmed.status import is_fatal

__all__ = [
    "check_command",
    "mediate_command",
    "merge_command",
    "second_round_command",
    "summarise_command",
]


def summarise_command(options: argparse.Namespace) -> None:
    """At a site: the file that may be sent, or a refusal."""
    say = _start(options)
    found, table = read_columns(options, say)
    rows = identified(options, found, table)
    data = data_of(found)
    noise = _noise(options, column_names(in_float64(data)))
    summary = summarise(
        data,
        site=options.site,
        min_rows=options.min_rows,
        max_ratio=options.max_ratio,
        min_cell=options.min_cell,
        max_share=options.max_share,
        noise=noise,
        persons=rows.persons,
    )
    released = to_file(options, summary, rows, _key(options))
    if released.finished:
        summary = load_site(options.out, key=_key(options))
    print("\n".join([*found.report.lines(), *_described(summary), f"Written: {options.out}"]))


def _noise(options: argparse.Namespace, columns: tuple[str, ...]) -> Noise | None:
    given = (options.epsilon, options.delta, options.bounds, options.clip)
    if all(value is None for value in given):
        return None
    if any(value is None for value in given):
        raise ValueError("noise needs all of --epsilon, --delta, --bounds and --clip")
    return noise_for(
        columns,
        read_bounds(options.bounds),
        epsilon=options.epsilon,
        delta=options.delta,
        clip=options.clip,
    )


def check_command(options: argparse.Namespace) -> None:
    """What the file of a site says, and whether it can be true."""
    _start(options)
    key = _key(options)
    summary = load_site(options.summary, key=key)
    signed = "signature verified" if key is not None else "signature not looked at (no --hmac-key)"
    mark = summary.ledger
    place = "in no ledger" if mark is None else f"release {mark.length} of ledger {mark.ledger}"
    print("\n".join([*_described(summary), f"sha256 {summary.digest}, {signed}", place]))


def _described(summary: SiteSummary) -> list[str]:
    moments, rules = summary.moments, summary.rules
    lines = [
        f"site {summary.site}: {float(moments.count):.0f} rows, {moments.num_mediators} mediators, "
        f"{moments.num_covariates} covariates",
        f"exposure {moments.names.exposure}, outcome {moments.names.outcome}",
        f"rules: {rules.min_rows} rows, {rules.max_ratio} columns per person, cells "
        f"of {rules.min_cell}, a person's share {rules.max_share:g}",
    ]
    if summary.noise is not None:
        noise = summary.noise
        lines.append(
            f"noise: epsilon {noise.epsilon:g}, delta {noise.delta:g}, rows cut to norm "
            f"{noise.clip:g}, sd {noise.sigma:.4g} (scaled units)"
        )
    return lines


def merge_command(options: argparse.Namespace) -> None:
    """Files of the sites to one."""
    say = _start(options)
    key = _key(options)
    say(f"reading {len(options.files)} files")
    summaries = [load_site(path, key=key) for path in options.files]
    merged = merged_of(
        summaries,
        site_effects=options.site_effects,
        covariates="by_site" if options.covariates_by_site else "shared",
    )
    save_merged(merged, options.out, key=key)
    print("\n".join([*merged.report.lines(), f"Written: {options.out}"]))


def mediate_command(options: argparse.Namespace) -> None:
    """The analysis of the merged file."""
    prepare(options)
    say = progress(options.quiet)
    key = _key(options)
    merged = load_merged(options.merged, key=key)
    noise = _noise_sentences(merged, options, key)
    test = None
    if options.leave_one_out is not None:
        test = robust_total_test(merged, [load_sums(p, key=key) for p in options.leave_one_out])
    call = call_of(
        key=options.seed,
        composites=comma(options.composites),
        level=options.level,
        standardise=options.standardise,
        replicates=options.replicates,
        source=merged.report,
        progress=say,
    )
    result = analyse_moments(
        merged.moments, call, robust=test, rows_dtype=np.dtype(merged.rows_dtype)
    )
    document = result.record.document
    document = document | {"warnings": [*document["warnings"], *noise]}
    record = dataclasses.replace(result.record, document=document)
    print(text.summary(record))
    if options.out is not None:
        say(f"writing {options.out}")
        written = save.save(record, options.out, figures=not options.no_figures)
        print(f"\n{text.files_written(written)}")


def _noise_sentences(merged: Merged, options: argparse.Namespace, key: bytes | None) -> list[str]:
    """Intervals that know of the noise in the moments, for the report; none without noise."""
    if not any(merged.noisy):
        return []
    if options.sites is None:
        raise ValueError(
            "these moments hold noise, of which no interval of the report knows: name the sites' "
            "files with --sites, and intervals that do are added"
        )
    summaries = [load_site(path, key=key) for path in options.sites]
    if tuple(s.digest for s in summaries) != merged.digests:
        raise ValueError("--sites are not the files that were merged, in their order")
    found = noisy_intervals(
        parse_key(options.seed)[1],
        summaries,
        site_effects=merged.design.site_effects,
        covariates="by_site" if merged.design.by_site else "shared",
        level=options.level,
        replicates=options.replicates,
    )
    if is_fatal(found.status):
        raise ValueError(found.sentence)
    first = "Tests and intervals of this report do not know of the noise in the moments"
    return [first, *found.lines(options.level)]


def second_round_command(options: argparse.Namespace) -> None:
    """At a site: sums for the variance from the rows."""
    say = _start(options)
    key = _key(options)
    merged = load_merged(options.merged, key=key)
    found, table = read_columns(options, say)
    rows = identified(options, found, table)
    sums = round_sums(
        data_of(found),
        merged,
        site=options.site,
        min_rows=options.min_rows,
        max_ratio=options.max_ratio,
        min_cell=options.min_cell,
        max_share=options.max_share,
        persons=rows.persons,
    )
    if to_file(options, sums, rows, key).finished:
        sums = load_sums(options.out, key=key)
    print(f"two sums over {sums.count} rows\nWritten: {options.out}")


def _start(options: argparse.Namespace) -> Say:
    # Sums of a site are in float64 whatever the file holds.
    jax.config.update("jax_enable_x64", True)
    keep_programs(notice(options.quiet), wanted=not options.no_cache)
    return progress(options.quiet)


def _key(options: argparse.Namespace) -> bytes | None:
    return None if options.hmac_key is None else read_key(options.hmac_key)
