"""The exposure path and the outcome path in whitened coordinates, and the angle between them."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import is_traced
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.linalg.dependent import null_free
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, norm, sqrt, unit
from jaxmed.linalg.triangular import (
    condition_estimate,
    pivot_ratio,
    signs,
    solve_upper,
    solve_upper_transposed,
)
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics, kernel_scale
from jaxmed.statistics.joint_factor import (
    JointFactor,
    conditional_outcome,
    factor_moments,
    factor_rows,
    rounding,
)
from jaxmed.typing import Array, Regime, pytree, static

# The Gram route loses eps * cond(S) of relative accuracy; above this loss the QR route is taken.
WORST_LOSS = {"float64": 1e-6, "float32": 1e-3}
# Sums of squares below so many times the smallest normal number have lost digits.
SMALLEST = 1024
# What a Gram matrix says that the rows know better, as does a dependent mediator.
UNSURE = (st.ILL_CONDITIONED, st.RANK_DEFICIENT, st.DEGENERATE_EXPOSURE, st.CONSTANT_OUTCOME)


@pytree
class PrimalFrame:
    """Whitened coordinates of a weight vector w are L'w, L from the joint factor."""

    upper: Array  # [p, p] L' of unit-length mediators
    length: Array  # [p] their lengths
    # [p] bool, False for a mediator that depends linearly on exposure, covariates and those before
    kept: Array

    def coordinates(self, weights: Array) -> Array:
        """Z w in p whitened coordinates, 0 for mediators not kept: |coordinates|^2 = w'Sw."""
        return jnp.where(self.kept, matmul(self.upper, self.length * weights), 0)

    def whitened(self, products: Array) -> Array:
        """L^-1 Z'V [p, k] from products Z'V [p, k] of the mediators with k columns."""
        scaled = divide(products, self.length[:, None])
        return jnp.where(self.kept[:, None], solve_upper_transposed(self.upper, scaled), 0)

    def weights(self, coordinates: Array) -> Array:
        """Weights [p, k] of coordinates [p, k], of smallest norm in standardised mediators."""
        basic = solve_upper(self.upper, jnp.where(self.kept[:, None], coordinates, 0))
        return divide(matmul(null_free(self.upper, self.kept), basic), self.length[:, None])


@pytree
class DualFrame:
    """Coordinates of a weight vector are the n residuals Z w themselves."""

    mediators: Array | None  # [n, p]
    exposure: Array  # [n]
    exposure_ss: Array  # []

    def coordinates(self, weights: Array) -> Array:
        """Z w, the composite residualised on exposure and covariates."""
        if self.mediators is None:
            raise ValueError("these paths were computed without keeping the mediators")
        score = matmul(self.mediators, weights)
        return score - self.exposure * divide(jnp.sum(self.exposure * score), self.exposure_ss)


@pytree
class Paths:
    """Two path vectors of k coordinates: k = p in the primal, k = n in the dual.

    For any weights w with coordinates u = Z w: alpha = a'u / tau, beta = y'u / |u|^2 and
    w'Sw = |u|^2, where a is the exposure path and y the outcome path.
    """

    exposure_path: Array  # [k] a, exposure units
    outcome_path: Array  # [k] y, outcome units
    # weights w with Z w = a: [p], or row coefficients [n] where mediators are not kept
    exposure_weights: Array
    outcome_weights: Array  # weights w with Z w = y
    quadratics: PathQuadratics
    exposure_outcome: Array  # A'Y given the covariates
    outcome_ss: Array  # Y'Y given the covariates
    half_sum: Array  # P = |a/|a| + y/|y||, 2 cos(angle/2)
    half_difference: Array  # M = |a/|a| - y/|y||, 2 sin(angle/2)
    # estimated condition number of S (primal) or of the kernel (dual), columns of unit length
    condition: Array
    frame: PrimalFrame | DualFrame
    regime: Regime = static(default="primal")
    route: str = static(default="gram")

    @property
    def status(self) -> Array:
        """Int32 status of the paths themselves."""
        return self.quadratics.status

    @property
    def notes(self) -> Array | np.uint32:
        """Uint32 notes of the paths themselves."""
        return self.quadratics.notes

    @property
    def cosine(self) -> Array:
        """Cosine of the angle between the paths."""
        return self.quadratics.cosine

    @property
    def angle(self) -> Array:
        """Angle between the paths in radians, accurate near 0 and pi."""
        return 2.0 * jnp.arctan2(self.half_difference, self.half_sum)

    @property
    def exposure_ss(self) -> Array:
        """Tau = A'A given the covariates."""
        return self.quadratics.exposure_ss

    @property
    def total_effect(self) -> Array:
        """A'Y / tau: outcome per unit of exposure given the covariates."""
        return divide(self.exposure_outcome, self.exposure_ss, jnp.nan)

    @property
    def exposure_norm(self) -> Array:
        """|a| in exposure units."""
        return norm(self.exposure_path)

    @property
    def outcome_norm(self) -> Array:
        """|y| in outcome units."""
        return norm(self.outcome_path)


