"""Double selection against an iterative lasso and explicit matrices, and its edges."""

from functools import partial

import jax
import numpy as np
import pytest
from estimators.effects_oracle import Problem

from jaxmed import status
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.ols import ols
from jaxmed.estimators.parts import neighbours
from jaxmed.estimators.post_selection import post_selection

N, P, GRID, RATIO = 80, 10, 12, 0.02
FOLDS = np.arange(N) % 4
pytestmark = pytest.mark.float32
X64 = jax.config.jax_enable_x64
CLOSE = 1e-8 if X64 else 3e-3
SMALL = {"basis": "linear", "num_penalties": GRID, "patience": GRID}
METHODS = {
    "cv": double_selection(folds=4, fold_ids=FOLDS, **SMALL),
    "zz": double_selection(folds=4, fold_ids=FOLDS, rule="zz", nodewise=False, **SMALL),
    "refit": post_selection(**SMALL),
}
float64 = pytest.mark.skipif(not X64, reason="compared in float64")


@jax.jit
def fits(data):
    """All in one program, which shares their paths."""
    return {name: method(None, data) for name, method in METHODS.items()}


def cv(data):
    return jax.tree.map(np.asarray, fits(data)["cv"])


def zz(data):
    return jax.tree.map(np.asarray, fits(data)["zz"])


def refit(data):
    return jax.tree.map(np.asarray, fits(data)["refit"])


def problem(n=N, p=P, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    t = (rng.random(n) < 0.5) + 0.3 * x[:, 0]
    noise = rng.normal(size=(n, p))
    noise[:, 1:] += 0.6 * noise[:, :-1]
    a = np.where(np.arange(p) % 3 == 0, 0.6, 0)
    m = t[:, None] * a + x[:, :1] + noise
    y = 1 + 0.5 * t + m[:, :3] @ np.r_[0.8, 0.5, 0.25][:p] + x[:, 1] + rng.normal(size=n)
    return rows(t, m, y, x)


def rows(t, m, y, x, weights=None):
    # Weights always, so that one compiled program serves all tests.
    weights = np.ones(len(t)) if weights is None else weights
    return MediationData(*(np.asarray(v, float) for v in (t, m, y, x, weights)))


def oracle(data):
    base = np.c_[np.ones(len(data.exposure)), data.covariates]
    return Problem(data.exposure, data.mediators, data.outcome, base)


def same_effects(found, peer, chosen):
    direct, indirect, direct_var, indirect_var = peer.effects(chosen, "path_sum")
    np.testing.assert_allclose(found.effects.direct, direct, rtol=1e-8)
    np.testing.assert_allclose(found.effects.indirect, indirect, rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors.direct, np.sqrt(direct_var), rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors.indirect, np.sqrt(indirect_var), rtol=1e-8)


@float64
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_against_explicit_matrices(seed):
    data = problem(seed=seed)
    peer, found = oracle(data), cv(data)
    outcome = peer.outcome_support(GRID, RATIO)
    exposure = peer.exposure_support(FOLDS, GRID, RATIO)
    near = peer.nodewise_supports(FOLDS, GRID, RATIO)
    np.testing.assert_array_equal(found.details.outcome.selected, outcome)
    np.testing.assert_array_equal(found.details.exposure.selected, exposure)
    np.testing.assert_array_equal(found.details.nodewise.selected, near)
    same_effects(found, peer, outcome | exposure)
    pairs = [peer.coefficient(k, np.flatnonzero(outcome | near[k])) for k in range(P)]
    np.testing.assert_allclose(found.mediators.beta, [b for b, _ in pairs], rtol=1e-8)
    np.testing.assert_allclose(found.mediators.beta_se**2, [v for _, v in pairs], rtol=1e-8)
    assert float(found.details.exposure.violation) < 1e-8
    assert float(found.details.outcome.violation) < 1e-8
    assert np.asarray(found.details.nodewise.violation).max() < 1e-8
    wide = zz(data)
    exposure = peer.exposure_support(FOLDS, GRID, RATIO, zz=1.25)
    np.testing.assert_array_equal(wide.details.exposure.selected, exposure)
    same_effects(wide, peer, outcome | exposure)
    unused = ~np.asarray(wide.selected)
    assert (np.asarray(wide.mediators.reason)[unused] == status.NOT_SELECTED).all()
    same_effects(refit(data), peer, outcome)


def test_parts_add_up():
    for seed in range(3):
        found = cv(problem(seed=seed))
        whole = oracle(problem(seed=seed)).total
        np.testing.assert_allclose(
            found.effects.direct + found.effects.indirect, whole, atol=1e-10 if X64 else 1e-4
        )


@pytest.mark.slow
def test_all_selected_is_least_squares_on_all():
    # Folds of nearly no rows and a long path: the inflation rule keeps every mediator.
    everything = jax.jit(
        double_selection(
            folds=4,
            fold_ids=FOLDS,
            rule="zz",
            inflation=1e6,
            penalty_ratio=1e-6,
            num_penalties=GRID,
            basis="linear",
            variance="difference",
            nodewise=False,
        )
    )
    data = problem()
    found, peer = everything(None, data), jax.jit(ols(basis="linear"))(None, data)
    assert np.asarray(found.selected).all()
    for part in ("effects", "standard_errors", "mediators"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE),
            getattr(found, part),
            getattr(peer, part),
        )


