"""Regression of the outcome on the score M alpha-hat with random effects of all mediators.

With G = Z0 Z0'/p of the mediators given intercept and covariates, tau = A'A and alpha-hat =
Z0'A/tau, the score Z0 alpha-hat is p G A/tau. The model of the outcome given exposure A and
mediators is Y = c A + gamma p G A/tau + g + e with g ~ N(0, lambda s2 G) and e ~ N(0, s2 I). Its
likelihood of contrasts orthogonal to [1, covariates, A] is that of the kernel of the mediators
given A as well, and needs no decomposition of it: with V = I + lambda G and P = V^-1 -
V^-1 A A'V^-1 / A'V^-1 A, the inner products of contrasts are x'Py, and the determinant of their
variance is that of V times A'V^-1 A / tau. With G decomposed once these are weighted sums over
rows, so that every lambda of every permuted exposure is one entry of one matrix product.
"""

import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

__all__ = ["RandomEffectsFit", "RowSpectrum", "random_effects_fit", "row_spectrum"]

STEPS_A_DECADE = 8
# Of lambda, in units of 1 / (mean eigenvalue): 0, and 1e-3 to 1e4.
GRID = np.concatenate([[0.0], 10.0 ** (np.arange(57) / STEPS_A_DECADE - 3)])


@pytree
class RowSpectrum:
    """Eigenvalues and vectors of G = Z0 Z0'/p, p mediators given intercept and covariates."""

    values: Array  # [n] ascending, in units of their mean over the m + 1 that are not 0 by design
    vectors: Array  # [n, n]
    scale: Array  # [] that mean, mediator units squared
    residual_df: Array  # [] m = n - 2 - q, rows of weight zero left out


@pytree
class RandomEffectsFit:
    """REML fit of B exposures; sums are of the unit exposure, the unit outcome and values of G."""

    statistic: Array  # [B] T of gamma, Student's t with m - 1 degrees of freedom
    variance_ratio: Array  # [B] lambda times the mean eigenvalue: variance of g over that of e
    score_score: Array  # [B] v'Pv of the score v = G a - (a'Ga) a
    score_outcome: Array  # [B] v'Py
    error_variance: Array  # [B] s2
    share: Array  # [B] a'Ga
    trace: Array  # [B] trace of GP


def row_spectrum(kernel: Array, residual_df: Array) -> RowSpectrum:
    """Decomposes Z0 Z0' [n, n] / p, whose null space holds intercept, covariates and absent rows.

    Args:
      kernel: divided by the number of mediators; finite.
      residual_df: [] m.
    """
    n = kernel.shape[0]
    scale = divide(jnp.trace(kernel), residual_df + 1)
    values, vectors = jnp.linalg.eigh(divide(kernel, scale))
    # Rounding in the null space would count as variance there, lambda times.
    inside = jnp.arange(n, dtype=kernel.dtype) >= n - 1 - residual_df
    return RowSpectrum(jnp.where(inside, jnp.maximum(values, 0), 0), vectors, scale, residual_df)


def random_effects_fit(spectrum: RowSpectrum, exposures: Array, outcome: Array) -> RandomEffectsFit:
    """REML over 0 and 57 values of lambda, then one parabola step in log lambda.

    The step is kept between the two neighbours; there is none beside 0 and at the upper end.

    Args:
      spectrum: of the mediators.
      exposures: [n, B] residuals on intercept and covariates.
      outcome: [n] residual on intercept and covariates, of any exposure.
    """
    values, df = spectrum.values, spectrum.residual_df
    x = matmul(spectrum.vectors.T, exposures)
    x = divide(x, sqrt(jnp.sum(x**2, axis=0))[None, :])
    y = matmul(spectrum.vectors.T, outcome[:, None])
    y = divide(y, sqrt(jnp.sum(y**2)))
    share = jnp.sum(values[:, None] * x**2, axis=0)
    # The score without its part along the exposure, which changes no contrast: with eigenvalues
    # that are nearly equal (p far above n) that part would take the digits of the difference.
    v = (values[:, None] - share[None, :]) * x
    columns = jnp.stack([x * x, x * v, v * v, x * y, v * y], axis=1)  # [n, 5, B]

    grid = jnp.asarray(GRID, values.dtype)
    weights = 1 / (1 + grid[:, None] * values[None, :])  # [L, n]
    n, _, b = columns.shape
    sums = matmul(weights, columns.reshape(n, 5 * b)).reshape(-1, 5, b)
    squares = matmul(weights, y**2)  # [L, 1]
    determinant = -jnp.sum(jnp.log(weights), axis=1)[:, None]
    likelihood = _log_likelihood(sums, squares, determinant, df)

    best = jnp.argmax(likelihood, axis=0)  # [B]
    last = len(GRID) - 1
    left, middle, right = (
        jnp.take_along_axis(likelihood, jnp.clip(best + k, 0, last)[None, :], axis=0)[0]
        for k in (-1, 0, 1)
    )
    offset = divide(0.5 * (left - right), left - 2 * middle + right)
    offset = jnp.where((best > 1) & (best < last), jnp.clip(offset, -0.5, 0.5), 0)
    ratio = grid[best] * jnp.asarray(10.0, values.dtype) ** (offset / STEPS_A_DECADE)

    w = 1 / (1 + ratio[None, :] * values[:, None])  # [n, B]
    found = jnp.sum(w[:, None, :] * columns, axis=0)
    vv, vy, yy = _contrasts(found[None], jnp.sum(w * y**2, axis=0)[None])
    vv, vy, yy = vv[0], vy[0], yy[0]
    error = jnp.maximum(yy - divide(vy**2, vv), 0) / jnp.maximum(df - 1, 1)
    certain = jnp.where(vy < 0, -jnp.inf, jnp.where(vy > 0, jnp.inf, 0))  # no error left
    return RandomEffectsFit(
        statistic=divide(vy, sqrt(vv * error), certain.astype(vy.dtype)),
        variance_ratio=ratio,
        score_score=vv,
        score_outcome=vy,
        error_variance=error,
        share=share,
        trace=jnp.sum(w * values[:, None], axis=0)
        - divide(jnp.sum(w**2 * values[:, None] * x**2, axis=0), found[0]),
    )


def _contrasts(sums: Array, squares: Array) -> tuple[Array, Array, Array]:
    """v'Pv, v'Py and y'Py [L, B] from weighted sums [L, 5, B] and y'V^-1 y [L, 1 or B]."""
    xx, xv, vv, xy, vy = (sums[:, k] for k in range(5))
    along = divide(xv, xx)
    return (
        jnp.maximum(vv - along * xv, 0),
        vy - along * xy,
        jnp.maximum(squares - divide(xy**2, xx), 0),
    )


def _log_likelihood(sums: Array, squares: Array, determinant: Array, df: Array) -> Array:
    """REML log likelihood [L, B] but for a constant; -inf nowhere."""
    vv, vy, yy = _contrasts(sums, squares)
    tiny = float(jnp.finfo(vv.dtype).tiny)
    residual = jnp.maximum(yy - divide(vy**2, vv), tiny)
    terms = determinant + jnp.log(jnp.maximum(sums[:, 0], tiny)) + jnp.log(jnp.maximum(vv, tiny))
    return -0.5 * ((df - 1) * jnp.log(residual) + terms)