def regime_of(num_rows: int, num_mediators: int, num_covariates: int) -> Regime:
    """Primal iff p <= n - 2 - q: the rank of the residualised mediators is min(p, n-2-q)."""
    return "primal" if num_mediators <= num_rows - 2 - num_covariates else "dual"


def paths(data: MediationData | CrossMoments, *, route: str = "auto") -> Paths:
    """The two path vectors of one data set, by the regime that its shape dictates.

    Args:
      data: rows, or their moments (primal only).
      route: "gram" (one Cholesky factorisation of the moments), "qr" (of the rows; primal only),
        or "auto": Gram, then QR where the estimated condition number says that the Gram matrix is
        unreliable. The choice needs a concrete number, so that under jit "auto" is "gram" with
        status ILL_CONDITIONED where QR would have been taken. In the dual there is one route.
    Returns:
      Paths; fatal trouble is NaN with the reason in `status`. Linearly dependent mediators are
      computed on their span in the primal (note SPAN_ONLY, r their rank); `total_effect` exists
      wherever exposure, outcome and covariates allow it.
    Raises:
      ValueError: moments with p > n-2-q (from a concrete count), or an unknown route.
    Source: He (2026) eqs. 6-9, 21-23, with rank n-2-q instead of n-1 in the dual. Exact algebra.
    """
    if route not in ("auto", "gram", "qr"):
        raise ValueError(f'route must be "auto", "gram" or "qr", not {route!r}')
    if isinstance(data, CrossMoments):
        _require_primal(data)
        return primal_paths(factor_moments(data))
    n, p = data.mediators.shape
    if regime_of(n, p, data.covariates.shape[1]) == "dual":
        return dual_paths(dual_statistics(data))
    return primal(data, route)[1]


def primal(data: MediationData, route: str = "auto") -> tuple[JointFactor, Paths]:
    """Joint factor and paths of primal data, by the Gram or the QR route; see `paths`."""
    if route == "qr":
        factor = factor_rows(data)
        return factor, primal_paths(factor)
    factor = factor_moments(cross_moments(data))
    result = primal_paths(factor)
    if route == "auto" and needs_rows(result):
        return primal(data, "qr")
    return factor, result


def needs_rows(result: Paths) -> bool:
    """True where a concrete Gram result is too near to dependence for its precision."""
    if is_traced(result.status):
        return False
    return result.route == "gram" and (
        int(result.status) in UNSURE or bool(int(result.quadratics.notes) & st.Note.SPAN_ONLY)
    )


def _require_primal(moments: CrossMoments) -> None:
    p, q = moments.num_mediators, moments.num_covariates
    if is_traced(moments.count):
        return  # primal_paths answers with status TOO_FEW_ROWS
    count = int(moments.count)
    if p > count - 2 - q:
        raise ValueError(
            f"moments determine the paths only while p <= n - 2 - q, here {p} > {count} - 2 - {q}: "
            "pass the MediationData (the dual needs the rows), or fewer mediators"
        )


