"""What the median over draws of the folds does to the estimator of record, p > n.

`python -m benchmarks record_splits`: data sets of sparse and of dense linear models with more
mediators than rows; robust double selection of one draw of its folds, and the median of ten, as
`mediate` has it: coverage of direct and total indirect effect, error, width, and how far two seeds
lie apart on the same data.
"""

import time
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.harness import goal, write

# rows, mediators, mediators of both paths, alpha, beta
CELLS = {
    "n=100, p=200, 5 active": (100, 200, 5, 0.5, 0.4),
    "n=100, p=200, 40 weak": (100, 200, 40, 0.15, 0.1),
    "n=100, p=200, no path": (100, 200, 0, 0.0, 0.0),
    "n=200, p=400, 5 active": (200, 400, 5, 0.5, 0.4),
}
DATA_SETS, DRAWS, LEVEL, SEED = 100, 10, 0.95, 20261201
DIRECT = 0.3
LEAST = 0.90  # coverage, less three Monte Carlo errors


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    found, goals = {}, []
    for name, cell in CELLS.items():
        found[name] = measured(*cell)
        print(name, found[name], flush=True)
        for part in ("direct", "indirect"):
            share = found[name]["median"][part]["coverage"]
            error = (share * (1 - share) / DATA_SETS) ** 0.5
            text = f"coverage and three Monte Carlo errors, {part}, {name}"
            goals.append(goal(text, share + 3 * error, at_least=LEAST))
        write("record_splits", goals, found, out, data_sets=DATA_SETS, draws=DRAWS, seed=SEED)


def measured(n: int, p: int, active: int, alpha: float, beta: float) -> dict[str, Any]:
    """One cell: for one draw and for the median, what came of every part."""
    import jax
    import jax.numpy as jnp

    from jaxmed.data.mediation_data import MediationData
    from jaxmed.estimators import double_selection

    estimator = double_selection(rule="zz", nodewise=False)
    truth = {"direct": DIRECT, "indirect": active * alpha * beta}

    def draws(keys: Any, data: MediationData) -> Any:
        def one(key: Any) -> Any:
            found = estimator(key, data)
            return [
                [getattr(of, part) for part in truth]
                for of in (found.effects, found.standard_errors)
            ]

        return jax.lax.map(one, keys)

    program = jax.jit(draws)
    rng, start = np.random.default_rng(SEED), time.perf_counter()
    answers = []
    for i in range(DATA_SETS):
        a = rng.normal(size=n)
        noise = rng.normal(size=(n, p))
        noise[:, 1:] = 0.8 * noise[:, 1:] + 0.6 * noise[:, :-1]
        carries = np.arange(p) < active
        m = noise + alpha * a[:, None] * carries
        y = DIRECT * a + beta * m[:, carries].sum(axis=1) + rng.normal(size=n)
        data = MediationData(a, m, y, np.zeros((n, 0)))
        keys = jax.random.split(jax.random.fold_in(jax.random.key(SEED), i), 2 * DRAWS)
        values = program(keys, jax.tree.map(jnp.asarray, data))
        answers.append(np.asarray(values).reshape(2, len(truth), 2 * DRAWS))
    every = np.stack(answers)  # [data sets, estimate and error, parts, draws]
    ways = {"one draw": (every[..., :1], every[..., 1:2])}
    ways["median"] = (every[..., :DRAWS], every[..., DRAWS:])
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        **{way: _summary(*both, truth) for way, both in ways.items()},
    }


def _summary(first: np.ndarray, second: np.ndarray, truth: dict[str, float]) -> dict[str, Any]:
    """Of the draws of one seed, and how far another seed's lie from them."""
    from jaxmed.inference.split_median import median_of_draws

    half = NormalDist().inv_cdf((1 + LEVEL) / 2)
    found: dict[str, Any] = {}
    for i, (part, value) in enumerate(truth.items()):
        (estimate, error), (other, _) = (
            median_of_draws(d[:, 0, i], d[:, 1, i]) for d in (first, second)
        )
        found[part] = {
            "coverage": float(np.mean(np.abs(estimate - value) <= half * error)),
            "bias": float(np.mean(estimate) - value),
            "rmse": float(np.sqrt(np.mean((estimate - value) ** 2))),
            "mean_error": float(np.mean(error)),
            "seeds_apart": float(np.sqrt(np.mean((estimate - other) ** 2))),
        }
    return found
