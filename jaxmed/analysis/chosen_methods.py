"""The methods a caller chose, by name or as estimators, and what is asked of all of them."""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxmed.analysis.option_kinds import fits, kinds
from jaxmed.configuration import name_of
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.by_name import estimator_of
from jaxmed.estimators.penalised import family_of
from jaxmed.registry import METHODS, Method, check_methods
from jaxmed.typing import Estimator
from jaxmed.vocabulary import Compat

__all__ = ["LOG_ODDS", "Chosen", "MethodOptions", "Methods", "choose"]

# One method or several: a name, a configured estimator, or label -> either.
Methods = str | Estimator | Sequence[str | Estimator] | Mapping[str, str | Estimator]
LOG_ODDS = "effects on the log-odds scale: direct and indirect do not add up to the total"
# What decides for all methods at once, and is no option of one of them.
_COMMON = (
    "basis",
    "compat",
    "covariates_mediator",
    "covariates_outcome",
    "family",
    "level",
    "network_covariates",
)


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
class Chosen:
    """One method of one call.

    Attributes:
      name: key of its row and of its random numbers.
      label: as in tables and figures.
      method: entry of the registry; None for an estimator that came configured.
      estimator: that estimator.
      options: of the factory, beside those of all methods.
      repeated: over draws of its folds, whose median is the answer.
    """

    name: str
    label: str
    method: Method | None = None
    estimator: Estimator | None = None
    options: tuple[tuple[str, Any], ...] = ()
    repeated: bool = False

    @property
    def random(self) -> bool:
        """True where it may draw random numbers."""
        return self.method is None or self.method.random

    @property
    def takes_weights(self) -> bool:
        """True where case weights are counts of rows to it, as they are to any estimator."""
        return self.method is None or self.method.takes_weights

    @property
    def composite(self) -> bool:
        """True where its effects are those of one weighted sum of all mediators."""
        return self.method is not None and self.method.composite

    @property
    def note(self) -> str:
        """What its bootstrap interval is worth."""
        return "" if self.method is None else self.method.note

    def make(self, data: MediationData, options: MethodOptions) -> Estimator:
        """The configured estimator.

        Raises:
          ValueError: separate covariates for a method that has one set, or whatever the factory
            refuses.
        """
        if self.method is None:
            assert self.estimator is not None
            return self.estimator
        known = inspect.signature(self.method.factory()).parameters
        # A method without a released package has one reading only.
        given: dict[str, Any] = {"level": options.level, "compat": options.compat}
        for name in ("covariates_mediator", "covariates_outcome"):
            given[name] = getattr(options, name)
            if given[name] is not None and name not in known:
                raise ValueError("takes one set of covariates for both models")
        if _differ(options, data.covariates.shape[1]):
            given |= dict(self.method.separate)
        if "network_covariates" in known:
            if options.raw is None:
                raise ValueError("needs the covariates themselves: choose a named basis")
            given["network_covariates"] = options.raw
        return estimator_of(self.method, data, **given | dict(self.options))

    def log_odds(self, data: MediationData) -> bool:
        """True where the outcome model is logistic, so that effects do not add up."""
        if self.method is None or self.composite or self.method.family != "outcome":
            return False
        return family_of(data.outcome) == "binomial"


def choose(
    methods: Methods, options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Chosen]:
    """The methods of a call.

    Args:
      methods: a name of the registry, a configured estimator, several of these, or label -> either.
      options: name -> options of its factory, for methods by name.

    Raises:
      ValueError: none, an unknown name or option, one label twice, or anything else than a name or
        an estimator.
    """
    if isinstance(methods, Mapping):
        pairs = list(methods.items())
    else:
        alone = isinstance(methods, str) or not isinstance(methods, Iterable)
        given: Any = methods
        several: list[Any] = [methods] if alone else list(given)
        pairs = [(one if isinstance(one, str) else name_of(one), one) for one in several]
    named = tuple(dict.fromkeys(one for _, one in pairs if isinstance(one, str)))
    if named or not pairs:
        check_methods(named)
    for label, one in pairs:
        if isinstance(one, str) and label in METHODS and one != label:
            raise ValueError(f"the label {label!r} is the name of another method than {one}")
    labels = [label for label, _ in pairs]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(
            f"methods come twice: {', '.join(twice)}; label several settings of one, "
            "as in {'few': estimators.hima(n_include=20), 'many': estimators.hima(n_include=99)}"
        )
    for name in options or {}:
        if name not in named:
            raise ValueError(f"options for {name}, which is not among the methods: {labels}")
    return [_chosen(label, one, options or {}) for label, one in pairs]


def _chosen(label: str, one: Any, options: Mapping[str, Mapping[str, Any]]) -> Chosen:
    if not isinstance(one, str):
        _check_estimator(one)
        return Chosen(str(label), str(label), estimator=one)
    method = METHODS[one]
    own = dict(options.get(one, {}))
    _check_options(method, own)
    shown = str(label)
    if label == one:
        shown = method.label_of_one
    return Chosen(str(label), shown, method, options=tuple(own.items()))


def _check_estimator(one: Any) -> None:
    if not callable(one):
        raise ValueError(
            f"a method is a name, an estimator or label -> either, not {type(one).__name__}"
        )
    if one in _factories():
        raise ValueError(
            f"{one.__name__} makes estimators: call it, as in estimators.{one.__name__}()"
        )


def _factories() -> list[Callable[..., Any]]:
    """Factories that are imported; others cannot have been given."""
    found = []
    for method in METHODS.values():
        module, _, name = method.place.partition(":")
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return found


def _check_options(method: Method, given: Mapping[str, Any]) -> None:
    factory = method.factory()
    parameters = inspect.signature(factory).parameters
    known = [name for name in parameters if name not in _COMMON]
    for name, value in given.items():
        if name in _COMMON:
            raise ValueError(f"{name} is one for all methods: it is no option of {method.name}")
        if name not in known:
            raise ValueError(
                f"{method.name} has no option {name!r}; it has {', '.join(known) or 'none'}"
            )
        hint = parameters[name].annotation
        if not fits(value, hint):
            raise ValueError(f"{method.name} does not take {name}={value!r}: it is {kinds(hint)}")
    if given:
        try:
            factory(**dict(method.settings) | dict(given))
        except (TypeError, ValueError) as error:
            said = ", ".join(f"{name}={value!r}" for name, value in given.items())
            raise ValueError(f"{method.name} does not take {said}: {error}") from error


def _differ(options: MethodOptions, q: int) -> bool:
    """True where mediator and outcome models have different covariates."""
    sets = (options.covariates_mediator, options.covariates_outcome)
    first, second = (set(range(q) if wanted is None else wanted) for wanted in sets)
    return first != second
