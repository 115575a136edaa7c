"""HIMA: screening, one concave penalised outcome model, joint significance of what it keeps."""

from jaxmed.calibration.joint_adjustment import Adjust, check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.hima_logistic import fit_binary
from jaxmed.estimators.hima_release import fit_release
from jaxmed.estimators.hima_stages import HimaSettings, fit_gaussian
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.sparse.bic_path import PathSolver
from jaxmed.sparse.shapes import Kind, shape_of
from jaxmed.typing import Estimator, Key

FAMILIES = ("gaussian", "binomial")
FLAVORS = ("hima", "hdmed")


@renamed("jaxmed.estimators.hima", alpha="significance", scale="standardise")
@in_safe_units
def hima(
    *,
    n_include: int | None = None,
    penalty: Kind = "mcp",
    gamma: float | None = None,
    num_penalties: int = 100,
    significance: float = 0.05,
    adjust: Adjust = "bonferroni",
    family: str = "gaussian",
    standardise: bool = True,
    tolerance: float | None = None,
    patience: int = 20,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    compat: Compat = "correct",
    flavor: str = "hima",
    level: float = 0.95,
) -> Estimator:
    """HIMA (Zhang et al. 2016): screen, MCP by BIC, test the joint significance of the survivors.

    Screening by the t test of M_j in Y ~ 1 + X + A + M_j (binary outcome: of A in M_j ~ 1 + X + A)
    keeps `n_include` mediators. A penalised regression of Y on them, exposure and covariates free,
    selects; least squares on the selected gives p-values of beta.

    compat="correct": exposure and covariates are projected out and candidates scaled to unit
    residual variance; beta and all effects come from the refit, so that estimate, standard error
    and p-value belong together; `selected` are the mediators of the penalised model.
    compat="r", flavor="hima": as HIMA 2.3.3 (`details.table` is what it prints; `selected` what it
    reports; beta the penalised coefficient); flavor="hdmed": as hdmed 1.0.1, which scales nothing
    and cuts nothing. Either way direct = total - indirect, without standard errors, which the
    releases do not have.

    Intervals and p-values are conditional on the selection: valid only where every active
    coefficient is far above the selection threshold. `double_selection` has no such condition.

    Args:
      n_include: mediators kept by the screening; default ceil(2n / log n), for a binary outcome
        ceil(n / (2 log n)). Of equal p-values at the end the first columns are kept.
      penalty: "mcp", "scad" or "lasso".
      gamma: of the penalty; default 3 (MCP), 3.7 (SCAD).
      num_penalties: length of the path.
      significance: cut of the adjusted p-value.
      adjust: of joint significance over the selected: "bonferroni", "bh" or "none".
      family: "gaussian", or "binomial" for a 0/1 outcome: effects are log odds ratios, with status
        LOG_ODDS because they do not add up.
      standardise: compat="r", flavor="hima": as the release does by default.
      tolerance: of the solver; default 1e-9 (stationarity) or the release's 1e-4.
      patience: the path ends when BIC has not improved for this many penalties; 0: never.
      covariates_mediator: names or positions, of the mediator models; default all.
      covariates_outcome: of the outcome model; default all.
      compat: "correct" or "r".
      flavor: release that "r" follows, "hima" or "hdmed".
      level: of intervals.
    Returns:
      Estimator, deterministic; EMPTY_SELECTION and an indirect effect of 0 where nothing is
      selected.
    Raises:
      ValueError: options out of range.
      ReferenceWouldStop: the release would stop on these data (compat="r", concrete data).
    Source: Zhang et al. (2016), Bioinformatics 32; variance of the effects: delta method on the
      refit (specification, block a).
    """
    check_compat(compat)
    check_adjust(adjust)
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, not {family!r}")
    if flavor not in FLAVORS:
        raise ValueError(f"flavor must be one of {FLAVORS}, not {flavor!r}")
    if family == "binomial" and compat == "r":
        raise ValueError('compat="r" must be used with family="gaussian": no release is matched')
    reference = compat == "r"
    default = 1e-4 if reference else 1e-9
    solver = PathSolver(
        "reference" if reference else "tight", tolerance or default, patience=patience
    )
    settings = HimaSettings(
        n_include,
        shape_of(penalty, gamma),
        num_penalties,
        solver,
        significance,
        adjust,
        standardise,
        compat,
        flavor,
        level,
    )
    fit = fit_release if reference else fit_gaussian if family == "gaussian" else fit_binary

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        return fit(legs_of(rows_of(data, covariates_mediator, covariates_outcome)), settings)

    return estimate
