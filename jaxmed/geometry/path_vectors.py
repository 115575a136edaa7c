"""The two path vectors of one data set, their angle and the numbers that follow from them."""

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.frames import DualFrame, PrimalFrame
from jaxmed.linalg.safe import divide, norm, sqrt, unit
from jaxmed.statistics.joint_factor import rounding
from jaxmed.typing import Array, Regime, pytree, static

# Sums of squares below so many times the smallest normal number have lost digits.
SMALLEST = 1024


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


def not_constant(weight_square: Array, weight: Array) -> Array:
    """Weights that sum to their count have that sum of squares only when all are one."""
    return jnp.asarray(weight_square) > jnp.asarray(weight) * (1 + 1e-5)


def has_total(status: Array, residual_df: Array) -> Array:
    """True where the total effect exists whatever the mediators are."""
    gone = (status == st.DEGENERATE_EXPOSURE) | (status == st.CONSTANT_OUTCOME)
    return ~gone & (residual_df >= 1)


def assemble_paths(
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
    total_exists: Array,
    frame: PrimalFrame | DualFrame,
    regime: Regime,
    route: str,
) -> Paths:
    """Paths with their angle and status; NaN where a status is fatal.

    Args:
      a: exposure path [k].
      y: outcome path [k].
      weights_a: weights of the exposure path.
      weights_y: weights of the outcome path.
      residual_ss: of the outcome given everything.
      tau: A'A given the covariates.
      cross: A'Y.
      outcome_ss: Y'Y.
      m: residual degrees of freedom n - 2 - q.
      r: dimension of the paths.
      condition: of the matrix that was factorised.
      status: int32, so far.
      notes: uint32.
      exact: whether the outcome is fitted exactly.
      total_exists: see `has_total`.
      frame: of the weights.
      regime: "primal" or "dual".
      route: by which they were computed.
    """
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
    lost = total_exists & (jnp.minimum(outcome_ss, tau) < least)
    status = st.combine(
        status, st.when(null & ~exact, st.NULL_PATH), st.when(lost, st.OUT_OF_RANGE)
    )
    fatal = st.is_fatal(status)

    def valid(x: Array) -> Array:
        return jnp.where(fatal, jnp.nan, x)

    def valid_total(x: Array) -> Array:
        return jnp.where(total_exists, x, jnp.nan)

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
