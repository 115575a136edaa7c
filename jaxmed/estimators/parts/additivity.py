"""Whether direct and indirect effect of a method add up to the total effect of least squares."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.legs import Legs
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array


def gap_of(legs: Legs, total: Array) -> tuple[Array, Array]:
    """What a method's total effect has beyond least squares', and NOT_ADDITIVE where it counts.

    Args:
      legs: of the data.
      total: the method's direct + indirect effect, outcome per unit of exposure.
    Returns:
      (gap [], in the units of `total`; status []). Rounding, up to root eps of the error that the
      total effect would have if the exposure did nothing, has no status; neither have models
      with different covariates, which share no total effect.
    """
    gap = total - legs.total
    whole = jnp.sum(legs.rows.weights * legs.outcome**2)
    whole = whole + legs.total**2 * legs.outcome_exposure_ss
    df = legs.rows.count - 1 - legs.outcome_rank
    error = sqrt(divide(whole, df * legs.outcome_exposure_ss))
    limit = float(jnp.finfo(gap.dtype).eps) ** 0.5 * error
    counts = legs.rows.same_base & (jnp.abs(gap) > limit)
    return gap, st.when(counts, st.NOT_ADDITIVE)
