import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimised import jit_for_many

from jaxmed import inference, status
from jaxmed.distributions.exact_law import law, sample_quadratics
from jaxmed.inference.intervals import (
    PARTS,
    bootstrap_estimates,
    fitted_law,
    interval_from_draws,
)

pytestmark = pytest.mark.usefixtures("strict_promotion")
KEY = jax.random.key(11)
REPLICATES = 400
# Few programs: each compilation of the law costs a second or two.
sample = jit_for_many(lambda key, law: sample_quadratics(key, law, 20_000))
law_of = jax.jit(law)
all_parts = jax.jit(lambda key, q: inference.indirect_intervals(key, q, replicates=REPLICATES))


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
    together = all_parts(KEY, q)
    for part in PARTS:
        result = together[part]
        assert result.interval.lower < result.estimate < result.interval.upper
        assert result.status == status.OK and result.standard_error > 0
        # Under jit the dimension is not known, and the name tells of both.
        assert result.interval.method.startswith("exact-law percentile bootstrap; ")

    @jax.jit
    def from_draws(key, q):
        draws = bootstrap_estimates(key, q, REPLICATES)
        both = [
            interval_from_draws(q, draws, level=level, method="basic") for level in (0.95, 0.99)
        ]
        return both, fitted_law(q).maximal_indirect[0], inference.indirect_estimates(q)

    (alone, wide), fitted, parts = from_draws(KEY, q)
    assert wide.interval.lower < alone.interval.lower < alone.interval.upper < wide.interval.upper
    percentile = together["concordant"].interval
    np.testing.assert_allclose(
        alone.interval.upper, alone.estimate + fitted - percentile.lower, rtol=1e-9
    )
    assert wide.interval.level == 0.99
    np.testing.assert_allclose(parts.total, q.total_indirect)


@pytest.mark.slow
def test_interval_of_the_total_covers_where_both_paths_are_null():
    # Half of these samples have |ab| > kA kY = 0, which no law allows.
    population = law_of(0.0, 0.0, 0.0, exposure_ss=60.0, residual_df=58, num_mediators=20)
    draws = jax.tree.map(lambda leaf: np.asarray(leaf)[:500], sample(KEY, population))
    interval = jit_for_many(
        lambda keys, q: jax.lax.map(lambda args: all_parts(*args)["total"].interval, (keys, q))
    )(jax.random.split(KEY, 500), draws)
    covered = float(np.mean((interval.lower <= 0) & (interval.upper >= 0)))
    assert covered > 0.95 - 5 * np.sqrt(0.95 * 0.05 / 500)


def test_units():
    population = law_of(0.5, 1.0, 0.5, exposure_ss=90.0, residual_df=88, num_mediators=9)
    q = one(sample(KEY, population))
    scaled = type(q)(
        **{
            **vars(q),
            "exposure_outcome": 7 * q.exposure_outcome,
            "outcome_outcome": 49 * q.outcome_outcome,
            "residual_ss": 49 * q.residual_ss,
            "exposure_ss": 9 * q.exposure_ss,
        }
    )
    base, other = all_parts(KEY, q)["concordant"], all_parts(KEY, scaled)["concordant"]
    for a, b in zip(jax.tree.leaves(base)[:-1], jax.tree.leaves(other)[:-1], strict=True):
        np.testing.assert_allclose(b, a * 7 / 3, rtol=1e-9)


def test_not_in_the_dual_nor_from_fatal_status():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=20.0, residual_df=18, num_mediators=18)
    q = one(sample(KEY, population))
    for quadratics, code in (
        (q, status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "residual_ss": jnp.float64(np.nan)}), status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "status": jnp.int32(status.NONFINITE)}), status.NONFINITE),
    ):
        result = all_parts(KEY, quadratics)["total"]
        assert result.status == code
        assert np.isnan([result.estimate, result.interval.lower, result.interval.upper]).all()


def test_exactly_fitted_outcome_keeps_its_estimate():
    population = law_of(
        1.0, 1.0, 0.5, residual_sd=0.0, exposure_ss=80.0, residual_df=78, num_mediators=5
    )
    result = all_parts(KEY, one(sample(KEY, population)))["concordant"]
    assert result.status == status.ZERO_RESIDUAL
    assert result.interval.lower < 0.75 < result.interval.upper


def test_misuse():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=80.0, residual_df=78, num_mediators=5)
    q = one(sample(KEY, population))
    for wrong in ({"part": "direct"}, {"method": "bca"}, {"level": 95}, {"replicates": 1}):
        with pytest.raises(ValueError, match="."):
            inference.indirect_interval(KEY, q, **wrong)


def single_precision(leaf):
    leaf = np.asarray(leaf)[:3]
    return leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf


def test_float32_and_vmap():
    population = law_of(1.0, 1.0, 0.5, exposure_ss=200.0, residual_df=198, num_mediators=20)
    draws = jax.tree.map(single_precision, sample(KEY, population))
    keys = jax.random.split(KEY, 3)
    batch = jax.jit(jax.vmap(lambda k, q: inference.indirect_interval(k, q, replicates=200)))(
        keys, draws
    )
    assert batch.estimate.dtype == jnp.float32 and batch.interval.lower.shape == (3,)
    assert (batch.interval.lower < batch.estimate).all()
    assert (batch.estimate < batch.interval.upper).all()
