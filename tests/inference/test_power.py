import functools

import jax
import numpy as np
import pytest
from optimised import jit_for_many

from jaxmed import inference, status
from jaxmed.inference.power import detection_threshold, printed_cosine_power, rejection_rate

pytestmark = pytest.mark.usefixtures("strict_promotion")
KEY = jax.random.key(7)
sample_size_of = jit_for_many(inference.sample_size, static_argnames=("test", "replicates"))


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None, 0, None, None, None))
def powers(n, p, q, exposure_r2, outcome_r2, cosine):
    """Power at six numbers of rows; all else is traced too, so that this is one program."""
    return inference.power(
        KEY,
        n,
        p,
        num_covariates=q,
        exposure_r2=exposure_r2,
        outcome_r2=outcome_r2,
        cosine=cosine,
        replicates=20_000,
    )


def test_rates_agree_with_the_tests_own_p_values():
    from jaxmed.distributions.exact_law import law, sample_quadratics

    @jax.jit
    def both(key):
        population = law(0.3, 0.3, 0.7, exposure_ss=60.0, residual_df=58, num_mediators=10)
        draws = sample_quadratics(jax.random.split(key, 1)[0], population, 4000)
        rate = functools.partial(rejection_rate, key, population, replicates=4000)
        return [
            (rate(test="cosine"), inference.cosine_test(draws).p_value),
            (rate(test="joint", side="concordant"), inference.joint_test(draws).p_concordant),
            (rate(test="intersection_union"), inference.intersection_union_test(draws).p_value),
        ]

    for rate, p_value in both(jax.random.key(1)):
        np.testing.assert_allclose(rate.power, np.mean(np.asarray(p_value) <= 0.05), atol=1e-12)


@pytest.mark.slow
def test_curve_in_n_sides_and_covariates():
    rows, covariates = np.array([14, 50, 100, 200, 400, 103]), np.array([0, 0, 0, 0, 0, 3])
    curve = jax.tree.map(np.asarray, powers(rows, 10, covariates, 0.15, 0.1, 0.8))
    assert (np.diff(curve.power[:5]) > 0).all() and curve.power[4] > 0.98
    assert (curve.standard_error <= 0.5 / np.sqrt(20_000)).all()
    assert abs(curve.power[5] - curve.power[2]) < 1e-6  # three covariates cost three rows

    @jax.jit
    def suppression(cosine):
        return inference.power(
            KEY,
            100,
            10,
            exposure_r2=0.15,
            outcome_r2=0.1,
            cosine=cosine,
            side="suppression",
            replicates=20_000,
            exposure="fixed",
        )

    aligned, mirrored = suppression(0.8), suppression(-0.8)
    assert aligned.power < 0.001 and mirrored.power > curve.power[2]


@pytest.mark.slow
def test_sample_size_is_the_smallest():
    settings = dict(exposure_r2=0.1, outcome_r2=0.1, cosine=0.9)
    found = sample_size_of(KEY, 20, power=0.8, replicates=20_000, **settings)
    assert found.status == status.OK and 0.8 <= found.power < 0.82
    rows = int(found.num_rows) - 1 + np.arange(6)
    around = powers(rows, 20, np.zeros(6, int), *settings.values())
    assert around.power[0] < 0.8 <= around.power[1]
    never = sample_size_of(
        KEY, 20, power=0.8, replicates=20_000, exposure_r2=1e-13, outcome_r2=1e-13, cosine=0.9
    )
    assert never.status == status.NOT_CONVERGED and never.power < 0.8


def test_threshold_of_the_cosine_test():
    np.testing.assert_allclose(
        np.degrees(jax.jit(detection_threshold)(np.array([20, 40, 80, 100, 500, 2916]))),
        [64.4, 72.1, 77.4, 78.7, 85.0, 87.9],
        atol=0.06,
    )


@pytest.mark.slow
def test_cosine_test_beyond_its_threshold_never_gets_there():
    answer = sample_size_of(
        KEY, 20, exposure_r2=0.3, outcome_r2=0.3, cosine=0.3, test="cosine", replicates=2000
    )
    assert answer.status == status.NOT_CONVERGED and answer.power < 0.05


def test_printed_formula_reproduces_the_paper_and_is_wrong():
    # Angles after whitening 63.7, 75.6 and 85.7 degrees: delta = 3.09, 1.61, .46 at p = 40.
    cosine = np.cos(np.arctan2(np.sqrt(39), np.array([3.09, 0.46])))
    printed = jax.jit(printed_cosine_power)
    np.testing.assert_allclose(printed(40, cosine), [0.854, 0.074], atol=2e-3)
    assert np.isnan(printed(1, np.array([0.5, 0.5]))).all()


@pytest.mark.parametrize(
    ("null", "test", "low", "high"),
    [
        pytest.param("outcome", "joint", 0.05, 0.05, marks=pytest.mark.slow),
        ("exposure", "corrected", 0.049, 0.052),
    ],
)
def test_size_by_name(null, test, low, high):
    size = functools.partial(inference.size, null=null, test=test, replicates=20_000)
    result = jax.jit(lambda key: size(key, 60, 20))(KEY)
    assert low - 0.008 < result.power < high + 0.008
    with pytest.raises(ValueError, match="both"):
        inference.size(KEY, 60, 20, null="alpha")


def test_where_there_is_no_power():
    common = dict(exposure_r2=0.1, outcome_r2=0.1, cosine=0.5, replicates=100)
    beyond = powers(np.full(6, 22), 20, np.zeros(6, int), 0.1, 0.1, 0.5)
    assert (beyond.status == status.NOT_IN_DUAL).all() and np.isnan(beyond.power).all()
    for wrong in ({"test": "t"}, {"side": "left"}, {"level": 1.0}, {"replicates": 0}):
        with pytest.raises(ValueError, match="."):
            inference.power(KEY, 50, 5, **{**common, **wrong})
    with pytest.raises(ValueError, match="no sides"):
        inference.power(KEY, 50, 5, **common, test="intersection_union", side="concordant")
