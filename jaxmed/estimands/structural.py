"""The partially linear structural equations with the influence of every row on every estimate.

    M_k = a_k T + g_k(X) + e_k,    Y = c T + b.M + g_0(X) + e

given a basis of the covariates X. A quantity that is a smooth function of a, b and c has the
influence that the chain rule gives; the sum of squares over rows is its variance, the sum of
products the covariance of two, whatever the spread of the errors. In the directions that a
quantity depends on the equations of the mediators and of the outcome are both fitted, so that a
small error in either curve enters as a product only (Neyman orthogonality).

Source: Frisch-Waugh-Lovell; MacKinnon and White (1985), HC2 for the outcome equation, HC3 for the
mediator equations, as in `estimators.parts.partially_linear`; selection of what moves a target
after Belloni, Chernozhukov and Hansen (2014).
"""

from dataclasses import replace
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import is_traced
from jaxmed.estimators.parts import supports as sp
from jaxmed.estimators.parts.basis import Basis, check_basis, with_basis
from jaxmed.estimators.parts.effects_of_record import FEW, check_level
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.partially_linear import half_squares, over_slack
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.parts.span import factor, singular
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.sparse.folds import assign_folds
from jaxmed.statistics.cross_moments import UNNAMED
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "Adjust",
    "LeastSquares",
    "Structural",
    "check_options",
    "legs_with",
    "mean_of",
    "on_mediators",
    "select",
    "settled",
    "structural",
    "uses_all",
]

Adjust = Literal["auto", "all", "selected", "sparse"]
GRID = {"num_penalties": 40, "ratio": 0.02, "patience": 10}
FOLDS = 5


def check_options(adjust: str, basis: Basis, level: float) -> None:
    """Raises ValueError for an unknown option."""
    if adjust not in get_args(Adjust):
        raise ValueError(f"adjust must be one of {get_args(Adjust)}, not {adjust!r}")
    check_basis(basis)
    check_level(level)


def settled(data: MediationData, basis: Basis) -> tuple[MediationData, Basis]:
    """Data and basis for a program: without names, and with the columns that need numbers.

    New names are no new program. What "auto" chooses, and a function of the user's own, which may
    be made of NumPy, see concrete numbers, which a program has not.
    """
    data = replace(data, names=UNNAMED)
    concrete = callable(basis) and not is_traced(data.covariates, data.weights)
    if basis != "auto" and not concrete:
        return data, basis
    chosen = with_basis(rows_of(data), basis).outcome_base[:, 1:]
    return replace(data, covariates=chosen), "given"


def mean_of(weights: Array, values: Array) -> tuple[Array, Array]:
    """Mean of values [n], and its influence."""
    count = jnp.sum(weights)
    mean = jnp.sum(weights * values) / count
    return mean, sqrt(weights / (count * (count - 1))) * (values - mean)


def legs_with(data: MediationData, basis: Basis) -> Legs:
    """Exposure, mediators and outcome given a basis of the covariates."""
    return legs_of(with_basis(rows_of(data), basis))


def uses_all(adjust: str, legs: Legs) -> bool:
    """Whether the outcome equation has all mediators, known from shapes."""
    if adjust != "auto":
        return adjust == "all"
    n, p = legs.mediators.shape
    return n >= FEW * (p + legs.rows.outcome_base.shape[1])


@pytree
class LeastSquares:
    """One column on some of the mediators, all given basis and exposure."""

    coefficients: Array  # [p] 0 outside
    residual: Array  # [n]
    back: Array  # [n, p] coefficients = sum over rows of weight * back * column
    leverage: Array  # [n] basis and exposure included
    status: Array  # []

    @property
    def scores(self) -> Array:
        """Influence of the rows on the coefficients but for root weights and `back`, HC2; [n]."""
        size = sqrt(over_slack(self.residual**2, self.leverage))
        return jnp.sign(self.residual) * size


def on_mediators(legs: Legs, column: Array, selected: Array) -> LeastSquares:
    """Least squares of a column [n] on the mediators `selected` [p].

    Returns:
      LeastSquares; TOO_FEW_ROWS (NaN) where fewer than 2 degrees of freedom are left,
      RANK_DEFICIENT (NaN) where the selected are dependent.
    """
    w, (n, p) = legs.rows.weights, legs.mediators.shape
    # More columns than rows are never fitted: a fixed number of places is enough.
    index = jnp.argsort(~selected, stable=True)[: min(n, p)]
    inside = selected[index]
    columns = jnp.where(inside, legs.mediators[:, index], 0)
    size = sqrt(matmul(w, columns * columns))
    unit = divide(columns, size)
    lower = factor(gram(jnp.sqrt(w)[:, None] * unit), inside)
    half = solve_lower(lower, unit.T)
    # L'^-1 L^-1 x_i is the row of (X'WX)^-1 X' before its weight.
    back = jax.scipy.linalg.solve_triangular(lower.T, half, lower=False)
    back = divide(back, size[:, None])
    found = matmul(back, w * column)
    count = jnp.sum(selected)
    df = legs.rows.count - 1 - legs.outcome_rank - count.astype(w.dtype)
    few = st.when((df < 2) | (count > min(n, p)), st.TOO_FEW_ROWS)
    code = jnp.where(st.is_fatal(few), few, st.when(singular(lower), st.RANK_DEFICIENT))
    lost = jnp.where(st.is_fatal(code), jnp.nan, 0).astype(column.dtype)
    leverage = legs.outcome_span.leverages + half_squares(half)
    leverage = leverage + divide(legs.exposure**2, legs.exposure_ss)
    place = jnp.zeros(p, column.dtype).at[index]
    return LeastSquares(
        place.set(found) + lost,
        column - matmul(columns, found),
        jnp.zeros((n, p), column.dtype).at[:, index].set(back.T) + lost,
        leverage,
        code,
    )


