"""Cross-fitting: folds, fold estimates by plain regressions, target and coverage."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from problems import problem, with_rows_without_weight

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import paths
from jaxmed.inference import cross_fit
from jaxmed.inference.cross_fit import cross_fitted_effect
from jaxmed.inference.rows import weighted_first

# One program for each shape instead of one for each operation.
cross_fitted = jax.jit(cross_fitted_effect, static_argnames="folds")
fold_rows = jax.jit(cross_fit._fold_rows, static_argnums=(1, 2, 3))
composite_of = jax.jit(lambda data: maxie(paths(data)))


# Training parts of 33 rows, as in the test of rows without weight.
@pytest.mark.parametrize("shape", [(45, 6, 1), (45, 60, 1)], ids=["primal", "dual"])
def test_fold_estimates_are_plain_regressions(shape):
    data = problem(np.random.default_rng(0), *shape)
    key = jax.random.key(4)
    result = cross_fitted(key, data, folds=4)
    order = jax.random.permutation(jax.random.split(key)[0], 45)
    train, test, present = fold_rows(order, 45, 4, 12)
    effects = []
    for k in range(4):
        learned = composite_of(jax.tree.map(lambda v, k=k: v[np.asarray(train[k])], data))
        rows = np.asarray(test[k])[np.asarray(present[k])]
        held = jax.tree.map(lambda v, rows=rows: v[rows], data)
        effects.append(oracle.effects(held, np.asarray(learned.weights))[2])
    np.testing.assert_allclose(
        result.fold_exposure_effect * result.fold_outcome_effect, effects, rtol=1e-8
    )
    np.testing.assert_allclose(result.indirect, np.mean(effects), rtol=1e-8)
    assert result.interval.lower < result.indirect < result.interval.upper
    assert int(result.status) == (st.RESTRICTED if shape[1] > 40 else st.OK)


def test_every_row_is_tested_once_and_never_by_its_own_weights():
    train, test, present = fold_rows(jnp.arange(23), 23, 4, 6)
    tested = np.concatenate(
        [np.asarray(t)[np.asarray(m)] for t, m in zip(test, present, strict=True)]
    )
    assert sorted(tested) == list(range(23))
    for learn, rows, mask in zip(train, test, present, strict=True):
        assert not set(np.asarray(learn)) & set(np.asarray(rows)[np.asarray(mask)])
        assert len(set(np.asarray(learn))) == 17


def padded(data, rng, extra):
    """The data with rows of weight zero and wild values anywhere between its own."""
    n = data.exposure.shape[0]
    places = np.sort(rng.permutation(n + extra)[:n])

    def spread(values):
        wild = 50 + 9 * rng.normal(size=(n + extra, *values.shape[1:]))
        wild[places] = values
        return wild

    weights = np.zeros(n + extra)
    weights[places] = 1
    return dataclasses.replace(jax.tree.map(spread, data), weights=weights), places


@pytest.mark.parametrize("shape", [(44, 6, 1), (44, 60, 1)], ids=["primal", "dual"])
def test_rows_without_weight_are_in_no_fold(shape):
    """Folds are balanced over the other rows, and hold the estimates of these alone."""
    rng = np.random.default_rng(2)
    data = with_rows_without_weight(rng, problem(rng, *shape), 8)
    key = jax.random.key(4)
    result = cross_fitted(key, data, folds=4)
    order = weighted_first(jax.random.permutation(jax.random.split(key)[0], 52), data.weights)
    blocks = np.asarray(order)[:44].reshape(4, 11)
    assert np.all(data.weights[blocks] == 1)

    def take(rows):
        return dataclasses.replace(jax.tree.map(lambda v: v[rows], data), weights=None)

    effects = []
    for k in range(4):
        learned = composite_of(take(np.delete(blocks, k, axis=0).ravel()))
        effects.append(oracle.effects(take(blocks[k]), np.asarray(learned.weights))[2])
    found = result.fold_exposure_effect * result.fold_outcome_effect
    np.testing.assert_allclose(found, effects, rtol=1e-8)
    assert int(result.status) == (st.RESTRICTED if shape[1] > 40 else st.OK)


def test_too_few_rows_with_weight_are_a_status():
    data = problem(np.random.default_rng(0), 52, 6, 1)
    data = dataclasses.replace(data, weights=(np.arange(52) < 20).astype(float))
    result = cross_fitted(jax.random.key(0), data, folds=4)
    assert int(result.status) == st.TOO_FEW_ROWS
    assert np.isnan(result.indirect) and np.isnan(result.interval.lower)


def test_too_small_folds_are_refused():
    data = problem(np.random.default_rng(0), 20, 3, 1)
    with pytest.raises(ValueError, match="use fewer folds"):
        cross_fitted_effect(jax.random.key(0), data, folds=5)


@functools.partial(jax.jit, static_argnames=("n", "p", "sets", "folds"))
def simulated(signal, *, n, p, sets, folds):
    """Error, whether covered, and reported standard error of `sets` data sets: both signals."""
    a_true = jnp.zeros(p).at[:4].set(signal)
    b_true = jnp.zeros(p).at[2:6].set(signal)

    def population(w):
        """alpha beta of Xw with X | A ~ N(a A, I), Y = bX + e, Var A = 1."""
        return (a_true @ w) * (b_true @ w) / (w @ w)

    def one(key):
        keys = jax.random.split(key, 4)
        a = jax.random.normal(keys[0], (n,))
        x = a[:, None] * a_true + jax.random.normal(keys[1], (n, p))
        y = x @ b_true + 0.3 * a + jax.random.normal(keys[2], (n,))
        data = MediationData(a, x, y, jnp.zeros((n, 0)))
        result = cross_fitted_effect(keys[3], data, folds=folds)
        order = jax.random.permutation(jax.random.split(keys[3])[0], n)
        train, _, _ = cross_fit._fold_rows(order, n, folds, n // folds)

        def learned(rows):
            return maxie(paths(cross_fit._take(data, rows, None), route="gram")).weights

        target = jnp.mean(jax.lax.map(lambda rows: population(learned(rows)), train))
        covered = (result.interval.lower <= target) & (target <= result.interval.upper)
        return result.indirect - target, covered, result.standard_error

    return jax.lax.map(one, jax.random.split(jax.random.key(8), sets))


@pytest.mark.parametrize("signal", [0.0, 0.4], ids=["null", "signal"])
def test_unbiased_for_its_target_and_covers_it(signal):
    """The target is the population effect of the fold's learned weights, known in a simulation."""
    sets = 400
    error, covered, reported = map(np.asarray, simulated(signal, n=120, p=10, sets=sets, folds=5))
    spread = float(np.std(error))
    assert abs(float(np.mean(error))) < 5 * spread / np.sqrt(sets)
    coverage = float(np.mean(covered))
    # Wider than nominal by design at the null, where both factors are noise.
    assert 0.95 - 5 * np.sqrt(0.95 * 0.05 / sets) <= coverage
    # With both effects null the squared estimates in the variance are noise: conservative there.
    assert 0.8 * spread < float(np.mean(reported)) < (1.3 if signal else 2.0) * spread
    print(f"signal {signal}: coverage {coverage:.3f}, bias {float(np.mean(error)):+.4f}")