@pytest.mark.slow
@float64
def test_weights_are_copies():
    data = problem()
    times = np.random.default_rng(1).integers(1, 4, N)
    columns = (data.exposure, data.mediators, data.outcome, data.covariates)
    one = cv(rows(*columns, times))
    copies = jax.jit(double_selection(folds=4, fold_ids=np.repeat(FOLDS, times), **SMALL))
    two = copies(None, rows(*(np.repeat(v, times, axis=0) for v in columns)))
    for part in ("effects", "standard_errors", "mediators", "selected", "details"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8),
            getattr(one, part),
            getattr(two, part),
        )


@pytest.mark.slow
@float64
def test_working_sets_find_the_same_supports(monkeypatch):
    # As with more mediators than places: several rounds until all columns are optimal.
    rng = np.random.default_rng(3)
    n, p, parts = 200, 34, 3
    x = rng.normal(size=(n, p))
    x[:, 1:] += 0.4 * x[:, :-1]
    x /= np.sqrt(np.mean(x**2, axis=0))
    held = np.stack([x[k::parts].T @ x[k::parts] / n for k in range(parts)])
    share = np.array([len(x[k::parts]) / n for k in range(parts)])

    def found(places):
        monkeypatch.setattr(neighbours, "PLACES", places)
        return jax.jit(partial(neighbours.neighbour_supports, num_penalties=10, ratio=0.05))(
            held.sum(0), held, share
        )

    whole, small = found(128), found(24)
    np.testing.assert_allclose(small.penalty, whole.penalty, rtol=1e-9)
    np.testing.assert_array_equal(small.selected, whole.selected)
    assert 2 < np.asarray(whole.selected).sum(1).max() < 24
    assert (np.asarray(small.status) == status.OK).all()
    assert np.asarray(small.violation).max() < 1e-8


@pytest.mark.slow
def test_more_mediators_than_rows():
    data = problem(n=40, p=60)
    fit = jax.jit(double_selection(basis="linear", num_penalties=GRID, folds=4))
    found = fit(jax.random.key(0), data)
    assert int(found.status) == status.OK
    peer = oracle(data)
    np.testing.assert_allclose(found.effects.total, peer.total, rtol=CLOSE, atol=CLOSE)
    if X64:
        same_effects(found, peer, np.asarray(found.selected))
        row = np.asarray(found.details.nodewise.selected[7] | found.details.outcome.selected)
        b, v = peer.coefficient(7, np.flatnonzero(row))
        np.testing.assert_allclose(found.mediators.beta[7], b, rtol=1e-8)
        np.testing.assert_allclose(found.mediators.beta_se[7] ** 2, v, rtol=1e-8)
    saturated = jax.jit(
        double_selection(
            basis="linear",
            rule="zz",
            inflation=1e12,
            penalty_ratio=1e-7,
            num_penalties=GRID,
            folds=4,
            nodewise=False,
        )
    )(jax.random.key(0), data)
    assert int(saturated.status) == status.TOO_FEW_ROWS
    assert np.isnan(saturated.effects.indirect)


@pytest.mark.slow
def test_nothing_to_find():
    data = problem()
    flat = rows(data.exposure, np.ones((N, P)), data.outcome, data.covariates)
    for fit in (cv, refit):
        found = fit(flat)
        assert int(found.status) == status.EMPTY_SELECTION
        assert float(found.effects.indirect) == 0
        np.testing.assert_allclose(found.effects.direct, oracle(flat).total, rtol=CLOSE)
        assert not np.asarray(found.selected).any()
        assert (np.asarray(found.mediators.reason) == status.CONSTANT_MEDIATOR).all()
    # No path: BIC selects nothing, whatever the exposure's lasso keeps has no coefficient to carry.
    rng = np.random.default_rng(5)
    null = rows(
        data.exposure, rng.normal(size=(N, P)), data.exposure + rng.normal(size=N), data.covariates
    )
    found = refit(null)
    assert int(found.status) == status.EMPTY_SELECTION
    assert float(found.effects.indirect) == 0 and np.isnan(float(found.standard_errors.indirect))
    assert np.isfinite(float(cv(null).standard_errors.indirect))
    one = jax.jit(double_selection(folds=4, fold_ids=FOLDS, **SMALL))(None, problem(p=1))
    np.testing.assert_allclose(
        one.mediators.beta[0], oracle(problem(p=1)).fit([0])[0][1], rtol=CLOSE
    )


def test_nonfinite_data_are_told():
    data = problem()
    broken = np.array(data.mediators)
    broken[3, 2] = np.nan
    found = cv(rows(data.exposure, broken, data.outcome, data.covariates))
    assert int(found.status) == status.NONFINITE
    assert np.isnan(found.effects.direct)


def test_options_are_checked():
    for options in (
        {"rule": "bic"},
        {"folds": 1},
        {"penalty_ratio": 1.0},
        {"num_penalties": 1},
        {"inflation": 0.5},
        {"patience": 0},
        {"variance": "hc3"},
    ):
        with pytest.raises(ValueError, match="must"):
            double_selection(**options)
    with pytest.raises(ValueError, match="pass a key"):
        double_selection(basis="linear")(None, problem())
    with pytest.raises(ValueError, match="one entry"):
        double_selection(basis="linear", fold_ids=[0, 1])(None, problem())
