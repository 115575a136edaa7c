"""Path quadratics without units, in which fourth powers stay in range and errors are near 1."""

import dataclasses

import jax.numpy as jnp

from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array

__all__ = ["mirrored", "unit_free"]


def unit_free(q: PathQuadratics) -> tuple[PathQuadratics, Array]:
    """The quadratics of A / sqrt(tau) and Y / u, u^2 = (q_YY + RSS) / m, and the effects' unit.

    An effect of the quadratics returned, times u / sqrt(tau), is one of `q`: outcome per exposure.
    """
    unit = sqrt(divide(q.outcome_outcome + q.residual_ss, q.residual_df))
    found = dataclasses.replace(
        q,
        exposure_outcome=divide(q.exposure_outcome, unit),
        outcome_outcome=divide(divide(q.outcome_outcome, unit), unit),
        residual_ss=divide(divide(q.residual_ss, unit), unit),
        exposure_ss=jnp.ones_like(q.exposure_ss),
    )
    return found, divide(unit, sqrt(q.exposure_ss))


def mirrored(q: PathQuadratics) -> PathQuadratics:
    """The quadratics of -Y, whose concordant part is minus the suppression part of Y."""
    return dataclasses.replace(q, exposure_outcome=-q.exposure_outcome, cosine=-q.cosine)
