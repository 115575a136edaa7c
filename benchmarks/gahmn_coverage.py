"""Coverage of the intervals that GAHMN offers, beside its own bootstrap.

(a) the refit, 1000 data sets at p = 500; (b) double selection with spline nuisances, 200 data
sets at p = 500 for direct and total indirect effect, fewer with a model for every mediator, and
with the generator's means as nuisance; (c) whole refits at p = 50. All with n = 800. Double
selection and least squares at p = 100 (600 data sets, every mediator) are in effects_coverage.
GAHMN_COVERAGE="refit,double_selection,mediators,generator,bootstrap" chooses; the file is
rewritten after every cell, and cells that it holds are not computed again.
"""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.effects_coverage import scores_of, summary
from benchmarks.harness import goal, write

ROWS, SEED = 800, 20260107
SHOWN = (2, 3, 4)  # IE_3, IE_4, IE_5


@dataclasses.dataclass(frozen=True)
class Part:
    """One method in several settings."""

    method: str
    p: int
    data_sets: int
    settings: tuple[tuple[str, float], ...]  # with the correlation


PLAIN = tuple((setting, 0.5) for setting in ("A", "B", "A/4", "B/4"))
PARTS = {
    "refit": Part("post_selection", 500, 1000, (*PLAIN, ("B", 0.7))),
    "double_selection": Part("double_selection", 500, 200, PLAIN),
    "mediators": Part("double_selection of every mediator", 500, 25, PLAIN),
    "generator": Part("double_selection, generator nuisance", 100, 30, (("A", 0.5), ("A/4", 0.5))),
    "bootstrap": Part("bootstrap of whole fits", 50, 40, (("A", 0.5),)),
}
REFITS, STEPS = 20, 2000


def estimator(name: str):
    from jaxmed import estimators, gahmn

    return {
        "post_selection": lambda: estimators.post_selection(basis="splines_all_products"),
        "double_selection": lambda: estimators.double_selection(
            basis="splines_all_products", nodewise=False
        ),
        "double_selection of every mediator": lambda: estimators.double_selection(
            basis="splines_all_products"
        ),
        "double_selection, generator nuisance": lambda: gahmn.gahmn(
            interval="double_selection", nuisance="generator"
        ),
        "bootstrap of whole fits": lambda: gahmn.gahmn(
            gahmn.improved().with_steps(STEPS), interval="bootstrap", resamples=REFITS
        ),
    }[name]()


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import sweep
    from jaxmed.simulate.partially_linear import partially_linear, sample
    from jaxmed.sweeps.reducers import stack
    from jaxmed.sweeps.task import named_key, study_task

    wanted = os.environ.get("GAHMN_COVERAGE", ",".join(PARTS)).split(",")
    path = out / "gahmn_coverage.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["cases"] if path.exists() else []
    for name in wanted:
        part = PARTS[name]
        task = study_task(
            lambda k, m: sample(k, m, ROWS), {"it": estimator(part.method)}, scores_of(SHOWN)
        )
        for setting, correlation in part.settings:
            cell = f"{name} {setting} rho={correlation}"
            if any(row["cell"] == cell for row in rows):
                continue
            start = time.perf_counter()
            model = partially_linear(setting, part.p, correlation=correlation)  # pyright: ignore
            key = named_key(jax.random.key(SEED), cell)
            columns = sweep(
                key,
                task,
                part.data_sets,
                parameters=model,
                reducer=stack(),
                chunk=min(part.data_sets, 5),
                progress=lambda more, cell=cell: print(cell, f"+{more}", flush=True),
            )
            truths = {
                "direct": float(model.direct),
                "indirect": float(model.total_indirect),
                **{str(k): float(model.indirect[k]) for k in SHOWN},
            }
            found = {key.split("/", 1)[1]: values for key, values in columns.items()}
            rows.append(
                {
                    "cell": cell,
                    "part": name,
                    "method": part.method,
                    "setting": setting,
                    "correlation": correlation,
                    "p": part.p,
                    "n": ROWS,
                    "data_sets": part.data_sets,
                    "seconds": time.perf_counter() - start,
                    "truth": truths,
                    "found": summary(found, truths),
                }
            )
            save(rows, out)
            shown = {q: rows[-1]["found"][q]["coverage"] for q in truths}
            print(cell, round(rows[-1]["seconds"]), shown, flush=True)


def save(rows: list[dict], out: Path) -> None:
    goals = []
    for row in rows:
        strong = "/4" not in row["setting"]
        for part, name in quantities().items():
            if row["part"] == "double_selection" and part.isdigit():
                continue  # only mediators of the union have a coefficient there
            rate = row["found"][part]["coverage"]
            error = (0.95 * 0.05 / row["data_sets"]) ** 0.5
            text = f"{row['cell']}, {row['data_sets']} data sets: coverage of {name}"
            if row["part"] in ("refit", "double_selection", "mediators") and strong:
                if row["correlation"] == 0.5:
                    low = f"{text}, |coverage - .95| in standard errors"
                    goals.append(goal(low, abs(rate - 0.95) / error, at_most=3.0, coverage=rate))
                    continue
            elif row["part"] in ("double_selection", "mediators"):
                goals.append(goal(text, rate, at_least=0.9))
                continue
            goals.append(goal(f"{text} (reported)", rate, at_least=0.0, standard_error=error))
    write("gahmn_coverage", goals, rows, out)


def quantities() -> dict[str, str]:
    return {"direct": "DE", "indirect": "TIE"} | {str(k): f"IE_{k + 1}" for k in SHOWN}
