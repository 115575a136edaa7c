import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.sparse.dantzig import dantzig

optimize = pytest.importorskip("scipy.optimize")
FIT = jax.jit(dantzig)


def linear_program(gram, target, penalty):
    """|w|_1 of the best w; None where no w is feasible."""
    p = len(target)
    best = optimize.linprog(
        np.ones(2 * p),
        A_ub=np.block([[gram, -gram], [-gram, gram]]),
        b_ub=np.r_[target + penalty, penalty - target],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return best.fun if best.status == 0 else None


def assert_optimal(gram, targets, penalties):
    fit = FIT(jnp.asarray(gram), jnp.asarray(targets), jnp.asarray(penalties))
    assert (np.asarray(fit.status) == st.OK).all()
    w = np.asarray(fit.coefficients)
    for k, target in enumerate(targets):
        for i, penalty in enumerate(penalties):
            assert np.abs(target - gram @ w[k, i]).max() <= penalty + 1e-8
            best = linear_program(gram, target, penalty)
            assert abs(np.abs(w[k, i]).sum() - best) <= 1e-6
            np.testing.assert_allclose(fit.l1[k, i], np.abs(w[k, i]).sum(), rtol=1e-12)
    return fit


def correlated(n, p, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + 0.7 * rng.normal(size=(n, 1))
    return x / x.std(0), rng


PENALTIES = np.array([0.3, 0.1, 0.02])


@pytest.mark.parametrize("n, p, seed", [(80, 20, 1), (15, 20, 2)])
def test_is_the_linear_programs(n, p, seed):
    x, rng = correlated(n, p, seed)
    gram = x.T @ x / n
    targets = np.stack([gram @ rng.normal(size=p), gram[:, 3]])
    if n > p:
        targets[1] = np.eye(p)[4]
    assert_optimal(gram, targets, PENALTIES)


def test_duplicates_ties_and_constant_columns():
    x, rng = correlated(40, 14, 3)
    x = np.column_stack([x, x[:, :5], np.zeros(40)])
    gram = x.T @ x / 40
    assert_optimal(gram, np.stack([gram @ rng.normal(size=20), gram[:, 0]]), PENALTIES)
    signs = np.where(rng.random((12, 20)) < 0.5, -1.0, 1.0)
    gram = signs.T @ signs / 12
    assert_optimal(gram, np.stack([gram[:, 0], gram[:, 1] + gram[:, 2]]), PENALTIES)
    assert_optimal(np.eye(20), np.stack([np.ones(20), -np.ones(20)]), PENALTIES)


def test_infeasible_keeps_the_smallest_feasible_penalty():
    x, _ = correlated(10, 20, 4)
    gram = x.T @ x / 10
    target = np.eye(20)[0]
    fit = FIT(jnp.asarray(gram), jnp.asarray([target, target]), jnp.asarray(PENALTIES))
    smallest = PENALTIES[-1] + float(fit.excess[0, -1])
    # Smallest reachable max|d - G w|, its own linear program.
    best = optimize.linprog(
        np.r_[np.zeros(20), 1],
        A_ub=np.block([[gram, -np.ones((20, 1))], [-gram, -np.ones((20, 1))]]),
        b_ub=np.r_[target, -target],
        bounds=(None, None),
        method="highs",
    ).fun
    assert best > 0.1
    np.testing.assert_allclose(smallest, best, rtol=1e-6)
    infeasible = PENALTIES < best
    assert (np.asarray(fit.status[0]) == np.where(infeasible, st.INFEASIBLE, st.OK)).all()


def test_budget_says_not_converged():
    x, rng = correlated(80, 20, 1)
    gram = jnp.asarray(x.T @ x / 80)
    target = gram @ rng.normal(size=20)
    fit = jax.jit(lambda *problem: dantzig(*problem, max_pivots=5))(
        gram, target[None], jnp.asarray(PENALTIES)
    )
    assert int(fit.status[0, -1]) == st.NOT_CONVERGED and int(fit.pivots[0, -1]) == 5
    assert float(fit.excess[0, -1]) > 1e-3


def test_nothing_to_do_and_float32():
    x, rng = correlated(80, 20, 1)
    gram, targets = x.T @ x / 80, np.zeros((2, 20))
    zero = FIT(jnp.asarray(gram), jnp.asarray(targets), jnp.asarray(PENALTIES))
    assert (np.asarray(zero.coefficients) == 0).all() and int(zero.status.max()) == st.OK
    targets = np.stack([gram @ rng.normal(size=20), gram[:, 2]])
    single = FIT(*(jnp.asarray(a, jnp.float32) for a in (gram, targets, PENALTIES)))
    double = FIT(*(jnp.asarray(a) for a in (gram, targets, PENALTIES)))
    assert single.coefficients.dtype == jnp.float32 and int(single.status.max()) == st.OK
    assert float(single.excess.max()) < 1e-4
    np.testing.assert_allclose(single.l1, double.l1, rtol=1e-3)
