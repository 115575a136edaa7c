"""The test of the total indirect effect: its closed form, its exact law, its variance from rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from law_programs import COUNT, by_law, population, sample
from optimised import jit_for_many
from scipy import stats

import jaxmed
from jaxmed import inference, status
from jaxmed.distributions.exact_law import sample_quadratics
from jaxmed.inference.inversion import least_replicates
from jaxmed.inference.total_indirect import total_variance

KEY = jax.random.key(5)
closed = jax.jit(jax.vmap(lambda q: inference.total_indirect_test(q)))
many = jit_for_many(lambda key, law: sample_quadratics(key, law, 1_000_000))


def rows(seed, n=60, p=6, q=1):
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=n), rng.normal(size=(n, p))
    x += 0.4 * a[:, None]
    y = x @ rng.normal(size=p) * 0.3 + 0.2 * a + rng.normal(size=n)
    c = rng.normal(size=(n, q))
    return a, x, y, c


def test_the_closed_form():
    draws = sample(KEY, population(0.3, 0.5, 0.4))
    found, q = closed(draws), jax.tree.map(np.asarray, draws)
    df = q.residual_df - q.dimension
    noise = q.residual_ss / df
    outcome = (q.outcome_outcome - q.dimension * noise) / q.residual_df
    spread = noise * q.exposure_exposure
    wanted = q.exposure_outcome / np.sqrt(spread + np.maximum(outcome, -spread / 2))
    np.testing.assert_allclose(found.statistic, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.p_value, 2 * stats.t.sf(np.abs(wanted), df), rtol=1e-9)
    np.testing.assert_allclose(found.p_concordant, stats.t.sf(wanted, df), rtol=1e-9)
    np.testing.assert_allclose(found.p_suppression, stats.t.cdf(wanted, df), rtol=1e-9)
    np.testing.assert_allclose(found.estimate / found.standard_error, found.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.estimate, q.total_indirect, rtol=1e-12)
    assert (found.status == status.OK).all()


@pytest.mark.parametrize("strengths", [(0.7, 1.2, 0.4), (0.3, 0.5, -0.8)])
def test_the_variance_is_that_of_the_estimate(strengths):
    n, p = 100, 10
    k_a, k_y, _ = strengths
    draws = many(KEY, population(*strengths, n=n, p=p))
    m = n - 2
    wanted = k_y**2 + (n * k_a**2 + p) / (m - p - 1)
    assert np.var(draws.exposure_outcome) == pytest.approx(wanted, rel=5e-3)
    # The floor under the outcome side binds in almost no data set here: V is unbiased.
    variance = np.asarray(jax.jit(total_variance)(draws))
    error = variance.std() / np.sqrt(variance.size)
    assert abs(variance.mean() - wanted) < 4 * error + 2e-3 * wanted


def test_zero_is_outside_the_interval_where_the_test_rejects():
    for strengths in ((0.3, 0.4, 1.0), (0.2, 0.2, 1.0), (0.0, 0.0, 0.0)):
        test, intervals = by_law(KEY, sample(KEY, population(*strengths)))
        found = intervals["total"]
        outside = (found.interval.lower > 0) | (found.interval.upper < 0)
        np.testing.assert_array_equal(outside, test.p_value <= 0.05)
        assert outside.sum() < COUNT // 2
        assert outside.any() or strengths[0] == 0
        inside = (found.interval.lower <= found.estimate) & (found.estimate <= found.interval.upper)
        assert inside.all()
        # Half of the two-sided p-value in the direction of the estimate.
        near = np.where(test.statistic > 0, test.p_concordant, test.p_suppression)
        np.testing.assert_allclose(near, test.p_value / 2, rtol=1e-12)
        np.testing.assert_allclose(test.p_concordant + test.p_suppression, 1, rtol=1e-12)


def test_units_do_not_matter():
    draws = sample(KEY, population(0.3, 0.5, 0.4))
    scaled = type(draws)(
        **{
            **vars(draws),
            "exposure_outcome": 1e12 * draws.exposure_outcome,
            "outcome_outcome": 1e24 * draws.outcome_outcome,
            "residual_ss": 1e24 * draws.residual_ss,
            "exposure_ss": 1e-12 * draws.exposure_ss,
        }
    )
    (test, found), (other, there) = by_law(KEY, draws), by_law(KEY, scaled)
    np.testing.assert_allclose(other.p_value, test.p_value)
    np.testing.assert_allclose(other.statistic, test.statistic, rtol=1e-10)
    for part, one in found.items():
        lower, wanted = there[part].interval.lower, 1e18 * one.interval.lower
        np.testing.assert_allclose(lower, wanted, rtol=1e-8, atol=1e8)


def robust_by_hand(a, x, y, c):
    n, p = x.shape
    base = np.column_stack([np.ones(n), c])

    def off(z, design):
        return z - design @ np.linalg.lstsq(design, z, rcond=None)[0]

    exposure = off(a, base)
    tau = exposure @ exposure
    z, yperp = off(x, np.column_stack([base, a])), off(y, np.column_stack([base, a]))
    s = z.T @ z
    g = z @ np.linalg.solve(s, off(x, base).T @ exposure)
    b = np.linalg.solve(s, z.T @ yperp)
    e = yperp - z @ b
    full = np.column_stack([base, a, x])
    h = np.diag(full @ np.linalg.pinv(full))
    without = np.diag(base @ np.linalg.pinv(base)) + exposure**2 / tau
    noise = e @ e / (n - 2 - c.shape[1] - p)
    size = np.einsum("ij,jk,ik->i", z, np.linalg.inv(s), z)
    first = np.sum(g**2 * yperp * e / (1 - h))
    second = np.sum(exposure**2 * ((z @ b) ** 2 - noise * size) / (1 - without))
    return g @ yperp / np.sqrt(first + max(second, -first / 2)), np.sqrt(tau)


def test_the_variance_from_rows():
    a, x, y, c = rows(3)
    data = jaxmed.mediation_data(a, x, y, covariates=c)
    paths = jaxmed.paths(data)
    found = jaxmed.total_indirect_test(paths, data=data, variance="robust")
    wanted, _ = robust_by_hand(a, x, y, c)
    assert found.statistic == pytest.approx(wanted, rel=1e-9)
    assert found.estimate == pytest.approx(float(paths.quadratics.total_indirect), rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(wanted), found.df), rel=1e-9)
    assert found.df == 60 - 3 - 6


def test_a_single_mediator_has_the_test_of_its_coefficients():
    a, x, y, c = rows(4, p=1)
    data = jaxmed.mediation_data(a, x, y, covariates=c)
    paths = jaxmed.paths(data)
    joint = jaxmed.joint_test(paths)
    for found in (
        jaxmed.total_indirect_test(paths),
        jaxmed.total_indirect_test(paths, key=KEY, replicates=50),
    ):
        assert found.p_value == joint.p_value
        assert found.status == status.OK and abs(found.statistic) > 0
    robust = jaxmed.total_indirect_test(paths, data=data, variance="robust")
    other = jaxmed.joint_test(paths, data=data, variance="leave_one_out")
    base = np.column_stack([np.ones(60), c])
    hat = base @ np.linalg.pinv(base)
    exposure, mediator = a - hat @ a, x[:, 0] - hat @ x[:, 0]
    tau = exposure @ exposure
    alpha = exposure @ mediator / tau
    left = 1 - np.diag(hat) - exposure**2 / tau
    hc3 = np.sum((exposure * (mediator - exposure * alpha) / left) ** 2) / tau**2
    p_alpha = 2 * stats.t.sf(abs(alpha) / np.sqrt(hc3), 57)
    assert robust.p_value == pytest.approx(max(float(other.p_outcome), p_alpha), rel=1e-9)


def test_statuses():
    dual = population(1.0, 1.0, 0.5, n=20, p=18)
    few = population(1.0, 1.0, 0.5, n=20, p=15)
    exact = population(1.0, 1.0, 0.5, residual_sd=0.0)

    def first(draws):
        return jax.tree.map(lambda leaf: leaf[:1], draws)

    found = closed(sample(KEY, dual))
    assert (found.status == status.NOT_IN_DUAL).all() and np.isnan(found.estimate).all()
    found = closed(sample(KEY, few))
    assert (found.status == status.TOO_FEW_ROWS).all()
    assert np.isnan(found.p_value).all() and np.isfinite(found.estimate).all()
    found = closed(sample(KEY, exact))
    assert (found.status == status.ZERO_RESIDUAL).all() and (found.p_value < 0.05).any()
    draws = first(sample(KEY, population(0.3, 0.5, 0.4)))
    null = type(draws)(
        **{
            **vars(draws),
            "exposure_outcome": jnp.zeros(1),
            "exposure_exposure": jnp.zeros(1),
        }
    )
    nan = type(draws)(**{**vars(draws), "exposure_outcome": jnp.full(1, jnp.nan)})
    found = closed(null)
    assert found.status == status.NULL_PATH and found.p_value == 1 and found.statistic == 0
    assert np.isnan(closed(nan).p_value).all()


def test_too_few_rows_keep_estimates_without_interval():
    _, intervals = by_law(KEY, sample(KEY, population(1.0, 1.0, 0.5, n=20, p=15)))
    for found in intervals.values():
        assert (found.status == status.TOO_FEW_ROWS).all() and np.isfinite(found.estimate).all()
        limits = found.interval.lower, found.interval.upper, found.standard_error
        assert np.isnan(limits).all()


def test_with_four_spare_rows_everything_is_there():
    test, intervals = by_law(KEY, sample(KEY, population(0.5, 1.0, 0.5, n=10, p=4)))
    assert np.isfinite(test.p_value).all()
    for found in intervals.values():
        assert (found.status == status.OK).all()
        assert (found.interval.lower <= found.estimate).all()
        assert (found.estimate <= found.interval.upper).all()


def test_parts_keep_their_range_and_hold_their_estimates():
    for strengths in ((0.3, 1.0, 1.0), (1.0, 1.0, -0.5)):
        _, found = by_law(KEY, sample(KEY, population(*strengths)))
        plus, minus = found["concordant"], found["suppression"]
        assert (plus.interval.lower >= 0).all() and (minus.interval.upper <= 0).all()
        np.testing.assert_allclose(
            plus.estimate + minus.estimate, found["total"].estimate, atol=1e-12
        )
        for one in (plus, minus):
            assert (one.interval.lower <= one.estimate).all()
            assert (one.estimate <= one.interval.upper).all()
            assert (one.interval.lower < one.interval.upper).all()


def test_misuse():
    q = jax.tree.map(lambda x: x[0], sample(KEY, population(0.3, 0.5, 0.4)))
    with pytest.raises(ValueError, match='"exact" or "robust"'):
        jaxmed.total_indirect_test(q, variance="classical")
    with pytest.raises(ValueError, match="leave out the key"):
        jaxmed.total_indirect_test(q, key=KEY, variance="robust")
    with pytest.raises(ValueError, match="replicates"):
        jaxmed.total_indirect_test(q, key=KEY, replicates=0)
    with pytest.raises(ValueError, match="jax.random.key"):
        jaxmed.total_indirect_test(q, key=0)
    assert jaxmed.total_indirect_test(q, variance="robust").status == status.NEEDS_ROWS
    assert least_replicates(0.95) == 40 and least_replicates(0.99) == 200


def single_precision(draws):
    return jax.tree.map(lambda x: np.asarray(x, np.float32) if x.dtype == np.float64 else x, draws)


def test_float32():
    draws = sample(KEY, population(0.3, 0.5, 0.4))
    wide, narrow = closed(draws), closed(single_precision(draws))
    assert narrow.p_value.dtype == np.float32
    np.testing.assert_allclose(narrow.statistic, wide.statistic, rtol=2e-4)


@pytest.mark.slow
def test_float32_of_the_exact_law():
    test, intervals = by_law(KEY, single_precision(sample(KEY, population(0.3, 0.5, 0.4))))
    found = intervals["total"]
    assert test.p_value.dtype == np.float32 and found.interval.lower.dtype == np.float32
    outside = (found.interval.lower > 0) | (found.interval.upper < 0)
    np.testing.assert_array_equal(outside, test.p_value <= 0.05)


def test_several_data_sets_at_once():
    """The closed form takes batches, of single mediators too; the exact law asks for vmap."""
    draws = sample(KEY, population(0.3, 0.5, 0.4, p=1))
    found = jaxmed.total_indirect_test(draws)
    np.testing.assert_allclose(found.p_value, jaxmed.joint_test(draws).p_value)
    with pytest.raises(ValueError, match=r"jax\.vmap with one key for each"):
        jaxmed.total_indirect_test(draws, key=KEY)


def test_a_single_mediator_whose_spread_depends_on_the_exposure():
    """Classical errors of alpha reject a null exposure path in 16 of 100 data sets here."""
    rng = np.random.default_rng(8)
    a = rng.normal(size=(400, 200))
    x = np.exp(a / 2) * rng.normal(size=a.shape)
    y = x + rng.normal(size=a.shape)

    @jax.jit
    @jax.vmap
    def p_value(a, x, y):
        data = jaxmed.mediation_data(a, x[:, None], y)
        paths = jaxmed.paths(data)
        return jaxmed.total_indirect_test(paths, data=data, variance="robust").p_value

    rejected = np.mean(np.asarray(p_value(a, x, y)) <= 0.05)
    assert rejected < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)
