"""The methods that `compare` knows by name: how each is made from data, and how it is read."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Literal

from jaxmed import estimators
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.ehima import ehima
from jaxmed.estimators.guo import guo
from jaxmed.estimators.hdma import hdma
from jaxmed.estimators.hilma import hilma
from jaxmed.estimators.hima import hima
from jaxmed.estimators.hima2 import hima2
from jaxmed.estimators.meddic import meddic
from jaxmed.estimators.medfix import medfix
from jaxmed.estimators.ols import ols
from jaxmed.estimators.pathway_lasso import pathway_lasso
from jaxmed.estimators.pcma import pcma
from jaxmed.estimators.penalised import family_of
from jaxmed.estimators.plsem import plsem
from jaxmed.estimators.post_selection import post_selection
from jaxmed.estimators.spcma import spcma
from jaxmed.typing import Estimator
from jaxmed.vocabulary import Compat

__all__ = ["FIELD_METHODS", "FieldMethod", "MethodOptions"]

# What a percentile interval is worth, by kind of method; see `sweeps.bootstrap` for figures.
OPTIMISED = (
    "weights are optimised on the same rows and a resample is optimistic once more: the bootstrap "
    "interval does not cover the population's optimum"
)
SHRUNK = (
    "after selection or shrinkage no resampling removes the bias: the bootstrap interval is one of "
    "the biased quantity"
)
SELECTED = (
    "its own interval takes the selection as given; resamples repeat the selection, but do not "
    "remove its bias where signals are weak"
)
TRAINED = (
    "effects of record beside trained generators; every resample trains both again, seconds to "
    "minutes each"
)
REPEATED = "resamples repeat both selections"
# compat="r" of HIMA2 and eHIMA is per standard deviation unless scale=False.
SCREENED = "its own interval takes the screening as given; resamples repeat it"
ALL_MEDIATORS = "the bootstrap interval is too wide unless mediators are few beside the rows"
LOG_ODDS = "effects on the log-odds scale: direct and indirect do not add up to the total"


@dataclasses.dataclass(frozen=True)
class MethodOptions:
    """What is asked of every method that knows it.

    Attributes:
      level: of intervals.
      compat: "correct" or "r".
      covariates_mediator: positions of the covariates of the mediator models; None for all.
      covariates_outcome: positions of those of the outcome model; None for all.
      raw: positions of the covariates that are no squares, products or splines of others, for
        methods that learn curves of their own; None where they are not known.
    """

    level: float = 0.95
    compat: Compat = "correct"
    covariates_mediator: tuple[int, ...] | None = None
    covariates_outcome: tuple[int, ...] | None = None
    raw: tuple[int, ...] | None = ()


@dataclasses.dataclass(frozen=True)
class FieldMethod:
    """One entry of the registry.

    Attributes:
      name: as on the command line.
      label: as in tables and figures.
      factory: configuration -> Estimator.
      random: draws random numbers (folds, start values) from its key.
      takes_weights: reads `data.weights` as counts of rows; otherwise resamples are row copies.
      composite: one weighted sum of all mediators, whose optimum in the dual (p > n - 2 - q)
        depends on the row space: it has no bootstrap there.
      note: what its bootstrap interval is worth.
      family: the column, "exposure" or "outcome", whose 0/1 values ask for a binomial model.
      settings: further arguments of the factory.
      separate: the same, where the two models have different covariates.
    """

    name: str
    label: str
    factory: Callable[..., Estimator]
    random: bool = False
    takes_weights: bool = True
    composite: bool = False
    note: str = ""
    family: Literal["exposure", "outcome"] | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    separate: tuple[tuple[str, Any], ...] = ()

    def make(self, data: MediationData, options: MethodOptions) -> Estimator:
        """The configured estimator.

        Raises:
          ValueError: separate covariates for a method that has one set, or whatever the factory
            refuses.
        """
        known = inspect.signature(self.factory).parameters
        given: dict[str, Any] = dict(self.settings)
        for name in ("covariates_mediator", "covariates_outcome"):
            wanted = getattr(options, name)
            if wanted is not None and name not in known:
                raise ValueError("takes one set of covariates for both models")
            if name in known:
                given[name] = wanted
        if _differ(options, data.covariates.shape[1]):
            given |= dict(self.separate)
        # A method without a released package has one reading only.
        given |= {name: getattr(options, name) for name in ("level", "compat") if name in known}
        # The data are on their basis already: one total effect for all methods.
        given |= {name: "given" for name in ("basis",) if name in known}
        if "raw" in known:
            if options.raw is None:
                raise ValueError("needs the covariates themselves: choose a named basis")
            given["raw"] = options.raw
        if self.family is not None:
            given["family"] = family_of(getattr(data, self.family))
        return self.factory(**given)

    def log_odds(self, data: MediationData) -> bool:
        """True where the outcome model is logistic, so that effects do not add up."""
        composite = self.composite or self.family != "outcome"
        return not composite and family_of(data.outcome) == "binomial"


def _gahmn(*, raw: tuple[int, ...], level: float = 0.95) -> Estimator:
    """GAHMN; imported here, because it brings flax and optax."""
    from jaxmed.gahmn import gahmn

    return gahmn(level=level, basis="given", network_covariates=raw)


_COMPOSITES = (
    FieldMethod("maxie", "MaxIE concordant", estimators.maxie, composite=True, note=OPTIMISED),
    FieldMethod("maxcor", "MaxCor concordant", estimators.maxcor, composite=True, note=OPTIMISED),
    FieldMethod(
        "reg_outcome", "Reg Y~X", estimators.reg_outcome, composite=True, note=ALL_MEDIATORS
    ),
    FieldMethod(
        "reg_exposure", "Reg A~X", estimators.reg_exposure, composite=True, note=ALL_MEDIATORS
    ),
    FieldMethod(
        "directions",
        "Directions of mediation",
        estimators.directions,
        random=True,
        composite=True,
        note=OPTIMISED,
    ),
    FieldMethod(
        "numerical", "L-BFGS", estimators.numerical, random=True, composite=True, note=OPTIMISED
    ),
    FieldMethod(
        "lasso_exposure",
        "Lasso-A",
        estimators.lasso_exposure,
        random=True,
        composite=True,
        note=SHRUNK,
        family="exposure",
    ),
    FieldMethod(
        "lasso_outcome",
        "Lasso-Y",
        estimators.lasso_outcome,
        random=True,
        composite=True,
        note=SHRUNK,
        family="outcome",
    ),
)
_FIELD = (
    FieldMethod(
        "ols", "OLS, all mediators", ols, note=ALL_MEDIATORS, separate=(("variance", "path_sum"),)
    ),
    FieldMethod(
        "double_selection", "Double selection", double_selection, random=True, note=REPEATED
    ),
    FieldMethod(
        "double_selection_zz",
        "Double selection, robust",
        double_selection,
        random=True,
        note=REPEATED,
        settings=(("rule", "zz"),),
    ),
    FieldMethod("post_selection", "Post-selection", post_selection, note=SELECTED),
    FieldMethod("hima", "HIMA", hima, note=SELECTED, family="outcome"),
    FieldMethod("guo", "Guo, partially penalised", guo, note=SELECTED),
    FieldMethod("plsem", "PLSEM", plsem, note=SELECTED),
    FieldMethod("hima2", "HIMA2", hima2, random=True, note=SCREENED, settings=(("scale", False),)),
    FieldMethod("ehima", "eHIMA", ehima, note=SELECTED, settings=(("scale", False),)),
    FieldMethod("hdma", "HDMA", hdma, random=True, note=SCREENED, family="outcome"),
    FieldMethod("hilma", "HILMA", hilma),
    FieldMethod("medfix", "MedFix", medfix, random=True, note=SELECTED),
    FieldMethod("pathway_lasso", "Pathway lasso", pathway_lasso, random=True, note=SELECTED),
    FieldMethod("pcma", "PCMA", pcma, random=True),
    FieldMethod("spcma", "Sparse PCMA", spcma, random=True),
    FieldMethod("meddic", "MedDiC", meddic, random=True),
    FieldMethod("gahmn", "GAHMN", _gahmn, random=True, note=TRAINED),
)

FIELD_METHODS: dict[str, FieldMethod] = {m.name: m for m in (*_COMPOSITES, *_FIELD)}


def _differ(options: MethodOptions, q: int) -> bool:
    """True where mediator and outcome models have different covariates."""
    sets = (options.covariates_mediator, options.covariates_outcome)
    first, second = (set(range(q) if wanted is None else wanted) for wanted in sets)
    return first != second
