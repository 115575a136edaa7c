"""The dual total test: size, power and coverage, beside the figures of its specification.

Three designs (rows, mediators, AR(rho) among them) with nine cells each: exposure and errors are
standard normal, mediators are alpha A + E, Y = .3 A + M beta + e. Effects are normal with mean 0,
p Var(alpha) = 1 and p Var(beta) = 4 (weak: a quarter of both), of correlation .3, .6, 1 where they
are aligned. 1,000 data sets a cell for REML, estimate and coverage (the ratio refuses nothing
here), the first 250 of them with 199 permutations for the p-value. Coverage is of the sum of
alpha_j beta_j and of its expectation. Then effects of one sign on every second mediator, where the
test must fail, and the bundled proteome: exposure permuted, outcome permuted, five random effects.
The file is rewritten after every cell. DUAL_TOTAL="cells,signs,proteome" chooses.
"""

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

DESIGNS = [(100, 200, 0.0), (100, 200, 0.75), (200, 400, 0.75)]
DATA_SETS, JUDGED, PERMUTATIONS = 1000, 250, 199
EXPOSURE, OUTCOME = 1.0, 2.0  # roots of p Var(alpha), p Var(beta)
# kA, kY, correlation of the effects, and which effects are 0.
CELLS = {
    "both null": (0.0, 0.0, 0.0, ""),
    "b null": (EXPOSURE, 0.0, 0.0, ""),
    "a null": (0.0, OUTCOME, 0.0, ""),
    "a null, 5 effects": (0.0, OUTCOME, 0.0, "five"),
    "both active, independent": (EXPOSURE, OUTCOME, 0.0, ""),
    "both active, disjoint": (EXPOSURE, OUTCOME, 0.0, "disjoint"),
    "aligned .3": (EXPOSURE, OUTCOME, 0.3, ""),
    "aligned .6": (EXPOSURE, OUTCOME, 0.6, ""),
    "weak, aligned 1": (EXPOSURE / 2, OUTCOME / 2, 1.0, ""),
}
NULLS = list(CELLS)[:6]
# REML rejection, cosine rejection, coverage, mean estimate (truth) of the specification.
PRINTED = {
    "both null": [(0.044, 0.038, 0.958), (0.048, 0.056, 0.958), (0.045, 0.057, 0.955)],
    "b null": [(0.048, 0.048, 0.958), (0.050, 0.053, 0.954), (0.038, 0.049, 0.963)],
    "a null": [(0.059, 0.018, 0.946), (0.060, 0.019, 0.945), (0.040, 0.011, 0.961)],
    "a null, 5 effects": [(0.070, 0.018, 0.933), (0.063, 0.016, 0.942), (0.048, 0.018, 0.955)],
    "both active, independent": [
        (0.064, 0.012, 0.955),
        (0.049, 0.005, 0.962),
        (0.050, 0.006, 0.961),
    ],
    "both active, disjoint": [
        (0.038, 0.008, 0.962),
        (0.044, 0.006, 0.961),
        (0.051, 0.004, 0.952),
    ],
    "aligned .3": [
        (0.324, 0.153, 0.957, 0.620, 0.603),
        (0.165, 0.053, 0.960, 0.611, 0.596),
        (0.292, 0.125, 0.951, 0.594, 0.600),
    ],
    "aligned .6": [
        (0.856, 0.617, 0.958, 1.211, 1.196),
        (0.503, 0.293, 0.955, 1.160, 1.190),
        (0.827, 0.679, 0.953, 1.232, 1.203),
    ],
    "weak, aligned 1": [
        (0.568, 0.361, 0.948, 0.495, 0.501),
        (0.254, 0.217, 0.941, 0.492, 0.498),
        (0.422, 0.448, 0.957, 0.500, 0.500),
    ],
}
ONE_SIGN = {"reml": 0.71, "cosine": 0.10, "estimate": 1.39}
STRESS_SETS = 600
OUTCOMES = ("hospital_free_days_45", "icu")
# REML and cosine with the exposure permuted, REML with the outcome permuted.
STRESS = {"hospital_free_days_45": (0.167, 0.030, 0.052), "icu": (0.132, 0.038, 0.042)}


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    wanted = os.environ.get("DUAL_TOTAL", "cells,signs,proteome").split(",")
    cells: list[dict] = []
    for outcome in OUTCOMES if "proteome" in wanted else ():
        cells += proteome(outcome)
        save(cells, out)
    if "signs" in wanted:
        cells.append(one_sign())
        save(cells, out)
    for number, design in enumerate(DESIGNS) if "cells" in wanted else ():
        for name in CELLS:
            cells.append(cell(number, design, name))
            save(cells, out)


