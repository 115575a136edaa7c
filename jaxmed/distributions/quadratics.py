"""The four sufficient quadratics of the two paths, and what is a function of them alone."""

import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.safe import divide
from jaxmed.status import NO_NOTES
from jaxmed.typing import Array, pytree


@pytree
class PathQuadratics:
    """Inner products of the exposure path and the outcome path, all leaves of one shape.

    Every test, estimate and interval of the composite mediator is a function of these
    numbers; `distributions.exact_law` samples them without data. Exposure, mediators and outcome
    are
    residuals on the intercept and the q covariates.
    Notation of He (2026): A exposure, Z mediators residualised on A, Y outcome, tau = A'A.
    """

    exposure_exposure: Array  # q_AA = |a|^2 / tau, dimensionless; R2/(1-R2) of A on the mediators
    exposure_outcome: Array  # q_AY = a'y / sqrt(tau), outcome units
    outcome_outcome: Array  # q_YY = |y|^2, outcome units squared
    residual_ss: Array  # RSS of the outcome on exposure, mediators, covariates; NaN in the dual
    exposure_ss: Array  # tau, exposure units squared
    cosine: Array  # of the angle between the two paths
    sine: Array  # computed without 1 - cosine^2
    residual_df: Array  # m = n - 2 - q
    dimension: Array  # r = min(p, m); r = p in the primal
    status: Array  # int32
    notes: Array | np.uint32 = NO_NOTES  # uint32 bits, see `status.Note`

    @property
    def quadratics(self) -> "PathQuadratics":
        """Itself: tests accept `Paths` and `PathQuadratics` alike."""
        return self

    @property
    def residual_variance(self) -> Array:
        """s2 = RSS / (m - p), outcome units squared; NaN in the dual and where m = p."""
        return divide(self.residual_ss, self.residual_df - self.dimension, jnp.nan)

    @property
    def total_indirect(self) -> Array:
        """A'b in outcome per exposure: indirect effect through all mediators jointly."""
        return divide(self.exposure_outcome, jnp.sqrt(self.exposure_ss), jnp.nan)
