"""PCMA and SPCMA against hdmed, their bootstrap, and what compat="correct" promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as rd

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts import resampled
from jaxmed.estimators.parts.component_bootstrap import row_products, score_effects
from jaxmed.estimators.parts.reference import ReferenceWouldStop
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.pcma import pcma
from jaxmed.estimators.spcma import spcma

KEY = jax.random.key(4)


@functools.cache
def program(factory, **options):
    estimator = factory(**options)

    def numbers(key, data):
        found = estimator(key, data)
        return {
            "effects": found.effects,
            "errors": found.standard_errors,
            "intervals": found.intervals,
            "beta": found.mediators.beta,
            "alpha": found.mediators.alpha,
            "selected": found.selected,
            "status": found.status,
            "details": found.details,
        }

    return jax.jit(numbers)


def triple(effects):
    return np.array([effects.indirect, effects.direct, effects.total])


def as_matrix(rows):
    return np.stack([np.ravel(row) for row in rows])


def compare(record, found, details, draws):
    result = record["result"]
    loadings, stored = result["contributions"], as_matrix(result["loadings"])
    k = stored.shape[1]
    assert int(np.sum(details.kept)) == k
    ours = np.asarray(details.loadings)[:, :k]
    sign = np.sign(np.sum(ours * stored, axis=0))
    np.testing.assert_allclose(details.share[:k], result["var_explained"], atol=1e-10)
    np.testing.assert_allclose(sign * details.alpha[:k], loadings["alpha"], atol=1e-10)
    np.testing.assert_allclose(sign * details.beta[:k], loadings["beta"], atol=1e-10)
    np.testing.assert_allclose(details.indirect[:k], loadings["alpha_beta"], atol=1e-10)
    np.testing.assert_allclose(triple(found["effects"]), result["effects"]["estimate"], rtol=1e-9)
    # Both standard errors are from `draws` resamples: relative error about 1/sqrt(2 draws) each.
    spread = 4 * np.sqrt(1 / draws)
    ratio = triple(found["errors"]) / result["effects"]["se"]
    assert np.abs(np.log(ratio)).max() < spread
    return sign, ours, stored


SLOW = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "alias", rd.mostly_slow(["med", "lin", "mx400", "mx20", "gA100", "gB100", "hco"], "lin")
)
def test_pcma_is_the_release(alias):
    record = rd.call(alias, "hdmed_pcma")
    count, draws = record["args"]["n_pc"], int(record["args"]["sims"])
    components = None if count is None else int(count)
    fit = program(pcma, compat="r", components=components, replicates=draws)
    found = fit(KEY, rd.data(alias, covariates=False))
    sign, ours, stored = compare(record, found, found["details"], draws)
    np.testing.assert_allclose(ours * sign, stored, atol=1e-8)


@pytest.mark.parametrize("alias", rd.mostly_slow(["lin", "mx20", "med", "gA100"], "lin"))
def test_spcma_is_the_release(alias):
    record = rd.call(alias, "hdmed_spcma")
    count, draws = record["args"]["n_pc"], int(record["args"]["sims"])
    components = None if count is None else int(count)
    fit = program(spcma, compat="r", components=components, replicates=draws)
    found = fit(KEY, rd.data(alias, covariates=False))
    details, sparse = found["details"].components, found["details"].sparse
    stored = record["intermediate"]["sparse"]
    coefficients = as_matrix(stored["V"])
    k = coefficients.shape[1]
    np.testing.assert_allclose(sparse.penalties[:k], stored["lambda"], rtol=1e-8)
    np.testing.assert_allclose(sparse.share[:k], stored["var_per"], atol=1e-10)
    ours = np.asarray(sparse.values)[:, :k]
    sign = np.sign(np.sum(ours * coefficients, axis=0))
    np.testing.assert_allclose(ours * sign, coefficients, atol=1e-9)
    result = record["result"]["contributions"]
    np.testing.assert_allclose(sign * details.alpha[:k], result["alpha"], atol=1e-9)
    np.testing.assert_allclose(sign * details.beta[:k], result["beta"], atol=1e-9)
    np.testing.assert_allclose(
        triple(found["effects"]), record["result"]["effects"]["estimate"], rtol=1e-9
    )
    ratio = triple(found["errors"]) / record["result"]["effects"]["se"]
    assert np.abs(np.log(ratio)).max() < 4 * np.sqrt(1 / draws)


def least_squares(columns, response):
    return np.linalg.lstsq(np.column_stack(columns), response, rcond=None)[0]


def test_effects_of_one_resample_are_least_squares_on_its_rows():
    data = rd.data("lin")
    scores = data.mediators[:, :3]
    counts = np.random.default_rng(1).multinomial(150, np.full(150, 1 / 150))

    @jax.jit
    def resample(data, counts):
        products = row_products(rows_of(data, covariates_mediator=(0,)), data.mediators[:, :3])
        return score_effects(products, counts @ products.values)

    found = jax.tree.map(np.asarray, resample(data, counts.astype(float)))
    take = np.repeat(np.arange(150), counts)
    one, x, a = np.ones(150), data.covariates[take], data.exposure[take]
    y = data.outcome[take]
    total = least_squares([one, x, a], y)[-1]
    np.testing.assert_allclose(found.total, total, rtol=1e-10)
    for k in range(3):
        s = scores[take, k]
        alpha = least_squares([one, x[:, :1], a], s)[-1]
        direct, beta = least_squares([one, x, a, s], y)[-2:]
        np.testing.assert_allclose([found.alpha[k], found.beta[k]], [alpha, beta], rtol=1e-9)
        np.testing.assert_allclose(total - found.outcome_alpha[k] * beta, direct, rtol=1e-9)


@pytest.mark.slow
def test_all_components_are_ordinary_least_squares():
    """K = p: DE and TIE of the regression on all mediators, with covariates too."""
    data = rd.data("lin")
    found = program(pcma, components=30, replicates=50)(KEY, data)
    np.testing.assert_allclose(triple(found["effects"]), [-0.304043, 0.419702, 0.115659], atol=1e-6)
    np.testing.assert_allclose(
        np.sum(found["alpha"] * found["beta"]), found["effects"].indirect, rtol=1e-9
    )


def test_counts():
    weights = jnp.asarray([0.0, 1.0, 3.0, 1.0, 700.0, 0.0])
    keys = jax.random.split(KEY, 400)
    counts = np.asarray(jax.jit(jax.vmap(resampled.resample_counts, (0, None)))(keys, weights))
    assert (counts.sum(1) == 705).all() and (counts[:, [0, 5]] == 0).all()
    spread = np.sqrt(np.maximum(weights, 1) / 400)
    assert (np.abs(counts.mean(0) - weights) < 5 * spread).all()


@pytest.mark.parametrize("factory", [SLOW(pcma), SLOW(spcma)])
def test_weights_are_copies(factory):
    data = rd.data("lin")
    weights = np.resize([1.0, 2.0, 0.0, 1.0], 150)
    copies = np.repeat(np.arange(150), weights.astype(int))
    weighted = MediationData(
        data.exposure, data.mediators, data.outcome, data.covariates, weights, data.names
    )
    copied = MediationData(
        data.exposure[copies],
        data.mediators[copies],
        data.outcome[copies],
        data.covariates[copies],
        None,
        data.names,
    )
    fit = program(factory, components=3, replicates=60)
    pairs = zip(jax.tree.leaves(fit(KEY, weighted)), jax.tree.leaves(fit(KEY, copied)), strict=True)
    for a, b in pairs:  # the resamples too: two copies are drawn as one row of weight 2
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)


def test_interval_and_p_agree():
    draws = jax.random.normal(KEY, (999, 40)) + jnp.linspace(-3, 3, 40)
    estimate = jnp.linspace(-3, 3, 40) + 0.2
    curve = jnp.full(40, 0.05)
    for kind in ("bca", "percentile"):
        find = jax.jit(
            functools.partial(resampled.summarise, interval=kind, level=0.9, release=False)
        )
        found = find(estimate, draws, curve)
        outside = (np.asarray(found.lower) > 0) | (np.asarray(found.upper) < 0)
        assert 0 < outside.sum() < 40
        np.testing.assert_array_equal(outside, np.asarray(found.p_value) < 0.1)


def test_release_intervals_from_given_draws():
    """BCa as the release computes it, written out."""
    from scipy.stats import norm

    draws = np.random.default_rng(2).gamma(3.0, size=200) - 1
    centre = draws.mean()
    u = 199 * (centre - draws)
    curve = np.sum(u**3) / (6 * np.sum(u**2) ** 1.5)
    np.testing.assert_allclose(jax.jit(resampled.acceleration)(draws, np.ones(200)), curve)
    z0 = norm.ppf(np.mean(draws < centre))
    z = z0 + norm.ppf([0.025, 0.975])
    expected = np.quantile(draws, norm.cdf(z0 + z / (1 - curve * z)))
    find = jax.jit(functools.partial(resampled.summarise, interval="bca", level=0.95, release=True))
    found = find(2.0, draws, curve)
    np.testing.assert_allclose([found.lower, found.upper], expected, rtol=1e-10)
    expected_p = 2 * min(np.mean(draws > 0), np.mean(draws < 0))
    np.testing.assert_allclose(found.p_value, expected_p, rtol=1e-12)


@pytest.mark.parametrize("factory", [SLOW(pcma), SLOW(spcma)])
def test_one_component_wide_and_degenerate(factory):
    rng = np.random.default_rng(0)
    a, m = rng.normal(size=30), rng.normal(size=(30, 45))
    m[:, 7] = 2.0
    y = a + m[:, 0] + rng.normal(size=30)
    data = MediationData(a, m, y, np.zeros((30, 0)))
    found = program(factory, components=1, replicates=20)(KEY, data)
    assert int(found["status"]) == st.OK and not bool(found["selected"][7])
    assert np.isfinite(triple(found["effects"])).all()
    single = MediationData(a, m[:, :1], y, np.zeros((30, 0)))
    found = program(factory, components=1, replicates=20)(KEY, single)
    alpha = least_squares([np.ones(30), a], m[:, 0])[1]
    direct, beta = least_squares([np.ones(30), a, m[:, 0]], y)[1:]
    np.testing.assert_allclose(triple(found["effects"])[:2], [alpha * beta, direct], rtol=1e-9)
    constant = MediationData(a, np.ones((30, 1)), y, np.zeros((30, 0)))
    found = program(factory, components=1, replicates=20)(KEY, constant)
    assert int(found["status"]) == st.EMPTY_SELECTION
    assert float(found["effects"].indirect) == 0 and not np.asarray(found["selected"]).any()
    with pytest.raises(ReferenceWouldStop, match="dimension"):
        factory(components=1, replicates=20, compat="r")(KEY, single)


@pytest.mark.slow
def test_fused_loadings_are_steps():
    data = rd.data("lin")
    found = program(spcma, components=2, replicates=20, fused=True)(KEY, data)
    values = np.asarray(found["details"].sparse.values)
    assert int(found["status"]) == st.OK
    assert (np.abs(np.diff(values, axis=0)) < 1e-12).sum() > 0


def test_configuration():
    with pytest.raises(ValueError, match="pass a key"):
        jax.jit(pcma())(None, rd.data("lin"))
    for wrong in ({"components": 0}, {"share": 0.0}, {"replicates": 1}, {"interval": "t"}):
        with pytest.raises(ValueError, match="must be"):
            pcma(**wrong)
        with pytest.raises(ValueError, match="must be"):
            spcma(**wrong)
