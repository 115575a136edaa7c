"""Layout of Table 4, the paper's numbers in it, and the panels of Figure 4."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.reports.sections import TidyTable
from jaxmed.reports.study_figures import PALETTE, Panel, Series
from jaxmed.statistics.score_ranks import GROUPS
from jaxmed.studies.optimal_composite.holdout import METHODS

__all__ = [
    "MEASURES",
    "PARTS",
    "PRINTED",
    "Lookup",
    "fifths_panel",
    "scatter_panel",
    "table_4",
    "tracking_panel",
]

# (method, part, measure) -> a number, a (value, standard error) pair, or None
Lookup = Callable[[str, str, str], Any]

PARTS = {"train": "training", "test": "test"}
MEASURES = {
    "indirect": "indirect effect",
    "index": "mediation index",
    "exposure_correlation": "cor(exposure, composite)",
    "outcome_correlation": "cor(composite given exposure, outcome)",
    "total": "total effect",
    "proportion_mediated": "proportion mediated",
    "auc": "AUC",
}

# He (2026), Table 4: UK Biobank, age -> proteins -> dementia; in the order of METHODS.
PRINTED: Mapping[tuple[str, str], Sequence[float]] = {
    ("indirect", "train"): (0.0142, 0.0121, 0.0028, 0.0042),
    ("indirect", "test"): (0.0058, 0.0049, 0.0018, 0.0031),
    ("index", "train"): (0.2790, 0.3131, 0.0427, 0.1681),
    ("index", "test"): (0.1199, 0.1313, 0.0289, 0.1220),
    ("exposure_correlation", "train"): (0.9130, 0.8433, 0.9487, 0.5401),
    ("exposure_correlation", "test"): (0.8966, 0.8213, 0.9366, 0.5335),
    ("outcome_correlation", "train"): (0.3056, 0.3713, 0.0450, 0.3112),
    ("outcome_correlation", "test"): (0.1337, 0.1598, 0.0308, 0.2287),
    ("total", "train"): (0.0035, 0.0035, 0.0035, 0.0035),
    ("total", "test"): (0.0037, 0.0037, 0.0037, 0.0037),
    ("proportion_mediated", "train"): (4.073, 3.470, 0.803, 1.189),
    ("proportion_mediated", "test"): (1.570, 1.334, 0.477, 0.837),
}
_COLORS = dict(zip(METHODS, PALETTE, strict=False))


def table_4(ours: Lookup, note: str, *, auc: bool) -> TidyTable:
    """Every metric in both parts: ours, and the paper's own beside it.

    Args:
      ours: numbers of this study.
      note: below the table.
      auc: whether the outcome has one.
    """
    columns = {"measure": "metric", "part": "part", **METHODS}
    columns |= {f"printed_{method}": f"{name}, paper" for method, name in METHODS.items()}
    rows = []
    for measure, title in MEASURES.items():
        if measure == "auc" and not auc:
            continue
        for part, part_title in PARTS.items():
            row: dict[str, Any] = {"measure": title, "part": part_title}
            row |= {method: ours(method, part, measure) for method in METHODS}
            printed = PRINTED.get((measure, part), (None,) * len(METHODS))
            row |= {f"printed_{m}": v for m, v in zip(METHODS, printed, strict=True)}
            rows.append(row)
    return TidyTable(columns, rows, note)


def scatter_panel(
    age: Sequence[float], score: Sequence[float], case: Sequence[float], names: tuple[str, str]
) -> Panel:
    """(a) Held-out MaxIE composite against age by status, with a least-squares line of each."""
    x, y, status = np.asarray(age), np.asarray(score), np.asarray(case)
    series = []
    for value, name in enumerate(names):
        here, color = status == value, PALETTE[value]
        series.append(Series(name, x[here], y[here], None, color, line="", size=3.5, opacity=0.55))
        ends = np.array([x[here].min(), x[here].max()])
        slope, intercept = np.polyfit(x[here], y[here], 1)
        series.append(Series("", ends, intercept + slope * ends, None, color, marker=""))
    return Panel(
        "(a) Composite and age",
        "age, years",
        "MaxIE composite, held out, sd",
        series,
        y_limits=(y.min() - 0.2, y.max() + 1.2),
        legend="upper left",
    )


def fifths_panel(ours: Lookup, outcome: str) -> Panel:
    """(b) Outcome over fifths of the composite given the exposure, on the test rows."""
    series = []
    for method, name in METHODS.items():
        found = [ours(method, "test", f"fifth_{g}") for g in range(1, GROUPS + 1)]
        values, errors = _unzip(found)
        series.append(Series(name, range(1, GROUPS + 1), values, errors, _COLORS[method]))
    ticks = [(g, str(g)) for g in range(1, GROUPS + 1)]
    return Panel(
        "(b) Outcome by composite",
        "fifth of the composite given age",
        outcome,
        series,
        x_ticks=ticks,
        legend="upper left",
    )


def tracking_panel(ours: Lookup, age_auc: float | None, outcome: str) -> Panel:
    """(c) Tracking of the exposure against prediction of the outcome, on the test rows."""
    series = []
    for method, name in METHODS.items():
        (x,), _ = _unzip([ours(method, "test", "tracking")])
        values, errors = _unzip([ours(method, "test", "auc")])
        series.append(Series(name, [x], values, errors, _COLORS[method], line="", size=8))
    if age_auc is not None:
        series.append(Series("age itself", [1.0], [age_auc], None, marker="D", line="", size=7))
    return Panel(
        "(c) Tracking and prediction",
        "R² of age and composite",
        f"AUC for {outcome}",
        series,
        x_limits=(-0.03, 1.05),
        y_limits=(0.45, 1.0),
        legend="lower left",
        legend_columns=2,
    )


def _unzip(found: Sequence[Any]) -> tuple[list[float], list[float] | None]:
    """Values, and standard errors where there are any."""
    if isinstance(found[0], tuple):
        return [value for value, _ in found], [error for _, error in found]
    return list(found), None
