"""Coverage of the estimators of record in the partially linear designs, beside printed figures.

Settings A, B, A/4, B/4, D at p = 100 (600 data sets), A/4, D, D2, DV at p = 500 (200), the eight
composite nulls at p = 100 (600), n = 800. Direct and total indirect effect and the indirect
effects of mediators 3, 4, 5 and 10, by least squares on all mediators, double selection (both
rules) and the refit of one lasso, which fails where it should. Printed figures are those of the
specification of the intervals (another generator and other seeds), so that two simulations are
compared. The file is rewritten after every cell. EFFECTS_COVERAGE="p=100,nulls,p=500" chooses.
"""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import goal, write

ROWS, SEED = 800, 20260101
DESIGNS = {100: ("A", "B", "A/4", "B/4", "D"), 500: ("A/4", "D", "D2", "DV")}
NULLS = ("N0", "Na", "Nb", "NA", "NB", "Nd", "ND", "Nw")
DATA_SETS = {100: 600, 500: 200}
SHOWN = (2, 3, 4, 9)  # mediators 3, 4, 5, 10
# Method: replicates, then coverage and mean standard error of DE, then of TIE.
PRINTED = {
    (100, "A"): {
        "ols": (600, 0.958, 0.159, 0.963, 0.203),
        "double_selection": (600, 0.960, 0.153, 0.963, 0.198),
        "post_selection": (600, 0.950, 0.126, 0.953, 0.178),
    },
    (100, "B"): {
        "ols": (600, 0.948, 0.118, 0.953, 0.209),
        "double_selection": (600, 0.948, 0.113, 0.957, 0.207),
        "post_selection": (600, 0.957, 0.102, 0.952, 0.200),
    },
    (100, "A/4"): {
        "ols": (600, 0.958, 0.084, 0.958, 0.057),
        "double_selection": (600, 0.948, 0.081, 0.957, 0.054),
        "post_selection": (600, 0.920, 0.076, 0.865, 0.044),
    },
    (100, "B/4"): {
        "ols": (600, 0.958, 0.080, 0.943, 0.059),
        "double_selection": (600, 0.965, 0.076, 0.950, 0.055),
        "post_selection": (600, 0.950, 0.074, 0.933, 0.050),
    },
    (100, "D"): {
        "ols": (600, 0.963, 0.081, 0.962, 0.080),
        "double_selection": (600, 0.960, 0.080, 0.963, 0.079),
        "post_selection": (600, 0.707, 0.078, 0.708, 0.073),
    },
    (500, "A/4"): {
        "ols": (259, 0.915, 0.134, 0.961, 0.120),
        "double_selection": (259, 0.969, 0.083, 0.981, 0.057),
        "double_selection_zz": (259, 0.961, 0.108, 0.981, 0.096),
        "post_selection": (259, 0.923, 0.075, 0.853, 0.043),
    },
    (500, "D"): {
        "ols": (285, 0.940, 0.129, 0.954, 0.129),
        "double_selection": (285, 0.940, 0.083, 0.930, 0.082),
        "double_selection_zz": (285, 0.937, 0.106, 0.961, 0.112),
        "post_selection": (285, 0.702, 0.078, 0.604, 0.072),
    },
    (500, "D2"): {
        "ols": (149, 0.960, 0.156, 0.933, 0.147),
        "double_selection": (149, 0.960, 0.108, 0.940, 0.097),
        "double_selection_zz": (149, 0.960, 0.127, 0.946, 0.121),
        "post_selection": (149, 0.013, 0.081, 0.000, 0.042),
    },
    (500, "DV"): {
        "ols": (141, 0.957, 0.161, 0.943, 0.153),
        "double_selection": (141, 0.660, 0.119, 0.652, 0.105),
        "double_selection_zz": (141, 0.957, 0.137, 0.950, 0.132),
        "post_selection": (141, 0.000, 0.085, 0.000, 0.023),
    },
}
# Product intervals of the indirect effects of mediators 3, 4, 5, 10.
PRINTED_MEDIATORS = {
    (100, "A"): {
        "ols": (0.960, 0.960, 0.960, 1.0),
        "double_selection": (0.963, 0.972, 0.945, 1.0),
        "post_selection": (0.972, 0.962, 0.938, 1.0),
    },
    (100, "B"): {
        "ols": (0.942, 0.958, 0.962, 0.998),
        "double_selection": (0.940, 0.960, 0.965, 0.998),
        "post_selection": (0.933, 0.960, 0.963, 1.0),
    },
    (100, "A/4"): {
        "ols": (0.957, 0.937, 0.950, 1.0),
        "double_selection": (0.955, 0.943, 0.952, 1.0),
        "post_selection": (0.787, 0.908, 0.813, 1.0),
    },
    (100, "B/4"): {
        "ols": (0.938, 0.957, 0.943, 0.997),
        "double_selection": (0.938, 0.955, 0.943, 0.998),
        "post_selection": (0.938, 0.890, 0.598, 1.0),
    },
    (100, "D"): {
        "ols": (0.943, 0.960, 0.952, 0.950),
        "double_selection": (0.942, 0.957, 0.947, 0.943),
        "post_selection": (0.500, 0.560, 0.537, 0.513),
    },
    (500, "A/4"): {
        "ols": (0.938, 0.927, 0.969, 1.0),
        "double_selection": (0.946, 0.946, 0.961, 1.0),
        "post_selection": (0.714, 0.880, 0.811, 1.0),
    },
    (500, "D"): {
        "ols": (0.926, 0.965, 0.965, 0.933),
        "double_selection": (0.947, 0.958, 0.944, 0.933),
        "post_selection": (0.460, 0.463, 0.498, 0.509),
    },
}
# Rejection rate of TIE = 0: ols by its difference variance, double selection by the path sum.
PRINTED_NULLS = {
    "ols": (0.057, 0.037, 0.043, 0.062, 0.063, 0.063, 0.048, 0.043),
    "double_selection": (0.015, 0.028, 0.032, 0.060, 0.062, 0.053, 0.047, 0.063),
}
LARGEST_SIZE = 0.075


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    wanted = os.environ.get("EFFECTS_COVERAGE", "p=100,nulls,p=500").split(",")
    cells: list[dict] = []
    for part in wanted:
        p = 500 if part == "p=500" else 100
        settings = NULLS if part == "nulls" else DESIGNS[p]
        # Four shown mediators of 500 do not pay for 500 lassos a data set.
        task = study(p, nodewise=part == "p=100")
        for setting in settings:
            cells.append(cell(task, setting, p, DATA_SETS[p]))
            save(cells, out)


