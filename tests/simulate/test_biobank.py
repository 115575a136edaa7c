"""The simulated biobank: its truth, its prevalence, and the correlations it promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.simulate.biobank import (
    biobank,
    biobank_truth,
    optimal_weights,
    population_indirect,
    sample_biobank,
)

P, N = 60, 60_000
PREVALENCE = 0.1


@pytest.fixture(scope="module")
def model():
    made = jax.jit(lambda key: biobank(key, P, num_blocks=5, prevalence=PREVALENCE))
    return made(jax.random.key(4))


@pytest.fixture(scope="module")
def true(model):
    """Truth, optimal weights and the optimum's worth."""

    @jax.jit
    def find(model):
        best = optimal_weights(model)
        return biobank_truth(model), best, population_indirect(model, best)

    return find(model)


@pytest.fixture(scope="module")
def sampled(model):
    draw = jax.jit(sample_biobank, static_argnums=2)
    return jax.tree.map(np.asarray, draw(jax.random.key(5), model, N))


def covariance(model):
    loadings = np.asarray(model.loadings)
    return loadings @ loadings.T + np.diag(np.asarray(model.specific_sd) ** 2)


def test_strengths_and_angle_are_what_was_asked_for(model):
    omega, a, b = (
        covariance(model),
        np.asarray(model.age_effects),
        np.asarray(model.outcome_effects),
    )
    k_a, k_y = np.sqrt(a @ np.linalg.solve(omega, a)), np.sqrt(b @ omega @ b)
    np.testing.assert_allclose([k_a, k_y, a @ b / (k_a * k_y)], [2.14, 0.65, 0.15], rtol=1e-10)
    np.testing.assert_allclose(np.diag(omega), 1, rtol=1e-12)
    assert float(model.prevalence) == pytest.approx(PREVALENCE, rel=1e-10)
    liability = a @ b + model.direct
    variance = liability**2 + b @ omega @ b + model.residual_sd**2
    assert float(variance) == pytest.approx(1, rel=1e-12)


def test_parts_of_the_truth_add_up(true):
    truth, _, best = true
    assert float(truth.concordant + truth.suppression) == pytest.approx(float(truth.total_indirect))
    assert float(best) == pytest.approx(float(truth.concordant), rel=1e-10)


def test_no_composite_beats_the_optimum(model, true):
    truth, best, _ = true
    weights = np.asarray(best) + 0.3 * np.random.default_rng(1).normal(size=(200, P))
    worth = jax.jit(jax.vmap(lambda w: population_indirect(model, w)))(weights)
    assert float(np.max(worth)) < float(truth.concordant)


def test_prevalence_and_correlations(model, sampled):
    share = sampled.outcome.mean()
    assert abs(share - PREVALENCE) < 5 * np.sqrt(PREVALENCE * (1 - PREVALENCE) / N)
    assert set(np.unique(sampled.outcome)) == {0, 1}
    z = (sampled.exposure - 56.8) / 8.2
    assert abs(z.mean()) < 5 / np.sqrt(N) and abs(z.std() - 1) < 5 / np.sqrt(2 * N)
    residual = sampled.mediators - np.outer(z, model.age_effects)
    error = np.cov(residual, rowvar=False) - covariance(model)
    assert np.abs(error).max() < 6 * np.sqrt(2 / N)  # 1830 of them
    assert np.abs(residual.T @ z / N).max() < 5 / np.sqrt(N)


def test_truth_is_what_least_squares_of_the_diagnosis_finds(model, sampled, true):
    """Stein's identity: linear coefficients of the 0/1 outcome are the liability's times phi."""
    truth = true[0]
    x = np.column_stack([np.ones(N), sampled.exposure, sampled.mediators])
    coefficients, _, _, _ = np.linalg.lstsq(x, sampled.outcome, rcond=None)
    fitted_error = np.var(sampled.outcome - x @ coefficients)
    errors = np.sqrt(fitted_error * np.diag(np.linalg.inv(x.T @ x)))
    a = np.asarray(model.age_effects) / 8.2
    direct, b = coefficients[1], coefficients[2:]
    # Heteroscedastic residuals of a 0/1 outcome: twice the classical errors is generous.
    assert abs(direct - float(truth.direct)) < 8 * errors[1]
    slope = float(truth.direct / model.direct) * 8.2
    np.testing.assert_array_less(
        np.abs(b - slope * np.asarray(model.outcome_effects)), 8 * errors[2:]
    )
    simple = np.polyfit(sampled.exposure, sampled.outcome, 1)[0]
    total_error = np.sqrt(np.var(sampled.outcome) / N) / 8.2
    assert abs(simple - float(truth.total)) < 8 * total_error
    assert abs(a @ b - float(truth.total_indirect)) < 8 * total_error


def test_shares_are_numbers_of_proteins():
    """Without alignment the disease changes only its own proteins."""
    made = jax.jit(
        lambda key: biobank(key, P, num_blocks=5, alignment=0, age_share=0.5, disease_share=0.1)
    )(jax.random.key(4))
    assert np.count_nonzero(made.age_effects) == P // 2
    assert np.count_nonzero(made.outcome_effects) == P // 10
    assert not np.any((made.age_effects != 0) & (made.outcome_effects != 0))


def test_float32_stays_float32():
    def both():
        model = biobank(jax.random.key(4), 20, dtype=jnp.float32)
        return model, sample_biobank(jax.random.key(5), model, 30)

    leaves = jax.tree.leaves(jax.eval_shape(both))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


def test_refuses_too_few_proteins():
    with pytest.raises(ValueError, match="at least 10"):
        biobank(jax.random.key(0), 5)
