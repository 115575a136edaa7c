"""Bootstrap and split samples: against loops in NumPy, repeated rows, and their own promises."""

import dataclasses
import functools
import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from light_estimators import light_maxie, light_reg, product
from problems import problem, with_rows_without_weight

from jaxmed import status as st
from jaxmed.data.mediation_data import mediation_data
from jaxmed.estimators import lasso_exposure, maxie, reg_exposure
from jaxmed.geometry.composite import evaluate_weights
from jaxmed.geometry.paths import paths
from jaxmed.sweeps.bootstrap import _exponential, _multinomial, bootstrap
from jaxmed.sweeps.bootstrap_intervals import bootstrap_interval
from jaxmed.sweeps.resampling import Refit, count_statuses, effects_of, reweighted
from jaxmed.sweeps.split_sample import held_out_effects, split_sample

KEY = jax.random.key(7)


# Called outside of a sweep they would compile one program per operation.
compiled_maxie = jax.jit(light_maxie)
compiled_weights = jax.jit(reweighted)


@jax.jit
def compiled(data):
    """Paths, and two composites of them."""
    return paths(data), light_maxie(None, data), light_reg(None, data)


def ols_effects(data, weights):
    """Direct, total and indirect effect by weighted least squares."""
    root = np.sqrt(weights)[:, None]
    base = np.column_stack([data.exposure, np.ones(len(weights)), data.covariates])
    full = np.column_stack([base, data.mediators])
    y = root[:, 0] * data.outcome
    total = np.linalg.lstsq(root * base, y, rcond=None)[0][0]
    direct = np.linalg.lstsq(root * full, y, rcond=None)[0][0]
    return {"direct": direct, "indirect": total - direct, "total": total}


@functools.partial(jax.jit, static_argnames=("n", "kind"))
def drawn_weights(key, index, n, kind):
    draw_key = jax.random.split(key)[1]
    weight_key = jax.random.split(jax.random.fold_in(draw_key, index))[0]
    draw = {"exponential": _exponential, "multinomial": _multinomial}[kind]
    return draw(weight_key, n, jnp.float64)


def replicate_weights(key, index, n, kind):
    """Weights of one replicate, as `bootstrap` promises them: fold_in, then a split."""
    return np.asarray(drawn_weights(key, index, n, kind))


@pytest.mark.parametrize(
    ("kind", "weighted", "estimator"),
    [
        ("exponential", False, light_reg),
        ("multinomial", True, light_reg),
        pytest.param("exponential", True, light_reg, marks=pytest.mark.slow),
        pytest.param("multinomial", False, light_reg, marks=pytest.mark.slow),
        # The whole estimator; the others share all but its tables of mediators.
        pytest.param("exponential", False, reg_exposure(), marks=pytest.mark.slow),
    ],
)
def test_draws_equal_a_loop_of_least_squares(kind, weighted, estimator):
    rng = np.random.default_rng(0)
    data = problem(rng, 40, 3, 2)
    case = np.ones(40)
    if weighted:
        case = rng.uniform(0.5, 1.5, 40)
        data = dataclasses.replace(data, weights=case / case.mean())
    found = bootstrap(KEY, data, estimator, 20, weights=kind, chunk=8)
    expected = [ols_effects(data, case * replicate_weights(KEY, i, 40, kind)) for i in range(20)]
    observed = ols_effects(data, case)
    for name in ("direct", "indirect", "total"):
        draws = np.array([e[name] for e in expected])
        measure = found[name]
        np.testing.assert_allclose(found.draws[name], draws, rtol=1e-8)
        np.testing.assert_allclose(measure.estimate, observed[name], rtol=1e-8)
        np.testing.assert_allclose(measure.mean, draws.mean(), rtol=1e-8)
        np.testing.assert_allclose(measure.standard_error, draws.std(ddof=1), rtol=1e-7)
        np.testing.assert_allclose(measure.mean_error, draws.std(ddof=1) / 20**0.5, rtol=1e-7)
        np.testing.assert_allclose(measure.bias, draws.mean() - observed[name], rtol=1e-6)
        limits = np.quantile(draws, [0.025, 0.975])
        percentile, basic = measure.intervals["percentile"], measure.intervals["basic"]
        np.testing.assert_allclose([percentile.lower, percentile.upper], limits, rtol=1e-7)
        reflected = 2 * observed[name] - limits[::-1]
        np.testing.assert_allclose([basic.lower, basic.upper], reflected, rtol=1e-7)
        assert percentile.method == f"percentile bootstrap, {kind} weights"
        assert measure.count == 20 and measure.missing == 0
    assert found.settings["rows"] == 40 and found.settings["regime"] == "primal"


