"""The dual total test: size, power and coverage by section 5 of the inference specification.

Three designs (rows, mediators, correlation AR(rho)) with nine cells each: A and e standard normal,
mediators alpha A + E, Y = .3 A + M beta + e. Effects are normal with mean 0 and k^2 = p Var(alpha) =
p Var(beta) = 2 ("weak": 1/2), of correlation .3, .6, 1 where aligned. 1,000 data sets a cell for
REML, estimate and coverage (the ratio never refuses here), 400 of them with 199 permutations for
the p-value. Then effects of one sign on every second mediator, where the test must fail, and the
bundled proteome with its exposure permuted. The file is rewritten after every cell.
DUAL_TOTAL="cells,signs,proteome" chooses.
"""

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

DESIGNS = [(100, 200, 0.0), (100, 200, 0.75), (200, 400, 0.75)]
DATA_SETS, JUDGED, PERMUTATIONS = 1000, 400, 199
K, WEAK = 2**0.5, 0.5**0.5
# kA, kY, correlation of the effects, and which effects are 0.
CELLS = {
    "both null": (0.0, 0.0, 0.0, ""),
    "b null": (K, 0.0, 0.0, ""),
    "a null": (0.0, K, 0.0, ""),
    "a null, 5 effects": (0.0, K, 0.0, "five"),
    "both active, independent": (K, K, 0.0, ""),
    "both active, disjoint": (K, K, 0.0, "disjoint"),
    "aligned .3": (K, K, 0.3, ""),
    "aligned .6": (K, K, 0.6, ""),
    "weak, aligned 1": (WEAK, WEAK, 1.0, ""),
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
STRESS_SETS = 600
OUTCOMES = ("hospital_free_days_45", "icu")


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    wanted = os.environ.get("DUAL_TOTAL", "cells,signs,proteome").split(",")
    cells: list[dict] = []
    for design in DESIGNS if "cells" in wanted else ():
        for name in CELLS:
            cells.append(cell(design, name))
            save(cells, out)
    if "signs" in wanted:
        cells.append(one_sign())
        save(cells, out)
    for outcome in OUTCOMES if "proteome" in wanted else ():
        cells.append(proteome(outcome))
        save(cells, out)


def effects(key, p: int, k_a: float, k_y: float, correlation: float, zeros: str):
    """Effects (alpha [p], beta [p]) of one data set."""
    import jax
    import jax.numpy as jnp

    one, two, three = jax.random.split(key, 3)
    first, second = jax.random.normal(one, (p,)), jax.random.normal(two, (p,))
    second = correlation * first + (1 - correlation**2) ** 0.5 * second
    alpha, beta = k_a / p**0.5 * first, k_y / p**0.5 * second
    even = jnp.arange(p) % 2 == 0
    if zeros == "disjoint":
        alpha, beta = 2**0.5 * alpha * even, 2**0.5 * beta * ~even
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
    noise = jax.random.normal(keys[0], (n, p))

    def follow(before, new):
        value = rho * before + (1 - rho**2) ** 0.5 * new
        return value, value

    if rho:
        _, noise = jax.lax.scan(follow, noise[:, 0] / 1.0, noise[:, 1:].T)
        noise = noise.T
    exposure = jax.random.normal(keys[1], (n,))
    mediators = exposure[:, None] * alpha[None, :] + noise
    outcome = 0.3 * exposure + mediators @ beta + jax.random.normal(keys[2], (n,))
    return MediationData(exposure, mediators, outcome, jnp.zeros((n, 0)))
