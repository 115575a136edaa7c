"""The dual fit (n = 500, p = 20000) on one thread, beside a NumPy Cholesky dual."""

from pathlib import Path

import numpy as np

from benchmarks.harness import goal, in_child, interleaved, last_core, random_problem, speed, write

ROWS, COLUMNS = 500, 20_000


def main(out: Path) -> None:
    case = in_child("dual", "one_dual", core=last_core(), n=ROWS, p=COLUMNS)
    ratios = case["speed"]
    labels = {
        "paths/numpy_paths": "host: kernel, paths, MaxIE, T, weights / NumPy doing the same",
        "fit/numpy_tables": "host: whole fit / NumPy with the single-mediator table",
        "jax64/numpy_paths": "in jit, float64 / NumPy float64",
        "jax32/numpy32": "in jit, float32 / NumPy float32",
    }
    goals = [
        goal(text, ratios[k]["by_wall_median"], at_least=1.0, **ratios[k])
        for k, text in labels.items()
    ]
    write("dual", goals, case, out, threads=1)


def one_dual(n: int, p: int) -> dict:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    import dataclasses

    from benchmarks import peers
    from jaxmed import MediationData, cosine_test, maxie, paths
    from jaxmed.analysis.fit import fit
    from jaxmed.geometry.paths import dual_paths
    from jaxmed.statistics.dual_stats import dual_statistics

    rows = random_problem(n, p)
    rows32 = tuple(v.astype("float32") for v in rows)
    data = MediationData(*rows, np.zeros((n, 0)))
    data32 = MediationData(*rows32, np.zeros((n, 0), "float32"))

    def composite(result):
        return maxie(result), cosine_test(result).statistic

    from_statistics = jax.jit(lambda s: composite(dual_paths(s)))
    from_rows = jax.jit(lambda d: composite(paths(d)))

    def host_paths():
        """What `fit` does in the dual, less its tables and further tests."""
        stats = dual_statistics(data)
        best, statistic = from_statistics(dataclasses.replace(stats, mediators=None))
        return stats.mediators.array().T @ np.asarray(best.weights), float(statistic)

    def tables():
        return peers.dual(*rows), peers.single_mediators(*rows)

    device, device32 = (jax.tree.map(jnp.asarray, d) for d in (data, data32))
    calls = {
        "paths": host_paths,
        "numpy_paths": lambda: peers.dual(*rows),
        "fit": lambda: jax.block_until_ready(fit(data)),
        "numpy_tables": tables,
        "jax64": lambda: jax.block_until_ready(from_rows(device)),
        "jax32": lambda: jax.block_until_ready(from_rows(device32)),
        "numpy32": lambda: peers.dual(*rows32),
    }
    timings = interleaved(calls, seconds=20, least=5)
    exact = peers.dual(*rows)
    weights, statistic = host_paths()
    size = np.linalg.norm(exact["weights"])
    errors = {
        "T_host": abs(statistic / exact["T"] - 1),
        "weights_host": float(np.linalg.norm(weights - exact["weights"]) / size),
        "T_jit64": float(abs(from_rows(device)[1] / exact["T"] - 1)),
        "T_jit32": float(abs(from_rows(device32)[1] / exact["T"] - 1)),
    }
    pairs = [
        ("paths", "numpy_paths"),
        ("fit", "numpy_tables"),
        ("fit", "numpy_paths"),
        ("jax64", "numpy_paths"),
        ("jax32", "numpy32"),
    ]
    return {
        "n": n,
        "p": p,
        "relative_error": errors,
        "speed": {f"{ours}/{peer}": speed(timings, ours, peer) for ours, peer in pairs},
        "timings": timings,
    }