def primal_paths(factor: JointFactor) -> Paths:
    """Paths from one joint triangular factor (statistics.joint_factor)."""
    q, mediators = factor.num_covariates, factor.mediators
    exposure_unit, outcome_unit = factor.length[q], factor.length[-1]
    length, kept = factor.length[mediators], factor.kept[mediators]
    frame = PrimalFrame(factor.upper[mediators, mediators], length, kept)
    upper = frame.upper
    rank = jnp.sum(kept).astype(upper.dtype)
    covector = factor.upper[q, q] * factor.upper[q, mediators]
    both = jnp.stack([covector, signs(length.shape[0], upper.dtype)], axis=1)
    forward = solve_upper_transposed(upper, both)
    mixed = _exposure_in_span(factor, forward[:, 0])
    forward = jnp.where(kept[:, None], forward, 0)
    a, y = forward[:, 0], jnp.where(kept, factor.upper[mediators, -1], 0)
    probe = solve_upper(upper, forward[:, 1:])[:, 0]
    alone = jnp.where(kept, upper, jnp.eye(length.shape[0], dtype=upper.dtype))
    condition = condition_estimate(alone, forward[:, 1], probe)
    tau, cross, outcome_ss = conditional_outcome(factor)
    residual_ss = factor.upper[-1, -1] ** 2
    given_exposure = jnp.sum(y * y) + residual_ss
    tolerance = 100 * rounding(upper.dtype)
    no_outcome = given_exposure <= tolerance * outcome_ss
    residual_df = jnp.asarray(factor.count - 2 - q, upper.dtype) - rank
    no_residual = (residual_ss <= jnp.maximum(1e-10, tolerance) * given_exposure) & (
        residual_df > 0
    )
    exact = no_residual | no_outcome
    y = jnp.where(no_outcome, 0.0, y)
    loss = WORST_LOSS[upper.dtype.name]
    weighted = _not_constant(factor.weight_square, factor.weight)
    status = st.combine(
        factor.status,
        st.when(rank == 0, st.CONSTANT_MEDIATOR),
        st.when(mixed, st.RANK_DEFICIENT),
        st.when(weighted, st.WEIGHTED),
        st.when(
            (condition * rounding(upper.dtype) > loss) & (factor.route == "gram"),
            st.ILL_CONDITIONED,
        ),
        st.when(exact, st.ZERO_RESIDUAL),
    )
    weights = frame.weights(jnp.stack([a, y], axis=1))
    return _assemble(
        a * exposure_unit,
        y * outcome_unit,
        weights[:, 0] * exposure_unit,
        weights[:, 1] * outcome_unit,
        jnp.where(exact, 0.0, residual_ss) * outcome_unit**2,
        tau * exposure_unit**2,
        cross * exposure_unit * outcome_unit,
        outcome_ss * outcome_unit**2,
        jnp.asarray(factor.count - 2 - q, upper.dtype),
        rank,
        condition,
        status,
        st.combine_notes(
            st.note_when(jnp.any(~kept), st.Note.SPAN_ONLY),
            st.note_when(weighted, st.Note.WEIGHTED),
        ),
        exact,
        jnp.all(factor.kept[: q + 1]) & _has_total(factor.status, factor.count - 2 - q),
        frame,
        "primal",
        factor.route,
    )


def _exposure_in_span(factor: JointFactor, forward: Array) -> Array:
    """True where a mediator is a combination of the exposure with other mediators.

    No effect at fixed mediators exists then. A mediator that exposure and covariates determine
    alone is left out, as one is that they do not move.

    Args:
      factor: of the columns.
      forward: L^-1 Z'A, not yet zero for mediators left out: there the part of the exposure in them
        that the others do not account for.
    """
    q, mediators = factor.num_covariates, factor.mediators
    lost, eps = ~factor.kept[mediators], rounding(forward.dtype)
    noise = 100 * eps * factor.upper.shape[0]
    own = jnp.sum(factor.columns[mediators, mediators] ** 2, axis=0)
    return jnp.any(lost & (own > noise) & (jnp.abs(forward) > 10 * noise**0.5 * factor.upper[q, q]))


