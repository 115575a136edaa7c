"""De-sparsified lasso: an initial lasso and one step along node-wise scores.

The free columns (base, and the exposure where it is given) are never penalised; what the scores
see of the columns is what these leave.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.estimators.parts.node_scores import (
    NodeScores,
    choose_penalty,
    interpolated_scores,
    node_design,
    node_scores,
    own_paths,
)
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.cross_validated import gaussian_lasso_cv, lasso_at, logistic_lasso_cv
from jaxmed.sparse.folds import assign_folds, given_folds
from jaxmed.sparse.likelihoods import LEAST_WEIGHT
from jaxmed.typing import Array, ArrayLike, Key, pytree, static

Family = Literal["gaussian", "binomial"]


@pytree
class Tuning:
    """What the de-sparsified lasso is run with; folds are used for penalties that are None."""

    node_folds: Array | None = None  # [n] int in 0..folds-1
    initial_folds: Array | None = None  # [n]
    lam_node: ArrayLike | None = None
    lam_initial: ArrayLike | None = None
    folds: int = static(default=10)
    num_penalties: int = static(default=100)
    interpolate: bool = static(default=False)
    robust: bool = static(default=False)
    family: str = static(default="gaussian")


def check_tuning(family: str, folds: int, num_penalties: int, fold_ids: object) -> None:
    """Raises ValueError for options that cannot be meant."""
    if family not in ("gaussian", "binomial"):
        raise ValueError(f'family must be "gaussian" or "binomial", not {family!r}')
    check_count("folds", folds, least=2)
    check_count("num_penalties", num_penalties, least=2)
    if fold_ids is not None and (not isinstance(fold_ids, tuple) or len(fold_ids) != 2):
        raise ValueError("fold_ids must be a pair (node-wise folds [n], folds of the initial fit)")


def draw_folds(
    key: Key | None,
    rows: int,
    folds: int,
    lam_node: ArrayLike | None,
    lam_initial: ArrayLike | None,
    fold_ids: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[Array | None, Array | None]:
    """Fold of every row for the node-wise and for the initial regressions; `key` is consumed.

    Raises:
      ValueError: folds are needed and there is neither a key nor `fold_ids`.
    """
    if fold_ids is not None:
        first, second = fold_ids
        return given_folds(first, folds), given_folds(second, folds)
    if lam_node is not None and lam_initial is not None:
        return None, None
    if key is None:
        raise ValueError(
            "cross-validation folds are drawn at random: pass a key, fold_ids, or both "
            "lam_node and lam_initial"
        )
    first, second = jax.random.split(key)
    return assign_folds(first, rows, folds), assign_folds(second, rows, folds)


@pytree
class InitialFit:
    """Lasso that the one step starts from."""

    coefficients: Array  # [d] original units
    free: Array  # [k] of the free columns
    penalty: Array  # [] on columns of unit variance (divisor n)
    status: Array  # []


def initial_fit(
    columns: Array, outcome: Array, free: Array, weights: Array, tuning: Tuning
) -> InitialFit:
    """Cross-validated lasso: one standard error rule (gaussian) or least deviance (binomial).

    Args:
      columns: penalised, [n, d].
      outcome: [n].
      free: unpenalised, [n, k], the first of them ones.
      weights: case weights [n].
      tuning: `lam_initial` is taken where given.
    """
    gaussian = tuning.family == "gaussian"
    if tuning.lam_initial is None:
        assert tuning.initial_folds is not None
        fit = gaussian_lasso_cv if gaussian else logistic_lasso_cv
        path = fit(
            columns,
            outcome,
            free[:, 1:],
            tuning.initial_folds,
            tuning.folds,
            weights=weights,
            num_penalties=tuning.num_penalties,
        )
        index = path.index_one_se if gaussian else path.index_minimum
        code = path.path_status[index]
        return InitialFit(
            path.coefficients[index], path.unpenalised[index], path.penalties[index], code
        )
    penalty = jnp.asarray(tuning.lam_initial, weights.dtype)
    found = lasso_at(columns, outcome, free[:, 1:], weights, penalty, tuning.family)
    return InitialFit(found.coefficients, found.unpenalised, penalty, found.status)


@pytree
class Debiased:
    """Coefficients of all columns with first-order normal errors.

    The error of `estimate` is sum_i w_i scores_i e_i to first order, and that of linear
    combinations likewise; `spread` holds w_i var(e_i).
    """

    estimate: Array  # [d]; NaN where the column is constant
    standard_error: Array  # [d]
    scores: Array  # [n, d] per original unit; 0 where the column is constant
    direct: Array  # [] of the exposure; NaN without one
    direct_scores: Array  # [n]
    spread: Array  # [n]
    sigma: Array  # [] noise level; 1 for binomial
    initial: InitialFit
    lam_node: Array  # []
    violation: Array  # [] of the node-wise regressions, relative to the penalty
    status: Array  # []


def debiased_lasso(
    columns: Array,
    outcome: Array,
    base: Array,
    weights: Array,
    tuning: Tuning,
    *,
    exposure: Array | None = None,
) -> Debiased:
    """De-sparsified lasso of the outcome on columns given base and exposure.

    Args:
      columns: [n, d].
      outcome: [n]; 0 or 1 for binomial, where coefficients are log odds.
      base: free columns [n, k], the first of them ones.
      weights: case weights [n] that count rows.
      tuning: folds, penalties and rules.
      exposure: a further free column [n] whose coefficient is wanted; its score comes from its
        own lasso on the columns given the base.
    Returns:
      Debiased. Regime: s log d / sqrt(n) small; first-order intervals.
    Source: van de Geer et al. (2014); rules as hdi's lasso.proj, baselines.md B2. sigma^2 is
      RSS / (n - k - number of nonzero).
    """
    free = base if exposure is None else jnp.concatenate([base, exposure[:, None]], axis=1)
    initial = initial_fit(columns, outcome, free, weights, tuning)
    predictor = matmul(free, initial.free) + matmul(columns, initial.coefficients)
    count = jnp.sum(weights)
    used = jnp.sum(initial.coefficients != 0) + free.shape[1]
    if tuning.family == "gaussian":
        error = outcome - predictor
        df = count - used.astype(count.dtype)
        sigma = sqrt(divide(jnp.sum(weights * error * error), jnp.maximum(df, 0), jnp.nan))
        few = st.when(df <= 0, st.TOO_FEW_ROWS)
    else:
        pi = jax.nn.sigmoid(predictor)
        root = jnp.sqrt(jnp.maximum(pi * (1 - pi), LEAST_WEIGHT))
        error, sigma = (outcome - pi) / root, jnp.ones((), predictor.dtype)
        columns, free, base = (root[:, None] * part for part in (columns, free, base))
        few = st.when(count <= used, st.TOO_FEW_ROWS)
        if exposure is None:
            # The release centres what it weighted instead of projecting the weighted ones out.
            error = error + matmul(free, initial.free)
            error = error - jnp.sum(weights * error) / count
            free = jnp.ones_like(base[:, :1])
        else:
            exposure = root * exposure

    design = node_design(free, columns, weights)
    paths = None
    if tuning.interpolate or tuning.lam_node is None:
        paths = own_paths(design, tuning.num_penalties)
    code = few
    if tuning.lam_node is None:
        assert tuning.node_folds is not None and paths is not None
        choice = choose_penalty(
            design, tuning.node_folds, tuning.folds, paths.pooled(tuning.num_penalties)
        )
        lam_node, code = choice.penalty, st.combine(few, choice.status)
    else:
        lam_node = jnp.asarray(tuning.lam_node, columns.dtype)
    if tuning.interpolate:
        assert paths is not None
        nodes = interpolated_scores(design, paths, lam_node)
    else:
        nodes = node_scores(design, lam_node)
    scores = nodes.scores * divide(1.0, design.scale)[None, :] / count
    spread = weights * (error * error if tuning.robust else sigma * sigma)
    present = design.scale > 0
    estimate = initial.coefficients + matmul(weights * error, scores)

    direct = jnp.full((), jnp.nan, predictor.dtype)
    direct_scores = jnp.zeros_like(predictor)
    if exposure is not None:
        nodes_direct, direct_scores = _exposure_scores(exposure, columns, base, weights, lam_node)
        direct = initial.free[-1] + jnp.sum(weights * error * direct_scores)
        code = st.combine(code, nodes_direct.status)
    return Debiased(
        jnp.where(present, estimate, jnp.nan),
        jnp.where(present, sqrt(matmul(spread, scores * scores)), jnp.nan),
        scores,
        direct,
        direct_scores,
        spread,
        sigma,
        initial,
        lam_node,
        nodes.violation,
        st.combine(code, initial.status, nodes.status),
    )


def _exposure_scores(
    exposure: Array, columns: Array, base: Array, weights: Array, penalty: Array
) -> tuple[NodeScores, Array]:
    """Scores [n] of the exposure, per original unit, from its lasso on the columns."""
    design = node_design(base, columns, weights)
    own = node_design(base, exposure[:, None], weights)
    nodes = node_scores(design, penalty, targets=own.columns)
    scores = nodes.scores * divide(1.0, own.scale)[None, :] / jnp.sum(weights)
    return nodes, scores[:, 0]
