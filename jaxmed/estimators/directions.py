"""Directions of Mediation as an estimator."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_count, check_fits
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.directions_kernel import (
    Direction,
    MediationMoments,
    direction_chen2018,
    direction_hdmed,
)
from jaxmed.estimators.from_weights import from_weights
from jaxmed.estimators.parts.kept import kept
from jaxmed.geometry.paths import Paths, primal
from jaxmed.linalg.products import matmul
from jaxmed.statistics.joint_factor import JointFactor
from jaxmed.typing import Array, Estimator, Key


@kept
def directions(
    *,
    variant: Literal["chen2018", "hdmed"] = "chen2018",
    starts: int = 1,
    route: str = "auto",
    level: float = 0.95,
) -> Estimator:
    """First direction of mediation (Chen et al. 2018).

    Args:
      variant: "chen2018" maximises the published likelihood; "hdmed" computes what the released
        software converges to, the outcome regression that ignores the exposure's path.
      starts: number of start vectors (chen2018); the first is the vector of ones, as
        published, the others are drawn from the key, which is needed when starts > 1.
      route: of the paths, see `geometry.paths`.
      level: of the interval of the total effect.
    Returns:
      Estimator. In the dual the likelihood is unbounded: NaN with NOT_IN_DUAL. Scale-dependent
      (|w| = 1): standardise the mediators.
    Raises:
      ValueError: unknown variant, starts < 1.
    Source: Chen et al. (2018), Biostatistics 19; see `directions_kernel`.
    """
    if variant not in ("chen2018", "hdmed"):
        raise ValueError(f'variant must be "chen2018" or "hdmed", not {variant!r}')
    check_count("starts", starts)

    def rule(
        key: Key | None, data: MediationData, result: Paths
    ) -> tuple[Array, Array, Direction | None]:
        p = data.mediators.shape[1]
        if result.regime == "dual":
            return jnp.zeros(p, data.mediators.dtype), jnp.int32(st.NOT_IN_DUAL), None
        moments = conditional_moments(primal(data, result.route)[0])
        if variant == "hdmed":
            direction = direction_hdmed(moments)
        else:
            direction = direction_chen2018(moments, _starts(key, starts, p, data.mediators.dtype))
        return direction.weights, direction.status, direction

    return from_weights(rule, route=route, level=level)


def conditional_moments(factor: JointFactor) -> MediationMoments:
    """Second moments of exposure, mediators and outcome given the covariates."""
    q = factor.num_covariates
    block = factor.columns[q:, q:] * factor.length[None, q:]
    moments = matmul(block.T, block)
    return MediationMoments(
        gram_mediators=moments[1:-1, 1:-1],
        mediators_exposure=moments[1:-1, 0],
        mediators_outcome=moments[1:-1, -1],
        exposure_ss=moments[0, 0],
        exposure_outcome=moments[0, -1],
        outcome_ss=moments[-1, -1],
        num_rows=factor.count,
        num_covariates=jnp.asarray(q, factor.upper.dtype),
    )


def _starts(key: Key | None, count: int, p: int, dtype: jnp.dtype) -> Array:
    ones = jnp.ones((1, p), dtype)
    if count == 1:
        return ones
    if key is None:
        raise ValueError("directions with starts > 1 draws its start vectors: pass a key")
    check_fits("starts", count, 8 * dtype.itemsize * p)
    return jnp.concatenate([ones, jax.random.normal(key, (count - 1, p), dtype)])
