"""Lasso-A and Lasso-Y composites: cross-validated penalised regressions on all mediators."""

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.from_weights import from_weights
from jaxmed.estimators.parts.kept import kept
from jaxmed.geometry.paths import Paths
from jaxmed.sparse.cross_validated import (
    LassoFit,
    LassoPath,
    gaussian_lasso_cv,
    logistic_lasso_cv,
)
from jaxmed.sparse.folds import assign_folds
from jaxmed.typing import Array, ArrayLike, Estimator, Key

Family = Literal["gaussian", "binomial"]
Rule = Literal["min", "1se"]


def family_of(response: ArrayLike) -> Family:
    """Binomial for a response of zeros and ones, gaussian for any other."""
    return "binomial" if np.isin(np.asarray(response), (0, 1)).all() else "gaussian"


@kept
def lasso_exposure(
    *,
    folds: int = 10,
    rule: Rule = "min",
    family: Family = "gaussian",
    route: str = "auto",
    level: float = 0.95,
) -> Estimator:
    """Composite of the lasso of the exposure on the mediators: an ageing clock.

    Args:
      folds: of the cross-validation; the estimator needs a key for them.
      rule: "min", the penalty of least cross-validated loss, or "1se".
      family: "gaussian", or "binomial" for a 0/1 exposure.
      route: of the paths that the composite is evaluated on, see `geometry.paths`.
      level: of the interval of the total effect.
    Returns:
      Estimator; covariates are not penalised. `details.rule` is the LassoFit. Nothing selected:
      zero weights and effects with EMPTY_SELECTION.
    Source: He (2026) section 8, Lasso-Age.
    """
    return _lasso("exposure", folds, rule, family, route, level)


@kept
def lasso_outcome(
    *,
    folds: int = 10,
    rule: Rule = "min",
    family: Family = "gaussian",
    route: str = "auto",
    level: float = 0.95,
) -> Estimator:
    """Composite of the lasso of the outcome on the mediators, the exposure left out.

    Arguments and result as `lasso_exposure`. Source: He (2026) section 8, Lasso-Y.
    """
    return _lasso("outcome", folds, rule, family, route, level)


def _lasso(
    target: str, folds: int, rule: Rule, family: Family, route: str, level: float
) -> Estimator:
    if rule not in ("min", "1se"):
        raise ValueError(f'rule must be "min" or "1se", not {rule!r}')
    if family not in ("gaussian", "binomial"):
        raise ValueError(f'family must be "gaussian" or "binomial", not {family!r}')
    check_count("folds", folds, least=2)
    fit = gaussian_lasso_cv if family == "gaussian" else logistic_lasso_cv

    def weights(key: Key | None, data: MediationData, _: Paths) -> tuple[Array, Array, LassoFit]:
        if key is None:
            raise ValueError("cross-validation folds are drawn at random: pass a key")
        n = data.exposure.shape[0]
        response = data.exposure if target == "exposure" else data.outcome
        path: LassoPath = fit(
            data.mediators,
            response,
            data.covariates,
            assign_folds(key, n, folds),
            folds,
            weights=data.weights,
        )
        chosen = path.at(path.index_minimum if rule == "min" else path.index_one_se)
        return jnp.asarray(chosen.coefficients), chosen.status, chosen

    return from_weights(weights, route=route, level=level)