def test_multinomial_weights_equal_repeated_rows():
    rng = np.random.default_rng(1)
    data = problem(rng, 60, 6, 1)
    counts = rng.multinomial(60, np.full(60, 1 / 60))
    rows = np.repeat(np.arange(60), counts)
    repeated = jax.tree.map(lambda x: x[rows], data)
    weighted = compiled_weights(data, counts.astype(float))
    distinct = int((counts > 0).sum())
    np.testing.assert_allclose(np.sum(weighted.weights), distinct)
    (a, *first_two), (b, *second_two) = compiled(weighted), compiled(repeated)
    # Weights count distinct rows where repeated rows count 60: sums of squares differ by that
    # factor, and degrees of freedom by the difference; angles and effects by nothing.
    share = distinct / 60
    np.testing.assert_allclose(a.cosine, b.cosine, rtol=1e-9)
    np.testing.assert_allclose(a.exposure_ss, share * b.exposure_ss, rtol=1e-9)
    np.testing.assert_allclose(a.exposure_path, share**0.5 * b.exposure_path, rtol=1e-8)
    np.testing.assert_allclose(a.outcome_path, share**0.5 * b.outcome_path, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        a.quadratics.exposure_exposure, b.quadratics.exposure_exposure, rtol=1e-9
    )
    assert int(a.quadratics.residual_df) == distinct - 3
    assert int(b.quadratics.residual_df) == 60 - 3
    for first, second in zip(first_two, second_two, strict=True):
        for x, y in zip(
            jax.tree.leaves(first.effects), jax.tree.leaves(second.effects), strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-8)
        ratio = np.asarray(first.details.weights) / np.asarray(second.details.weights)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-7)


@pytest.fixture(scope="module")
def in_one_chunk():
    data = problem(np.random.default_rng(2), 30, 4, 1)
    return data, functools.cache(lambda estimator: bootstrap(KEY, data, estimator, 50, chunk=64))


@pytest.mark.parametrize(
    "options",
    [dict(chunk=50), dict(chunk=8), dict(chunk=16, batch=4), dict(chunk=25, batch=None)],
    ids=str,
)
@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(product, id="product"),
        pytest.param(light_maxie, id="maxie", marks=pytest.mark.slow),
    ],
)
def test_same_draws_whatever_chunk_batch_and_mesh(in_one_chunk, options, estimator):
    data, expected = in_one_chunk
    seen = []
    found = bootstrap(
        KEY, data, estimator, 50, mesh=jax.devices()[:1], progress=seen.append, **options
    )
    for name, draws in expected(estimator).draws.items():
        np.testing.assert_allclose(found.draws[name], draws, rtol=1e-9)
    assert sum(seen) == 50


def test_rows_without_weight_take_no_part():
    rng = np.random.default_rng(3)
    data = problem(rng, 30, 20, 0, scale=0)
    wild = with_rows_without_weight(rng, data, 12)
    for kind in ("exponential", "multinomial"):
        a, b = (bootstrap(KEY, d, product, 10, weights=kind, chunk=10) for d in (data, wild))
        np.testing.assert_allclose(a.draws["indirect"], b.draws["indirect"], rtol=1e-9)


def test_one_compilation_whatever_the_values_and_the_count():
    traced = []

    def estimator(key, data):
        traced.append(isinstance(data.mediators, jax.core.Tracer))
        return light_reg(key, data)

    rng = np.random.default_rng(4)
    for count in (5, 40):
        data = problem(rng, 40, 3, 1)
        found = bootstrap(KEY, data, estimator, count, chunk=16)
        # The second data set is not answered by the first one's constants.
        expected = ols_effects(data, replicate_weights(KEY, 4, 40, "exponential"))
        np.testing.assert_allclose(found.draws["indirect"][4], expected["indirect"], rtol=1e-8)
    assert traced == [True, True]  # the estimate and the resamples, once each


def test_dual_refuses_multinomial_and_serves_exponential():
    data = problem(np.random.default_rng(5), 20, 30)
    with pytest.raises(ValueError, match="smaller row space.*exponential"):
        bootstrap(KEY, data, maxie(), 10, weights="multinomial")
    found = bootstrap(KEY, data, light_maxie, 8, chunk=8)
    assert found.statuses == {"RESTRICTED": 8} and found["indirect"].missing == 0
    weights = replicate_weights(KEY, 3, 20, "exponential")
    again = compiled_maxie(None, dataclasses.replace(data, weights=weights * 20 / weights.sum()))
    np.testing.assert_allclose(found.draws["indirect"][3], again.effects.indirect, rtol=1e-8)


