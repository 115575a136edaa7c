"""What the tables share: scores of tests and composites, counts, and z-scores of agreement."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from jaxmed.distributions.tails import f_upper
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import Paths
from jaxmed.inference.cosine_test import corrected_cosine_test, cosine_test
from jaxmed.inference.intersection_union import IntersectionUnionTest, intersection_union_test
from jaxmed.inference.joint_test import joint_test
from jaxmed.linalg.safe import divide
from jaxmed.sweeps.reducers import Measure, Rate
from jaxmed.sweeps.task import Scores

__all__ = [
    "AS_PRINTED",
    "QUADRATIC_TESTS",
    "composite_scores",
    "mean_z",
    "pair",
    "printed_intersection_union",
    "rate_pair",
    "rate_z",
    "scaled",
    "p_value_scores",
    "worst",
]

AS_PRINTED = "IUT as printed"

# Tests that need nothing but the path quadratics, so that they exist at every level.
QUADRATIC_TESTS: Mapping[str, Callable[[Any], Any]] = {
    "cosine": cosine_test,
    "corrected cosine": corrected_cosine_test,
    "joint": joint_test,
    "IUT": intersection_union_test,
}


def p_value_scores(test: Any, data: Any = None) -> Scores:
    """P-value and status of any test."""
    del data
    return {"p_value": test.p_value, "status": test.status}


def composite_scores(composite: CompositeMediator, data: Any = None) -> Scores:
    """Indirect effect, mediation index and status of a composite."""
    del data
    return {
        "indirect": composite.indirect,
        "index": composite.index,
        "status": composite.status,
    }


def printed_intersection_union(paths: Paths) -> IntersectionUnionTest:
    """The intersection-union test that reproduces the paper's column; for comparison only.

    Its outcome F statistic has the right numerator, q_YY / p, but takes the residual from the
    outcome itself instead of the outcome given the exposure: (Y'Y - q_YY) / (n - p - 1). What the
    exposure explains of the outcome is counted as noise, and the test is far too conservative
    wherever there is a direct effect or an indirect one. The exposure F statistic is the right one.

    Source: found by search among variants; He (2026), Table 3.
    """
    q = paths.quadratics
    right = intersection_union_test(paths)
    df = q.residual_df - q.dimension + 1
    statistic = divide(q.outcome_outcome * df, q.dimension * (paths.outcome_ss - q.outcome_outcome))
    p_outcome = f_upper(statistic, q.dimension, df)
    return IntersectionUnionTest(
        statistic_exposure=right.statistic_exposure,
        statistic_outcome=statistic,
        df_numerator=right.df_numerator,
        df_numerator_outcome=right.df_numerator,
        df_exposure=right.df_exposure,
        df_outcome=df,
        p_exposure=right.p_exposure,
        p_outcome=p_outcome,
        p_value=jnp.maximum(right.p_exposure, p_outcome),
        status=right.status,
    )


def scaled(count: int, scale: float, least: int = 20) -> int:
    """Replicates at a scale: count * scale, but at least `least`."""
    return max(least, round(count * scale))


def pair(measure: Measure) -> tuple[float, float]:
    """Mean and its Monte Carlo standard error."""
    return measure.mean, measure.standard_error


def rate_pair(rate: Rate) -> tuple[float, float]:
    """Rate and its Monte Carlo standard error."""
    return rate.rate, rate.standard_error


def rate_z(rate: Rate, other: float, other_count: int) -> float:
    """Z-score of a rate against one of another simulation, with the errors of both.

    The error of both is that of the pooled rate, which has a meaning at rates of 0 too.
    """
    pooled = (rate.rate * rate.count + other * other_count) / (rate.count + other_count)
    variance = pooled * (1 - pooled) * (1 / rate.count + 1 / other_count)
    # Two rates of 0, or of 1, agree.
    return (rate.rate - other) / math.sqrt(variance) if variance > 0 else 0.0


def mean_z(measure: Measure, mean: float, sd: float, count: int) -> float:
    """Z-score of a mean against one of another simulation, with the errors of both."""
    return (measure.mean - mean) / math.hypot(measure.standard_error, sd / math.sqrt(count))


def worst(values: Mapping[Any, float]) -> tuple[Any, float]:
    """Key and value of the largest |z|."""
    return max(values.items(), key=lambda item: abs(item[1]))
