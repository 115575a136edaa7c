import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import inference, status
from jaxmed.inference.power import detection_threshold, printed_cosine_power, rejection_rate

pytestmark = pytest.mark.usefixtures("strict_promotion")
KEY = jax.random.key(7)


def test_rates_agree_with_the_tests_own_p_values():
    from jaxmed.distributions.exact_law import law, sample_quadratics

    population = law(0.3, 0.3, 0.7, exposure_ss=60.0, residual_df=58, num_mediators=10)
    key = jax.random.key(1)
    draws = sample_quadratics(jax.random.split(key, 1)[0], population, 4000)
    cases = [
        ("cosine", "two", jax.jit(inference.cosine_test)(draws).p_value),
        ("joint", "concordant", jax.jit(inference.joint_test)(draws).p_concordant),
    ]
    for test, side, p_value in cases:
        rate = rejection_rate(key, population, test=test, side=side, replicates=4000)
        np.testing.assert_allclose(rate.power, np.mean(np.asarray(p_value) <= 0.05), atol=1e-12)
    result = jax.jit(inference.intersection_union_test)(draws)
    rate = rejection_rate(key, population, test="intersection_union", replicates=4000)
    np.testing.assert_allclose(rate.power, np.mean(np.asarray(result.p_value) <= 0.05), atol=1e-12)


def test_curve_in_n_sides_and_covariates():
    def joint(n, q, cosine, side="two", exposure="gaussian"):
        return inference.power(
            KEY, n, 10, num_covariates=q, exposure_r2=0.15, outcome_r2=0.1, cosine=cosine,
            side=side, replicates=20_000, exposure=exposure,
        )  # fmt: skip

    rows, covariates = jnp.array([14, 50, 100, 200, 400, 103]), jnp.array([0, 0, 0, 0, 0, 3])
    curve = jax.jit(jax.vmap(joint, (0, 0, None)))(rows, covariates, 0.8)
    assert (np.diff(curve.power[:5]) > 0).all() and curve.power[4] > 0.98
    assert (curve.standard_error <= 0.5 / np.sqrt(20_000)).all()
    assert abs(curve.power[5] - curve.power[2]) < 1e-6  # three covariates cost three rows
    suppression = jax.jit(lambda cosine: joint(100, 0, cosine, "suppression", "fixed"))
    aligned, mirrored = suppression(0.8), suppression(-0.8)
    assert aligned.power < 0.001 and mirrored.power > curve.power[2]


def test_sample_size_is_the_smallest():
    settings = dict(exposure_r2=0.1, outcome_r2=0.1, cosine=0.9, replicates=20_000)
    found = inference.sample_size(KEY, 20, power=0.8, **settings)
    assert found.status == status.OK and 0.8 <= found.power < 0.82
    below = jax.jit(lambda n: inference.power(KEY, n, 20, **settings))(found.num_rows - 1)
    assert below.power < 0.8


def test_cosine_test_beyond_its_threshold_never_gets_there():
    np.testing.assert_allclose(
        np.degrees(detection_threshold(np.array([20, 40, 80, 100, 500, 2916]))),
        [64.4, 72.1, 77.4, 78.7, 85.0, 87.9],
        atol=0.06,
    )
    answer = inference.sample_size(
        KEY, 20, exposure_r2=0.3, outcome_r2=0.3, cosine=0.3, test="cosine", replicates=2000
    )
    assert answer.status == status.NOT_CONVERGED and answer.power < 0.05


def test_printed_formula_reproduces_the_paper_and_is_wrong():
    # Angles after whitening 63.7, 75.6 and 85.7 degrees: delta = 3.09, 1.61, .46 at p = 40.
    cosine = np.cos(np.arctan2(np.sqrt(39), np.array([3.09, 0.46])))
    np.testing.assert_allclose(printed_cosine_power(40, cosine), [0.854, 0.074], atol=2e-3)
    assert np.isnan(printed_cosine_power(1, 0.5))


def test_size_by_name():
    for null, test, low, high in (
        ("outcome", "joint", 0.05, 0.05),
        ("exposure", "corrected", 0.049, 0.052),
    ):
        result = inference.size(KEY, 60, 20, null=null, test=test, replicates=20_000)
        assert low - 0.008 < result.power < high + 0.008, null
    with pytest.raises(ValueError, match="both"):
        inference.size(KEY, 60, 20, null="alpha")


def test_where_there_is_no_power():
    common = dict(exposure_r2=0.1, outcome_r2=0.1, cosine=0.5, replicates=100)
    beyond = inference.power(KEY, 22, 20, **common)
    assert beyond.status == status.NOT_IN_DUAL and np.isnan(beyond.power)
    for wrong in ({"test": "t"}, {"side": "left"}, {"level": 1.0}, {"replicates": 0}):
        with pytest.raises(ValueError, match="."):
            inference.power(KEY, 50, 5, **{**common, **wrong})
    with pytest.raises(ValueError, match="no sides"):
        inference.power(KEY, 50, 5, **common, test="intersection_union", side="concordant")
