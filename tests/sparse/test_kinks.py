import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import lars_path

from jaxmed import status as st
from jaxmed.sparse.homotopy import kinks

KINKS = jax.jit(lambda gram, score: kinks(gram, score, most=90))


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(50, 12)) + rng.normal(size=(50, 1))
    return x, x @ rng.normal(size=12) + rng.normal(size=50)


def test_is_the_lars_path(problem):
    x, y = problem
    fit = KINKS(x.T @ x, x.T @ y)
    penalties, _, coefficients = lars_path(x, y, method="lasso")
    count = int(fit.count)
    assert int(fit.status) == st.OK and count == len(penalties) - 1  # its last is at 0
    np.testing.assert_allclose(fit.penalties[:count], penalties[:-1] * 50, rtol=1e-10)
    np.testing.assert_allclose(fit.coefficients[:count], coefficients.T[:-1], atol=1e-10)
    np.testing.assert_array_equal(
        fit.coefficients[count:], np.tile(fit.coefficients[-1], (90 - count, 1))
    )


def test_free_column_and_fused_objective(problem):
    x, y = problem
    steps = np.tril(np.ones((12, 12)))
    z = x @ steps
    fit = jax.jit(lambda g, s: kinks(g, s, most=90, free=0))(z.T @ z, z.T @ y)
    assert int(fit.status) == st.OK
    for i in range(0, int(fit.count), 3):
        b, penalty = np.asarray(fit.coefficients[i]), float(fit.penalties[i])
        pull = z.T @ (y - z @ b)
        bound = np.r_[0, np.full(11, penalty)]
        breach = np.where(b != 0, np.abs(pull - bound * np.sign(b)), np.abs(pull) - bound)
        assert breach.max() < 1e-8 * np.abs(z.T @ y).max()


def test_duplicates_constants_nothing_and_budget(problem):
    x, y = problem
    x = np.column_stack([x[:, :9], x[:, 0], x[:, 1], np.zeros(50)])
    gram, score = x.T @ x, x.T @ y
    fit = KINKS(gram, score)
    b, penalty = np.asarray(fit.coefficients[:20]), np.asarray(fit.penalties[:20])
    assert int(fit.status) == st.OK and (b[:, 11] == 0).all()
    pull = score - b @ gram
    assert (np.abs(pull) <= penalty[:, None] + 1e-8).all()
    assert np.abs(np.sum(pull * b, 1) - penalty * np.abs(b).sum(1)).max() < 1e-7
    none = KINKS(gram, jnp.zeros(12))
    assert int(none.count) == 1 and (np.asarray(none.coefficients) == 0).all()
    short = jax.jit(lambda g, s: kinks(g, s, most=4))(gram, score)
    assert int(short.status) == st.NOT_CONVERGED and int(short.count) == 4