def effects(key, p: int, strengths, zeros: str):
    """Effects (alpha [p], beta [p]) of one data set."""
    import jax
    import jax.numpy as jnp

    k_a, k_y, correlation = strengths
    one, two, three = jax.random.split(key, 3)
    first, second = jax.random.normal(one, (p,)), jax.random.normal(two, (p,))
    second = correlation * first + jnp.sqrt(1 - correlation**2) * second
    alpha, beta = k_a / p**0.5 * first, k_y / p**0.5 * second
    even = jnp.arange(p) % 2 == 0
    if zeros == "disjoint":
        alpha, beta = 2**0.5 * alpha * even, 2**0.5 * beta * ~even
    if zeros == "one sign":
        alpha, beta = k_a * (2 / p) ** 0.5 * even, k_y * (2 / p) ** 0.5 * ~even
    if zeros == "five":
        beta = (p / 5) ** 0.5 * beta * (jax.random.permutation(three, p) < 5)
    return alpha, beta


def rows(key, n: int, rho: float, alpha, beta):
    """One data set with these effects."""
    import jax
    import jax.numpy as jnp

    from jaxmed.data.mediation_data import MediationData

    p = alpha.shape[0]
    keys = jax.random.split(key, 3)
    mediators = jax.random.normal(keys[0], (n, p))
    if rho:
        lags = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
        mediators = mediators @ np.linalg.cholesky(rho**lags).T
    exposure = jax.random.normal(keys[1], (n,))
    mediators = mediators + exposure[:, None] * alpha[None, :]
    outcome = 0.3 * exposure + mediators @ beta + jax.random.normal(keys[2], (n,))
    return MediationData(exposure, mediators, outcome, jnp.zeros((n, 0)))


def judged(data) -> dict:
    """REML, the cosine test and the polygenic effect of one data set, refused nowhere."""
    import jax.numpy as jnp

    from jaxmed.distributions.tails import t_two_sided
    from jaxmed.geometry.paths import paths
    from jaxmed.inference.cosine_test import cosine_test
    from jaxmed.inference.polygenic import extrapolation_ratio, polygenic_effect
    from jaxmed.inference.random_effects import random_effects_fit, row_spectrum
    from jaxmed.inference.rows import residual_rows

    p, found = data.mediators.shape[1], residual_rows(data)
    m = jnp.asarray(data.exposure.shape[0] - 2.0 - data.covariates.shape[1])
    tau = jnp.sum(found.exposure**2)
    outcome = found.outcome - found.exposure * jnp.sum(found.exposure * found.outcome) / tau
    spectrum = row_spectrum(found.mediators @ found.mediators.T / p, m)
    fit = random_effects_fit(spectrum, found.exposure[:, None], outcome)
    length = jnp.linalg.norm(outcome)
    effect = polygenic_effect(fit, p, m, jnp.sqrt(tau), length, 0.95)
    return {
        "reml": t_two_sided(fit.statistic[0], m - 1),
        "cosine": cosine_test(paths(data)).p_value,
        "estimate": effect.indirect,
        "lower": effect.interval.lower,
        "upper": effect.interval.upper,
        "ratio": extrapolation_ratio(fit, p)[0],
        "variance_ratio": fit.variance_ratio[0],
    }