def study(p: int, *, nodewise: bool):
    """The task: one data set of p mediators, every method's numbers of it."""
    from jaxmed.estimators.double_selection import double_selection
    from jaxmed.estimators.ols import ols
    from jaxmed.estimators.post_selection import post_selection
    from jaxmed.simulate.partially_linear import sample
    from jaxmed.sweeps.task import study_task

    methods = {
        "ols": ols(basis="splines_all_products"),
        "double_selection": double_selection(basis="splines_all_products", nodewise=nodewise),
        "double_selection_zz": double_selection(
            basis="splines_all_products", rule="zz", nodewise=False
        ),
        "post_selection": post_selection(basis="splines_all_products"),
    }
    return study_task(lambda key, model: sample(key, model, ROWS), methods, scores_of(SHOWN))


def scores_of(shown: tuple[int, ...]):
    """(estimate, data) -> estimates, errors and limits of both effects and of some mediators."""

    def scores(estimate, data) -> dict:
        del data
        table, result = estimate.mediators, {"status": estimate.status}
        for effect in ("direct", "indirect"):
            interval = getattr(estimate.intervals, effect)
            result[f"{effect}.estimate"] = getattr(estimate.effects, effect)
            result[f"{effect}.se"] = getattr(estimate.standard_errors, effect)
            result[f"{effect}.lower"], result[f"{effect}.upper"] = interval.lower, interval.upper
        limits = table.interval
        for k in shown:
            result[f"{k}.estimate"], result[f"{k}.se"] = table.indirect[k], table.indirect_se[k]
            result[f"{k}.lower"], result[f"{k}.upper"] = limits.lower[k], limits.upper[k]
        result["selected"] = estimate.selected.sum()
        return result

    return scores


def cell(task, setting: Any, p: int, data_sets: int) -> dict:
    """All methods in one setting."""
    import jax

    from jaxmed import sweep
    from jaxmed.simulate.partially_linear import partially_linear
    from jaxmed.sweeps.reducers import stack
    from jaxmed.sweeps.task import named_key

    start = time.perf_counter()
    model = partially_linear(setting, p)
    key = named_key(jax.random.key(SEED), f"{setting}/p={p}")
    columns = sweep(key, task, data_sets, parameters=model, reducer=stack(), chunk=25)
    truths = {
        "direct": float(model.direct),
        "indirect": float(model.total_indirect),
        **{str(k): float(model.indirect[k]) for k in SHOWN},
    }
    row = {
        "setting": setting,
        "p": p,
        "n": ROWS,
        "data_sets": data_sets,
        "truth": truths,
        "seconds": time.perf_counter() - start,
    }
    for name in task.estimators:
        found = {
            key.split("/", 1)[1]: v for key, v in columns.items() if key.startswith(f"{name}/")
        }
        row[name] = summary(found, truths)
    return row


