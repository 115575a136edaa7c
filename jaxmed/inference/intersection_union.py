"""Existence of both paths: the correct partial F tests and their maximum."""

import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.distributions.tails import f_upper
from jaxmed.door import at_the_door
from jaxmed.inference.residual import HasQuadratics, residual_variance
from jaxmed.linalg.safe import divide
from jaxmed.status import NO_NOTES
from jaxmed.typing import Array, pytree

__all__ = ["IntersectionUnionTest", "intersection_union_test"]


@pytree
class IntersectionUnionTest:
    """Partial F tests of the two paths and their maximum; leaves of one shape."""

    statistic_exposure: Array  # F_A ~ F(p, m - p + 1) if the exposure path is null
    statistic_outcome: Array  # F_Y ~ F(p, m - p) if the outcome path is null
    df_numerator: Array  # p
    df_exposure: Array  # m - p + 1
    df_outcome: Array  # m - p
    p_exposure: Array
    p_outcome: Array
    p_value: Array  # max(p_exposure, p_outcome)
    status: Array  # int32
    notes: Array | np.uint32 = NO_NOTES  # uint32 bits, see `status.Note`


def intersection_union_test(paths: HasQuadratics) -> IntersectionUnionTest:
    """Test that both paths exist: exposure to mediators, and mediators to outcome.

    It sees paths that cancel (total indirect effect 0), to which `cosine_test` and `joint_test`
    are blind by construction; it does not say that the two paths meet in the same mediators.
    F_A = q_AA (m-p+1)/p tests the exposure path, F_Y = q_YY/(p s2) the outcome path.

    Returns:
      IntersectionUnionTest; NaN with NOT_IN_DUAL where p >= n-2-q and with ZERO_RESIDUAL where
      the outcome is fitted exactly.

    Source: the partial F tests of the two regressions. The paper's table 3 (He 2026) leaves the
      exposure out of the outcome regression, which makes its column far too conservative under a
      null outcome path; this is the correct version. Exact on either one-path null with Gaussian
      errors.
    """
    return _of_quadratics(paths.quadratics)


@at_the_door()
def _of_quadratics(q: PathQuadratics) -> IntersectionUnionTest:
    variance, code = residual_variance(q)
    df_outcome = q.residual_df - q.dimension
    df_exposure = df_outcome + 1
    statistic_exposure = divide(q.exposure_exposure * df_exposure, q.dimension, jnp.nan)
    statistic_outcome = divide(q.outcome_outcome, q.dimension * variance, jnp.nan)
    # Both statistics at once: the incomplete beta function dominates the compile time.
    p_exposure, p_outcome = f_upper(
        jnp.stack([statistic_exposure, statistic_outcome]),
        q.dimension,
        jnp.stack([df_exposure, df_outcome]),
    )
    exists = ~status.is_fatal(code) & ~jnp.isnan(variance)

    def finish(value: Array) -> Array:
        return jnp.where(exists, value, jnp.nan)

    return IntersectionUnionTest(
        statistic_exposure=finish(statistic_exposure),
        statistic_outcome=finish(statistic_outcome),
        df_numerator=finish(jnp.broadcast_to(q.dimension, exists.shape)),
        df_exposure=finish(df_exposure),
        df_outcome=finish(df_outcome),
        p_exposure=finish(p_exposure),
        p_outcome=finish(p_outcome),
        p_value=finish(jnp.maximum(p_exposure, p_outcome)),
        status=code,
        notes=q.notes,
    )
