"""A score as the only mediator: how composites are judged on rows that they were not learned on."""

import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.marginal import marginal_effects, sums_from_factor
from jaxmed.estimators.regression import total_and_direct
from jaxmed.geometry.composite import evaluate_weights
from jaxmed.geometry.paths import primal
from jaxmed.statistics.score_ranks import area_under_curve, group_means
from jaxmed.typing import Array, ArrayLike


def predict_score(
    data: MediationData, score: Array | np.ndarray, slope: ArrayLike
) -> tuple[Array, Array]:
    """How a score predicts the outcome.

    Args:
      data: rows with their case weights; mediators are not looked at.
      score: [n].
      slope: of the score on the exposure, given the covariates.
    Returns:
      AUC of the score alone (NaN unless the outcome is 0/1), and outcome means [5] by fifths of
      the score given the exposure. On the host for host arrays.
    """
    rest = score - slope * data.exposure
    return (
        area_under_curve(score, data.outcome, data.weights),
        group_means(rest, data.outcome, data.weights),
    )


def judge_score(data: MediationData, level: float) -> dict[str, Array]:
    """The columns of He (2026), Table 4, for one score, as scalars.

    Args:
      data: rows to judge on, with the score as their one mediator (`single_mediator_data`), of
        either sign: correlations are oriented so that it grows with the exposure.
      level: of the interval of the indirect effect, which is valid on rows not learned on.

    Returns:
      "indirect", "index", "exposure_correlation", "outcome_correlation", "total",
      "proportion_mediated", "lower", "upper" (of the indirect effect), "slope" (of the score on the
      exposure), "status" (int32) of the composite, and "total_error", "total_lower", "total_upper",
      which say whether a proportion of the total effect means anything.
    """
    factor, result = primal(data, "gram")
    composite = evaluate_weights(result, jnp.ones(1, result.exposure_path.dtype))
    effects = marginal_effects(sums_from_factor(factor), level=level)
    limits = effects.interval
    whole, _ = total_and_direct(result, level=level)
    slope = effects.alpha[0]
    orientation = jnp.where(slope < 0, -1.0, 1.0)
    return {
        "indirect": composite.indirect,
        "index": composite.index,
        "exposure_correlation": orientation * composite.exposure_correlation,
        "outcome_correlation": orientation * composite.outcome_correlation,
        "total": composite.total,
        "proportion_mediated": composite.proportion_mediated,
        "lower": limits.lower[0],
        "upper": limits.upper[0],
        "slope": slope,
        "status": composite.status,
        "total_error": whole.standard_error,
        "total_lower": whole.interval.lower,
        "total_upper": whole.interval.upper,
    }
