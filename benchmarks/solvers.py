"""Every method that uses a penalised regression, beside another checkout: seconds of one program.

`python -m benchmarks.solvers --before CHECKOUT [--methods hima guo]`: the other checkout's package
is copied under another name, so that both run in one process, in turn. Two sizes: one data set of
1,000 rows and 500 mediators, and a vmapped batch of 64 of 200 and 50. A ratio is that of median CPU
seconds, above 1 where this checkout is faster; compile seconds are those of tracing, lowering and
compilation together.
"""

import argparse
import importlib
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import ONE_THREAD, RESULTS, ROOT, goal, in_child, write

OTHER = "jaxmed_before"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "lasso_exposure": ("lasso_exposure", {}),
    "lasso_outcome, binomial": ("lasso_outcome", {"family": "binomial"}),
    "post_selection": ("post_selection", {}),
    "double_selection": ("double_selection", {}),
    "hima": ("hima", {}),
    "hima, scad": ("hima", {"penalty": "scad"}),
    "hima, released": ("hima", {"compat": "r"}),
    "hima, binomial": ("hima", {"family": "binomial"}),
    "ehima": ("ehima", {}),
    "guo": ("guo", {}),
    "plsem": ("plsem", {"basis": "given"}),
    "hima2": ("hima2", {"adjust": "bh"}),
    "hdma": ("hdma", {}),
    "hdma, binomial": ("hdma", {"family": "binomial"}),
    "hilma": ("hilma", {}),
    "medfix": ("medfix", {"nlambda2": 0}),
    "pathway_lasso": ("pathway_lasso", {"splits": 2, "lam": (0.01, 0.05, 0.2)}),
    "spcma": ("spcma", {"components": 2, "replicates": 20}),
    "meddic": ("meddic", {}),
}
SIZES = {"one": (1_000, 500, 1), "batch": (200, 50, 64)}
ROUNDS, SECONDS = 7, 60.0  # a case takes as many rounds as fit, one at least
LEAST = 0.9


def main(out: Path, before: Path | None = None, methods: tuple[str, ...] = tuple(METHODS)) -> None:
    """Each case in a process of its own; without another checkout there is no ratio to aim at."""
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        if before is not None:
            _copy(before, Path(folder))
        path = os.pathsep.join([str(ROOT), folder])
        env = ONE_THREAD | {"PYTHONPATH": path, "JAX_ENABLE_X64": "1"}
        for name in methods:
            for size in SIZES:
                both = before is not None
                cases.append(
                    in_child("solvers", "measure", env=env, name=name, size=size, both=both)
                )
                print(json.dumps(cases[-1]), flush=True)
    goals = [
        goal(f"{case['method']}, {case['size']}: speed over before", case["speed"], at_least=LEAST)
        for case in cases
        if "speed" in case
    ]
    write("solvers", goals, {"cases": cases}, out, threads=1)


def _copy(checkout: Path, folder: Path) -> None:
    """The package of a checkout under another name."""
    shutil.copytree(checkout / "jaxmed", folder / OTHER)
    for path in (folder / OTHER).rglob("*.py"):
        path.write_text(re.sub(r"\bjaxmed\b", OTHER, path.read_text()))


def measure(name: str, size: str, both: bool) -> dict[str, Any]:
    """One method at one size, of this checkout and of the other in turn."""
    import jax
    import numpy as np

    function, options = METHODS[name]
    n, p, count = SIZES[size]
    keys = jax.random.split(jax.random.key(1), count) if count > 1 else jax.random.key(1)
    programs, case = {}, {"method": name, "size": size, "n": n, "p": p, "data_sets": count}
    packages = {"now": "jaxmed"} | ({"before": OTHER} if both else {})
    for side, package in packages.items():
        estimators = importlib.import_module(f"{package}.estimators")
        kind = importlib.import_module(f"{package}.data.mediation_data").MediationData
        one = getattr(estimators, function)(**options)
        data = [kind(*_table(n, p, seed, "binomial" in name)) for seed in range(count)]
        given = jax.tree.map(lambda *x: np.stack(x), *data) if count > 1 else data[0]
        start = time.process_time()
        program = jax.jit(jax.vmap(one) if count > 1 else one).lower(keys, given).compile()
        case[f"compile_seconds_{side}"] = time.process_time() - start
        jax.block_until_ready(program(keys, given))
        programs[side] = (program, given)
    taken: dict[str, list[float]] = {side: [] for side in programs}
    end = time.monotonic() + SECONDS
    while not taken["now"] or (len(taken["now"]) < ROUNDS and time.monotonic() < end):
        for side, (program, given) in programs.items():
            start = time.process_time()
            jax.block_until_ready(program(keys, given))
            taken[side].append(time.process_time() - start)
    case |= {f"seconds_{side}": float(np.median(values)) for side, values in taken.items()}
    case["rounds"] = len(taken["now"])
    if both:
        case["speed"] = case["seconds_before"] / case["seconds_now"]
    return case


def _table(n: int, p: int, seed: int, binary: bool) -> tuple[Any, ...]:
    """Exposure, mediators of common correlation, outcome and two covariates."""
    import numpy as np

    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, 2))
    a = rng.normal(size=n) + 0.3 * c.sum(axis=1)
    m = np.sqrt(0.3) * rng.normal(size=(n, 1)) + np.sqrt(0.7) * rng.normal(size=(n, p))
    active = p // 10
    m[:, :active] += 0.5 * a[:, None]
    y = m[:, :active].sum(axis=1) / np.sqrt(active) + 0.3 * a + c.sum(axis=1) + rng.normal(size=n)
    if binary:
        y = (y > np.median(y) + rng.logistic(size=n)).astype(float)
    return a, m, y, c


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    given = parser.parse_args()
    main(given.out, given.before.resolve() if given.before else None, tuple(given.methods))
