"""A new estimator in one file: regression of the outcome on principal components of the mediators.

Run it as `python examples/components.py`; docs/write_an_estimator.md explains the parts.
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
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Estimator, Key, pytree


@pytree
class ComponentsDetails:
    """What only this method knows; d = min(components, n, p)."""

    shares: Array  # [d] of the variance of the standardised mediators given exposure, covariates
    next_over_last: Array  # [] first eigenvalue left out over the last one used; 1: arbitrary
    df: Array  # [] residual degrees of freedom


@in_safe_units
def components_regression(*, components: int = 3, level: float = 0.95) -> Estimator:
    """Reduced-rank outcome regression: the mediators act through their first components only.

    Mediators z have standard deviation 1 given the covariates. Loadings V are the first principal
    components of what exposure and covariates leave of z; the outcome is regressed on exposure,
    covariates and the scores z V of the mediators themselves (scores of the residuals would turn
    the direct effect into the total). Estimand: the effects in that model, beta = V gamma in
    mediator units; what acts outside the span of V is direct.

    Exact: direct + alpha'beta is the total effect of least squares, whatever the components; with
    Gaussian errors the standard errors of direct effect and beta, given the mediators, where the
    outcome depends on them through V. First order: the indirect effect's error, a delta method
    given the loadings. Missing: the sampling of loadings and scales; errors are too small where
    eigenvalues on either side of the cut are close (`details.next_over_last` near 1).

    Args:
      components: number k of components; with k >= p it is least squares on all mediators.
      level: of the intervals.
    Returns:
      Estimator, deterministic; works with more mediators than rows.
    Raises:
      ValueError: components below 1 or no whole number; a level outside (0, 1).
    Source: Massy (1965), JASA 60; loadings given the exposure: this file.
    """
    if components < 1 or components != int(components):
        raise ValueError(f"components must be a whole number from 1 on, not {components}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")

    def estimate(key: Key | None, data: jaxmed.MediationData) -> Estimate:
        del key
        legs = legs_of(rows_of(data))
        w, n = legs.rows.weights, legs.rows.count
        rows, p = legs.mediators.shape
        d = min(int(components), rows, p)
        # Squares given covariates are those given the exposure too, and what the exposure explains.
        slope = jnp.where(legs.constant, 0, legs.alpha.estimate)
        size = sqrt((matmul(w, legs.mediators**2) + legs.exposure_ss * slope**2) / n)
        z = divide(legs.mediators, size[None, :])
        x = sqrt(w / n)[:, None] * z
        values, vectors = jnp.linalg.eigh(gram(x if p <= rows else x.T))  # ascending
        values, top = values[::-1], vectors[:, ::-1][:, :d]
        present = values[:d] > max(rows, p) * jnp.finfo(values.dtype).eps * values[0]
        variance = jnp.where(present, values[:d], 0)
        loadings = top if p <= rows else divide(matmul(x.T, top), sqrt(variance)[None, :])

        gamma = divide(matmul(matmul(w * legs.outcome, z), loadings) / n, variance)
        b = matmul(loadings, gamma)
        residual = legs.outcome - matmul(z, b)
        df = n - 1 - legs.outcome_rank - jnp.sum(present, dtype=w.dtype)
        left, whole = jnp.sum(w * residual**2), jnp.sum(w * legs.outcome**2)
        sigma2 = jnp.where(no_residual(left, whole), 0, left) / df
        inverse = divide(1.0, n * variance)  # covariance of gamma over sigma2, a diagonal

        # Effects on z, so that products with b are in outcome units; constant mediators have none.
        alpha = divide(slope, size)
        outcome_alpha = divide(jnp.where(legs.constant, 0, legs.outcome_alpha), size)
        path = matmul(jnp.where(jnp.isfinite(legs.noise), legs.noise, 0), divide(b, size))
        alpha_part = jnp.sum(w * path**2) / (legs.alpha.df * legs.exposure_ss)

        def covariance(left: Array, right: Array) -> Array:
            return sigma2 * jnp.sum(matmul(left, loadings) * inverse * matmul(right, loadings))

        variances = EffectVariances(
            direct=sigma2 / legs.outcome_exposure_ss + covariance(outcome_alpha, outcome_alpha),
            indirect=covariance(alpha, alpha) + alpha_part,
            covariance=-covariance(alpha, outcome_alpha),
        )
        beta = Leg(
            jnp.where(legs.constant, jnp.nan, divide(b, size)),
            sqrt(sigma2 * matmul(loadings**2, inverse)) * divide(1.0, size, jnp.nan),
            df,
        )
        shares = divide(variance, jnp.sum(x**2))
        after = values[d] if d < values.shape[0] else jnp.zeros((), values.dtype)
        return assemble(
            direct=legs.total - jnp.sum(outcome_alpha * b),
            indirect=jnp.sum(alpha * b),
            variances=variances,
            mediators=mediator_effects(legs.alpha, beta, legs.reason, level=level),
            selected=~legs.constant,
            status=st.combine(legs.status, st.when(df <= 0, st.TOO_FEW_ROWS)),
            details=ComponentsDetails(shares, divide(after, variance[-1]), df),
            level=level,
            method="normal, given the loadings",
            notes=st.note_when(jnp.any(~present), st.Note.SPAN_ONLY),
        )

    return estimate


def main() -> None:
    """Components beside least squares, where forty mediators follow three factors."""
    jax.config.update("jax_enable_x64", True)
    load = jax.random.normal(jax.random.key(0), (40, 3))
    noise = jnp.linalg.cholesky(load @ load.T + jnp.eye(40))
    path = load @ jnp.array([0.5, 0.3, 0.2])
    kind = {"direct": 0.3, "lower": noise, "order": "exposure_first"}
    model = jaxmed.simulate.linear_sem(path, path / 40, **kind)
    data = jaxmed.simulate.sample(jax.random.key(1), model, 80)
    methods = {"ols": jaxmed.estimators.ols(), "components": components_regression()}
    print(f"true indirect effect {jaxmed.simulate.truth(model).total_indirect:.2f}")
    print(jaxmed.compare(data, methods, key=1, bootstrap=20).summary())


if __name__ == "__main__":
    main()
