"""What the study of Table 1 shows."""

import math
from collections.abc import Mapping
from typing import Any

from jaxmed.reports.sections import Section, TidyTable
from jaxmed.studies.generative_mediation.methods import METHODS, ORACLE, PRINTED_AS
from jaxmed.studies.generative_mediation.printed import TABLE_1
from jaxmed.sweeps.reducers import Measure, rate_of

__all__ = ["effect_section", "root_mean_square"]

EFFECTS = {"direct": "DE", "indirect": "TIE"}
_HEADINGS = {
    "setting": "setting",
    "effect": "effect",
    "method": "method",
    "bias": "bias",
    "rmse": "RMSE",
    "ratio": "RMSE / oracle's",
    "coverage": "coverage",
    "width": "width",
    "selected": "selected",
    "seconds": "seconds",
    "count": "replicates",
    "printed": "printed",
    "printed_error": "printed, error",
    "printed_width": "printed, width",
}
_DESIGN = (
    "Eq. (15) with n = 1000, of which 800 rows train (the others are not used here), p = 500 "
    "mediators, correlation .5 of neighbouring noise (not printed in the text) and a direct effect "
    "of +0.5, which the printed tables use where the equation has -0.5. True indirect effects: 2.8 "
    "in A, 3.6 in B."
)
_PRINTED = (
    "The paper shows one data set of each setting: its numbers are one draw, and their distance "
    "from the truth is no measure of a method. Printed intervals of GAHMN are percentiles over "
    "draws of its generator; those, and PLSEM's, are several times narrower than those of least "
    "squares that knows the active mediators and the curves, so they are no 95 % intervals."
)
_METHODS = (
    "HIMA and Guo's method assume that the covariates act linearly, which here they do not, and "
    "are shown as they are. HIMA as released has no standard error of these effects. PLSEM is our "
    "reconstruction: there is no public code."
)


def root_mean_square(square: Measure) -> tuple[float, float]:
    """Root of the mean of squared errors, and its Monte Carlo standard error."""
    root = math.sqrt(square.mean)
    return root, square.standard_error / (2 * root) if root > 0 else 0.0


def effect_section(results: Mapping[str, Any], once: Mapping[str, Any]) -> Section:
    """Bias, RMSE, coverage and width of both effects, beside the printed numbers."""
    seconds = {name: (mean, error) for name, mean, error in once.get("rows", ())}
    rows = []
    for cell, summary in results.items():
        setting = cell.split("/")[0]
        for effect in EFFECTS:
            rows += [
                _row(setting, effect, name, summary, seconds)
                for name in METHODS
                if f"{name}/{effect} error" in summary.values
            ]
            alone = {"setting": setting, "effect": EFFECTS[effect], "method": "GAHMN, as printed"}
            rows.append(alone | _printed(setting, effect, "GAHMN"))
    note = (
        "RMSE / oracle's: against the oracle with spline g on the same data sets; its error takes "
        "the two as independent, which is on the wide side. Coverage of nominal 95 % intervals. "
        f"Seconds: warm, one data set of A, on {once.get('device', 'an unknown device')}, "
        f"{once.get('threads', '?')} thread(s), other load unknown; the number in parentheses is "
        "the standard error over repeats, not a Monte Carlo error. Printed, error: printed "
        "estimate minus truth."
    )
    return Section(
        "table-1",
        "Table 1: direct and total indirect effect",
        (_DESIGN, _PRINTED, _METHODS),
        TidyTable(_HEADINGS, rows, note),
    )


def _row(
    setting: str,
    effect: str,
    name: str,
    summary: Any,
    seconds: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    error = summary[f"{name}/{effect} error"]
    own = root_mean_square(summary[f"{name}/{effect} square"])
    row = {
        "setting": setting,
        "effect": EFFECTS[effect],
        "method": name,
        "bias": (error.mean, error.standard_error),
        "rmse": own,
        "selected": _pair(summary[f"{name}/selected"]),
        "count": error.count,
    }
    reference = f"{ORACLE}/{effect} square"
    if reference in summary.values and name != ORACLE:
        oracle = root_mean_square(summary[reference])
        ratio = own[0] / oracle[0]
        row["ratio"] = ratio, ratio * math.hypot(own[1] / own[0], oracle[1] / oracle[0])
    covered = summary[f"{name}/{effect} covered"]
    if covered.count:
        rate = rate_of(round(covered.mean * covered.count), covered.count)
        row["coverage"] = rate.rate, rate.standard_error
        row["width"] = _pair(summary[f"{name}/{effect} width"])
    if name in seconds:
        row["seconds"] = seconds[name]
    if name in PRINTED_AS:
        row |= _printed(setting, effect, PRINTED_AS[name])
    return row


def _printed(setting: str, effect: str, label: str) -> dict[str, Any]:
    there = TABLE_1[setting, label, effect]
    truth = {"direct": 0.5, "indirect": {"A": 2.8, "B": 3.6}[setting]}[effect]
    return {
        "printed": there.estimate,
        "printed_error": round(there.estimate - truth, 3),
        "printed_width": round(there.width, 3),
    }


def _pair(measure: Measure) -> tuple[float, float]:
    return measure.mean, measure.standard_error
