"""Paths of lasso, MCP and SCAD: the field's package to rounding, and certificates of our own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.sparse.bic_path import REFERENCE, PathSolver, bic_path, penalty_path
from jaxmed.sparse.likelihood_bic_path import likelihood_bic_path
from jaxmed.sparse.likelihoods import Binomial
from jaxmed.sparse.proximal_newton import Problem
from jaxmed.sparse.shapes import shape_of

most_kinds = pytest.mark.parametrize(
    "kind", ["lasso", "mcp", pytest.param("scad", marks=pytest.mark.slow)]
)
pytestmark = pytest.mark.float32
TIGHT = jax.config.jax_enable_x64
needs_double = pytest.mark.skipif(not TIGHT, reason="compares 15 digits")


@functools.cache
def design(alias="lin"):
    """Standardised columns [M A X], factors, moments and the scale of each column."""
    data = reference.data(alias)
    n, p = data.mediators.shape
    x = np.column_stack([data.mediators, data.exposure, data.covariates])
    x = x - x.mean(0)
    scale = np.sqrt((x**2).mean(0))
    x, y = x / scale, data.outcome - data.outcome.mean()
    factors = np.r_[np.ones(p), np.zeros(x.shape[1] - p)]
    return x, y, factors, scale


@functools.partial(jax.jit, static_argnames=("kind", "solver"))
def path(x, y, factors, kind, solver):
    n = y.shape[0]
    gram, score = x.T @ x / n, x.T @ y / n
    penalties = penalty_path(gram, score, factors, count=100, ratio=0.001, nudge=True)
    penalty = shape_of(kind)
    return bic_path(gram, score, y @ y / n, 1.0 * n, factors, penalties, penalty, solver)


def numbers(*values):
    return [jnp.asarray(value) for value in values]


@needs_double
@pytest.mark.parametrize("kind", [pytest.param("lasso", marks=pytest.mark.slow), "mcp", "scad"])
def test_the_package_step_by_step(kind):
    x, y, factors, scale = design()
    stored = reference.call("lin", "ncvreg_path")["result"][{"lasso": kind}.get(kind, kind.upper())]
    found = path(*numbers(x, y, factors), kind, REFERENCE)
    at = stored["chosen_index"] - 1
    assert int(found.index) == at and int(found.status) == st.OK
    np.testing.assert_allclose(found.penalties, stored["lambda"], rtol=1e-10)
    np.testing.assert_allclose(found.bic[2 : at + 1], stored["bic"][2 : at + 1], rtol=1e-9)
    np.testing.assert_allclose(
        found.chosen / scale, np.asarray(stored["coef_at_chosen"])[1:], rtol=1e-9, atol=1e-13
    )


def slope(kind, b, level):
    """P'(|b|) in plain numpy."""
    gamma = {"mcp": 3.0, "scad": 3.7}.get(kind)
    if kind == "lasso":
        return np.full_like(b, level)
    if kind == "mcp":
        return np.maximum(level - b / gamma, 0)
    return np.where(b <= level, level, np.maximum(gamma * level - b, 0) / (gamma - 1))


@most_kinds
def test_tight_solutions_are_stationary_and_convexity_is_told(kind):
    x, y, factors, _ = design()
    found = path(*numbers(x, y, factors), kind, PathSolver())
    limit = 1e-8 if TIGHT else 1e-4
    n, curvature = len(y), {"lasso": 0.0, "mcp": 1 / 3, "scad": 1 / 2.7}[kind]
    for at in (5, int(found.index), 60):
        b, level = np.asarray(found.coefficients[at], float), float(found.penalties[at])
        score = x.T @ (y - x @ b) / n
        bound = slope(kind, np.abs(b), level) * factors
        breach = np.where(b != 0, np.abs(score - bound * np.sign(b)), np.abs(score) - level)
        assert np.max(breach) < limit * np.sqrt(np.mean(y**2)), at
    active = np.flatnonzero((np.asarray(found.chosen) != 0) & (factors > 0))
    least = np.linalg.eigvalsh(x[:, active].T @ x[:, active] / n)[0]
    assert bool(found.beyond_convexity) == (least < curvature)
    assert float(found.violation) < limit and int(found.status) == st.OK


def test_beyond_convexity_is_seen_where_columns_are_alike():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 1)) + 0.2 * rng.normal(size=(150, 33))
    x = (x - x.mean(0)) / x.std(0)
    y = x @ np.r_[1.0, -1.0, np.zeros(31)] + 0.01 * rng.normal(size=150)
    found = path(*numbers(x, y - y.mean(), np.ones(33)), "mcp", PathSolver())
    assert (np.asarray(found.chosen) != 0).sum() > 1 and bool(found.beyond_convexity)


@needs_double
def test_ending_early_keeps_the_choice():
    x, y, factors, _ = design()
    whole = path(*numbers(x, y, factors), "mcp", PathSolver())
    ended = path(*numbers(x, y, factors), "mcp", PathSolver(patience=20))
    assert int(ended.index) == int(whole.index) and int(ended.solved.sum()) == int(whole.index) + 21
    np.testing.assert_array_equal(ended.chosen, whole.chosen)
    assert np.isinf(np.asarray(ended.bic)[~np.asarray(ended.solved)]).all()


@pytest.mark.parametrize(
    "kind", ["mcp", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("lasso", "scad"))]
)
def test_logistic_fixed_point(kind):
    """v b = T(score + v b; lambda) at every penalty, in plain numpy."""
    rng = np.random.default_rng(1)
    n, d = 120, 8
    x = np.column_stack([np.ones(n), rng.normal(size=(n, d))])
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-1.5 * x[:, 1] + x[:, 2]))).astype(float)
    factors = np.r_[0.0, np.ones(d)]
    penalty = shape_of(kind)
    ones = jnp.ones(d + 1)
    threshold = jax.jit(lambda z, level: penalty.at(level).minimiser(z, ones))

    def solve(columns, outcome, factors):
        weights = jnp.full(n, 1 / n, columns.dtype)
        problem = Problem(columns, Binomial(outcome, weights, 1e-4))
        rows = jnp.asarray(n, columns.dtype)
        return likelihood_bic_path(problem, rows, factors, penalty, count=12, ratio=0.05)

    run = jax.jit(solve)
    found = run(*numbers(x.T, y, factors))
    assert int(found.status) == st.OK and np.asarray(found.chosen)[[1, 2]].all()
    for b, level in zip(np.asarray(found.coefficients, float), found.penalties, strict=True):
        pi = 1 / (1 + np.exp(-x @ b))
        curvature = (x**2).T @ np.maximum(pi * (1 - pi), 1e-4) / n
        z = x.T @ (y - pi) / n + curvature * b
        wanted = threshold(z, float(level) * factors)
        np.testing.assert_allclose(curvature * b, wanted, atol=1e-6 if TIGHT else 5e-4)
