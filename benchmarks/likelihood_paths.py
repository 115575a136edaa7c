"""Lassos of binomial, Poisson and Cox likelihoods beside skglm: objective, certificate, seconds.

`python -m benchmarks likelihood_paths` needs the extra `peers`. The objectives of both are computed
by this library's likelihoods in float64; the certificate of ours is recomputed from the data. The
peer solves each penalty from zero to a tolerance of 1e-10 (it has no path for these), we walk the
path: seconds are those of the whole path and of its last penalty.
"""

from pathlib import Path
from typing import Any

from benchmarks.harness import goal, in_child, write

ROWS = 1_000
SIZES = (500, 2_000)
FAMILIES = ("binomial", "poisson", "breslow", "efron")
COUNT, RATIO = 4, 0.1  # penalties, smallest over largest


def main(out: Path) -> None:
    cases = [
        in_child("likelihood_paths", "measure", family=family, p=p)
        for p in SIZES
        for family in FAMILIES
    ]
    batches = [in_child("likelihood_paths", "batch", family=family) for family in FAMILIES]
    goals = [
        goal(
            "objective above the peer's, relative, worst of all",
            max(each for case in cases for each in case["objective_above_peer"]),
            at_most=1e-8,
        ),
        goal(
            "violation of the optimality conditions over the largest penalty, worst of all",
            max(each for case in cases for each in case["violation"]),
            at_most=1e-6,
        ),
        goal(
            "a batch of 8 under jit and vmap against each alone, coefficients",
            max(case["difference"] for case in batches),
            at_most=1e-6,
        ),
    ]
    write("likelihood_paths", goals, {"paths": cases, "batches": batches}, out, threads=1)


def table(family: str, n: int, p: int, seed: int) -> dict[str, Any]:
    """Correlated columns, ten of them at work, and the family's outcome with ties."""
    import numpy as np

    rng = np.random.default_rng(seed)
    x = 0.7 * rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    x = (x - x.mean(0)) / x.std(0)
    eta = x[:, :10] @ rng.normal(size=10) * 0.4
    if family == "binomial":
        return {"x": x, "y": (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(float)}
    if family == "poisson":
        return {"x": x, "y": rng.poisson(np.exp(0.5 * eta)).astype(float)}
    time = np.round(rng.exponential(np.exp(-eta)), 2)
    return {"x": x, "time": time, "event": (rng.uniform(size=n) < 0.7).astype(float)}


def problem_of(family: str, t: dict[str, Any]) -> Any:
    """The library's problem of a table; safe to trace."""
    import jax.numpy as jnp

    from jaxmed.sparse.likelihoods import Binomial, Poisson, cox
    from jaxmed.sparse.proximal_newton import Problem

    columns = jnp.asarray(t["x"]).T
    n = columns.shape[1]
    weights = jnp.full(n, 1 / n)
    if family == "binomial":
        return Problem(columns, Binomial(jnp.asarray(t["y"]), weights))
    if family == "poisson":
        return Problem(columns, Poisson(jnp.asarray(t["y"]), weights, jnp.zeros(n)))
    time, event = jnp.asarray(t["time"]), jnp.asarray(t["event"])
    likelihood, order = cox(time, event, weights, family)  # pyright: ignore[reportArgumentType]
    return Problem(columns[:, order], likelihood)


def solved(family: str, t: dict[str, Any]) -> tuple[Any, Any]:
    """Penalties and the path; no intercept, as the peer is called."""
    import jax.numpy as jnp

    from jaxmed.sparse.path import largest_penalty, penalty_grid
    from jaxmed.sparse.penalties import L1
    from jaxmed.sparse.proximal_newton import free_fit, likelihood_path

    own = problem_of(family, t)
    factors = jnp.ones(own.columns.shape[0])
    start, score = free_fit(own, factors, tolerance=1e-9)
    grid = penalty_grid(largest_penalty(score, factors), COUNT, RATIO)
    return grid, likelihood_path(
        own, start, grid, lambda v: L1(v * factors), tolerance=1e-9 * grid[0]
    )


def peer(family: str, t: dict[str, Any], penalty: float) -> tuple[Any, float]:
    """skglm's coefficients at one penalty, and its seconds once it is compiled."""
    import time

    import numpy as np
    from skglm import datafits
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    x = np.asfortranarray(t["x"])
    if family == "binomial":
        datafit, y = datafits.Logistic(), 2 * t["y"] - 1
    elif family == "poisson":
        datafit, y = datafits.Poisson(), t["y"]
    else:
        datafit = datafits.Cox(use_efron=family == "efron")
        y = np.column_stack([t["time"], t["event"]])
    solver = ProxNewton(tol=1e-10, max_iter=100, max_pn_iter=1000, fit_intercept=False)
    solver.solve(x, y, datafit, L1(penalty))  # compiles
    start = time.perf_counter()
    found = solver.solve(x, y, datafit, L1(penalty))[0]
    return found, time.perf_counter() - start


def measure(family: str, p: int) -> dict[str, Any]:
    """One data set of ROWS rows."""
    import time

    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    t = table(family, ROWS, p, seed=p)
    start = time.perf_counter()
    program = jax.jit(lambda t: solved(family, t)).lower(t).compile()
    compiling = time.perf_counter() - start
    jax.block_until_ready(program(t))
    start = time.perf_counter()
    grid, fit = jax.block_until_ready(program(t))
    seconds = time.perf_counter() - start
    own = problem_of(family, t)
    above, theirs, sizes = [], [], []
    for lam, b in zip(np.asarray(grid)[1:], np.asarray(fit.coefficients)[1:], strict=True):
        other, took = peer(family, t, float(lam))
        value, best = (
            float(own.likelihood.loss(v @ own.columns)) + lam * float(np.abs(v).sum())
            for v in (b, other)
        )
        above.append((value - best) / abs(best))
        theirs.append(took)
        sizes.append([int((b != 0).sum()), int((other != 0).sum())])
    return {
        "family": family,
        "n": ROWS,
        "p": p,
        "penalties_over_largest": (np.asarray(grid) / float(grid[0])).tolist(),
        "objective_above_peer": above,
        "violation": (np.asarray(fit.violation) / float(grid[0])).tolist(),
        "status": np.asarray(fit.status).tolist(),
        "selected_ours_and_peers": sizes,
        "seconds_of_our_path": seconds,
        "seconds_to_compile": compiling,
        "seconds_of_the_peer_by_penalty": theirs,
    }


def batch(family: str, count: int = 8, n: int = 200, p: int = 50) -> dict[str, Any]:
    """Several data sets by one program against each alone."""
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    tables = [table(family, n, p, seed) for seed in range(count)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *tables)
    together = jax.jit(jax.vmap(lambda t: solved(family, t)[1].coefficients))(stacked)
    alone = jax.jit(lambda t: solved(family, t)[1].coefficients)
    pairs = zip(together, tables, strict=True)
    worst = max(float(np.max(np.abs(b - alone(t)))) for b, t in pairs)
    return {"family": family, "n": n, "p": p, "data_sets": count, "difference": worst}