def dual_paths(stats: DualStatistics) -> Paths:
    """Paths of n coordinates from the kernel (statistics.dual_stats); one n x n factorisation.

    `exposure_weights` and `outcome_weights` are row coefficients x [n] (weights = X'x) where the
    statistics do not keep the mediators.
    """
    scale = kernel_scale(stats)
    kernel, basis = jnp.asarray(stats.kernel), jnp.asarray(stats.basis)
    a, y = jnp.asarray(stats.exposure), jnp.asarray(stats.outcome)
    absent = jnp.asarray(stats.row_weights) == 0
    full = divide(kernel, scale) + matmul(basis, basis.T) + jnp.diag(absent.astype(kernel.dtype))
    upper = jax.scipy.linalg.cholesky(full, lower=False)

    def solve(b: Array) -> Array:  # Kc^-1 b for b [n, k]
        return divide(solve_upper(upper, solve_upper_transposed(upper, b)), scale)

    tau, cross, outcome_ss = jnp.sum(a * a), jnp.sum(a * y), jnp.sum(y * y)
    v = solve(jnp.stack([a, signs(a.shape[0], a.dtype)], axis=1))
    probe, v = v[:, 1], v[:, 0]
    av = jnp.sum(a * v)
    path_a = -divide(v - a * divide(av, tau), av) * tau
    path_y = y - a * divide(cross, tau)
    exact = jnp.sum(path_y**2) <= 100 * rounding(y.dtype) * outcome_ss
    path_y = jnp.where(exact, 0.0, path_y)
    x = solve(jnp.stack([path_a, path_y], axis=1))
    x = x - v[:, None] * divide(a @ x, av)
    x = x - a[:, None] * divide(a @ x, tau)
    if stats.mediators is not None:
        x = matmul(jnp.asarray(stats.mediators).T, x)
    n, q = a.shape[0], basis.shape[1] - 1
    count = n - jnp.sum(absent)
    m = (count - 2 - q).astype(a.dtype)
    pivot = pivot_ratio(upper)
    weights = jnp.asarray(stats.row_weights)
    weighted = _not_constant(jnp.sum(weights**2), jnp.sum(weights))
    status = st.combine(
        stats.status,
        st.when(
            jnp.any(jnp.isnan(upper)) | (pivot**2 <= 4 * n * rounding(a.dtype)), st.RANK_DEFICIENT
        ),
        st.when(weighted, st.WEIGHTED),
        st.when(exact, st.ZERO_RESIDUAL),
        st.when(m < 1, st.TOO_FEW_ROWS),
    )
    spread = signs(n, a.dtype)
    condition = divide(jnp.sum(probe**2), jnp.sum(probe * spread), jnp.inf) * jnp.max(
        jnp.sum(jnp.abs(kernel), axis=1)
    )
    return _assemble(
        path_a,
        path_y,
        x[:, 0],
        x[:, 1],
        jnp.asarray(jnp.nan, a.dtype),
        tau,
        cross,
        outcome_ss,
        m,
        jnp.minimum(m, stats.num_mediators),
        condition,
        status,
        st.note_when(weighted, st.Note.WEIGHTED),
        exact,
        (stats.status != st.RANK_DEFICIENT) & _has_total(stats.status, m),
        DualFrame(stats.mediators, a, tau),
        "dual",
        "kernel",
    )


def _not_constant(weight_square: Array, weight: Array) -> Array:
    """Weights that sum to their count have that sum of squares only when all are one."""
    return jnp.asarray(weight_square) > jnp.asarray(weight) * (1 + 1e-5)


def _has_total(status: Array, residual_df: Array) -> Array:
    """True where the total effect exists whatever the mediators are."""
    gone = (status == st.DEGENERATE_EXPOSURE) | (status == st.CONSTANT_OUTCOME)
    return ~gone & (residual_df >= 1)


def _assemble(
    a: Array,
    y: Array,
    weights_a: Array,
    weights_y: Array,
    residual_ss: Array,
    tau: Array,
    cross: Array,
    outcome_ss: Array,
    m: Array,
    r: Array,
    condition: Array,
    status: Array,
    notes: Array,
    exact: Array,
    has_total: Array,
    frame: PrimalFrame | DualFrame,
    regime: Regime,
    route: str,
) -> Paths:
    unit_a, norm_a = unit(a)
    unit_y, norm_y = unit(y)
    q_aa = divide(norm_a, sqrt(tau)) ** 2
    # A path is null where it is smaller than the rounding of the numbers it was computed from.
    noise = (a.shape[0] * rounding(a.dtype)) ** 2
    null = (q_aa <= noise) | (norm_y**2 <= noise * outcome_ss)
    plus, minus = norm(unit_a + unit_y), norm(unit_a - unit_y)
    cosine = jnp.where(null, 0.0, (plus - minus) * (plus + minus) / 4)
    sine = jnp.where(null, 1.0, plus * minus / 2)
    # An outcome fitted exactly has no path that a test could call null.
    least = SMALLEST * float(jnp.finfo(a.dtype).tiny)
    lost = has_total & (jnp.minimum(outcome_ss, tau) < least)
    status = st.combine(
        status, st.when(null & ~exact, st.NULL_PATH), st.when(lost, st.OUT_OF_RANGE)
    )
    fatal = st.is_fatal(status)

    def valid(x: Array) -> Array:
        return jnp.where(fatal, jnp.nan, x)

    def valid_total(x: Array) -> Array:
        return jnp.where(has_total, x, jnp.nan)

    quadratics = PathQuadratics(
        valid(q_aa),
        valid(cosine * norm_y * sqrt(q_aa)),
        valid(norm_y**2),
        valid(residual_ss),
        valid_total(tau),
        valid(cosine),
        valid(sine),
        m,
        r,
        status,
        notes,
    )
    return Paths(
        valid(a),
        valid(y),
        valid(weights_a),
        valid(weights_y),
        quadratics,
        valid_total(cross),
        valid_total(outcome_ss),
        valid(plus),
        valid(minus),
        condition,
        frame,
        regime,
        route,
    )
