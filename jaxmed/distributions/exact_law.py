"""Exact law of the path quadratics: one replicate of n rows and p mediators in O(1) work.

Given exposure and mediators, Gaussian outcome errors make the outcome path a rotation invariant
normal vector around its mean; given the exposure, Gaussian mediators make the residual cross
product S a Wishart matrix. Rotating the plane of the two population paths onto the first two
coordinates leaves four normals and five chi-squares, whatever n and p are.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed import status
from jaxmed.budget import check_count
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.door import at_the_door
from jaxmed.keys import as_key
from jaxmed.linalg.random import chi_square
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, ArrayLike, Key, pytree, static

__all__ = [
    "BaseDraws",
    "Law",
    "base_draws",
    "law",
    "law_from_causal",
    "law_from_sem",
    "quadratics_at",
    "sample_quadratics",
]

# Replicates drawn at once: their normals and chi-squares stay in the second-level cache.
_BLOCK = 8192


@pytree
class Law:
    """Canonical parameters of the law of the path quadratics; scalar leaves of one float dtype.

    Mediators X = a A + noise with covariance Omega, outcome Y = b'X + direct A + residual_sd e,
    everything given the q covariates. The direct effect does not enter.
    """

    exposure_strength: Array  # kA = sqrt(a' Omega^-1 a), 1 / exposure units
    outcome_strength: Array  # kY = sqrt(b' Omega b), outcome units
    alignment: Array  # c0 = a'b / (kA kY) in [-1, 1]; 0 where a strength is 0
    residual_sd: Array  # sigma, outcome units
    exposure_ss: Array  # tau, its expectation where the exposure is Gaussian
    residual_df: Array  # m = n - 2 - q
    num_mediators: Array  # p
    exposure: Literal["fixed", "gaussian"] = static(default="fixed")

    @property
    def total_indirect(self) -> Array:
        """a'b, outcome per exposure."""
        return self.exposure_strength * self.outcome_strength * self.alignment

    @property
    def maximal_indirect(self) -> tuple[Array, Array]:
        """Population concordant (>= 0) and suppression (<= 0) parts; they sum to a'b."""
        product = self.exposure_strength * self.outcome_strength
        return product * (1 + self.alignment) / 2, -product * (1 - self.alignment) / 2


def law(
    exposure_strength: ArrayLike,
    outcome_strength: ArrayLike,
    alignment: ArrayLike,
    *,
    residual_sd: ArrayLike = 1.0,
    exposure_ss: ArrayLike,
    residual_df: ArrayLike,
    num_mediators: ArrayLike,
    exposure: Literal["fixed", "gaussian"] = "fixed",
) -> Law:
    """A Law with its leaves brought to one float dtype and its alignment to [-1, 1].

    Raises:
      ValueError: an unknown kind of exposure.
    """
    if exposure not in ("fixed", "gaussian"):
        raise ValueError(f'exposure is "fixed" or "gaussian", not {exposure!r}')
    values = (exposure_strength, outcome_strength, alignment, residual_sd, exposure_ss)
    arrays = [jnp.asarray(value) for value in (*values, residual_df, num_mediators)]
    dtype = jnp.result_type(*(a for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)), 1.0)
    k_a, k_y, cosine, sd, tau, m, p = (array.astype(dtype) for array in arrays)
    cosine = jnp.where((k_a == 0) | (k_y == 0), jnp.zeros_like(cosine), jnp.clip(cosine, -1, 1))
    cosine = jnp.where(p < 2, jnp.where(cosine < 0, -1, 1).astype(dtype), cosine)
    return Law(k_a, k_y, cosine, sd, tau, m, p, exposure)


