"""Coverage of the exact-law bootstrap intervals: the headline cells in full, then every weak cell.

Headline: 20,000 law data sets, 1000 bootstrap replicates, kA = kY = 1, c0 = .5. Table: the sizes of
the specification's section 5e and few mediators, percentile and basic, all three parts. The file is
rewritten after every cell, so that an interrupted run keeps what it has.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

HEADLINE = [(200, 20), (200, 80), (1000, 500)]
FEW = [(60, 2), (276, 2), (100, 5), (100, 10)]
SIZES = [*FEW, (60, 20), (200, 20), (200, 80), (1000, 500)]
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


def main(out: Path) -> None:
    import jax

    dtype = "float64"
    jax.config.update("jax_enable_x64", True)
    cells: list[dict] = []
    for n, p in HEADLINE:
        cells.append(cell(n, p, (1.0, 1.0, 0.5), data_sets=20_000, replicates=1000, dtype=dtype))
        save(cells, out, dtype)
    for n, p in SIZES:
        for strengths in STRENGTHS:
            cells.append(cell(n, p, strengths, data_sets=4000, replicates=400, dtype=dtype))
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
    from jaxmed.inference.bootstrap_intervals import interval_from_draws
    from jaxmed.inference.intervals import PARTS, bootstrap_estimates

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
    headline, table = cells[: len(HEADLINE)], cells[len(HEADLINE) :]
    goals = [
        goal(
            f"coverage, percentile, n={row['n']} p={row['p']}, distance from [.93, .96]",
            max(0.0, 0.93 - coverage(row), coverage(row) - 0.96),
            at_most=0.0,
            coverage=coverage(row),
        )
        for row in headline
    ]
    if table:
        worst = min(coverage(row, "total") for row in table)
        goals.append(goal("coverage of the total, weakest cell of the table", worst, at_least=0.92))
    many = [row for row in table if (row["n"], row["p"]) not in FEW]
    if many:
        worst = min(map(coverage, many))
        goals.append(goal("coverage, percentile, weakest cell with p >= 20", worst, at_least=0.86))
    write("law_calibration", goals, cells, out, dtype=dtype, cells_done=len(cells))


def coverage(row: dict, part: str = "concordant") -> float:
    """Of one part by the percentile interval."""
    return row[part]["coverage"]["percentile"]
