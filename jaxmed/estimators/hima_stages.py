"""Stages of HIMA: candidates, penalised path, refit; for a continuous outcome."""

import dataclasses

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member, reasons, spread
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.refit import Refit, refit
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.estimators.parts.standardised import StandardisedGram, partial_gram
from jaxmed.sparse.bic_path import BicPath, PathSolver, bic_path, penalty_path
from jaxmed.sparse.likelihood_bic_path import LikelihoodPath
from jaxmed.sparse.shapes import Shape
from jaxmed.typing import Array, pytree


@pytree
class HimaTable:
    """The table that the release HIMA prints, leaves [p]; NaN for mediators it does not show.

    Scaled as the release does it: mediators, covariates and exposure (even a binary one) to unit
    standard deviation, the outcome not.
    """

    alpha: Array
    beta: Array  # penalised coefficient
    indirect: Array
    share: Array  # of |indirect| over all selected, before the cut
    p_value: Array  # the larger of the two, unadjusted


@pytree
class HimaDetails:
    """What only HIMA knows."""

    candidates: Array  # [d] positions of the screened mediators
    screening_p: Array  # [p]
    path: BicPath | LikelihoodPath  # of the candidates (compat "r": then exposure, covariates)
    penalised_beta: Array  # [p] coefficient of the penalised model, outcome per mediator unit
    refit_beta: Array  # [p] of the unpenalised refit; NaN where not selected
    chosen: Array  # [p] bool: non-zero in the penalised model
    significant: Array  # [p] bool: chosen, and adjusted joint significance at most `significance`
    table: HimaTable | None  # compat "r", flavor "hima"


@pytree
class Penalised:
    """The penalised stage of one data set."""

    path: BicPath
    beta: Array  # [d] outcome per mediator unit
    chosen: Array  # [d] bool


@dataclasses.dataclass(frozen=True)
class HimaSettings:
    """Configuration of the estimator; see `hima`."""

    n_include: int | None
    penalty: Shape
    num_penalties: int
    solver: PathSolver
    significance: float
    adjust: str
    standardise: bool
    compat: str
    flavor: str
    level: float


def candidates_of(legs: Legs, settings: HimaSettings) -> tuple[Array, Array]:
    """Screened positions [d] and the screening's p-values [p]."""
    p_value = legs.beta.p_value
    n, p = legs.rows.mediators.shape
    return smallest(p_value, screen_size(n, p, settings.n_include)), p_value


def walk_path(
    moments: StandardisedGram, factors: Array, extra: int, settings: HimaSettings, n: int
) -> BicPath:
    """The penalised path of the candidates; `extra` columns are counted without being in it."""
    ratio = 1e-3 if n > factors.shape[0] + extra else 0.05
    grid = penalty_path(
        moments.gram,
        moments.score,
        factors,
        count=settings.num_penalties,
        ratio=ratio,
        nudge=settings.compat == "r",
    )
    return bic_path(
        moments.gram,
        moments.score,
        moments.outcome_ss,
        moments.count,
        factors,
        grid,
        settings.penalty,
        settings.solver,
        extra_parameters=extra,
    )


def fit_gaussian(legs: Legs, settings: HimaSettings) -> Estimate:
    """The method as it should be, for a continuous outcome."""
    index, screening_p = candidates_of(legs, settings)
    n, p = legs.rows.mediators.shape
    moments = partial_gram(legs, index)
    extra = legs.rows.outcome_base.shape[1]  # exposure and covariates; the intercept is counted
    path = walk_path(moments, jnp.ones_like(moments.score), extra, settings, n)
    stage = Penalised(path, moments.original(path.chosen), path.chosen != 0)
    found = refit(legs, index, stage.chosen)
    beta = Leg(
        spread(index, jnp.where(stage.chosen, found.beta, jnp.nan), p),
        spread(index, found.beta_se, p),
        found.df,
    )
    screened = jnp.ones_like(stage.chosen)
    mediators = mediator_effects(
        legs.alpha,
        beta,
        reasons(legs, index, screened, stage.chosen),
        level=settings.level,
        beta_p=spread(index, found.beta_p, p),
        adjust=settings.adjust,
    )
    significant = mediators.p_adjusted <= settings.significance
    details = details_of(index, screening_p, stage, found, significant, None, p)
    return assemble(
        direct=found.direct,
        indirect=found.indirect,
        variances=found.variances,
        mediators=mediators,
        selected=details.chosen,
        status=st.combine(found.status, path.status),
        details=details,
        level=settings.level,
        method="delta, given the selection",
    )


def details_of(
    index: Array,
    screening_p: Array,
    stage: Penalised,
    found: Refit,
    significant: Array,
    table: HimaTable | None,
    p: int,
) -> HimaDetails:
    """The details at their places among all p mediators."""
    return HimaDetails(
        index,
        screening_p,
        stage.path,
        spread(index, stage.beta, p, 0.0),
        spread(index, jnp.where(stage.chosen, found.beta, jnp.nan), p),
        member(index, stage.chosen, p),
        significant,
        table,
    )
