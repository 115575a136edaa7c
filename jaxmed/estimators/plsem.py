"""PLSEM: partially linear models with spline curves of the covariates, and the adaptive lasso."""

import functools
import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.calibration.joint_adjustment import check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.adaptive_lasso import (
    AdaptivePath,
    Initial,
    Problem,
    adaptive_path,
    check_initial,
    information,
    initial_coefficients,
    on_rows,
    problem_of,
)
from jaxmed.estimators.parts.basis import Basis, check_basis, spline_basis, with_basis
from jaxmed.estimators.parts.given_support import (
    Variance,
    check_support_variance,
    estimate_given_support,
)
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.folds import assign_folds
from jaxmed.typing import Array, Estimator, Key, pytree

Tuning = Literal["bic", "ebic", "cv"]
# "curves": the method's own splines of every covariate, see `knots` and `tensor`.
Curves = Literal["curves"] | Basis


@pytree
class PlsemDetails:
    """What PLSEM chose, and its path on mediators of unit residual standard deviation."""

    penalties: Array  # [L]
    criterion: Array  # [L] BIC, EBIC or mean cross-validated squared error; infinite: not followed
    index: Array  # [] of the chosen penalty
    num_selected: Array  # [] int32
    initial: Array  # [p] first-stage coefficients, outcome per mediator unit
    penalised: Array  # [p] adaptive lasso before the refit, outcome per mediator unit
    violation: Array  # [] optimality violation at the chosen penalty