PROGRAMS: dict = {}


def program(n: int, p: int, rho: float, zeros: str):
    """(keys, strengths) -> numbers of each data set; (keys, strengths) -> p-values."""
    import jax

    from jaxmed.inference.dual_total import dual_total_test

    def data_of(key, strengths):
        one, two, three = jax.random.split(key, 3)
        alpha, beta = effects(one, p, strengths, zeros)
        return three, alpha @ beta, rows(two, n, rho, alpha, beta)

    def numbers(key, strengths):
        _, truth, data = data_of(key, strengths)
        return {**judged(data), "truth": truth}

    def p_values(key, strengths):
        last, _, data = data_of(key, strengths)
        found = dual_total_test(last, data, permutations=PERMUTATIONS)
        return {"reml": found.p_reml, "permutation": found.p_permutation, "max": found.p_value}

    def over(function):
        return jax.jit(
            lambda keys, strengths: jax.lax.map(lambda key: function(key, strengths), keys)
        )

    if (n, p, rho, zeros) not in PROGRAMS:
        PROGRAMS[n, p, rho, zeros] = over(numbers), over(p_values)
    return PROGRAMS[n, p, rho, zeros]


def cell(number: int, design: tuple[int, int, float], name: str) -> dict:
    """One cell of one design."""
    import jax
    import jax.numpy as jnp

    start = time.perf_counter()
    n, p, rho = design
    *strengths, zeros = CELLS.get(name, (EXPOSURE, OUTCOME, 0.0, name))
    strengths = [jnp.asarray(value) for value in strengths]
    key = jax.random.fold_in(jax.random.key(n), round(100 * rho))
    keys = jax.random.split(jax.random.fold_in(key, [*CELLS, name].index(name)), DATA_SETS)
    each, p_values = program(n, p, rho, zeros)
    found = {k: np.asarray(v) for k, v in each(keys, strengths).items()}
    tested = {k: np.asarray(v) for k, v in p_values(keys[:JUDGED], strengths).items()}
    expected = float(np.prod([float(value) for value in strengths]))

    def covered(truth) -> float:
        return float(np.mean((found["lower"] <= truth) & (truth <= found["upper"])))

    return {
        "n": n,
        "p": p,
        "rho": rho,
        "cell": name,
        "data_sets": DATA_SETS,
        "reml": rate(found["reml"]),
        "cosine": rate(found["cosine"]),
        "coverage_of_sum": covered(found["truth"]),
        "coverage_of_expectation": covered(expected),
        "mean_estimate": float(np.mean(found["estimate"])),
        "mean_estimate_se": float(np.std(found["estimate"]) / DATA_SETS**0.5),
        "mean_truth": float(np.mean(found["truth"])),
        "expected": expected,
        "median_ratio": float(np.median(found["ratio"])),
        "refused": float(np.mean(found["ratio"] >= 2)),
        "with_permutations": {"data_sets": JUDGED, "permutations": PERMUTATIONS}
        | {k: rate(v) for k, v in tested.items()},
        "printed": PRINTED[name][number] if name in PRINTED else ONE_SIGN,
        "seconds": time.perf_counter() - start,
    }


def one_sign() -> dict:
    """Effects of one sign on disjoint supports: alpha'beta is 0, alpha'Omega beta is not."""
    return cell(0, DESIGNS[1], "one sign")


def rate(p_values) -> float:
    """Share of p-values of at most .05; a NaN is no rejection."""
    return float(np.mean(np.asarray(p_values) <= 0.05))


