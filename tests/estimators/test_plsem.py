"""PLSEM and the oracle: block (a) by hand, certificates, symmetries, the peers' designs."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxmed import status
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.oracle import oracle, oracle_estimate
from jaxmed.estimators.parts.adaptive_lasso import initial_coefficients, problem_of
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.plsem import plsem
from jaxmed.simulate.partially_linear import known_basis
from tests import reference_data

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="exact algebra in float64")
N, P = 120, 6
SMALL = plsem(basis="linear", tensor=False, max_selected=P, num_penalties=30)


def small_data(seed=0, weights=None, p=P, n=N):
    """Mediators 0 and 1 on both paths, 2 on the exposure's alone, two covariates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    a = x[:, 0] + rng.normal(size=n)
    m = rng.normal(size=(n, p)) + a[:, None] * (np.arange(p) < 3) + x[:, 1:]
    y = a + 1.5 * m[:, 0] - m[:, min(1, p - 1)] + x @ [1, 2] + rng.normal(size=n)
    return MediationData(a, m, y, x, weights)


def compiled(method):
    """The estimator without its table of mediators, of which the quantiles compile slowly."""

    def slim(key, data):
        return jax.tree.map(
            lambda found: dataclasses.replace(found, mediators=None),
            method(key, data),
            is_leaf=lambda found: isinstance(found, Estimate),
        )

    return jax.jit(slim)


@pytest.fixture(scope="module")
def fit():
    """One program for all data of the small shape."""
    program = jax.jit(lambda data: SMALL(None, data))
    return lambda data: jax.tree.map(np.asarray, program(data))


def block_a(data, support):
    """ADD block (a) in NumPy."""
    n, q = data.covariates.shape
    v = np.column_stack([np.ones(n), data.covariates, data.exposure])
    z = np.column_stack([v, data.mediators[:, support]])
    coefficient = np.linalg.lstsq(z, data.outcome, rcond=None)[0]
    rest = data.outcome - z @ coefficient
    covariance = np.linalg.inv(z.T @ z) * (rest @ rest) / (n - z.shape[1])
    first = np.linalg.lstsq(v, data.mediators[:, support], rcond=None)[0]
    noise = data.mediators[:, support] - v @ first
    k, alpha, beta = q + 1, first[q + 1], coefficient[q + 2 :]
    t = data.exposure - v[:, :-1] @ np.linalg.lstsq(v[:, :-1], data.exposure, rcond=None)[0]
    spread = beta @ (noise.T @ noise / (n - 2 - q)) @ beta / (t @ t)
    indirect_var = alpha @ covariance[k + 1 :, k + 1 :] @ alpha + spread
    total_var = indirect_var + covariance[k, k] + 2 * alpha @ covariance[k + 1 :, k]
    estimate = (coefficient[k], alpha @ beta, coefficient[k] + alpha @ beta)
    return estimate, np.sqrt([covariance[k, k], indirect_var, total_var])


def triple(effects):
    return [float(x) for x in (effects.direct, effects.indirect, effects.total)]


@pytest.mark.slow
def test_linear_basis_equals_block_a(fit):
    data = small_data()
    classical = plsem(basis="linear", max_selected=P, num_penalties=30, variance="classical")
    robust = jax.tree.map(np.asarray, fit(data))
    support = np.flatnonzero(robust.selected)
    assert {0, 1} <= set(support)
    told = oracle(support, variance="classical")
    found, known = compiled(lambda key, d: (classical(key, d), told(key, d)))(None, data)
    np.testing.assert_array_equal(np.flatnonzero(found.selected), support)
    estimate, errors = block_a(data, support)
    np.testing.assert_allclose(triple(found.effects), estimate, rtol=1e-10)
    np.testing.assert_allclose(triple(found.standard_errors), errors, rtol=1e-10)
    np.testing.assert_allclose(triple(known.effects), estimate, rtol=1e-10)
    np.testing.assert_allclose(triple(known.standard_errors), errors, rtol=1e-10)
    np.testing.assert_allclose(triple(robust.effects), estimate, rtol=1e-10)
    assert not np.allclose(triple(robust.standard_errors), errors, rtol=1e-3)


def test_adaptive_lasso_certificate(fit):
    """The solution at the chosen penalty is optimal for the criterion as it is written down."""
    data = small_data(1)
    details = fit(data).details
    base = np.column_stack([np.ones(N), data.covariates, data.exposure])

    def given(columns):
        return columns - base @ np.linalg.lstsq(base, columns, rcond=None)[0]

    z, y = given(data.mediators), given(data.outcome)
    first = np.linalg.lstsq(z, y, rcond=None)[0]
    np.testing.assert_allclose(details.initial, first, rtol=1e-9)
    b = np.asarray(details.penalised)
    slope = z.T @ (y - z @ b) / N
    bound = details.penalties[details.index] / np.abs(first)
    assert np.count_nonzero(b) and not np.all(b)
    np.testing.assert_allclose((slope - bound * np.sign(b))[b != 0], 0, atol=1e-8)
    assert np.all(np.abs(slope[b == 0]) <= bound[b == 0] + 1e-8)
    rss = np.sum((y - z @ b) ** 2)
    bic = N * np.log(rss / N) + np.count_nonzero(b) * np.log(N)
    np.testing.assert_allclose(details.criterion[details.index], bic, rtol=1e-10)
    assert details.criterion[details.index] == np.min(details.criterion)


