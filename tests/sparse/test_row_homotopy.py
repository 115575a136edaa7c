"""Paths from rows are those from products of all columns, without these products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.parts import supports as sp
from jaxmed.sparse.homotopy import default_grid, gram_path, search
from jaxmed.sparse.row_homotopy import row_path, row_problem, row_search

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="compared in float64")
N, P, GRID = 40, 60, 15
FOLDS = np.arange(N) % 4


def problem(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, P))
    x[:, 1:] += 0.7 * x[:, :-1]
    x = (x - x.mean(0)) / x.std(0) / np.sqrt(N)
    y = x[:, :4] @ [1.0, -0.8, 0.5, 0.3] * np.sqrt(N) + rng.normal(size=N)
    return x, (y - y.mean()) / np.sqrt(N)


@jax.jit
def both(x, y, root):
    weighted = root[:, None] * x
    gram, score = weighted.T @ weighted, weighted.T @ (root * y)
    penalties = default_grid(score, GRID, 0.01)
    return gram_path(gram, score, penalties), row_path(x, row_problem(x, y, root), penalties)


def same(one, other, gram=None):
    given = (lambda b: b) if gram is None else (lambda b: b @ gram)
    np.testing.assert_allclose(given(other.coefficients), given(one.coefficients), atol=1e-9)
    # At the largest penalty rounding decides whether the first column is in, with coefficient 0.
    np.testing.assert_allclose(other.explained[1:], one.explained[1:], rtol=1e-9, atol=1e-12)
    assert np.asarray(other.violation).max() < 1e-8
    np.testing.assert_array_equal(other.status, one.status)


@pytest.mark.parametrize("left_out", [0, 12])
def test_path_is_that_of_the_products(left_out):
    x, y = problem()
    root = np.where(np.arange(N) < left_out, 0, np.linspace(0.5, 1.5, N))
    same(*both(x, y, root))


def test_twins_constants_and_no_signal():
    x, y = problem(1)
    x[:, 5], x[:, 7] = x[:, 0], 0
    one, other = both(x, y, np.ones(N))
    assert not np.asarray(other.coefficients)[:, 7].any()
    same(one, other, x.T @ x)  # the fit is unique, the coefficients of twins are not
    nothing = both(x, np.zeros(N), np.ones(N))[1]
    assert not np.asarray(nothing.coefficients).any()


def test_search_is_that_of_the_products():
    x, y = problem(2)
    held = FOLDS[None] == np.arange(4)[:, None]
    roots = np.where(held, 0, 1.0)
    parts = roots[:, :, None] * x
    grams, scores = parts.transpose(0, 2, 1) @ parts, np.einsum("knp,n->kp", parts, y)
    penalties = default_grid(jnp.asarray(x.T @ y), GRID, 0.01)

    def loss(b, explained):
        del explained
        return jnp.sum(jnp.where(held, (y[None] - b @ x.T) ** 2, 0))

    one = jax.jit(lambda: search(grams, scores, penalties, loss, 4))()
    problems = jax.vmap(lambda root: row_problem(x, y, root))(jnp.asarray(roots))
    columns = jnp.asarray(x)
    other = jax.jit(lambda: row_search(columns, problems, penalties, loss, 4))()
    np.testing.assert_allclose(other.criterion, one.criterion, rtol=1e-9)
    assert int(one.best) == int(other.best)
    np.testing.assert_allclose(other.coefficients, one.coefficients, atol=1e-9)


def data(p=P):
    rng = np.random.default_rng(3)
    a = rng.normal(size=N)
    m = rng.normal(size=(N, p)) + a[:, None] * (np.arange(p) < 6)
    y = m[:, :3].sum(axis=1) + 0.5 * a + rng.normal(size=N)
    return MediationData(a, m, y, rng.normal(size=(N, 1)))


@pytest.mark.parametrize("rule", ["zz", pytest.param("cv", marks=pytest.mark.slow)])
def test_double_selection_is_the_same_by_rows_and_by_products(rule, monkeypatch):
    options = {"rule": rule, "folds": 4, "fold_ids": FOLDS, "num_penalties": GRID}
    by_rows = jax.jit(double_selection(**options, nodewise=False))(None, data())
    by_products = jax.jit(double_selection(**options))(None, data())
    for part in ("direct", "indirect", "total"):
        assert getattr(by_rows.effects, part) == pytest.approx(
            float(getattr(by_products.effects, part)), rel=1e-9
        )
    np.testing.assert_array_equal(by_rows.selected, by_products.selected)
    for side in ("outcome", "exposure"):
        one, other = (getattr(e.details, side) for e in (by_products, by_rows))
        np.testing.assert_array_equal(one.position, other.position)
        assert float(other.violation) < 1e-8
    monkeypatch.setattr(sp, "moments", None)  # and calls for no products of all mediators
    jax.eval_shape(double_selection(**options, nodewise=False), None, data())


def sizes(jaxpr):
    """Numbers in every value of a program, those of its loops included."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.size for variable in equation.outvars)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "jaxpr"):
                    yield from sizes(inner.jaxpr)


def test_no_value_is_as_large_as_the_products():
    p = 2000
    estimator = double_selection(rule="zz", folds=4, fold_ids=FOLDS, nodewise=False)
    program = jax.make_jaxpr(estimator)(None, data(p))
    largest = max(sizes(program.jaxpr))
    assert largest < p * p / 4
    assert largest <= 4 * N * p
