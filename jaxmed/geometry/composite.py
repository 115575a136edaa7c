"""A composite mediator Mw and its effects, from the two paths alone."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.door import at_the_door
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide, norm, sqrt
from jaxmed.typing import Array, pytree


@pytree
class CompositeMediator:
    """Weights and effects of one composite, in sample.

    The composite is scaled to variance 1 given the covariates (divisor n - 1 - q) and oriented so
    that its exposure effect is positive. direct + indirect = total holds exactly. In-sample effects
    of optimised weights flatter; `inference.indirect_interval` debiases them.
    """

    # [p] per unit of each mediator; row coefficients [n] where the paths keep no mediators
    weights: Array
    exposure_effect: Array  # alpha: composite sd per unit of exposure
    outcome_effect: Array  # beta: outcome per composite sd, given the exposure
    indirect: Array  # alpha * beta, outcome per unit of exposure
    direct: Array  # effect of the exposure given the composite
    total: Array  # effect of the exposure
    index: Array  # mediation index cor(A, M) cor(M given A, Y), in [-1, 1]
    exposure_correlation: Array  # cor(A, M) given the covariates
    outcome_correlation: Array  # semi-partial cor(M given A, Y)
    status: Array  # int32; RESTRICTED for an optimum in the dual
    notes: Array | np.uint32 = st.NO_NOTES  # uint32 bits, see `status.Note`

    @property
    def proportion_mediated(self) -> Array:
        """Indirect / total; NaN where the total effect is exactly zero, unstable near it."""
        return divide(self.indirect, self.total, jnp.nan)

    @property
    def sign(self) -> Array:
        """+1 for concordant (alpha and beta agree), -1 for suppression, 0 for none."""
        return jnp.sign(self.indirect)


def plane_composite(paths: Paths, along_exposure: Array, along_outcome: Array) -> CompositeMediator:
    """The composite whose coordinates are a combination of the two path vectors.

    Args:
      paths: the two paths a and y.
      along_exposure: scalar c of the direction c a + d y.
      along_outcome: scalar d.
    Returns:
      CompositeMediator; a zero direction gives zero weights and effects.
    """
    direction = along_exposure * paths.exposure_path + along_outcome * paths.outcome_path
    weights = along_exposure * paths.exposure_weights + along_outcome * paths.outcome_weights
    # Opposed paths cancel: what rounding leaves of them is no direction.
    size = norm(along_exposure * paths.exposure_path) + norm(along_outcome * paths.outcome_path)
    there = norm(direction) > 64 * float(jnp.finfo(direction.dtype).eps) * size
    direction, weights = jnp.where(there, direction, 0), jnp.where(there, weights, 0)
    composite = _composite(paths, direction, weights)
    if paths.regime == "primal":
        return composite
    # In the dual an optimum over the plane is one over the row space, not over all weights.
    return dataclasses.replace(
        composite,
        status=st.combine(composite.status, st.RESTRICTED),
        notes=st.combine_notes(composite.notes, jnp.uint32(st.Note.RESTRICTED.value)),
    )


@at_the_door()
def evaluate_weights(paths: Paths, weights: Array) -> CompositeMediator:
    """Effects of any given weights on the data (or moments) behind `paths`.

    Args:
      paths: of the data to evaluate on, for instance a hold-out set.
      weights: [p] per unit of each mediator; only their direction matters.
    Returns:
      CompositeMediator with the weights rescaled and oriented.
    Raises:
      ValueError: weights of another length.
    """
    if weights.shape[-1] != paths.exposure_weights.shape[-1]:
        raise ValueError(
            f"{weights.shape[-1]} weights for {paths.exposure_weights.shape[-1]} mediators"
        )
    weights = jnp.asarray(weights, paths.exposure_path.dtype)
    return _composite(paths, paths.frame.coordinates(weights), weights)


def _composite(paths: Paths, direction: Array, weights: Array) -> CompositeMediator:
    length = norm(direction)
    coordinates = divide(direction, length)
    root_tau = sqrt(paths.exposure_ss)
    along_a = jnp.sum(coordinates * divide(paths.exposure_path, root_tau))
    along_y = jnp.sum(coordinates * paths.outcome_path)
    orientation = jnp.where(along_a < 0, -1.0, 1.0)
    along_a, along_y = orientation * along_a, orientation * along_y
    # M'M = |u|^2 + (a'u)^2 / tau with |u| = 1; the composite's sd has divisor n - 1 - q = m + 1.
    stretch = sqrt(1.0 + along_a**2)
    sd = stretch / sqrt(paths.quadratics.residual_df + 1.0)
    alpha = divide(along_a, root_tau) / sd
    beta = along_y * sd
    indirect = divide(along_a * along_y, root_tau)
    exposure_correlation = along_a / stretch
    outcome_correlation = divide(along_y, sqrt(paths.outcome_ss))
    return CompositeMediator(
        weights=divide(orientation * weights, length) / sd,
        exposure_effect=alpha,
        outcome_effect=beta,
        indirect=indirect,
        direct=paths.total_effect - indirect,
        total=paths.total_effect,
        index=exposure_correlation * outcome_correlation,
        exposure_correlation=exposure_correlation,
        outcome_correlation=outcome_correlation,
        status=paths.status,
        notes=paths.notes,
    )
