"""The paths in the primal, from one triangular factor of moments or rows."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.geometry.frames import PrimalFrame
from jaxmed.geometry.path_vectors import Paths, assemble_paths, has_total, not_constant
from jaxmed.linalg.triangular import condition_estimate, signs, solve_upper, solve_upper_transposed
from jaxmed.statistics.joint_factor import JointFactor, conditional_outcome, rounding
from jaxmed.typing import Array

# The Gram route loses eps * cond(S) of relative accuracy; above this loss the QR route is taken.
WORST_LOSS = {"float64": 1e-6, "float32": 1e-3}


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
    weighted = not_constant(factor.weight_square, factor.weight)
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
    return assemble_paths(
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
            st.note_when(jnp.any(~kept) & ~mixed & (rank > 0), st.Note.SPAN_ONLY),
            st.note_when(weighted, st.Note.WEIGHTED),
        ),
        exact,
        jnp.all(factor.kept[: q + 1]) & has_total(factor.status, factor.count - 2 - q),
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
