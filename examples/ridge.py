"""A new estimator in one file: ridge regression of the outcome on all mediators.

Run it as `python examples/ridge.py`; docs/write_an_estimator.md explains it part by part.
"""

import jax
import jax.numpy as jnp

import jaxmed
from jaxmed import status as st
from jaxmed.estimators import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.exact import no_residual
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, ArrayLike, Estimator, Key, pytree


@pytree
class RidgeDetails:
    """What only this method knows."""

    lam: Array  # [] on mediators of mean square 1
    df: Array  # [] residual degrees of freedom


@in_safe_units
def ridge(
    *,
    lam: ArrayLike = 0.1,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """All mediators in one outcome model with a ridge penalty on their coefficients.

    Exposure and covariates are not penalised. Standard errors are those of the shrunken
    coefficients at a given penalty; they know nothing of the bias of shrinkage.

    Args:
      lam: penalty on the squares of the coefficients, for mediators of mean square 1 given
        covariates and exposure; a number or a traced scalar (a grid of penalties is a vmap).
      covariates_mediator: names or positions, of the mediator models; all if None.
      covariates_outcome: as the last, of the outcome model.
      level: of the intervals.
    Returns:
      Estimator, deterministic; works with more mediators than rows.
    Raises:
      ValueError: a level outside (0, 1); a covariate that the data do not have.
    Source: Hoerl and Kennard (1970), Technometrics 12.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")

    def estimate(key: Key | None, data: jaxmed.MediationData) -> Estimate:
        del key
        legs = legs_of(rows_of(data, covariates_mediator, covariates_outcome))
        w, n = legs.rows.weights, legs.rows.count
        # Columns z = m / size of mean square 1; constant mediators are zero columns and stay so.
        size = sqrt(matmul(w, legs.mediators**2) / n)
        z = divide(legs.mediators, size[None, :])
        inner = gram(sqrt(w)[:, None] * z) / n
        shrunk = inner + jnp.asarray(lam, inner.dtype) * jnp.eye(size.shape[0], dtype=w.dtype)
        inverse = jnp.linalg.inv(shrunk)
        hat = matmul(inverse, inner)
        b = matmul(inverse, matmul(w * legs.outcome, z) / n)

        residual = legs.outcome - matmul(z, b)
        df = n - 1 - legs.outcome_rank - jnp.trace(hat)
        left, whole = jnp.sum(w * residual**2), jnp.sum(w * legs.outcome**2)
        sigma2 = jnp.where(no_residual(left, whole), 0, left) / df
        spread = matmul(hat, inverse) / n  # covariance of b over sigma2

        # Effects on z, so that products with b are in outcome units; constant mediators have none.
        alpha = jnp.where(legs.constant, 0, divide(legs.alpha.estimate, size))
        outcome_alpha = jnp.where(legs.constant, 0, divide(legs.outcome_alpha, size))
        path = matmul(jnp.where(jnp.isfinite(legs.noise), legs.noise, 0), divide(b, size))
        alpha_part = jnp.sum(w * path**2) / (legs.alpha.df * legs.exposure_ss)

        def covariance(left: Array, right: Array) -> Array:
            return sigma2 * jnp.dot(left, matmul(spread, right))

        variances = EffectVariances(
            direct=sigma2 / legs.outcome_exposure_ss + covariance(outcome_alpha, outcome_alpha),
            indirect=covariance(alpha, alpha) + alpha_part,
            covariance=-covariance(alpha, outcome_alpha),
        )
        beta = Leg(
            jnp.where(legs.constant, jnp.nan, divide(b, size)),
            sqrt(sigma2 * jnp.diagonal(spread)) * divide(1.0, size, jnp.nan),
            df,
        )
        return assemble(
            direct=legs.total - jnp.sum(outcome_alpha * b),
            indirect=jnp.sum(alpha * b),
            variances=variances,
            mediators=mediator_effects(legs.alpha, beta, legs.reason, level=level),
            selected=~legs.constant,
            status=st.combine(legs.status, st.when(df <= 0, st.TOO_FEW_ROWS)),
            details=RidgeDetails(jnp.asarray(lam, w.dtype), df),
            level=level,
            method="normal, at a given penalty",
        )

    return estimate


def main() -> None:
    """Ridge beside least squares, on data with a known indirect effect."""
    jax.config.update("jax_enable_x64", True)
    effect = jnp.zeros(40).at[:5].set(0.4)
    model = jaxmed.simulate.linear_sem(effect, effect, direct=0.3, order="exposure_first")
    data = jaxmed.simulate.sample(jax.random.key(1), model, 150)
    methods = {"ols": jaxmed.estimators.ols(), "ridge": ridge(lam=0.02)}
    print(f"true indirect effect {jaxmed.simulate.truth(model).total_indirect:.2f}")
    print(jaxmed.compare(data, methods, key=1, bootstrap=20).summary())


if __name__ == "__main__":
    main()