def summary(found: dict, truths: dict) -> dict:
    """Coverage, bias, spread and mean standard error of each quantity of one method."""
    result: dict = {
        "selected": float(np.mean(found["selected"])),
        "statuses": dict(Counter(map(str, found["status"].tolist()))),
    }
    for part, truth in truths.items():
        estimate, se = found[f"{part}.estimate"], found[f"{part}.se"]
        low, high = found[f"{part}.lower"], found[f"{part}.upper"]
        # A mediator that a refit left out has an effect and an interval of zero width at 0.
        left_out = np.isnan(estimate) if part.isdigit() else np.zeros(estimate.shape, bool)
        estimate, se, low, high = (np.where(left_out, 0, v) for v in (estimate, se, low, high))
        result[part] = {
            "bias": float(np.mean(estimate) - truth),
            "sd": float(np.std(estimate, ddof=1)),
            "se": float(np.mean(se)),
            "coverage": float(np.mean((low <= truth) & (truth <= high))),
            "delta_coverage": float(np.mean(np.abs(estimate - truth) <= 1.959964 * se)),
            "rejects_zero": float(np.mean((low > 0) | (high < 0))),
            "left_out": float(np.mean(left_out)),
        }
    return result


def z_score(ours: float, count: int, printed: float, printed_count: int) -> float:
    """Of the difference of two simulated rates; a rate of 0 or 1 has the error of Agresti-Coull."""
    rate = (ours * count + printed * printed_count + 2) / (count + printed_count + 4)
    return float((ours - printed) / np.sqrt(rate * (1 - rate) * (1 / count + 1 / printed_count)))


def comparisons(row: dict) -> list[dict]:
    """Our coverages beside the printed ones, with z."""
    key, lines = (row["p"], row["setting"]), []

    def add(method: str, part: str, ours: float, printed: float, count: int) -> None:
        z = z_score(ours, row["data_sets"], printed, count)
        lines.append(
            {
                "cell": f"p={row['p']} {row['setting']} {method} {part}",
                "ours": ours,
                "printed": printed,
                "z": z,
            }
        )

    for method, (count, direct, direct_se, indirect, indirect_se) in PRINTED.get(key, {}).items():
        for part, rate, se in (("direct", direct, direct_se), ("indirect", indirect, indirect_se)):
            add(method, part, row[method][part]["coverage"], rate, count)
            lines[-1] |= {"se": row[method][part]["se"], "printed_se": se}
        if method in PRINTED_MEDIATORS.get(key, {}) and (row["p"] == 100 or method == "ols"):
            for k, rate in zip(SHOWN, PRINTED_MEDIATORS[key][method], strict=True):
                add(method, f"IE_{k + 1}", row[method][str(k)]["coverage"], rate, count)
    if row["setting"] in NULLS and row["p"] == 100:
        for method, rates in PRINTED_NULLS.items():
            printed = rates[NULLS.index(row["setting"])]
            add(method, "size", row[method]["indirect"]["rejects_zero"], printed, 600)
    return lines


def save(cells: list[dict], out: Path) -> None:
    lines = [line for row in cells for line in comparisons(row)]
    goals = [
        goal(
            "coverage and size against the printed ones, largest |z| of the estimators of record",
            max((abs(x["z"]) for x in lines if "post_selection" not in x["cell"]), default=0.0),
            at_most=3.0,
            outside=[x for x in lines if abs(x["z"]) > 3],
            compared=len(lines),
        ),
    ]
    nulls = [row for row in cells if row["setting"] in NULLS]
    if nulls:
        sizes = {
            f"{m} {row['setting']}": row[m]["indirect"]["rejects_zero"]
            for row in nulls
            for m in ("ols", "double_selection")
        }
        goals.append(
            goal("size of TIE = 0, largest", max(sizes.values()), at_most=LARGEST_SIZE, sizes=sizes)
        )
    for row in cells:
        if (row["p"], row["setting"]) == (100, "A/4"):
            rate = row["post_selection"]["indirect"]["coverage"]
            goals.append(goal("refit fails in A/4: coverage of TIE", rate, at_most=0.9))
    write("effects_coverage", goals, cells, out, comparisons=lines)