def proteome(outcome: str) -> list[dict]:
    """102 patients, 517 proteins: exposure permuted, outcome permuted, five random effects."""
    import jax
    import jax.numpy as jnp

    from jaxmed.data import datasets, from_frame
    from jaxmed.data.mediation_data import MediationData
    from jaxmed.inference.dual_total import dual_total_test
    from jaxmed.inference.rows import residual_rows

    frame = datasets.load("covid_plasma_proteome")
    features = datasets.features("covid_plasma_proteome")
    read = from_frame(
        frame,
        exposure="age",
        outcome=outcome,
        mediators=list(features["column"]),
        covariates=["male"],
        where="covid == 1",
    )
    mediators = np.asarray(read.mediators)
    mediators = mediators / mediators.std(axis=0, ddof=1)  # one unit for all proteins
    data = MediationData(
        *map(jnp.asarray, (read.exposure, mediators, read.outcome, read.covariates))
    )
    residual = residual_rows(data)
    a, y = residual.exposure, residual.outcome
    given = y - a * (a @ y) / (a @ a)
    p = mediators.shape[1]

    def exposure_permuted(key):
        return MediationData(
            jax.random.permutation(key, a), data.mediators, data.outcome, data.covariates
        )

    def outcome_permuted(key):
        shuffled = jax.random.permutation(key, given)
        return MediationData(data.exposure, data.mediators, shuffled, data.covariates)

    def five_effects(key):
        one, two, three = jax.random.split(key, 3)
        beta = jax.random.normal(one, (p,)) * (jax.random.permutation(two, p) < 5)
        score = residual.mediators @ beta
        noise = jnp.std(score) * jax.random.normal(three, score.shape)
        return MediationData(data.exposure, data.mediators, score + noise, data.covariates)

    def rates(draw) -> dict:
        def one(key):
            first, second = jax.random.split(key)
            rows = draw(first)
            found = dual_total_test(second, rows, permutations=PERMUTATIONS)
            return {"max": found.p_value, "permutation": found.p_permutation, **judged(rows)}

        keys = jax.random.split(jax.random.key(9), STRESS_SETS)
        found = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
        return {name: rate(found[name]) for name in ("reml", "permutation", "max", "cosine")}

    start = time.perf_counter()
    found = dual_total_test(jax.random.key(0), data, permutations=9999)
    effect = judged(data)
    case = {
        "outcome": outcome,
        "rows": len(given),
        "mediators": p,
        "statistic": float(found.statistic),
        **{name: float(value) for name, value in effect.items()},
        "p_reml": float(found.p_reml),
        "p_permutation": float(found.p_permutation),
        "data_sets": STRESS_SETS,
        "permutations": PERMUTATIONS,
        "exposure permuted": rates(exposure_permuted),
        "outcome permuted": rates(outcome_permuted),
        "five random effects": rates(five_effects),
        "printed": dict(zip(("reml", "cosine", "outcome permuted"), STRESS[outcome], strict=True)),
    }
    return [case | {"seconds": time.perf_counter() - start}]


def save(cells: list[dict], out: Path) -> None:
    goals = []
    for row in cells:
        if "outcome" in row:
            size = row["exposure permuted"]["max"]
            most = 0.05 + 3 * (0.05 * 0.95 / STRESS_SETS) ** 0.5
            text = f"size with the exposure permuted, proteome, {row['outcome']}"
            goals.append(goal(text, size, at_most=round(most, 4)))
            continue
        where = f"{row['cell']}, n={row['n']} p={row['p']} AR({row['rho']:g})"
        if row["cell"] in NULLS:
            goals.append(goal(f"REML size at least .03, {where}", row["reml"], at_least=0.03))
            goals.append(goal(f"REML size at most .09, {where}", row["reml"], at_most=0.09))
        if row["cell"] in CELLS:
            worst = max(abs(row["coverage_of_sum"] - 0.95), 0)
            goals.append(
                goal(f"coverage of the sum, distance from .95, {where}", worst, at_most=0.03)
            )
        if row["cell"] == "aligned .3" and row["rho"]:
            error = abs(row["mean_estimate"] - row["mean_truth"])
            goals.append(goal(f"mean estimate - mean truth, {where}", error, at_most=0.05))
    write("dual_total", goals, cells, out, cells_done=len(cells))
