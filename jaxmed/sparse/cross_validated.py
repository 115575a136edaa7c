"""Cross-validated lasso with free covariates: gaussian and logistic.

Mediators are replaced by their residuals on [1, covariates] and scaled to unit variance
(divisor: total case weight), in every training set anew. The intercept and the covariates are never
penalised; with residual mediators the penalty does not depend on how they are coded.
Grid and rule follow glmnet: 100 penalties from the smallest that selects nothing down to 1e-4 of
it (1e-2 if p >= n), the same in all folds; glmnet may end its path early, this one never does.
"""

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.products import cross, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import fold_moments
from jaxmed.sparse.likelihoods import Binomial
from jaxmed.sparse.path import PathFit, largest_penalty, path, penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.proximal_newton import Problem, free_fit, likelihood_path
from jaxmed.sparse.quadratic import GramQuadratic, least_squares
from jaxmed.statistics.base_span import BaseSpan, base_span
from jaxmed.typing import Array, pytree, static

# Optimality, relative to the largest penalty: of the reported path and of the paths in folds.
FIT_TOLERANCE = 1e-9
FOLD_TOLERANCE = 1e-5
LOGISTIC_FOLD_TOLERANCE = 1e-4


@pytree
class LassoFit:
    """The lasso at one penalty."""

    coefficients: Array  # [p] outcome (or log odds) per unit of each mediator
    unpenalised: Array  # [1+q] intercept, covariates
    penalty: Array  # [] lambda, on mediators of unit residual variance
    num_selected: Array  # [] int32
    violation: Array  # [] optimality violation relative to the largest penalty
    status: Array  # [] int32; EMPTY_SELECTION where no mediator is selected

    def predict(self, mediators: Array, covariates: Array) -> Array:
        """Linear predictor [m] for rows mediators [m, p], covariates [m, q]."""
        fixed = self.unpenalised[0] + matmul(covariates, self.unpenalised[1:])
        return fixed + matmul(mediators, self.coefficients)


@pytree
class LassoPath:
    """The lasso along its penalties, and its cross-validated loss.

    The loss is the mean squared error (gaussian) or the mean binomial deviance (logistic).
    """

    penalties: Array  # [L] decreasing
    coefficients: Array  # [L, p]
    unpenalised: Array  # [L, 1+q]
    violation: Array  # [L]
    path_status: Array  # [L] int32
    loss: Array  # [L] mean over folds, weighted by fold size
    loss_error: Array  # [L] its standard error over folds

    @property
    def index_minimum(self) -> Array:
        """Position of lambda_min, the largest penalty of least loss."""
        return jnp.argmin(jnp.where(jnp.isfinite(self.loss), self.loss, jnp.inf))

    @property
    def index_one_se(self) -> Array:
        """Position of lambda_1se, the largest penalty within one standard error of the least."""
        best = self.index_minimum
        return jnp.argmax(self.loss <= self.loss[best] + self.loss_error[best])

    def at(self, index: Array) -> LassoFit:
        """The fit at one position of the path."""
        b = self.coefficients[index]
        selected = jnp.sum(b != 0).astype(jnp.int32)
        code = status.combine(
            self.path_status[index], status.when(selected == 0, status.EMPTY_SELECTION)
        )
        return LassoFit(
            b, self.unpenalised[index], self.penalties[index], selected, self.violation[index], code
        )


@pytree
class _Design:
    """Mediators ready for the descent, and the way back to original units."""

    columns: Array  # [p, n]
    scale: Array  # [p]
    loadings: Array  # [1+q, p] of the mediators on the free directions
    span: BaseSpan  # of [1, covariates]; its orthonormal directions are the free ones

    @property
    def free(self) -> Array:
        """Free directions, [n, 1+q]."""
        return self.span.orthonormal()[0]

    @property
    def to_free(self) -> Array:
        """[1+q, 1+q]: [1, covariates] @ to_free = free."""
        return self.span.orthonormal()[1]


@pytree
class _Problem:
    mediators: Array  # [n, p]
    outcome: Array  # [n]
    covariates: Array  # [n, q]
    weights: Array  # [n]
    count: int = static(default=100)

    @property
    def ratio(self) -> float:
        """Smallest over largest penalty."""
        n, p = self.mediators.shape
        return 1e-4 if n > p else 1e-2


def _tolerance(relative: float, largest: Array) -> Array:
    """Absolute tolerance that the dtype can reach."""
    reachable = 40 * jnp.finfo(largest.dtype).eps
    return jnp.maximum(relative, reachable).astype(largest.dtype) * largest


