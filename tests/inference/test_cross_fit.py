"""Cross-fitting: fold estimates by plain regressions, invariances, splits lost, coverage."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from optimised import OPTIMISED
from problems import problem, with_rows_without_weight

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import paths
from jaxmed.inference.cross_fit import cross_fitted_effect
from jaxmed.inference.fold_rows import fold_rows, take
from jaxmed.inference.row_order import canonical_order
from jaxmed.inference.rows import weighted_first

KEY = jax.random.key(4)
N, FOLDS, SPLITS = 45, 4, 10
SHAPES = [(N, 6, 1), (N, 60, 1)]
compiled = jax.jit(cross_fitted_effect, static_argnames=("folds", "splits", "route", "composite"))


def cross_fitted(key, data, *, folds=FOLDS, splits=SPLITS, route="gram", composite=maxie):
    """The same folds and splits for all that have no reason for others: few programs."""
    return compiled(key, data, folds=folds, splits=splits, route=route, composite=composite)


folds_of = jax.jit(fold_rows, static_argnums=(1, 2))
composite_of = jax.jit(lambda data: maxie(paths(data)))
REGIMES = pytest.mark.parametrize("shape", SHAPES, ids=["primal", "dual"])


def drawn(data, split):
    """The rows in the order that the fit takes them, and the order of one split."""
    return jax.tree.map(np.asarray, ordered(data, split))


@jax.jit
def ordered(data, split):
    data = take(data, canonical_order(data))
    order = jax.random.permutation(jax.random.fold_in(KEY, split), len(data.exposure))
    return data, weighted_first(order, data.weights)


@REGIMES
def test_fold_estimates_are_plain_regressions(shape):
    given = problem(np.random.default_rng(0), *shape)
    result = jax.tree.map(np.asarray, cross_fitted(KEY, given))
    found = result.fold_exposure_effect * result.fold_outcome_effect
    for split in range(3):
        data, order = drawn(given, split)
        rows = jax.tree.map(np.asarray, folds_of(order, N, FOLDS))
        effects = []
        for k in range(FOLDS):
            train = rows.train[k][rows.learned[k]]
            others = np.isin(np.arange(N), train).astype(float)  # weights: one shape for all folds
            learned = composite_of(dataclasses.replace(data, weights=others))
            test = rows.test[k][rows.present[k]]
            held = jax.tree.map(lambda v, r=test: v[r], data)
            effects.append(oracle.effects(held, np.asarray(learned.weights))[2])
        np.testing.assert_allclose(found[split], effects, rtol=1e-8)
        np.testing.assert_allclose(result.split_estimates[split], np.mean(effects), rtol=1e-8)
    np.testing.assert_allclose(result.indirect, np.median(found.mean(axis=1)), rtol=1e-8)
    np.testing.assert_allclose(result.spread, np.std(found.mean(axis=1), ddof=1), rtol=1e-8)
    assert (result.lowest, result.highest) == (
        result.split_estimates.min(),
        result.split_estimates.max(),
    )
    assert result.interval.lower < result.indirect < result.interval.upper
    assert int(result.splits_used) == SPLITS
    assert int(result.status) == (st.RESTRICTED if shape[1] > 40 else st.OK)


def numbers(result):
    return jax.tree.map(np.asarray, jax.tree.leaves(result))


@pytest.mark.parametrize(
    ("shape", "route"),
    [
        pytest.param(SHAPES[0], "gram", id="primal-gram"),
        pytest.param(SHAPES[0], "qr", id="primal-qr", marks=pytest.mark.slow),
        pytest.param(SHAPES[1], "gram", id="dual-gram"),
        pytest.param(SHAPES[1], "qr", id="dual-qr", marks=pytest.mark.slow),
    ],
)
def test_the_order_of_the_rows_changes_no_bit(shape, route):
    rng = np.random.default_rng(1)
    data = problem(rng, *shape, binary=True)  # tied exposures
    first = cross_fitted(KEY, data, route=route)
    order = rng.permutation(N)
    again = cross_fitted(KEY, jax.tree.map(lambda v: v[order], data), route=route)
    for one, other in zip(numbers(first), numbers(again), strict=True):
        np.testing.assert_array_equal(one, other)


@REGIMES
def test_units_change_nothing_and_signs_no_more_than_the_split(shape):
    data = problem(np.random.default_rng(2), *shape)
    first = cross_fitted(KEY, data)

    def scaled(exposure, mediators, outcome, shift=0.0):
        other = MediationData(
            data.exposure * exposure + shift,
            data.mediators * mediators + shift,
            data.outcome * outcome + shift,
            data.covariates,
        )
        result = cross_fitted(KEY, other)
        back = exposure / outcome
        limits = (result.interval.lower, result.interval.upper)
        return np.asarray([result.indirect, result.spread, *limits, result.standard_error]) * back

    reference = scaled(1.0, 1.0, 1.0)
    np.testing.assert_array_equal(reference, scaled(8.0, 0.25, 2.0))
    np.testing.assert_allclose(reference, scaled(3.0, 0.7, 0.1), rtol=1e-9)
    np.testing.assert_allclose(reference, scaled(1.0, 1.0, 1.0, shift=11.0), rtol=1e-9)
    np.testing.assert_allclose(reference, scaled(1.0, -1.0, 1.0), rtol=1e-9)
    flipped = scaled(-1.0, 1.0, -1.0)[0]  # of one alone concordant and suppression change places
    assert flipped != first.indirect
    assert abs(flipped - first.indirect) < first.spread


EAGER = "eager, operation by operation, is what is compared"


@pytest.mark.parametrize(
    "eager",
    [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.programs(120, reason=EAGER)])],
)
def test_eager_compiled_and_batched_agree(eager):
    rng = np.random.default_rng(3)
    sets = [problem(rng, *SHAPES[0], binary=True) for _ in range(3)]
    sets = [dataclasses.replace(d, outcome=np.round(d.outcome)) for d in sets]  # ties to break
    sets = jax.tree.map(lambda *v: np.stack(v), *sets)
    run = functools.partial(cross_fitted_effect, folds=FOLDS, splits=SPLITS)
    batched = jax.jit(jax.vmap(run, (None, 0)))(KEY, sets)
    for i in range(3):
        one = jax.tree.map(lambda v, i=i: v[i], sets)
        if eager and i:
            break
        alone = (run if eager else cross_fitted)(KEY, one)
        for got, expected in zip(numbers(alone), numbers(batched), strict=True):
            np.testing.assert_allclose(got, expected[i], rtol=1e-10)


def not_of_the_plane(found):
    """MaxIE as a function that the kernel route does not know."""
    return maxie(found)


@pytest.mark.parametrize(
    ("shape", "weighted"),
    [
        pytest.param(SHAPES[0], True, id="primal-True"),
        pytest.param(SHAPES[1], False, id="dual-False", marks=pytest.mark.slow),
        pytest.param(SHAPES[0], False, id="primal-False", marks=pytest.mark.slow),
        pytest.param(SHAPES[1], True, id="dual-True", marks=pytest.mark.slow),
    ],
)
def test_kernel_and_moments_are_shortcuts_of_the_rows(shape, weighted):
    rng = np.random.default_rng(5)
    data = problem(rng, *shape)
    if weighted:
        data = dataclasses.replace(data, weights=rng.exponential(size=N))
    quick = cross_fitted(KEY, data)
    slow = cross_fitted(KEY, data, route="qr", composite=not_of_the_plane)
    for got, expected in zip(numbers(quick), numbers(slow), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.slow
def test_float32_draws_the_same_folds():
    data = problem(np.random.default_rng(6), *SHAPES[0], scale=0.0)
    single = jax.tree.map(lambda v: v.astype(np.float32), data)
    double = jax.tree.map(lambda v: v.astype(np.float64), single)
    first, second = (cross_fitted(KEY, d) for d in (single, double))
    assert first.indirect.dtype == np.float32
    np.testing.assert_allclose(first.split_estimates, second.split_estimates, rtol=2e-3)


def test_every_row_is_tested_once_and_never_by_its_own_weights():
    rows = jax.tree.map(np.asarray, folds_of(jnp.arange(23), 23, 4))
    tested = np.concatenate([t[m] for t, m in zip(rows.test, rows.present, strict=True)])
    assert sorted(tested) == list(range(23))
    for k in range(4):
        learn, held = rows.train[k][rows.learned[k]], rows.test[k][rows.present[k]]
        assert sorted([*learn, *held]) == list(range(23))


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(SHAPES[0], id="primal"),
        pytest.param(SHAPES[1], id="dual", marks=pytest.mark.slow),
    ],
)
def test_rows_without_weight_are_in_no_fold(shape):
    """Folds are balanced over the other rows, and hold the estimates of these alone."""
    rng = np.random.default_rng(2)
    data = with_rows_without_weight(rng, problem(rng, 36, *shape[1:]), N - 36)
    result = cross_fitted(KEY, data)
    data, order = drawn(data, 0)
    blocks = np.asarray(order)[:36].reshape(FOLDS, 9)
    assert np.all(data.weights[blocks] == 1)

    def take(rows):
        return dataclasses.replace(jax.tree.map(lambda v: v[rows], data), weights=None)

    effects = []
    for k in range(FOLDS):
        learned = composite_of(take(np.delete(blocks, k, axis=0).ravel()))
        effects.append(oracle.effects(take(blocks[k]), np.asarray(learned.weights))[2])
    found = result.fold_exposure_effect * result.fold_outcome_effect
    np.testing.assert_allclose(found[0], effects, rtol=1e-8)
    assert int(result.status) == (st.RESTRICTED if shape[1] > 40 else st.OK)


def test_too_few_rows_with_weight_are_a_status():
    data = problem(np.random.default_rng(0), *SHAPES[0])
    data = dataclasses.replace(data, weights=(np.arange(N) < 20).astype(float))
    result = cross_fitted(jax.random.key(0), data)
    assert int(result.status) == st.TOO_FEW_ROWS
    assert np.isnan(result.indirect) and np.isnan(result.interval.lower)


def test_too_small_folds_are_refused():
    data = problem(np.random.default_rng(0), 20, 3, 1)
    with pytest.raises(ValueError, match="use fewer folds"):
        cross_fitted_effect(jax.random.key(0), data, folds=5)
    with pytest.raises(ValueError, match="splits must be at least 1"):
        cross_fitted_effect(jax.random.key(0), data, folds=2, splits=0)


def rare(every):
    """One row of so many is treated."""
    data = problem(np.random.default_rng(0), *SHAPES[0])
    return dataclasses.replace(data, exposure=(np.arange(N) % every == 0).astype(float))


def test_a_lost_fold_takes_its_split_with_it():
    """A held-out part without treated rows has no exposure effect."""
    result = cross_fitted(KEY, rare(5))
    known = np.isfinite(result.split_estimates)
    assert 5 < known.sum() < 10
    assert int(result.splits_used) == known.sum()
    np.testing.assert_allclose(
        result.indirect, np.median(np.asarray(result.split_estimates)[known]), rtol=1e-12
    )
    assert int(result.status) == st.OK
    gone = cross_fitted(jax.random.key(2), rare(9))
    assert 0 < int(gone.splits_used) <= 5
    assert int(gone.status) == st.TOO_FEW_ROWS
    for value in (gone.indirect, gone.standard_error, gone.spread, gone.lowest, gone.highest):
        assert np.isnan(value)
    assert np.isnan(gone.interval.lower) and np.isnan(gone.interval.upper)


@functools.partial(
    jax.jit, static_argnames=("n", "p", "sets", "folds", "splits"), compiler_options=OPTIMISED
)
def simulated(signal, *, n, p, sets, folds, splits):
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
        result = cross_fitted_effect(keys[3], data, folds=folds, splits=splits)
        data = take(data, canonical_order(data))

        def target(split):
            order = jax.random.permutation(jax.random.fold_in(keys[3], split), n)
            rows = fold_rows(order, n, folds)

            def learned(train):
                return maxie(paths(take(data, train), route="gram")).weights

            return jnp.mean(jax.lax.map(lambda rows: population(learned(rows)), rows.train))

        goal = jnp.mean(jax.lax.map(target, jnp.arange(splits)))
        covered = (result.interval.lower <= goal) & (goal <= result.interval.upper)
        return result.indirect - goal, covered, result.standard_error

    return jax.lax.map(one, jax.random.split(jax.random.key(8), sets))


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.0, 0.4], ids=["null", "signal"])
def test_unbiased_for_its_target_and_covers_it(signal):
    """The target is the population effect of the fold's learned weights, known in a simulation."""
    sets = 100
    error, covered, reported = map(
        np.asarray, simulated(signal, n=120, p=10, sets=sets, folds=5, splits=3)
    )
    spread = float(np.std(error))
    assert abs(float(np.mean(error))) < 5 * spread / np.sqrt(sets)
    coverage = float(np.mean(covered))
    # Wider than nominal by design at the null, where both factors are noise.
    assert 0.95 - 5 * np.sqrt(0.95 * 0.05 / sets) <= coverage
    # Conservative at the null, where the squared estimates in the variance are noise and the
    # errors of different splits are nearly unrelated.
    assert 0.8 * spread < float(np.mean(reported)) < (1.5 if signal else 4.0) * spread
    print(f"signal {signal}: coverage {coverage:.3f}, bias {float(np.mean(error)):+.4f}")
