"""Degrees of freedom of the two path tests where variances are unequal.

Both F statistics are functions of an R2 = w'Hw with H the projection on the mediators: w is the
unit exposure and H of the mediators given the covariates, or w is the unit residual of the outcome
and H of the mediators given the exposure too. Under a null path R2 = sum_ij h_i'h_j w_i w_j has
terms of mean zero off the diagonal whatever the variances are: mean mu = sum_i h_ii w_i^2 and
variance v = 2 sum_{i<>j} (h_ij w_i w_j)^2, the moments under changes of sign of rows. The Beta law
of these two moments is that of an F statistic with 2 mu s and 2 (1 - mu) s degrees of freedom,
s = mu (1 - mu)/v - 1; with equal variances these are p and m - p but for terms of order 1/n.
"""

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.paths import Paths
from jaxmed.inference.rows import residual_rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array

__all__ = ["effective_degrees"]

# Of mu and of v / (mu (1 - mu)): what a single row that carries everything may leave.
LARGEST = 0.999


def effective_degrees(paths: Paths, data: MediationData) -> tuple[Array, Array]:
    """Numerator and denominator degrees of freedom, each [2]: exposure path, outcome path.

    Args:
      paths: primal paths of `data`.
      data: the same rows.
    Raises:
      ValueError: dual paths.
    Source: Box (1954) for the idea of matched moments, and the moments of sign changes of
      independent rows; own derivation. Approximate, and the better the more evenly the rows
      contribute; measured in docs/methods.md.
    """
    if paths.regime == "dual":
        raise ValueError("these tests need a residual: p <= n - 3 - q mediators")
    rows = residual_rows(data)
    path, tau = paths.exposure_path, paths.exposure_ss
    exposure = rows.exposure
    given_covariates = paths.frame.whitened(rows.mediators.T).T  # type: ignore[union-attr]
    outcome = rows.outcome - exposure * divide(exposure @ rows.outcome, tau)
    leverage = jnp.sum(rows.basis**2, axis=1)
    # Whitened by what is left given the exposure, the mediators given the covariates have the Gram
    # matrix I + aa'/tau; times this symmetric root of its inverse they are a basis.
    square = jnp.sum(path**2)
    shrink = divide(1 - divide(1.0, sqrt(1 + divide(square, tau))), square)
    along = matmul(given_covariates, path)
    basis = given_covariates - shrink * along[:, None] * path[None, :]
    given_exposure = given_covariates - (exposure[:, None] * path[None, :]) * divide(1.0, tau)
    of_exposure = _degrees(basis, exposure, leverage)
    of_outcome = _degrees(given_exposure, outcome, leverage + divide(exposure**2, tau))
    numerator, denominator = (jnp.stack(pair) for pair in zip(of_exposure, of_outcome, strict=True))
    return numerator, denominator


def _degrees(basis: Array, response: Array, leverage: Array) -> tuple[Array, Array]:
    """Degrees of freedom of the R2 of a response [n] on an orthonormal basis [n, p].

    Both are residuals with this leverage [n], which the squares of the response are freed of.
    """
    left = jnp.maximum(1 - leverage, jnp.finfo(leverage.dtype).eps)
    squares = divide(response**2, jnp.sum(response**2)) / left
    own = squares * jnp.sum(basis**2, axis=1)
    mean = jnp.clip(jnp.sum(own), 0, LARGEST)
    gram = matmul(basis.T, squares[:, None] * basis)
    variance = 2 * jnp.maximum(jnp.sum(gram**2) - jnp.sum(own**2), 0)
    most = mean * (1 - mean)
    size = divide(most, jnp.minimum(variance, LARGEST * most)) - 1
    return 2 * mean * size, 2 * (1 - mean) * size
