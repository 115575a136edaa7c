"""What only a generator gives: conditional spread, correlation and joint distribution.

Setting A at p = 100 (and p = 20 for the correlation), five data sets of 800 rows; location-scale
noise, and the printed generator beside it. Truth: conditional variance .1 + .3 |X1| + .3 T, AR(1)
noise of correlation .5.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

SEEDS, ROWS, CORRELATION = 5, 800, 0.5
EDGES = (0.0, 0.3, 0.7, 1.2, 2.0)
POINTS, DRAWS = 1500, 24
ENERGY_ROWS, ENERGY_DRAWS, COMPARED = 1000, 10, 10


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    cases = []
    for noise, p in (("location_scale", 100), ("location_scale", 20), ("printed", 100)):
        run = program(noise, p)
        for seed in range(SEEDS):
            cases.append({"noise": noise, "p": p, "seed": seed} | one(run, p, seed))
            print(cases[-1], flush=True)
        save(cases, out)


def program(noise: str, p: int):
    """Compiled: key -> (data, fitted generators of one seed)."""
    import jax

    from jaxmed.gahmn import gahmn, improved, one_seed
    from jaxmed.simulate.partially_linear import partially_linear, sample

    model = partially_linear("A", p, correlation=CORRELATION)
    estimator = gahmn(improved(noise=noise), interval="refit")

    def run(key):
        first, second = jax.random.split(key)
        data = sample(first, model, ROWS)
        found = estimator(second, data).details
        return data, one_seed(found.fitted, 0), found.adversarial, found.fitted

    return jax.jit(run)


def one(run, p: int, seed: int) -> dict:
    """All measures of one data set."""
    import jax

    from jaxmed.simulate.partially_linear import curves_of, partially_linear, sample

    key = jax.random.fold_in(jax.random.key(20260105), seed)
    _, fitted, own, _ = run(key)
    model = partially_linear("A", p, correlation=CORRELATION)
    spread = np.asarray(fitted.scale.mediator)
    keys = jax.random.split(jax.random.fold_in(key, 1), 6)
    x = jax.random.normal(keys[0], (POINTS, 2))
    alpha, true = np.asarray(own.alpha), np.asarray(model.alpha)
    result: dict = {
        "ratios": ratios(keys[1], fitted, x),
        "alpha_rmse": float(np.sqrt(np.mean((alpha - true) ** 2))),
        "null_a": float(np.mean(alpha[true == 0] != 0)),
    }
    result["lag_1"], result["far"] = correlations(keys[2], fitted, p)

    # The population of the training data: the same curves.
    curves = curves_of(jax.random.split(key)[0], model)

    @jax.jit
    def rows(k):
        drawn = sample(k, model, ENERGY_ROWS, curves)
        return drawn.exposure, drawn.covariates, drawn.mediators

    @jax.jit
    def generated(k, t, x):
        return fitted.mediators(fitted.mediator_noise(k, ENERGY_ROWS), t, x)

    own_energy, null_energy = [], []
    for i in range(ENERGY_DRAWS):
        ks = jax.random.split(jax.random.fold_in(keys[3], i), 4)
        first, second, third = (joined(*rows(k), spread) for k in ks[:3])
        t, x, _ = rows(ks[3])
        own_energy.append(energy(first, joined(t, x, generated(ks[2], t, x), spread)))
        null_energy.append(energy(second, third))
    result["energy"] = float(np.mean(own_energy))
    result["energy_of_truth"] = float(np.mean(null_energy))
    result["energy_ratio"] = result["energy"] / result["energy_of_truth"]
    return result


def ratios(key, fitted, x) -> list[float]:
    """Generated over true conditional sd in eight cells of exposure and |X1|."""
    import jax
    import jax.numpy as jnp

    found = []
    for arm in (0.0, 1.0):
        t = jnp.full(POINTS, arm)

        @jax.jit
        def variance(k, t=t):
            drawn = jax.lax.map(
                lambda each: fitted.mediators(fitted.mediator_noise(each, POINTS), t, x),
                jax.random.split(k, DRAWS),
            )
            return jnp.var(drawn, axis=0, ddof=1).mean(axis=1)

        made, size = np.asarray(variance(key)), np.abs(np.asarray(x[:, 0]))
        true = 0.1 + 0.3 * size + 0.3 * arm
        for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):
            cell = (size >= low) & (size < high)
            found.append(float(np.sqrt(made[cell].mean() / true[cell].mean())))
    return found


def correlations(key, fitted, p: int) -> tuple[float, float]:
    """Mean lag-1 correlation of the generated residuals, and the RMS beyond lag 5."""
    import jax
    import jax.numpy as jnp

    x = jax.random.normal(jax.random.fold_in(key, 1), (8000, 2))
    t = (jnp.arange(8000) % 2).astype(float)
    drawn = jax.jit(
        lambda k: (
            fitted.mediators(fitted.mediator_noise(k, 8000), t, x) - fitted.mediator_mean(t, x)
        )
    )(key)
    scale = np.sqrt(0.1 + 0.3 * np.abs(np.asarray(x[:, 0])) + 0.3 * np.asarray(t))
    found = np.corrcoef((np.asarray(drawn) / scale[:, None]).T)
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    return float(found[lag == 1].mean()), float(np.sqrt(np.mean(found[lag > 5] ** 2)))


def joined(t, x, m, spread) -> np.ndarray:
    return np.column_stack([np.asarray(m)[:, :COMPARED] / spread[:COMPARED], t, x])


def energy(u: np.ndarray, v: np.ndarray) -> float:
    """V-statistic 2 E|u - v| - E|u - u'| - E|v - v'|, zero diagonals included."""

    def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
        square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return float(np.sqrt(np.maximum(square, 0)).mean())

    return 2 * mean_distance(u, v) - mean_distance(u, u) - mean_distance(v, v)


def save(cases: list[dict], out: Path) -> None:
    goals = []
    for noise in ("location_scale", "printed"):
        part = [c for c in cases if c["noise"] == noise and c["p"] == 100]
        if not part:
            continue
        mean = np.mean([c["ratios"] for c in part], axis=0)
        rows = [
            ("conditional sd, generated / true: smallest cell", float(mean.min()), "at_least", 0.8),
            ("conditional sd, generated / true: largest cell", float(mean.max()), "at_most", 1.2),
            ("mean absolute deviation over cells", float(np.abs(mean - 1).mean()), "at_most", 0.1),
            (
                "energy distance / that of two true samples",
                float(np.mean([c["energy_ratio"] for c in part])),
                "at_most",
                1.5,
            ),
        ]
        for text, value, side, bound in rows:
            bounds = {side: bound} if noise == "location_scale" else {"at_most": float("inf")}
            goals.append(goal(f"{noise}, p=100: {text}", value, **bounds))
    for p in (20, 100):
        part = [c for c in cases if c["noise"] == "location_scale" and c["p"] == p]
        if part:
            lag = float(np.mean([c["lag_1"] for c in part]))
            far = float(np.mean([c["far"] for c in part]))
            goals.append(goal(f"p={p}: |lag-1 correlation - .5|", abs(lag - 0.5), at_most=0.1))
            goals.append(goal(f"p={p}: RMS correlation beyond lag 5", far, at_most=0.1))
    write("gahmn_distribution", goals, cases, out)
