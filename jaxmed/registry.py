"""Every method by its name: the list that all others are filtered from, in a module without JAX.

`jaxmed --help` and a mistyped argument need the names of methods, not the methods: a factory is
named here and imported when an estimator is made of it.
"""

import difflib
import importlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "CLOSED",
    "COMPOSITES",
    "METHODS",
    "MOMENT_METHODS",
    "Method",
    "check_composites",
    "check_methods",
    "check_moment_methods",
]

Estimand = Literal["composite", "effects"]

# What a percentile interval is worth, by kind of method; see `sweeps.bootstrap` for figures.
_OPTIMISED = (
    "weights are optimised on the same rows and a resample is optimistic once more: the bootstrap "
    "interval does not cover the population's optimum"
)
_SHRUNK = (
    "after selection or shrinkage no resampling removes the bias: the bootstrap interval is one of "
    "the biased quantity"
)
_SELECTED = (
    "its own interval takes the selection as given; resamples repeat the selection, but do not "
    "remove its bias where signals are weak"
)
_TRAINED = (
    "effects of record beside trained generators; every resample trains both again, seconds to "
    "minutes each"
)
_REPEATED = "resamples repeat both selections"
_SCREENED = "its own interval takes the screening as given; resamples repeat it"
_ALL_MEDIATORS = "the bootstrap interval is too wide unless mediators are few beside the rows"