def law_from_sem(
    alpha: Array,
    beta: Array,
    mediator_covariance: Array,
    *,
    num_rows: ArrayLike,
    exposure_sd: ArrayLike,
    outcome_sd: ArrayLike,
    num_covariates: ArrayLike = 0,
) -> Law:
    """Law of A = X alpha + exposure_sd e, Y = X beta + direct A + outcome_sd e, Gaussian X.

    Args:
      alpha: [p] coefficients of the mediators in the exposure's equation.
      beta: [p] coefficients of the mediators in the outcome's equation.
      mediator_covariance: [p, p] Sigma, given the covariates.
      num_rows: n.
      exposure_sd: sd of the exposure given mediators, exposure units.
      outcome_sd: sd of the outcome given exposure and mediators, outcome units.
      num_covariates: q.

    Returns:
      Law with vA = alpha'Sigma alpha + exposure_sd^2, kA^2 = alpha'Sigma alpha / (vA
      exposure_sd^2), Omega = Sigma - Sigma alpha alpha'Sigma / vA, a'b = alpha'Sigma beta / vA.

    Source: He (2026), eq. (30) for the model.
    """
    image_alpha = jnp.matmul(mediator_covariance, alpha, precision=lax.Precision.HIGHEST)
    image_beta = jnp.matmul(mediator_covariance, beta, precision=lax.Precision.HIGHEST)
    explained, cross = jnp.sum(alpha * image_alpha), jnp.sum(beta * image_alpha)
    exposure_variance = explained + exposure_sd**2
    k_a = sqrt(explained / (exposure_variance * exposure_sd**2))
    k_y = sqrt(jnp.sum(beta * image_beta) - cross**2 / exposure_variance)
    return _with_rows(
        k_a,
        k_y,
        cross / exposure_variance,
        exposure_variance,
        outcome_sd,
        num_rows,
        num_covariates,
        alpha.shape[0],
    )


def law_from_causal(
    alpha: Array,
    beta: Array,
    noise_covariance: Array,
    *,
    num_rows: ArrayLike,
    exposure_sd: ArrayLike,
    outcome_sd: ArrayLike,
    num_covariates: ArrayLike = 0,
) -> Law:
    """Law of X = alpha A + noise, Y = X beta + direct A + outcome_sd e, Gaussian A and noise.

    Args:
      alpha: [p] effects of the exposure on the mediators.
      beta: [p] effects of the mediators on the outcome.
      noise_covariance: [p, p] Omega = Var(X | A), given the covariates.
      num_rows: n.
      exposure_sd: sd of the exposure given covariates. For a fixed exposure (a treatment), use
        `law` with its sum of squares tau.
      outcome_sd: sd of the outcome given exposure and mediators, outcome units.
      num_covariates: q.
    """
    lower = jnp.linalg.cholesky(noise_covariance)
    whitened = lax.linalg.triangular_solve(lower, alpha[:, None], left_side=True, lower=True)
    k_a = sqrt(jnp.sum(whitened**2))
    k_y = sqrt(jnp.sum(jnp.matmul(beta, lower, precision=lax.Precision.HIGHEST) ** 2))
    return _with_rows(
        k_a,
        k_y,
        jnp.sum(alpha * beta),
        jnp.asarray(exposure_sd) ** 2,
        outcome_sd,
        num_rows,
        num_covariates,
        alpha.shape[0],
    )


def _with_rows(
    k_a: Array,
    k_y: Array,
    total: Array,
    exposure_variance: Array,
    outcome_sd: ArrayLike,
    num_rows: ArrayLike,
    num_covariates: ArrayLike,
    num_mediators: int,
) -> Law:
    residual_df = jnp.asarray(num_rows) - 2 - jnp.asarray(num_covariates)
    return law(
        k_a,
        k_y,
        divide(total, k_a * k_y),
        residual_sd=outcome_sd,
        exposure_ss=exposure_variance * (residual_df + 1),
        residual_df=residual_df,
        num_mediators=num_mediators,
        exposure="gaussian",
    )


def sample_quadratics(key: Key, law: Law, count: int) -> PathQuadratics:
    """Independent replicates of the path quadratics; the key is consumed.

    Args:
      key: PRNG key.
      law: scalar leaves, traced or not (n, p, q do not enter shapes); batch laws by vmap.
      count: number of replicates.

    Returns:
      PathQuadratics with leaves [count]. Status NOT_IN_DUAL and NaN where p > m: the law exists
      for p <= n-2-q only.

    Source: composite mediator specification, section 3. Exact for Gaussian mediators (given
      exposure and covariates) and Gaussian outcome errors, any exposure.
    """
    key = as_key(key)
    check_count("count", count)
    return _sample(key, law, count=count)


