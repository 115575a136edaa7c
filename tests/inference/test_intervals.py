import jax
import jax.numpy as jnp
import numpy as np
import pytest
from law_programs import REPLICATES, one_of
from optimised import jit_for_many

from jaxmed import inference, status
from jaxmed.distributions.exact_law import law, sample_quadratics
from jaxmed.inference.debiased import PARTS, fitted_law

pytestmark = pytest.mark.usefixtures("strict_promotion")
KEY = jax.random.key(11)
# Few programs: each compilation of the law costs a second or two.
sample = jit_for_many(lambda key, law: sample_quadratics(key, law, 20_000))
law_of = jax.jit(law)


@jax.jit
def bootstrapped(key, q):
    options = {"replicates": REPLICATES}
    basic = [
        inference.indirect_interval(key, q, level=level, method="basic", **options)
        for level in (0.95, 0.99)
    ]
    parts = inference.indirect_intervals(key, q, method="percentile", **options)
    return parts, basic, fitted_law(q).maximal_indirect[0], inference.indirect_estimates(q)


@jax.jit
def estimated(draws):
    return (
        inference.indirect_estimates(draws),
        inference.intervals.naive_indirect(draws, "concordant"),
    )


def one(draws, index=0):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], draws)


@pytest.mark.parametrize("n,p", [(200, 20), (200, 80), (1000, 500)])
def test_estimates_are_unbiased_where_the_paper_is_not(n, p):
    population = law_of(1.0, 1.0, 0.5, exposure_ss=float(n), residual_df=n - 2, num_mediators=p)
    draws = sample(KEY, population)
    estimates, naive = estimated(draws)
    truth = {"concordant": 0.75, "suppression": -0.25, "total": 0.5}
    for part, value in truth.items():
        assert abs(np.mean(estimates.part(part)) - value) < 0.012, part
    total = np.asarray(estimates.total)
    assert abs(total.mean() - 0.5) < 5 * total.std() / np.sqrt(total.size)
    np.testing.assert_allclose(estimates.concordant + estimates.suppression, total, atol=1e-12)
    assert np.mean(naive) > 0.75 + 2 * p / n / 4


def test_one_interval():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=200.0, residual_df=198, num_mediators=20)
    q = one(sample(KEY, population))
    (together, (alone, wide), fitted, parts), inverted = bootstrapped(KEY, q), one_of(KEY, q)
    for part in PARTS:
        # Under jit the dimension is not known, and the name tells of both.
        for found, name in ((together, "percentile bootstrap"), (inverted, "inversion")):
            result = found[part]
            assert result.interval.lower < result.estimate < result.interval.upper
            assert result.status == status.OK and result.standard_error > 0
            assert result.interval.method.startswith(f"exact-law {name}; ")
        widths = [
            found[part].interval.upper - found[part].interval.lower
            for found in (inverted, together)
        ]
        assert 0.8 < widths[0] / widths[1] < 1.25

    assert wide.interval.lower < alone.interval.lower < alone.interval.upper < wide.interval.upper
    percentile = together["concordant"].interval
    np.testing.assert_allclose(
        alone.interval.upper, alone.estimate + fitted - percentile.lower, rtol=1e-9
    )
    assert wide.interval.level == 0.99
    np.testing.assert_allclose(parts.total, q.total_indirect)


def test_not_in_the_dual_nor_from_fatal_status():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=20.0, residual_df=18, num_mediators=18)
    q = one(sample(KEY, population))
    for quadratics, code in (
        (q, status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "residual_ss": jnp.float64(np.nan)}), status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "status": jnp.int32(status.NONFINITE)}), status.NONFINITE),
    ):
        result = one_of(KEY, quadratics)["total"]
        assert result.status == code
        assert np.isnan([result.estimate, result.interval.lower, result.interval.upper]).all()


def test_exactly_fitted_outcome_keeps_its_estimate():
    population = law_of(
        1.0, 1.0, 0.5, residual_sd=0.0, exposure_ss=80.0, residual_df=78, num_mediators=5
    )
    result = one_of(KEY, one(sample(KEY, population)))["concordant"]
    assert result.status == status.ZERO_RESIDUAL
    assert result.interval.lower < 0.75 < result.interval.upper


def test_misuse():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=80.0, residual_df=78, num_mediators=5)
    q = one(sample(KEY, population))
    for wrong in ({"part": "direct"}, {"method": "bca"}, {"level": 95}, {"replicates": 38}):
        with pytest.raises(ValueError, match="."):
            inference.indirect_interval(KEY, q, **wrong)
