"""One method on one data set as rows of tables: what `compare` and `effects` share."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.basis_effects import design_block, matters_sentences
from jaxmed.analysis.data_facts import dropped_mediators, dropped_warning, row_facts
from jaxmed.analysis.design import Basis, Design, designed
from jaxmed.analysis.fit import LARGE_FROM, mediator_interval
from jaxmed.analysis.proportion import proportion_columns
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.analysis.wording import status_fields
from jaxmed.compile import quick_jit
from jaxmed.configuration import key_of
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.row_order import in_canonical_order
from jaxmed.data.transforms import Kept, drop_degenerate, standardise
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.kept import kept
from jaxmed.estimators.parts.reference import ReferenceWouldStop
from jaxmed.estimators.parts.rows import Columns, covariate_positions
from jaxmed.estimators.parts.units import with_safe_mediators
from jaxmed.geometry.paths import regime_of
from jaxmed.typing import Estimator, Key

__all__ = [
    "PARTS",
    "STOPPED",
    "MethodFit",
    "Prepared",
    "covariate_names",
    "data_block",
    "effect_columns",
    "fit_method",
    "mediator_columns",
    "prepared",
    "prepared_of",
    "with_design",
]

PARTS = ("direct", "indirect", "total")
# `interval` names the kind of an interval or its absence, `proportion_reason` the weak total.
SAID_ELSEWHERE = st.Note.NO_STANDARD_ERRORS | st.Note.WEAK_TOTAL
STOPPED = "STOPPED"  # in place of a status: the method refused the data or its configuration
_COLUMNS = ("alpha", "alpha_se", "beta", "beta_se", "indirect", "indirect_se", "lower", "upper")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Data as methods see them, and the way back to what was given."""

    given: MediationData  # validated, every mediator and covariate
    design: Design  # of the covariates
    kept: Kept
    # Of kept mediators, on the basis, rows sorted; on the device, without names.
    data: MediationData
    scale: np.ndarray  # [kept] what a mediator was divided by
    warnings: list[str]

    def positions(self, wanted: Columns) -> tuple[int, ...] | None:
        """Columns of the basis made of some covariates (names or positions); None for all.

        Raises:
          ValueError: a covariate that the data do not have, or a function as basis.
        """
        if wanted is None:
            return None
        return self.design.chosen.positions(covariate_positions(self.given, wanted))

    @property
    def dual(self) -> bool:
        """True with p > n - 2 - q mediators."""
        n, p = self.data.mediators.shape
        return regime_of(n, p, self.data.covariates.shape[1]) == "dual"


@dataclasses.dataclass(frozen=True)
class MethodFit:
    """The answer of one method, or the reason why there is none."""

    estimate: Estimate | None  # of NumPy arrays
    seconds: float  # of one fit whose program is compiled; NaN where not timed
    status: str
    reason: str
    notes: list[str] = dataclasses.field(default_factory=list)  # names


def prepared(
    data: MediationData, basis: Basis, *, standardised: bool, in_given_order: bool = False
) -> Prepared:
    """Validated data on a basis, without constant (and, in the primal, duplicated) mediators.

    Args:
      data: concrete.
      basis: of the covariates.
      standardised: divide mediators by their standard deviation.
      in_given_order: keep the order of the rows; else the one their values give, so that folds and
        resamples do not depend on the table's.
    Raises:
      InvalidDataError, ShapeError, ValueError: as `designed`.
    """
    design = designed(data, basis)
    on_basis = design.data
    n, p = on_basis.mediators.shape
    dual = regime_of(n, p, on_basis.covariates.shape[1]) == "dual"
    kept = drop_degenerate(on_basis, keep_duplicates=dual)
    found = prepared_of(design, kept, standardised=standardised, in_given_order=in_given_order)
    sentences = dropped_warning(design.given.names, kept.reasons)
    for sentence in sentences:
        warn_user(sentence)
    found.warnings.extend([*design.chosen.warnings, *sentences])
    return found


def prepared_of(
    design: Design, kept: Kept, *, standardised: bool, in_given_order: bool = False
) -> Prepared:
    """The same where the basis is chosen and constant mediators are out; without warnings.

    Args:
      design: of the covariates.
      kept: what `drop_degenerate` left of the data on the basis.
      standardised: divide mediators by their standard deviation.
      in_given_order: keep the order of the rows.
    """
    if standardised:
        rows, scales = standardise(kept.data)
        scale = np.asarray(scales.sd, np.float64)
    else:
        rows, scale = with_safe_mediators(kept.data)
    unnamed = dataclasses.replace(rows, names=Names())  # names are static: new ones recompile
    if not in_given_order:
        unnamed = in_canonical_order(unnamed)
    return Prepared(design.given, design, kept, jax.tree.map(jnp.asarray, unnamed), scale, [])


def fit_method(
    estimator: Estimator,
    key: Key,
    data: MediationData,
    *,
    timed: bool,
    fast: bool | None = None,
) -> MethodFit:
    """Fits the data by one estimator, compiled in the first call with arguments of its shapes.

    A method that refuses the data gives its reason instead of an estimate; any other error is
    raised.

    Args:
      estimator: (key, data) -> Estimate.
      key: of the fit.
      data: JAX arrays.
      timed: compile to fast code and time a second fit; otherwise seconds are NaN.
      fast: compile to fast code; None for timed fits and for many mediators.
    """
    fast = (timed or data.mediators.shape[1] >= LARGE_FROM) if fast is None else fast
    program = _program(estimator, fast)
    seconds = math.nan
    try:
        found = jax.block_until_ready(program(key, data))
        if timed:
            start = time.perf_counter()
            jax.block_until_ready(program(key, data))
            seconds = time.perf_counter() - start
        code = int(found.status)
        if code == st.REFERENCE_STOPS:
            # Under jit the status alone can tell; on concrete data the reason is raised.
            estimator(key, data)
    except ReferenceWouldStop as error:
        return MethodFit(None, math.nan, st.NAMES[st.REFERENCE_STOPS], str(error))
    except ValueError as error:
        return MethodFit(None, math.nan, STOPPED, str(error))
    fields = status_fields(code, found.notes)
    # What other columns say beside the numbers is not said once more.
    fields["reason"] = status_fields(code, int(found.notes) & ~SAID_ELSEWHERE)["reason"]
    return MethodFit(jax.tree.map(np.asarray, found), seconds, **fields)


