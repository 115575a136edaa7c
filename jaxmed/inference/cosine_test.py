"""The cosine test of He (2026) with exact degrees of freedom, and its corrected version."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.distributions.tails import t_tails
from jaxmed.door import at_the_door
from jaxmed.inference.residual import (
    HasQuadratics,
    cotangent_variance,
    null_path,
    residual_variance,
)
from jaxmed.linalg.safe import divide
from jaxmed.status import NO_NOTES
from jaxmed.typing import Array, pytree

__all__ = [
    "CosineTest",
    "TooFewDimensionsError",
    "corrected_cosine_test",
    "cosine_test",
    "cosine_tests",
]


class TooFewDimensionsError(ValueError):
    """The two paths live in fewer than two dimensions: they have no angle to test."""


@pytree
class CosineTest:
    """Student test of the cosine between exposure path and outcome path; leaves of one shape."""

    cosine: Array
    statistic: Array  # ~ t(df)
    df: Array
    p_value: Array  # two-sided
    p_concordant: Array  # one-sided, against a positive cosine
    p_suppression: Array  # one-sided, against a negative cosine
    status: Array  # int32
    notes: Array | np.uint32 = NO_NOTES  # uint32 bits, see `status.Note`


def cosine_test(paths: HasQuadratics, *, df: Literal["exact", "printed"] = "exact") -> CosineTest:
    """Test of alignment: is the angle between exposure path and outcome path 90 degrees?

    cos = 0 exactly when the total indirect effect a'b is 0, so the test is silent about paths
    that are both active but cancel (`intersection_union_test` sees those), and it loses all
    power below a threshold of the angle at any sample size (`total_indirect_test` does not).

    Args:
      paths: anything with `.quadratics`: `geometry.Paths` or `PathQuadratics`.
      df: "exact" is r - 1 with r = min(p, n-2-q). "printed" is the paper's: p - 1 in the
        primal and n - 2 in the dual, where after covariates n - 2 reads n - 2 - q, one more than
        the dimension allows (nominal .05 becomes .074 at n = 8).

    Returns:
      CosineTest; statistic = sqrt(df) cos / sin. A null path gives statistic 0, p-values 1 and
      status NULL_PATH; r < 2 gives NaN and NOT_APPLICABLE.

    Raises:
      TooFewDimensionsError: r < 2 and known while tracing.

    Source: He (2026), Prop. 3 eq. (18), Prop. 5 eq. (25), with df corrected to r - 1.
      Exact when the outcome path is null and errors are Gaussian, conservative when the exposure
      path is null and the outcome path is not (`corrected_cosine_test`).
    """
    q = paths.quadratics
    _require_two_dimensions(q.dimension)
    return _cosine_test(q, df=df)


@at_the_door("df")
def _cosine_test(q: PathQuadratics, *, df: str) -> CosineTest:
    degrees = q.dimension - 1
    if df == "printed":
        degrees = jnp.where(jnp.isnan(q.residual_ss), q.residual_df, degrees)
    elif df != "exact":
        raise ValueError(f'df is "exact" or "printed", not {df!r}')
    return _student(q, jnp.ones_like(q.cosine), degrees, q.status)


def corrected_cosine_test(paths: HasQuadratics) -> CosineTest:
    """The cosine test divided by the statistic's standard deviation under a null exposure path.

    Same null hypothesis as `cosine_test`, with size near .05 on both one-path nulls. Use it for
    p/n <= .5 and n - p >= 50 (there .047 to .054; at p/n = .9 up to .072).

    Returns:
      CosineTest with statistic T / sqrt(v), df = p - 1. NaN with NOT_IN_DUAL where there is no
      residual variance (p >= n-2-q) and with ZERO_RESIDUAL where it is zero.

    Raises:
      TooFewDimensionsError: p < 2 and known while tracing.

    Source: not in the paper; composite mediator specification, section 5a. Asymptotic.
    """
    q = paths.quadratics
    _require_two_dimensions(q.dimension)
    return _corrected(q)


@at_the_door()
def _corrected(q: PathQuadratics) -> CosineTest:
    variance, code = residual_variance(q)
    return _student(q, cotangent_variance(q, variance), q.dimension - 1, code)


def cosine_tests(paths: HasQuadratics) -> tuple[CosineTest, CosineTest]:
    """`cosine_test` and `corrected_cosine_test` by one evaluation of the tails."""
    q = paths.quadratics
    _require_two_dimensions(q.dimension)
    variance, code = residual_variance(q)
    variances = jnp.stack([jnp.ones_like(q.cosine), cotangent_variance(q, variance)])
    both = _student(q, variances, q.dimension - 1, jnp.stack([q.status, code]))
    fields = [name for name in CosineTest.__dataclass_fields__ if name != "notes"]
    plain, corrected = (
        CosineTest(*(getattr(both, name)[i] for name in fields), notes=both.notes) for i in (0, 1)
    )
    return plain, corrected


def _student(q: PathQuadratics, variance: Array, df: Array, code: Array) -> CosineTest:
    null = null_path(q)
    too_few = q.dimension < 2
    code = status.combine(
        code, status.when(null, status.NULL_PATH), status.when(too_few, status.NOT_APPLICABLE)
    )
    zero = (q.exposure_exposure == 0) | (q.outcome_outcome == 0)
    exists = ~status.is_fatal(code) & (null | (~zero & ~jnp.isnan(variance)))
    limit = jnp.where(q.cosine < 0, -jnp.inf, jnp.inf)
    cotangent = jnp.where(q.sine == 0, limit, divide(q.cosine, q.sine))
    statistic = cotangent * jnp.sqrt(jnp.maximum(df, 0) / variance)

    def finish(value: Array, when_null: float) -> Array:
        return jnp.where(exists, jnp.where(null, when_null, value), jnp.nan)

    p_value, p_concordant, p_suppression = t_tails(statistic, df)
    return CosineTest(
        cosine=finish(q.cosine, 0.0),
        statistic=finish(statistic, 0.0),
        df=jnp.where(exists, df, jnp.nan),
        p_value=finish(p_value, 1.0),
        p_concordant=finish(p_concordant, 1.0),
        p_suppression=finish(p_suppression, 1.0),
        status=code,
        notes=q.notes,
    )


def _require_two_dimensions(dimension: Array) -> None:
    try:
        known = int(dimension) if jnp.ndim(dimension) == 0 else 2
    except jax.errors.ConcretizationTypeError:
        return
    if known < 2:
        raise TooFewDimensionsError(
            f"the paths have {known} dimension(s), r = min(p, n-2-q), and an angle needs two: "
            "use total_indirect_test or intersection_union_test for a single mediator, or more rows"
        )
