import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import inference, status
from jaxmed.distributions.exact_law import law, sample_quadratics
from jaxmed.inference.intervals import PARTS

pytestmark = pytest.mark.usefixtures("strict_promotion")
KEY = jax.random.key(11)
sample = jax.jit(sample_quadratics, static_argnums=2)


def one(draws, index=0):
    return jax.tree.map(lambda leaf: leaf[index], draws)


@pytest.mark.parametrize("n,p", [(200, 20), (200, 80), (1000, 500)])
def test_estimates_are_unbiased_where_the_paper_is_not(n, p):
    population = law(1.0, 1.0, 0.5, exposure_ss=float(n), residual_df=n - 2, num_mediators=p)
    draws = sample(KEY, population, 20_000)
    estimates = jax.jit(inference.indirect_estimates)(draws)
    truth = {"concordant": 0.75, "suppression": -0.25, "total": 0.5}
    for part, value in truth.items():
        assert abs(np.mean(estimates.part(part)) - value) < 0.012, part
    total = np.asarray(estimates.total)
    assert abs(total.mean() - 0.5) < 5 * total.std() / np.sqrt(total.size)
    np.testing.assert_allclose(estimates.concordant + estimates.suppression, total, atol=1e-12)
    naive = inference.intervals.naive_indirect(draws, "concordant")
    assert np.mean(naive) > 0.75 + 2 * p / n / 4


def test_one_interval():
    population = law(1.0, 1.0, 0.5, exposure_ss=200.0, residual_df=198, num_mediators=20)
    q = one(sample(KEY, population, 1))
    together = jax.jit(lambda key, q: inference.indirect_intervals(key, q, replicates=800))(KEY, q)
    for part in PARTS:
        alone = inference.indirect_interval(KEY, q, part=part, replicates=800)
        np.testing.assert_allclose(alone.interval.lower, together[part].interval.lower, rtol=1e-9)
        assert alone.interval.lower < alone.estimate < alone.interval.upper
        assert alone.status == status.OK and alone.standard_error > 0
        assert alone.interval.method == f"exact-law {'basic' if part == 'total' else 'percentile'} bootstrap"
    wide = inference.indirect_interval(KEY, q, level=0.99, replicates=800).interval
    assert wide.lower < together["concordant"].interval.lower and wide.level == 0.99
    parts = inference.indirect_estimates(q)
    np.testing.assert_allclose(parts.total, q.total_indirect)


def test_units():
    population = law(0.5, 1.0, 0.5, exposure_ss=90.0, residual_df=88, num_mediators=9)
    q = one(sample(KEY, population, 1))
    scaled = type(q)(**{
        **vars(q), "exposure_outcome": 7 * q.exposure_outcome, "outcome_outcome": 49 * q.outcome_outcome,
        "residual_ss": 49 * q.residual_ss, "exposure_ss": 9 * q.exposure_ss,
    })  # fmt: skip
    base = inference.indirect_interval(KEY, q, replicates=200)
    other = inference.indirect_interval(KEY, scaled, replicates=200)
    for a, b in zip(jax.tree.leaves(base)[:-1], jax.tree.leaves(other)[:-1], strict=True):
        np.testing.assert_allclose(b, a * 7 / 3, rtol=1e-9)


def test_not_in_the_dual_nor_from_fatal_status():
    population = law(1.0, 1.0, 0.5, exposure_ss=20.0, residual_df=18, num_mediators=18)
    q = one(sample(KEY, population, 1))
    for quadratics, code in (
        (q, status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "residual_ss": jnp.float64(np.nan)}), status.NOT_IN_DUAL),
        (type(q)(**{**vars(q), "status": jnp.int32(status.NONFINITE)}), status.NONFINITE),
    ):
        result = inference.indirect_interval(KEY, quadratics, replicates=50)
        assert result.status == code
        assert np.isnan([result.estimate, result.interval.lower, result.interval.upper]).all()


def test_exactly_fitted_outcome_keeps_its_estimate():
    population = law(
        1.0, 1.0, 0.5, residual_sd=0.0, exposure_ss=80.0, residual_df=78, num_mediators=5
    )
    result = inference.indirect_interval(KEY, one(sample(KEY, population, 1)), replicates=400)
    assert result.status == status.ZERO_RESIDUAL
    assert result.interval.lower < 0.75 < result.interval.upper


def test_misuse():
    population = law(1.0, 1.0, 0.5, exposure_ss=80.0, residual_df=78, num_mediators=5)
    q = one(sample(KEY, population, 1))
    for wrong in ({"part": "direct"}, {"method": "bca"}, {"level": 95}, {"replicates": 1}):
        with pytest.raises(ValueError, match="."):
            inference.indirect_interval(KEY, q, **wrong)


def test_float32_and_vmap():
    population = law(
        jnp.float32(1), jnp.float32(1), jnp.float32(0.5), exposure_ss=jnp.float32(200),
        residual_df=198, num_mediators=20,
    )  # fmt: skip
    draws = sample(KEY, population, 3)
    keys = jax.random.split(KEY, 3)
    batch = jax.jit(jax.vmap(lambda k, q: inference.indirect_interval(k, q, replicates=200)))(keys, draws)
    assert batch.estimate.dtype == jnp.float32 and batch.interval.lower.shape == (3,)
    alone = inference.indirect_interval(keys[2], one(draws, 2), replicates=200)
    np.testing.assert_allclose(batch.interval.lower[2], alone.interval.lower, rtol=1e-3)
