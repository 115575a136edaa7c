"""Firm data for Table 3: a simulated look-alike, and the user's own copy of public data."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxmed.data.frames import from_frame
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.readers import read_table
from jaxmed.linalg.products import matmul
from jaxmed.typing import Array, Key

__all__ = ["DIRECT", "STOCKS", "look_alike", "paths_of", "stocks"]

STOCKS = "JAXMED_US_STOCKS"  # environment variable: path of the data file


DIRECT = 0.1


def paths_of(num_mediators: int) -> tuple[Array, Array]:
    """Alpha and beta of the look-alike: a tenth of the indicators is active, of either sign."""
    at = jnp.arange(num_mediators)
    active, sign = at % 10 == 0, jnp.where(at % 20 == 0, 1.0, -1.0)
    alpha = jnp.where(active, 0.3, jnp.where(at % 10 == 1, 0.4, 0.0))
    beta = jnp.where(active, 0.08 * sign, jnp.where(at % 10 == 2, 0.05, 0.0))
    return alpha, beta


def look_alike(key: Key, num_rows: int, num_mediators: int) -> MediationData:
    """Firms with a sector, their size, indicators that share factors, and a return.

    Single paths are strong and of both signs, the total indirect effect is small, as in the
    public data. Pure: may be traced.
    """
    keys = jax.random.split(key, 6)
    size = jax.random.normal(keys[0], (num_rows,))
    exposure = jax.random.bernoulli(keys[1], jax.nn.sigmoid(-0.4 - 0.5 * size)).astype(float)
    factors = jax.random.normal(keys[2], (num_rows, 5))
    loadings = 0.6 * jax.random.normal(keys[3], (5, num_mediators))
    own = jax.random.t(keys[4], 5.0, (num_rows, num_mediators))
    at = jnp.arange(num_mediators)
    alpha, beta = paths_of(num_mediators)
    curve = 0.3 * jnp.sin(2 * size)[:, None] * jnp.cos(at) + 0.4 * size[:, None] * jnp.sin(at)
    mediators = exposure[:, None] * alpha + curve + matmul(factors, loadings) + own
    noise = 0.5 * jax.random.normal(keys[5], (num_rows,))
    outcome = DIRECT * exposure + matmul(mediators, beta) + 0.1 * size**2 + noise
    names = Names(
        "high_tech",
        "log_return",
        tuple(f"indicator_{k}" for k in range(num_mediators)),
        ("log_size",),
    )
    return MediationData(exposure, mediators, outcome, size[:, None], None, names)


def stocks() -> MediationData | None:
    """US-listed firms 2018 (sector -> indicators -> return 2019 | market value), or None.

    Read from the file that the environment variable JAXMED_US_STOCKS names: its licence does not
    allow to ship it.

    Raises:
      ValueError: the variable names no file.
    """
    given = os.environ.get(STOCKS)
    if not given:
        return None
    path = Path(given)
    if not path.is_file():
        raise ValueError(f"{STOCKS} names {path}, which is no file")
    return from_frame(
        read_table(path),
        exposure="high_tech",
        outcome="log_return_2019",
        mediators="fi_*",
        covariates=("log10_market_cap",),
        where="in_sample == 1",
    )