@pytest.mark.slow
def test_weights_are_copies():
    where = np.sort(np.random.default_rng(5).integers(0, N, N))
    weights = np.bincount(where, minlength=N).astype(float)
    data = small_data(2)
    copied = jax.tree.map(lambda leaf: leaf[where], data)
    program = compiled(plsem(tensor=True, knots=1, max_selected=P, num_penalties=30))
    once = program(None, dataclasses.replace(data, weights=weights))
    many = program(None, dataclasses.replace(copied, weights=np.ones(N)))
    np.testing.assert_array_equal(once.selected, many.selected)
    for part in ("effects", "standard_errors"):
        np.testing.assert_allclose(
            triple(getattr(once, part)), triple(getattr(many, part)), rtol=1e-8
        )
    np.testing.assert_allclose(once.details.penalised, many.details.penalised, atol=1e-7)


def test_units_signs_and_order_do_not_matter(fit):
    data = small_data(3)
    scale, order = np.array([100, -3, 1, 1e-3, 2, -1]), np.array([4, 2, 0, 5, 1, 3])
    changed = MediationData(
        data.exposure, (data.mediators * scale)[:, order], -7 * data.outcome, data.covariates
    )
    first, second = fit(data), fit(changed)
    np.testing.assert_array_equal(np.asarray(first.selected)[order], second.selected)
    for part in ("effects", "standard_errors"):
        sign = -7 if part == "effects" else 7
        np.testing.assert_allclose(
            sign * np.array(triple(getattr(first, part))), triple(getattr(second, part)), rtol=1e-8
        )
    np.testing.assert_allclose(
        -7 * np.asarray(first.mediators.indirect)[order], second.mediators.indirect, rtol=1e-7
    )


def test_effects_add_up_and_mediators_sum_to_the_indirect(fit):
    found = fit(small_data(4))
    direct, indirect, total = triple(found.effects)
    assert total == pytest.approx(direct + indirect, abs=1e-12)
    assert np.nansum(found.mediators.indirect) == pytest.approx(indirect, abs=1e-10)
    reason = np.asarray(found.mediators.reason)
    assert np.all(reason[~np.asarray(found.selected)] == status.NOT_SELECTED)


def test_empty_and_degenerate_answers(fit):
    data = small_data(6)
    rng = np.random.default_rng(11)
    null = dataclasses.replace(data, outcome=data.exposure + data.covariates @ [1.0, 1.0])
    exact = fit(null)
    assert not np.any(exact.selected) and int(exact.status) == status.EMPTY_SELECTION
    assert float(exact.effects.indirect) == 0 and float(exact.effects.direct) == pytest.approx(1)
    constant = dataclasses.replace(data, mediators=data.mediators.copy())
    constant.mediators[:, 0] = 3.0
    found = fit(constant)
    assert not found.selected[0] and found.selected[1]
    assert int(found.mediators.reason[0]) == status.CONSTANT_MEDIATOR
    assert np.all(np.isfinite(triple(found.effects)))
    broken = dataclasses.replace(data, outcome=np.where(np.arange(N) == 5, np.nan, data.outcome))
    assert int(fit(broken).status) == status.NONFINITE
    assert np.all(np.isnan(triple(fit(broken).effects)))
    noise = dataclasses.replace(data, outcome=rng.normal(size=N))
    assert np.all(np.isfinite(triple(fit(noise).effects)))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p", "init"), [(60, 1, "ridge"), (40, 60, "lasso")])
def test_other_shapes(n, p, init):
    data = small_data(7, n=n, p=p)
    method = plsem(basis="linear", init=init, num_penalties=20)
    found = compiled(method)(None, data)
    assert int(found.status) == status.OK and found.selected[0]
    assert float(found.details.violation) < 1e-7
    estimate, _ = block_a(data, np.flatnonzero(found.selected))
    np.testing.assert_allclose(triple(found.effects), estimate, rtol=1e-8)


