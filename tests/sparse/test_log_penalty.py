"""The example penalty: its own minimum, and a path of the library's descent under it."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.sparse.likelihoods import Binomial
from jaxmed.sparse.path import path
from jaxmed.sparse.proximal_newton import Problem, free_fit, likelihood_path
from jaxmed.sparse.quadratic import least_squares

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("log_penalty", ROOT / "examples/log_penalty.py")
assert spec is not None and spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
LogPenalty = example.LogPenalty


def test_a_coordinate_is_not_beaten_by_a_fine_grid():
    rng = np.random.default_rng(0)
    pull, curvature = rng.normal(0, 2, 60), rng.uniform(0.5, 2, 60)
    own = LogPenalty(np.full(60, 0.7), rng.uniform(0.3, 3, 60))
    found = np.asarray(jax.jit(lambda o, u, g: o.minimiser(u, g))(own, pull, curvature))
    assert (found == 0).any() and (found != 0).any()
    for i in range(60):

        def objective(b, i=i):
            size = own.level[i] * own.width[i] * np.log1p(np.abs(b) / own.width[i])
            return curvature[i] * b * b / 2 - pull[i] * b + size

        assert objective(found[i]) <= objective(np.linspace(-8, 8, 4001)).min() + 1e-12


def problem():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 15)) + 0.5 * rng.normal(size=(120, 1))
    x = (x - x.mean(0)) / x.std(0)
    return x, x[:, :3] @ [1.5, -1.0, 0.5] + rng.normal(size=120)


def breach(score, b, own, lam):
    """Stationarity in NumPy."""
    slope = lam * own / (own + np.abs(b))
    return np.where(b != 0, np.abs(score - slope * np.sign(b)), np.maximum(np.abs(score) - lam, 0))


def test_a_path_is_stationary_and_shrinks_less_than_the_lasso():
    x, y = problem()
    y = y - y.mean()
    lam = np.geomspace(1, 0.05, 8)
    share, width = np.full(120, 1 / 120), np.ones(15)

    def solve(columns, y):
        quadratic, residual = least_squares(columns, jnp.asarray(share), y)

        def at(v):
            return LogPenalty(v * width, width)

        return path(quadratic, residual, jnp.asarray(lam), at, tolerance=jnp.asarray(1e-10))

    fit = jax.jit(solve)(x.T, y)
    assert (np.asarray(fit.status) == status.OK).all()
    for b, level, said in zip(np.asarray(fit.coefficients), lam, fit.violation, strict=True):
        worst = breach((y - x @ b) @ x / 120, b, 1.0, level).max()
        assert worst < 1e-9 and abs(worst - said) < 1e-12
    assert 0 < (np.asarray(fit.coefficients[3]) != 0).sum() < 15


def test_a_likelihood_takes_it_as_it_is():
    x, y = problem()
    y = (y > 0).astype(float)
    columns = np.concatenate([np.ones((1, 120)), x.T])
    factors = np.r_[0.0, np.ones(15)]
    lam = np.array([0.1, 0.05])

    def solve(columns, y):
        data = Problem(columns, Binomial(y, jnp.full(120, 1 / 120)))
        start, _ = free_fit(data, jnp.asarray(factors), tolerance=1e-10)

        def at(v):
            return LogPenalty(v * factors, jnp.full(16, 2.0))

        return likelihood_path(data, start, jnp.asarray(lam), at, tolerance=jnp.asarray(1e-10))

    fit = jax.jit(solve)(columns, y)
    assert (np.asarray(fit.status) == status.OK).all()
    for b, level in zip(np.asarray(fit.coefficients), lam, strict=True):
        score = (y - 1 / (1 + np.exp(-b @ columns))) @ columns.T / 120
        assert abs(score[0]) < 1e-9
        assert breach(score[1:], b[1:], 2.0, level).max() < 1e-9
