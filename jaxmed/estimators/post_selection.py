"""Least squares on the mediators that one lasso selected: what not to report."""

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts import supports as sp
from jaxmed.estimators.parts.basis import Basis, check_basis, with_basis
from jaxmed.estimators.parts.effects_of_record import answer, check_level
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.partially_linear import Variance, check_variance, outcome_fit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.typing import Array, Estimator, Key, pytree


@pytree
class PostSelectionDetails:
    """The selected set."""

    outcome: sp.Support  # predict the outcome given the exposure: BIC
    df: Array  # [] of the outcome model


@in_safe_units
def post_selection(
    *,
    basis: Basis = "given",
    num_penalties: int = 40,
    penalty_ratio: float = 0.02,
    patience: int = 10,
    variance: Variance = "path_sum",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Lasso of the outcome, BIC, least squares on the selected as if they had been known.

    NOT VALID UNDER WEAK SIGNALS. A mediator that is missed moves its share of the indirect effect
    to the direct one, and the intervals do not know: they cover only where every coefficient is
    far above the threshold of selection (.95), and .85-.93 with signals at a quarter of that, .60-
    .71 with a dense block of .15, .00 with thirty scattered ones. It is here for comparisons, and
    for the tests that make sure that `double_selection` is judged where this fails.

    Args:
      basis: of the covariates: "given" (as they are, or the columns of `covariate_basis`), a
        name of `covariate_basis`, or a function (covariates, weights) -> [n, r].
      num_penalties: of the grid.
      penalty_ratio: smallest over largest penalty.
      patience: penalties without a new minimum of BIC after which the path ends.
      variance: of the noise of alpha in the indirect effect: "difference" or "path_sum".
      covariates_mediator: names or positions, of the mediator models; all if None.
      covariates_outcome: names or positions, of the outcome model; all if None.
      level: of the intervals.
    Returns:
      Estimator; the key may be None. Nothing selected: EMPTY_SELECTION, and an indirect
      effect of 0 without error and interval.
    Source: specification of the intervals, sections 0 and 2, method (i).
    """
    check_basis(basis)
    check_variance(variance)
    check_level(level)
    if not 0 < penalty_ratio < 1 or num_penalties < 2 or patience < 1:
        raise ValueError(
            "penalty_ratio must lie between 0 and 1, num_penalties must be at least 2 and "
            "patience at least 1"
        )

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        rows = with_basis(rows_of(data, covariates_mediator, covariates_outcome), basis)
        legs = legs_of(rows)
        whole = sp.moments(sp.standardised(legs))
        outcome = sp.outcome_support(
            whole,
            rows.count,
            1 + legs.outcome_rank,
            num_penalties=num_penalties,
            ratio=penalty_ratio,
            patience=patience,
        )
        fit = outcome_fit(legs, outcome.selected, variance=variance)
        return answer(
            legs,
            fit,
            fit.beta,
            fit.beta_se,
            st.combine(
                st.when(~outcome.selected, st.NOT_SELECTED), st.when(fit.tied, st.RANK_DEFICIENT)
            ),
            selected=outcome.selected,
            details=PostSelectionDetails(outcome, fit.df),
            level=level,
            method="normal, HC2, as if the selected set had been known",
            status=outcome.status,
        )

    return estimate