def _design(problem: _Problem, weights: Array) -> _Design:
    """Project [1, covariates] out under case weights that sum to 1."""
    ones = jnp.ones((problem.mediators.shape[0], 1), problem.mediators.dtype)
    base = jnp.concatenate([ones, problem.covariates], axis=1)
    # Directions without weight leave collinear covariates harmless (a level absent from a fold).
    span = base_span(base, weights)
    loadings, residual = span.onto(problem.mediators)
    variance = jnp.sum(weights[:, None] * residual**2, axis=0)
    raw = jnp.sum(weights[:, None] * problem.mediators**2, axis=0)
    # A column that the base explains up to rounding has no residual to select.
    eps = jnp.finfo(raw.dtype).eps
    scale = jnp.where(variance > (32 * eps) ** 2 * raw, sqrt(variance), 0)
    return _Design(divide(residual, scale).T, scale, loadings, span)


def _response(problem: _Problem, design: _Design, weights: Array) -> tuple[Array, Array]:
    """Coefficients [1+q] of the outcome on the free directions, and its residual [n]."""
    loadings, left_over = design.span.onto(problem.outcome[:, None])
    residual = left_over[:, 0]
    raw, left = (jnp.sum(weights * y**2) for y in (problem.outcome, residual))
    # What the base explains up to rounding must not be fitted as if it were signal.
    signal = left > (32 * jnp.finfo(raw.dtype).eps) ** 2 * raw
    return loadings[:, 0], jnp.where(signal, residual, 0)


def _aggregate(losses: Array, sizes: Array) -> tuple[Array, Array]:
    """Mean over folds and its standard error (glmnet's), from losses [K, L] and sizes [K]."""
    share = divide(sizes, jnp.sum(sizes))[:, None]
    mean = jnp.sum(share * losses, axis=0, keepdims=True)
    spread = jnp.sum(share * (losses - mean) ** 2, axis=0)
    return mean[0], jnp.sqrt(spread / (losses.shape[0] - 1))


def _checked(found: LassoPath, problem: _Problem, fold_status: Array) -> LassoPath:
    """Add the folds' status and turn non-finite input into NaN."""
    total = sum(jnp.sum(x) for x in (problem.mediators, problem.outcome, problem.covariates))
    finite = jnp.isfinite(total + jnp.sum(problem.weights))
    nan = jnp.where(finite, 0, jnp.nan).astype(found.loss.dtype)
    code = status.combine(
        found.path_status, jnp.max(fold_status), status.when(~finite, status.NONFINITE)
    )
    return LassoPath(
        found.penalties + nan,
        found.coefficients + nan,
        found.unpenalised + nan,
        found.violation + nan,
        code,
        found.loss + nan,
        found.loss_error + nan,
    )


def _gaussian_rows(
    problem: _Problem, weights: Array, penalties: Array | None, tolerance: float
) -> tuple[Array, Array, Array, PathFit]:
    """Path under case weights: penalties, coefficients, unpenalised, fit; rows or Gram form."""
    weights = weights / jnp.sum(weights)
    design = _design(problem, weights)
    intercepts, response = _response(problem, design, weights)
    ones = jnp.ones_like(design.scale)
    quadratic, residual = least_squares(design.columns, weights, response)
    if penalties is None:
        largest = largest_penalty(quadratic.score(residual), ones)
        penalties = penalty_grid(largest, problem.count, problem.ratio)
    limit = _tolerance(tolerance, penalties[0])
    fit = path(quadratic, residual, penalties, lambda v: L1(v * ones), tolerance=limit)
    b = divide(fit.coefficients, design.scale)
    free = intercepts[None, :] - matmul(b, design.loadings.T)
    return penalties, b, matmul(free, design.to_free.T), fit


