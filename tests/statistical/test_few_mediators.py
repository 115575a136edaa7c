"""Few mediators: the interval of the only one covers, and parts stay within their range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.distributions.exact_law import law, sample_quadratics
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference import indirect_estimates
from jaxmed.inference.part_interval import single_interval

SETS = 2000
# n, alpha, beta: where the mirrored interval of the law covered .90 to .92.
DESIGNS = [(100, 0.5, 0.5), (100, 0.39, 0.39), (276, 0.3, 0.3), (60, 0.6, 0.6)]


def one_mediator(n, a, b, seed=5):
    """Quadratics [SETS] of x -> m -> y with a direct effect of .2 and unit errors, from rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(SETS, n))
    m = a * x + rng.normal(size=(SETS, n))
    y = 0.2 * x + b * m + rng.normal(size=(SETS, n))
    x, m, y = (v - v.mean(axis=1, keepdims=True) for v in (x, m, y))
    tau, cross = (x * x).sum(axis=1), (x * m).sum(axis=1)
    given = (m * m).sum(axis=1) - cross**2 / tau
    y_given = y - ((x * y).sum(axis=1) / tau)[:, None] * x
    product = (y_given * m).sum(axis=1)
    path_a, path_y = cross / np.sqrt(tau * given), product / np.sqrt(given)
    ones = np.ones(SETS)
    fields = (
        path_a**2,
        path_a * path_y,
        path_y**2,
        (y_given**2).sum(axis=1) - path_y**2,
        tau,
        np.sign(path_a * path_y),
        0 * ones,
        (n - 2) * ones,
        ones,
    )
    return PathQuadratics(*map(jnp.asarray, fields), jnp.zeros(SETS, jnp.int32))


@pytest.fixture(scope="module")
def total():
    return jax.jit(lambda q: single_interval(q))


@pytest.mark.parametrize(("n", "a", "b"), DESIGNS)
def test_coverage_with_one_mediator(total, n, a, b):
    found = total(one_mediator(n, a, b))
    low, high = np.asarray(found.interval.lower), np.asarray(found.interval.upper)
    below, above = np.mean(a * b < low), np.mean(a * b > high)
    assert abs(1 - below - above - 0.95) < 3 * np.sqrt(0.95 * 0.05 / SETS)
    # Both sides miss: mirrored limits had .007 on one and .069 to .093 on the other.
    assert below > 0.01 and above < 0.05
    assert (low < found.estimate).all() and (found.estimate < high).all()


def test_parts_stay_within_their_range_in_every_data_set():
    program = jax.jit(
        lambda key, law: (lambda q: (q, indirect_estimates(q)))(sample_quadratics(key, law, SETS))
    )
    beyond = 0
    for seed, (p, k_a, k_y, cosine) in enumerate(
        (p, *strengths)
        for p in (1, 2, 5, 10)
        for strengths in ((0.4, 0.4, 1.0), (0.4, 0.4, 0.0), (0.0, 0.0, 0.0), (0.3, 1.0, -0.5))
    ):
        population = law(
            k_a, k_y, cosine, exposure_ss=80.0, residual_df=78.0, num_mediators=float(p)
        )
        q, found = program(jax.random.key(seed), population)
        total, positive, negative = map(
            np.asarray, (found.total, found.concordant, found.suppression)
        )
        assert (positive >= np.maximum(total, 0)).all(), (p, k_a, k_y, cosine)
        assert (negative <= np.minimum(total, 0)).all(), (p, k_a, k_y, cosine)
        np.testing.assert_allclose(positive + negative, total, atol=1e-6)
        strengths = np.asarray(found.exposure_strength * found.outcome_strength)
        beyond += np.sum(np.abs(total) > strengths)
        if p == 1:
            np.testing.assert_array_equal(np.minimum(positive, -negative), 0)
    assert beyond > SETS  # where the debiased product alone would leave the range