@dataclass(frozen=True)
class Method:
    """One entry of the registry.

    Attributes:
      name: as in Python and on the command line.
      label: as in tables and figures.
      place: "module:function" of its factory, configuration -> Estimator.
      source: where it was published.
      estimand: "composite": effects of one weighted sum of all mediators, whose optimum in the dual
        (p > n - 2 - q) depends on the row space, so that it has no bootstrap there; "effects":
        effects through all mediators.
      in_dual: exists with more mediators than n - 2 - q.
      random: draws random numbers (folds, start values) from its key.
      takes_weights: reads case weights as counts of rows; otherwise resamples are row copies.
      closed: a composite that is a closed form of the paths.
      signed: a composite that comes in two, an upward and a downward one; where there is room for
        one it is the upward one.
      of_moments: a composite that moments without rows determine.
      family: the column, "exposure" or "outcome", whose 0/1 values ask for a binomial model.
      note: what its bootstrap interval is worth.
      settings: further arguments of the factory.
      separate: the same, where the two models have different covariates.
    """

    name: str
    label: str
    place: str
    source: str = ""
    estimand: Estimand = "effects"
    in_dual: bool = True
    random: bool = False
    takes_weights: bool = True
    closed: bool = False
    signed: bool = False
    of_moments: bool = False
    family: Literal["exposure", "outcome"] | None = None
    note: str = ""
    settings: tuple[tuple[str, Any], ...] = ()
    separate: tuple[tuple[str, Any], ...] = ()

    @property
    def composite(self) -> bool:
        """True for one weighted sum of all mediators."""
        return self.estimand == "composite"

    @property
    def label_of_one(self) -> str:
        """Label where there is room for one composite: the upward one of two."""
        return f"{self.label} upward" if self.signed else self.label

    @property
    def families(self) -> tuple[str, ...]:
        """What the outcome may be beside a number: "binomial" where 0/1 has a model of its own."""
        return ("gaussian", "binomial") if self.family == "outcome" else ("gaussian",)

    def factory(self) -> Callable[..., Any]:
        """Configuration -> Estimator; imported by this call."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)


def _composite(name: str, label: str, note: str, source: str, **given: Any) -> Method:
    place = f"jaxmed.estimators:{name}"
    return Method(name, label, place, source, "composite", note=note, **given)


def _closed(name: str, label: str, note: str, source: str, **given: Any) -> Method:
    return _composite(name, label, note, source, closed=True, of_moments=True, **given)


def _effects(name: str, label: str, source: str, **given: Any) -> Method:
    return Method(name, label, f"jaxmed.estimators:{name}", source, **given)


_ALL = (
    _closed("maxie", "MaxIE", _OPTIMISED, "He (2026), sections 3 and 5", signed=True),
    _closed("maxcor", "MaxCor", _OPTIMISED, "He (2026), section 6", signed=True),
    _closed("reg_outcome", "Reg Y~X", _ALL_MEDIATORS, "He (2026), section 6"),
    _closed("reg_exposure", "Reg A~X", _ALL_MEDIATORS, "He (2026), section 6"),
    _composite(
        "directions",
        "Directions of mediation",
        _OPTIMISED,
        "Chén et al. (2018)",
        in_dual=False,
        random=True,
        of_moments=True,
    ),
    _composite(
        "numerical", "L-BFGS", _OPTIMISED, "He (2026), section 7.1", in_dual=False, random=True
    ),
    _composite(
        "lasso_exposure",
        "Lasso-A",
        _SHRUNK,
        "He (2026), section 8",
        random=True,
        family="exposure",
    ),
    _composite(
        "lasso_outcome", "Lasso-Y", _SHRUNK, "He (2026), section 8", random=True, family="outcome"
    ),
    _effects(
        "ols",
        "OLS, all mediators",
        "least squares",
        in_dual=False,
        note=_ALL_MEDIATORS,
        separate=(("variance", "path_sum"),),
    ),
    _effects(
        "double_selection",
        "Double selection",
        "Belloni, Chernozhukov and Hansen (2014)",
        random=True,
        note=_REPEATED,
    ),
    Method(
        "double_selection_zz",
        "Double selection, robust",
        "jaxmed.estimators:double_selection",
        "Belloni, Chernozhukov and Hansen (2014); Zhang and Zhang (2014)",
        random=True,
        note=_REPEATED,
        settings=(("rule", "zz"),),
    ),
    _effects("post_selection", "Post-selection", "a refit of the selected", note=_SELECTED),
    _effects("hima", "HIMA", "Zhang et al. (2016)", note=_SELECTED, family="outcome"),
    _effects("guo", "Guo, partially penalised", "Guo et al. (2022, 2023)", note=_SELECTED),
    _effects("plsem", "PLSEM", "Cai et al. (2022)", note=_SELECTED),
    # compat="r" of HIMA2 and eHIMA is per standard deviation unless standardise=False.
    _effects(
        "hima2",
        "HIMA2",
        "Perera et al. (2022)",
        random=True,
        note=_SCREENED,
        settings=(("standardise", False),),
    ),
    _effects(
        "ehima", "eHIMA", "Bai et al. (2024)", note=_SELECTED, settings=(("standardise", False),)
    ),
    _effects("hdma", "HDMA", "Gao et al. (2019)", random=True, note=_SCREENED, family="outcome"),
    _effects("hilma", "HILMA", "Zhou, Wang and Zhao (2020)"),
    _effects("medfix", "MedFix", "Zhang (2021)", random=True, note=_SELECTED),
    _effects("pathway_lasso", "Pathway lasso", "Zhao and Luo (2022)", random=True, note=_SELECTED),
    _effects("pcma", "PCMA", "Huang and Pan (2016)", random=True),
    _effects("spcma", "Sparse PCMA", "Zhao, Lindquist and Caffo (2020)", random=True),
    _effects("meddic", "MedDiC", "Zhang, Yang and Yang (2022)", random=True),
    Method(
        "gahmn",
        "GAHMN",
        "jaxmed.gahmn:gahmn",
        "Zhang et al. (2026)",
        random=True,
        note=_TRAINED,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
COMPOSITES = tuple(m.name for m in _ALL if m.composite)
CLOSED = tuple(m.name for m in _ALL if m.closed)
MOMENT_METHODS = tuple(m.name for m in _ALL if m.of_moments)


def check_composites(names: Sequence[str]) -> None:
    """Raises ValueError for none, an unknown name or one that comes twice, with what there is."""
    unknown = [name for name in names if name not in COMPOSITES]
    if unknown or not names:
        elsewhere = [name for name in unknown if name in METHODS]
        hint = f'; {elsewhere[0]}: an estimator, effects="{elsewhere[0]}"' if elsewhere else ""
        raise ValueError(
            f"there is no composite {', '.join(map(repr, unknown)) or 'named'}: choose from "
            f"{', '.join(COMPOSITES)}{hint or _near(unknown, COMPOSITES)}"
        )
    _check_once(names)


def check_methods(names: Sequence[str], known: Collection[str] = METHODS) -> None:
    """Raises ValueError for an empty list, an unknown name or one that comes twice."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"there is no method {', '.join(map(repr, unknown)) or 'named'}: choose from "
            f"{', '.join(known)}{_near(unknown, known)}"
        )
    _check_once(names)


def check_moment_methods(names: Sequence[str]) -> None:
    """Raises ValueError for a composite that moments do not determine."""
    check_composites(names)
    unknown = [name for name in names if name not in MOMENT_METHODS]
    if unknown:
        raise ValueError(
            f"composites {', '.join(unknown)} need the rows of the data; moments give "
            f"{', '.join(MOMENT_METHODS)}"
        )


def _near(unknown: Sequence[str], known: Collection[str]) -> str:
    near = difflib.get_close_matches(unknown[0], known, n=3) if unknown else []
    return f"; did you mean {', '.join(near)}?" if near else ""


def _check_once(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"methods come twice in {', '.join(names)}")
