"""Pathway lasso against the release, and what it must not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.pathway_kernel import kappa, pathway_grid
from jaxmed.estimators.pathway_lasso import pathway_lasso

CALLS = [(a, "hdmed_plasso", 1e-8) for a in ("gA100", "gB100", "med", "hco", "lin", "mx20")]
CALLS += [(a, "hdmed_plasso_tight", 1e-8) for a in ("med", "lin", "mx20")]
QUICK = ("lin", "hdmed_plasso")
CALLS = [c if c[:2] == QUICK else pytest.param(*c, marks=pytest.mark.slow) for c in CALLS]


def units(alias):
    """Standardised units over original ones: of alpha, and of (direct, beta)."""
    stored = reference.arrays(alias)
    a, m, y = (np.std(stored[k], axis=0, ddof=1) for k in "AMY")
    return np.ravel(a) / m, np.concatenate([np.ravel(a), m]) / np.ravel(y)


def test_grid_is_the_release_s():
    np.testing.assert_allclose(
        pathway_grid(), reference.call("med", "hdmed_plasso")["result"]["lambdas"], rtol=1e-12
    )


@pytest.mark.parametrize(("alias", "name", "tolerance"), CALLS)
def test_release(alias, name, tolerance):
    stored = reference.call(alias, name)
    result, data = stored["result"], reference.data(alias, covariates=False)
    common = {"lam": result["lambdas"], "selection": "none"}
    release = pathway_lasso(
        **common,
        compat="r",
        tolerance=stored["args"]["tol"],
        max_iterations=int(stored["args"]["maxit"]),
    )
    path = jax.tree.map(np.asarray, jax.jit(lambda d: release(None, d).details.path)(data))
    alpha, beta = np.array(result["alpha"]), np.array(result["beta"])
    to_alpha, to_beta = units(alias)
    np.testing.assert_allclose(path.alpha * to_alpha, alpha * to_alpha, atol=tolerance)
    np.testing.assert_allclose(path.beta * to_beta[1:], beta * to_beta[1:], atol=tolerance)
    np.testing.assert_allclose(path.direct, result["direct"], atol=1e-7)
    np.testing.assert_allclose(path.indirect, result["indirect"], atol=1e-7)
    differ = (np.asarray(path.alpha) != 0) != (alpha != 0)
    differ |= (np.asarray(path.beta) != 0) != (beta != 0)

    exact = jax.tree.map(
        np.asarray, jax.jit(lambda d: pathway_lasso(**common)(None, d).details.path)(data)
    )
    excess = np.asarray(exact.objective - path.objective)
    assert not differ.any(), f"objectives: exact {exact.objective}, release {path.objective}"
    assert excess.max() <= 1e-10
    assert np.max(exact.violation) < 1e-12 and not np.any(exact.status)
    # The release's early stop moves standardised coefficients by less than 2e-5.
    np.testing.assert_allclose(exact.alpha * to_alpha, alpha * to_alpha, atol=2e-5)
    np.testing.assert_allclose(exact.beta * to_beta[1:], beta * to_beta[1:], atol=2e-5)


def test_stability_selection_of_the_release_within_its_splits():
    stored = reference.call("med", "hdmed_plasso_vss")["result"]
    fit = pathway_lasso(lam=stored["lambdas"], compat="r", splits=20)
    details = jax.jit(lambda d: fit(jax.random.key(0), d).details)(
        reference.data("med", covariates=False)
    )
    ours, theirs = np.asarray(details.stability), stored["vss"]["mean_vss"]
    # Nothing selected on either side leaves no randomness (at 0.316 a rare half selects).
    np.testing.assert_array_equal(ours[4:], theirs[4:])
    # kappa of one split of 20 mediators has a standard deviation of about 0.2 here.
    assert np.all(np.abs(ours[:3] - theirs[:3]) < 4 * 0.25 * np.sqrt(1 / 5 + 1 / 20))


def test_kappa():
    def slow(x, y):
        agree = np.mean(x == y)
        chance = x.mean() * y.mean() + (1 - x.mean()) * (1 - y.mean())
        return (agree - chance) / (1 - chance)

    x, y = np.random.default_rng(1).integers(0, 2, (2, 15)).astype(bool)
    np.testing.assert_allclose(kappa(jnp.asarray(x), jnp.asarray(y)), slow(x, y), rtol=1e-12)
    none, every = jnp.zeros(4, bool), jnp.ones(4, bool)
    assert float(kappa(none, none)) == float(kappa(every, every)) == -1
    assert float(kappa(none, every)) == 0


def simulated(n=60, p=6, signal=1.0):
    rng = np.random.default_rng(5)
    x, t = rng.standard_normal((n, 1)), rng.standard_normal(n)
    m = rng.standard_normal((n, p)) + x
    m[:, :2] += signal * t[:, None]
    y = signal * m[:, :3].sum(axis=1) + t + x[:, 0] + rng.standard_normal(n)
    return t, m, y, x


def test_omega_is_the_ratio_asked_for():
    """An l1 penalty above every correlation leaves nothing, the default the paths at work."""
    t, m, y, x = simulated()
    data = MediationData(t, m, y, x)

    def path(ratio, d):
        fit = pathway_lasso(lam=0.05, omega_ratio=ratio, selection="none")
        found = fit(None, d).details.path
        return found.alpha, found.beta

    # A correlation is below 30 * .05.
    weak, strong = jax.jit(lambda d: (path(1.0, d), path(30.0, d)))(data)
    assert all(np.any(v) for v in weak)
    assert not any(np.any(v) for v in strong)


@pytest.mark.slow
def test_weights_are_row_counts_and_effects_add_up():
    t, m, y, x = simulated()
    counts = np.random.default_rng(0).integers(0, 3, len(t))
    halves = np.random.default_rng(1).integers(0, 2, (3, len(t))).astype(bool)
    keep = np.repeat(np.arange(len(t)), counts)
    fits = [
        jax.jit(lambda d, h=h: pathway_lasso(lam=(0.02, 0.1, 0.3), halves=h)(None, d))(d)
        for h, d in (
            (halves, MediationData(t, m, y, x, counts.astype(float))),
            (halves[:, keep], MediationData(t[keep], m[keep], y[keep], x[keep])),
        )
    ]
    for one, two in zip(*map(jax.tree.leaves, fits), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-8, atol=1e-9)
    effects, inside = fits[0].effects, fits[0].details.shrunken
    assert fits[0].selected[:2].all() and np.isfinite(fits[0].standard_errors.indirect)
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-12)
    assert 0 < inside.indirect < effects.indirect


@pytest.mark.slow
def test_nothing_selected_and_constant_mediators():
    t, m, y, x = simulated()
    m[:, 0] = 1.0
    fit = jax.jit(lambda d: pathway_lasso(lam=50.0, selection="none")(None, d))
    estimate = fit(MediationData(t, m, y, x))
    assert int(estimate.status) == st.EMPTY_SELECTION and not estimate.selected.any()
    assert float(estimate.effects.indirect) == 0
    assert int(estimate.mediators.reason[0]) == st.CONSTANT_MEDIATOR
    with pytest.raises(ValueError, match="pass a key"):
        jax.eval_shape(lambda d: pathway_lasso()(None, d), MediationData(t, m, y, x))
    with pytest.raises(ValueError, match="phi"):
        pathway_lasso(phi=0.4)
