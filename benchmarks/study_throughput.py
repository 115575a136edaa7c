"""Replicates per second of a study of the cosine test, beside a NumPy/SciPy loop of the same study.

Three levels through `sweep` in float32 on one thread (data, Gram factor, exact law) against a
loop that a user would write, in float64; the rate of the random numbers that the data level cannot
do without is measured beside it. Agreement: the means of T at the three levels, in Monte Carlo
standard errors of their difference.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, in_child, last_core, write

NUM_ROWS = 1000
SIZES = (20, 50, 100, 500)
DATA_GOALS = {20: 1.4, 50: 2.0, 100: 2.0, 500: 2.0}
# Replicates of one timed round at p = 100; others in proportion to their cost.
ROUND = {"data": 400, "gram": 8_000, "exact": 2_000_000, "numpy": 200}
BATCH = {"data": 1, "gram": 16, "exact": 1}


def main(out: Path) -> None:
    cases = [in_child("study_throughput", "rates", core=last_core(), p=p) for p in SIZES]
    goals = []
    for case in cases:
        p, speed = case["p"], case["speed_over_numpy"]
        size = f"n={NUM_ROWS}, p={p}"
        goals += [
            goal(f"data level over numpy, {size}", speed["data"], at_least=DATA_GOALS[p]),
            goal(f"Gram level over numpy, {size}", speed["gram"], at_least=20.0),
            goal(f"exact level over numpy, {size}", speed["exact"], at_least=1000.0),
            goal(f"largest |z| between levels, {size}", case["largest_z"], at_most=4.0),
        ]
        if p == 100:
            goals.append(
                goal("data level, share of the RNG bound, p=100", case["rng_share"], at_least=0.7)
            )
    write("study_throughput", goals, cases, out)


def rates(p: int) -> dict:
    """Rates of one number of mediators; rounds of all contenders in turn, medians of wall time."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from jaxmed.simulate import ar1_factor, law_of, linear_sem
    from jaxmed.sweeps import moments, sweep
    from jaxmed.sweeps.levels import cosine_statistic, path_task

    alpha, beta = path_vectors(p)
    model = linear_sem(
        jnp.asarray(alpha, jnp.float32),
        jnp.asarray(beta, jnp.float32),
        direct=0.25,
        exposure_sd=0.5,
        outcome_sd=0.5,
        lower=ar1_factor(p, 0.75).astype(jnp.float32),
    )
    law = law_of(model, NUM_ROWS)
    cost = {"data": p / 100, "gram": (p / 100) ** 1.5, "exact": 1.0, "numpy": (p / 100) ** 1.3}
    counts = {name: max(int(ROUND[name] / cost[name]), 40) for name in ROUND}
    numpy_loop = loop(alpha, beta)

    def level(name):
        task = path_task(name, cosine_statistic, num_rows=NUM_ROWS, num_mediators=p)
        chunk = 2**16 if name == "exact" else counts[name]
        batch = 1 if p == 500 else BATCH[name]

        def call(seed):
            return sweep(
                jax.random.key(seed),
                task,
                counts[name],
                parameters=model if name == "data" else law,
                chunk=chunk,
                batch=batch,
                reducer=moments(),
            )["statistic"]

        return call

    @jax.jit
    def draws(key):
        """The normals of the data level and nothing else."""

        def one(i):
            shape = (p + 2, NUM_ROWS)
            return jnp.sum(jax.random.normal(jax.random.fold_in(key, i), shape, jnp.float32))

        return jnp.sum(lax.map(one, jnp.arange(counts["data"])))

    calls = {name: level(name) for name in ("data", "gram", "exact")}
    calls["numpy"] = lambda seed: numpy_loop(seed, counts["numpy"])
    calls["rng"] = lambda seed: draws(jax.random.key(seed)).block_until_ready()
    counts["rng"] = counts["data"]
    first, results, seconds = {}, {}, {name: [] for name in calls}
    for name, call in calls.items():
        start = time.perf_counter()
        call(0)
        first[name] = time.perf_counter() - start
    for seed in range(1, 8):
        for name, call in calls.items():
            start = time.perf_counter()
            results[name] = call(seed)
            seconds[name].append(time.perf_counter() - start)
    rate = {name: counts[name] / float(np.median(seconds[name])) for name in calls}
    levels = [results[name] for name in ("data", "gram", "exact")] + [results["numpy"]]
    z = [
        abs(a.mean - b.mean) / np.hypot(a.standard_error, b.standard_error)
        for i, a in enumerate(levels)
        for b in levels[:i]
    ]
    return {
        "p": p,
        "replicates_per_second": rate,
        "speed_over_numpy": {name: rate[name] / rate["numpy"] for name in calls if name != "numpy"},
        "rng_share": rate["data"] / rate["rng"],
        "million_normals_per_second": rate["rng"] * NUM_ROWS * (p + 2) / 1e6,
        "first_call_seconds": first,
        "largest_z": float(max(z)),
    }


def path_vectors(p: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sparse unit vectors without shared entries."""
    rng = np.random.default_rng(p)
    order, size = rng.permutation(p), p // 5
    alpha, beta = np.zeros(p), np.zeros(p)
    alpha[order[:size]] = rng.normal(size=size)
    beta[order[size : 2 * size]] = rng.normal(size=size)
    return alpha / np.linalg.norm(alpha), beta / np.linalg.norm(beta)


def loop(alpha: np.ndarray, beta: np.ndarray):
    """The study as a loop over NumPy data sets, float64."""
    from scipy import linalg

    from jaxmed.sweeps.reducers import moments

    p = len(alpha)
    index = np.arange(p)
    lower = np.linalg.cholesky(0.75 ** np.abs(index[:, None] - index))

    def statistic(rng):
        x = rng.standard_normal((NUM_ROWS, p)) @ lower.T
        a = x @ alpha + 0.5 * rng.standard_normal(NUM_ROWS)
        y = x @ beta + 0.25 * a + 0.5 * rng.standard_normal(NUM_ROWS)
        x, a, y = x - x.mean(0), a - a.mean(), y - y.mean()
        tau, s = a @ a, x.T @ a
        gamma = x.T @ y - s * (a @ y / tau)
        factor = linalg.cholesky(x.T @ x - np.outer(s, s) / tau, lower=True)
        u, v = linalg.solve_triangular(factor, np.column_stack([s, gamma]), lower=True).T
        cosine = u @ v / np.sqrt((u @ u) * (v @ v))
        return np.sqrt(p - 1) * cosine / np.sqrt(1 - cosine**2)

    def call(seed, count):
        rng = np.random.default_rng(seed)
        values = np.array([statistic(rng) for _ in range(count)])
        return moments().finish(moments().lift({"statistic": values}))["statistic"]

    return call