def test_too_few_distinct_rows_are_counted():
    n, p = 20, 11
    data = problem(np.random.default_rng(6), n, p, 0, scale=0)
    found = bootstrap(KEY, data, light_reg, 60, weights="multinomial", chunk=30)
    distinct = [np.count_nonzero(replicate_weights(KEY, i, n, "multinomial")) for i in range(60)]
    few = sum(d < p + 2 for d in distinct)
    assert 0 < few < 60
    assert found.statuses == {"TOO_FEW_ROWS": few, "WEIGHTED": 60 - few}
    assert found["indirect"].missing == few and found["indirect"].count == 60 - few
    assert np.array_equal(np.isnan(found.draws["indirect"]), np.array(distinct) < p + 2)


def failed(key, data):
    found = product(key, data)
    nothing = jax.tree.map(lambda effect: jnp.nan * effect, found.effects)
    return dataclasses.replace(found, effects=nothing, status=jnp.int32(st.TOO_FEW_ROWS))


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(failed, id="failed"),
        pytest.param(light_reg, id="reg_exposure", marks=pytest.mark.slow),
    ],
)
def test_all_resamples_failed(estimator):
    data = problem(np.random.default_rng(6), 20, 17, 1, scale=0)
    found = bootstrap(KEY, data, estimator, 6, weights="multinomial", chunk=6)
    assert found.statuses == {"TOO_FEW_ROWS": 6}
    assert math.isnan(found["total"].mean) and math.isnan(found["total"].standard_error)
    assert math.isnan(found["total"].intervals["bc"].lower)


def random_reg(key, data):
    """Keeps mediators at random."""
    found = product(key, data)
    kept = jax.random.uniform(key, (data.mediators.shape[1],)) < 0.5
    return dataclasses.replace(found, selected=kept)


@pytest.mark.parametrize(
    "estimator",
    [random_reg, pytest.param(lasso_exposure(folds=3), marks=pytest.mark.slow, id="lasso")],
)
def test_own_statistic_and_random_estimator(estimator):
    data = problem(np.random.default_rng(8), 60, 5, signal=1.0)

    def selected(estimate):
        return {"selected": jnp.sum(estimate.selected), "share": estimate.effects.indirect}

    found = bootstrap(KEY, data, estimator, 6, statistic=selected, intervals=("basic",), chunk=6)
    assert sorted(found.measures) == ["selected", "share"]
    assert np.all(found.draws["selected"] <= 5) and list(found["share"].intervals) == ["basic"]


def test_float32_stays_float32():
    data = jax.tree.map(
        lambda x: np.asarray(x, np.float32), problem(np.random.default_rng(9), 40, 4)
    )
    found = bootstrap(KEY, data, product, 10, weights="multinomial", chunk=10)
    assert found.settings["dtype"] == "float32"
    for i in range(10):
        weights = replicate_weights(KEY, i, 40, "multinomial")
        expected = ols_effects(jax.tree.map(lambda x: np.asarray(x, float), data), weights)
        np.testing.assert_allclose(found.draws["total"][i], expected["total"], rtol=2e-4)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(weights="poisson"), "exponential"),
        (dict(intervals=("student",)), "percentile"),
        (dict(intervals="bc"), "sequence"),
        (dict(level=95), "level"),
        (dict(count=1), "at least 2"),
        (dict(chunk=0), "chunk"),
        (dict(statistic=lambda e: {"status": e.status}), "status"),
        (dict(statistic=lambda e: {"weights": e.details.weights}), "scalars"),
    ],
)
def test_misuse(options, message):
    data = problem(np.random.default_rng(10), 20, 2)
    with pytest.raises(ValueError, match=message):
        bootstrap(KEY, data, light_reg, **{"count": 4, **options})


# Intervals from draws


def test_bc_and_bca_limits():
    rng = np.random.default_rng(11)
    draws, estimate, a = rng.gamma(3.0, size=999), 2.2, 0.04
    normal = NormalDist()
    z0 = normal.inv_cdf(np.mean(draws < estimate))
    for kind, accel in (("bc", 0.0), ("bca", a)):
        found = bootstrap_interval(
            draws, estimate, kind=kind, level=0.9, method="m", acceleration=a
        )
        for limit, tail in ((found.lower, 0.05), (found.upper, 0.95)):
            u = z0 + normal.inv_cdf(tail)
            level = normal.cdf(z0 + u / (1 - accel * u))
            np.testing.assert_allclose(limit, np.quantile(draws, level), rtol=1e-12)


def test_bc_without_bias_is_the_percentile_interval():
    draws = np.linspace(-1, 1, 101)
    bc, percentile = (
        bootstrap_interval(draws, 0.0, kind=k, level=0.95, method="") for k in ("bc", "percentile")
    )
    np.testing.assert_allclose([bc.lower, bc.upper], [percentile.lower, percentile.upper])


def test_bc_does_not_exist_where_all_draws_are_on_one_side():
    found = bootstrap_interval(np.ones(50) + np.arange(50), 0.0, kind="bc", level=0.9, method="")
    assert math.isnan(found.lower) and math.isnan(found.upper_error)


