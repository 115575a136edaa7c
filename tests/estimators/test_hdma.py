"""HDMA and HIMA2 against the stored outputs of hdmed and HIMA, and their own properties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.hdma import hdma
from jaxmed.estimators.hima2 import hima2
from jaxmed.linalg.products import matmul

HDMA = [("lin", "hdmed_hdma")]
HDMA_MORE = [
    ("mx20", "hdmed_hdma"),
    ("mx400", "hdmed_hdma_top60"),
    ("gA100", "hdmed_hdma"),
    ("med", "hdmed_hdma"),
    ("hco", "hdmed_hdma"),
    ("gA100", "hdmed_hdma_top60"),
    ("gA500", "hdmed_hdma_top60"),
    ("gB100", "hdmed_hdma_top60"),
    ("hco", "hdmed_hdma_top60"),
]
HIMA2 = [("lin", "HIMA_dblasso_all")]
HIMA2_MORE = [
    ("mx20", "HIMA_dblasso"),
    ("mx400", "HIMA_dblasso_top60_all"),
    ("med", "HIMA_dblasso"),
    ("med", "HIMA_dblasso_all"),
    ("hco", "HIMA_dblasso"),
    ("lin", "HIMA_dblasso"),
    ("mx20", "HIMA_dblasso_all"),
    ("gA100", "HIMA_dblasso_top60_all"),
    ("gB100", "HIMA_dblasso_top60_all"),
    ("hco", "HIMA_dblasso_top60_all"),
]


def cases(quick, more):
    return [pytest.param(*c) for c in quick] + [
        pytest.param(*c, marks=pytest.mark.slow) for c in more
    ]


def stored_tuning(record):
    middle = record["intermediate"]
    return {
        "lam_node": middle["nodewise_cv"]["lambda_min"],
        "lam_initial": middle["initial"]["lambda_1se"],
    }


@functools.cache
def fitted(alias, name):
    record, data = reference.call(alias, name), reference.data(alias)
    args = record["args"]
    tuning = stored_tuning(record)
    if name.startswith("hdmed"):
        method = hdma(n_include=args["n_include"] and int(args["n_include"]), compat="r", **tuning)
    else:
        cut = float("inf") if args["FDRcut"] == "Inf" else args["FDRcut"]
        top = args["topN"] and int(args["topN"])
        method = hima2(n_include=top, significance=cut, compat="r", **tuning)
    return record, jax.tree.map(np.asarray, jax.jit(method)(None, data))


def check_debiased(record, fit, p):
    """b within .025 se and se within 1 %, of the mediators; also sigma and the candidates."""
    debiased = record["intermediate"]["debiased"]
    where = reference.positions(debiased["columns"], p)
    inside = where >= 0
    sd = debiased["se"][inside]
    beta, error = (
        np.asarray(x)[where[inside]] for x in (fit.mediators.beta, fit.mediators.beta_se)
    )
    # The release's initial lasso and scores stop at 1e-7; ours start from its penalties only.
    assert np.max(np.abs(beta - debiased["bhat"][inside]) / sd) < 0.025
    assert np.max(np.abs(error / sd - 1)) < 0.01
    details = getattr(fit.details, "debiased", fit.details)
    np.testing.assert_allclose(details.sigma, debiased["sigmahat"], rtol=2e-3)
    assert set(np.asarray(details.candidates)) == set(where[inside])
    assert float(details.violation) < 1e-6


@pytest.mark.parametrize(("alias", "name"), cases(HDMA, HDMA_MORE))
def test_hdma_is_the_release(alias, name):
    record, fit = fitted(alias, name)
    p = fit.selected.shape[0]
    check_debiased(record, fit, p)
    table = record["result"]["contributions"]
    kept = reference.positions(table["mediator"], p)
    np.testing.assert_array_equal(np.flatnonzero(fit.selected), np.sort(kept))
    np.testing.assert_allclose(fit.mediators.alpha[kept], table["alpha"], rtol=1e-8)
    np.testing.assert_allclose(fit.mediators.alpha_p[kept], table["alpha_pv"], rtol=1e-8)
    effects = dict(zip(*record["result"]["effects"].values(), strict=True))
    np.testing.assert_allclose(fit.effects.total, effects["total"], rtol=1e-8)
    # The printed indirect effect moves with the release's solver noise.
    scale = abs(effects["indirect"]) + abs(effects["total"])
    assert abs(float(fit.effects.indirect) - effects["indirect"]) < 1e-3 * scale


@pytest.mark.parametrize(("alias", "name"), cases(HIMA2, HIMA2_MORE))
def test_hima2_is_the_release(alias, name):
    record, fit = fitted(alias, name)
    p = fit.selected.shape[0]
    check_debiased(record, fit, p)
    table = record["result"]
    if not isinstance(table, dict) or "Index" not in table:
        assert not np.any(fit.selected)
        return
    kept = reference.positions(table["Index"], p)
    np.testing.assert_array_equal(np.flatnonzero(fit.selected), np.sort(kept))
    np.testing.assert_allclose(fit.mediators.alpha[kept], table["alpha_hat"], rtol=1e-8)
    np.testing.assert_allclose(fit.mediators.alpha_se[kept], table["alpha_se"], rtol=1e-8)
    assert np.max(np.abs(fit.mediators.beta[kept] - table["beta_hat"]) / table["beta_se"]) < 0.025
    for key, position in (("alpha10", "only_exposure"), ("alpha00", "both"), ("alpha2", "outcome")):
        stored = record["intermediate"]["null_proportions"][key]
        np.testing.assert_allclose(getattr(fit.details.null, position), stored, atol=1e-8)
    # Where beta's p-value is the larger it carries the solver noise of b.
    alpha_rules = np.asarray(fit.mediators.alpha_p[kept] > 1.05 * fit.mediators.beta_p[kept])
    np.testing.assert_allclose(
        fit.details.p_max[kept][alpha_rules], table["pmax"][alpha_rules], atol=1e-14
    )


def simulated(seed, n=200, p=12, effect=0.6, binary=False, covariates=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, covariates))
    a = rng.normal(size=n) + 0.5 * x[:, 0]
    alpha, beta = np.zeros(p), np.zeros(p)
    alpha[:4], beta[2:6] = effect, effect
    mix = rng.normal(size=(n, p)) + 0.6 * rng.normal(size=(n, 1))
    m = np.outer(a, alpha) + 0.3 * x[:, :1] + mix
    y = 0.4 * a + m @ beta + x[:, 0]
    if binary:
        y = (rng.random(n) < 1 / (1 + np.exp(-y))).astype(float)
    else:
        y = y + rng.normal(size=n)
    return MediationData(a, m, y, x), float(alpha @ beta)


LAMBDAS = {"lam_node": 0.1, "lam_initial": 0.1}
PENALTIES = {"hdma": hdma(**LAMBDAS), "hima2": hima2(adjust="bh", **LAMBDAS)}


@pytest.mark.slow
@pytest.mark.parametrize("name", PENALTIES)
def test_row_copies_are_weights(name):
    data, _ = simulated(1, n=60, p=5)
    weights = np.random.default_rng(2).integers(0, 3, 60).astype(float)
    rows = np.repeat(np.arange(60), weights.astype(int))
    parts = (data.exposure, data.mediators, data.outcome, data.covariates)
    copied = MediationData(*(np.asarray(part)[rows] for part in parts))
    run = jax.jit(PENALTIES[name])
    one = run(None, MediationData(*parts, weights))
    two = run(None, copied)
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-8)


@pytest.fixture(scope="module")
def with_key():
    """HDMA with its own cross-validation, compiled once for data of one shape."""
    return jax.jit(hdma(num_penalties=30, folds=5))


@pytest.mark.slow
def test_recovers_and_shifts(with_key):
    data, truth = simulated(3)
    fit = with_key(jax.random.key(1), data)
    assert int(fit.status) < st.FIRST_FATAL
    assert abs(float(fit.effects.indirect) - truth) < 4 * float(fit.standard_errors.indirect)
    assert abs(float(fit.effects.direct) - 0.4) < 4 * float(fit.standard_errors.direct)
    np.testing.assert_allclose(fit.effects.total, fit.effects.direct + fit.effects.indirect)
    # Exposure and covariates are free: an outcome moved along them moves the direct effect only.
    moved = MediationData(
        data.exposure,
        data.mediators,
        data.outcome + 5 * data.exposure - 3 * data.covariates[:, 0],
        data.covariates,
    )
    other = with_key(jax.random.key(1), moved)
    np.testing.assert_allclose(other.effects.direct, fit.effects.direct + 5, atol=1e-6)
    np.testing.assert_allclose(other.mediators.beta, fit.mediators.beta, atol=1e-6)
    np.testing.assert_array_equal(other.selected, fit.selected)


@pytest.mark.slow
def test_null_and_constant_data(with_key):
    rng = np.random.default_rng(5)
    m = rng.normal(size=(200, 12))
    m[:, 3] = 2.0
    data = MediationData(rng.normal(size=200), m, rng.normal(size=200), rng.normal(size=(200, 1)))
    fit = with_key(jax.random.key(2), data)
    assert int(fit.status) == st.EMPTY_SELECTION
    assert not np.any(fit.selected)
    assert int(fit.mediators.reason[3]) == st.CONSTANT_MEDIATOR
    assert np.isnan(fit.mediators.beta[3])
    assert np.isfinite(float(fit.standard_errors.indirect))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(40, 1), (30, 60)])
def test_other_shapes(shape):
    n, p = shape
    rng = np.random.default_rng(6)
    data = MediationData(
        rng.normal(size=n), rng.normal(size=(n, p)), rng.normal(size=n), np.zeros((n, 0))
    )
    fit = jax.jit(hdma(n_include=None, adjust="bonferroni", **LAMBDAS))(None, data)
    assert np.isfinite(float(fit.effects.indirect))
    assert not np.any(fit.selected)
    if p == 1:  # with one mediator nothing is shrunk in the score: least squares
        design = np.c_[np.ones(n), data.exposure, data.mediators]
        b = np.linalg.lstsq(design, np.asarray(data.outcome), rcond=None)[0]
        np.testing.assert_allclose(fit.mediators.beta, b[2:], rtol=1e-8)


@pytest.mark.slow
def test_vanishing_penalties_are_least_squares():
    """With no penalty the one step is the least squares fit, as are direct and total effect."""
    data, _ = simulated(7, n=80, p=6)
    fit = jax.jit(hdma(lam_node=1e-6, lam_initial=1e-6))(None, data)
    design = np.c_[np.ones(80), data.covariates, data.exposure, data.mediators]
    b = np.linalg.lstsq(design, np.asarray(data.outcome), rcond=None)[0]
    np.testing.assert_allclose(fit.mediators.beta, b[3:], atol=1e-4)
    np.testing.assert_allclose(fit.effects.direct, b[2], atol=1e-4)
    assert abs(float(fit.details.gap)) < 1e-4
    error = np.asarray(data.outcome) - design @ b
    sigma2 = error @ error / (80 - design.shape[1])
    se = np.sqrt(sigma2 * np.diag(np.linalg.inv(design.T @ design)))
    np.testing.assert_allclose(fit.mediators.beta_se, se[3:], rtol=1e-3)
    np.testing.assert_allclose(fit.standard_errors.direct, se[2], rtol=1e-3)


def test_binomial_without_penalty_is_logistic_regression():
    """One step from the maximum stays there; errors are those of the information matrix."""
    data, _ = simulated(8, n=300, p=4, binary=True, effect=0.4)
    run = jax.jit(hdma(family="binomial", n_include=4, lam_node=1e-6, lam_initial=1e-7))
    fit = jax.tree.map(np.asarray, run(None, data))
    design = np.c_[np.ones(300), data.covariates, data.exposure, data.mediators]
    b, y = np.zeros(design.shape[1]), np.asarray(data.outcome)
    for _ in range(50):
        pi = 1 / (1 + np.exp(-design @ b))
        information = design.T @ (design * (pi * (1 - pi))[:, None])
        b = b + np.linalg.solve(information, design.T @ (y - pi))
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(fit.mediators.beta, b[3:], atol=1e-4)
    np.testing.assert_allclose(fit.mediators.beta_se, se[3:], rtol=1e-3)
    np.testing.assert_allclose(fit.effects.direct, b[2], atol=1e-4)
    assert int(fit.status) >= st.LOG_ODDS


@pytest.mark.slow
def test_binomial_pipeline_on_a_logistic_truth():
    data, truth = simulated(9, n=600, p=20, binary=True)
    fit = jax.jit(hdma(family="binomial", num_penalties=20, folds=4, n_include=10))(
        jax.random.key(3), data
    )
    assert abs(float(fit.effects.indirect) - truth) < 4 * float(fit.standard_errors.indirect)
    assert np.all(np.asarray(fit.selected)[[2, 3]])
    assert not np.any(np.asarray(fit.selected)[6:])
    assert int(fit.status) == st.LOG_ODDS


def test_misuse_is_explained():
    data, _ = simulated(1, n=30, p=3)
    with pytest.raises(ValueError, match="pass a key, fold_ids"):
        jax.eval_shape(lambda d: hdma()(None, d), data)
    with pytest.raises(ValueError, match="family must be"):
        hdma(family="poisson")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adjust must be"):
        hima2(adjust="holm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fold_ids must be a pair"):
        hdma(fold_ids=np.zeros(30))  # type: ignore[arg-type]


@pytest.mark.slow
def test_robust_errors_are_the_sandwich():
    data, _ = simulated(4, n=90, p=3)
    fit = jax.jit(hdma(robust=True, lam_node=1e-6, lam_initial=1e-6))(None, data)
    design = np.c_[np.ones(90), data.covariates, data.exposure, data.mediators]
    inverse = np.linalg.inv(design.T @ design)
    b = inverse @ design.T @ np.asarray(data.outcome)
    error = np.asarray(data.outcome) - design @ b
    onto = matmul(jnp.asarray(design), jnp.asarray(inverse))
    se = np.sqrt(np.sum((np.asarray(onto) * error[:, None]) ** 2, axis=0))
    np.testing.assert_allclose(fit.mediators.beta_se, se[3:], rtol=1e-3)
