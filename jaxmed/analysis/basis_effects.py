"""What the basis of the covariates does to the effects: beside linear, and beside a richer one."""

import functools
import math
from collections.abc import Callable
from typing import Any

from jaxmed.analysis.design import Design
from jaxmed.analysis.least_squares import (
    MIN_DF,
    LinearEffects,
    MediatorSums,
    least_squares,
    mediator_sums,
)
from jaxmed.data.covariate_basis import CovariateBasis, basis_within
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts.units import with_safe_mediators
from jaxmed.reports.format import interval, number
from jaxmed.status import Note

__all__ = ["design_block", "matters_sentences"]

# Residual degrees of freedom of the richer basis below which nothing is compared.
LEAST_DF = 10
SPLINE_ROWS = 4  # rows per column below which splines are too noisy a yardstick
MOST_BYTES = 1 << 30  # of the columns of a richer basis
SIZEABLE = 1.0  # standard errors by which an effect moves
# And standard errors of the difference itself, which a richer basis makes by noise alone: with 35
# columns beside 19 in 85 rows one effect in six moves by a standard error where nothing is amiss.
BEYOND_NOISE = 3.0
EXACT = 1e-12  # an error so many times smaller than the effects is rounding: the fit is exact
# Basis used -> the richer one beside it; what is not here is the richest there is.
_BESIDE = {
    "linear": "second_degree",
    "quadratic": "second_degree",
    "additive": "second_degree",
    "second_degree": "splines",
    "products": "splines",
}


def design_block(
    design: Design,
    data: MediationData,
    level: float,
    *,
    compared: bool = True,
    equal_variances: bool = False,
) -> dict[str, Any]:
    """The `design` block of a document.

    Args:
      design: of the analysis.
      data: the rows and mediators that are analysed; covariates may be the basis already.
      level: of the intervals.
      compared: False where the models of mediators and outcome have different covariates, for
        which nothing is compared.
      equal_variances: intervals of the linear answer, see `LinearEffects.to_dict`: those of the
        analysis beside it.
    Returns:
      `CovariateBasis.to_dict` with rows, sentence, `linear` (the effects of least squares under
      linear covariates and a sentence, None where the basis is linear) and `matters` (the same
      under a richer basis, by how many standard errors total and indirect effect move, and a
      sentence where one of them moves by more than one and by more than noise; None where
      nothing is compared).
    """
    chosen = design.chosen
    data, _ = with_safe_mediators(data)  # effects do not depend on their units
    block: dict[str, Any] = chosen.to_dict() | {
        "rows": chosen.rows,
        "sentence": chosen.sentence(),
        "linear": None,
        "matters": None,
        "notes": [],
    }
    if not compared:
        return block
    sums = functools.cache(lambda: mediator_sums(data))
    if design.richer:
        plain = _fit(data, design.linear, sums)
        if math.isfinite(plain.total):  # else a function as basis lacks what linear ones have
            block["linear"] = {
                "rank": design.linear.rank,
                **(entries := plain.to_dict(level, equal_variances=equal_variances)),
                "sentence": _linear_sentence(entries),
            }
    block["matters"] = found = _matters(design, data, level, sums)
    if found and found["moved"]:
        block["notes"] = [Note.BASIS_MATTERS.name]
    return block


def _fit(
    data: MediationData, basis: CovariateBasis, sums: Callable[[], MediatorSums]
) -> LinearEffects:
    """The effects under a basis; products of the mediators are made once, and only if needed."""
    n, p = data.mediators.shape
    primal = n - 1 - basis.rank - p >= MIN_DF
    return least_squares(data, basis.columns, sums=sums() if primal else None)


def matters_sentences(block: dict[str, Any]) -> list[str]:
    """The warning where the basis matters, or none."""
    matters = block["matters"]
    return [matters["sentence"]] if matters and matters["moved"] else []


def _noise(own: LinearEffects, other: LinearEffects, part: str) -> float:
    """What an effect may move by from noise alone, in standard errors of the smaller basis.

    Source: where the smaller basis is enough its estimate is the more efficient one, and the
    variance of a difference is the difference of the variances (Hausman 1978).
    """
    first, second = getattr(own, f"{part}_se"), getattr(other, f"{part}_se")
    return BEYOND_NOISE * math.sqrt(max((second / first) ** 2 - 1, 0.0))


def _linear_sentence(entries: dict[str, dict[str, float]]) -> str:
    shown = ", ".join(
        f"{part} {number(entry['estimate'])} {interval(entry['lower'], entry['upper'])}"
        for part, entry in entries.items()
    )
    return f"with linear covariates: {shown}"


def _matters(
    design: Design, data: MediationData, level: float, sums: Callable[[], MediatorSums]
) -> dict[str, Any] | None:
    chosen, (n, p) = design.chosen, data.mediators.shape
    name = "second_degree" if "function" in chosen.kinds else _BESIDE.get(chosen.basis)
    if name is None or chosen.basis == "splines_all_products" or n - 2 - p < LEAST_DF:
        return None
    most = min(chosen.rows - 1 - p - LEAST_DF, MOST_BYTES / (8 * n))
    if name == "splines":
        most = min(most, chosen.rows / SPLINE_ROWS)
    richer = basis_within(design.given, name, most)  # pyright: ignore[reportArgumentType]
    if richer is None or set(richer.names) <= set(chosen.names):
        return None
    own, other = _fit(data, chosen, sums), _fit(data, richer, sums)
    if not math.isfinite(other.total):
        return None  # the richer basis determines the exposure
    shifts = {
        part: (getattr(other, part) - getattr(own, part)) / getattr(own, f"{part}_se")
        for part in ("total", "indirect")
        if getattr(own, f"{part}_se") > EXACT * (abs(own.direct) + abs(own.total))
    }
    moved = {
        part: shift
        for part, shift in shifts.items()
        if abs(shift) > max(SIZEABLE, _noise(own, other, part))
    }
    told = "; ".join(
        f"{part} effect {number(getattr(other, part))} there, {number(getattr(own, part))} here, "
        f"{number(abs(shift), 2)} standard errors apart"
        for part, shift in moved.items()
    )
    return {
        "basis": name,
        "rank": richer.rank,
        **other.to_dict(level),
        "shifts": shifts,
        "moved": bool(moved),
        "sentence": f"The basis of the covariates matters: under {name} (rank {richer.rank}) "
        f'{told}. Choose basis="{name}", or say why less is enough.'
        if moved
        else "",
    }