def _moment_fold(
    moments: Array, held: Array, size: Array, penalties: Array, num_free: int
) -> tuple[Array, Array]:
    """Loss [L] on one fold from moments of [base, mediators, outcome] alone, and its status."""
    train = moments - held
    k = num_free
    pseudo = jnp.linalg.pinv(train[:k, :k], hermitian=True)
    onto = matmul(pseudo, train[:k, k:])
    rest = train[k:, k:] - cross(train[:k, k:], onto)
    # Training weight from the base, whose first column is the constant 1 / sqrt(n).
    total = 1 - size
    variance = jnp.diagonal(rest)[:-1] / total
    eps = jnp.finfo(rest.dtype).eps
    scale = jnp.where(variance > 1e3 * eps, sqrt(variance), 0)
    inverse = divide(1.0, scale)
    quadratic = GramQuadratic(rest[:-1, :-1] / total * inverse[:, None] * inverse[None, :])
    score = rest[:-1, -1] / total * inverse
    fit = path(
        quadratic,
        score,
        penalties,
        lambda v: L1(v * jnp.ones_like(score)),
        tolerance=_tolerance(FOLD_TOLERANCE, penalties[0]),
    )
    b = fit.coefficients * inverse[None, :]
    free = onto[None, :, -1] - matmul(b, onto[:, :-1].T)
    contrast = jnp.concatenate([-free, -b, jnp.ones((b.shape[0], 1), b.dtype)], axis=1)
    return jnp.sum(matmul(contrast, held) * contrast, axis=1) / size, jnp.max(fit.status)


def _gaussian_folds_by_moments(
    problem: _Problem, weights: Array, folds: Array, num_folds: int, penalties: Array
) -> tuple[Array, Array, Array]:
    """Losses [K, L], sizes [K], status [K]: training moments are total minus fold (n > p)."""
    design = _design(problem, weights)
    _, response = _response(problem, design, weights)
    rows = jnp.concatenate([design.free, design.columns.T, response[:, None]], axis=1)
    moments = fold_moments(jnp.sqrt(weights)[:, None] * rows, folds, num_folds)
    sizes = jnp.zeros(num_folds, weights.dtype).at[folds].add(weights)
    total = jnp.sum(moments, axis=0)
    losses, codes = jax.lax.map(
        lambda item: _moment_fold(total, item[0], item[1], penalties, design.free.shape[1]),
        (moments, sizes),
    )
    return losses, sizes, codes


def _gaussian_folds_by_rows(
    problem: _Problem, weights: Array, folds: Array, num_folds: int, penalties: Array
) -> tuple[Array, Array, Array]:
    """Losses [K, L], sizes [K], status [K], refitting the rows outside each fold (p >= n)."""

    def one(fold: Array) -> tuple[Array, Array, Array]:
        held = jnp.where(folds == fold, weights, 0)
        _, b, free, fit = _gaussian_rows(problem, weights - held, penalties, FOLD_TOLERANCE)
        predicted = free[:, :1] + matmul(free[:, 1:], problem.covariates.T)
        errors = problem.outcome[None, :] - predicted - matmul(b, problem.mediators.T)
        size = jnp.sum(held)
        return divide(matmul(errors**2, held), size), size, jnp.max(fit.status)

    return jax.lax.map(one, jnp.arange(num_folds, dtype=folds.dtype))


def _problem(
    mediators: Array, outcome: Array, covariates: Array, weights: Array | None, count: int = 1
) -> tuple[_Problem, Array]:
    """The lasso with a path of `count` penalties, and each row's share of the rows."""
    weights = jnp.ones(outcome.shape, outcome.dtype) if weights is None else weights
    problem = _Problem(mediators, outcome, covariates, weights, count)
    return problem, weights / jnp.sum(weights)


def gaussian_lasso_cv(
    mediators: Array,
    outcome: Array,
    covariates: Array,
    folds: Array,
    num_folds: int,
    *,
    weights: Array | None = None,
    num_penalties: int = 100,
) -> LassoPath:
    """Lasso of a continuous outcome on the mediators, penalty by K-fold cross-validation.

    Minimises 1/(2n) |y - f - Mb|^2 + lambda sum_j sd_j |b_j|, f free in [1, covariates].

    Args:
      mediators: [n, p].
      outcome: [n].
      covariates: [n, q]; q may be 0.
      folds: fold of every row, int [n] in 0..num_folds-1, e.g. `assign_folds`.
      num_folds: K >= 2, static.
      weights: case weights [n]; default equal.
      num_penalties: length of the grid, static.
    Returns:
      Path in original units; `at(index_minimum)` and `at(index_one_se)` are the usual choices.
    Source: Tibshirani (1996); grid, folds and rules as glmnet (Friedman et al., 2010).
    """
    problem, share = _problem(mediators, outcome, covariates, weights, num_penalties)
    penalties, b, free, fit = _gaussian_rows(problem, share, None, FIT_TOLERANCE)
    n, p = mediators.shape
    by = _gaussian_folds_by_moments if n > p else _gaussian_folds_by_rows
    losses, sizes, codes = by(problem, share, folds, num_folds, penalties)
    mean, error = _aggregate(losses, sizes)
    violation = divide(fit.violation, penalties[0])
    found = LassoPath(penalties, b, free, violation, fit.status, mean, error)
    return _checked(found, problem, codes)