@pytest.mark.parametrize("p", [P, 30])
def test_ridge_is_ridge(p):
    """The first stage solves the ridge equations at its penalty of least GCV."""
    n = 120 if p == P else 20
    data = small_data(8, n=n, p=p)

    @jax.jit
    def first_stage(data):
        problem, scale = problem_of(legs_of(rows_of(data)))
        settings = {"num_penalties": 5, "ratio": 0.1, "limit": 5}
        return initial_coefficients(problem, "ridge", **settings)[0] / scale

    base = np.column_stack([np.ones(n), data.covariates, data.exposure])
    z, y = (
        v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (data.mediators, data.outcome)
    )
    scale = np.sqrt(np.mean(z**2, axis=0))
    z = z / scale
    inner = z.T @ z / n
    grid = np.linalg.eigvalsh(inner)[-1] * np.logspace(0, -6, 50)
    best, least = None, np.inf
    for penalty in grid:
        b = np.linalg.solve(inner + penalty * np.eye(p), z.T @ y / n)
        hat = np.trace(np.linalg.solve(inner + penalty * np.eye(p), inner))
        loss = np.mean((y - z @ b) ** 2) / (n - base.shape[1] - hat) ** 2
        if loss < least:
            best, least = b / scale, loss
    np.testing.assert_allclose(first_stage(data), best, rtol=1e-6)


@pytest.mark.slow
def test_cross_validation_and_ebic_choose_on_the_same_path(fit):
    data = small_data(9)
    by_cv = plsem(basis="linear", tuning="cv", folds=4, num_penalties=30, max_selected=P)
    severe = plsem(basis="linear", tuning="ebic", ebic_gamma=1.0, num_penalties=30, max_selected=P)
    found, extended = jax.jit(lambda k, d: (by_cv(k, d).details, severe(None, d).details))(
        jax.random.key(1), data
    )
    plain = fit(data).details
    np.testing.assert_allclose(found.penalties, plain.penalties, rtol=1e-12)
    assert np.all(np.asarray(found.penalised)[:2] != 0)
    best = found.criterion[found.index]
    assert best == np.min(found.criterion) and 0.5 < best < 2  # the noise has variance 1
    # The price of a mediator rises by 2 log p; none is selected at the largest penalty.
    counts = (extended.criterion - plain.criterion) / (2 * np.log(P))
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-8)
    assert counts[0] == pytest.approx(0, abs=1e-8) and np.max(counts) >= 2
    assert int(extended.num_selected) <= int(plain.num_selected)
    with pytest.raises(ValueError, match="pass a key"):
        jax.eval_shape(lambda d: by_cv(None, d), data)


def test_oracle_variances_are_robust_and_support_is_checked():
    data = small_data(10)
    found, nothing = compiled(lambda key, d: (oracle((0, 1))(key, d), oracle(())(key, d)))(
        None, data
    )
    z = np.column_stack([np.ones(N), data.covariates, data.mediators[:, :2], data.exposure])
    inverse = np.linalg.inv(z.T @ z)
    rest = data.outcome - z @ (inverse @ z.T @ data.outcome)
    leverage = np.sum(z @ inverse * z, axis=1)
    hc2 = inverse @ (z.T * (rest**2 / (1 - leverage))) @ z @ inverse
    assert float(found.standard_errors.direct) == pytest.approx(hc2[-1, -1] ** 0.5, rel=1e-10)
    assert int(nothing.status) == status.EMPTY_SELECTION and float(nothing.effects.indirect) == 0
    assert not np.any(nothing.selected)
    with pytest.raises(ValueError, match="positions from 0 to 5"):
        oracle((2, 9))(None, data)


@pytest.fixture(scope="module")
def with_yardstick():
    """PLSEM and the oracle that is told mediators and curves, one program for equal shapes."""
    method = plsem(tensor=True)

    def both(data, matters):
        index = jax.numpy.arange(7)
        found = method(None, data)
        told = oracle_estimate(rows_of(data), index, matters[:7], known_basis)
        return [(e.effects, e.standard_errors) for e in (found, told)]

    return jax.jit(both)


@pytest.mark.parametrize("alias", reference_data.mostly_slow(["gA100", "gB100", "gA500"]))
def test_designs_of_the_fixtures_within_three_errors(alias, with_yardstick):
    data, stored = reference_data.data(alias), reference_data.arrays(alias)
    matters = np.ravel(stored["true_b"]) != 0
    assert not np.any(matters[7:])
    truth = (float(stored["true_direct"]), float(stored["true_tie"]))
    found, told = with_yardstick(data, matters)
    for effects, errors in (found, told):
        pairs = zip(triple(effects)[:2], triple(errors)[:2], strict=True)
        for value, (estimate, error) in zip(truth, pairs, strict=True):
            assert abs(estimate - value) < 3 * error
    # No narrower than least squares that knows mediators and curves.
    assert float(found[1].direct) > 0.9 * float(told[1].direct)


def test_misuse_is_refused():
    for wrong in (
        {"tuning": "aic"},
        {"init": "mcp"},
        {"basis": "tree"},
        {"folds": 1},
        {"power": 0.0},
        {"penalty_ratio": 1.0},
        {"num_penalties": 1},
        {"knots": -1},
        {"max_selected": 0},
        {"variance": "hc3"},
        {"adjust": "fdr"},
        {"ebic_gamma": 2.0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            plsem(**wrong)
    with pytest.raises(ValueError, match='init="ridge"'):
        jax.eval_shape(lambda d: plsem(init="ols")(None, d), small_data(n=40, p=60))