@pytree
class Structural:
    """Both equations; an influence is a vector [n] of which the sum of squares is a variance."""

    legs: Legs
    selected: Array  # [p] bool, mediators of the outcome equation
    alpha: Array  # [p] a, 0 for constant mediators
    beta: Array  # [p] b, 0 outside the outcome equation
    direct: Array  # [] c
    residual: Array  # [n] of the outcome
    outcome: LeastSquares
    exposure_row: Array  # [n] influence on a_k is this times the noise of mediator k
    status: Array  # []

    def of_beta(self, weights: Array) -> Array:
        """Influence on weights'b for weights [p]."""
        root = jnp.sqrt(self.legs.rows.weights)
        return root * matmul(self.outcome.back, weights) * self.outcome.scores

    def of_alpha(self, weights: Array) -> Array:
        """Influence on weights'a for weights [p]."""
        return self.exposure_row * matmul(self.legs.noise, weights)

    def of_direct(self) -> Array:
        """Influence on c."""
        legs, root = self.legs, jnp.sqrt(self.legs.rows.weights)
        own = root * divide(legs.exposure, legs.exposure_ss) * self.outcome.scores
        return own - self.of_beta(self.alpha)

    def path(self, members: Array) -> tuple[Array, Array]:
        """The sum of a_k b_k over members [p] (bool), and its influence [n]."""
        inside = members.astype(self.alpha.dtype)
        a, b = self.alpha * inside, self.beta * inside
        return jnp.sum(a * b), self.of_beta(a) + self.of_alpha(b)


def structural(legs: Legs, selected: Array) -> Structural:
    """Both equations, with the mediators `selected` [p] (bool) in that of the outcome.

    Args:
      legs: from `legs_with`: both equations have the same covariates.
      selected: constant mediators are left out.
    """
    rows, t = legs.rows, legs.exposure
    selected = selected & ~legs.constant
    fit = on_mediators(legs, legs.outcome, selected)
    alpha = jnp.where(legs.constant, 0, legs.alpha.estimate)
    slack = legs.mediator_span.leverages + divide(t * t, legs.exposure_ss)
    row = jnp.sqrt(rows.weights) * divide(t, legs.exposure_ss)
    floor = 1e3 * jnp.finfo(t.dtype).eps
    row = jnp.where(1 - slack > floor, divide(row, 1 - slack), 0)
    direct = legs.total - jnp.sum(alpha * fit.coefficients)
    code = st.combine(legs.status, fit.status)
    return Structural(legs, selected, alpha, fit.coefficients, direct, fit.residual, fit, row, code)


def select(
    key: Key, legs: Legs, adjust: str, directions: Array, forced: Array
) -> tuple[Array, Array]:
    """Mediators of the outcome equation, for targets weights'b.

    Args:
      key: consumed, folds of the exposure's lasso.
      legs: of the rows.
      adjust: "all", "selected", "sparse" or "auto".
      directions: [J, p] weights of the targets.
      forced: [p] bool, in the equation whatever the lassos say.
    Returns:
      Selected [p] and a status. "selected" is the union of three lasso supports: mediators that
      predict the outcome (BIC), the exposure (cross-validated), and, for each target, the
      direction M_S (M_S'M_S)^-1 w_S of the mediators found so far along which the target moves
      (BIC): a mediator that is missed is neither in the outcome equation nor along the way.
      "sparse" is the first of the three alone: as precise as if the supports were known where all
      coefficients are far above the threshold of selection, and NOT VALID where some are near it.
    """
    usable = ~legs.constant
    if uses_all(adjust, legs):
        return usable, jnp.int32(st.OK)
    ready = sp.standardised(legs)
    whole = sp.moments(ready)
    free = 1 + legs.outcome_rank
    outcome = sp.outcome_support(whole, legs.rows.count, free, **GRID)
    if adjust == "sparse":
        return (outcome.selected | forced) & usable, outcome.status
    folds = assign_folds(key, legs.exposure.shape[0], FOLDS)
    parts = sp.moments_of_folds(ready, folds, FOLDS)
    exposure = sp.exposure_support(whole, parts, ready.alpha, rule="cv", inflation=1.25, **GRID)
    found = (outcome.selected | exposure.selected | forced) & usable

    def one(weights: Array) -> tuple[Array, Array]:
        near = on_mediators(legs, legs.outcome, found)
        along = matmul(near.back, jnp.where(found, weights, 0))
        return support_of(legs, ready, along, ~(found & (weights != 0)) & usable)

    more, codes = jax.lax.map(one, directions)
    code = st.combine(outcome.status, exposure.status, jnp.max(codes))
    return found | jnp.any(more, axis=0), code


def support_of(
    legs: Legs, ready: sp.Standardised, column: Array, allowed: Array
) -> tuple[Array, Array]:
    """Lasso support by BIC [p] of a column [n] on the mediators `allowed` [p], and its status.

    Args:
      legs: of the rows.
      ready: the same, standardised.
      column: given basis and exposure.
      allowed: others are left out.
    """
    share = ready.share
    size = sqrt(jnp.sum(share * column * column))
    scaled = jnp.sqrt(share) * divide(column, size)
    p = allowed.shape[0]
    columns = jnp.where(allowed, ready.rows[:, :p], 0)
    moments = sp.Moments(
        gram(columns),
        jnp.zeros(p, column.dtype),
        matmul(scaled, columns),
        jnp.ones((), column.dtype),
        jnp.sum(scaled * scaled),
        jnp.sum(share),
    )
    free = 1 + legs.outcome_rank
    found = sp.outcome_support(moments, legs.rows.count, free, **GRID)
    return found.selected & allowed, found.status
