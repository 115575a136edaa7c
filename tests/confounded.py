"""Data sets whose confounding is linear, curved or a product of two covariates."""

import numpy as np

from jaxmed import MediationData, Names

P = 10
ALPHA = np.r_[0.5, 0.4, 0.3, 0.2, 0.0, 0.0, 0.3, -0.2, 0.0, 0.0]
BETA = np.r_[0.4, 0.3, 0.2, 0.0, 0.3, 0.0, -0.1, -0.1, 0.0, 0.2]
TIE = float(ALPHA @ BETA)
DIRECT = 0.3
SITE = tuple(f"site[{level}]" for level in "BCDE")
NAMES = Names(
    mediators=tuple(f"m{j}" for j in range(P)),
    covariates=("age", "bmi", "dose", "pulse", *SITE),
    groups=(SITE,),
)
CONFOUNDING = ("linear", "curved", "product")


def confounded(rng, n, confounding):
    """Four continuous covariates, a factor of five levels, ten mediators; TE = DIRECT + TIE."""
    x = rng.normal(size=(n, 4))
    site = rng.integers(0, 5, n)
    levels = (site[:, None] == np.arange(1, 5)).astype(float)
    curve = {
        "linear": x[:, 0] + x[:, 1],
        "curved": (x[:, 0] ** 2 - 1) + x[:, 1],
        "product": x[:, 0] * x[:, 1] + 0.5 * x[:, 2],
    }[confounding]
    shift = 0.3 * levels @ np.r_[1.0, -1, 0.5, 0]
    exposure = 0.5 * curve + shift + rng.normal(size=n)
    noise = rng.normal(size=(n, P))
    mediators = exposure[:, None] * ALPHA + 0.25 * (curve + shift)[:, None] + noise
    outcome = (
        DIRECT * exposure + mediators @ BETA + 0.4 * curve + 0.2 * x[:, 3] + rng.normal(size=n)
    )
    return MediationData(exposure, mediators, outcome, np.c_[x, levels], None, NAMES)