@in_safe_units
def plsem(
    *,
    basis: Curves = "curves",
    knots: int | None = None,
    tensor: bool | Literal["full"] = False,
    tuning: Tuning = "bic",
    ebic_gamma: float = 0.5,
    folds: int = 10,
    init: Initial | Literal["auto"] = "auto",
    power: float = 1.0,
    num_penalties: int = 100,
    penalty_ratio: float = 1e-3,
    max_selected: int | None = None,
    variance: Variance = "sandwich",
    adjust: str = "bh",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Partially linear structural equations: spline curves, adaptive lasso, least-squares refit.

    Exposure, mediators and outcome are projected off a spline basis of the covariates; the
    adaptive lasso selects mediators with the exposure unpenalised; least squares on the selected
    gives effects and intervals.

    Args:
      basis: of the covariates: "curves", the method's own splines with `knots` and `tensor`;
        "given" for data of `covariate_basis`, as `jaxmed.compare` does; a name of it, or a
        function (covariates, weights) -> [n, r].
      knots: interior knots of each covariate; ceil(n^(1/5)) if None, n the rows of the data.
      tensor: products of two covariates: True for x_j x_k, "full" for those of their splines.
      tuning: "bic", "ebic" or "cv", the last with folds drawn from the key.
      ebic_gamma: in [0, 1]; the price of a mediator is log n + 2 gamma log p.
      folds: of the cross-validation; curves and initial coefficients come from all rows.
      init: coefficients behind the adaptive weights: "ols" (needs more rows than mediators and
        basis), "ridge" (generalised cross-validation), "lasso" (BIC), or "auto": "ols" with at
        least four rows for each of them, else "ridge".
      power: of the initial coefficients in the weights.
      num_penalties: length of the path.
      penalty_ratio: smallest over largest penalty.
      max_selected: the path ends beyond; n / log n, at most half the rows, if None.
      variance: "sandwich", or "classical" with equal spread.
      adjust: "none", "bonferroni", "bh", "hdmt" or "dact", over the selected mediators.
      covariates_mediator: of the mediator models; all if None.
      covariates_outcome: of the outcome model; all if None.
      level: of the intervals.
    Returns:
      Estimator; deterministic unless tuning is "cv". Intervals take the selection as given: they
      are valid where every mediator on a path is far above the threshold of selection, and too
      narrow where signals are weak. `details` is PlsemDetails.
    Raises:
      ValueError: an argument outside its range.
    Source: Cai, Zhu, Huang and Ghosh (2022, CSDA 174:107501), reconstructed from the description
      in Zhang et al. (2026): no code of it is public.
    """
    if basis != "curves":
        check_basis(basis)
    check_adjust(adjust)
    check_support_variance(variance)
    if init != "auto":
        check_initial(init)
    _check(tuning, ebic_gamma, folds, power, num_penalties, penalty_ratio, knots, max_selected)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        n, p = data.mediators.shape
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        if basis == "curves":
            count = math.ceil(n**0.2) if knots is None else knots
            curves = functools.partial(spline_basis, knots=count, tensor=tensor, kind="bspline")
            rows = with_basis(rows, curves)
        else:
            rows = with_basis(rows, basis)
        legs = legs_of(rows)
        first = _first_stage(init, n, p + 1 + rows.outcome_base.shape[1])
        limit = min(
            p, n // 2, max(1, int(n / math.log(n))) if max_selected is None else max_selected
        )
        problem, scale = problem_of(legs)
        initial, code = initial_coefficients(
            problem, first, num_penalties=num_penalties, ratio=penalty_ratio, limit=limit
        )
        factors = divide(1.0, jnp.abs(initial) ** power, jnp.inf)
        path = adaptive_path(problem, factors, num_penalties, penalty_ratio, limit)
        if tuning == "cv":
            if key is None:
                raise ValueError('tuning="cv" draws its folds at random: pass a key')
            criterion = _held_out(problem, path, assign_folds(key, n, folds), folds, limit)
        else:
            criterion = information(problem, path, ebic_gamma if tuning == "ebic" else 0.0)
        best = jnp.argmin(criterion)
        b = path.coefficients[best]
        # As many places as the path can fill; those selected come first.
        index = jnp.argsort(b == 0, stable=True)[:limit]
        details = PlsemDetails(
            path.penalties,
            criterion,
            best,
            jnp.sum(b != 0).astype(jnp.int32),
            divide(initial, scale),
            divide(b, scale),
            path.violation[best],
        )
        return estimate_given_support(
            legs,
            index,
            b[index] != 0,
            variance=variance,
            adjust=adjust,
            level=level,
            method=f"{variance}, given the selection",
            status=st.combine(code, path.status[best]),
            details=details,
        )

    return estimate


def _first_stage(init: str, n: int, columns: int) -> Initial:
    if init == "auto":
        return "ols" if n >= 4 * columns else "ridge"
    if init == "ols" and n <= columns:
        raise ValueError(
            f'init="ols" needs more rows than the {columns} columns of exposure, basis and '
            f'mediators, there are {n}: pass init="ridge" or "lasso"'
        )
    return init  # pyright: ignore[reportReturnType]  (checked in the factory)


def _held_out(problem: Problem, path: AdaptivePath, fold: Array, folds: int, limit: int) -> Array:
    """Mean squared error [L] on held-out rows, with the penalties and weights of all rows."""

    def one(held: Array) -> tuple[Array, Array]:
        out = (fold == held).astype(problem.outcome.dtype)
        found = adaptive_path(
            on_rows(problem, 1 - out), path.factors, 0, 0.0, limit, path.penalties
        )
        error = problem.outcome - matmul(found.coefficients, problem.columns)
        return matmul(error**2, problem.weights * out), found.reached

    loss, reached = jax.lax.map(one, jnp.arange(folds))
    return jnp.where(path.reached & jnp.all(reached, axis=0), jnp.sum(loss, axis=0), jnp.inf)


def _check(
    tuning: str,
    gamma: float,
    folds: int,
    power: float,
    num: int,
    ratio: float,
    knots: int | None,
    limit: int | None,
) -> None:
    if tuning not in get_args(Tuning):
        raise ValueError(f"tuning must be one of {get_args(Tuning)}, not {tuning!r}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"ebic_gamma must lie in [0, 1], not {gamma}")
    check_count("folds", folds, least=2)
    if not power > 0:
        raise ValueError(f"power must be positive, not {power}")
    if num < 2:
        raise ValueError(f"num_penalties must be at least 2, not {num}")
    if not 0 < ratio < 1:
        raise ValueError(f"penalty_ratio must lie in (0, 1), not {ratio}")
    if knots is not None and knots < 0:
        raise ValueError(f"knots must be 0 or more, not {knots}")
    if limit is not None and limit < 1:
        raise ValueError(f"max_selected must be at least 1, not {limit}")