def _logistic_fit(
    problem: _Problem, weights: Array, penalties: Array | None, tolerance: float
) -> tuple[Array, Array, Array, PathFit]:
    """Path under case weights: penalties, coefficients, unpenalised, fit."""
    weights = weights / jnp.sum(weights)
    design = _design(problem, weights)
    # Orthonormal free columns: their coding does not slow the descent down.
    columns = jnp.concatenate([design.free.T, design.columns])
    k = design.free.shape[1]
    factors = (jnp.arange(columns.shape[0]) >= k).astype(columns.dtype)
    data = Problem(columns, Binomial(problem.outcome, weights))
    limit = max(tolerance, 40 * float(jnp.finfo(columns.dtype).eps))
    state, score = free_fit(data, factors, tolerance=limit)
    if penalties is None:
        penalties = penalty_grid(largest_penalty(score, factors), problem.count, problem.ratio)
    fit = likelihood_path(
        data,
        state,
        penalties,
        lambda v: L1(v * factors),
        tolerance=_tolerance(tolerance, penalties[0]),
    )
    b = divide(fit.coefficients[:, k:], design.scale)
    free = fit.coefficients[:, :k] - matmul(b, design.loadings.T)
    return penalties, b, matmul(free, design.to_free.T), fit


def logistic_lasso_cv(
    mediators: Array,
    outcome: Array,
    covariates: Array,
    folds: Array,
    num_folds: int,
    *,
    weights: Array | None = None,
    num_penalties: int = 100,
) -> LassoPath:
    """Logistic lasso of a binary outcome on the mediators, penalty by K-fold cross-validation.

    Minimises -1/n log likelihood(f + Mb) + lambda sum_j sd_j |b_j|, f free in [1, covariates].

    Args:
      mediators: [n, p].
      outcome: [n], 0 or 1.
      covariates: [n, q]; q may be 0.
      folds: fold of every row, int [n] in 0..num_folds-1, e.g. `assign_folds`.
      num_folds: K >= 2, static.
      weights: case weights [n]; default equal.
      num_penalties: length of the grid, static.
    Returns:
      Path of log odds in original units; the loss is the mean binomial deviance. Status
      NOT_CONVERGED where covariates alone separate the outcome.
    Source: as `gaussian_lasso_cv`.
    """
    problem, share = _problem(mediators, outcome, covariates, weights, num_penalties)
    penalties, b, free, fit = _logistic_fit(problem, share, None, FIT_TOLERANCE)

    def one(fold: Array) -> tuple[Array, Array, Array]:
        held = jnp.where(folds == fold, share, 0)
        _, b, free, fit = _logistic_fit(problem, share - held, penalties, LOGISTIC_FOLD_TOLERANCE)
        predictor = free[:, :1] + matmul(free[:, 1:], covariates.T) + matmul(b, mediators.T)
        deviance = 2 * (jax.nn.softplus(predictor) - outcome * predictor)
        size = jnp.sum(held)
        return divide(matmul(deviance, held), size), size, jnp.max(fit.status)

    losses, sizes, codes = jax.lax.map(one, jnp.arange(num_folds))
    mean, error = _aggregate(losses, sizes)
    violation = divide(fit.violation, penalties[0])
    found = LassoPath(penalties, b, free, violation, fit.status, mean, error)
    return _checked(found, problem, codes)


def lasso_at(
    mediators: Array,
    outcome: Array,
    covariates: Array,
    weights: Array,
    penalty: Array,
    family: str,
) -> LassoFit:
    """The lasso at a given penalty.

    Args:
      mediators: [n, p].
      outcome: [n].
      covariates: [n, q]; q may be 0.
      weights: case weights [n].
      penalty: lambda, on mediators of unit residual variance, scalar.
      family: "gaussian" or "binomial".
    """
    problem, share = _problem(mediators, outcome, covariates, weights)
    solve = _gaussian_rows if family == "gaussian" else _logistic_fit
    _, b, free, fit = solve(problem, share, penalty[None], FIT_TOLERANCE)
    size = jnp.sum(b[0] != 0).astype(jnp.int32)
    return LassoFit(b[0], free[0], penalty, size, fit.violation[0] / penalty, fit.status[0])
