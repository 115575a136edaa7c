"""What the study of Tables 1 and S2 shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.reports.sections import Section, TidyTable
from jaxmed.studies.optimal_composite import printed
from jaxmed.studies.optimal_composite.columns import mean_z, pair, worst
from jaxmed.sweeps.reducers import Measure

__all__ = ["agreement", "effect_section", "index_section"]

# Our column -> the printed one that it is compared with.
PRINTED_COLUMN = {
    "MaxIE": "MaxIE",
    "MaxCor": "MaxCor",
    "Reg Y~X": "Reg Y~X",
    "Reg A~X": "Reg A~X",
    "DM (likelihood)": "DM",
    "DM (software)": "DM",
}
_HEADINGS = {
    "scenario": "scenario",
    "n": "n",
    "p": "p",
    "composite": "composite",
    "mean": "ours",
    "sd": "sd",
    "count": "replicates",
}
_DESIGN = (
    "Eq. (30) with AR(1) mediators of correlation .75, noise sd .5 and direct effect .25. The path "
    "vectors are drawn anew in every replicate: unit length, p / 5 standard normal entries each, "
    "of which none (S1), a quarter (S2), half (S3) or all (S4) are shared. The paper does not "
    "print how many entries are not zero; p / 5 is what comes closest to its table."
)
_DM = (
    "DM is the first direction of mediation, in two variants: the maximum of the published "
    "likelihood, and the fixed point of the released software, whose likelihood lost its mediator "
    "model and which is an outcome regression given the exposure. Neither has the large spread of "
    "the printed column in S1 and S2. In S4 the printed means equal those of MaxIE; the software's "
    "variant, whose effect is always that of Reg A~X, comes near at p = 20, and neither does at "
    "p = 100. It has no dual."
)


def agreement(results: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Z-scores of ours against the printed means, by (cell, composite)."""
    found = {}
    for cell, composite, measure in _entries(results, "indirect"):
        mean, sd = _there(cell, composite)
        if mean is not None and sd is not None:
            found[cell, composite] = mean_z(measure, mean, sd, printed.TABLE_1_COUNT)
    return found


def effect_section(results: Mapping[str, Any]) -> Section:
    """Table 1."""
    z = agreement(results)
    rows = []
    for cell, composite, measure in _entries(results, "indirect"):
        mean, sd = _there(cell, composite)
        there: dict[str, Any] = {} if sd is None else {"printed_sd": sd}
        if mean is not None and sd is not None:
            there["printed"] = (mean, sd / printed.TABLE_1_COUNT**0.5)
            there["z"] = round(z[cell, composite], 2)
        rows.append({**_row(cell, composite, measure), **there})
    columns = {**_HEADINGS, "printed": "printed", "printed_sd": "printed sd", "z": "z"}
    return Section(
        "table-1",
        "Table 1: indirect effect",
        (_DESIGN, *_remarks(z), _DM),
        TidyTable(columns, rows, _note()),
    )


def index_section(results: Mapping[str, Any]) -> Section:
    """Table S2."""
    rows = [_row(*entry) for entry in _entries(results, "index")]
    text = (
        _DESIGN,
        "The mediation index cor(A, M) cor(M given A, Y) of the same composites on the same data "
        "sets. The supplement with the printed Table S2 is not in our copy of the paper: ours "
        "alone. In the dual the paper has no MaxCor; ours is the optimum over composites in the "
        "row space of the mediators.",
    )
    return Section(
        "table-s2",
        "Table S2: mediation index",
        text,
        TidyTable(_HEADINGS, rows, "Mean of the in-sample index, sd over replicates."),
    )


def _remarks(z: Mapping[tuple[str, str], float]) -> Sequence[str]:
    chosen = {key: value for key, value in z.items() if key[1] == "MaxIE"}
    (cell, _), largest = worst(chosen)
    beyond = [cell for (cell, _), value in chosen.items() if abs(value) > 3]
    return (
        f"MaxIE: {len(chosen)} printed means, the largest difference is {largest:.2f} standard "
        f"errors, in {cell}; beyond 3: {', '.join(beyond) or 'none'}.",
        "In-sample effects of optimised weights: they grow with p / n although the population's "
        "effect does not. At p = 500 about a third of the printed MaxIE effect is optimism. In the "
        "dual the optimum is one over composites in the row space; over all weights there is none.",
    )


def _note() -> str:
    return (
        "Mean of the in-sample indirect effect, sd over replicates; the printed means have 20 "
        "replicates, their standard error is sd / sqrt(20). z: ours against printed, with the "
        "errors of both. Empty: not legible in our copy of the paper, or not in the paper."
    )


def _entries(results: Mapping[str, Any], measure: str) -> list[tuple[str, str, Measure]]:
    """(cell, composite, mean) of every cell in order."""
    return [
        (cell, composite, summary[f"{composite}/{measure}"])
        for cell, summary in results.items()
        for composite in PRINTED_COLUMN
        if f"{composite}/{measure}" in summary.values
    ]


def _there(cell: str, composite: str) -> tuple[float | None, float | None]:
    return printed.TABLE_1[_key(cell)].get(PRINTED_COLUMN[composite], (None, None))


def _key(cell: str) -> tuple[str, int, int]:
    scenario, n, p = cell.split("/")
    return scenario, int(n.removeprefix("n=")), int(p.removeprefix("p="))


def _row(cell: str, composite: str, measure: Measure) -> dict[str, Any]:
    scenario, n, p = _key(cell)
    return {
        "scenario": scenario,
        "n": n,
        "p": p,
        "composite": composite,
        "mean": pair(measure),
        "sd": measure.sd,
        "count": measure.count,
    }
