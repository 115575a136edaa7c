"""PCMA: mediation through principal components of the mediators."""

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.components import (
    component_estimate,
    components_of,
    kept_components,
)
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat
from jaxmed.estimators.parts.resampled import BootstrapInterval, check_interval
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import matmul
from jaxmed.typing import Estimator, Key


def check_components(components: int | None, share: float) -> None:
    """Raises ValueError for a number of components or a share that means nothing."""
    if components is not None and components < 1:
        raise ValueError(f"components must be at least 1, not {components}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}")


@in_safe_units
def pcma(
    *,
    components: int | None = None,
    share: float = 0.8,
    replicates: int = 1000,
    interval: BootstrapInterval = "bca",
    compat: Compat = "correct",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Effects through principal components of the mediators given exposure and covariates.

    Args:
      components: their number K; by `share` if None.
      share: of the mediators' residual variance that the components first reach.
      replicates: of the bootstrap; the loadings are held fixed in it.
      interval: "bca" or "percentile".
      compat: "correct" corrects bias and acceleration about the estimate by the jackknife, and
        inverts the interval for p; "r" as the release: about the mean of the draws, with an
        acceleration from the draws, 36 times too large for the sums; it stops for K = 1.
      covariates_mediator: of the exposure -> mediator models; all if None.
      covariates_outcome: of the outcome model; all if None. With different sets the components
        are only about uncorrelated, and the sum over them is approximate.
      level: of the intervals.
    Returns:
      Estimator; needs a key. `details` has one entry for each component computed (all min(n, p)
      unless `components` is given), of which the first K are kept; `mediators.beta` is
      loadings @ beta, so that the mediators' indirect effects add up to the whole.
    Raises:
      ReferenceWouldStop: compat="r" and one component.
    Source: Huang and Pan (2016), Biometrics 72, 402; hdmed 1.0.1 mediate_pcma. Components follow
      the mediators' variance and may miss what mediates: with K < p the direct effect keeps the
      rest. Errors are conditional on the loadings.
    """
    check_compat(compat)
    check_components(components, share)
    check_interval(interval, replicates)

    def fit(key: Key | None, data: MediationData) -> Estimate:
        legs = legs_of(rows_of(data, covariates_mediator, covariates_outcome))
        found = components_of(legs, components)
        kept = kept_components(found, components, share)
        return component_estimate(
            key,
            legs,
            found.loadings,
            matmul(legs.rows.mediators, found.loadings),
            kept,
            found.share,
            replicates=replicates,
            interval=interval,
            level=level,
            release=compat == "r",
        )

    return fit