@at_the_door("count", optimised=True)
def _sample(key: Key, law: Law, *, count: int) -> PathQuadratics:
    if count <= _BLOCK:
        return _sample_block(key, law, count)
    blocks = -(-count // _BLOCK)
    draws = lax.map(lambda block: _sample_block(block, law, _BLOCK), jax.random.split(key, blocks))
    return jax.tree.map(lambda leaf: leaf.reshape(-1)[:count], draws)


def _sample_block(key: Key, law: Law, count: int) -> PathQuadratics:
    degrees = (law.residual_df, law.num_mediators)
    gaussian = law.exposure == "gaussian"
    draws = base_draws(key, *degrees, count, law.exposure_strength.dtype, gaussian=gaussian)
    return quadratics_at(draws, law)


@pytree
class BaseDraws:
    """The random numbers of `count` replicates, which depend on m and p alone; leaves [count].

    `quadratics_at` turns them into quadratics at any strengths, alignment and residual sd: many
    candidate laws are compared on the same numbers.
    """

    normals: Array  # [4, count]
    length_ss: Array  # chi-square with m degrees of freedom
    exposure_rest: Array  # p - 2
    wishart_rest: Array  # m - p + 1
    outcome_rest: Array  # p - 2
    residual: Array  # m - p
    exposure: Array | None  # m + 1, of a Gaussian exposure


def base_draws(
    key: Key,
    residual_df: Array,
    num_mediators: Array,
    count: int,
    dtype: jnp.dtype,
    *,
    gaussian: bool = False,
) -> BaseDraws:
    """Normals and chi-squares behind `count` replicates; the key is consumed."""
    m, p = residual_df, num_mediators
    key_normal, key_chi = jax.random.split(key)
    normals = jax.random.normal(key_normal, (4, count), dtype)
    degrees = jnp.maximum(jnp.stack([m, p - 2, m - p + 1, p - 2, m - p, m + 1][: 5 + gaussian]), 0)
    # A loop, not one call with six df: the generator is compiled once and its df stays a scalar.
    draws: Array = lax.map(
        lambda args: chi_square(args[0], args[1], (count,), dtype),
        (jax.random.split(key_chi, 5 + gaussian), degrees),
    )
    lengths, exposures, wisharts, outcomes, residuals = draws[:5]
    exposure = draws[5] if gaussian else None
    return BaseDraws(normals, lengths, exposures, wisharts, outcomes, residuals, exposure)


def quadratics_at(draws: BaseDraws, law: Law) -> PathQuadratics:
    """The path quadratics that the law makes of the draws, leaves [count]."""
    m, p, sigma = law.residual_df, law.num_mediators, law.residual_sd
    n1, n2, n3, n4 = draws.normals
    dtype, count = n1.dtype, n1.shape[0]
    several = p >= 2
    length_ss, wishart_rest = draws.length_ss, draws.wishart_rest
    tau = jnp.broadcast_to(law.exposure_ss, (count,))
    if draws.exposure is not None:
        tau = law.exposure_ss / (m + 1) * draws.exposure
    root_tau = jnp.sqrt(tau)
    shift = root_tau * law.exposure_strength
    across = sqrt(1 - law.alignment * law.alignment)

    first = shift * law.alignment + n1
    spread = 1 + first * first / length_ss
    second = jnp.sqrt(spread) * n2 + shift * across
    rest_ss = divide(second * second + spread * draws.exposure_rest, wishart_rest)
    a1 = first / jnp.sqrt(length_ss)
    a2 = sqrt(jnp.where(several, rest_ss, jnp.zeros_like(rest_ss)))
    y1 = law.outcome_strength * jnp.sqrt(length_ss) + sigma * n3
    y2 = several.astype(dtype) * sigma * n4
    y3_ss = sigma * sigma * draws.outcome_rest
    residual_ss = sigma * sigma * draws.residual

    # The paths are (a1, a2, 0) and (y1, y2, sqrt(y3_ss)); the cross product gives the sine.
    q_aa, q_ay, q_yy = a1 * a1 + a2 * a2, a1 * y1 + a2 * y2, y1 * y1 + y2 * y2 + y3_ss
    area = a1 * y2 - a2 * y1
    lengths = jnp.sqrt(q_aa) * jnp.sqrt(q_yy)
    code = status.when((p > m) | (p < 1) | (m < 1), status.NOT_IN_DUAL)

    def exists(value: Array) -> Array:
        return jnp.where(code == status.OK, value, jnp.nan)

    return PathQuadratics(
        exposure_exposure=exists(q_aa),
        exposure_outcome=exists(q_ay),
        outcome_outcome=exists(q_yy),
        residual_ss=exists(residual_ss),
        exposure_ss=exists(tau),
        cosine=exists(divide(q_ay, lengths)),
        sine=exists(divide(jnp.sqrt(area * area + q_aa * y3_ss), lengths)),
        residual_df=jnp.broadcast_to(m, (count,)),
        dimension=jnp.broadcast_to(jnp.minimum(p, m), (count,)),
        status=jnp.broadcast_to(code, (count,)),
        notes=jnp.zeros(count, jnp.uint32),
    )
