"""Closed forms against numerical optimisers, as in He (2026) Table 2.

Two optimisers, both from the same number of random starts: L-BFGS with gradients by automatic
differentiation in whitened coordinates (`estimators.numerical`, all starts in one program), and
SciPy's L-BFGS-B on the raw weights with gradients by finite differences, as the paper's own peer.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness import goal, in_child, interleaved, last_core, once, random_problem, write

CASES = ((500, 20, True), (1000, 100, True), (1000, 500, False))
RESTARTS = 10


def main(out: Path) -> None:
    core = last_core()
    cases = [in_child("optimisers", "one_case", core=core, n=n, p=p, finite=f) for n, p, f in CASES]
    goals = []
    for case in cases:
        for name, row in case["objectives"].items():
            text = (
                f"{name} ({case['n']}, {case['p']}): numerical optimum above closed form, relative"
            )
            worst = max(v for k, v in row["excess"].items() if "float64" in k or "scipy" in k)
            goals.append(goal(text, worst, at_most=1e-10, time_ratios=row["time_ratio"]))
    write("optimisers", goals, cases, out, threads=1, restarts=RESTARTS)


def one_case(n: int, p: int, finite: bool) -> dict:
    """Value reached and time from rows to weights, of each way to each objective."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from jaxmed import MediationData, maxcor, maxie, paths
    from jaxmed.estimators.numerical import numerical

    rows = random_problem(n, p)
    data = jax.tree.map(jnp.asarray, MediationData(*rows, np.zeros((n, 0))))
    key = jax.random.key(1)
    closed_forms = {"indirect": maxie, "index": maxcor}
    objectives = {}
    for name, closed in closed_forms.items():
        direct = jax.jit(lambda d, closed=closed: closed(paths(d)))
        search = jax.jit(numerical(objective=name, restarts=RESTARTS))
        timings = interleaved(
            {
                "closed": lambda f=direct: jax.block_until_ready(f(data)),
                "autodiff": lambda f=search: jax.block_until_ready(f(key, data)),
            },
            seconds=4,
            least=5,
        )
        field = "indirect" if name == "indirect" else "index"
        best = float(getattr(direct(data), field))
        estimate = search(key, data)
        found = float(getattr(estimate.details.composite, field))
        excess = {"autodiff_float64": found / best - 1}
        times = {k: v["wall_median_ms"] for k, v in timings.items()}
        if finite:
            value, wall = _scipy(rows, name)
            excess["scipy_finite_differences"] = value / best - 1
            times["scipy"] = wall
        objectives[name] = {
            "excess": excess,
            "time_ms": times,
            "time_ratio": {k: v / times["closed"] for k, v in times.items() if k != "closed"},
            "timings": timings,
            "autodiff_status": int(estimate.details.rule.status),
        }
    return {"n": n, "p": p, "objectives": objectives}


def _scipy(rows: tuple, name: str) -> tuple[float, float]:
    """(best value, wall ms from rows) of L-BFGS-B with numerical gradients on the raw weights."""
    import scipy.optimize

    best = [-np.inf]

    def search() -> None:
        a, x, y = (v - v.mean(axis=0) for v in rows)
        tau, gram, s = a @ a, x.T @ x, x.T @ a
        gamma = x.T @ (y - a * ((a @ y) / tau))
        residual = gram - np.outer(s, s / tau)
        size = np.sqrt(tau * (y @ y))

        def loss(w: np.ndarray) -> float:
            inner = w @ residual @ w
            top = (w @ s) * (w @ gamma)
            if name == "indirect":
                return -top / (tau * inner)
            return -top / np.sqrt(inner * (w @ gram @ w)) / size

        rng = np.random.default_rng(1)
        for _ in range(RESTARTS):
            done = scipy.optimize.minimize(
                loss,
                rng.normal(size=len(s)),
                method="L-BFGS-B",
                options={"maxiter": 500, "maxfun": 10**6},
            )
            best[0] = max(best[0], -done.fun)

    wall = once(search)[0]
    return best[0], wall
