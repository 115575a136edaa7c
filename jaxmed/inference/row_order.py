"""An order of the rows that depends on their values alone, not on where they stand in the table."""

import jax
import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.typing import Array


def canonical_order(data: MediationData) -> Array:
    """Row numbers [n] that sort the rows by exposure, outcome, mediators, covariates and weight.

    Lexicographic, so that only the order within each column counts: a positive factor or a shift
    of a column changes nothing (unless rounding makes two values equal). Rows that agree in
    everything are interchangeable. Rows of weight zero come last.

    Args:
      data: n rows; NaN sorts last.
    Returns:
      int32 [n]. A column past exposure and outcome is looked at only while rows are tied, so that
      p columns cost a comparison of neighbouring rows and no p sorts.
    """
    exposure, outcome = jnp.asarray(data.exposure), jnp.asarray(data.outcome)
    n = exposure.shape[0]
    weights = weights_of(data)
    absent = (weights == 0).astype(exposure.dtype)
    # -0 and 0 are one value to the sort and to `_differ`.
    *keys, order = jax.lax.sort((absent, exposure, outcome, jnp.arange(n)), num_keys=3)
    separate = _differ(jnp.stack(keys, axis=1)).any(axis=1)
    table = jnp.concatenate(
        [jnp.asarray(data.mediators), jnp.asarray(data.covariates), weights[:, None]], axis=1
    )

    def refine(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """Sorts every group of tied rows by the first column in which one of the groups varies."""
        order, separate, _ = state
        varies = (_differ(table[order]) & ~separate[:, None]).any(axis=0)
        values = table[order, jnp.argmax(varies)]
        group = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(separate, dtype=jnp.int32)])
        _, values, order = jax.lax.sort((group, values, order), num_keys=2)
        separate = separate | _differ(values)
        return order, separate, varies.any() & ~separate.all()

    # Columns passed over are constant within every group, now and in its parts: each is skipped
    # rightly, and the loop ends when rows that are still tied agree in all columns.
    return jax.lax.while_loop(lambda state: state[2], refine, (order, separate, ~separate.all()))[0]


def _differ(rows: Array) -> Array:
    """Where a row differs from the one before it, [n-1, ...]; NaN equals NaN, as in a sort."""
    before, after = rows[:-1], rows[1:]
    return (before != after) & ~(jnp.isnan(before) & jnp.isnan(after))
