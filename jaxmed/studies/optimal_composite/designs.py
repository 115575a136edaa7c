"""Models of the paper's tables: sparse paths, and the nulls and signals of Table 3."""

import jax.numpy as jnp

from jaxmed.simulate.covariance import ar1_factor
from jaxmed.simulate.linear_sem import LinearSem, linear_sem
from jaxmed.simulate.sparse_paths import sparse_paths
from jaxmed.typing import Array, Key

__all__ = [
    "BOTTOM_ROWS",
    "DUAL_SIZE",
    "PRIMAL_SIZES",
    "ROW_TITLES",
    "SCENARIOS",
    "TOP_ROWS",
    "entry_model",
    "overlap",
    "scenario_model",
]

CORRELATION = 0.75
NOISE = 0.5  # of exposure and outcome
DIRECT = 0.25

# Share of the non-zero entries that both path vectors have in common.
SCENARIOS = {"S1": 0.0, "S2": 0.25, "S3": 0.5, "S4": 1.0}
PRIMAL_SIZES = ((500, 20), (1000, 100), (1000, 500))
DUAL_SIZE = (500, 1000)

# Row of Table 3 -> entry of alpha (exposure path) and of beta (outcome path) on one mediator.
TOP_ROWS = {
    "both-null": (0.0, 0.0),
    "beta-null": (1.0, 0.0),
    "alpha-null": (0.0, 1.0),
    "signal-0.1": (0.1, 0.1),
    "signal-0.2": (0.2, 0.2),
}
BOTTOM_ROWS = {
    "both-null": (0.0, 0.0),
    "beta-null": (1.0, 0.0),
    "alpha-null": (0.0, 1.0),
    "signal-0.3": (0.3, 0.3),
    "signal-0.5": (0.5, 0.5),
}
ROW_TITLES = {
    "both-null": "both paths null",
    "beta-null": "outcome path null",
    "alpha-null": "exposure path null",
    "signal-0.1": "signal 0.10",
    "signal-0.2": "signal 0.20",
    "signal-0.3": "signal 0.30",
    "signal-0.5": "signal 0.50",
}


def overlap(scenario: str, num_mediators: int) -> int:
    """Shared entries of the path vectors of a scenario; each has p / 5 non-zero ones."""
    return round(SCENARIOS[scenario] * (num_mediators // 5))


def scenario_model(key: Key, shared: Array, lower: Array) -> LinearSem:
    """Eq. (30) with path vectors drawn from the key, which is consumed.

    Args:
      key: PRNG key.
      shared: entries that the vectors have in common, may be traced.
      lower: [p, p] Cholesky factor of the mediators' covariance.
    """
    p = lower.shape[-1]
    alpha, beta = sparse_paths(key, p, p // 5, shared)
    return linear_sem(alpha, beta, direct=DIRECT, exposure_sd=NOISE, outcome_sd=NOISE, lower=lower)


def entry_model(
    num_mediators: int,
    entries: tuple[float, float],
    *,
    correlation: float = 0.0,
    direct: float = 0.0,
    dtype: str = "float64",
) -> LinearSem:
    """A model of Table 3: the first mediator alone is on the paths.

    Args:
      num_mediators: p.
      entries: coefficients of that mediator in the exposure's and in the outcome's equation.
      correlation: of the AR(1) mediators; 0 for independent ones.
      direct: effect of the exposure given the mediators.
      dtype: of the data sets drawn.
    """
    first = jnp.zeros(num_mediators, dtype).at[0].set(1.0)
    lower = ar1_factor(num_mediators, correlation).astype(dtype) if correlation else None
    return linear_sem(
        entries[0] * first,
        entries[1] * first,
        direct=direct,
        exposure_sd=NOISE,
        outcome_sd=NOISE,
        lower=lower,
    )
