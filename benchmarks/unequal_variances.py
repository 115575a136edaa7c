"""Sizes of the two path tests under unequal variances and skewed errors: classical, robust, HC3.

200 rows, 20 mediators, 2,000 data sets a cell, one path null at a time, the other strong. HC3
is the Wald statistic of the heteroscedasticity-consistent covariance of the coefficients, which
the library does not use: as F with p and m - p degrees of freedom, and as Hotelling's T^2.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

ROWS, SIZES, DATA_SETS = 200, (20,), 2000
# What the data are made of, by the path that is null.
CELLS = {
    "exposure": ("equal", "t5", "lognormal", "sd(M) = exp(A/2)", "sd(M1) = exp(A)", "30 % exposed"),
    "outcome": ("equal", "t5", "lognormal", "sd(e) = |M1|", "sd(e) = exp(A/2)"),
}
# Largest size that the documentation names.
LARGEST = {"exposure": 0.1, "outcome": 0.065}


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    cells: list[dict] = []
    for p in SIZES:
        for path, kinds in CELLS.items():
            for kind in kinds:
                cells.append(cell(p, path, kind))
                save(cells, out)


def rows(key, p: int, path: str, kind: str):
    """One data set whose exposure path or outcome path is null."""
    import jax
    import jax.numpy as jnp

    from jaxmed.data.mediation_data import MediationData

    one, two, three = jax.random.split(key, 3)
    a = jax.random.normal(one, (ROWS,))
    if kind == "30 % exposed":
        a = (a < -0.5244).astype(a.dtype)
    noise, e = draw(two, (ROWS, p), kind), draw(three, (ROWS,), kind)
    if kind == "sd(M) = exp(A/2)":
        noise = noise * jnp.exp(a / 2)[:, None]
    if kind == "sd(M1) = exp(A)":
        noise = noise.at[:, 0].multiply(jnp.exp(a))
    x = noise if path == "exposure" else noise.at[:, 0].add(a)
    if kind == "sd(e) = |M1|":
        e = e * jnp.abs(x[:, 0])
    if kind == "sd(e) = exp(A/2)":
        e = e * jnp.exp(a / 2)
    signal = jnp.sum(x, axis=1) / p**0.5 if path == "exposure" else 0.0
    return MediationData(a, x, 0.3 * a + signal + e, jnp.zeros((ROWS, 0)))


def draw(key, shape, kind: str):
    """Errors of mean zero."""
    import jax
    import jax.numpy as jnp

    if kind == "t5":
        return jax.random.t(key, 5.0, shape)
    normal = jax.random.normal(key, shape)
    return jnp.exp(normal) - np.exp(0.5) if kind == "lognormal" else normal


def hc3(data, path: str):
    """p-values of the HC3 Wald statistic of one path, as F and as Hotelling's T^2."""
    import jax.numpy as jnp

    from jaxmed.distributions.tails import f_upper

    p, m = data.mediators.shape[1], ROWS - 2
    a = data.exposure - jnp.mean(data.exposure)
    x = data.mediators - jnp.mean(data.mediators, axis=0)
    z = x - jnp.outer(a, a @ x / (a @ a))
    y = data.outcome - jnp.mean(data.outcome)
    z = jnp.linalg.qr(z)[0] if path == "outcome" else z
    if path == "exposure":
        # z itself is the residual of the mediators; in z's own units nothing changes.
        leverage = 1 / ROWS + a**2 / (a @ a)
        scores, residual = x.T @ a, a / (1 - leverage)
    else:
        leverage = 1 / ROWS + a**2 / (a @ a) + jnp.sum(z**2, axis=1)
        y = y - a * (a @ y) / (a @ a)
        scores = z.T @ y
        residual = (y - z @ scores) / (1 - leverage)
    moved = z * residual[:, None]
    wald = scores @ jnp.linalg.solve(moved.T @ moved, scores)
    return f_upper(wald / p, p, m - p), f_upper(wald * (m - p) / (p * m), p, m - p)


def cell(p: int, path: str, kind: str) -> dict:
    import jax

    from jaxmed.geometry.paths import paths
    from jaxmed.inference.intersection_union import intersection_union_test

    start = time.perf_counter()

    def one(key):
        data = rows(key, p, path, kind)
        found = paths(data, route="gram")
        tests = {
            "classical": intersection_union_test(found),
            "robust": intersection_union_test(found, data=data, variance="robust"),
        }
        wald, hotelling = hc3(data, path)
        p_values = {name: getattr(test, f"p_{path}") for name, test in tests.items()}
        return p_values | {"hc3_wald": wald, "hc3_hotelling": hotelling}

    keys = jax.random.split(jax.random.fold_in(jax.random.key(18), p), DATA_SETS)
    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=8))(keys)
    sizes = {name: float(np.mean(np.asarray(v) <= 0.05)) for name, v in found.items()}
    return {
        "n": ROWS,
        "p": p,
        "null": path,
        "kind": kind,
        "data_sets": DATA_SETS,
        **sizes,
        "seconds": time.perf_counter() - start,
    }


def save(cells: list[dict], out: Path) -> None:
    goals = [
        goal(
            f"size of the robust {row['null']} test, p={row['p']}, {row['kind']}",
            row["robust"],
            at_most=LARGEST[row["null"]],
        )
        for row in cells
    ]
    write("unequal_variances", goals, cells, out, cells_done=len(cells))
