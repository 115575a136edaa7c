"""One call of an analysis: what was asked for, of rows, of a stream or of moments alike."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.analysis.chosen_effects import AUTO, is_none, wanted
from jaxmed.analysis.chosen_methods import Chosen, Methods, choose
from jaxmed.analysis.design import Basis
from jaxmed.analysis.inputs import check_flag, parse_key
from jaxmed.analysis.labels import Labels, display_names
from jaxmed.analysis.settings import Progress, Settings
from jaxmed.data.covariate_basis import basis_name
from jaxmed.data.data_report import Source
from jaxmed.registry import check_composites
from jaxmed.typing import ArrayLike, Key
from jaxmed.vocabulary import Assume, Screened

__all__ = ["DEFAULTS", "Call", "call_of"]

# Of what needs rows.
DEFAULTS = {"permutations": 999, "folds": 5, "splits": 10}


@dataclasses.dataclass(frozen=True)
class Call:
    """What an analysis was asked for.

    Attributes:
      settings: as they go into the record.
      key: of all random numbers.
      effects: estimators, or "auto".
      basis: of the covariates.
      options: of estimators by name.
      labels: of mediators.
      source: what happened between the file and the data.
      say: told before each long step.
    """

    settings: Settings
    key: Key
    effects: Methods
    basis: Basis
    options: Mapping[str, Mapping[str, Any]]
    labels: Labels | None
    source: Source | None
    say: Progress

    def estimators(
        self, sizes: tuple[int, int, int], weights: ArrayLike | None
    ) -> tuple[list[Chosen], str]:
        """Those of direct and indirect effect and why these; see `chosen_effects.wanted`."""
        return wanted(
            self.effects,
            sizes,
            weights,
            assume=self.settings.assume,
            options=self.options,
        )

    def labels_of(self, names: Sequence[str]) -> tuple[str, ...]:
        """Display names of mediators; none where none were given."""
        return display_names(names, self.labels)

    def check_without_rows(self, what: str, *but: str) -> None:
        """Raises ValueError for a setting of what needs rows.

        Args:
          what: that has none, in words.
          but: settings that it has.
        """
        for name, default in DEFAULTS.items():
            value = getattr(self.settings, name)
            if name not in but and value not in (0, default):
                raise ValueError(f"{name} is a setting of analyses of rows: {what} have none")


def call_of(
    *,
    key: Key | int,
    effects: Methods = AUTO,
    composites: str | Sequence[str] = ("maxie", "maxcor"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    assume: Assume | None = None,
    basis: Basis = "auto",
    level: float = 0.95,
    standardise: bool = True,
    permutations: int = DEFAULTS["permutations"],
    folds: int = DEFAULTS["folds"],
    splits: int = DEFAULTS["splits"],
    replicates: int = 2000,
    screened: Screened = "unknown",
    labels: Labels | None = None,
    source: Source | None = None,
    progress: Progress | None = None,
) -> Call:
    """The checked call; see `mediate` for the arguments.

    Raises:
      ValueError: a setting out of range, an unknown name.
    """
    composites = (composites,) if isinstance(composites, str) else tuple(composites)
    check_composites(composites)
    seed, key = parse_key(key)
    check_flag("standardise", standardise)
    options = dict(options or {})
    asked = _asked(effects, options)
    settings = Settings(
        composites=composites,
        effects=asked,
        basis=basis_name(basis),
        level=level,
        standardise=standardise,
        seed=seed,
        permutations=permutations,
        folds=folds,
        replicates=replicates,
        splits=splits,
        assume=assume,
        options={name: _shown(own) for name, own in options.items()},
        screened=screened,
    )
    say = progress or (lambda sentence: None)
    return Call(settings, key, effects, basis, options, labels, source, say)


def _asked(effects: Methods, options: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Labels of the estimators; checked here, before any data are."""
    if isinstance(effects, str) and effects == AUTO:
        return (AUTO,)
    if is_none(effects):
        if options:
            raise ValueError(f"options for {', '.join(options)}, and no estimator: see effects=")
        return ()
    return tuple(method.name for method in choose(effects, options))


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a document can hold them."""
    plain = (str, int, float, bool, type(None))
    return {n: v if isinstance(v, plain) else repr(v) for n, v in options.items()}
