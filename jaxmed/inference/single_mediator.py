"""The single mediator behind quadratics of dimension 1, whose effect has no parts."""

import jax
import jax.numpy as jnp

from jaxmed.distributions.product_normal import product_normal_quantile
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

__all__ = [
    "SingleMediator",
    "is_single",
    "known_single",
    "single_mediator",
    "single_mediator_limits",
]


@pytree
class SingleMediator:
    """The two regressions of one mediator scaled to a sum of squares of 1 given the exposure.

    alpha beta and its interval do not depend on that scale. Leaves of one shape.
    """

    alpha: Array  # exposure -> mediator, >= 0, 1 / exposure units
    alpha_se: Array
    beta: Array  # mediator -> outcome given the exposure, outcome units
    beta_se: Array

    @property
    def standard_error(self) -> Array:
        """First-order (delta) standard error of alpha beta, outcome per exposure."""
        return jnp.sqrt((self.alpha * self.beta_se) ** 2 + (self.beta * self.alpha_se) ** 2)


def is_single(quadratics: PathQuadratics) -> Array:
    """True where the mediators have one dimension: the only composite is the mediator itself."""
    return quadratics.dimension == 1


def known_single(quadratics: PathQuadratics) -> bool | None:
    """Whether r = 1; None while tracing, and of several data sets."""
    if jnp.ndim(quadratics.dimension):
        return None
    try:
        return int(quadratics.dimension) == 1
    except jax.errors.ConcretizationTypeError:
        return None


def single_mediator(quadratics: PathQuadratics, variance: Array) -> SingleMediator:
    """Coefficients and standard errors of the mediator; they mean nothing where r is not 1.

    With S the mediator's sum of squares given the exposure, q_AA = alpha^2 tau / S, q_YY =
    beta^2 S, Var(alpha) = S / (m tau) and Var(beta) = s2 / S; S is 1 here.

    Args:
      quadratics: of the paths.
      variance: residual variance s2, outcome units squared; NaN where there is none.
    """
    q = quadratics
    sign = jnp.where(q.exposure_outcome < 0, -1, 1).astype(q.exposure_outcome.dtype)
    return SingleMediator(
        alpha=sqrt(divide(q.exposure_exposure, q.exposure_ss)),
        alpha_se=sqrt(divide(1.0, q.residual_df * q.exposure_ss)),
        beta=sign * sqrt(q.outcome_outcome),
        beta_se=sqrt(variance),
    )


def single_mediator_limits(mediator: SingleMediator, level: float) -> tuple[Array, Array]:
    """Limits of alpha beta: the interval that the table of single mediators has of this mediator.

    NaN where they have no width, and where a coefficient does not exist.
    """
    tail = (1 - level) / 2
    shape = (2, *(1,) * mediator.alpha.ndim)
    tails = jnp.asarray([tail, 1 - tail], mediator.alpha.dtype).reshape(shape)
    lower, upper = product_normal_quantile(
        tails, mediator.alpha, mediator.alpha_se, mediator.beta, mediator.beta_se
    )

    def with_width(limit: Array) -> Array:
        return jnp.where(upper > lower, limit, jnp.nan)

    return with_width(lower), with_width(upper)
