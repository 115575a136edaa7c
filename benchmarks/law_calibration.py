"""Coverage of the exact-law bootstrap intervals: the headline cells in full, then every weak cell.

Headline: 20,000 law data sets, 1000 bootstrap replicates, kA = kY = 1, c0 = .5. Table: the whole of
the specification's section 5e (1500 data sets and 400 replicates there, more here) for the
concordant part, percentile and basic, with the two other parts beside it. The file is rewritten
after every cell, so that an interrupted run keeps what it has.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

HEADLINE = [(200, 20), (200, 80), (1000, 500)]
SIZES = [(60, 20), (200, 20), (200, 80), (1000, 500)]
STRENGTHS = [
    (1.0, 1.0, 0.5),
    (1.0, 1.0, 0.0),
    (1.0, 1.0, 1.0),
    (0.3, 0.3, 0.5),
    (0.2, 0.2, 1.0),
    (0.1, 1.0, 0.5),
    (1.0, 0.1, 0.5),
    (0.0, 1.0, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 0.0, 0.0),
]
# Percentile / basic coverage of the concordant part, as the specification prints it.
PRINTED = {
    (60, 20): ".925/.933 .936/.937 .905/.934 .998/.885 .998/.939 "
    ".984/.881 .973/.891 .965/.937 .943/.916 .995/.970",
    (200, 20): ".945/.935 .935/.931 .943/.945 .895/.857 .883/.746 "
    ".983/.735 .985/.761 .947/.895 .949/.889 .998/.986",
    (200, 80): ".943/.943 .940/.937 .913/.932 .994/.843 .995/.905 "
    ".981/.779 .977/.835 .927/.841 .923/.853 .995/.965",
    (1000, 500): ".941/.943 .956/.960 .911/.943 .911/.886 .969/.833 "
    ".978/.563 .973/.669 .919/.789 .903/.779 .995/.957",
}
PRINTED_DATA_SETS = 1500


def main(out: Path) -> None:
    import jax

    dtype = "float64"
    jax.config.update("jax_enable_x64", True)
    cells: list[dict] = []
    for n, p in HEADLINE:
        cells.append(cell(n, p, (1.0, 1.0, 0.5), data_sets=20_000, replicates=1000, dtype=dtype))
        save(cells, out, dtype)
    for n, p in SIZES:
        printed = PRINTED[n, p].split()
        for strengths, text in zip(STRENGTHS, printed, strict=True):
            row = cell(n, p, strengths, data_sets=4000, replicates=400, dtype=dtype)
            row["printed"] = dict(
                zip(("percentile", "basic"), map(float, text.split("/")), strict=True)
            )
            cells.append(row)
            save(cells, out, dtype)


def cell(
    n: int,
    p: int,
    strengths: tuple[float, float, float],
    *,
    data_sets: int,
    replicates: int,
    dtype: str,
) -> dict:
    """Coverage of both kinds of 95% interval for the three parts, in one configuration."""
    import jax
    import jax.numpy as jnp

    from jaxmed.distributions.exact_law import law

    start = time.perf_counter()
    k_a, k_y, cosine = (jnp.asarray(value, dtype) for value in strengths)
    population = law(k_a, k_y, cosine, exposure_ss=float(n), residual_df=n - 2, num_mediators=p)
    key = jax.random.fold_in(jax.random.key(n), p)
    outcome = program(data_sets, replicates)(key, population)
    concordant, suppression = population.maximal_indirect
    truths = {
        "concordant": concordant,
        "suppression": suppression,
        "total": population.total_indirect,
    }
    row: dict = {
        "n": n,
        "p": p,
        "kA": strengths[0],
        "kY": strengths[1],
        "c0": strengths[2],
        "data_sets": data_sets,
        "replicates": replicates,
    }
    for part, truth in truths.items():
        estimate, intervals = outcome[part]
        row[part] = {
            "truth": float(truth),
            "mean_estimate": float(np.mean(estimate)),
            "coverage": {
                method: float(np.mean((low <= truth) & (truth <= high)))
                for method, (low, high) in intervals.items()
            },
        }
    row["standard_error_at_95"] = float(np.sqrt(0.95 * 0.05 / data_sets))
    row["seconds"] = time.perf_counter() - start
    return row


PROGRAMS: dict = {}


def program(data_sets: int, replicates: int):
    """key, law -> {part: (estimates, {method: (lower, upper)})}; compiled once per size."""
    import jax

    from jaxmed.distributions.exact_law import sample_quadratics
    from jaxmed.inference.intervals import PARTS, bootstrap_estimates, interval_from_draws

    def one(args):
        key, quadratics = args
        draws = bootstrap_estimates(key, quadratics, replicates)
        answer = {}
        for part in PARTS:
            results = {
                method: interval_from_draws(quadratics, draws, part=part, method=method)
                for method in ("percentile", "basic")
            }
            limits = {m: (r.interval.lower, r.interval.upper) for m, r in results.items()}
            answer[part] = results["basic"].estimate, limits
        return answer

    def run(key, population):
        key_data, key_boot = jax.random.split(key)
        draws = sample_quadratics(key_data, population, data_sets)
        return jax.lax.map(one, (jax.random.split(key_boot, data_sets), draws))

    if (data_sets, replicates) not in PROGRAMS:
        PROGRAMS[data_sets, replicates] = jax.jit(run)
    return PROGRAMS[data_sets, replicates]


def save(cells: list[dict], out: Path, dtype: str) -> None:
    headline = [row for row in cells if "printed" not in row]
    goals = [
        goal(
            f"coverage, percentile, n={row['n']} p={row['p']}, distance from [.93, .96]",
            max(0.0, 0.93 - coverage(row), coverage(row) - 0.96),
            at_most=0.0,
            coverage=coverage(row),
        )
        for row in headline
    ]
    table = [row for row in cells if "printed" in row]
    if table:
        worst = min(map(coverage, table))
        goals.append(goal("coverage, percentile, weakest cell of the table", worst, at_least=0.87))
        z = max(map(distance, table))
        goals.append(goal("table against its printed values, largest |z|", z, at_most=5.0))
    write("law_calibration", goals, cells, out, dtype=dtype, cells_done=len(cells))


def coverage(row: dict) -> float:
    """Of the concordant part by the percentile interval."""
    return row["concordant"]["coverage"]["percentile"]


def distance(row: dict) -> float:
    """Largest |z| between our coverage and the printed one, both simulated."""
    scores = []
    for method, printed in row["printed"].items():
        rate = (row["concordant"]["coverage"][method] + printed) / 2
        variance = rate * (1 - rate) * (1 / row["data_sets"] + 1 / PRINTED_DATA_SETS)
        scores.append(abs(row["concordant"]["coverage"][method] - printed) / np.sqrt(variance))
    return float(max(scores))