@kept
def _program(estimator: Estimator, fast: bool) -> Callable[..., Estimate]:
    # JAX knows a function by hash and equality, which a user's object may keep while it changes.
    own = key_of(estimator) is not None
    return quick_jit(estimator if own else lambda k, d: estimator(k, d), optimised=fast)


def effect_columns(fit: MethodFit) -> dict[str, Any]:
    """Estimate, error, p-value and own interval of the effects; proportion mediated, gap."""
    nan = math.nan
    row: dict[str, Any] = {}
    if fit.estimate is None:
        for part in PARTS:
            row |= {part: nan, f"{part}_se": nan, f"{part}_p": nan}
            row |= {f"{part}_lower": nan, f"{part}_upper": nan}
        row |= {"interval": ""} | proportion_columns(None)
        return row | {"selected": None, "gap": nan}
    estimate = fit.estimate
    p_values = estimate.p_values
    names: dict[str, str] = {}
    for part in PARTS:
        interval = getattr(estimate.intervals, part)
        names[part] = interval.method
        row |= {
            part: float(getattr(estimate.effects, part)),
            f"{part}_se": float(getattr(estimate.standard_errors, part)),
            f"{part}_p": float(getattr(p_values, part)),
            f"{part}_lower": float(interval.lower),
            f"{part}_upper": float(interval.upper),
        }
    row["interval"] = _interval_name(names)
    row |= proportion_columns(estimate)
    row["selected"] = int(np.sum(estimate.selected))
    row["gap"] = _gap(estimate)
    return row


def _gap(estimate: Estimate) -> float:
    """What the method says that its total effect has beyond least squares'; 0 for rounding."""
    gap = float(np.asarray(getattr(estimate.details, "gap", 0.0)))
    size = abs(float(estimate.effects.total))
    return 0.0 if abs(gap) <= float(np.finfo(np.float32).eps) * size else gap


def _interval_name(names: Mapping[str, str]) -> str:
    """One name, or one for each group of effects."""
    parts: dict[str, list[str]] = {}
    for part, name in names.items():
        parts.setdefault(name, []).append(part)
    if len(parts) == 1:
        return next(iter(parts))
    return "; ".join(f"{', '.join(group)}: {name}" for name, group in parts.items())


def mediator_columns(name: str, fit: MethodFit, prepared: Prepared) -> dict[str, np.ndarray]:
    """One row per mediator given, per unit of the mediator; NaN with a reason for the others."""
    kept = prepared.kept
    p = kept.reasons.size
    table: dict[str, np.ndarray] = {
        "method": np.repeat(name, p),
        "mediator": np.asarray(prepared.given.names.mediators),
    }
    codes = kept.reasons.copy()
    chosen = np.zeros(p, bool)
    numbers = {column: np.full(p, np.nan) for column in (*_COLUMNS, "p", "p_adjusted", "share")}
    if fit.estimate is not None:
        effects = fit.estimate.mediators
        units = {"alpha": prepared.scale, "beta": 1 / prepared.scale}
        limits = mediator_interval(effects)
        values = vars(effects) | {"lower": limits.lower, "upper": limits.upper}
        for column in _COLUMNS:
            unit = units.get(column.removesuffix("_se"), 1.0)
            numbers[column][kept.kept] = np.asarray(values[column], np.float64) * unit
        numbers["p"][kept.kept] = effects.p_value
        numbers["p_adjusted"][kept.kept] = effects.p_adjusted
        numbers["share"][kept.kept] = np.asarray(effects.share)
        codes[kept.kept] = effects.reason
        chosen[kept.kept] = fit.estimate.selected
    fields = [status_fields(int(code)) for code in codes]
    if fit.estimate is None:
        stopped = {"status": fit.status, "reason": fit.reason}
        fields = [f if f["status"] != "OK" else stopped for f in fields]
    table |= numbers | {"selected": chosen}
    return table | {part: np.asarray([f[part] for f in fields]) for part in ("status", "reason")}


def covariate_names(given: MediationData, wanted: Columns) -> list[str] | None:
    """Names of some covariates; None for all."""
    if wanted is None:
        return None
    return [given.names.covariates[j] for j in covariate_positions(given, wanted)]


def with_design(prepared: Prepared, level: float, *, same: bool = True) -> dict[str, Any]:
    """The `design` block; where the basis matters, the sentence joins the warnings.

    Args:
      prepared: the data.
      level: of the intervals.
      same: False where the two models have different covariates.
    """
    block = design_block(prepared.design, prepared.kept.data, level, compared=same)
    for sentence in matters_sentences(block):
        warn_user(sentence)
        prepared.warnings.append(sentence)
    return block


def data_block(prepared: Prepared, source: DataReport | None) -> dict[str, Any]:
    """The `data` block of a record."""
    given, kept = prepared.given, prepared.kept
    facts = row_facts(
        given.names, len(given.exposure), given.weights is not None, kept.reasons, source
    )
    return facts | {"dropped_mediators": dropped_mediators(given.names, kept.reasons)}
