"""Threats to validity: how often each is told of where there is none, and what screening does.

Alarms: data of a linear model with both paths active, 300 data sets a cell; the share in which a
code is told of beside SCREENED_UNKNOWN. "Null" has neither path. Screening: exposure and mediators
are independent normals, the outcome is the exposure's effect and noise, so that nothing mediates;
the mediators analysed are the first ones, or those of the largest correlations, 300 data sets a
cell; the share in which the 95% interval of a cross-fitted MaxIE effect, upward or downward, leaves
zero out on its own side.
THREATS="alarms,screening" chooses.
"""

import collections
import functools
import os
from pathlib import Path

import numpy as np

from benchmarks.harness import goal, write

DATA_SETS = 300
# Rows, mediators, covariates.
SIZES = ((60, 5, 2), (100, 3, 2), (150, 20, 2), (102, 49, 1), (400, 300, 5), (102, 517, 1))
KINDS = ("normal", "splines", "0/1 exposure", "null", "t5", "uneven weights")
# Rows, mediators, those kept, total effect.
SCREENED = ((100, 1000, 30, 0.0), (100, 1000, 30, 0.5), (400, 5000, 50, 0.25))
WAYS = ("none", "exposure", "outcome", "both", "both, other half")


def main(out: Path) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    wanted = os.environ.get("THREATS", "alarms,screening").split(",")
    cells: list[dict] = []
    if "alarms" in wanted:
        for size in SIZES:
            for kind in KINDS:
                if kind == "splines" and sum(size[1:]) > size[0] / 3:
                    continue  # no room for them
                cells.append(alarms(*size, kind))
        save(cells, out)
    if "screening" in wanted:
        for cell in SCREENED:
            cells.append(screening(*cell))
            save(cells, out)


def problem(rng: np.random.Generator, n: int, p: int, q: int, kind: str):
    """One data set without a flaw."""
    from jaxmed.data.mediation_data import mediation_data

    x = rng.normal(size=(n, q))
    a = 0.4 * x.sum(axis=1) + rng.normal(size=n)
    a = (a > 0).astype(float) if kind == "0/1 exposure" else a
    strength = 0.0 if kind == "null" else 0.3
    noise = rng.standard_t(5, (n, p + 1)) if kind == "t5" else rng.normal(size=(n, p + 1))
    m = np.outer(a, strength * rng.normal(size=p)) + noise[:, :p] + x[:, :1]
    y = 0.5 * a + m @ (strength * rng.normal(size=p)) + x.sum(axis=1) + noise[:, p]
    weights = rng.uniform(0.3, 3, n) if kind == "uneven weights" else None
    return mediation_data(a, m, y, x, weights)


def alarms(n: int, p: int, q: int, kind: str) -> dict:
    from jaxmed.analysis.threats import Estimates, threats_of_rows
    from jaxmed.data import covariate_basis
    from jaxmed.data.transforms import standardise

    found: collections.Counter = collections.Counter()
    any_of_them = 0
    for seed in range(DATA_SETS):
        data = problem(np.random.default_rng([seed, n, p]), n, p, q, kind)
        analysed = covariate_basis(data, "splines").data if kind == "splines" else data
        scaled = standardise(analysed)[0]
        told = threats_of_rows(data, scaled, Estimates(n, q, p), screened="no")
        found.update({threat["code"] for threat in told})
        any_of_them += bool(told)
    return {
        "part": "alarms",
        "n": n,
        "p": p,
        "q": q,
        "kind": kind,
        "any": any_of_them / DATA_SETS,
        "codes": {code: count / DATA_SETS for code, count in sorted(found.items())},
    }


def kept(way: str, a: np.ndarray, m: np.ndarray, y: np.ndarray, keep: int):
    """Rows and mediators that are analysed after a screen of one kind."""
    rows = slice(None)
    if way == "none":
        return rows, np.arange(keep)
    judged = slice(None)
    if way.endswith("half"):
        half = len(a) // 2
        judged, rows = slice(half), slice(half, None)

    def strength(column: np.ndarray) -> np.ndarray:
        z, c = m[judged] - m[judged].mean(axis=0), column[judged] - column[judged].mean()
        return np.abs(z.T @ c) / np.linalg.norm(z, axis=0) / np.linalg.norm(c)

    by_exposure, by_outcome = strength(a), strength(y)
    score = {"exposure": by_exposure, "outcome": by_outcome}.get(
        way, np.minimum(by_exposure, by_outcome)
    )
    return rows, np.sort(np.argsort(-score)[:keep])


def screening(n: int, p: int, keep: int, total: float) -> dict:
    import jax

    from jaxmed.data.mediation_data import MediationData
    from jaxmed.geometry.bisector import maxie
    from jaxmed.inference.cross_fit import cross_fitted_effects

    chosen: dict[str, list] = {way: [] for way in WAYS}
    for seed in range(DATA_SETS):
        rng = np.random.default_rng([seed, n, p])
        a, m = rng.normal(size=n), rng.normal(size=(n, p))
        y = total * a + rng.normal(size=n)
        for way in WAYS:
            rows, columns = kept(way, a, m, y, keep)
            chosen[way].append((a[rows], m[rows][:, columns], y[rows]))
    keys = jax.random.split(jax.random.key(19), DATA_SETS)

    both = (maxie, functools.partial(maxie, sign=-1))

    def holds_up(key, a, m, y, splits: int):
        data = MediationData(a, m, y, np.zeros((a.shape[0], 0)))
        up, down = cross_fitted_effects(key, data, both, splits=splits)
        return (up.interval.lower > 0) | (down.interval.upper < 0)

    shares: dict[str, dict] = {}
    for splits in (1, 10):
        one = functools.partial(holds_up, splits=splits)
        program = jax.jit(lambda *sets, one=one: jax.lax.map(lambda v: one(*v), sets))
        shares[f"splits_{splits}"] = {}
        for way, sets in chosen.items():
            stacked = [np.stack(column) for column in zip(*sets, strict=True)]
            found = np.asarray(program(keys, *stacked))
            shares[f"splits_{splits}"][way] = float(np.mean(found))
    return {"part": "screening", "n": n, "p": p, "kept": keep, "total": total, **shares}


def save(cells: list[dict], out: Path) -> None:
    goals = [
        goal(f"alarms at {c['n']} x {c['p']}, {c['kind']}", c["any"], at_most=0.1)
        for c in cells
        if c["part"] == "alarms" and c["kind"] != "t5"  # heavy tails are a flaw in a small way
    ]
    write("threats", goals, cells, out, cells_done=len(cells))
