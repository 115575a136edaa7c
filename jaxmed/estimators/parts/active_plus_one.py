"""The outcome model of an active set with one more mediator, for every mediator at once."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.typing import Array


def active_plus_one(legs: Legs, index: Array, active: Array) -> tuple[Leg, Array]:
    """Coefficient of every mediator j in outcome ~ 1 + covariates + exposure + active + j.

    Mediators of the active set are read from the model without a further one. One Cholesky factor
    of the active set and a Schur complement per mediator: O(n p d) instead of p regressions.

    Args:
      legs: of the data.
      index: candidates [d].
      active: [d] bool.
    Returns:
      (leg [p] with degrees of freedom [p], status []). NaN for a mediator that is constant or a
      linear function of the active set; RANK_DEFICIENT where the active set is dependent.
    """
    w = legs.rows.weights
    size = sqrt(matmul(w, legs.mediators**2))
    unit = divide(legs.mediators, size) * jnp.sqrt(w)[:, None]
    outcome = jnp.sqrt(w) * legs.outcome
    p, d = unit.shape[1], index.shape[0]
    columns = unit[:, index] * active[None, :].astype(unit.dtype)
    both = active[:, None] & active[None, :]
    lower = jnp.linalg.cholesky(jnp.where(both, gram(columns), jnp.eye(d, dtype=unit.dtype)))
    eps = jnp.finfo(unit.dtype).eps
    singular = ~(jnp.min(jnp.diagonal(lower)) > 32 * eps**0.5)

    inner = solve_lower(lower, matmul(columns.T, outcome))
    coefficients = jax.scipy.linalg.solve_triangular(lower.T, inner, lower=False)
    residual = outcome - matmul(columns, coefficients)
    rss = jnp.sum(residual * residual)
    k = jnp.sum(active).astype(unit.dtype)
    df = legs.rows.count - 1 - legs.outcome_rank - k

    # Others: what the active set leaves of column j, and its product with the residual.
    across = solve_lower(lower, matmul(columns.T, unit))
    left = 1 - jnp.sum(across**2, axis=0)
    left = jnp.where((left > (32 * eps) ** 0.5) & (size > 0), left, jnp.nan)
    slope = matmul(residual, unit) / left
    error = sqrt(divide(jnp.maximum(rss - slope**2 * left, 0), (df - 1) * left, jnp.nan))

    inverse = solve_lower(lower, jnp.eye(d, dtype=unit.dtype))
    own_error = sqrt(rss / df * jnp.sum(inverse**2, axis=0))
    member = jnp.zeros(p, bool).at[index].set(active)
    place = jnp.where(active, index, p)  # p: dropped

    def filled(others: Array, own: Array) -> Array:
        values = jnp.where(member, 0, others).at[place].set(own, mode="drop")
        return values * divide(1.0, size, jnp.nan)

    leg = Leg(filled(slope, coefficients), filled(error, own_error), jnp.where(member, df, df - 1))
    return leg, st.combine(st.when(singular, st.RANK_DEFICIENT), st.when(df <= 1, st.TOO_FEW_ROWS))