@pytest.mark.parametrize("kind", ["percentile", "basic", "bc", "bca"])
def test_monte_carlo_errors_of_limits(kind):
    """The stated error is the sd of limits over repeated bootstraps with other keys."""
    rng = np.random.default_rng(12)
    found = [
        bootstrap_interval(
            rng.normal(size=1000), 0.3, kind=kind, level=0.9, method="", acceleration=0.05
        )
        for _ in range(1500)
    ]
    for side in ("lower", "upper"):
        sd = np.std([getattr(f, side) for f in found])
        stated = np.mean([getattr(f, f"{side}_error") for f in found])
        # The sd has a Monte Carlo error of 1.8 percent; stated errors are asymptotic in B.
        np.testing.assert_allclose(stated, sd, rtol=0.12)


# Split samples


def test_splits_equal_a_loop():
    rng = np.random.default_rng(13)
    data = problem(rng, 50, 4, 1)
    data = dataclasses.replace(data, weights=np.ones(50))
    found = split_sample(KEY, data, light_maxie, held_out_effects, 9, share=0.6, chunk=4)
    assert (found.learn_rows, found.evaluate_rows, found.count) == (30, 20, 9)
    values = {"direct": [], "indirect": [], "total": []}

    @jax.jit
    def on_held_out(learn, held):
        weights = light_maxie(None, learn).details.weights
        return evaluate_weights(paths(held), weights)

    for i in range(9):
        order = jax.random.permutation(jax.random.split(jax.random.fold_in(KEY, i))[0], 50)
        learn, held = (
            jax.tree.map(lambda x, r=r: x[np.asarray(r)], data) for r in (order[:30], order[30:])
        )
        composite = on_held_out(learn, held)
        for name in values:
            values[name].append(float(getattr(composite, name)))
    for name, column in values.items():
        np.testing.assert_allclose(found.means[name].mean, np.mean(column), rtol=1e-7)
        np.testing.assert_allclose(found.means[name].sd, np.std(column, ddof=1), rtol=1e-7)
        np.testing.assert_allclose(found.medians[name].value, np.median(column), rtol=1e-5)
    assert found.statuses == {"OK": 9}


def test_splits_of_primal_data_learn_in_the_dual():
    data = problem(np.random.default_rng(14), 60, 40, scale=0)
    found = split_sample(KEY, data, light_maxie, held_out_effects, 6, chunk=6)
    assert found.statuses == {"RESTRICTED": 6} and found.means["indirect"].count == 6


def test_failed_splits_are_counted():
    rng = np.random.default_rng(15)
    data = problem(rng, 20, 2)
    exposure = np.zeros(20)
    exposure[:2] = 1.0
    data = mediation_data(exposure, data.mediators, data.outcome)
    found = split_sample(KEY, data, light_reg, held_out_effects, 40, chunk=40)
    failed = sum(n for name, n in found.statuses.items() if getattr(st, name) >= st.FIRST_FATAL)
    assert 0 < failed < 40 and found.means["indirect"].missing == failed


def test_an_empty_selection_has_no_held_out_indirect_effect():
    data = problem(np.random.default_rng(18), 40, 3, 1)
    chosen = compiled_maxie(None, data)
    empty = dataclasses.replace(
        chosen, details=dataclasses.replace(chosen.details, weights=np.zeros(3))
    )
    found = jax.jit(held_out_effects)(empty, data)
    assert found["indirect"] == 0 and int(found["status"]) == st.EMPTY_SELECTION
    total = ols_effects(data, np.ones(40))["total"]
    np.testing.assert_allclose([found["direct"], found["total"]], [total, total], rtol=1e-8)
    with pytest.raises(ValueError, match="composite weights"):
        held_out_effects(dataclasses.replace(chosen, details=None), data)


def test_split_misuse():
    data = problem(np.random.default_rng(16), 20, 2)
    with pytest.raises(ValueError, match="share"):
        split_sample(KEY, data, light_maxie, held_out_effects, 4, share=1.0)
    with pytest.raises(ValueError, match="each part needs"):
        split_sample(KEY, data, light_maxie, held_out_effects, 4, share=0.95)


def test_unknown_statuses_are_refused():
    assert count_statuses({"status": np.array([0, 30, 0])}) == {"OK": 2, "NOT_ESTIMATED": 1}
    with pytest.raises(ValueError, match="'status'.*24"):
        count_statuses({"status": np.array([0, 24])})


def test_refit_once_is_the_estimate():
    data = problem(np.random.default_rng(17), 40, 3, 1)
    once = Refit(light_maxie, effects_of).once(KEY, data)
    np.testing.assert_allclose(
        once["indirect"], compiled_maxie(None, data).effects.indirect, rtol=1e-9
    )
